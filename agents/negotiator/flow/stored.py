"""What the stream holds of one negotiation."""

from contextlib import aclosing

from bus import Bus
from schemas.event import Event
from schemas.negotiation import NegotiationProposed


async def proposed_in(bus: Bus, task_id: str) -> NegotiationProposed | None:
    """The deal that was proposed, if there is one."""
    async with aclosing(bus.events(task_id, only_stored=True)) as events:
        async for event, _ in events:
            if isinstance(event, NegotiationProposed):
                return event
    return None


async def ended_in(bus: Bus, task_id: str, kind: type[Event]) -> bool:
    """Whether it came to an ending of this kind."""
    async with aclosing(bus.events(task_id, only_stored=True)) as events:
        async for event, _ in events:
            if isinstance(event, kind):
                return True
    return False
