"""Publishing with an acknowledgement window of its own.

One wildcard inbox takes all acknowledgements; every publish has a deadline; what is unconfirmed at a
reconnect is sent again under the same id, so nothing is lost and, because an id is stored once, nothing is
doubled.
"""

import asyncio
import logging
import time
from dataclasses import dataclass, field
from typing import Final

import msgspec
from nats.aio.msg import Msg
from nats.errors import Error as NatsError

from bus.connection import Connection
from bus.envelope import block
from bus.errors import (
    AlreadyHandledError,
    PublishError,
    PublishTimeoutError,
    StreamFullError,
)
from schemas.ids import new_id

log = logging.getLogger("labverse.bus")

WINDOW: Final = 1024
"""Publishes in flight per connection."""
BATCHES_MAX: Final = 12
"""Atomic batches in flight per connection; the server allows 50 a stream."""
BATCH_MESSAGES_MAX: Final = 1000
RESEND_AFTER_S: Final = 3.0
SWEEP_S: Final = 0.1
FULL_PAUSE_S: Final = (0.1, 2.0)
"""First and longest pause before a publish to a full stream is tried again."""
PUBLISH_TIMEOUT_S: Final = 60.0

_WRONG_LAST_SEQUENCE = 10071
_DUPLICATE_IN_BATCH = 10201
_FULL = frozenset({10023, 10028, 10047, 10077, 10122})


class Outgoing(msgspec.Struct, frozen=True):
    """One message to be stored: subject, finished header lines, payload."""

    subject: str
    lines: str
    payload: bytes


class _ApiError(msgspec.Struct):
    code: int = 0
    err_code: int = 0
    description: str = ""


class _PubAck(msgspec.Struct):
    seq: int = 0
    duplicate: bool = False
    error: _ApiError | None = None


_decode_ack = msgspec.json.Decoder(_PubAck).decode


@dataclass(slots=True)
class _Pending:
    messages: tuple[Outgoing, ...]
    future: asyncio.Future[int]
    deadline: float
    resend_at: float = 0.0
    sends: int = 0
    full_pause_s: float = 0.0
    problem: str = field(default="no acknowledgement")
    full: bool = False


class Publisher:
    """Stores messages in streams and waits for the server's word that they are on disk."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._client = connection.client
        self._pending: dict[str, _Pending] = {}
        self._window = asyncio.Semaphore(WINDOW)
        self._batches = asyncio.Semaphore(BATCHES_MAX)
        self._token = 0
        self._inbox = ""
        self._sweeper: asyncio.Task[None] | None = None
        self._resending: asyncio.Task[None] | None = None
        self._full_logged_at = -60.0

    async def start(self) -> None:
        self._inbox = self._connection.inbox() + "."
        await self._connection.subscribe(self._inbox + "*", self._on_ack)
        self._connection.on_reconnect.append(self._resend_all_soon)
        self._sweeper = asyncio.create_task(self._sweep(), name="publisher sweep")

    async def stop(self) -> None:
        """Give up what is unconfirmed: its publishers get a PublishTimeoutError."""
        for task in (self._sweeper, self._resending):
            if task is not None:
                task.cancel()
        for pending in self._pending.values():
            if not pending.future.done():
                pending.future.set_exception(
                    PublishTimeoutError("the connection was closed before the server confirmed")
                )
                pending.future.exception()  # whoever waits sees it; nobody waiting is no reason for a warning
        self._pending.clear()

    async def publish(
        self, subject: str, lines: str, payload: bytes, *, timeout_s: float = PUBLISH_TIMEOUT_S
    ) -> int:
        """Store one message; returns its stream sequence.

        Raises:
            AlreadyHandledError: an expectation in `lines` doesn't hold: the id is stored already.
            StreamFullError: the stream stayed full until the time was over.
            PublishTimeoutError: the server didn't confirm in time; it may have stored it all the same.
            PublishError: the server refused it for another reason.
        """
        return await self._store((Outgoing(subject, lines, payload),), timeout_s)

    async def publish_batch(
        self, messages: tuple[Outgoing, ...], *, timeout_s: float = PUBLISH_TIMEOUT_S
    ) -> int:
        """Store all messages or none (one atomic batch, one stream); returns the last one's sequence.

        Raises:
            as `publish`; ValueError for more than `BATCH_MESSAGES_MAX` messages.
        """
        if not 1 <= len(messages) <= BATCH_MESSAGES_MAX:
            raise ValueError(f"a batch takes 1 to {BATCH_MESSAGES_MAX} messages, not {len(messages)}")
        if len(messages) == 1:
            return await self._store(messages, timeout_s)
        async with self._batches:
            return await self._store(messages, timeout_s)

    async def _store(self, messages: tuple[Outgoing, ...], timeout_s: float) -> int:
        await self._window.acquire()
        self._token += 1
        token = str(self._token)
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        pending = _Pending(messages, future, time.monotonic() + timeout_s)
        self._pending[token] = pending
        try:
            if self._client.is_connected:
                await self._send(token, pending)
            return await future
        finally:
            self._pending.pop(token, None)
            self._window.release()

    async def _send(self, token: str, pending: _Pending) -> None:
        pending.sends += 1
        pending.resend_at = time.monotonic() + RESEND_AFTER_S
        reply = self._inbox + token
        try:
            if len(pending.messages) == 1:
                message = pending.messages[0]
                await self._client.send(message.subject, message.payload, reply, block(message.lines))
                return
            batch, last = new_id(), len(pending.messages)
            for number, message in enumerate(pending.messages, 1):
                lines = f"Nats-Batch-Id: {batch}\r\nNats-Batch-Sequence: {number}\r\n{message.lines}"
                if number == last:
                    lines += "Nats-Batch-Commit: 1\r\n"
                await self._client.send(
                    message.subject, message.payload, reply if number == last else "", block(lines)
                )
        except (NatsError, OSError) as error:
            # Not sent, or not wholly: the reconnect or the sweep sends it again.
            pending.problem = f"{type(error).__name__} {error}".strip()
            if self._client.is_closed:
                self._fail(pending, PublishError("the connection is closed"))

    async def _on_ack(self, message: Msg) -> None:
        pending = self._pending.get(message.subject[len(self._inbox) :])
        if pending is None or pending.future.done():
            return
        if message.headers and message.headers.get("Status") == "503":
            pending.problem = "no stream takes this subject, or JetStream is not ready"
            pending.resend_at = time.monotonic() + SWEEP_S
            return
        try:
            ack = _decode_ack(message.data)
        except msgspec.DecodeError:
            self._fail(pending, PublishError(f"unreadable acknowledgement {message.data[:80]!r}"))
            return
        if ack.error is None:
            pending.future.set_result(ack.seq)
        else:
            self._on_refusal(pending, ack.error)

    def _on_refusal(self, pending: _Pending, error: _ApiError) -> None:
        subject = pending.messages[0].subject
        now = time.monotonic()
        if error.err_code in (_WRONG_LAST_SEQUENCE, _DUPLICATE_IN_BATCH):
            self._fail(pending, AlreadyHandledError(f"{subject}: stored before ({error.description})"))
        elif error.err_code in _FULL or "exceeded" in error.description:
            first, longest = FULL_PAUSE_S
            pending.full, pending.problem = True, error.description
            pending.full_pause_s = min(longest, pending.full_pause_s * 2 or first)
            pending.resend_at = now + pending.full_pause_s
            if now > self._full_logged_at + 10:
                self._full_logged_at = now
                log.warning(
                    "the stream is full (%s): publishing waits until there is room", error.description
                )
        elif "inflight" in error.description or "in-flight" in error.description:
            pending.problem, pending.resend_at = error.description, now + SWEEP_S
        else:
            self._fail(pending, PublishError(f"{subject}: {error.description} ({error.err_code})"))

    def _fail(self, pending: _Pending, error: PublishError) -> None:
        if not pending.future.done():
            pending.future.set_exception(error)

    def _resend_all_soon(self) -> None:
        for pending in self._pending.values():
            pending.resend_at = 0.0
        self._resending = asyncio.create_task(self._resend_due(), name="publisher resend")

    async def _resend_due(self) -> None:
        now = time.monotonic()
        for token, pending in list(self._pending.items()):
            if pending.future.done() or not self._client.is_connected:
                continue
            if now >= pending.resend_at:
                await self._send(token, pending)

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_S)
            now = time.monotonic()
            for pending in list(self._pending.values()):
                if now < pending.deadline:
                    continue
                subject = pending.messages[0].subject
                if pending.full:
                    self._fail(
                        pending,
                        StreamFullError(
                            f"{subject}: the stream is full ({pending.problem}); "
                            "raise bus.stream_bytes_max, or wait for finished tasks to age out"
                        ),
                    )
                else:
                    self._fail(pending, PublishTimeoutError(f"{subject}: {pending.problem} in time"))
            if self._client.is_connected:
                await self._resend_due()
