"""Between the queue of spans and OpenTelemetry's exporter: takes secrets out, and keeps failures quiet.

The exporter by itself logs several lines for each batch that it can't send, forever. Here the first failure
is one line with its reason, and so is the recovery.
"""

import logging
from collections.abc import Mapping, Sequence
from typing import Final

from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.trace import Status
from opentelemetry.util.types import Attributes, AttributeValue

from bus.redact import redact

log = logging.getLogger("labverse.telemetry")

REASON_CHARS_MAX: Final = 200

_THEIR_LOG: Final = logging.getLogger("opentelemetry")


class CarefulExporter(SpanExporter):
    """Exports with `exporter`, to a collector that is called `where` in messages.

    Attributes:
        dropped: spans that couldn't be sent so far.
    """

    def __init__(self, exporter: SpanExporter, where: str) -> None:
        self.dropped = 0
        self._exporter = exporter
        self._where = where
        self._is_failing = False
        self._is_shut = False
        self._reason = _LastReason()
        _THEIR_LOG.addHandler(self._reason)
        _THEIR_LOG.propagate = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        if self._is_shut:
            self.dropped += len(spans)
            return SpanExportResult.FAILURE
        result = self._exporter.export([_without_secrets(span) for span in spans])
        if result is SpanExportResult.SUCCESS:
            if self._is_failing:
                log.warning("traces reach %s again; %d spans were dropped", self._where, self.dropped)
            self._is_failing = False
            return result
        self.dropped += len(spans)
        if not self._is_failing:
            self._is_failing = True
            log.warning(
                "traces don't reach %s and are dropped until they do: %s", self._where, self._reason.text
            )
        return result

    def shutdown(self) -> None:
        """Give up what is being sent. May be called more than once, and from another thread."""
        if not self._is_shut:
            self._is_shut = True
            self._exporter.shutdown()
            _THEIR_LOG.removeHandler(self._reason)

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._exporter.force_flush(timeout_millis)


class _LastReason(logging.Handler):
    """Keeps the last thing that an exporter complained of, so that our one line can name it."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.text = "no reason given"

    def emit(self, record: logging.LogRecord) -> None:
        # Other parts of the SDK quote header values when they dislike them: those are not kept.
        if record.name.startswith("opentelemetry.exporter."):
            self.text = redact(" ".join(record.getMessage().split()))[:REASON_CHARS_MAX]


def _without_secrets(span: ReadableSpan) -> ReadableSpan:
    """`span` itself when it holds nothing to hide, which is nearly always; else a copy."""
    attributes = _redacted(span.attributes)
    events = tuple(
        event if (clean := _redacted(event.attributes)) is event.attributes
        else Event(event.name, clean, event.timestamp)
        for event in span.events
    )
    description = span.status.description
    status = span.status
    if description and (clean_text := redact(description)) != description:
        status = Status(status.status_code, clean_text)
    if attributes is span.attributes and events == tuple(span.events) and status is span.status:
        return span
    return ReadableSpan(
        name=span.name,
        context=span.context,
        parent=span.parent,
        resource=span.resource,
        attributes=attributes,
        events=events,
        links=span.links,
        kind=span.kind,
        status=status,
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=span.instrumentation_scope,
    )


def _redacted(attributes: Attributes) -> Attributes:
    """`attributes` without credentials; the same object when there are none."""
    changed: dict[str, AttributeValue] = {}
    for name, value in (attributes or {}).items():
        if isinstance(value, str) and (clean := redact(value)) != value:
            changed[name] = clean
    if not changed:
        return attributes
    merged: Mapping[str, AttributeValue] = {**(attributes or {}), **changed}
    return merged
