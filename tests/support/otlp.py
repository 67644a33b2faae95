"""A collector for tests: a real HTTP server on loopback that decodes what the real exporter sends."""

import gzip
import threading
import time
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.metrics.v1 import metrics_pb2
from opentelemetry.proto.trace.v1 import trace_pb2

BODY_BYTES_MAX: Final = 64 * 1024 * 1024
POLL_S: Final = 0.01
KINDS: Final = ("unspecified", "internal", "server", "client", "producer", "consumer")
STATUSES: Final = ("unset", "ok", "error")


@dataclass(frozen=True, slots=True)
class Link:
    """What a span joins, as hex."""

    trace_id: str
    span_id: str


@dataclass(frozen=True, slots=True)
class SpanEvent:
    """Something that happened in a span, such as an exception."""

    name: str
    attributes: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ReceivedSpan:
    """One span as it came over the wire. Ids are hex; `parent_id` is empty for a root.

    Attributes:
        kind: internal, server, client, producer or consumer.
        status: unset, ok or error.
        start_s, end_s: seconds since 1970.
    """

    name: str
    trace_id: str
    span_id: str
    parent_id: str
    kind: str
    attributes: Mapping[str, Any]
    resource: Mapping[str, Any]
    status: str
    status_text: str
    start_s: float
    end_s: float
    links: tuple[Link, ...] = ()
    events: tuple[SpanEvent, ...] = ()


@dataclass(frozen=True, slots=True)
class ReceivedPoint:
    """One series of a metric as it stood in one export.

    Attributes:
        kind: sum, histogram or gauge.
        value: of a sum or gauge; of a histogram the sum of its values.
        count, bounds, buckets: of a histogram; there is one bucket more than bounds.
    """

    name: str
    unit: str
    kind: str
    attributes: Mapping[str, Any]
    resource: Mapping[str, Any]
    value: float
    count: int = 0
    bounds: tuple[float, ...] = ()
    buckets: tuple[int, ...] = ()


@dataclass(slots=True)
class OtlpReceiver:
    """Receives spans and metrics at `endpoint` while it is entered.

    Attributes:
        status: answered to every export; 200 keeps what came, anything else drops it.
        metrics_status: the same for metrics alone, when it is not 0.
        delay_s: waits this long before it answers.
        port: 0 takes any free one.
    """

    status: int = 200
    metrics_status: int = 0
    delay_s: float = 0.0
    port: int = 0
    paths: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    _spans: list[ReceivedSpan] = field(default_factory=list)
    _points: list[ReceivedPoint] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _closing: threading.Event = field(default_factory=threading.Event)
    _server: ThreadingHTTPServer | None = None

    def __enter__(self) -> "OtlpReceiver":
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                receiver._on_post(self)

            def log_message(self, format: str, *args: Any) -> None:
                pass  # stderr belongs to the tests

        server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        server.daemon_threads = True
        self.port = server.server_address[1]
        self._server = server
        threading.Thread(
            target=server.serve_forever, kwargs={"poll_interval": POLL_S}, name="otlp receiver", daemon=True
        ).start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._closing.set()
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()

    @property
    def endpoint(self) -> str:
        """For OTEL_EXPORTER_OTLP_ENDPOINT; the exporters add `/v1/traces` and `/v1/metrics`."""
        return f"http://127.0.0.1:{self.port}"

    def spans(self) -> list[ReceivedSpan]:
        """All spans so far, in the order in which they came."""
        with self._lock:
            return list(self._spans)

    def points(self, name: str = "") -> list[ReceivedPoint]:
        """All points so far (those of metric `name`): each export brings every series anew, as it stands then."""
        with self._lock:
            return [point for point in self._points if name in ("", point.name)]

    def wait_for(
        self, wanted: int | Callable[[list[ReceivedSpan]], object], timeout_s: float = 10.0
    ) -> list[ReceivedSpan]:
        """The spans, as soon as there are `wanted` of them or `wanted(spans)` holds.

        Raises:
            AssertionError: not within `timeout_s`; names the spans that did come.
        """
        until = time.monotonic() + timeout_s
        while True:
            spans = self.spans()
            if len(spans) >= wanted if isinstance(wanted, int) else wanted(spans):
                return spans
            names = sorted(span.name for span in spans)
            assert time.monotonic() < until, (
                f"{wanted} not within {timeout_s:g} s; {len(spans)} came: {names}"
            )
            time.sleep(POLL_S)

    def _on_post(self, handler: BaseHTTPRequestHandler) -> None:
        size = int(handler.headers.get("Content-Length", "0"))
        if size > BODY_BYTES_MAX:
            handler.send_error(413)
            return
        body = handler.rfile.read(size)
        self._closing.wait(self.delay_s)
        answer = b""
        status = self.status
        is_metrics = handler.path.endswith("/v1/metrics")
        if is_metrics:
            status = self.metrics_status or status
        elif not handler.path.endswith("/v1/traces"):
            status = 404
        with self._lock:
            self.paths.append(handler.path)
            self.headers.append({name.lower(): value for name, value in handler.headers.items()})
            if status == 200:
                body = _unpacked(body, handler.headers.get("Content-Encoding", ""))
                answer = self._keep(body, is_metrics=is_metrics)
        try:
            handler.send_response(status)
            handler.send_header("Content-Type", "application/x-protobuf")
            handler.send_header("Content-Length", str(len(answer)))
            handler.end_headers()
            handler.wfile.write(answer)
        except ConnectionError:
            pass  # the exporter gave up waiting, which some tests want

    def _keep(self, body: bytes, *, is_metrics: bool) -> bytes:
        if is_metrics:
            self._points.extend(_decoded_points(body))
            return ExportMetricsServiceResponse().SerializeToString()
        self._spans.extend(_decoded(body))
        return ExportTraceServiceResponse().SerializeToString()


def _unpacked(body: bytes, encoding: str) -> bytes:
    match encoding:
        case "gzip":
            return gzip.decompress(body)
        case "deflate":
            return zlib.decompress(body)
    return body


def _decoded(body: bytes) -> list[ReceivedSpan]:
    request = ExportTraceServiceRequest.FromString(body)
    return [
        _span(span, _attributes(of_resource.resource.attributes))
        for of_resource in request.resource_spans
        for of_scope in of_resource.scope_spans
        for span in of_scope.spans
    ]


def _decoded_points(body: bytes) -> list[ReceivedPoint]:
    request = ExportMetricsServiceRequest.FromString(body)
    return [
        point
        for of_resource in request.resource_metrics
        for of_scope in of_resource.scope_metrics
        for metric in of_scope.metrics
        for point in _points(metric, _attributes(of_resource.resource.attributes))
    ]


def _points(metric: metrics_pb2.Metric, resource: Mapping[str, Any]) -> list[ReceivedPoint]:
    kind = metric.WhichOneof("data") or ""
    out = []
    for point in getattr(metric, kind).data_points:
        base = (metric.name, metric.unit, kind, _attributes(point.attributes), resource)
        if kind == "histogram":
            bounds, buckets = tuple(point.explicit_bounds), tuple(point.bucket_counts)
            out.append(ReceivedPoint(*base, point.sum, point.count, bounds, buckets))
        else:
            out.append(ReceivedPoint(*base, point.as_double or point.as_int))
    return out


def _span(span: trace_pb2.Span, resource: Mapping[str, Any]) -> ReceivedSpan:
    return ReceivedSpan(
        name=span.name,
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        kind=KINDS[span.kind],
        attributes=_attributes(span.attributes),
        resource=resource,
        status=STATUSES[span.status.code],
        status_text=span.status.message,
        start_s=span.start_time_unix_nano / 1e9,
        end_s=span.end_time_unix_nano / 1e9,
        links=tuple(Link(link.trace_id.hex(), link.span_id.hex()) for link in span.links),
        events=tuple(SpanEvent(event.name, _attributes(event.attributes)) for event in span.events),
    )


def _attributes(pairs: Any) -> dict[str, Any]:
    return {pair.key: _value(pair.value) for pair in pairs}


def _value(value: AnyValue) -> Any:
    match value.WhichOneof("value"):
        case "array_value":
            return [_value(item) for item in value.array_value.values]
        case "kvlist_value":
            pairs: list[KeyValue] = list(value.kvlist_value.values)
            return _attributes(pairs)
        case None:
            return None
        case which:
            return getattr(value, which)
