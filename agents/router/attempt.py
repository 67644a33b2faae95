"""An attempt: one request to a provider, from the money held for it to the money booked.

Runs in a task of its own, so that two can race and either can be cancelled. Whatever becomes of it (an answer, a
failure, cancellation), its money is settled exactly once, from what is known then: the bill; nothing, when the
provider said no; else everything that it may have billed.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Final

from agents.router.concurrency import ReleaseOutcome
from agents.router.decide import Choice
from agents.router.failures import RULES
from agents.router.parts import GIVE_UP_BEFORE_S, BudgetRefusedError, Parts, Purposed
from agents.router.tokens import count_text
from agents.router.upstream import FailureKind, Format, UpstreamAnswer, UpstreamCall, UpstreamError
from bus import BusError
from bus.envelope import now_text, time_text
from schemas.cost import CallRecord, Outcome, ReserveRequest
from schemas.llm import Message, Usage

log = logging.getLogger("labverse.router")

PIECES_MAX: Final = 1_000
"""Pieces that wait to be taken; the provider waits too then."""
LEASE_BEYOND_DEADLINE_S: Final = 15.0
"""So long after its deadline a call's money may still be settled before its router counts as dead."""
UNSEEN_TOKENS: Final = 16
"""What a provider may have generated, and bill, between the last token that came and its noticing that we left."""
FREE_ON_FAILURE: Final = frozenset(
    {
        FailureKind.RATE_LIMITED,
        FailureKind.OUT_OF_CREDIT,
        FailureKind.CONTEXT_TOO_LONG,
        FailureKind.BAD_KEY,
        FailureKind.NO_SUCH_MODEL,
        FailureKind.UNSUPPORTED,
        FailureKind.CONTENT_REFUSED,
        FailureKind.BAD_REQUEST,
        FailureKind.SERVER_ERROR,
        FailureKind.UNREACHABLE,
    }
)
"""The provider answered that it did not do it, or never got the request. After all other failures it may have."""


NO_USAGE: Final = Usage()


@dataclass(eq=False, slots=True, kw_only=True)
class Attempt:
    """One request.

    Args:
        has_place: its place in the provider's concurrency limit is taken already; it gives it back itself.
            Without, it first waits for money that is only held, and then for a place.
        guard_until_s: until when it waits for a cost guard to answer.
    """

    parts: Parts
    shared: Purposed
    choice: Choice
    call_id: str
    messages: tuple[Message, ...]
    guard_until_s: float
    format: Format = "text"
    is_hedge: bool = False
    has_place: bool = True
    price_if_cloud: Callable[[Usage], int] = lambda usage: 0

    is_ready: bool = False
    """The first piece, the answer or a failure is there."""
    failure: BaseException | None = None
    started_s: float = 0.0
    first_s: float = 0.0
    ended_s: float = 0.0
    cost_nusd: int = 0
    usage: Usage = NO_USAGE
    outcome: Outcome | None = None
    max_tokens: int = 0
    answer: UpstreamAnswer | None = None
    waits_for_money: bool = field(init=False)
    _is_sent: bool = False
    _released: ReleaseOutcome = "other"
    _outcome_if_left: Outcome = Outcome.CANCELLED
    _held_nusd: int = 0
    _text: list[str] = field(default_factory=list)
    _pieces: deque[str | UpstreamAnswer] = field(default_factory=deque)
    _taken: asyncio.Event = field(default_factory=asyncio.Event)
    _task: asyncio.Task[None] | None = None

    def __post_init__(self) -> None:
        self.waits_for_money = not self.has_place

    # -- for whoever waits for it -------------------------------------------------------------------------

    def start(self) -> None:
        self.started_s = self.parts.clock()
        self._task = asyncio.create_task(self._run(), name=f"attempt {self.call_id}")
        # Not in the task itself: one that is cancelled before its first step never runs.
        self._task.add_done_callback(self._over)

    async def next(self) -> str | UpstreamAnswer:
        """The next piece of text, or at last the whole answer.

        Raises:
            UpstreamError, BudgetRefusedError: it failed.
        """
        woken = self.shared.woken
        while not self._pieces:
            if self.failure is not None:
                raise self.failure
            woken.clear()
            await woken.wait()
        self._taken.set()
        return self._pieces.popleft()

    def abandon(self, outcome: Outcome = Outcome.CANCELLED) -> "asyncio.Task[None] | None":
        """Stop the request upstream, and book what it may have cost; returns what is still to be waited for."""
        if self.answer is not None and self.outcome is None:
            self.book(self.answer, outcome)  # it had come just before
        if self._task is None or self._task.done():
            return None
        self._outcome_if_left = outcome
        self._task.cancel()
        return self._task

    def book(self, answer: UpstreamAnswer, outcome: Outcome) -> None:
        """Settle an answer's bill, once it is known what the answer is worth; and learn from it."""
        usage = answer.usage or self._estimated("".join(self._text) or answer.text)
        learned, now_s = self.parts.learned.model(self.choice.offer), self.parts.clock()
        if answer.usage is not None:
            was_cut = answer.finish_reason == "length"
            purpose = self.shared.facts.request.purpose
            learned.billed(purpose, self.choice.counted_tokens, usage, was_cut=was_cut, now_s=now_s)
        first_s = self.first_s - self.started_s if self.first_s else 0.0
        learned.answered(self.latency_s, first_s, usage.output_tokens, now_s)
        self._settle(usage, outcome)

    @property
    def latency_s(self) -> float:
        return (self.ended_s or self.parts.clock()) - self.started_s

    @property
    def text(self) -> str:
        """What has come so far."""
        return "".join(self._text)

    @property
    def committed_nusd(self) -> int:
        """What it cost, or may still cost."""
        return self._held_nusd if self.outcome is None else self.cost_nusd

    # -- its work -----------------------------------------------------------------------------------------

    async def _run(self) -> None:
        parts, offer = self.parts, self.choice.offer
        try:
            await self._reserve()
            await self._place()
            self.started_s = parts.clock()
            answer = await self._request()
            self.ended_s = parts.clock()
            self._released = "ok"
            parts.breakers.succeeded(offer, self.started_s)
            self.answer = answer
            self._pieces.append(answer)
        except UpstreamError as error:
            self.ended_s = parts.clock()
            self._learn_from(error)
            self._failed(error)
            self.failure = error
        except (BudgetRefusedError, BusError) as error:
            self.failure = error  # nothing was held, or is given back
        except asyncio.CancelledError:
            self._left()
            raise
        except Exception as error:
            # A bug: money that was held is settled like that of any request whose fate is unknown.
            log.warning("%s: %s", offer.name, type(error).__name__, exc_info=error)
            self._left()
            self.failure = error

    def _over(self, task: "asyncio.Task[None]") -> None:
        parts, provider = self.parts, self.choice.offer.provider
        self.ended_s = self.ended_s or parts.clock()
        if self.has_place:
            limit = parts.learned.limit(self.choice.offer)
            limit.release(self._released, self.latency_s, self.ended_s)
            parts.room.freed(provider, max(1, limit.limit - limit.in_flight))
        self._wake()

    def _wake(self) -> None:
        self.is_ready = True
        self.shared.woken.set()

    async def _reserve(self) -> None:
        choice, shared = self.choice, self.shared
        request = shared.facts.request
        self.max_tokens = choice.max_tokens
        if choice.is_free:
            return
        now_s = self.parts.clock()
        wait_until_s = shared.deadline_s - choice.median_s - GIVE_UP_BEFORE_S if self.waits_for_money else 0.0
        reply = await self.parts.money.reserve(
            ReserveRequest(
                call_id=self.call_id,
                min_nusd=choice.min_nusd,
                want_nusd=choice.want_nusd,
                lease_s=max(0.0, shared.deadline_s - now_s) + LEASE_BEYOND_DEADLINE_S,
                task_id=shared.task_id,
                tenant=request.tenant,
                agent=request.agent,
                provider=choice.offer.provider,
                model=choice.offer.model,
                task_limit_nusd=request.task_limit_nusd,
                wait_until=time_text(wait_until_s) if wait_until_s > now_s else "",
            ),
            deadline_s=self.guard_until_s,
        )
        if reply.granted_nusd is None:
            assert reply.refused is not None
            raise BudgetRefusedError(reply.refused)
        self._held_nusd = reply.granted_nusd
        assert choice.offer.price is not None
        affordable = choice.offer.price.output_tokens_for(self._held_nusd, choice.input_tokens)
        self.max_tokens = max(1, min(choice.max_tokens, affordable))

    async def _place(self) -> None:
        """Take a place at the provider, if it has none yet."""
        limit, offer = self.parts.learned.limit(self.choice.offer), self.choice.offer
        while not self.has_place:
            left_s = self._left_s()
            if left_s <= 0:
                raise UpstreamError(FailureKind.TIMEOUT, f"{offer.name}: no place in time", was_sent=False)
            if self.parts.breakers.opens_at(offer) or self.parts.breakers.is_probing(offer):
                # It went down while we waited for money; whoever decides next looks at the others again.
                raise UpstreamError(FailureKind.UNREACHABLE, f"{offer.name}: breaker open", was_sent=False)
            self.has_place = limit.try_acquire()
            if not self.has_place:
                await self.parts.room.wait((offer.provider,), left_s)

    def _left_s(self) -> float:
        return self.shared.deadline_s - GIVE_UP_BEFORE_S - self.parts.clock()

    async def _request(self) -> UpstreamAnswer:
        shared, offer = self.shared, self.choice.offer
        request = shared.facts.request
        call = UpstreamCall(
            offer=replace(offer, can=dict(self.parts.learned.model(offer).can)),
            messages=self.messages,
            max_tokens=self.max_tokens,
            temperature=shared.temperature,
            timeout_s=max(0.001, self._left_s()),
            format=self.format,
            schema=request.schema if self.format == "json_schema" else None,
            schema_name=request.schema_name,
            tools=request.tools,
        )
        self._is_sent = True
        if not shared.is_stream:
            return await self.parts.upstream.complete(call)
        async with aclosing(self.parts.upstream.stream(call)) as pieces:
            async for piece in pieces:
                if isinstance(piece, UpstreamAnswer):
                    return piece
                self.first_s = self.first_s or self.parts.clock()
                self._text.append(piece)
                self._pieces.append(piece)
                self._wake()
                while len(self._pieces) >= PIECES_MAX:
                    self._taken.clear()
                    await self._taken.wait()
        raise UpstreamError(FailureKind.GARBAGE, f"{offer.name}: its stream ended without an answer")

    def _learn_from(self, error: UpstreamError) -> None:
        """Tell breaker and limit, unless it was merely given too little time."""
        offer, now_s = self.choice.offer, self.ended_s
        if not self._is_sent:
            return
        learned = self.parts.learned.model(offer)
        if error.kind is FailureKind.TIMEOUT:
            learned.took_longer_than(
                self.latency_s,
                self.choice.expected_tokens,
                now_s,
                is_stream=self.shared.is_stream and not self._text,
            )
            if self._text or not learned.is_late(self.latency_s, now_s):
                return
        if RULES[error.kind].counts_as_overload:
            self._released = "overload"
        self.parts.breakers.failed(offer, error)

    # -- its money ----------------------------------------------------------------------------------------

    def _failed(self, error: UpstreamError) -> None:
        if not self._is_sent or error.kind is FailureKind.LOADING:
            self._give_back()
        elif not error.was_sent or (error.kind in FREE_ON_FAILURE and not self._text):
            self._settle(Usage(), Outcome.FAILED, cost_nusd=0)
        elif error.text or self._text:
            self._settle(self._estimated(error.text or self.text), Outcome.CUT)
        else:
            self._settle(Usage(is_estimated=True), Outcome.FAILED, cost_nusd=self._held_nusd)

    def _left(self) -> None:
        """Cancelled: a stream pays for what came, anything else for all that was held."""
        outcome, now_s = self._outcome_if_left, self.parts.clock()
        if not self._is_sent:
            self._give_back()
            return
        if outcome is Outcome.HEDGE_LOST and not self._text:
            self._lost(now_s)
        if self.shared.is_stream and self._text:
            self._settle(self._estimated(self.text), outcome)
        else:
            self._settle(Usage(is_estimated=True), outcome, cost_nusd=self._held_nusd)

    def _lost(self, now_s: float) -> None:
        """Another request was quicker: learn, and let the breaker know of one that is slower than ever."""
        offer = self.choice.offer
        learned = self.parts.learned.model(offer)
        is_late = learned.is_late(self.latency_s, now_s)
        learned.took_longer_than(
            self.latency_s, self.choice.expected_tokens, now_s, is_stream=self.shared.is_stream
        )
        if is_late:
            slow = UpstreamError(FailureKind.TIMEOUT, f"{offer.name}: another answered first")
            self.parts.breakers.failed(offer, slow)

    def _give_back(self) -> None:
        """No request was sent, or none that a model could see: there is nothing to book."""
        if self._held_nusd:
            self.parts.money.release(self.call_id)
            self._held_nusd = 0

    def _estimated(self, text: str) -> Usage:
        seen = max(count_text(text), len(self._text))
        return Usage(
            input_tokens=self.choice.input_tokens,
            output_tokens=min(self.max_tokens, seen + UNSEEN_TOKENS),
            is_estimated=True,
        )

    def _settle(self, usage: Usage, outcome: Outcome, *, cost_nusd: int | None = None) -> None:
        offer, shared = self.choice.offer, self.shared
        request = shared.facts.request
        if cost_nusd is None:
            cost_nusd = offer.price.cost_nusd(*_tokens(usage)) if offer.price is not None else 0
            if usage.is_estimated:
                cost_nusd = min(cost_nusd, self._held_nusd)
        self.cost_nusd, self.usage, self.outcome = cost_nusd, usage, outcome
        self.parts.money.settle(
            CallRecord(
                call_id=self.call_id,
                completion_id=shared.completion_id,
                at=now_text(),
                task_id=shared.task_id,
                tenant=request.tenant,
                agent=request.agent,
                purpose=request.purpose,
                provider=offer.provider,
                model=offer.model,
                is_local=offer.is_local,
                outcome=outcome,
                usage=usage,
                counted_tokens=self.choice.counted_tokens,
                max_tokens=self.max_tokens,
                reserved_nusd=self._held_nusd,
                cost_nusd=cost_nusd,
                price_nusd_if_cloud=0 if self._held_nusd else self.price_if_cloud(usage),
                latency_s=round(self.latency_s, 6),
                time_to_first_s=round(self.first_s - self.started_s, 6) if self.first_s else 0.0,
                is_hedge=self.is_hedge,
            )
        )


def _tokens(usage: Usage) -> tuple[int, int, int]:
    return usage.input_tokens, usage.output_tokens, usage.cached_tokens
