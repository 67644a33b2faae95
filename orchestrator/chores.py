"""Background tasks that a command ends when it leaves."""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

from bus.cancelling import end as end
from bus.redact import error_text

log = logging.getLogger("labverse")


def start(work: Coroutine[Any, Any, None], name: str) -> "asyncio.Task[None]":
    """Run it in the background; that it failed is said when it happens, not when the command leaves."""
    task = asyncio.create_task(work, name=name)
    task.add_done_callback(_tell)
    return task


def _tell(task: "asyncio.Task[None]") -> None:
    if not task.cancelled() and (error := task.exception()):
        log.error("%s stopped working: %s; start this process again", task.get_name(), error_text(error))
