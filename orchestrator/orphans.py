"""Reviews whose command was killed: nobody waits for them, so they must not hold up those that somebody does."""

import os
import socket
from typing import Final

from bus import Bus
from orchestrator.tasks import known_tasks
from schemas.task import TaskRecord

PREFIX: Final = "labverse/review@"


def review_source() -> str:
    """Who this command is in the envelope of its request: machine and process."""
    return f"{PREFIX}{socket.gethostname()}:{os.getpid()}"


async def cancel_orphans(bus: Bus) -> list[str]:
    """Call off unfinished reviews of this machine whose command is gone; returns their ids."""
    orphans = [task.task_id for task in await known_tasks(bus) if is_orphan(task, socket.gethostname())]
    for task_id in orphans:
        await bus.cancel(task_id, by="labverse", reason="its command was killed")
    return orphans


def is_orphan(task: TaskRecord, host: str) -> bool:
    """Whether a task belongs to a command on `host` that doesn't run any more."""
    owner = task.owner.removeprefix(PREFIX)
    where, _, pid = owner.rpartition(":")
    if task.state.is_final or owner == task.owner or where != host or not pid.isdecimal():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass  # somebody else's process: alive
    return False
