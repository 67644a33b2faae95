"""How the negotiation of a cycle ended, read from its events."""

from dataclasses import dataclass
from typing import Final, Literal

from bus import Bus
from schemas.approval import ApprovalDecided, ApprovalExpired, ApprovalRequested, ApprovalWithdrawn
from schemas.event import Event, tag_of
from schemas.negotiation import (
    NegotiationAgreed,
    NegotiationExpired,
    NegotiationNoDeal,
    NegotiationOpened,
    NegotiationProposed,
    NegotiationRequested,
    NegotiationVetoed,
)
from schemas.task import TaskCancelled, TaskExpired, TaskStepFailed

ENDS_WITH: Final = frozenset(
    tag_of(kind)
    for kind in (
        NegotiationRequested,
        NegotiationOpened,
        NegotiationProposed,
        ApprovalRequested,
        ApprovalDecided,
        ApprovalExpired,
        ApprovalWithdrawn,
    )
)
"""Steps without which there is no deal; a party's position is not one of them."""
ONLOOKERS: Final = frozenset({"messenger", "tracker"})
"""Agents that show a negotiation to people: it goes on when they fail."""
FAILURES: Final = frozenset({"silent", "refused"})
"""Ways of not agreeing in which the negotiation did not work; the others are honest answers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """What became of a cycle's negotiation.

    Attributes:
        is_failure: nobody could agree because something doesn't work.
    """

    state: Literal["agreed", "no_deal", "vetoed", "expired", "failed", "cancelled", "skipped"]
    why: str = ""
    digest: str = ""
    amount_nusd: int = 0
    is_failure: bool = False


def ending_of(event: Event) -> Ending | None:
    """Core: the ending that this event is; None when the negotiation goes on."""
    match event:
        case NegotiationAgreed(digest=digest, amount_nusd=amount):
            return Ending(state="agreed", digest=digest, amount_nusd=amount)
        case NegotiationNoDeal(kind=kind, reason=reason):
            return Ending(state="no_deal", why=reason, is_failure=kind in FAILURES)
        case NegotiationVetoed(by=by, note=note, digest=digest):
            why = f"by {by or 'somebody'}{': ' + note if note else ''}"
            return Ending(state="vetoed", why=why, digest=digest)
        case NegotiationExpired(why=why, digest=digest):
            return Ending(state="expired", why=why, digest=digest)
        case TaskCancelled(by=by, reason=reason):
            return Ending(state="cancelled", why=f"by {by or 'somebody'}{': ' + reason if reason else ''}")
        case TaskStepFailed(event_type=tag, agent=agent, reason=reason):
            if tag in ENDS_WITH and agent not in ONLOOKERS:
                return Ending(state="failed", why=f"{agent}: {reason}")
        case TaskExpired(event_type=tag, agent=agent):
            if tag in ENDS_WITH and agent not in ONLOOKERS:
                return Ending(state="failed", why=f"{agent} had no time left before the deadline")
    return None


async def stored_ending(bus: Bus, task_id: str) -> tuple[bool, Ending | None]:
    """Whether the negotiation has begun, and how it ended if it has, as stored by now.

    Raises:
        BusError: the stream can't be read.
    """
    has_begun = False
    events = bus.events(task_id, only_stored=True)
    try:
        async for event, _ in events:
            has_begun = has_begun or isinstance(event, NegotiationRequested)
            if found := ending_of(event):
                return has_begun, found
    finally:
        await events.aclose()
    return has_begun, None


async def wait_for_ending(bus: Bus, task_id: str) -> Ending:
    """How the negotiation ends, as soon as it does."""
    events = bus.events(task_id)
    try:
        async for event, _ in events:
            if found := ending_of(event):
                return found
    finally:
        await events.aclose()
    raise AssertionError("a stream's reader never ends by itself")
