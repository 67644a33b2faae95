"""Tells the rest of the house what the ledger recorded: each call of a task, and thresholds, each once.

The books are the truth; events follow them. Ids are derived from what they tell, so that telling again after a
crash changes nothing, and whoever takes over begins behind the last batch that was told whole.
"""

import asyncio
import logging
from collections import deque
from dataclasses import dataclass, field
from typing import Final

from agents.cost_guard.books import Batch
from agents.cost_guard.ledger import Account, Alerted, Expired, Ledger, Settled
from bus import AlreadyHandledError, Bus, BusError
from schemas.cost import CallRecord, CostRecorded, CostThresholdCrossed
from schemas.event import Event, is_token
from schemas.ids import derive_id

log = logging.getLogger("labverse.cost_guard")

BATCHES_MAX: Final = 10_000
"""Batches whose events wait to be published; with more, the oldest stay to be told by whoever takes over."""
TOGETHER_MAX: Final = 64
RETRY_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class _Telling:
    """An event, the task under which it is told, and its id."""

    event: Event
    task_id: str
    event_id: str


@dataclass(eq=False, slots=True, kw_only=True)
class Announcer:
    """Publishes in the background, in order, batch by batch.

    Attributes:
        announced: stream sequence up to which everything was told.
    """

    bus: Bus
    channel: str
    announced: int
    _waiting: deque[tuple[int, list[_Telling]]] = field(default_factory=deque)
    _wake: asyncio.Event = field(default_factory=asyncio.Event)

    def add(self, seq: int, batch: Batch, ledger: Ledger) -> None:
        """Take a stored batch: one's own, or what a former leader perhaps did not tell.

        A task's sum is the ledger's at this moment; sums only grow, so listeners take the largest.
        """
        tellings = []
        for entry in batch.entries:
            match entry:
                case Alerted():
                    tellings.append(_threshold(entry, self.channel))
                case Settled() | Expired() if entry.record and is_token(entry.record.task_id):
                    account = ledger.state.tasks.get(entry.record.task_id, Account())
                    tellings.append(_call(entry.record, account.spent_nusd))
                case _:
                    pass
        if len(self._waiting) < BATCHES_MAX:
            self._waiting.append((seq, tellings))
            self._wake.set()

    async def run(self) -> None:
        while True:
            while self._waiting:
                seq, tellings = self._waiting[0]
                for start in range(0, len(tellings), TOGETHER_MAX):
                    part = tellings[start : start + TOGETHER_MAX]
                    await asyncio.gather(*(self._tell(telling) for telling in part))
                self.announced = seq
                self._waiting.popleft()
            self._wake.clear()
            await self._wake.wait()

    async def _tell(self, telling: _Telling) -> None:
        while True:
            try:
                await self.bus.publish(telling.event, task_id=telling.task_id, event_id=telling.event_id)
            except AlreadyHandledError:
                return
            except BusError as error:
                log.warning("costs can't be told yet: %s", error)
                await asyncio.sleep(RETRY_S)
            else:
                return


def _call(record: CallRecord, task_spent_nusd: int) -> _Telling:
    event_id = derive_id(f"{record.call_id} {record.outcome}", "cost-guard")
    return _Telling(
        CostRecorded(record=record, task_spent_nusd=task_spent_nusd), record.task_id, f"cost-{event_id}"
    )


def _threshold(alerted: Alerted, channel: str) -> _Telling:
    budget = alerted.budget
    event = CostThresholdCrossed(
        budget=budget, percent=alerted.percent, is_stop=alerted.is_stop, channel=channel
    )
    month = budget.limit.rsplit(" ", 1)[1]
    return _Telling(event, f"cost-{month}", derive_id(alerted.key, "cost-guard"))
