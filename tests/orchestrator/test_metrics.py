"""Metrics arrive at a collector as they were counted, and no collector, however bad, is felt by the program."""

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
from otlp import OtlpReceiver

from config.errors import ConfigError
from config.secret import Secret
from config.settings import TelemetrySettings
from orchestrator import telemetry as module
from orchestrator.telemetry import EXPORT_TIMEOUT_S, Telemetry, metrics_url, start_telemetry

FLUSH_S = 10.0
ROOT = Path(__file__).parents[2]


def start(endpoint: str, **changes: object) -> Telemetry:
    kind = type(TelemetrySettings().endpoint)
    settings = msgspec.structs.replace(TelemetrySettings(endpoint=kind(endpoint)), **changes)
    telemetry = start_telemetry(settings, service_version="1.2.3", instance_id="test-1")
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
    return [
        record.getMessage()
        for record in caplog.records
        if record.levelno >= logging.WARNING and record.name.startswith("labverse")
    ]


class TestArrival:
    def test_sums_and_histograms_arrive_at_shutdown_with_their_buckets(self, receiver: OtlpReceiver) -> None:
        telemetry = start(receiver.endpoint, service_name="lab")
        counter = telemetry.meter.create_counter("c", "{USD}")
        histogram = telemetry.meter.create_histogram("h", "s", explicit_bucket_boundaries_advisory=[1.0, 2.0])
        for value in (0.5, 1.5, 9.0):
            counter.add(value, {"model": "höher"})
            histogram.record(value)
        assert telemetry.shutdown(FLUSH_S)
        [got] = receiver.points("c")
        assert (got.kind, got.unit, got.value, got.attributes) == ("sum", "{USD}", 11.0, {"model": "höher"})
        assert got.resource["service.name"] == "lab"
        assert got.resource["service.instance.id"] == "test-1"
        [got] = receiver.points("h")
        assert (got.kind, got.count, got.value) == ("histogram", 3, 11.0)
        assert (got.bounds, got.buckets) == ((1.0, 2.0), (1, 1, 1))

    def test_metrics_arrive_without_waiting_for_shutdown(
        self, receiver: OtlpReceiver, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(module, "METRICS_EVERY_S", 0.05)
        telemetry = start(receiver.endpoint)
        telemetry.meter.create_counter("c").add(1)
        until = time.monotonic() + 10
        while not receiver.points("c"):
            assert time.monotonic() < until
            time.sleep(0.01)
        assert telemetry.shutdown(FLUSH_S)

    def test_the_meter_is_the_same_whoever_asks_for_it(self, receiver: OtlpReceiver) -> None:
        telemetry = start(receiver.endpoint)
        for _ in range(3):
            telemetry.meter.create_counter("c").add(1)
        telemetry.shutdown(FLUSH_S)
        assert [point.value for point in receiver.points("c")] == [3]

    @pytest.mark.parametrize("path", ["", "/", "/tenant/7/"])
    def test_the_path_of_metrics_is_added_to_the_base_address(
        self, receiver: OtlpReceiver, path: str
    ) -> None:
        telemetry = start(receiver.endpoint + path)
        telemetry.meter.create_counter("c").add(1)
        assert telemetry.shutdown(FLUSH_S)
        assert receiver.paths == [f"{path.rstrip('/')}/v1/metrics"]

    def test_headers_go_with_the_export(self, receiver: OtlpReceiver) -> None:
        telemetry = start(receiver.endpoint, headers=Secret("Authorization=Basic%20aHVudGVyMg=="))
        telemetry.meter.create_counter("c").add(1)
        assert telemetry.shutdown(FLUSH_S)
        assert receiver.headers[0]["authorization"] == "Basic aHVudGVyMg=="

    def test_who_never_asks_for_the_meter_sends_no_metrics_and_has_no_thread_for_them(
        self, receiver: OtlpReceiver
    ) -> None:
        before = threading.active_count()
        telemetry = start(receiver.endpoint)
        assert threading.active_count() == before + 1, "the one that sends spans"
        telemetry.tracer.start_span("x").end()
        assert telemetry.shutdown(FLUSH_S)
        assert receiver.paths == ["/v1/traces"]

    def test_attributes_without_end_do_not_take_memory_without_end(
        self, receiver: OtlpReceiver, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(module, "SERIES_MAX", 50)
        telemetry = start(receiver.endpoint)
        counter = telemetry.meter.create_counter("c")
        for number in range(500):
            counter.add(1, {"model": f"m{number}"})
        telemetry.shutdown(FLUSH_S)
        points = receiver.points("c")
        assert len(points) == 51, "the limit, and one for what came on top"
        assert sum(point.value for point in points) == 500


class TestBadCollectors:
    def test_a_collector_that_takes_no_metrics_is_said_once_and_keeps_its_traces(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        with OtlpReceiver(metrics_status=404) as receiver:
            telemetry = start(receiver.endpoint)
            counter = telemetry.meter.create_counter("c")
            for _ in range(3):
                counter.add(1)
                assert telemetry._metrics is not None
                telemetry._metrics[0].force_flush()
            telemetry.tracer.start_span("kept").end()
            assert telemetry.shutdown(FLUSH_S), "every span arrived"
            assert [span.name for span in receiver.spans()] == ["kept"]
        [line] = warnings_of(caplog)
        assert line.startswith(f"metrics don't reach {receiver.endpoint}: ")
        assert "404" in line

    def test_nothing_is_lost_when_a_collector_comes_back(self, caplog: pytest.LogCaptureFixture) -> None:
        with OtlpReceiver(metrics_status=401) as receiver:
            telemetry = start(receiver.endpoint)
            telemetry.meter.create_counter("c").add(5)
            assert telemetry._metrics is not None
            telemetry._metrics[0].force_flush()
            receiver.metrics_status = 200
            telemetry.meter.create_counter("c").add(2)
            telemetry.shutdown(FLUSH_S)
            assert [point.value for point in receiver.points("c")] == [7]
        refused, again = warnings_of(caplog)
        assert "401" in refused
        assert again == f"metrics reach {receiver.endpoint} again"

    def test_a_collector_that_is_not_there_is_said_once_for_each_signal_and_costs_nothing(
        self, nobody: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        telemetry = start(nobody)
        telemetry.meter.create_counter("c").add(1)
        telemetry.tracer.start_span("x").end()
        start_s = time.monotonic()
        telemetry.shutdown(5.0)
        assert time.monotonic() - start_s < 2, "there was nobody to wait for"
        metrics, traces = sorted(warnings_of(caplog))
        assert metrics.startswith(f"metrics don't reach {nobody}: ConnectionRefusedError")
        assert traces.startswith(f"traces don't reach {nobody}")

    def test_shutdown_keeps_one_limit_for_both_when_the_collector_hangs(self, black_hole: str) -> None:
        telemetry = start(black_hole)
        telemetry.meter.create_counter("c").add(1)
        telemetry.tracer.start_span("x").end()
        start_s = time.monotonic()
        assert not telemetry.shutdown(0.4)
        assert time.monotonic() - start_s < 1.5

    def test_no_thread_is_left_after_a_collector_that_hangs(self, black_hole: str) -> None:
        before = set(threading.enumerate())
        telemetry = start(black_hole)
        telemetry.meter.create_counter("c").add(1)
        telemetry.shutdown(0.1)
        until = time.monotonic() + EXPORT_TIMEOUT_S + 5
        while left := set(threading.enumerate()) - before:
            assert time.monotonic() < until, left
            time.sleep(0.02)

    def test_counting_is_not_held_up_by_a_collector_that_hangs(
        self, black_hole: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(module, "METRICS_EVERY_S", 0.05)
        telemetry = start(black_hole)
        counter = telemetry.meter.create_counter("c")
        counter.add(1)
        time.sleep(0.2)  # the export hangs by now
        start_s = time.monotonic()
        for _ in range(5_000):
            counter.add(1)
        assert time.monotonic() - start_s < 1
        telemetry.shutdown(0.1)

    def test_a_meter_after_shutdown_takes_values_and_drops_them(
        self, receiver: OtlpReceiver, caplog: pytest.LogCaptureFixture
    ) -> None:
        telemetry = start(receiver.endpoint)
        telemetry.shutdown(FLUSH_S)
        telemetry.meter.create_counter("late").add(1)
        telemetry.shutdown(FLUSH_S)
        assert receiver.points() == []
        assert warnings_of(caplog) == []


def test_a_program_that_ends_without_shutdown_does_not_hang(black_hole: str) -> None:
    code = (
        "import sys; from config.settings import TelemetrySettings; "
        "from orchestrator.telemetry import start_telemetry; "
        "kind = type(TelemetrySettings().endpoint); settings = TelemetrySettings(endpoint=kind(sys.argv[1])); "
        "telemetry = start_telemetry(settings, service_version='1', instance_id='x'); "
        "telemetry.meter.create_counter('c').add(1)"
    )
    start_s = time.monotonic()
    done = subprocess.run([sys.executable, "-c", code, black_hole], cwd=ROOT, capture_output=True, text=True)
    assert time.monotonic() - start_s < 10
    assert (done.returncode, done.stderr) == (0, "")


def test_without_its_package_grpc_says_what_to_install(
    receiver: OtlpReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module.GRPC_METRIC_EXPORTER, None)
    with pytest.raises(ConfigError, match=r"pip install 'labverse\[grpc\]'"):
        module._metric_exporter(
            TelemetrySettings(
                endpoint=type(TelemetrySettings().endpoint)("http://127.0.0.1:1"), protocol="grpc"
            )
        )


def test_the_address_of_metrics_is_below_the_base() -> None:
    assert metrics_url("http://h:4318") == "http://h:4318/v1/metrics"
    assert metrics_url("https://h/otlp/") == "https://h/otlp/v1/metrics"
