"""What is due of approvals: their deadlines, reminders, withdrawals, and what nobody was told yet.

Every approver looks, at what it knows every second and for what others left behind now and then. Several who look at
the same time do no harm: one wins the write, and what follows from it is told once.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

import msgspec

from agents.approver.deciding import lapsed, withdrawn
from agents.approver.records import Records
from agents.approver.teller import Teller
from agents.approver.tellings import expiring, tellings
from bus import AlreadyHandledError, Bus
from bus.envelope import parse_time
from bus.redact import error_text
from schemas.approval import Approval

log = logging.getLogger("labverse.approver")

SWEEP_S: Final = 1.0
RESCAN_S: Final = 30.0
RESCAN_SHARE_MAX: Final = 0.05
"""Of the time, that reading all records may take: with very many it is done less often."""
SETTLING_MAX: Final = 32
"""Records that a sweep works on at the same time."""
WARN_TIMEOUT_S: Final = 5.0

CANCELLED: Final = "its task was cancelled"


@dataclass(eq=False, slots=True, kw_only=True)
class Sweeper:
    """Knows what is open or untold, and does what is due.

    Args:
        clock: seconds since 1970.
        sweep_s, rescan_s: between looks at the approvals that this process knows; between looks for others.
    """

    bus: Bus
    clock: Callable[[], float]
    sweep_s: float = SWEEP_S
    rescan_s: float = RESCAN_S
    records: Records = field(init=False)
    teller: Teller = field(init=False)
    _unfinished: dict[str, Approval] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.records = Records(self.bus, self.seen)
        self.teller = Teller(bus=self.bus, records=self.records)

    def seen(self, approval: Approval) -> None:
        """Take note of a record that was just read or written."""
        if approval.is_open or approval.told < len(tellings(approval)):
            self._unfinished[approval.approval_id] = approval
        else:
            self._unfinished.pop(approval.approval_id, None)

    async def run(self) -> None:
        """Until cancelled."""
        rescan_at = 0.0
        while True:
            if (started := time.monotonic()) >= rescan_at:
                await _carefully(self.rescan())
                took_s = time.monotonic() - started
                rescan_at = time.monotonic() + max(self.rescan_s, took_s / RESCAN_SHARE_MAX)
            await _carefully(self.sweep())
            await asyncio.sleep(self.sweep_s)

    async def rescan(self) -> None:
        """Learn of all approvals that are not finished, whoever opened them.

        Raises:
            BusError: the records can't be read.
        """
        known = list(self._unfinished)
        stored = await self.records.all()
        for approval in stored.values():
            self.seen(approval)
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
            return lambda: self.withdraw(key, CANCELLED)
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

    async def withdraw(self, approval_id: str, why: str) -> Approval | None:
        """Withdraw an approval that is open; the record afterwards, None if there is none.

        Raises:
            BusError: it can't be read or written.
        """

        def change(stored: Approval) -> tuple[Approval, Approval]:
            changed = withdrawn(stored, why, self.clock())
            return changed, changed

        approval = await self.records.change(approval_id, change)
        if approval is not None:
            self.teller.soon(approval)
        return approval


async def _carefully(look: Awaitable[None]) -> None:
    """Whatever is wrong with one look, the next one must come: later deadlines have to be kept."""
    try:
        await look
    except Exception as error:
        log.warning("approvals can't be looked at: %s", error_text(error))


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
