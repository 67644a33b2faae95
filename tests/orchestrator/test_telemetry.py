"""Spans arrive at a collector as they were made, and no collector, however bad, is felt by the program."""

import logging
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from opentelemetry.trace import Link, SpanKind, StatusCode
from otlp import OtlpReceiver

from config.errors import ConfigError
from config.secret import Secret
from config.settings import TelemetrySettings
from orchestrator.telemetry import (
    BATCH_SPANS_MAX,
    EXPORT_TIMEOUT_S,
    QUEUE_SPANS_MAX,
    Telemetry,
    header_pairs,
    start_telemetry,
    traces_url,
)

FLUSH_S = 10.0
ROOT = Path(__file__).parents[2]


def settings_for(endpoint: str, **changes: object) -> TelemetrySettings:
    """As `config.load` would make them."""
    kind = type(TelemetrySettings().endpoint)
    return msgspec.structs.replace(TelemetrySettings(endpoint=kind(endpoint)), **changes)


def start(endpoint: str, **changes: object) -> Telemetry:
    telemetry = start_telemetry(
        settings_for(endpoint, **changes), service_version="1.2.3", instance_id="test-1"
    )
    assert telemetry is not None
    return telemetry


@pytest.fixture
def receiver() -> Iterator[OtlpReceiver]:
    with OtlpReceiver() as receiver:
        yield receiver


@pytest.fixture
def black_hole() -> Iterator[str]:
    """The address of a server that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture
def nobody() -> str:
    """An address at which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"http://127.0.0.1:{server.getsockname()[1]}"


def warnings_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Of ours alone: pytest also shows what is kept from the user (`test_a_program_…` looks at that)."""
    return [
        record.getMessage()
        for record in caplog.records
        if record.levelno >= logging.WARNING and record.name.startswith("labverse")
    ]


class TestArrival:
    def test_a_span_arrives_with_all_it_holds(self, receiver: OtlpReceiver) -> None:
        telemetry = start(receiver.endpoint, service_name="lab")
        with telemetry.tracer.start_as_current_span("cause") as cause:
            pass
        with telemetry.tracer.start_as_current_span(
            "parent",
            kind=SpanKind.CONSUMER,
            attributes={"n": 3, "text": "höher", "list": ["a", "b"]},
            links=[Link(cause.get_span_context())],
        ) as parent:
            with telemetry.tracer.start_as_current_span("child"):
                pass
            parent.set_status(StatusCode.ERROR, "it broke")
        assert telemetry.shutdown(FLUSH_S)

        spans = {span.name: span for span in receiver.spans()}
        assert set(spans) == {"cause", "parent", "child"}
        got = spans["parent"]
        assert (got.kind, got.status, got.status_text, got.parent_id) == ("consumer", "error", "it broke", "")
        assert got.attributes == {"n": 3, "text": "höher", "list": ["a", "b"]}
        assert (spans["child"].parent_id, spans["child"].trace_id) == (got.span_id, got.trace_id)
        assert [(link.trace_id, link.span_id) for link in got.links] == [
            (spans["cause"].trace_id, spans["cause"].span_id)
        ]
        assert abs(got.end_s - time.time()) < 60
        resource = {
            name: got.resource[name] for name in ("service.name", "service.version", "service.instance.id")
        }
        assert resource == {
            "service.name": "lab", "service.version": "1.2.3", "service.instance.id": "test-1",
        }  # fmt: skip

    def test_spans_arrive_without_waiting_for_shutdown(self, receiver: OtlpReceiver) -> None:
        telemetry = start(receiver.endpoint)
        with telemetry.tracer.start_as_current_span("now"):
            pass
        assert [span.name for span in receiver.wait_for(1, timeout_s=10)] == ["now"]
        telemetry.shutdown(FLUSH_S)

    def test_shutdown_sends_every_span_that_waits(self, receiver: OtlpReceiver) -> None:
        telemetry = start(receiver.endpoint)
        for number in range(3 * BATCH_SPANS_MAX):
            telemetry.tracer.start_span(f"s{number}").end()
        assert telemetry.shutdown(FLUSH_S)
        assert {span.name for span in receiver.spans()} == {f"s{n}" for n in range(3 * BATCH_SPANS_MAX)}

    @pytest.mark.parametrize("path", ["", "/", "/tenant/7", "/tenant/7/"])
    def test_the_path_of_traces_is_added_to_the_base_address(self, receiver: OtlpReceiver, path: str) -> None:
        telemetry = start(receiver.endpoint + path)
        telemetry.tracer.start_span("x").end()
        assert telemetry.shutdown(FLUSH_S)
        assert receiver.paths == [f"{path.rstrip('/')}/v1/traces"]

    def test_headers_go_with_the_export_and_appear_nowhere_else(
        self, receiver: OtlpReceiver, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        telemetry = start(receiver.endpoint, headers=Secret("Authorization=Basic%20aHVudGVyMg==, x-team=lab"))
        telemetry.tracer.start_span("x").end()
        assert telemetry.shutdown(FLUSH_S)
        assert receiver.headers[0]["authorization"] == "Basic aHVudGVyMg=="
        assert receiver.headers[0]["x-team"] == "lab"
        assert "aHVudGVyMg" not in caplog.text
        assert "aHVudGVyMg" not in repr(receiver.spans())

    def test_a_ratio_of_zero_sends_nothing_and_one_half_about_half(self, receiver: OtlpReceiver) -> None:
        for ratio, fewest, most in ((0.0, 0, 0), (0.5, 120, 280)):
            before = len(receiver.spans())
            telemetry = start(receiver.endpoint, sample_ratio=ratio)
            for _ in range(400):
                telemetry.tracer.start_span("x").end()
            assert telemetry.shutdown(FLUSH_S)
            assert fewest <= len(receiver.spans()) - before <= most

    def test_a_child_is_sampled_when_its_parent_is(self, receiver: OtlpReceiver) -> None:
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        telemetry = start(receiver.endpoint, sample_ratio=0.0)
        trace_id = "4bf92f3577b34da6a3ce929d0e0e4736"
        for flags, name in (("01", "yes"), ("00", "no")):
            carrier = {"traceparent": f"00-{trace_id}-00f067aa0ba902b7-{flags}"}
            context = TraceContextTextMapPropagator().extract(carrier)
            telemetry.tracer.start_span(name, context=context).end()
        assert telemetry.shutdown(FLUSH_S)
        assert [(span.name, span.trace_id) for span in receiver.spans()] == [("yes", trace_id)]


class TestSecrets:
    def test_credentials_are_taken_out_of_attributes_exceptions_and_status(
        self, receiver: OtlpReceiver
    ) -> None:
        telemetry = start(receiver.endpoint)
        with (
            pytest.raises(ConnectionError),
            telemetry.tracer.start_as_current_span(
                "x", attributes={"url": "nats://ada:hunter2@host", "safe": "as it was", "n": 1}
            ),
        ):
            raise ConnectionError("no answer from nats://ada:hunter2@host with token=hunter2hunter2")
        assert telemetry.shutdown(FLUSH_S)
        [span] = receiver.spans()
        assert "hunter2" not in repr(span)
        assert span.attributes == {"url": "nats://***:***@host", "safe": "as it was", "n": 1}
        assert span.status == "error"
        assert span.status_text.startswith("ConnectionError: no answer from nats://***:***@host")
        [event] = span.events
        assert event.name == "exception"
        assert "ConnectionError" in event.attributes["exception.stacktrace"]

    def test_the_command_line_is_no_part_of_the_resource(self, receiver: OtlpReceiver) -> None:
        telemetry = start(receiver.endpoint)
        telemetry.tracer.start_span("x").end()
        telemetry.shutdown(FLUSH_S)
        resource = receiver.spans()[0].resource
        assert not [name for name in resource if "command" in name or "executable" in name]


class TestBadCollectors:
    def test_a_collector_that_is_not_there_is_said_once_and_costs_nothing(
        self, nobody: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        telemetry = start(nobody)
        start_s = time.monotonic()
        for _ in range(2 * QUEUE_SPANS_MAX):
            telemetry.tracer.start_span("x").end()
        assert time.monotonic() - start_s < 5
        start_s = time.monotonic()
        assert not telemetry.shutdown(5.0)
        assert time.monotonic() - start_s < 2, "there was nobody to wait for"
        assert warnings_of(caplog) == [
            f"traces don't reach {nobody} and are dropped until they do: "
            "ConnectionRefusedError: [Errno 111] Connection refused"
        ]

    @pytest.mark.parametrize("collector", ["nobody", "black_hole"])
    def test_a_program_whose_collector_is_bad_says_one_line_and_ends_in_time(
        self, collector: str, request: pytest.FixtureRequest
    ) -> None:
        code = (
            "import logging, sys; from config.settings import TelemetrySettings; "
            "from orchestrator.telemetry import start_telemetry; logging.basicConfig(); "
            "kind = type(TelemetrySettings().endpoint); settings = TelemetrySettings(endpoint=kind(sys.argv[1])); "
            "telemetry = start_telemetry(settings, service_version='1', instance_id='x'); "
            "[telemetry.tracer.start_span('x').end() for _ in range(2000)]; telemetry.shutdown(4.0)"
        )
        endpoint = request.getfixturevalue(collector)
        start_s = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-c", code, endpoint], cwd=ROOT, capture_output=True, text=True
        )
        assert time.monotonic() - start_s < 10
        assert done.returncode == 0
        [line] = done.stderr.splitlines()
        assert line.startswith(f"WARNING:labverse.telemetry:traces don't reach {endpoint}")

    def test_shutdown_keeps_its_limit_when_the_collector_hangs(self, black_hole: str) -> None:
        telemetry = start(black_hole)
        for _ in range(3 * BATCH_SPANS_MAX):
            telemetry.tracer.start_span("x").end()
        start_s = time.monotonic()
        assert not telemetry.shutdown(0.3)
        assert time.monotonic() - start_s < 1.5

    def test_no_thread_is_left_after_a_collector_that_hangs(self, black_hole: str) -> None:
        before = set(threading.enumerate())
        telemetry = start(black_hole)
        telemetry.tracer.start_span("x").end()
        telemetry.shutdown(0.1)
        until = time.monotonic() + EXPORT_TIMEOUT_S + 5
        while left := set(threading.enumerate()) - before:
            assert time.monotonic() < until, left
            time.sleep(0.02)

    def test_a_refusal_is_said_with_its_reason_and_so_is_the_recovery(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        with OtlpReceiver(status=401) as receiver:
            telemetry = start(receiver.endpoint)
            for count in (1, 2, 3):
                telemetry.tracer.start_span("lost").end()
                telemetry._provider.force_flush()
                assert len(receiver.paths) == count
            receiver.status = 200
            telemetry.tracer.start_span("kept").end()
            assert not telemetry.shutdown(FLUSH_S), "three spans were lost"
            assert [span.name for span in receiver.spans()] == ["kept"]
        refused, again = warnings_of(caplog)
        assert "401" in refused
        assert again == f"traces reach {receiver.endpoint} again; 3 spans were dropped"

    def test_a_second_shutdown_does_nothing(self, receiver: OtlpReceiver) -> None:
        telemetry = start(receiver.endpoint)
        assert telemetry.shutdown(FLUSH_S)
        start_s = time.monotonic()
        telemetry.shutdown(FLUSH_S)
        assert time.monotonic() - start_s < 1

    def test_spans_after_shutdown_are_dropped_in_silence(
        self, receiver: OtlpReceiver, caplog: pytest.LogCaptureFixture
    ) -> None:
        telemetry = start(receiver.endpoint)
        telemetry.shutdown(FLUSH_S)
        telemetry.tracer.start_span("late").end()
        assert receiver.spans() == []
        assert warnings_of(caplog) == []


class TestOff:
    def test_without_an_endpoint_there_is_no_telemetry(self) -> None:
        assert start_telemetry(TelemetrySettings(), service_version="1", instance_id="x") is None

    def test_nothing_of_the_sdk_is_imported_while_traces_are_off(self) -> None:
        code = (
            "import sys; from config.settings import TelemetrySettings; "
            "from orchestrator.telemetry import start_telemetry; "
            "assert start_telemetry(TelemetrySettings(), service_version='1', instance_id='x') is None; "
            "print([m for m in sys.modules if m.startswith('opentelemetry')])"
        )
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
        )
        assert done.stdout.strip() == "[]"


class TestGrpc:
    def test_without_its_package_the_error_says_what_to_install(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.grpc.trace_exporter", None)
        with pytest.raises(ConfigError, match=r"pip install 'labverse\[grpc\]'") as caught:
            start("http://127.0.0.1:4317", protocol="grpc")
        assert "\n" not in str(caught.value)


def test_the_address_of_traces_is_below_the_base() -> None:
    assert traces_url("http://h:4318") == "http://h:4318/v1/traces"
    assert traces_url("https://h/otlp/") == "https://h/otlp/v1/traces"


def test_headers_are_read_as_opentelemetry_writes_them() -> None:
    assert header_pairs("") == {}
    assert header_pairs("a=b") == {"a": "b"}
    assert header_pairs("Api-Key=x%3Dy%2Cz%20, b=c=d") == {"api-key": "x=y,z ", "b": "c=d"}
