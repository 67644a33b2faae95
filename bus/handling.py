"""How an event is handled, for all agents in one place.

Decode or bury; drop what is late, cancelled or done; run the handler under its deadline; commit its outputs with
the mark that it is done; acknowledge. A failure is tried again later without blocking what comes behind, or
buried.
"""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
from nats.aio.msg import Msg
from nats.errors import Error as NatsError

from bus.cancellations import Cancellations
from bus.connection import Connection
from bus.envelope import (
    Envelope,
    due_subject,
    header_lines,
    now_text,
    parse_time,
    read_envelope,
    time_text,
)
from bus.errors import (
    AlreadyHandledError,
    DecodeError,
    PayloadTooLargeError,
    PermanentError,
    PublishError,
    RetryableError,
)
from bus.letters import Letters, read_history
from bus.outbox import Outbox
from bus.publisher import Publisher
from bus.pull import NAK, PullLoop, read_delivery
from bus.redact import error_text
from bus.streams import LATER, LATER_MESSAGES_MAX
from bus.subscription import Outputs, Subscription
from bus.tracing import Tracing
from schemas.event import Event
from schemas.ids import derive_id
from schemas.registry import BY_TAG
from schemas.task import TaskExpired

log = logging.getLogger("labverse.bus")

ACK: Final = b""
BACKOFF_S: Final = (0.5, 60.0)
"""Before the second attempt; and at most. Doubled each time, with jitter of ±25 %."""
DELAY_MAX_S: Final = 86_400.0
HISTORY_MAX: Final = 5
KEEP_FROM_RETRY_S: Final = 5.0


@dataclass(slots=True, eq=False)
class InHand:
    """A delivered message that is not yet answered."""

    reply: str
    message: Msg
    loop: PullLoop
    stream: str
    touched_at: float
    task: "asyncio.Task[None] | None" = None
    task_id: str = ""
    is_slot_free: bool = False  # another handler runs already while this one's outputs are committed
    ending: str = ""  # why its task was stopped: "cancelled" or "handed back"


@dataclass(frozen=True, slots=True, kw_only=True)
class BusParts:
    """What handling needs of the bus.

    Attributes:
        in_hand: all events that this process works on, by agent and address: none is handled twice at once.
    """

    connection: Connection
    publisher: Publisher
    outbox: Outbox
    letters: Letters
    cancellations: Cancellations
    tracing: Tracing
    in_hand: dict[tuple[str, str], InHand] = field(default_factory=dict)


class Handling:
    """Handles the events of one subscription under the name `agent`; counts what became of them.

    Args:
        on_handled: told when a handler has returned and only its commit is left to do.
    """

    def __init__(
        self,
        subscription: Subscription,
        parts: BusParts,
        *,
        agent: str,
        source: str,
        on_handled: Callable[[InHand], Awaitable[None]],
    ) -> None:
        self.subscription = subscription
        self.agent = agent
        self.handled = 0
        self.failed = 0
        self._on_handled = on_handled
        self._parts = parts
        self._source = source

    async def handle(self, hand: InHand) -> None:
        """Take one delivered message to one of its ends. What is neither committed nor buried stays unanswered
        and comes again after ack_wait.

        Raises:
            BusError: something could not be stored or looked up.
        """
        message = hand.message
        delivery = read_delivery(message.reply)
        try:
            envelope = read_envelope(message.subject, message.headers, delivery.stream_seq, delivery.received)
        except DecodeError as error:
            await self._bury(hand, None, "not an event's address or headers", str(error), delivery.received)
            return
        if self.subscription.sees_unknown and envelope.tag not in self.subscription.tags:
            await self._on_other(hand, envelope)
            return
        key = (self.subscription.durable, f"{envelope.subject}#{envelope.replay}")
        earlier = self._parts.in_hand.get(key)
        if earlier is not None:
            # Delivered again while we still work on it: answer the newest delivery when it is done.
            earlier.reply = hand.reply
            return
        self._parts.in_hand[key] = hand
        hand.task_id = envelope.task_id
        try:
            await self._handle_event(hand, envelope)
        finally:
            del self._parts.in_hand[key]

    async def _on_other(self, hand: InHand, envelope: Envelope) -> None:
        """An event of a type that we don't listen to: fine if others may, a dead letter if nobody knows it.

        The task is not told that a step failed: agents of a newer version may be at work on it.
        """
        if envelope.tag in BY_TAG:
            await self.answer(hand, ACK)
        else:
            known = ", ".join(BY_TAG)
            error = f"{envelope.tag!r} is none of {known}"
            await self._bury(
                hand, None, "an event type that this version doesn't know", error, envelope.attempt
            )

    async def _handle_event(self, hand: InHand, envelope: Envelope) -> None:
        if envelope.task_id in self._parts.cancellations and not self.subscription.is_projection:
            await self.answer(hand, ACK)
            return
        left_s = None
        if envelope.deadline:
            left_s = parse_time(envelope.deadline) - time.time()
            if left_s <= 0 and not self.subscription.is_projection:
                await self._expire(hand, envelope, -left_s)
                return
        if envelope.received > 1 or envelope.id == envelope.task_id:
            # A redelivery, or an address that a foreign publisher may have used twice: done already?
            if not self.subscription.is_projection and await self._parts.outbox.is_done(
                envelope, self.subscription.durable
            ):
                await self.answer(hand, ACK)
                return
            if envelope.attempt > self.subscription.attempts_max:
                reason = "its worker died or was stopped at every attempt"
                await self._bury(hand, envelope, reason, "", envelope.attempt - 1)
                return
        try:
            event = await self._parts.outbox.decode(envelope, hand.message.data)
        except DecodeError as error:
            await self._bury(
                hand, envelope, "not the event that its subject says", str(error), envelope.attempt
            )
            return
        if self.subscription.is_projection:  # every event has one; in a trace they would only hide the work
            await self._call(hand, envelope, event, left_s)
            return
        with self._parts.tracing.process(envelope, self.subscription.durable, self.agent):
            await self._call(hand, envelope, event, left_s)

    async def _call(self, hand: InHand, envelope: Envelope, event: Event, left_s: float | None) -> None:
        try:
            if left_s is None or self.subscription.is_projection:
                outputs = await self.subscription.handle(event, envelope)
            else:
                async with asyncio.timeout(left_s) as scope:
                    outputs = await self.subscription.handle(event, envelope)
        except TimeoutError as error:
            if left_s is not None and not self.subscription.is_projection and scope.expired():
                await self._expire(hand, envelope, 0.0)
            else:
                await self._fail(hand, envelope, error)
        except PermanentError as error:
            self._parts.tracing.failed(error_text(error))
            await self._bury(hand, envelope, "the handler refused it", error_text(error), envelope.attempt)
        except Exception as error:
            self._parts.tracing.failed(error_text(error))
            await self._fail(hand, envelope, error)
        else:
            await self._on_handled(hand)
            await self._commit(hand, envelope, outputs)

    async def _commit(self, hand: InHand, envelope: Envelope, outputs: Outputs) -> None:
        if envelope.task_id in self._parts.cancellations and not self.subscription.is_projection:
            await self.answer(hand, ACK)  # called off while the handler ran, or was frozen
            return
        events: Sequence[Event]
        if outputs is None:
            events = ()
        elif isinstance(outputs, Event):
            events = (outputs,)
        else:
            events = outputs
        try:
            if events or not self.subscription.is_projection:
                await self._parts.outbox.commit(
                    events, cause=envelope, durable=self.subscription.durable, source=self._source
                )
        except AlreadyHandledError:
            log.debug("%s: another worker was first on %s", self.agent, envelope.subject)
        except (PayloadTooLargeError, ValueError) as error:
            await self._bury(
                hand, envelope, "its outputs can't be stored", error_text(error), envelope.attempt
            )
            return
        except PublishError as error:
            log.warning("%s: outputs for %s not stored: %s", self.agent, envelope.subject, error_text(error))
            await self.answer(hand, NAK)
            return
        self.handled += 1
        await self.answer(hand, ACK)

    async def _expire(self, hand: InHand, envelope: Envelope, late_s: float) -> None:
        expired = TaskExpired(
            agent=self.subscription.durable,
            event_type=envelope.tag,
            event_id=envelope.id,
            deadline=envelope.deadline,
            late_s=round(late_s, 3),
        )
        await self._commit(hand, envelope, expired)

    async def _fail(self, hand: InHand, envelope: Envelope, error: Exception) -> None:
        self.failed += 1
        text = error_text(error)
        if envelope.attempt >= self.subscription.attempts_max:
            await self._bury(hand, envelope, f"failed {envelope.attempt} times", text, envelope.attempt)
            return
        delay_s = error.delay_s if isinstance(error, RetryableError) else None
        if delay_s is None:
            first, longest = BACKOFF_S
            delay_s = min(longest, first * 2 ** (envelope.attempt - 1)) * random.uniform(0.75, 1.25)
        delay_s = min(max(delay_s, 0.0), DELAY_MAX_S)
        if not isinstance(error, RetryableError):
            log.warning("%s: %s failed: %s", self.agent, envelope.subject, text)
        # What follows a task from outside must become true after its deadline too.
        deadline = "" if self.subscription.is_projection else envelope.deadline
        if deadline and time.time() + delay_s > parse_time(deadline):
            await self._bury(hand, envelope, "no time left for another attempt", text, envelope.attempt)
            return
        await self._retry(hand, envelope, text, delay_s)

    async def _retry(self, hand: InHand, envelope: Envelope, text: str, delay_s: float) -> None:
        durable, attempt = self.subscription.durable, envelope.attempt + 1
        history = [*read_history(envelope.history), f"{now_text()} {self.agent}: {text}"][-HISTORY_MAX:]
        headers = {
            name: value
            for name, value in (hand.message.headers or {}).items()
            if not str(name).startswith(("Nats-", "lv-attempt", "lv-history"))
        }
        headers |= {
            "lv-attempt": str(attempt),
            "lv-history": msgspec.json.encode(history).decode(),
            "Nats-Schedule": f"@at {time_text(time.time() + delay_s)}",
            "Nats-Schedule-Target": due_subject(durable, envelope),
            "Nats-Expected-Last-Subject-Sequence": "0",
        }
        key = derive_id(envelope.subject, durable, envelope.replay)
        try:
            if await self._later_is_full():
                raise PublishError(f"more than {LATER_MESSAGES_MAX} retries are waiting")
            await self._parts.publisher.publish(
                f"later.at.{durable}.{key}.{attempt}", header_lines(headers), hand.message.data
            )
        except AlreadyHandledError:
            pass  # scheduled before by a worker that died between this and its ack
        except PublishError as error:
            log.warning("%s: retry of %s not scheduled: %s", self.agent, envelope.subject, error)
            await self.answer(hand, b'-NAK {"delay": %d}' % int(KEEP_FROM_RETRY_S * 1e9))
            return
        await self.answer(hand, ACK)

    async def _later_is_full(self) -> bool:
        info: dict[str, Any] = await self._parts.connection.api(f"STREAM.INFO.{LATER}")
        return int(info.get("state", {}).get("messages", 0)) > LATER_MESSAGES_MAX

    async def _bury(
        self, hand: InHand, envelope: Envelope | None, reason: str, error: str, attempts: int
    ) -> None:
        log.warning("%s: dead letter %s: %s %s", self.agent, hand.message.subject, reason, error)
        await self._parts.letters.bury(
            hand.message,
            None if self.subscription.is_projection else envelope,  # a task goes on without its record
            stream=hand.stream,
            durable=self.subscription.durable,
            reason=reason,
            error=error,
            attempts=attempts,
        )
        line = " ".join(f"{reason}: {error}".split())[:200]
        await self.answer(hand, b"+TERM " + line.encode())

    async def answer(self, hand: InHand, answer: bytes) -> None:
        """Tell the server about a delivery: done, in progress, again, never again."""
        try:
            await self._parts.connection.client.send(hand.reply, answer)
        except (NatsError, OSError) as error:
            log.warning("%s: %s not answered: %s", self.agent, hand.message.subject, error_text(error))
