"""Spans around what the bus does, when somebody asked for traces; otherwise the trace context just passes by.

Names follow OpenTelemetry's messaging conventions: `process lv.review.assigned.v1`, `send …`, with the
subject's fixed part as destination template, so that they stay few.
"""

from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:  # opentelemetry takes 40 ms to import; it is loaded only where traces are on
    from opentelemetry.context import Context
    from opentelemetry.metrics import Meter
    from opentelemetry.trace import Span, Tracer

    from bus.envelope import Envelope

SYSTEM: Final = "nats"


class Tracing:
    """Makes spans with `tracer`, or none without one.

    Args:
        meter: gives the meter for agents' own metrics, made when first asked for.
    """

    def __init__(self, tracer: "Tracer | None" = None, meter: "Callable[[], Meter] | None" = None) -> None:
        self._tracer = tracer
        self._meter = meter
        if tracer is not None:
            from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

            self._propagator = TraceContextTextMapPropagator()

    @property
    def is_on(self) -> bool:
        return self._tracer is not None

    @property
    def tracer(self) -> "Tracer | None":
        return self._tracer

    @property
    def meter(self) -> "Meter | None":
        return self._meter() if self._meter is not None else None

    def current(self, fallback: str = "") -> str:
        """`traceparent` of the span we are in; `fallback` when there is none."""
        if self._tracer is None:
            return fallback
        carrier: dict[str, str] = {}
        self._propagator.inject(carrier)
        return carrier.get("traceparent", fallback)

    @contextmanager
    def span(
        self, name: str, attributes: Mapping[str, Any] | None = None, *, parent: str = ""
    ) -> Generator["Span | None"]:
        """A span of our own work, under `parent` (a traceparent) or under the one we are in."""
        if self._tracer is None:
            yield None
            return
        with self._tracer.start_as_current_span(
            name, context=self._context(parent), attributes=dict(attributes or {})
        ) as span:
            yield span

    @contextmanager
    def process(self, envelope: "Envelope", durable: str, agent: str) -> Generator[None]:
        """The span of one handler's work on one event."""
        if self._tracer is None:
            yield
            return
        from opentelemetry.trace import SpanKind

        template = f"lv.{envelope.tag}"
        with self._tracer.start_as_current_span(
            f"process {template}",
            context=self._context(envelope.traceparent),
            kind=SpanKind.CONSUMER,
            attributes={
                "messaging.system": SYSTEM,
                "messaging.operation.type": "process",
                "messaging.operation.name": "process",
                "messaging.destination.template": template,
                "messaging.consumer.group.name": durable,
                "messaging.message.id": envelope.id,
                "messaging.message.conversation_id": envelope.task_id,
                "labverse.agent": agent,
                "labverse.attempt": envelope.attempt,
            },
        ):
            yield

    @contextmanager
    def send(self, tag: str, task_id: str, count: int = 1, *, parent: str = "") -> Generator[str]:
        """The span of publishing `count` events; yields the traceparent that they carry."""
        if self._tracer is None:
            yield parent
            return
        from opentelemetry.trace import SpanKind

        template = f"lv.{tag}"
        with self._tracer.start_as_current_span(
            f"send {template}",
            context=self._context(parent) if not self._is_in_span() else None,
            kind=SpanKind.PRODUCER,
            attributes={
                "messaging.system": SYSTEM,
                "messaging.operation.type": "send",
                "messaging.operation.name": "publish",
                "messaging.destination.template": template,
                "messaging.batch.message_count": count,
                "messaging.message.conversation_id": task_id,
            },
        ):
            yield self.current(parent)

    def link(self, traceparents: Iterable[str]) -> None:
        """Note on the span we are in that it joins these others (a gather has many causes)."""
        if self._tracer is None:
            return
        from opentelemetry.trace import get_current_span

        span = get_current_span()
        for traceparent in traceparents:
            if traceparent:
                context = get_current_span(self._context(traceparent)).get_span_context()
                span.add_link(context)

    def failed(self, error: str) -> None:
        """Mark the span we are in as failed, with a redacted one-line reason."""
        if self._tracer is None:
            return
        from opentelemetry.trace import StatusCode, get_current_span

        get_current_span().set_status(StatusCode.ERROR, error)

    def _is_in_span(self) -> bool:
        from opentelemetry.trace import get_current_span

        return get_current_span().get_span_context().is_valid

    def _context(self, traceparent: str) -> "Context | None":
        return self._propagator.extract({"traceparent": traceparent}) if traceparent else None
