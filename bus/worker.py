"""A worker: pulls events for one subscription, keeps them alive while they are worked on, and leaves in order."""

import asyncio
import logging
import time
from collections import deque
from typing import Final

from nats.aio.msg import Msg

from bus.envelope import DUE_ROOT
from bus.errors import BusError
from bus.handling import ACK, BusParts, Handling, InHand
from bus.presence import AgentRecord
from bus.pull import NAK, PullLoop
from bus.redact import error_text
from bus.streams import EVENTS, LATER
from bus.subscription import Subscription
from schemas.event import SUBJECT_ROOT

log = logging.getLogger("labverse.bus")

IN_PROGRESS: Final = b"+WPI"
PREFETCH_FROM: Final = 16
"""From this concurrency on a worker fetches ahead; below, an event that waits here could run elsewhere."""
DELIVERIES_SPARE: Final = 3
"""The server's limit lies above ours: a worker that sees an event too often writes a letter with a reason."""


class Worker:
    """Runs one subscription in this process under the name `agent`."""

    def __init__(self, subscription: Subscription, parts: BusParts, *, agent: str, source: str) -> None:
        self.subscription = subscription
        self.agent = agent
        self.handling = Handling(subscription, parts, agent=agent, source=source, on_handled=self._on_handled)
        self._connection = parts.connection
        self._cancellations = parts.cancellations
        self._in_hand: set[InHand] = set()
        self._waiting: deque[InHand] = deque()
        self._running = 0
        self._committing = 0  # handlers that have returned and given up their place already
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
            handled=self.handling.handled,
            failed=self.handling.failed,
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
            await self.handling.handle(hand)
        except asyncio.CancelledError:
            await self.handling.answer(hand, ACK if hand.ending == "cancelled" else NAK)
            if not hand.ending:
                raise
        except Exception as error:
            # Neither committed nor buried: nothing is lost, it comes again after ack_wait.
            log.warning(
                "%s: %s stays undone for now: %s", self.agent, hand.message.subject, error_text(error)
            )
        finally:
            self._in_hand.discard(hand)
            if hand.is_slot_free:
                self._committing -= 1
            else:
                hand.loop.release()
                self._next()
            if not self._running and not self._committing:
                self._idle.set()

    async def _on_handled(self, hand: InHand) -> None:
        """Let the next event run beside this one's commit, unless commits are piling up."""
        if self._committing >= self.subscription.concurrency:
            return
        self._committing += 1
        hand.is_slot_free = True
        # The server answers what comes over one connection in order, and a commit waits for the disk: ask for the
        # next event first, and let others that are done at the same moment do so too.
        await hand.loop.release_and_ask()
        self._next()
        if self.subscription.concurrency < PREFETCH_FROM:
            await asyncio.sleep(0)

    def _next(self) -> None:
        self._running -= 1
        if self._waiting and not self._draining:
            self._start(self._waiting.popleft())

    async def _hand_back(self, hand: InHand) -> None:
        self._in_hand.discard(hand)
        await self.handling.answer(hand, NAK)
        hand.loop.release()

    async def _keep_alive(self) -> None:
        period = self.subscription.ack_wait_s / 3
        while True:
            await asyncio.sleep(period / 2)
            now = time.monotonic()
            for hand in list(self._in_hand):
                if now - hand.touched_at >= period / 2:
                    hand.touched_at = now
                    await self.handling.answer(hand, IN_PROGRESS)

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
