"""uvicorn's connections and server, with the limits that they lack.

uvicorn waits for ever for a request's head and for a client to take its answer, counts no connections, and takes the
process's signals for itself.
"""

import asyncio
import logging
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, Final

import msgspec
from uvicorn import Config, Server
from uvicorn.protocols.http.h11_impl import H11Protocol

from orchestrator.gateway.endpoint import JSON_TYPE, ErrorBody, Problem
from orchestrator.gateway.gate import HEAD_BYTES_MAX

log = logging.getLogger("labverse.gateway")

HEAD_S: Final = 10.0
"""For the whole head of a request to arrive."""
STALL_S: Final = 30.0
"""Within which a client takes at least some of what we have for it."""
CONNECTIONS_MAX: Final = 512
"""At a time; more are closed at once. Stays below the 1024 files that a process may often have open."""


class Connection(H11Protocol):
    """One client's connection."""

    _head_timer: asyncio.TimerHandle | None = None
    _stall_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > CONNECTIONS_MAX:
            transport.abort()
            return
        self._watch_head()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.transport.is_closing() or not self._is_idle():
            self._stop_watching()
        elif self._head_timer is None:
            self._watch_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_watching()
        self._stop_stalling()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._watch_stall(self.transport.get_write_buffer_size())

    def resume_writing(self) -> None:
        self._stop_stalling()
        super().resume_writing()

    def send_400_response(self, msg: str) -> None:
        """What isn't HTTP gets our shape of error."""
        problem = Problem(
            code="bad_request", message=f"no valid HTTP, or its head has more than {HEAD_BYTES_MAX} bytes"
        )
        body = msgspec.json.encode(ErrorBody(error=problem))
        if self._is_idle():  # else an answer is on its way already, to what was a request up to here
            head = (
                f"HTTP/1.1 400 Bad Request\r\ncontent-type: {JSON_TYPE}\r\ncontent-length: {len(body)}\r\n"
                "connection: close\r\n\r\n"
            )
            self.transport.write(head.encode() + body)
        self.transport.close()

    def _watch_stall(self, waiting_bytes: int) -> None:
        def look() -> None:
            still = self.transport.get_write_buffer_size()
            if still >= waiting_bytes:
                log.info("a client took nothing for %g s: %d bytes for it are dropped", STALL_S, still)
                self.transport.abort()
            else:
                self._watch_stall(still)

        self._stall_timer = self.loop.call_later(STALL_S, look)

    def _stop_stalling(self) -> None:
        if self._stall_timer is not None:
            self._stall_timer.cancel()
            self._stall_timer = None

    def _is_idle(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _watch_head(self) -> None:
        self._head_timer = self.loop.call_later(HEAD_S, self.transport.abort)

    def _stop_watching(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None


class HttpServer(Server):
    """A server that leaves signals to `labverse up`, and says when it serves."""

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.serves = asyncio.Event()

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        """Takes none."""
        yield

    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        self.serves.set()
