"""Gives back what was held for a negotiation that was called off while it waited for people.

Listens  task.cancelled
Effects  money of deals is given back in the ledger
State    none

A projection, since what else belongs to a cancelled task is dropped before any agent sees it.
"""

from dataclasses import dataclass
from typing import Final

from agents.negotiator.flow.gating import give_back
from agents.negotiator.flow.stored import ended_in, proposed_in
from bus import Bus, Envelope, Subscription
from schemas.negotiation import NegotiationAgreed
from schemas.task import TaskCancelled

DURABLE: Final = "negotiation-called-off"


@dataclass(frozen=True, slots=True, kw_only=True)
class CalledOff:
    bus: Bus

    def subscription(self) -> Subscription:
        return Subscription(durable=DURABLE, listens=(TaskCancelled,), handle=self.handle, is_projection=True)

    async def handle(self, event: TaskCancelled, envelope: Envelope) -> None:
        """Give it back, unless the deal had been agreed on before."""
        proposed = await proposed_in(self.bus, envelope.task_id)
        if proposed is None or await ended_in(self.bus, envelope.task_id, NegotiationAgreed):
            return
        await give_back(self.bus, proposed.payments, envelope.task_id)
