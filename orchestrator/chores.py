"""Background tasks that a command ends when it leaves."""

import asyncio
import logging
from collections.abc import Coroutine, Iterable
from typing import Any, Final

from bus.redact import error_text

log = logging.getLogger("labverse")

CANCEL_AGAIN_S: Final = 2.5
"""Longer than anything takes to leave in good order (a lease is given back within a second)."""
CANCELS_MAX: Final = 4


def start(work: Coroutine[Any, Any, None], name: str) -> "asyncio.Task[None]":
    """Run it in the background; that it failed is said when it happens, not when the command leaves."""
    task = asyncio.create_task(work, name=name)
    task.add_done_callback(_tell)
    return task


def _tell(task: "asyncio.Task[None]") -> None:
    if not task.cancelled() and (error := task.exception()):
        log.error("%s stopped working: %s; start this process again", task.get_name(), error_text(error))


async def end(chores: "Iterable[asyncio.Task[Any]]") -> None:
    """Cancel them and wait until all have ended; how they ended is nobody's business any more.

    Once more when nothing came of it: nats-py, and asyncio.wait_for in Python 3.11, swallow a cancellation that
    comes at the wrong moment, and who waits for such a task waits for ever.
    """
    left = set(chores)
    for _ in range(CANCELS_MAX):
        for task in left:
            task.cancel()
        if not left:
            return
        ended, left = await asyncio.wait(left, timeout=CANCEL_AGAIN_S)
        for task in ended:
            if not task.cancelled():
                task.exception()  # told when it happened
    for task in left:
        log.warning("%s did not end", task.get_name())
