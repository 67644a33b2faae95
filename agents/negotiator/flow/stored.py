"""What the stream holds of one negotiation."""

from contextlib import aclosing
from typing import Final

from bus import Bus
from schemas.approval import ApprovalRequested
from schemas.negotiation import (
    NegotiationAgreed,
    NegotiationExpired,
    NegotiationNoDeal,
    NegotiationProposed,
    NegotiationVetoed,
)

ENDINGS: Final = (NegotiationAgreed, NegotiationVetoed, NegotiationExpired, NegotiationNoDeal)


async def proposed_in(bus: Bus, task_id: str) -> NegotiationProposed | None:
    """The deal that was proposed, if there is one."""
    async with aclosing(bus.events(task_id, only_stored=True)) as events:
        async for event, _ in events:
            if isinstance(event, NegotiationProposed):
                return event
    return None


async def has_ended(bus: Bus, task_id: str) -> bool:
    """Whether it came to an ending."""
    async with aclosing(bus.events(task_id, only_stored=True)) as events:
        async for event, _ in events:
            if isinstance(event, ENDINGS):
                return True
    return False


async def approval_in(bus: Bus, task_id: str) -> str:
    """The id of the approval that was asked for, which is that of its request; empty if none was."""
    async with aclosing(bus.events(task_id, only_stored=True)) as events:
        async for event, envelope in events:
            if isinstance(event, ApprovalRequested):
                return envelope.id
    return ""
