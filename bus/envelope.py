"""The envelope: what travels with every event, as CloudEvents headers of the NATS binding in binary mode.

A foreign publisher may leave out every header: only payload and subject are needed, and the subject may end
at the task id. What is missing gets a default.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

import msgspec

from bus.errors import DecodeError
from schemas.event import SUBJECT_ROOT, is_tag, is_token, subject_of

DUE_ROOT: Final = "later.due"
"""`later.due.<durable>.<domain>.<fact>.<vN>.<task>[.<event>]`: an event that is tried again."""

HEADER_VALUE_CHARS_MAX: Final = 4096
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")


class Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """Who said it, when, why, and until when it matters.

    Attributes:
        subject: the event's address and so its identity; the same for every redelivery and retry.
        id: last token of the subject; the task id for the command that started the task.
        tag: the event's type.
        task_id: correlation id: the task that all this belongs to.
        causation_id: the event that directly caused this one, empty for a task's first.
        deadline: absolute, RFC 3339 in UTC; empty means none.
        traceparent: W3C trace context; empty means none.
        dataref: name of the object that holds the payload, empty when it came along.
        attempt: 1 for the first call of the handler, counting retries and redeliveries.
        replay: how many times this event was replayed from the dead letters.
        history: what went wrong in earlier attempts, newest last (JSON list of texts).
        seq: stream sequence; 0 if not from a stream.
        received: how often the server delivered this very message.
    """

    subject: str
    id: str
    tag: str
    task_id: str
    source: str = ""
    time: str = ""
    causation_id: str = ""
    deadline: str = ""
    traceparent: str = ""
    dataref: str = ""
    attempt: int = 1
    replay: int = 0
    history: str = ""
    seq: int = 0
    received: int = 1


def read_envelope(
    subject: str, headers: Mapping[str, str] | None, seq: int = 0, received: int = 1
) -> Envelope:
    """The envelope of a received message.

    Raises:
        DecodeError: the subject is not an event's address, or a header is malformed.
    """
    address = subject
    if subject.startswith(DUE_ROOT):
        address = f"{SUBJECT_ROOT}.{subject.split('.', 3)[3]}"
    tokens = address.split(".")
    if not 5 <= len(tokens) <= 6 or tokens[0] != SUBJECT_ROOT:
        raise DecodeError(f"subject {address[:200]!r} is not lv.<domain>.<fact>.<vN>.<task_id>[.<event_id>]")
    tag = f"{tokens[1]}.{tokens[2]}.{tokens[3]}"
    task_id, event_id = tokens[4], tokens[-1]
    if not (is_token(task_id) and is_token(event_id) and is_tag(tag)):
        raise DecodeError(f"subject {address[:200]!r} has a token that is not allowed there")
    if not headers:
        return Envelope(
            subject=address,
            id=event_id,
            tag=tag,
            task_id=task_id,
            seq=seq,
            attempt=received,
            received=received,
        )
    get = headers.get
    deadline = get("ce-deadline", "")
    if deadline:
        parse_time(deadline)
    traceparent = get("traceparent", "")
    if traceparent and not _TRACEPARENT.fullmatch(traceparent):
        traceparent = ""  # W3C: a malformed traceparent is ignored, not an error
    return Envelope(
        subject=address,
        id=event_id,
        tag=tag,
        task_id=task_id,
        source=get("ce-source", ""),
        time=get("ce-time", ""),
        causation_id=get("ce-causationid", ""),
        deadline=deadline,
        traceparent=traceparent,
        dataref=get("ce-dataref", ""),
        attempt=_count(headers, "lv-attempt", 1) + received - 1,
        replay=_count(headers, "lv-replay", 0),
        history=get("lv-history", ""),
        seq=seq,
        received=received,
    )


def _count(headers: Mapping[str, str], name: str, default: int) -> int:
    text = headers.get(name)
    if text is None:
        return default
    if not text.isdecimal() or len(text) > 6:
        raise DecodeError(f"header {name} must be a whole number below 1000000, not {text[:40]!r}")
    return int(text)


def event_headers(
    *,
    tag: str,
    task_id: str,
    event_id: str,
    source: str,
    causation_id: str = "",
    deadline: str = "",
    traceparent: str = "",
    dataref: str = "",
) -> str:
    """The header lines of an event, to which `block` puts head and tail."""
    lines = (
        f"ce-specversion: 1.0\r\nce-id: {event_id}\r\nce-type: {tag}\r\nce-source: {source}\r\n"
        f"ce-time: {now_text()}\r\nce-correlationid: {task_id}\r\n"
    )
    if causation_id:
        lines += f"ce-causationid: {causation_id}\r\n"
    if deadline:
        lines += f"ce-deadline: {deadline}\r\n"
    if traceparent:
        lines += f"traceparent: {traceparent}\r\n"
    if dataref:
        lines += f"ce-dataref: {dataref}\r\n"
    return lines


def block(lines: str) -> bytes:
    """A finished header block from lines that each end in CRLF."""
    return f"NATS/1.0\r\n{lines}\r\n".encode()


def header_lines(headers: Mapping[str, str]) -> str:
    """Lines for headers of unknown origin: line breaks can't smuggle in further headers.

    Raises:
        ValueError: a name holds a character that no header name may have.
    """
    out = []
    for name, value in headers.items():
        if not name or not name.isascii() or any(c <= " " or c == ":" for c in name):
            raise ValueError(f"header name {name[:80]!r} is not allowed")
        clean = value.replace("\r", " ").replace("\n", " ").strip()
        out.append(f"{name}: {clean[:HEADER_VALUE_CHARS_MAX]}\r\n")
    return "".join(out)


def once_lines(task_id: str, event_id: str) -> str:
    """The expectation that makes an event's address its identity: nothing of this id is stored yet.

    It holds over all event types (wildcards), so that two workers whose outcomes differ in type still exclude
    one another.
    """
    return (
        "Nats-Expected-Last-Subject-Sequence: 0\r\n"
        f"Nats-Expected-Last-Subject-Sequence-Subject: {any_type_subject(task_id, event_id)}\r\n"
    )


def any_type_subject(task_id: str, event_id: str) -> str:
    """All addresses that an event id can have within its task, whatever its type."""
    root = f"{SUBJECT_ROOT}.*.*.*.{task_id}"
    return root if event_id == task_id else f"{root}.{event_id}"


def task_subject(task_id: str) -> tuple[str, str]:
    """The two filters that together match everything of one task."""
    root = f"{SUBJECT_ROOT}.*.*.*.{task_id}"
    return root, f"{root}.>"


def due_subject(durable: str, envelope: Envelope) -> str:
    """Where an event is put for another attempt by one agent alone."""
    return f"{DUE_ROOT}.{durable}.{envelope.subject.removeprefix(SUBJECT_ROOT + '.')}"


def address_of(tag: str, task_id: str, event_id: str) -> str:
    """Like `subject_of`, where an event id equal to the task id means the command that starts the task."""
    return subject_of(tag, task_id, "" if event_id == task_id else event_id)


def now_text() -> str:
    """Now, as RFC 3339 in UTC with microseconds."""
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def time_text(epoch_s: float) -> str:
    """A point in time (seconds since 1970) as RFC 3339 in UTC with microseconds."""
    return datetime.fromtimestamp(epoch_s, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def parse_time(text: str) -> float:
    """Seconds since 1970 of an RFC 3339 time with zone.

    Raises:
        DecodeError: it is not one.
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise DecodeError(
            f"deadline {text[:60]!r} is not an RFC 3339 time such as 2026-01-31T12:00:00Z"
        ) from None
    if moment.tzinfo is None:
        raise DecodeError(f"deadline {text[:60]!r} has no time zone: end it in Z")
    return moment.timestamp()
