"""Gives back what was held for a negotiation that was called off while it waited for people.

Listens  task.cancelled
Effects  money of deals is given back in the ledger
State    none; reads the bucket `APPROVALS`

A projection, since what else belongs to a cancelled task is dropped before any agent sees it. Money comes back only
when nobody can agree on the deal any more: while its approval is open, this is tried again; of one that was approved,
somebody may be agreeing right now, and the money stays held to the end of the day.
"""

from dataclasses import dataclass
from typing import Final

from agents.negotiator.flow.gating import give_back
from agents.negotiator.flow.stored import approval_in, proposed_in
from bus import Bus, Envelope, Subscription
from bus.errors import RetryableError
from schemas.approval import APPROVALS_BUCKET, Approval, ApprovalState
from schemas.task import TaskCancelled

DURABLE: Final = "negotiation-called-off"
AGAIN_S: Final = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CalledOff:
    bus: Bus

    def subscription(self) -> Subscription:
        return Subscription(durable=DURABLE, listens=(TaskCancelled,), handle=self.handle, is_projection=True)

    async def handle(self, event: TaskCancelled, envelope: Envelope) -> None:
        """Give it back, if the deal can't be agreed on any more.

        Raises:
            RetryableError: its approval isn't withdrawn yet.
        """
        proposed = await proposed_in(self.bus, envelope.task_id)
        if proposed is None or not proposed.approval_reasons:
            return  # without approval, deal and proposal are one commit
        approval_id = await approval_in(self.bus, envelope.task_id)
        found = await self.bus.bucket(APPROVALS_BUCKET, Approval).get(approval_id) if approval_id else None
        if found is None or found[0].is_open:
            raise RetryableError("the approval of a called-off deal is still open", delay_s=AGAIN_S)
        if found[0].state is not ApprovalState.APPROVED:
            await give_back(self.bus, proposed.payments, envelope.task_id)
