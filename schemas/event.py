"""The base of everything that travels, and the shape of its address.

An event is a frozen struct with a tag such as `review.assigned.v1`. Its subject is
`lv.<tag>.<task_id>.<event_id>`: a task can be watched or replayed alone, and an event's identity is its
address. The payload is the plain JSON of the struct, so that any language can publish one.

Evolution: a published field is never renamed, retyped or removed; a new one has a default; a new meaning is
a new tag. Unknown fields are accepted from the future, wrong types are refused with their path.
"""

import re
from typing import Final

import msgspec

SUBJECT_ROOT: Final = "lv"
TOKEN_CHARS_MAX: Final = 64

_TAG = re.compile(r"[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*\.v[1-9][0-9]*")
_TOKEN = re.compile(rf"[A-Za-z0-9_-]{{1,{TOKEN_CHARS_MAX}}}")


class Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="type"):
    """Base of commands (imperative requests) and events (past-tense facts)."""


def tag_of(event: Event | type[Event]) -> str:
    """The tag of an event or event class, such as `review.assigned.v1`."""
    tag = event.__struct_config__.tag
    if not isinstance(tag, str):
        raise TypeError(f"{event!r} has no tag: declare it with tag='domain.fact.v1'")
    return tag


def is_tag(text: str) -> bool:
    """Whether `text` has the shape `domain.fact.vN`, which keeps a tag three subject tokens long."""
    return _TAG.fullmatch(text) is not None


def is_token(text: str) -> bool:
    """Whether `text` may stand as a task or event id in a subject."""
    return _TOKEN.fullmatch(text) is not None


def subject_of(tag: str, task_id: str, event_id: str = "") -> str:
    """The address of an event; without `event_id`, that of the command which starts a task.

    Raises:
        ValueError: an id can't stand in a subject.
    """
    for name, token in (("task id", task_id), ("event id", event_id or "root")):
        if not is_token(token):
            raise ValueError(
                f"{name} {token[:80]!r} can't stand in a subject: "
                f"use 1 to {TOKEN_CHARS_MAX} characters of A-Z a-z 0-9 _ -"
            )
    root = f"{SUBJECT_ROOT}.{tag}.{task_id}"
    return f"{root}.{event_id}" if event_id else root
