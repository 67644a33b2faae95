"""Closes negotiations that people decided: agrees on what was approved, exactly that and once.

Listens  approval.decided, approval.expired, approval.withdrawn
Emits    negotiation.agreed | negotiation.vetoed | negotiation.expired | negotiation.no_deal
Effects  money of deals is held, or given back, in the ledger
Without an LLM  the same
"""

from dataclasses import dataclass
from typing import Final

from agents.negotiator.flow.asking import KIND, DealPolicy, digest_of
from agents.negotiator.flow.gating import give_back, hold_for
from agents.negotiator.flow.stored import has_ended, proposed_in
from agents.negotiator.switch import is_running
from bus import Bus, BusError, Envelope, Subscription
from bus.errors import PermanentError, RetryableError
from schemas.approval import (
    APPROVALS_BUCKET,
    Approval,
    ApprovalDecided,
    ApprovalExpired,
    ApprovalState,
    ApprovalWithdrawn,
    Ballot,
)
from schemas.event import Event
from schemas.negotiation import (
    NegotiationAgreed,
    NegotiationExpired,
    NegotiationNoDeal,
    NegotiationProposed,
    NegotiationVetoed,
)

DURABLE: Final = "negotiation-closer"
AGAIN_S: Final = 5.0

Answer = ApprovalDecided | ApprovalExpired | ApprovalWithdrawn


@dataclass(frozen=True, slots=True, kw_only=True)
class Closer:
    bus: Bus
    policy: DealPolicy

    def subscription(self) -> Subscription:
        return Subscription(
            durable=DURABLE,
            listens=(ApprovalDecided, ApprovalExpired, ApprovalWithdrawn),
            handle=self.handle,
        )

    async def handle(self, event: Answer, envelope: Envelope) -> Event | None:
        """Act on the decision about a deal; decisions about anything else are other agents' business.

        Raises:
            RetryableError: the ledger or the bus doesn't answer.
            PermanentError: the decision is not about the deal that was proposed.
        """
        if event.kind != KIND:
            return None
        proposed = await proposed_in(self.bus, envelope.task_id)
        if proposed is None or event.digest != digest_of(
            proposed.goal, proposed.deal, proposed.payments, proposed.policy_version
        ):
            raise PermanentError(
                f"approval {event.approval_id} is not about the deal that was proposed in task {envelope.task_id}"
            )
        await self._check_record(event, envelope.task_id)
        if await has_ended(self.bus, envelope.task_id):
            return None  # said twice, by whomever: a deal ends once
        match event:
            case ApprovalDecided() if event.is_approved:
                return await self._agree(event, proposed, envelope.task_id)
            case ApprovalDecided(votes=votes):
                await give_back(self.bus, proposed.payments, envelope.task_id)
                no = next((vote for vote in votes if vote.ballot is Ballot.VETO), None)
                return NegotiationVetoed(
                    deal=proposed.deal,
                    digest=proposed.digest,
                    approval_id=event.approval_id,
                    by=no.by if no else "",
                    note=no.note if no else "",
                    cycle=proposed.cycle,
                )
            case ApprovalExpired(deadline=deadline):
                why = f"nobody decided by {deadline[:19]}Z"
            case ApprovalWithdrawn(why=why):
                pass
        await give_back(self.bus, proposed.payments, envelope.task_id)
        return NegotiationExpired(
            deal=proposed.deal,
            digest=proposed.digest,
            approval_id=event.approval_id,
            why=why,
            cycle=proposed.cycle,
        )

    async def _agree(self, event: ApprovalDecided, proposed: NegotiationProposed, task_id: str) -> Event:
        running, why = await is_running(self.bus)
        if not running:
            await give_back(self.bus, proposed.payments, task_id)
            return NegotiationNoDeal(kind="stopped", reason=why, cycle=proposed.cycle)
        # It may be another day than that of the proposal: a new day's gates count.
        refused = await hold_for(self.bus, self.policy.gates, proposed.payments, task_id)
        if refused:
            return NegotiationNoDeal(kind="gate", reason=refused, cycle=proposed.cycle)
        yes = tuple(vote.by for vote in event.votes if vote.ballot is Ballot.APPROVE)
        return NegotiationAgreed(
            goal=proposed.goal,
            deal=proposed.deal,
            payments=proposed.payments,
            amount_nusd=proposed.amount_nusd,
            digest=proposed.digest,
            parties=proposed.parties,
            approval_id=event.approval_id,
            by=yes,
            cycle=proposed.cycle,
            silent=proposed.silent,
        )

    async def _check_record(self, event: Answer, task_id: str) -> None:
        """The event alone could be anybody's; the record is written by the approver, vote by vote."""
        try:
            found = await self.bus.bucket(APPROVALS_BUCKET, Approval).get(event.approval_id)
        except BusError as error:
            raise RetryableError(f"the approval can't be read: {error}", delay_s=AGAIN_S) from None
        record = found[0] if found else None
        if (
            record is None
            or record.state is not state_of(event)
            or record.task_id != task_id
            or record.request.digest != event.digest
        ):
            raise PermanentError(
                f"approval {event.approval_id} is not {state_of(event)}: its record says otherwise"
            )


def state_of(event: Answer) -> ApprovalState:
    """Core: in which state the approval must be for the event to be true."""
    match event:
        case ApprovalDecided(state=state):
            return state
        case ApprovalExpired():
            return ApprovalState.EXPIRED
        case ApprovalWithdrawn():
            return ApprovalState.WITHDRAWN
