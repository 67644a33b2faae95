"""Who is there: every process that runs agents says so every few seconds, and is forgotten when it stops."""

import asyncio
import os
import socket
from collections.abc import Callable
from typing import Final

import msgspec

from bus.connection import Connection
from bus.envelope import now_text
from bus.errors import BusError
from bus.kv import Bucket
from bus.publisher import Publisher
from schemas.ids import new_id

BEAT_S: Final = 2.0
FORGOTTEN_AFTER_S: Final = 8.0


class AgentRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One agent of a process: `durable` is what it is, `name` which one."""

    name: str
    durable: str
    concurrency: int
    running: int = 0
    handled: int = 0
    failed: int = 0


class ProcessRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A process that runs agents.

    Attributes:
        role: `up`, `agent`, or `review` for the agents of one command, which leave with it.
    """

    process_id: str
    host: str
    pid: int
    role: str
    version: str
    started_at: str
    agents: tuple[AgentRecord, ...] = ()


class Presence:
    """Keeps our record in the bucket `AGENTS`, and reads everybody's."""

    def __init__(self, connection: Connection, publisher: Publisher, *, role: str, version: str) -> None:
        self._bucket = Bucket(
            connection,
            publisher,
            "AGENTS",
            ProcessRecord,
            age_max_s=FORGOTTEN_AFTER_S,
            bytes_max=16 * 1024**2,
        )
        self._record = ProcessRecord(
            process_id=new_id(),
            host=socket.gethostname(),
            pid=os.getpid(),
            role=role,
            version=version,
            started_at=now_text(),
        )
        self._beat: asyncio.Task[None] | None = None
        self._now = asyncio.Event()

    async def ensure(self) -> None:
        await self._bucket.ensure()

    async def processes(self) -> list[ProcessRecord]:
        """All that have been heard of within `FORGOTTEN_AFTER_S`."""
        return list((await self._bucket.values()).values())

    def start(self, agents: Callable[[], tuple[AgentRecord, ...]]) -> None:
        """Begin to say that we are here, with what `agents` tells each time; again: say so at once."""
        if self._beat is None:
            self._beat = asyncio.create_task(self._say(agents), name="presence")
        self._now.set()

    async def stop(self) -> None:
        if self._beat is None:
            return
        self._beat.cancel()
        self._beat = None
        try:
            async with asyncio.timeout(1.0):
                await self._bucket.delete(self._record.process_id)
        except (BusError, TimeoutError):
            pass  # the server has gone; the record ages out by itself

    async def _say(self, agents: Callable[[], tuple[AgentRecord, ...]]) -> None:
        while True:
            record = msgspec.structs.replace(self._record, agents=agents())
            try:
                await self._bucket.put(record.process_id, record)
            except BusError:
                pass  # the connection tells the operator; here the next beat tries again
            self._now.clear()
            try:
                async with asyncio.timeout(BEAT_S):
                    await self._now.wait()
            except TimeoutError:
                pass
