"""Cost guard: holds money before it is spent, and keeps the books.

Listens  cost.reserve, cost.settle, cost.release, cost.state (requests)
Emits    cost.recorded for each call of a task; cost.threshold_crossed once a month, limit and threshold
State    the journal in the stream LEDGER; a lease in KV
Without an LLM  the same

One process leads; others stand by. What waits at the same time is decided together and stored as one entry
(group commit), and nobody is answered before it is stored. The journal refuses the entry of a leader who was
replaced, so that two can never both grant.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from agents.cost_guard.announcer import Announcer
from agents.cost_guard.books import Batch, Snapshot, books
from agents.cost_guard.ledger import Ledger, Limits, Refused
from bus import Bus
from bus.cancelling import end
from bus.envelope import parse_time, time_text
from bus.journal import Journal
from bus.lease import Tenure
from bus.rpc_desk import Desk, PendingRequest
from bus.services import COST_RELEASE, COST_RESERVE, COST_SETTLE, COST_STATE
from schemas.cost import (
    Release,
    ReleaseRequest,
    ReserveReply,
    ReserveRequest,
    SettleReply,
    SettleRequest,
    StateReply,
    StateRequest,
)
from schemas.llm import BudgetState

log = logging.getLogger("labverse.cost_guard")

LEASE_NAME: Final = "cost-guard"
GROUP_MAX: Final = 1_000
"""Requests decided together."""
ENTRIES_MAX: Final = 800
"""Decisions stored together, and what one more request adds; a record takes some 0.6 KB, the journal 900 KB."""
GATED_TOGETHER_MAX: Final = 100
"""Reservations with gates decided together: each may take 2 KB."""
ARRIVALS_MAX: Final = 20_000
WAITING_MAX: Final = 10_000
"""Reservations that wait for others to settle."""
SWEEP_S: Final = 0.25
SNAPSHOT_ENTRIES: Final = 20_000

Question = PendingRequest[Any, Any]


@dataclass(eq=False, slots=True, kw_only=True)
class CostGuard:
    """Leads when nobody else does.

    Args:
        channel: where people want alerts (passed on in the events).
        clock: seconds since 1970.
    """

    bus: Bus
    limits: Limits
    channel: str = ""
    clock: Callable[[], float] = time.time
    is_leading: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        """Lead or stand by, until cancelled."""
        await self.bus.lease(LEASE_NAME).run(self._lead)

    async def _lead(self, tenure: Tenure) -> None:
        journal = books(self.bus)
        snapshot, stored = await journal.open()
        ledger = Ledger(self.limits, snapshot.state if snapshot else None)
        announced = snapshot.announced if snapshot else 0
        for _, batch in stored:
            ledger.replay(batch.entries)
            announced = max(announced, batch.announced)
        # From here on nobody who led before can write.
        await journal.append(Batch(epoch=tenure.fencing_token, announced=announced))
        announcer = Announcer(bus=self.bus, channel=self.channel, announced=announced)
        for seq, batch in stored:
            if seq > announced:
                announcer.add(seq, batch, ledger)
        counter = _Counter(self, ledger, journal, announcer, tenure)
        announcing = asyncio.create_task(announcer.run(), name="announce costs")
        try:
            await counter.open()
            self.is_leading.set()
            await counter.work()
        finally:
            self.is_leading.clear()
            await counter.close()
            await end((announcing,))


class _Counter:
    """One tenure's work: takes requests, decides them in groups, stores, answers."""

    def __init__(
        self,
        guard: CostGuard,
        ledger: Ledger,
        journal: Journal[Batch, Snapshot],
        announcer: Announcer,
        tenure: Tenure,
    ) -> None:
        self._ledger = ledger
        self._journal = journal
        self._announcer = announcer
        self._tenure = tenure
        self._clock = guard.clock
        self._arrived: deque[Question] = deque()
        self._wake = asyncio.Event()
        self._waiting: dict[str, PendingRequest[ReserveRequest, ReserveReply]] = {}
        self._since_snapshot = 0
        self._desks: tuple[Desk[Any, Any], ...] = (
            guard.bus.desk(COST_RESERVE, self._take, on_cancel=self._cancel),
            guard.bus.desk(COST_SETTLE, self._take),
            guard.bus.desk(COST_RELEASE, self._take),
            guard.bus.desk(COST_STATE, self._take),
        )

    async def open(self) -> None:
        for desk in self._desks:
            await desk.open()

    async def close(self) -> None:
        for desk in self._desks:
            await desk.close()

    def _take(self, question: Question) -> None:
        if len(self._arrived) < ARRIVALS_MAX:  # beyond: silence, and the caller asks again
            self._arrived.append(question)
            self._wake.set()

    def _cancel(self, request_id: str) -> None:
        for call_id, waiting in self._waiting.items():
            if waiting.request_id == request_id:
                del self._waiting[call_id]
                return

    async def work(self) -> None:
        """Until the lease is lost or nothing can be stored.

        Raises:
            FencedError: another process leads.
            PublishError: the stream doesn't take the entry.
        """
        while True:
            try:
                async with asyncio.timeout(SWEEP_S):
                    await self._wake.wait()
            except TimeoutError:
                pass
            self._wake.clear()
            while await self._decide_group():
                pass

    async def _decide_group(self) -> bool:
        """Decide what waits; whether more does."""
        now_s = self._clock()
        ledger = self._ledger
        came_back = bool(ledger.sweep(now_s, time_text(now_s)))
        answers: list[tuple[Question, Any]] = []
        refused: list[BudgetState] = []
        gated = 0
        while self._arrived and len(answers) < GROUP_MAX and len(ledger.entries) < ENTRIES_MAX:
            if gated >= GATED_TOGETHER_MAX:
                break
            question = self._arrived.popleft()
            gated += isinstance(question.request, ReserveRequest) and bool(question.request.gates)
            match question.request:
                case ReserveRequest():
                    self._reserve(question, now_s, answers, refused)
                case SettleRequest(records=records):
                    settled = sum(ledger.settle(record, now_s) for record in records)
                    answers.append((question, SettleReply(settled=settled)))
                    came_back = True
                case ReleaseRequest(call_ids=call_ids):
                    for call_id in call_ids:
                        self._waiting.pop(call_id, None)
                    answers.append((question, Release(held_nusd=sum(map(ledger.release, call_ids)))))
                    came_back = True
                case StateRequest() as request:
                    answers.append((question, self._state(request)))
        self._retry_waiting(now_s, answers, refused, came_back=came_back)
        ledger.alert(refused)
        if ledger.entries:
            entries, ledger.entries = tuple(ledger.entries), []
            announced = self._announcer.announced
            batch = Batch(epoch=self._tenure.fencing_token, entries=entries, announced=announced)
            seq = await self._journal.append(batch)
            self._announcer.add(seq, batch, ledger)
            self._since_snapshot += len(entries)
        for question, reply in answers:
            await question.answer(reply)
        if self._since_snapshot >= SNAPSHOT_ENTRIES:
            await self._snapshot()
        return bool(self._arrived)

    def _reserve(
        self,
        question: PendingRequest[ReserveRequest, ReserveReply],
        now_s: float,
        answers: list[tuple[Question, Any]],
        refused: list[BudgetState],
    ) -> None:
        request = question.request
        decision = self._ledger.reserve(request, now_s)
        if not isinstance(decision, Refused):
            self._waiting.pop(request.call_id, None)
            reply = ReserveReply(granted_nusd=decision.amount_nusd, is_gated=bool(request.gates))
            answers.append((question, reply))
            return
        if decision.may_fit_later and _may_wait(request, now_s) and len(self._waiting) < WAITING_MAX:
            self._waiting[request.call_id] = question  # asked again: the newer inbox counts
            return
        self._waiting.pop(request.call_id, None)
        if not decision.may_fit_later:
            refused.append(decision.budget)
        answers.append((question, ReserveReply(refused=decision.budget, is_gated=bool(request.gates))))

    def _retry_waiting(
        self,
        now_s: float,
        answers: list[tuple[Question, Any]],
        refused: list[BudgetState],
        *,
        came_back: bool,
    ) -> None:
        """Those who wait, in the order in which they came: all when money came back, else those who can't any more."""
        for question in list(self._waiting.values()):
            if came_back or not _may_wait(question.request, now_s):
                self._reserve(question, now_s, answers, refused)

    def _state(self, request: StateRequest) -> StateReply:
        state = self._ledger.state
        self._ledger.look(self._clock())
        budgets = {
            budget.limit.split(" ")[0]: budget
            for budget in self._ledger.budgets(request.task_id, request.tenant)
        }
        month = budgets["month"]
        return StateReply(
            month=month,
            tenant=budgets.get("tenant"),
            task=budgets.get("task"),
            is_stopped=month.spent_nusd + month.reserved_nusd >= month.stop_nusd,
            open_reservations=len(state.open),
            leader=f"{self._tenure.record.host}:{self._tenure.record.pid}",
            epoch=self._tenure.fencing_token,
        )

    async def _snapshot(self) -> None:
        self._since_snapshot = 0
        await self._journal.append_snapshot(
            Snapshot(
                epoch=self._tenure.fencing_token,
                state=self._ledger.state,
                announced=self._announcer.announced,
            )
        )


def _may_wait(request: ReserveRequest, now_s: float) -> bool:
    return bool(request.wait_until) and parse_time(request.wait_until) > now_s
