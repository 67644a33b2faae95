"""Between the queue of spans and OpenTelemetry's exporter: takes secrets out, and keeps failures quiet.

The exporter by itself logs several lines for each batch that it can't send, forever. Here the first failure
is one line with its reason, and so is the recovery.
"""

import logging
import threading
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Final

from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.trace import Status
from opentelemetry.util.types import Attributes, AttributeValue

from bus.redact import error_text, redact

log = logging.getLogger("labverse.telemetry")

REASON_CHARS_MAX: Final = 200
CAUSES_MAX: Final = 8
TEXTS_KEPT_MAX: Final = 2048

_redact: Final = lru_cache(maxsize=TEXTS_KEPT_MAX)(redact)
"""Most texts of spans come again and again, and looking through one costs 5 µs."""
_THEIR_LOG: Final = logging.getLogger("opentelemetry")
_NOWHERE: Final = logging.NullHandler()


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
        self._lock = threading.Lock()
        self._complaint = Complaint()

    @property
    def is_hopeless(self) -> bool:
        """Whether it is no use to wait for what is being sent: the last batch failed, or nobody listens."""
        return self._is_failing or self._complaint.is_unreachable

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        if self._is_shut:
            self.dropped += len(spans)
            return SpanExportResult.FAILURE
        self._complaint.clear()
        result = self._exporter.export([_without_secrets(span) for span in spans])
        if result is SpanExportResult.SUCCESS:
            if self._is_failing:
                log.warning("traces reach %s again; %d spans were dropped", self._where, self.dropped)
            self._is_failing = False
            return result
        self.dropped += len(spans)
        self._say_once()
        return result

    def _say_once(self) -> None:
        with self._lock:  # from the sending thread, and from the one that gives up
            if self._is_failing:
                return
            self._is_failing = True
        reason = self._complaint.text or "no answer"
        log.warning("traces don't reach %s and are dropped until they do: %s", self._where, reason)

    def give_up(self) -> None:
        """Drop what is still being sent, and say so."""
        self._say_once()
        self.shutdown()

    def shutdown(self) -> None:
        """Stop. May be called more than once, and from another thread."""
        if not self._is_shut:
            self._is_shut = True
            self._exporter.shutdown()
            self._complaint.close()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._exporter.force_flush(timeout_millis)


class Complaint(logging.Handler):
    """Keeps what an exporter complains of while it sends a batch, so that our one line can name it.

    From the first one made on, the SDK's own lines are kept from the user.

    Attributes:
        is_unreachable: no connection was to be had; the exporter tries on until its time is over.
    """

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.text = ""
        self.is_unreachable = False
        self._thread = 0
        _THEIR_LOG.addHandler(self)
        # For good, not only until shutdown: a thread that is cut off there complains a little later.
        _THEIR_LOG.addHandler(_NOWHERE)
        _THEIR_LOG.propagate = False

    def close(self) -> None:
        """Listen no more."""
        _THEIR_LOG.removeHandler(self)
        super().close()

    def clear(self) -> None:
        """A batch is about to be sent, in this thread."""
        self._thread = threading.get_ident()
        self.text = ""
        self.is_unreachable = False

    def emit(self, record: logging.LogRecord) -> None:
        # Other parts of the SDK quote header values when they dislike them: those are not kept.
        if not record.name.startswith("opentelemetry.exporter."):
            return
        # Spans and metrics are sent by exporters that share loggers, each in a thread of its own.
        if record.thread != self._thread:
            return
        errors = [value for value in record.args or () if isinstance(value, BaseException)]
        if errors:
            self.is_unreachable = True
            self.text = error_text(_root(errors[0]))
        elif not self.is_unreachable:
            self.text = redact(" ".join(record.getMessage().split()))[:REASON_CHARS_MAX].rstrip()


def _root(error: BaseException) -> BaseException:
    """What began it: `ConnectionRefusedError` says more than the three wrapped around it."""
    for _ in range(CAUSES_MAX):
        if (cause := error.__cause__ or error.__context__) is None:
            break
        error = cause
    return error


def _without_secrets(span: ReadableSpan) -> ReadableSpan:
    """`span` itself when it holds nothing to hide, which is nearly always; else a copy."""
    attributes = _redacted(span.attributes)
    events = tuple(
        event
        if (clean := _redacted(event.attributes)) is event.attributes
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
        if isinstance(value, str) and (clean := _redact(value)) != value:
            changed[name] = clean
    if not changed:
        return attributes
    merged: Mapping[str, AttributeValue] = {**(attributes or {}), **changed}
    return merged
