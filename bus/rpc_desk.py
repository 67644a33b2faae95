"""A desk: requests to a service that one process alone may answer, taken as they come and answered when ready.

A `Server` shares requests with others and works on each by itself. A leader can't share, and does best when it
decides what waits together: it gets each request as a `PendingRequest` and answers it later, or never. The
subscription has no queue group: a former leader that was frozen still gets requests but stays silent, and
whoever leads now answers.
"""

import logging
import time
from collections.abc import Callable
from typing import Any, Final, Generic

import msgspec
import nats.errors
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription as NatsSubscription

from bus.connection import Connection
from bus.envelope import block, header_lines, parse_time
from bus.errors import DecodeError
from bus.redact import error_text
from bus.rpc import Reply, Request, Service

log = logging.getLogger("labverse.bus")

NO_DEADLINE_S: Final = 60.0
_END: Final = block("lv-end: 1\r\n")
_encode = msgspec.json.Encoder().encode


class PendingRequest(Generic[Request, Reply]):
    """One request that waits for its answer. Answer or refuse it once; what comes after that is ignored."""

    __slots__ = ("_connection", "_inbox", "deadline_s", "is_cancelled", "request", "request_id")

    def __init__(
        self, connection: Connection, inbox: str, request: Request, request_id: str, deadline_s: float
    ) -> None:
        self._connection = connection
        self._inbox = inbox
        self.request = request
        self.request_id = request_id
        self.deadline_s = deadline_s
        self.is_cancelled = False

    async def answer(self, reply: Reply) -> None:
        await self._send(_encode(reply), _END)

    async def refuse(self, kind: str, text: str) -> None:
        lines = header_lines({"lv-error": kind, "lv-message": text or "-", "lv-end": "1"})
        await self._send(b"", block(lines))

    async def _send(self, payload: bytes, headers: bytes) -> None:
        inbox, self._inbox = self._inbox, ""
        if inbox:
            try:
                await self._connection.client.send(inbox, payload, "", headers)
            except (nats.errors.Error, OSError) as error:
                log.debug("answer not sent: %s", error_text(error))  # the caller asks again


class Desk(Generic[Request, Reply]):
    """Takes requests to `service` while it is open, and hands each to `take`, in order."""

    def __init__(
        self,
        connection: Connection,
        service: Service[Request, Reply],
        take: Callable[[PendingRequest[Request, Reply]], None],
        *,
        on_cancel: Callable[[str], None] | None = None,
    ) -> None:
        self._connection = connection
        self._service = service
        self._take = take
        self._on_cancel = on_cancel
        self._decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(service.request)
        self._subscriptions: list[NatsSubscription] = []

    async def open(self) -> None:
        service, connection = self._service, self._connection
        self._subscriptions = [await connection.subscribe(service.subject, self._on_request)]
        if self._on_cancel is not None:
            self._subscriptions.append(
                await connection.subscribe(f"{service.cancel_subject}.*", self._cancel)
            )
        # Twice, as in `bus.rpc.Server.start`: the first answer may overtake the subscription.
        await connection.client.flush()
        await connection.client.flush()

    async def close(self) -> None:
        """Take no more requests: from here on callers hear at once that nobody serves them."""
        subscriptions, self._subscriptions = self._subscriptions, []
        try:
            for subscription in subscriptions:
                await subscription.unsubscribe()
            # Twice, as in `open`: until the server has taken it, a caller would wait in vain.
            await self._connection.client.flush(timeout=1)
            await self._connection.client.flush(timeout=1)
        except (nats.errors.Error, OSError) as error:
            log.debug("not unsubscribed: %s", error_text(error))

    async def _on_request(self, message: Msg) -> None:
        headers: dict[str, str] = message.headers or {}
        request_id = headers.get("lv-request", "")
        try:
            deadline = headers.get("ce-deadline", "")
            deadline_s = parse_time(deadline) if deadline else time.time() + NO_DEADLINE_S
            request: Request = self._decoder.decode(message.data or b"{}")
        except (DecodeError, msgspec.DecodeError) as error:
            await self._refuse(message.reply, str(error))
            return
        if deadline_s > time.time():
            self._take(PendingRequest(self._connection, message.reply, request, request_id, deadline_s))

    async def _refuse(self, inbox: str, text: str) -> None:
        lines = header_lines(
            {"lv-error": "DecodeError", "lv-message": f"{self._service.name}: {text}", "lv-end": "1"}
        )
        if inbox:
            await self._connection.client.send(inbox, b"", "", block(lines))

    async def _cancel(self, message: Msg) -> None:
        assert self._on_cancel is not None
        self._on_cancel(message.subject.rsplit(".", 1)[1])
