"""Reading a stream in order without changing it: for gathers, watchers, lists and cancellations."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator
from types import TracebackType
from typing import Any, Final, Literal

from nats.aio.msg import Msg

from bus.connection import Connection
from bus.envelope import time_text
from bus.errors import BusError
from bus.pull import PullLoop, read_delivery
from schemas.ids import new_id

CAPACITY: Final = 512
FORGOTTEN_AFTER_S: Final = 60.0
"""The server removes a reader's consumer when nobody pulled from it for so long."""


class StreamReader:
    """Messages of `stream` under `filters`, each once and in order, through reconnects and server restarts.

    Args:
        start: `all`, `new`, or `last` (the newest of each subject, then what comes).
        after_seq: only what stands behind this stream sequence (with `all`).
        since_s: only what was stored at or after this time, seconds since 1970 (with `all`).

    Use as an async context manager; `read` gives the next message.
    """

    def __init__(
        self,
        connection: Connection,
        stream: str,
        filters: tuple[str, ...],
        *,
        start: Literal["all", "new", "last"] = "all",
        after_seq: int = 0,
        since_s: float = 0.0,
    ) -> None:
        self._connection = connection
        self._stream = stream
        self._filters = filters
        self._start = start
        self._last_seq = after_seq
        self._since_s = since_s
        self._queue: deque[Msg] = deque()
        self._arrived = asyncio.Event()
        self._consumer = ""
        self._left = -1  # messages still to come that were stored before we looked; -1 not known yet
        self._loop = PullLoop(
            connection, stream=stream, capacity=CAPACITY, ensure=self._make_consumer, deliver=self._on_message
        )

    async def __aenter__(self) -> "StreamReader":
        await self._loop.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._loop.stop(hand_back=False)
        if self._connection.client.is_connected:
            # Not awaited: an unused consumer costs little and goes by itself.
            await self._connection.client.send(
                f"$JS.API.CONSUMER.DELETE.{self._stream}.{self._consumer}", b""
            )

    @property
    def is_caught_up(self) -> bool:
        """Whether everything that was stored when the reader started has been read."""
        return self._left == 0 and not self._queue

    async def read(self) -> Msg:
        """The next message, however long it takes."""
        while not self._queue:
            self._arrived.clear()
            await self._arrived.wait()
        self._loop.release()
        return self._queue.popleft()

    async def read_stored(self, *, timeout_s: float = 10.0) -> list[Msg]:
        """All messages that are stored by now.

        Raises:
            BusError: they didn't come within `timeout_s`.
        """
        out: list[Msg] = []
        try:
            async with asyncio.timeout(timeout_s):
                while not self.is_caught_up:
                    out.append(await self.read())
        except TimeoutError:
            raise BusError(f"reading {self._stream} took longer than {timeout_s:g} s") from None
        return out

    async def stored(self, *, timeout_s: float) -> AsyncGenerator[tuple[Msg, int]]:
        """Messages that are stored by now with their stream sequences, without holding them all.

        Raises:
            BusError: none came for `timeout_s`.
        """
        while not self.is_caught_up:
            try:
                async with asyncio.timeout(timeout_s):
                    message = await self.read()
            except TimeoutError:
                raise BusError(f"{self._stream} gave nothing for {timeout_s:g} s") from None
            yield message, read_delivery(message.reply).stream_seq

    def _on_message(self, message: Msg) -> None:
        delivery = read_delivery(message.reply)
        if delivery.consumer != self._consumer or delivery.stream_seq <= self._last_seq:
            # Of a consumer that we have replaced: after a break it would go on behind the gap.
            self._loop.release()
            return
        self._last_seq = delivery.stream_seq
        self._left = delivery.pending
        self._queue.append(message)
        self._arrived.set()

    async def _make_consumer(self) -> str:
        # Always a new one that starts behind what we have: nothing is acknowledged, so a delivery that was
        # on its way when the connection broke would be missing otherwise.
        self._consumer = f"read-{new_id()}"
        config: dict[str, Any] = {
            "name": self._consumer,
            "ack_policy": "none",
            "filter_subjects": list(self._filters),
            "inactive_threshold": int(FORGOTTEN_AFTER_S * 1e9),
            "mem_storage": True,
            "num_replicas": 1,
        }
        if self._last_seq:
            config |= {"deliver_policy": "by_start_sequence", "opt_start_seq": self._last_seq + 1}
        elif self._since_s:
            config |= {"deliver_policy": "by_start_time", "opt_start_time": time_text(self._since_s)}
        else:
            policy = {"all": "all", "new": "new", "last": "last_per_subject"}
            config["deliver_policy"] = policy[self._start]
        made = await self._connection.api(
            f"CONSUMER.CREATE.{self._stream}.{self._consumer}",
            {"stream_name": self._stream, "config": config, "action": "create"},
        )
        if error := made.get("error"):
            raise BusError(f"can't read {self._stream}: {error.get('description')}")
        self._left = int(made.get("num_pending", 0))
        return self._consumer
