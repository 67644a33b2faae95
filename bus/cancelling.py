"""Ending tasks for good: a cancellation can get lost, and who waits for such a task waits for ever.

nats-py, and asyncio.wait_for in Python 3.11, swallow a cancellation that comes at the wrong moment.
"""

import asyncio
import logging
from collections.abc import Iterable
from typing import Any, Final

log = logging.getLogger("labverse.bus")

CANCEL_AGAIN_S: Final = 2.5
"""Longer than anything takes to leave in good order (a lease is given back within a second)."""
CANCELS_MAX: Final = 4


def cancellations() -> int:
    """How often this task was asked to end, so far."""
    task = asyncio.current_task()
    return task.cancelling() if task is not None else 0


def raise_swallowed(before: int) -> None:
    """End this task if it was asked to since `before` (of `cancellations`) and whoever it awaited passed over that.

    Raises:
        asyncio.CancelledError: it was.
    """
    if cancellations() > before:
        raise asyncio.CancelledError


async def end(tasks: "Iterable[asyncio.Future[Any]]", *, again_s: float = CANCEL_AGAIN_S) -> None:
    """Cancel them and wait until all have ended; how they ended is nobody's business any more.

    Args:
        again_s: what has not ended then is cancelled once more.
    """
    left = set(tasks)
    for _ in range(CANCELS_MAX):
        for task in left:
            task.cancel()
        if not left:
            return
        ended, left = await asyncio.wait(left, timeout=again_s)
        for task in ended:
            if not task.cancelled():
                task.exception()  # told when it happened
    for task in left:
        log.warning("%s did not end", task.get_name() if isinstance(task, asyncio.Task) else task)
