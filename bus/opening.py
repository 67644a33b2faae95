"""Opening the bus: find or start a server, connect, make sure of the streams; and leave it in good order."""

import asyncio
import logging
import os
import socket
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from bus.bus import Bus
from bus.connection import Connection, ConnectOptions
from bus.embedded import EmbeddedServer
from bus.errors import BusError
from bus.options import BusOptions
from bus.streams import ensure_streams
from bus.tracing import Tracing

if TYPE_CHECKING:
    from opentelemetry.metrics import Meter
    from opentelemetry.trace import Tracer

log = logging.getLogger("labverse.bus")

REVIVE_AFTER_S: Final = 0.2


@asynccontextmanager
async def open_bus(
    options: BusOptions, tracer: "Tracer | None" = None, meter: "Callable[[], Meter] | None" = None
) -> AsyncGenerator[Bus]:
    """Connect to the bus, starting the embedded one where needed, and leave it in good order.

    Args:
        meter: gives the meter for agents' metrics, when one asks.

    Raises:
        EmbeddedServerError, ConnectError: there is no bus to be had.
        BusError: the server lacks what Labverse needs.
    """
    server = None
    address = None
    connect = options.connect
    if connect is None:
        server = EmbeddedServer(options.data_dir, port=options.port, sync_always=options.sync_always)
        address = await server.acquire()
        connect = ConnectOptions(url=address.url, user=address.user, password=address.password)
    connect = replace(connect, name=f"{options.source} {socket.gethostname()}:{os.getpid()}")
    try:
        connection = await Connection.open(connect)
        bus = Bus(connection, options, Tracing(tracer, meter), address)
        reviver = _Reviver(server, connection) if server is not None else None
        try:
            await bus.publisher.start()
            await asyncio.gather(ensure_streams(connection, options.limits), bus.presence.ensure())
            yield bus
        finally:
            if reviver is not None:
                reviver.stop()
            await bus.drain()
            await bus.publisher.stop()
            await connection.close()
    finally:
        if server is not None:
            server.release()


class _Reviver:
    """Starts the embedded server again when its warden was killed; the warden itself mends all else."""

    def __init__(self, server: EmbeddedServer, connection: Connection) -> None:
        self._server = server
        self._connection = connection
        self._task: asyncio.Task[None] | None = None
        connection.on_disconnect.append(self._start)

    def stop(self) -> None:
        self._connection.on_disconnect.clear()
        if self._task is not None:
            self._task.cancel()

    def _start(self) -> None:
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._revive(), name="revive the bus")

    async def _revive(self) -> None:
        while not self._connection.client.is_connected:
            await asyncio.sleep(REVIVE_AFTER_S)
            try:
                await self._server.ensure_running()
            except BusError as error:
                log.warning("the embedded bus can't be started again: %s", error)
