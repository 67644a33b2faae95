"""A request is a span, and what it starts belongs to the trace that its caller named."""

from pathlib import Path

import msgspec
from gatewaylab import gateway_lab
from otlp import OtlpReceiver

from bus import BusOptions, open_bus
from config.settings import TelemetrySettings
from orchestrator.telemetry import start_telemetry

REVIEW = {"type": "review.requested.v1", "body": {"files": [{"path": "a.py", "text": "x = 1"}]}}
TRACE = "a" * 32


async def test_what_a_request_publishes_continues_the_trace_of_its_caller(
    options: BusOptions, tmp_path: Path
) -> None:
    with OtlpReceiver() as receiver:
        settings = msgspec.convert({"endpoint": receiver.endpoint}, TelemetrySettings, strict=False)
        telemetry = start_telemetry(settings, service_version="1", instance_id="test")
        assert telemetry is not None
        async with open_bus(options, telemetry.tracer) as bus, gateway_lab(bus, tmp_path) as lab:
            headers = {"traceparent": f"00-{TRACE}-{'b' * 16}-01"}
            task = await lab.post("/api/v1/tasks", {**REVIEW, "task_id": "t1"}, headers=headers)
            assert task.status == 202
            assert (await lab.get("/health", key="", headers=headers)).status == 200
            ((_, envelope),) = [one async for one in bus.events("t1", only_stored=True)]
            assert envelope.traceparent.split("-")[1] == TRACE
        telemetry.shutdown(10.0)
        spans = {span.name: span for span in receiver.spans()}
    posted = spans["POST /api/v1/tasks"]
    assert (posted.trace_id, posted.parent_id) == (TRACE, "b" * 16)
    assert posted.attributes["http.response.status_code"] == 202
    assert posted.attributes["labverse.caller"] == "key:lab"
    assert spans["send lv.review.requested.v1"].parent_id == posted.span_id
    assert spans["GET /health"].trace_id != TRACE, "strangers say nothing about our traces"
    assert lab.key not in str(spans)
