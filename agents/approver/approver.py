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
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

import msgspec

from agents.approver.deciding import Decision, decide, lapsed, right_of, withdrawn
from agents.approver.people import People
from agents.approver.records import Records
from agents.approver.teller import Teller
from agents.approver.tellings import expiring, tellings
from agents.approver.terms import Terms, opened
from agents.approver.words import UNKNOWN
from bus import AlreadyHandledError, Bus, BusError, Caller, Envelope, PermanentError, Subscription
from bus.envelope import parse_time, time_text
from bus.redact import error_text
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
REQUESTS_MAX: Final = 256
"""Words that are worked on at the same time; more are refused at once and may be sent again."""
SWEEP_S: Final = 1.0
RESCAN_S: Final = 30.0
RESCAN_SHARE_MAX: Final = 0.05
"""Of the time, that reading all records may take: with very many it is done less often."""
SETTLING_MAX: Final = 32
"""Records that a sweep works on at the same time."""
REFUSAL_AUDIT_S: Final = 1.0
"""How long whoever is refused waits for the line about it: answers must come within 3 s."""
WARN_TIMEOUT_S: Final = 5.0
GRACE_S: Final = 2.0

SUPERSEDED: Final = "a newer request about the same took its place"
CANCELLED: Final = "its task was cancelled"

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
    records: Records = field(init=False)
    teller: Teller = field(init=False)
    _who: People = field(init=False)
    _unfinished: dict[str, Approval] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._who = People(self.people)
        self.records = Records(self.bus, self._seen)
        self.teller = Teller(bus=self.bus, records=self.records)

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
        await self.records.ensure()
        sweeping = asyncio.create_task(self._sweep_for_ever(), name="approver sweep")
        try:
            await self.bus.serve(APPROVAL_DECIDE, self.decide, concurrency=REQUESTS_MAX)
            yield
        finally:
            sweeping.cancel()
            await asyncio.gather(sweeping, return_exceptions=True)
            await self.teller.close(GRACE_S)

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
        approval = await self.records.create(approval)
        if event.about:
            newer = await self.records.enter(approval, self._retire)
            if newer:
                approval = await self._withdraw(approval.approval_id, SUPERSEDED) or approval
        self.teller.soon(approval)
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
        await self._withdraw(approval_id, SUPERSEDED)

    async def _withdraw(self, approval_id: str, why: str) -> Approval | None:
        """The record afterwards; one that was decided stays as it is."""

        def change(stored: Approval) -> tuple[Approval, Approval]:
            changed = withdrawn(stored, why, self.clock())
            return changed, changed

        approval = await self.records.change(approval_id, change)
        if approval is not None:
            self.teller.soon(approval)
        return approval

    # -- people's words -----------------------------------------------------------------------------------

    async def decide(self, request: DecideRequest, caller: Caller) -> DecideReply:
        """What becomes of a person's word. It counts, whoever dies afterwards, once this has answered.

        Raises:
            BusError: the record can't be read or written; the same word may be sent again.
        """
        decision: Decision | None = None
        if is_token(request.approval_id):
            decision = await self.records.change(request.approval_id, lambda one: self._judge(one, request))
        if decision is None:
            await self._audit_word(request, DecideOutcome.UNKNOWN, "")
            return DecideReply(outcome=DecideOutcome.UNKNOWN, message=UNKNOWN)
        self.teller.soon(decision.approval)  # also of a deadline that was only now seen to have passed
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

    # -- what is due --------------------------------------------------------------------------------------

    def _seen(self, approval: Approval) -> None:
        if approval.is_open or approval.told < len(tellings(approval)):
            self._unfinished[approval.approval_id] = approval
        else:
            self._unfinished.pop(approval.approval_id, None)

    async def _sweep_for_ever(self) -> None:
        rescan_at = 0.0
        while True:
            try:
                if time.monotonic() >= rescan_at:
                    started = time.monotonic()
                    await self.rescan()
                    took_s = time.monotonic() - started
                    rescan_at = time.monotonic() + max(self.rescan_s, took_s / RESCAN_SHARE_MAX)
                await self.sweep()
            except Exception as error:  # whatever is wrong now, later deadlines must still be kept
                log.warning("approvals can't be looked at: %s", error_text(error))
            await asyncio.sleep(self.sweep_s)

    async def rescan(self) -> None:
        """Learn of all approvals that are not finished, whoever opened them.

        Raises:
            BusError: the records can't be read.
        """
        known = list(self._unfinished)
        stored = await self.records.all()
        for approval in stored.values():
            self._seen(approval)
        for gone in known:
            if gone not in stored:
                self._unfinished.pop(gone, None)

    async def sweep(self) -> None:
        """Do what is due of the approvals that this process knows: expire, withdraw, remind, tell.

        Raises:
            BusError: a record can't be read or written; the rest was done.
        """
        now_s = self.clock()
        due = [chore for one in list(self._unfinished.values()) if (chore := self._due(one, now_s))]
        await _all_done(due)

    def _due(self, approval: Approval, now_s: float) -> Callable[[], Awaitable[object]] | None:
        key = approval.approval_id
        if not approval.is_open:
            self.teller.soon(approval)
            return None
        if self.bus.is_cancelled(approval.task_id):
            return lambda: self._withdraw(key, CANCELLED)
        if lapsed(approval, now_s) is not approval:
            return lambda: self._expire(key)
        if approval.warn_at and not approval.warned and now_s >= parse_time(approval.warn_at):
            return lambda: self._warn(approval)
        self.teller.soon(approval)
        return None

    async def _expire(self, approval_id: str) -> None:
        def change(stored: Approval) -> tuple[Approval, Approval]:
            changed = lapsed(stored, self.clock())
            return changed, changed

        approval = await self.records.change(approval_id, change)
        if approval is None:
            self._unfinished.pop(approval_id, None)
        else:
            self.teller.soon(approval)

    async def _warn(self, approval: Approval) -> None:
        """Remind people once, unless somebody decided in the meantime."""

        def look(stored: Approval) -> tuple[Approval, bool]:
            return stored, stored.is_open and not stored.warned

        if not await self.records.change(approval.approval_id, look):
            return
        event, event_id = expiring(approval, parse_time(approval.deadline) - self.clock())
        try:
            await self.bus.outbox.publish(
                event,
                task_id=approval.task_id,
                event_id=event_id,
                causation_id=approval.approval_id,
                timeout_s=WARN_TIMEOUT_S,
            )
        except AlreadyHandledError:
            pass  # by another approver, or by one that could not note it any more

        def note(stored: Approval) -> tuple[Approval, None]:
            return msgspec.structs.replace(stored, warned=True), None

        await self.records.change(approval.approval_id, note)


async def _all_done(chores: Iterable[Callable[[], Awaitable[object]]]) -> None:
    """All chores, some at a time; the first error once all had their turn."""
    places = asyncio.Semaphore(SETTLING_MAX)

    async def one(chore: Callable[[], Awaitable[object]]) -> None:
        async with places:
            await chore()

    results = await asyncio.gather(*(one(chore) for chore in chores), return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
