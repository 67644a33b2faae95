"""Our own pull loop on a JetStream consumer.

nats-py's `fetch()` ignores reconnects and leaves live pull requests behind when cancelled. Here one callback
inbox takes what overlapping pull requests bring; it asks again at half of its capacity, after a reconnect,
and when the heartbeat of the server stays away.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple

import msgspec
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription as NatsSubscription
from nats.errors import Error as NatsError

from bus.connection import Connection
from bus.errors import BusError
from bus.redact import error_text

log = logging.getLogger("labverse.bus")

EXPIRES_S: Final = 30.0
HEARTBEAT_S: Final = 1.0
STOP_S: Final = 1.0
NAK: Final = b"-NAK"
SILENCE_MAX_S: Final = 2.5 * HEARTBEAT_S
ENSURE_PAUSE_S: Final = (0.02, 1.0)
"""First and longest pause between attempts to find the consumer again."""


class Delivery(NamedTuple):
    """What a delivered message's reply subject says of it."""

    consumer: str
    received: int
    stream_seq: int
    pending: int


def read_delivery(reply: str) -> Delivery:
    """Take a reply subject apart: `$JS.ACK.<stream>.<consumer>.<received>.<stream seq>.<consumer seq>.<time>.
    <pending>`, or with `<domain>.<account>` after ACK and a random token at the end.

    Raises:
        ValueError: it is none.
    """
    tokens = reply.split(".")
    if len(tokens) > 9:
        tokens = tokens[2:11]
    if len(tokens) != 9:
        raise ValueError(f"{reply[:200]!r} is no acknowledgement subject of JetStream")
    return Delivery(tokens[3], int(tokens[4]), int(tokens[5]), int(tokens[8]))


class PullLoop:
    """Feeds `deliver` from a consumer, never holding more than `capacity` messages that are not released.

    Args:
        ensure: makes sure there is a consumer and returns its name; called again whenever the connection or
            the consumer was lost.
        deliver: takes one message, at once; must not raise.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        stream: str,
        capacity: int,
        ensure: Callable[[], Awaitable[str]],
        deliver: Callable[[Msg], None],
    ) -> None:
        self._connection = connection
        self._client = connection.client
        self._stream = stream
        self._subject = ""
        self._capacity = capacity
        self._ensure = ensure
        self._deliver = deliver
        self._inbox = ""
        self._subscription: NatsSubscription | None = None
        self._requested = 0  # asked for and not yet delivered
        self._in_hand = 0  # delivered and not yet released
        self._heard_at = time.monotonic()
        self._stopped = False
        self._watchdog: asyncio.Task[None] | None = None
        self._finding: asyncio.Task[None] | None = None
        self._asking: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Raises BusError when the consumer can't be made."""
        self._inbox = self._connection.inbox()
        self._subscription = await self._connection.subscribe(self._inbox, self._on_message)
        self._take(await self._ensure())
        self._connection.on_reconnect.append(self._on_reconnect)
        self._watchdog = asyncio.create_task(self._watch(), name=f"pull {self._stream}")
        await self._ask()

    def _take(self, consumer: str) -> None:
        self._subject = f"$JS.API.CONSUMER.MSG.NEXT.{self._stream}.{consumer}"

    def release(self) -> None:
        """One delivered message left our hands: there is room for another."""
        self._in_hand -= 1
        self._ask_soon()

    async def release_and_ask(self) -> None:
        """As `release`, with the request for more sent before this returns."""
        self._in_hand -= 1
        if self._room() * 2 >= self._capacity:
            await self._ask()

    async def stop(self, *, hand_back: bool = True) -> None:
        """Ask for nothing more. What is on its way here goes back at once, or after ack_wait."""
        self._stopped = True
        if self._on_reconnect in self._connection.on_reconnect:
            self._connection.on_reconnect.remove(self._on_reconnect)
        for task in (self._watchdog, self._finding):
            if task is not None:
                task.cancel()
        if self._subscription is None:
            return
        try:
            if hand_back and self._client.is_connected:
                await asyncio.wait_for(self._subscription.drain(), STOP_S)  # type: ignore[no-untyped-call]
            else:
                await self._subscription.unsubscribe()
        except (NatsError, TimeoutError):
            pass  # the connection is gone, and the interest with it

    def _room(self) -> int:
        return self._capacity - self._in_hand - self._requested

    def _ask_soon(self) -> None:
        if not self._stopped and self._room() * 2 >= self._capacity:
            asking = asyncio.create_task(self._ask())
            self._asking.add(asking)
            asking.add_done_callback(self._asking.discard)

    async def _ask(self) -> None:
        room = self._room()
        if room <= 0 or self._stopped or not self._client.is_connected:
            return
        self._requested += room
        request = msgspec.json.encode(
            {
                "batch": room,
                "expires": int(EXPIRES_S * 1e9),
                "idle_heartbeat": int(HEARTBEAT_S * 1e9),
            }
        )
        try:
            await self._client.send(self._subject, request, self._inbox)
        except (NatsError, OSError):
            self._requested -= room  # disconnected this moment: the reconnect asks again

    async def _on_message(self, message: Msg) -> None:
        self._heard_at = time.monotonic()
        headers = message.headers
        if headers and "Status" in headers:
            self._on_status(headers)
            return
        self._requested = max(0, self._requested - 1)
        self._in_hand += 1
        if self._stopped:
            await message.respond(NAK)
            return
        self._deliver(message)
        if self._room() * 2 >= self._capacity:
            await self._ask()

    def _on_status(self, headers: dict[str, str]) -> None:
        status = headers["Status"]
        if status == "100":
            return
        pending = headers.get("Nats-Pending-Messages", "")
        if status == "408" and pending.isdecimal():
            self._requested = max(0, self._requested - int(pending))
            self._ask_soon()
            return
        # 404 or 409: consumer deleted, leadership change, server shutdown; 503: nobody there. Start afresh.
        self._find_again()

    def _on_reconnect(self) -> None:
        self._requested = 0
        self._heard_at = time.monotonic()
        self._find_again()

    def _find_again(self) -> None:
        if not self._stopped and (self._finding is None or self._finding.done()):
            self._finding = asyncio.create_task(self._find_consumer(), name=f"find {self._stream}")

    async def _find_consumer(self) -> None:
        pause, longest = ENSURE_PAUSE_S
        while not self._stopped:
            try:
                self._take(await self._ensure())
                break
            except BusError as error:
                log.warning("pulling from %s: %s", self._stream, error)
                await asyncio.sleep(pause)
                pause = min(longest, pause * 2)
        self._requested = 0
        self._heard_at = time.monotonic()
        await self._ask()

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(HEARTBEAT_S)
            try:
                if not self._client.is_connected:
                    continue
                if self._requested and time.monotonic() - self._heard_at > SILENCE_MAX_S:
                    self._on_reconnect()  # the server forgot our request
                else:
                    self._ask_soon()
            except Exception as error:  # whatever it is: the one that mends all else must go on
                log.warning("watching %s: %s", self._stream, error_text(error))
