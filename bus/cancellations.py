"""Which tasks were called off: every process reads it from the stream and stops what it runs for them."""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from bus.connection import Connection
from bus.envelope import read_envelope
from bus.errors import DecodeError
from bus.reader import StreamReader
from bus.streams import EVENTS
from schemas.event import SUBJECT_ROOT, tag_of
from schemas.task import TaskCancelled

log = logging.getLogger("labverse.bus")

REMEMBERED_MAX: Final = 100_000
CATCH_UP_S: Final = 10.0


class Cancellations:
    """Knows all cancelled tasks that are still in the stream, newest `REMEMBERED_MAX`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._reader: StreamReader | None = None
        self._tasks: OrderedDict[str, None] = OrderedDict()
        self._follower: asyncio.Task[None] | None = None
        self.on_cancel: list[Callable[[str], None]] = []

    async def start(self) -> None:
        """Returns when everything cancelled so far is known, so that no worker starts on such a task."""
        filters = (f"{SUBJECT_ROOT}.{tag_of(TaskCancelled)}.>",)
        self._reader = await StreamReader(self._connection, EVENTS, filters).__aenter__()
        for message in await self._reader.read_stored(timeout_s=CATCH_UP_S):
            self._note(message.subject)
        self._follower = asyncio.create_task(self._follow(self._reader), name="cancellations")

    async def stop(self) -> None:
        if self._follower is not None and self._reader is not None:
            self._follower.cancel()
            await self._reader.__aexit__(None, None, None)

    def __contains__(self, task_id: str) -> bool:
        return task_id in self._tasks

    def _note(self, subject: str) -> str | None:
        try:
            task_id = read_envelope(subject, None).task_id
        except DecodeError as error:
            log.warning("a cancellation that names no task: %s", error)
            return None
        self._tasks[task_id] = None
        while len(self._tasks) > REMEMBERED_MAX:
            self._tasks.popitem(last=False)
        return task_id

    async def _follow(self, reader: StreamReader) -> None:
        while True:
            message = await reader.read()
            if task_id := self._note(message.subject):
                for callback in self.on_cancel:
                    callback(task_id)
