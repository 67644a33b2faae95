"""Janitor: makes room in the event stream before it is full, by forgetting tasks that are finished.

Listens  nothing; looks once a minute
Emits    nothing
Effects  purges the events of finished tasks, oldest first, once the stream is fuller than `FULL_FROM`

The stream never drops anything by itself, since what it holds may still be waiting. What a finished task said is
not waiting any more; its record in `TASKS` stays.
"""

import asyncio
import logging
from dataclasses import dataclass
from typing import Final

from agents.tracker.tracker import tasks_bucket
from bus import Bus, BusError, StreamState
from schemas.task import TaskRecord

log = logging.getLogger("labverse.janitor")

LOOK_EVERY_S: Final = 60.0
FULL_FROM: Final = 0.8
FULL_UNTIL: Final = 0.6
ROUND_TASKS: Final = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Janitor:
    bus: Bus

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                await self.clean()
            except BusError as error:
                log.warning("the event stream can't be looked at: %s", error)
            await asyncio.sleep(LOOK_EVERY_S)

    async def clean(self) -> int:
        """Make room if it is needed; returns how many tasks were forgotten.

        Raises:
            BusError: the server doesn't answer.
        """
        forgotten = 0
        events = (await self.bus.streams())[0]
        if fullness(events) < FULL_FROM:
            return 0
        finished = oldest_finished(list((await tasks_bucket(self.bus).values()).values()))
        for number, task_id in enumerate(finished):
            if number % ROUND_TASKS == 0 and fullness((await self.bus.streams())[0]) < FULL_UNTIL:
                break
            forgotten += (await self.bus.forget(task_id)) > 0
        log.warning(
            "the event stream was %.0f %% full: forgot %d finished tasks", fullness(events) * 100, forgotten
        )
        return forgotten


def fullness(stream: StreamState) -> float:
    """Core: share of the stream's tightest limit that is used, 0 to 1."""
    shares = [0.0]
    if stream.messages_max > 0:
        shares.append(stream.messages / stream.messages_max)
    if stream.bytes_max > 0:
        shares.append(stream.bytes / stream.bytes_max)
    return max(shares)


def oldest_finished(records: list[TaskRecord]) -> list[str]:
    """Core: ids of finished tasks, the one that finished first in front."""
    finished = [record for record in records if record.state.is_final]
    return [record.task_id for record in sorted(finished, key=lambda record: record.finished_at)]
