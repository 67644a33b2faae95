"""An attempt: one request to a provider, from the money held for it to the money booked.

Runs in a task of its own, so that two can race and either can be cancelled. Whatever becomes of it (an answer, a
failure, cancellation), its money is settled exactly once, from what is known then: the bill; nothing, when the
provider said no; else everything that it may have billed.
"""

import asyncio
import time
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Final, Protocol

from agents.router.breakers import Breakers
from agents.router.concurrency import ReleaseOutcome
from agents.router.decide import Choice, Facts
from agents.router.failures import RULES
from agents.router.learned import Learned
from agents.router.tokens import count_text
from agents.router.upstream import FailureKind, Format, Upstream, UpstreamAnswer, UpstreamCall, UpstreamError
from bus import BusError
from bus.envelope import now_text, time_text
from schemas.cost import CallRecord, Outcome, ReserveReply, ReserveRequest
from schemas.llm import BudgetState, Message, Usage

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


class Money(Protocol):
    """The cost guard, as far as calls need it (`bus.budget.Budget`)."""

    async def reserve(self, request: ReserveRequest, *, deadline_s: float) -> ReserveReply: ...

    def settle(self, record: CallRecord) -> None: ...

    def release(self, call_id: str) -> None: ...


class BudgetRefusedError(Exception):
    """Raised when the cost guard holds no money for an attempt; `budget` says which limit stands in the way."""

    def __init__(self, budget: BudgetState) -> None:
        super().__init__(budget.limit)
        self.budget = budget


@dataclass(eq=False, slots=True, kw_only=True)
class Parts:
    """What attempts work with. `clock` gives seconds since 1970."""

    upstream: Upstream
    money: Money
    learned: Learned
    breakers: Breakers
    clock: Callable[[], float] = time.time
    freed: asyncio.Event = field(default_factory=asyncio.Event)
    """Set whenever a provider has room again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Purposed:
    """What all attempts of one completion share."""

    facts: Facts
    completion_id: str
    task_id: str
    temperature: float
    is_stream: bool
    deadline_s: float


@dataclass(eq=False, slots=True, kw_only=True)
class Attempt:
    """One request. Its place in the provider's concurrency limit is taken already; it gives it back itself."""

    parts: Parts
    shared: Purposed
    choice: Choice
    call_id: str
    messages: tuple[Message, ...]
    format: Format = "text"
    is_hedge: bool = False
    wait_for_money: bool = False
    price_if_cloud: Callable[[Usage], int] = lambda usage: 0

    ready: asyncio.Event = field(default_factory=asyncio.Event)
    """The first piece, the answer or a failure is there."""
    failure: BaseException | None = None
    started_s: float = 0.0
    first_s: float = 0.0
    ended_s: float = 0.0
    cost_nusd: int = 0
    outcome: Outcome | None = None
    max_tokens: int = 0
    answer: UpstreamAnswer | None = None
    _outcome_if_left: Outcome = Outcome.CANCELLED
    _held_nusd: int = 0
    _text: list[str] = field(default_factory=list)
    _pieces: asyncio.Queue[str | UpstreamAnswer | BaseException] = field(
        default_factory=lambda: asyncio.Queue(PIECES_MAX)
    )
    _task: asyncio.Task[None] | None = None

    # -- for whoever waits for it -------------------------------------------------------------------------

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name=f"attempt {self.call_id}")

    async def next(self) -> str | UpstreamAnswer:
        """The next piece of text, or at last the whole answer.

        Raises:
            UpstreamError, BudgetRefusedError: it failed.
        """
        item = await self._pieces.get()
        if isinstance(item, BaseException):
            raise item
        return item

    async def cancel(self, outcome: Outcome = Outcome.CANCELLED) -> None:
        """Stop the request upstream, and book what it may have cost. Nothing to do when it is booked."""
        if self._task is not None and not self._task.done():
            self._outcome_if_left = outcome
            self._task.cancel()
            await asyncio.wait({self._task})
        if self.answer is not None and self.outcome is None:
            self.book(self.answer, outcome)  # it had come just before

    def book(self, answer: UpstreamAnswer, outcome: Outcome) -> None:
        """Settle an answer's bill, once it is known what the answer is worth; and learn from it."""
        usage = answer.usage or self._estimated("".join(self._text) or answer.text)
        learned, now_s = self.parts.learned.model(self.choice.offer), self.parts.clock()
        if answer.usage is not None:
            learned.billed(
                self.shared.facts.request.purpose,
                self.shared.facts.counted_tokens,
                usage,
                was_cut=answer.finish_reason == "length",
                now_s=now_s,
            )
        learned.answered(
            self.latency_s, self.first_s and self.first_s - self.started_s, usage.output_tokens, now_s
        )
        self._settle(usage, outcome)

    @property
    def latency_s(self) -> float:
        return (self.ended_s or self.parts.clock()) - self.started_s

    @property
    def text(self) -> str:
        """What has come so far."""
        return "".join(self._text)

    # -- its work -----------------------------------------------------------------------------------------

    async def _run(self) -> None:
        parts, offer = self.parts, self.choice.offer
        released: ReleaseOutcome = "other"
        self.started_s = parts.clock()
        try:
            await self._reserve()
            self.started_s = parts.clock()
            answer = await self._request()
            self.ended_s = parts.clock()
            released = "ok"
            parts.breakers.succeeded(offer, self.started_s)
            self.answer = answer
            await self._pieces.put(answer)
        except UpstreamError as error:
            self.ended_s = parts.clock()
            if RULES[error.kind].counts_as_overload:
                released = "overload"
            parts.breakers.failed(offer, error)
            self._failed(error)
        except (BudgetRefusedError, BusError) as error:
            self._put_failure(error)  # nothing was held, or is given back
        except asyncio.CancelledError:
            self._left()
            raise
        except Exception as error:
            # A bug or the bus: money that was held is settled like that of any request whose fate is unknown.
            self._left()
            self._put_failure(error)
        finally:
            self.ended_s = self.ended_s or parts.clock()
            parts.learned.limit(offer).release(released, self.latency_s, self.ended_s)
            parts.freed.set()
            self.ready.set()

    async def _reserve(self) -> None:
        choice, shared = self.choice, self.shared
        request = shared.facts.request
        self.max_tokens = choice.max_tokens
        if not choice.want_nusd:
            return
        wait_until_s = shared.deadline_s - choice.median_s if self.wait_for_money else 0.0
        now_s = self.parts.clock()
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
                task_limit_nusd=None,
                wait_until=time_text(wait_until_s) if wait_until_s > now_s else "",
            ),
            deadline_s=shared.deadline_s,
        )
        if reply.granted_nusd is None:
            assert reply.refused is not None
            raise BudgetRefusedError(reply.refused)
        self._held_nusd = reply.granted_nusd
        assert choice.offer.price is not None
        affordable = choice.offer.price.output_tokens_for(self._held_nusd, choice.input_tokens)
        self.max_tokens = max(1, min(choice.max_tokens, affordable))

    async def _request(self) -> UpstreamAnswer:
        shared, offer = self.shared, self.choice.offer
        request = shared.facts.request
        learned = self.parts.learned.model(offer)
        call = UpstreamCall(
            offer=replace(offer, can=dict(learned.can)),
            messages=self.messages,
            max_tokens=self.max_tokens,
            temperature=shared.temperature,
            timeout_s=max(0.001, shared.deadline_s - self.parts.clock()),
            format=self.format,
            schema=request.schema if self.format == "json_schema" else None,
            schema_name=request.schema_name,
            tools=request.tools,
        )
        if not shared.is_stream:
            return await self.parts.upstream.complete(call)
        async with aclosing(self.parts.upstream.stream(call)) as pieces:
            async for piece in pieces:
                if isinstance(piece, UpstreamAnswer):
                    return piece
                self.first_s = self.first_s or self.parts.clock()
                self._text.append(piece)
                await self._pieces.put(piece)
                self.ready.set()
        raise UpstreamError(
            FailureKind.GARBAGE, f"{offer.name}: its stream ended without an answer", text=self.text
        )

    # -- its money ----------------------------------------------------------------------------------------

    def _failed(self, error: UpstreamError) -> None:
        if not error.was_sent or (error.kind in FREE_ON_FAILURE and not error.text):
            self._settle(Usage(), Outcome.FAILED, cost_nusd=0)
        elif error.text or self._text:
            self._settle(self._estimated(error.text or self.text), Outcome.CUT)
        else:
            self._settle(Usage(is_estimated=True), Outcome.FAILED, cost_nusd=self._held_nusd)
        self._put_failure(error)

    def _left(self) -> None:
        """Cancelled: a stream pays for what came, anything else for all that was held."""
        outcome = self._outcome_if_left
        if self.shared.is_stream and self._text:
            self._settle(self._estimated(self.text), outcome)
        else:
            self._settle(Usage(is_estimated=True), outcome, cost_nusd=self._held_nusd)

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
        self.cost_nusd, self.outcome = cost_nusd, outcome
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
                counted_tokens=shared.facts.counted_tokens,
                max_tokens=self.max_tokens,
                reserved_nusd=self._held_nusd,
                cost_nusd=cost_nusd,
                price_nusd_if_cloud=0 if self._held_nusd else self.price_if_cloud(usage),
                latency_s=round(self.latency_s, 6),
                time_to_first_s=round(self.first_s - self.started_s, 6) if self.first_s else 0.0,
                is_hedge=self.is_hedge,
            )
        )

    def _put_failure(self, error: BaseException) -> None:
        self.failure = error
        if self._pieces.full():
            self._pieces.get_nowait()
        self._pieces.put_nowait(error)


def _tokens(usage: Usage) -> tuple[int, int, int]:
    return usage.input_tokens, usage.output_tokens, usage.cached_tokens
