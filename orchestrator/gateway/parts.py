"""What every endpoint of the gateway is given: the bus, the settings, and a place for work that outlives a request.

An endpoint's module has `def routes(parts: Parts) -> list[Route]`, whose routes are made with
`orchestrator.gateway.endpoint.Endpoint`, and stands in the list of `orchestrator.gateway.app`.
"""

import asyncio
import logging
import time
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any, Final

from bus import Bus
from bus.redact import error_text
from config.settings import Settings
from orchestrator.gateway.timings import Timings

log = logging.getLogger("labverse.gateway")

BACKGROUND_MAX: Final = 256
"""Pieces of work at a time that outlive their requests."""


@dataclass(eq=False, slots=True, kw_only=True)
class Background:
    """Work that goes on after its request was answered, and ends with the gateway.

    Args:
        tasks_max: pieces of work at a time; more are refused.
    """

    tasks_max: int = BACKGROUND_MAX
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _is_closed: bool = False

    def __len__(self) -> int:
        return len(self._tasks)

    def start(self, work: Coroutine[Any, Any, object], name: str) -> bool:
        """Let `work` run; False, and it never runs, when too much runs already or the gateway closes.

        What it raises is logged under `name`.
        """
        if self._is_closed or len(self._tasks) >= self.tasks_max:
            work.close()
            log.warning("%s is left out: %d pieces of work run behind requests already", name, len(self))
            return False
        task = asyncio.create_task(_logged(work, name), name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return True

    async def close(self, grace_s: float) -> None:
        """Take no more work; what has not finished within the grace period is cancelled."""
        self._is_closed = True
        tasks = list(self._tasks)
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=grace_s)
            for task in late:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def _logged(work: Coroutine[Any, Any, object], name: str) -> None:
    try:
        await work
    except Exception as error:  # nobody waits for this work: the log is the one place that can tell of it
        log.warning("%s failed: %s", name, error_text(error))


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What endpoints work with.

    Attributes:
        version: of this program.
        timings: of the requests that this process answered.
        started_s: when the gateway started, by the monotonic clock.
    """

    bus: Bus
    settings: Settings
    version: str
    background: Background = field(default_factory=Background)
    timings: Timings = field(default_factory=Timings)
    started_s: float = field(default_factory=time.monotonic)
