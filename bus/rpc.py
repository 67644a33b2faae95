"""Request and reply over core NATS: for what is short and not worth keeping.

Servers of one service share its requests (queue group). The caller's deadline and trace go with the request;
no server is an immediate error; an answer may come in pieces; a caller that leaves early stops the work.
"""

import asyncio
import itertools
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar, cast

import msgspec
import nats.errors
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription as NatsSubscription

from bus.connection import Connection
from bus.envelope import block, header_lines, parse_time, time_text
from bus.errors import (
    BusError,
    DeadlineError,
    DecodeError,
    NoResponderError,
    PayloadTooLargeError,
    RemoteError,
)
from bus.redact import error_text
from bus.tracing import Tracing
from schemas.ids import new_id

log = logging.getLogger("labverse.bus")

Request = TypeVar("Request", bound=msgspec.Struct)
Reply = TypeVar("Reply", bound=msgspec.Struct)

CONCURRENCY: Final = 256
"""Requests that one server works on at once; more are refused at once, so that the caller can go elsewhere."""
REPLY_QUEUE_MAX: Final = 10_000
_NO_SPAN: Final = nullcontext()


@dataclass(frozen=True, slots=True)
class Service(Generic[Request, Reply]):
    """A service by its name (`llm.complete`), with the types of request and reply."""

    name: str
    request: type[Request]
    reply: type[Reply]

    @property
    def subject(self) -> str:
        return f"rpc.{self.name}"

    @property
    def cancel_subject(self) -> str:
        return f"rpc-cancel.{self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """What a server knows of a request: until when the answer matters, and for which task."""

    request_id: str
    deadline_s: float
    task_id: str = ""


Answer = Callable[[Request, Caller], Awaitable[Reply]]
AnswerInPieces = Callable[[Request, Caller], AsyncIterator[Reply]]


class Client:
    """Calls services. All answers come to one inbox, so that a call costs no subscription of its own."""

    def __init__(self, connection: Connection, tracing: Tracing) -> None:
        self._connection = connection
        self._tracing = tracing
        self._inbox = ""
        self._opening = asyncio.Lock()
        self._names = (f"{prefix}{number}" for prefix in (new_id(),) for number in itertools.count())
        self._waiting: dict[str, Callable[[Msg], None]] = {}
        self._decoders: dict[type[msgspec.Struct], msgspec.json.Decoder[Any]] = {}

    async def call(
        self, service: Service[Request, Reply], request: Request, *, deadline_s: float, task_id: str = ""
    ) -> Reply:
        """The one answer.

        Args:
            deadline_s: absolute, seconds since 1970.

        Raises:
            NoResponderError: nobody serves this, known at once.
            DeadlineError: no answer in time; the server was told to stop.
            RemoteError: the server reports an error.
        """
        if not self._inbox:
            await self._open()
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Msg] = loop.create_future()
        request_id = next(self._names)

        def on_reply(message: Msg) -> None:
            if not answer.done():
                answer.set_result(message)

        self._waiting[request_id] = on_reply
        timer = loop.call_later(max(0.0, deadline_s - time.time()), answer.cancel)
        finished = False
        try:
            with self._span(service):
                await self._send(service, request, request_id, deadline_s, task_id)
                message = await _unless_timed_out(answer, service.name)
                headers = message.headers or {}
                finished = "lv-end" in headers or "Status" in headers
                _raise_error(service.name, headers)
                if not message.data:
                    raise RemoteError("EmptyReply", f"{service.name} answered nothing")
                return cast(Reply, _decode(service.name, self._decoder(service), message.data))
        finally:
            timer.cancel()
            await self._leave(service, request_id, finished=finished)

    async def stream(
        self, service: Service[Request, Reply], request: Request, *, deadline_s: float, task_id: str = ""
    ) -> AsyncGenerator[Reply]:
        """The pieces of the answer as they come. Leaving the loop early stops the server's work.

        Raises:
            as `call`; what came before the error has been yielded. RemoteError too when the caller takes so long
            that REPLY_QUEUE_MAX pieces wait.
        """
        if not self._inbox:
            await self._open()
        request_id = next(self._names)
        queue: asyncio.Queue[Msg] = asyncio.Queue()
        self._waiting[request_id] = queue.put_nowait
        decoder = self._decoder(service)
        finished = False
        try:
            with self._span(service):
                await self._send(service, request, request_id, deadline_s, task_id)
                while not finished:
                    async with asyncio.timeout(max(0.0, deadline_s - time.time())):
                        message = await queue.get()
                    if queue.qsize() > REPLY_QUEUE_MAX:
                        raise RemoteError(
                            "TooSlow", f"{REPLY_QUEUE_MAX} pieces of {service.name} wait to be taken"
                        )
                    headers = message.headers or {}
                    finished = "lv-end" in headers or "Status" in headers
                    _raise_error(service.name, headers)
                    if message.data:
                        yield _decode(service.name, decoder, message.data)
        except TimeoutError:
            raise DeadlineError(f"{service.name} did not answer before the deadline") from None
        finally:
            await self._leave(service, request_id, finished=finished)

    def _span(self, service: Service[Request, Reply]) -> AbstractContextManager[object]:
        if not self._tracing.is_on:
            return _NO_SPAN
        return self._tracing.span(f"request {service.name}", {"messaging.system": "nats"})

    def _decoder(self, service: Service[Request, Reply]) -> "msgspec.json.Decoder[Any]":
        decoder = self._decoders.get(service.reply)
        if decoder is None:
            decoder = self._decoders[service.reply] = msgspec.json.Decoder(service.reply)
        return decoder

    async def _leave(self, service: Service[Request, Reply], request_id: str, *, finished: bool) -> None:
        self._waiting.pop(request_id, None)
        if not finished and self._connection.client.is_connected:
            await self._connection.client.send(f"{service.cancel_subject}.{request_id}", b"")

    async def _open(self) -> None:
        async with self._opening:
            if not self._inbox:
                inbox = self._connection.inbox() + "."
                await self._connection.subscribe(f"{inbox}*", self._on_reply)
                self._inbox = inbox

    async def _on_reply(self, message: Msg) -> None:
        # Never waits: one caller who is slow to take its pieces must not hold up all others.
        waiting = self._waiting.get(message.subject[len(self._inbox) :])
        if waiting is not None:
            waiting(message)

    async def _send(
        self,
        service: Service[Request, Reply],
        request: Request,
        request_id: str,
        deadline_s: float,
        task_id: str,
    ) -> None:
        lines = f"lv-request: {request_id}\r\nce-deadline: {time_text(deadline_s)}\r\n"
        if task_id:
            lines += header_lines({"ce-correlationid": task_id})
        if traceparent := self._tracing.current():
            lines += f"traceparent: {traceparent}\r\n"
        payload = msgspec.json.encode(request)
        try:
            await self._connection.client.send(
                service.subject, payload, self._inbox + request_id, block(lines)
            )
        except nats.errors.MaxPayloadError:
            raise PayloadTooLargeError(
                f"request of {len(payload)} bytes to {service.name} exceeds the server's limit of "
                f"{self._connection.payload_bytes_max} bytes"
            ) from None
        except (nats.errors.Error, OSError) as error:
            raise BusError(f"request to {service.name} not sent: {error_text(error)}") from None


async def _unless_timed_out(answer: "asyncio.Future[Msg]", name: str) -> Msg:
    """The answer; its future is cancelled by the deadline's timer, which is not the caller's being cancelled."""
    try:
        return await answer
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        raise DeadlineError(f"{name} did not answer before the deadline") from None


def _raise_error(name: str, headers: dict[str, str]) -> None:
    if headers.get("Status") == "503":
        raise NoResponderError(f"nobody serves {name}: is an agent for it running?")
    if "lv-error" in headers:
        raise RemoteError(headers["lv-error"], headers.get("lv-message", ""))


class Server(Generic[Request, Reply]):
    """Serves one service in this process."""

    def __init__(
        self,
        connection: Connection,
        tracing: Tracing,
        service: Service[Request, Reply],
        answer: Answer[Request, Reply] | None = None,
        *,
        pieces: AnswerInPieces[Request, Reply] | None = None,
        concurrency: int = CONCURRENCY,
    ) -> None:
        if (answer is None) == (pieces is None):
            raise TypeError("give either `answer` or `pieces`")
        self._connection = connection
        self._tracing = tracing
        self._service = service
        self._answer = answer
        self._pieces = pieces
        self._concurrency = concurrency
        self._decoder = msgspec.json.Decoder(service.request)
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._subscriptions: list[NatsSubscription] = []

    async def start(self) -> None:
        service, connection = self._service, self._connection
        self._subscriptions = [
            await connection.subscribe(f"{service.cancel_subject}.*", self._on_cancel),
            await connection.subscribe(service.subject, self._on_request, queue=service.name),
        ]
        # Twice: nats-py's PING overtakes what it still buffers, so the first answer may come before the server
        # knows of the subscription; the second can't.
        await connection.client.flush()
        await connection.client.flush()

    async def stop(self, grace_s: float = 1.0) -> None:
        """Take no more requests, finish those at hand within `grace_s`, cancel the rest."""
        for subscription in self._subscriptions:
            await _quietly(subscription.unsubscribe())
        tasks = list(self._tasks.values())
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=grace_s)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def _on_cancel(self, message: Msg) -> None:
        task = self._tasks.get(message.subject.rsplit(".", 1)[1])
        if task is not None:
            task.cancel()

    async def _on_request(self, message: Msg) -> None:
        headers: dict[str, str] = message.headers or {}
        request_id = headers.get("lv-request") or new_id()
        if len(self._tasks) >= self._concurrency:
            await self._refuse(
                message, "Busy", f"{self._service.name} works on {self._concurrency} requests already"
            )
            return
        task = asyncio.create_task(self._serve(message, headers, request_id))
        self._tasks[request_id] = task
        task.add_done_callback(lambda _: self._tasks.pop(request_id, None))

    async def _serve(self, message: Msg, headers: dict[str, str], request_id: str) -> None:
        try:
            deadline = headers.get("ce-deadline", "")
            deadline_s = parse_time(deadline) if deadline else time.time() + 60.0
            request = _decode(self._service.name, self._decoder, message.data or b"{}")
            caller = Caller(
                request_id=request_id, deadline_s=deadline_s, task_id=headers.get("ce-correlationid", "")
            )
            with self._tracing.span(f"serve {self._service.name}", parent=headers.get("traceparent", "")):
                async with asyncio.timeout(max(0.0, deadline_s - time.time())):
                    await self._reply(message.reply, request, caller)
        except asyncio.CancelledError:
            await self._refuse(message, "Cancelled", "the caller left, or the server stops")
        except TimeoutError:
            await self._refuse(message, "DeadlineError", f"{self._service.name} ran out of time")
        except Exception as error:
            if not isinstance(error, BusError):
                log.warning("%s failed: %s", self._service.name, error_text(error))
            await self._refuse(message, type(error).__name__, str(error))

    async def _reply(self, inbox: str, request: Request, caller: Caller) -> None:
        if not inbox:
            raise DecodeError("a request needs a reply subject")
        send = self._connection.client.send
        if self._answer is not None:
            data = msgspec.json.encode(await self._answer(request, caller))
            await send(inbox, data, "", block("lv-end: 1\r\n"))
            return
        assert self._pieces is not None
        async for piece in self._pieces(request, caller):
            await send(inbox, msgspec.json.encode(piece))
        await send(inbox, b"", "", block("lv-end: 1\r\n"))

    async def _refuse(self, message: Msg, kind: str, text: str) -> None:
        if not message.reply:
            return
        lines = header_lines(
            {"lv-error": kind, "lv-message": error_text(BusError(text))[10:] or "-", "lv-end": "1"}
        )
        await _quietly(self._connection.client.send(message.reply, b"", "", block(lines)))


def _decode(name: str, decoder: "msgspec.json.Decoder[Reply]", data: bytes) -> Reply:
    try:
        return decoder.decode(data)
    except msgspec.DecodeError as error:
        raise DecodeError(f"{name}: {error}") from None


async def _quietly(call: Awaitable[object]) -> None:
    """For good-byes: the connection may be gone already."""
    try:
        await call
    except (nats.errors.Error, OSError) as error:
        log.debug("not sent any more: %s", error_text(error))
