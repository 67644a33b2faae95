"""How an event is handled, for all agents in one place.

Decode or bury; drop what is late, cancelled or done; run the handler under its deadline while telling the
server that it works; commit its outputs with the mark that it is done; acknowledge. A failure is tried again
later without blocking what comes behind, or buried.
"""

import asyncio
import logging
import random
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from nats.aio.msg import Msg
from nats.errors import Error as NatsError

from bus.cancellations import Cancellations
from bus.connection import Connection
from bus.envelope import (
    DUE_ROOT,
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
    BusError,
    DecodeError,
    PayloadTooLargeError,
    PermanentError,
    PublishError,
    RetryableError,
)
from bus.letters import Letters, read_history
from bus.outbox import Outbox
from bus.presence import AgentRecord
from bus.publisher import Publisher
from bus.pull import NAK, PullLoop, read_delivery
from bus.redact import error_text
from bus.streams import EVENTS, LATER, LATER_MESSAGES_MAX
from bus.subscription import Outputs, Subscription
from bus.tracing import Tracing
from schemas.event import SUBJECT_ROOT, Event
from schemas.ids import derive_id
from schemas.registry import BY_TAG
from schemas.task import TaskExpired

log = logging.getLogger("labverse.bus")

ACK: Final = b""
IN_PROGRESS: Final = b"+WPI"
BACKOFF_S: Final = (0.5, 60.0)
"""Before the second attempt; and at most. Doubled each time, with jitter of ±25 %."""
DELAY_MAX_S: Final = 86_400.0
HISTORY_MAX: Final = 5
PREFETCH_FROM: Final = 16
"""From this concurrency on a worker fetches ahead; below, an event that waits here could run elsewhere."""
DELIVERIES_SPARE: Final = 3
"""The server's limit lies above ours: a worker that sees an event too often writes a letter with a reason."""
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
    ending: str = ""  # why its task was stopped: "cancelled" or "handed back"


class Shared:
    """What all workers of one process share: no event is handled twice at once in here."""

    def __init__(self) -> None:
        self.by_address: dict[tuple[str, str], InHand] = {}


class Worker:
    """Runs one subscription in this process under the name `agent`."""

    def __init__(
        self,
        subscription: Subscription,
        *,
        agent: str,
        connection: Connection,
        publisher: Publisher,
        outbox: Outbox,
        letters: Letters,
        cancellations: Cancellations,
        tracing: Tracing,
        shared: Shared,
        source: str,
    ) -> None:
        self.subscription = subscription
        self.agent = agent
        self._connection = connection
        self._client = connection.client
        self._publisher = publisher
        self._outbox = outbox
        self._letters = letters
        self._cancellations = cancellations
        self._tracing = tracing
        self._shared = shared
        self._source = source
        self._in_hand: set[InHand] = set()
        self._waiting: deque[InHand] = deque()
        self._running = 0
        self.handled = 0
        self.failed = 0
        self._draining = False
        self._idle = asyncio.Event()
        self._idle.set()
        self._keeper: asyncio.Task[None] | None = None
        capacity = subscription.concurrency * (2 if subscription.concurrency >= PREFETCH_FROM else 1)
        self._loops = tuple(self._pull_loop(stream, capacity) for stream in (EVENTS, LATER))

    # -- life ---------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Raises BusError when a consumer can't be made."""
        self._cancellations.on_cancel.append(self._on_cancel)
        self._keeper = asyncio.create_task(self._keep_alive(), name=f"keep {self.agent}")
        for loop in self._loops:
            await loop.start()

    async def drain(self, grace_s: float) -> None:
        """Stop pulling, finish what runs within `grace_s`, hand back the rest at once."""
        self._draining = True
        await asyncio.gather(*(loop.stop() for loop in self._loops))
        while self._waiting:
            await self._hand_back(self._waiting.popleft())
        try:
            await asyncio.wait_for(self._idle.wait(), grace_s)
        except TimeoutError:
            for hand in list(self._in_hand):
                self._stop(hand, "handed back")
            await asyncio.wait([hand.task for hand in self._in_hand if hand.task] or [_nothing()], timeout=2)
        if self._keeper is not None:
            self._keeper.cancel()
        self._cancellations.on_cancel.remove(self._on_cancel)

    def record(self) -> AgentRecord:
        """What we are and have done, for `labverse status`."""
        return AgentRecord(
            name=self.agent,
            durable=self.subscription.durable,
            concurrency=self.subscription.concurrency,
            running=self._running,
            handled=self.handled,
            failed=self.failed,
        )

    def _pull_loop(self, stream: str, capacity: int) -> PullLoop:
        return PullLoop(
            self._connection,
            stream=stream,
            capacity=capacity,
            ensure=lambda: self._ensure_consumer(stream),
            deliver=lambda message: self._deliver(message, self._loops[stream == LATER], stream),
        )

    async def _ensure_consumer(self, stream: str) -> str:
        durable = self.subscription.durable
        if stream == LATER:
            filters = [f"{DUE_ROOT}.{durable}.>"]
        elif self.subscription.sees_unknown:
            filters = [f"{SUBJECT_ROOT}.>"]
        else:
            filters = [f"{SUBJECT_ROOT}.{tag}.>" for tag in self.subscription.tags]
        config = {
            "durable_name": durable,
            "name": durable,
            "filter_subjects": filters,
            "ack_policy": "explicit",
            "ack_wait": int(self.subscription.ack_wait_s * 1e9),
            "max_deliver": self.subscription.attempts_max + DELIVERIES_SPARE,
            "max_ack_pending": self.subscription.in_hand_max,
            "max_waiting": 2048,
            "deliver_policy": "all",
        }
        made = await self._connection.api(
            f"CONSUMER.CREATE.{stream}.{durable}", {"stream_name": stream, "config": config, "action": ""}
        )
        if error := made.get("error"):
            raise BusError(f"consumer {durable} of {stream} can't be made: {error.get('description')}")
        return durable

    # -- delivery -----------------------------------------------------------------------------------------

    def _deliver(self, message: Msg, loop: PullLoop, stream: str) -> None:
        hand = InHand(message.reply, message, loop, stream, time.monotonic())
        self._in_hand.add(hand)
        if self._running < self.subscription.concurrency and not self._draining:
            self._start(hand)
        else:
            self._waiting.append(hand)

    def _start(self, hand: InHand) -> None:
        self._running += 1
        self._idle.clear()
        hand.task = asyncio.create_task(self._run(hand))

    async def _run(self, hand: InHand) -> None:
        try:
            await self._handle(hand)
        except asyncio.CancelledError:
            await self._answer(hand, ACK if hand.ending == "cancelled" else NAK)
            if not hand.ending:
                raise
        except Exception as error:
            # Neither committed nor buried: nothing is lost, it comes again after ack_wait.
            log.warning(
                "%s: %s stays undone for now: %s", self.agent, hand.message.subject, error_text(error)
            )
        finally:
            self._in_hand.discard(hand)
            hand.loop.release()
            self._running -= 1
            if self._waiting and not self._draining:
                self._start(self._waiting.popleft())
            elif not self._running:
                self._idle.set()

    async def _hand_back(self, hand: InHand) -> None:
        self._in_hand.discard(hand)
        await self._answer(hand, NAK)
        hand.loop.release()

    async def _answer(self, hand: InHand, answer: bytes) -> None:
        try:
            await self._client.send(hand.reply, answer)
        except (NatsError, OSError) as error:
            log.warning("%s: %s not answered: %s", self.agent, hand.message.subject, error_text(error))

    async def _keep_alive(self) -> None:
        period = self.subscription.ack_wait_s / 3
        while True:
            await asyncio.sleep(period / 2)
            now = time.monotonic()
            for hand in list(self._in_hand):
                if now - hand.touched_at >= period / 2:
                    hand.touched_at = now
                    await self._answer(hand, IN_PROGRESS)

    # -- one event ----------------------------------------------------------------------------------------

    async def _handle(self, hand: InHand) -> None:
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
        earlier = self._shared.by_address.get(key)
        if earlier is not None:
            # Delivered again while we still work on it: answer the newest delivery when it is done.
            earlier.reply = hand.reply
            return
        self._shared.by_address[key] = hand
        hand.task_id = envelope.task_id
        try:
            await self._handle_event(hand, envelope)
        finally:
            del self._shared.by_address[key]

    async def _on_other(self, hand: InHand, envelope: Envelope) -> None:
        """An event of a type that we don't listen to: fine if others may, a dead letter if nobody knows it.

        The task is not told that a step failed: agents of a newer version may be at work on it.
        """
        if envelope.tag in BY_TAG:
            await self._answer(hand, ACK)
        else:
            known = ", ".join(BY_TAG)
            error = f"{envelope.tag!r} is none of {known}"
            await self._bury(
                hand, None, "an event type that this version doesn't know", error, envelope.attempt
            )

    async def _handle_event(self, hand: InHand, envelope: Envelope) -> None:
        if envelope.task_id in self._cancellations and not self.subscription.is_projection:
            await self._answer(hand, ACK)
            return
        left_s = None
        if envelope.deadline:
            left_s = parse_time(envelope.deadline) - time.time()
            if left_s <= 0 and not self.subscription.is_projection:
                await self._expire(hand, envelope, -left_s)
                return
        if envelope.received > 1 or envelope.id == envelope.task_id:
            # A redelivery, or an address that a foreign publisher may have used twice: done already?
            if not self.subscription.is_projection and await self._is_done(envelope):
                await self._answer(hand, ACK)
                return
            if envelope.attempt > self.subscription.attempts_max:
                reason = "its worker died or was stopped at every attempt"
                await self._bury(hand, envelope, reason, "", envelope.attempt - 1)
                return
        try:
            event = await self._outbox.decode(envelope, hand.message.data)
        except DecodeError as error:
            await self._bury(
                hand, envelope, "not the event that its subject says", str(error), envelope.attempt
            )
            return
        if self.subscription.is_projection:  # every event has one; in a trace they would only hide the work
            await self._call(hand, envelope, event, left_s)
            return
        with self._tracing.process(envelope, self.subscription.durable, self.agent):
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
            self._tracing.failed(error_text(error))
            await self._bury(hand, envelope, "the handler refused it", error_text(error), envelope.attempt)
        except Exception as error:
            self._tracing.failed(error_text(error))
            await self._fail(hand, envelope, error)
        else:
            await self._commit(hand, envelope, outputs)

    async def _commit(self, hand: InHand, envelope: Envelope, outputs: Outputs) -> None:
        events: Sequence[Event]
        if outputs is None:
            events = ()
        elif isinstance(outputs, Event):
            events = (outputs,)
        else:
            events = outputs
        try:
            if events or not self.subscription.is_projection:
                await self._outbox.commit(
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
            await self._answer(hand, NAK)
            return
        self.handled += 1
        await self._answer(hand, ACK)

    # -- other ends ---------------------------------------------------------------------------------------

    async def _is_done(self, envelope: Envelope) -> bool:
        subject = self._outbox.done_subject(envelope, self.subscription.durable)
        found = await self._connection.request(
            f"$JS.API.DIRECT.GET.{EVENTS}", msgspec.json.encode({"last_by_subj": subject})
        )
        return "Status" not in (found.headers or {})

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
        if envelope.deadline and time.time() + delay_s > parse_time(envelope.deadline):
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
            await self._publisher.publish(
                f"later.at.{durable}.{key}.{attempt}", header_lines(headers), hand.message.data
            )
        except AlreadyHandledError:
            pass  # scheduled before by a worker that died between this and its ack
        except PublishError as error:
            log.warning("%s: retry of %s not scheduled: %s", self.agent, envelope.subject, error)
            await self._answer(hand, b'-NAK {"delay": %d}' % int(KEEP_FROM_RETRY_S * 1e9))
            return
        await self._answer(hand, ACK)

    async def _later_is_full(self) -> bool:
        info: dict[str, Any] = await self._connection.api(f"STREAM.INFO.{LATER}")
        return int(info.get("state", {}).get("messages", 0)) > LATER_MESSAGES_MAX

    async def _bury(
        self, hand: InHand, envelope: Envelope | None, reason: str, error: str, attempts: int
    ) -> None:
        log.warning("%s: dead letter %s: %s %s", self.agent, hand.message.subject, reason, error)
        await self._letters.bury(
            hand.message,
            None if self.subscription.is_projection else envelope,  # a task goes on without its record
            stream=hand.stream,
            durable=self.subscription.durable,
            reason=reason,
            error=error,
            attempts=attempts,
        )
        line = " ".join(f"{reason}: {error}".split())[:200]
        await self._answer(hand, b"+TERM " + line.encode())

    def _on_cancel(self, task_id: str) -> None:
        for hand in list(self._in_hand):
            if hand.task_id == task_id and not self.subscription.is_projection:
                self._stop(hand, "cancelled")

    def _stop(self, hand: InHand, why: str) -> None:
        if hand.task is not None and not hand.ending:
            hand.ending = why
            hand.task.cancel()


def _nothing() -> "asyncio.Task[None]":
    return asyncio.create_task(asyncio.sleep(0))
