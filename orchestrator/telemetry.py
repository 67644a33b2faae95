"""Traces: where the spans of this process go, when somebody set a collector.

Whatever happens to the collector, the program doesn't notice: spans wait in a bounded queue, a thread of its
own sends them, and what can't be sent is dropped and said once. Nothing of the SDK is imported while traces
are off: it takes 0.1 s.
"""

import importlib
import os
import socket
import threading
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

from config.errors import ConfigError

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SpanExporter
    from opentelemetry.trace import Tracer

    from config.settings import TelemetrySettings
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
ATTRIBUTE_CHARS_MAX: Final = 2048
ATTRIBUTES_MAX: Final = 64
EVENTS_MAX: Final = 64
LINKS_MAX: Final = 1024
"""A gather links to the span of each of its parts."""

SCOPE: Final = "labverse"
GRPC_EXPORTER: Final = "opentelemetry.exporter.otlp.proto.grpc.trace_exporter"


class Telemetry:
    """Traces that are on. Made by `start_telemetry`."""

    def __init__(self, provider: "TracerProvider", exporter: "CarefulExporter", version: str) -> None:
        self._provider = provider
        self._exporter = exporter
        self.tracer: Tracer = provider.get_tracer(SCOPE, version)

    def shutdown(self, timeout_s: float) -> bool:
        """Send what waits; returns whether every span reached the collector.

        Blocks for no longer than `timeout_s`, and hardly at all when the collector isn't there: call it in a
        thread from async code. Spans that end afterwards are dropped.
        """
        # The SDK's own shutdown has no limit that can be set, and waits for an export that hangs.
        flush = threading.Thread(target=self._provider.shutdown, name="flush traces", daemon=True)
        flush.start()
        until = time.monotonic() + timeout_s
        hopeless_until = min(until, time.monotonic() + HOPELESS_WAIT_S)
        while flush.is_alive() and time.monotonic() < (
            hopeless_until if self._exporter.is_hopeless else until
        ):
            flush.join(FLUSH_POLL_S)
        if flush.is_alive():
            self._exporter.give_up()
            return False
        return self._exporter.dropped == 0


def start_telemetry(
    settings: "TelemetrySettings", *, service_version: str, instance_id: str
) -> Telemetry | None:
    """Start to export spans; None when `settings` name no collector.

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
    return Telemetry(provider, careful, service_version)


def _exporter(settings: "TelemetrySettings") -> "SpanExporter":
    headers = header_pairs(settings.headers.reveal())
    if settings.protocol == "grpc":
        return _grpc_exporter(settings.endpoint, headers)

    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    return OTLPSpanExporter(endpoint=traces_url(settings.endpoint), headers=headers, timeout=EXPORT_TIMEOUT_S)


def _grpc_exporter(endpoint: str, headers: Mapping[str, str]) -> "SpanExporter":
    try:
        module = importlib.import_module(GRPC_EXPORTER)
    except ImportError:
        raise ConfigError(
            "`telemetry.protocol` grpc needs a package that isn't installed: pip install 'labverse[grpc]', "
            "or use http/protobuf (most collectors take it on port 4318)"
        ) from None
    exporter: SpanExporter = module.OTLPSpanExporter(
        endpoint=endpoint,
        insecure=not endpoint.startswith("https:"),
        headers=dict(headers),
        timeout=EXPORT_TIMEOUT_S,
    )
    return exporter


def traces_url(endpoint: str) -> str:
    """Where traces go under the base address of a collector: `/v1/traces` after whatever path it has."""
    return f"{endpoint.rstrip('/')}/v1/traces"


def header_pairs(text: str) -> dict[str, str]:
    """Headers out of `name=value,name=value` with percent-encoded values, as OpenTelemetry writes them."""
    out: dict[str, str] = {}
    for pair in text.split(","):
        name, found, value = pair.partition("=")
        if found:
            out[name.strip().lower()] = unquote(value.strip())
    return out
