"""Approver: opens approvals, counts what people say, and sees to it that each ends, once.

Listens  approval.requested.v1; approval.decide (requests)
Emits    approval.opened.v1; then approval.voted.v1, approval.expiring.v1, and one of approval.decided.v1,
         approval.expired.v1 and approval.withdrawn.v1
Effects  lines of the audit log: every word of anybody, those that don't count too
State    the bucket `APPROVALS`, written by compare-and-swap; which is the newest about a matter
Without an LLM  the same

Any number of approvers may run. A word counts when it stands in the record; what others hear of it follows from
the record and is told afterwards, by this process or, if it dies, by the next that looks.
"""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

import msgspec

from agents.approver.deciding import Decision, decide, right_of, withdrawn
from agents.approver.people import People
from agents.approver.sweeper import CANCELLED, RESCAN_S, SWEEP_S, Sweeper
from agents.approver.terms import Terms, opened
from agents.approver.words import UNKNOWN
from bus import Bus, BusError, Caller, Envelope, PermanentError, Subscription
from bus.cancelling import end
from bus.envelope import time_text
from bus.services import APPROVAL_DECIDE
from schemas.approval import (
    Approval,
    ApprovalOpened,
    ApprovalRequested,
    AuditEntry,
    DecideOutcome,
    DecideReply,
    DecideRequest,
)
from schemas.event import is_token
from schemas.ids import derive_id

log = logging.getLogger("labverse.approver")

CONCURRENCY: Final = 32
REQUESTS_MAX: Final = 1_024
"""Words that are worked on at the same time; more are refused at once and may be sent again."""
REFUSAL_AUDIT_S: Final = 1.0
"""How long whoever is refused waits for the line about it: answers must come within 3 s."""
GRACE_S: Final = 2.0

SUPERSEDED: Final = "a newer request about the same took its place"

PolicyOf = Callable[[str], Terms]
"""The terms for a kind of side effect. Raises LookupError where there are none."""


@dataclass(eq=False, slots=True, kw_only=True)
class Approver:
    """Put its subscription on the bus, and have it `serving`.

    Args:
        people: names of the policy, with the identities by which each is known.
        policy: the terms of each kind of side effect.
        clock: seconds since 1970.
        sweep_s, rescan_s: between looks at the approvals that this process knows; between looks for others.
    """

    bus: Bus
    people: Mapping[str, tuple[str, ...]]
    policy: PolicyOf
    clock: Callable[[], float] = time.time
    sweep_s: float = SWEEP_S
    rescan_s: float = RESCAN_S
    _who: People = field(init=False)
    _sweeper: Sweeper = field(init=False)

    def __post_init__(self) -> None:
        self._who = People(self.people)
        self._sweeper = Sweeper(bus=self.bus, clock=self.clock, sweep_s=self.sweep_s, rescan_s=self.rescan_s)

    def subscription(self) -> Subscription:
        return Subscription(
            durable="approver", listens=(ApprovalRequested,), handle=self.handle, concurrency=CONCURRENCY
        )

    @asynccontextmanager
    async def serving(self) -> AsyncGenerator[None]:
        """Take people's words, and finish what is due or was left by others.

        Raises:
            BusError: the buckets can't be made.
        """
        await self._sweeper.records.ensure()
        sweeping = asyncio.create_task(self._sweeper.run(), name="approver sweep")
        try:
            await self.bus.serve(APPROVAL_DECIDE, self.decide, concurrency=REQUESTS_MAX)
            yield
        finally:
            await end((sweeping,))
            await self._sweeper.teller.close(GRACE_S)

    # -- requests -----------------------------------------------------------------------------------------

    async def handle(self, event: ApprovalRequested, envelope: Envelope) -> ApprovalOpened:
        """Open the approval under the policy's terms; an open one about the same is withdrawn.

        Raises:
            PermanentError: under these terms nobody could ever approve it, or its id is taken.
            BusError: the records can't be read or written; the event is tried again.
        """
        try:
            terms = self.policy(event.kind)
            approval = opened(event, envelope, terms, self._who, self.clock())
        except (LookupError, ValueError, OverflowError, BusError) as error:
            text = str(error) or f"the policy has no terms for {event.kind!r}"
            await self._refused_request(event, envelope, text)
            raise PermanentError(text) from error
        approval = await self._sweeper.records.create(approval)
        if event.about:
            newer = await self._sweeper.records.enter(approval, self._retire)
            if newer:
                approval = await self._sweeper.withdraw(approval.approval_id, SUPERSEDED) or approval
        self._sweeper.teller.soon(approval)
        return ApprovalOpened(approval=approval)

    async def _refused_request(self, event: ApprovalRequested, envelope: Envelope, why: str) -> None:
        entry = AuditEntry(
            at=time_text(self.clock()),
            what="approval.open",
            identity=envelope.source or "unknown",
            outcome="refused",
            subject=envelope.id,
            task_id=envelope.task_id,
            digest=event.digest,
            detail=why,
        )
        await self._audit_refusal(entry, derive_id(envelope.subject, "approver refuses"))

    async def _retire(self, approval_id: str) -> None:
        await self._sweeper.withdraw(approval_id, SUPERSEDED)

    # -- people's words -----------------------------------------------------------------------------------

    async def decide(self, request: DecideRequest, caller: Caller) -> DecideReply:
        """What becomes of a person's word. It counts, whoever dies afterwards, once this has answered.

        Raises:
            BusError: the record can't be read or written; the same word may be sent again.
        """
        decision: Decision | None = None
        if is_token(request.approval_id):
            decision = await self._sweeper.records.change(
                request.approval_id, lambda one: self._judge(one, request)
            )
        if decision is None:
            await self._audit_word(request, DecideOutcome.UNKNOWN, "")
            return DecideReply(outcome=DecideOutcome.UNKNOWN, message=UNKNOWN)
        self._sweeper.teller.soon(
            decision.approval
        )  # also of a deadline that was only now seen to have passed
        if decision.outcome is not DecideOutcome.COUNTED:
            await self._audit_word(request, decision.outcome, decision.approval.task_id, decision.message)
        is_stranger = decision.outcome is DecideOutcome.NOT_ALLOWED and not self._may_know(decision, request)
        return DecideReply(
            outcome=decision.outcome,
            message=decision.message,
            approval=None if is_stranger else decision.approval,
        )

    def _judge(self, approval: Approval, request: DecideRequest) -> tuple[Approval, Decision]:
        now_s = self.clock()
        if self.bus.is_cancelled(approval.task_id):
            approval = withdrawn(approval, CANCELLED, now_s)
        decision = decide(approval, request, self._who, now_s)
        return decision.approval, decision

    def _may_know(self, decision: Decision, request: DecideRequest) -> bool:
        return right_of(decision.approval, request.identity, self._who) is not None

    async def _audit_word(
        self, request: DecideRequest, outcome: DecideOutcome, task_id: str, message: str = ""
    ) -> None:
        """A line about a word that did not count; the same word sent again adds none."""
        entry = AuditEntry(
            at=time_text(self.clock()),
            what=f"approval.{request.action}",
            identity=request.identity,
            outcome=outcome,
            subject=request.approval_id,
            task_id=task_id,
            via=request.via,
            digest=request.digest,
            detail=": ".join(filter(None, (message, request.note))),
        )
        word = msgspec.json.encode(request).decode()
        await self._audit_refusal(entry, derive_id(word, f"approver {outcome}"))

    async def _audit_refusal(self, entry: AuditEntry, audit_id: str) -> None:
        try:
            await self.bus.audit(entry, audit_id, timeout_s=REFUSAL_AUDIT_S)
        except BusError as error:  # a refusal without its line is still a refusal
            log.error(
                "not in the audit log: %s of %s by %s: %s", entry.what, entry.subject, entry.identity, error
            )
