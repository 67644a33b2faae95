"""Traces and metrics: where the spans and numbers of this process go, when somebody set a collector.

Whatever happens to the collector, the program doesn't notice: spans wait in a bounded queue, a thread of its
own sends them, and what can't be sent is dropped and said once. Metrics are sums in memory that another thread
sends every few seconds; they begin when somebody first asks for the meter. Nothing of the SDK is imported while
telemetry is off: it takes 0.1 s.
"""

import importlib
import os
import socket
import threading
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

from config.errors import ConfigError

if TYPE_CHECKING:
    from opentelemetry.metrics import Meter
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import MetricExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SpanExporter
    from opentelemetry.trace import Tracer

    from config.settings import TelemetrySettings
    from orchestrator.metric_export import CarefulMetricExporter
    from orchestrator.span_export import CarefulExporter

QUEUE_SPANS_MAX: Final = 8192
"""More spans than this that wait to be sent: the oldest are dropped."""
BATCH_SPANS_MAX: Final = 512
BATCH_DELAY_S: Final = 1.0
EXPORT_TIMEOUT_S: Final = 3.0
"""For one batch, attempts included: a collector that hangs must not hold the rest."""
HOPELESS_WAIT_S: Final = 0.3
"""A last chance at the end of the program for a collector that isn't there."""
FLUSH_POLL_S: Final = 0.02
METRICS_EVERY_S: Final = 10.0
SERIES_MAX: Final = 2_000
"""Combinations of attributes of one metric; what comes on top is added up as one."""
ATTRIBUTE_CHARS_MAX: Final = 2048
ATTRIBUTES_MAX: Final = 64
EVENTS_MAX: Final = 64
LINKS_MAX: Final = 1024
"""A gather links to the span of each of its parts."""

SCOPE: Final = "labverse"
GRPC_EXPORTER: Final = "opentelemetry.exporter.otlp.proto.grpc.trace_exporter"
GRPC_METRIC_EXPORTER: Final = "opentelemetry.exporter.otlp.proto.grpc.metric_exporter"


class Telemetry:
    """Telemetry that is on. Made by `start_telemetry`."""

    def __init__(
        self,
        provider: "TracerProvider",
        exporter: "CarefulExporter",
        version: str,
        settings: "TelemetrySettings",
        resource: "Resource",
    ) -> None:
        self._provider = provider
        self._exporter = exporter
        self._version = version
        self._settings = settings
        self._resource = resource
        self._metrics: tuple[MeterProvider, CarefulMetricExporter] | None = None
        self._lock = threading.Lock()
        self._is_shut = False
        self.tracer: Tracer = provider.get_tracer(SCOPE, version)

    @property
    def meter(self) -> "Meter":
        """For metrics; sending them begins with the first use of this. Of no effect after `shutdown`."""
        from opentelemetry.metrics import NoOpMeter

        with self._lock:
            if self._is_shut:
                return NoOpMeter(SCOPE, self._version)
            if self._metrics is None:
                self._metrics = _metrics(self._settings, self._resource)
            return self._metrics[0].get_meter(SCOPE, self._version)

    def shutdown(self, timeout_s: float) -> bool:
        """Send what waits; returns whether every span reached the collector.

        Blocks for no longer than `timeout_s`, and hardly at all when the collector isn't there: call it in a
        thread from async code. Spans that end afterwards are dropped, and so are metrics.
        """
        with self._lock:
            self._is_shut = True
        flushes = [_Flush("flush traces", self._provider.shutdown, self._exporter)]
        if self._metrics is not None:
            flushes.append(_Flush("flush metrics", self._metrics[0].shutdown, self._metrics[1]))
        until = time.monotonic() + timeout_s
        hopeless_until = min(until, time.monotonic() + HOPELESS_WAIT_S)
        ended = [flush.wait(until, hopeless_until) for flush in flushes]
        return ended[0] and self._exporter.dropped == 0


class _Flush:
    """A last export in a thread of its own: the SDK's own shutdown has no limit that can be set, and waits for
    an export that hangs."""

    def __init__(
        self, name: str, shutdown: Callable[[], None], exporter: "CarefulExporter | CarefulMetricExporter"
    ) -> None:
        self._exporter = exporter
        self._thread = threading.Thread(target=shutdown, name=name, daemon=True)
        self._thread.start()

    def wait(self, until: float, hopeless_until: float) -> bool:
        """Whether it came to its end by then (by the monotonic clock); else it is broken off."""
        while self._thread.is_alive() and time.monotonic() < (
            hopeless_until if self._exporter.is_hopeless else until
        ):
            self._thread.join(FLUSH_POLL_S)
        if self._thread.is_alive():
            self._exporter.give_up()
            return False
        return True


def start_telemetry(
    settings: "TelemetrySettings", *, service_version: str, instance_id: str
) -> Telemetry | None:
    """Start to export spans, and metrics as soon as there are any; None when `settings` name no collector.

    Args:
        instance_id: tells processes of the same service apart.

    Raises:
        ConfigError: the protocol needs a package that isn't installed.
    """
    if not settings.endpoint:
        return None
    exporter = _exporter(settings)

    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import SpanLimits, TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    from opentelemetry.sdk.trace.sampling import ParentBasedTraceIdRatio

    from orchestrator.span_export import CarefulExporter

    # The command line and the environment stay out of the resource: either may hold a secret.
    resource = Resource.create(
        {
            "service.name": settings.service_name,
            "service.version": service_version,
            "service.instance.id": instance_id,
            "host.name": socket.gethostname(),
            "process.pid": os.getpid(),
        }
    )
    provider = TracerProvider(
        sampler=ParentBasedTraceIdRatio(settings.sample_ratio),
        resource=resource,
        span_limits=SpanLimits(
            max_span_attributes=ATTRIBUTES_MAX,
            max_span_attribute_length=ATTRIBUTE_CHARS_MAX,
            max_events=EVENTS_MAX,
            max_links=LINKS_MAX,
        ),
        shutdown_on_exit=False,  # its exit handler may wait for 30 s; `Telemetry.shutdown` doesn't
    )
    careful = CarefulExporter(exporter, settings.endpoint)
    provider.add_span_processor(
        BatchSpanProcessor(
            careful,
            max_queue_size=QUEUE_SPANS_MAX,
            max_export_batch_size=BATCH_SPANS_MAX,
            schedule_delay_millis=BATCH_DELAY_S * 1000,
        )
    )
    return Telemetry(provider, careful, service_version, settings, resource)


def _metrics(
    settings: "TelemetrySettings", resource: "Resource"
) -> "tuple[MeterProvider, CarefulMetricExporter]":
    from opentelemetry.sdk.metrics import Counter, Histogram, MeterProvider
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader

    from orchestrator.metric_export import CarefulMetricExporter

    careful = CarefulMetricExporter(_metric_exporter(settings), settings.endpoint)
    reader = PeriodicExportingMetricReader(
        careful,
        export_interval_millis=METRICS_EVERY_S * 1000,
        export_timeout_millis=EXPORT_TIMEOUT_S * 1000,
        cardinality_limits={Counter: SERIES_MAX, Histogram: SERIES_MAX},
    )
    return MeterProvider([reader], resource=resource, shutdown_on_exit=False), careful


def _exporter(settings: "TelemetrySettings") -> "SpanExporter":
    headers = header_pairs(settings.headers.reveal())
    if settings.protocol == "grpc":
        return _grpc_exporter(settings.endpoint, headers)

    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    return OTLPSpanExporter(endpoint=traces_url(settings.endpoint), headers=headers, timeout=EXPORT_TIMEOUT_S)


def _metric_exporter(settings: "TelemetrySettings") -> "MetricExporter":
    headers = header_pairs(settings.headers.reveal())
    if settings.protocol == "grpc":
        exporter: MetricExporter = _grpc_module(GRPC_METRIC_EXPORTER).OTLPMetricExporter(
            **_grpc_arguments(settings.endpoint, headers)
        )
        return exporter

    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter

    return OTLPMetricExporter(
        endpoint=metrics_url(settings.endpoint), headers=headers, timeout=EXPORT_TIMEOUT_S
    )


def _grpc_exporter(endpoint: str, headers: Mapping[str, str]) -> "SpanExporter":
    exporter: SpanExporter = _grpc_module(GRPC_EXPORTER).OTLPSpanExporter(
        **_grpc_arguments(endpoint, headers)
    )
    return exporter


def _grpc_module(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        raise ConfigError(
            "`telemetry.protocol` grpc needs a package that isn't installed: pip install 'labverse[grpc]', "
            "or use http/protobuf (most collectors take it on port 4318)"
        ) from None


def _grpc_arguments(endpoint: str, headers: Mapping[str, str]) -> dict[str, Any]:
    return {
        "endpoint": endpoint,
        "insecure": not endpoint.startswith("https:"),
        "headers": dict(headers),
        "timeout": EXPORT_TIMEOUT_S,
    }


def traces_url(endpoint: str) -> str:
    """Where traces go under the base address of a collector: `/v1/traces` after whatever path it has."""
    return f"{endpoint.rstrip('/')}/v1/traces"


def metrics_url(endpoint: str) -> str:
    """Where metrics go, as `traces_url` does."""
    return f"{endpoint.rstrip('/')}/v1/metrics"


def header_pairs(text: str) -> dict[str, str]:
    """Headers out of `name=value,name=value` with percent-encoded values, as OpenTelemetry writes them."""
    out: dict[str, str] = {}
    for pair in text.split(","):
        name, found, value = pair.partition("=")
        if found:
            out[name.strip().lower()] = unquote(value.strip())
    return out
