"""What is known of one message in the chat, and what is to be done about it next. Pure.

A call to the chat can't be undone and may end in the unknown. So an entry is armed before the call and settled
after it, both by compare-and-swap, and what is left armed is never sent again before the chat was asked.
"""

from dataclasses import dataclass
from typing import Final, Literal

import msgspec

from bus.envelope import parse_time

ARMED_S_MAX: Final = 45.0
"""After so long nobody is at an armed message any more: its messenger died, or stands still. Much longer than a
call to the chat may take."""
SEND_WITHIN_S: Final = 5.0
"""A messenger that stood still for longer between arming and sending doesn't send: another one may be at it."""
SETTLING_S: Final = 5.0
"""After a call of unknown outcome, before the chat is asked: so long it may take there."""
SKEW_S: Final = 300.0
"""By how much our clocks and the chat's may differ."""


class OutboxEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One message; in the KV bucket `SLACK_OUTBOX` under its key.

    Attributes:
        state: `free`: nothing stands in the chat; `armed`: somebody is calling the chat; `unknown`: a call ended
            without our learning what it did; `sent`: the message stands there; `gone`: somebody deleted it.
        channel: as it was given, then the id by which the chat knows it.
        ts: the message's name in the channel; empty until it is known.
        shown: fingerprint of the card that stands there; empty: not known.
        armed_at: when the last call began (of `unknown`: ended), `first_armed_at` when the first began; RFC 3339 in
            UTC.
        owner: who armed it last, unlike any other's, so that two never take one entry for their own.
        attempts: calls so far.
    """

    state: Literal["free", "armed", "unknown", "sent", "gone"] = "free"
    channel: str = ""
    ts: str = ""
    shown: str = ""
    armed_at: str = ""
    first_armed_at: str = ""
    owner: str = ""
    attempts: int = 0


@dataclass(frozen=True, slots=True)
class Nothing:
    """The message shows what it should, or can't any more."""


@dataclass(frozen=True, slots=True)
class Post:
    """It was never posted."""


@dataclass(frozen=True, slots=True)
class Update:
    """It shows something else."""


@dataclass(frozen=True, slots=True)
class Ask:
    """Whether it was posted only the chat knows; look at what came there after `since_s`."""

    since_s: float


@dataclass(frozen=True, slots=True)
class Wait:
    """Somebody else is at it, or the chat needs time."""

    delay_s: float


Step = Nothing | Post | Update | Ask | Wait


def next_step(
    entry: OutboxEntry | None,
    fingerprint: str,
    now_s: float,
    *,
    settling_s: float = SETTLING_S,
    must_update: bool = False,
) -> Step:
    """Core: what brings the message closer to showing the card with `fingerprint`.

    Args:
        settling_s: after a call of unknown outcome, before the chat is asked.
        must_update: whatever is known to be shown, an older call of ours may have come in after it.
    """
    if entry is None or entry.state == "free":
        return Post()
    if entry.state == "gone":
        return Nothing()
    if entry.state == "sent":
        return Nothing() if entry.shown == fingerprint and not must_update else Update()
    age_s = max(0.0, now_s - parse_time(entry.armed_at))  # a clock behind the other's must not wait for ever
    patience_s = ARMED_S_MAX if entry.state == "armed" else settling_s
    if age_s < patience_s:
        return Wait(delay_s=patience_s - age_s)
    return Update() if entry.ts else Ask(since_s=parse_time(entry.first_armed_at) - SKEW_S)
