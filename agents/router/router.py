"""Router: answers model calls, each by the cheapest model that is good and quick enough for it.

Listens  llm.complete, llm.stream (requests)
Emits    nothing; the cost guard tells what each call cost
Effects  requests to providers, each under money that is held for it
State    what it learns of models, in memory; breakers and its own figures in KV, for all routers and people
Without an LLM  answers `NoModelAvailable`, and callers use rules

Any number of routers share the requests.
"""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

import msgspec

from agents.router.breakers import Breakers
from agents.router.cache import Flights, ResponseCache, key_of
from agents.router.completing import Completing, NoAnswerError
from agents.router.decide import Facts, Policy
from agents.router.figures import MODELS_MAX, is_callable, told
from agents.router.genai import CallSpan, ModelCallTelemetry
from agents.router.hedging import HedgeBudget
from agents.router.learned import Learned
from agents.router.offers import Offer
from agents.router.parts import Money, Parts, Purposed
from agents.router.structured import normal_schema
from agents.router.upstream import Upstream
from bus import Bus, Caller
from bus.envelope import now_text
from bus.services import LLM_COMPLETE, LLM_MODELS, LLM_STREAM
from schemas.cost import CallRecord, Outcome
from schemas.ids import new_id
from schemas.llm import (
    BudgetState,
    Completion,
    CompletionPiece,
    CompletionReply,
    CompletionRequest,
    ModelsReply,
    ModelsRequest,
    Refusal,
    RefusalKind,
    Source,
    Usage,
)

log = logging.getLogger("labverse.router")

CONCURRENCY: Final = 2_048
"""Completions that one router works on at once."""
REPLY_MARGIN_S: Final = 0.01
"""So long before the caller's deadline the router gives up, so that its reason still arrives."""
MONTH_FRESH_S: Final = 1.0
"""So long a refusal for the month's money is believed: calls that cost at least what isn't left aren't asked for."""


@dataclass(eq=False, slots=True, kw_only=True)
class Router:
    """Routes calls.

    Args:
        offers: the models at this moment; asked for every call, since local servers come and go.
        bus: None for a router that serves nobody but its own process and shares nothing.
        cache_age_s: how long an answer may be given again; 0 never.
        hedge_ratio_max: second requests for each call, at most.
    """

    upstream: Upstream
    money: Money
    offers: Callable[[], tuple[Offer, ...]]
    policy: Policy
    bus: Bus | None = None
    cache_age_s: float = 3_600.0
    hedge_ratio_max: float = 0.05
    telemetry: ModelCallTelemetry = field(default_factory=lambda: ModelCallTelemetry(None, None))
    clock: Callable[[], float] = time.time

    router_id: str = field(default_factory=new_id)
    running: int = 0
    handled: int = 0
    learned: Learned = field(default_factory=Learned)
    breakers: Breakers = field(init=False)
    _parts: Parts = field(init=False)
    _cache: ResponseCache = field(init=False)
    _hedges: HedgeBudget = field(init=False)
    _flights: Flights = field(default_factory=Flights)
    _month: BudgetState | None = None
    _month_until_s: float = 0.0

    def __post_init__(self) -> None:
        self.breakers = Breakers(self.bus, self.learned, self.router_id, self.clock)
        self._parts = Parts(
            upstream=self.upstream,
            money=self.money,
            learned=self.learned,
            breakers=self.breakers,
            clock=self.clock,
        )
        self._cache = ResponseCache(self.cache_age_s)
        self._hedges = HedgeBudget(self.hedge_ratio_max)

    async def serve(self, ready: asyncio.Event | None = None) -> None:
        """Answer requests on the bus, and listen to other routers' breakers, until cancelled.

        Args:
            ready: set as soon as requests are answered.
        """
        assert self.bus is not None
        await self.bus.serve(LLM_COMPLETE, self._answer, concurrency=CONCURRENCY)
        await self.bus.serve(LLM_MODELS, self._models)
        await self.bus.serve(LLM_STREAM, pieces=self._answer_in_pieces, concurrency=CONCURRENCY)
        if ready is not None:
            ready.set()
        await self.breakers.listen()

    async def _answer(self, request: CompletionRequest, caller: Caller) -> CompletionReply:
        return await self.complete(
            request, deadline_s=caller.deadline_s - REPLY_MARGIN_S, task_id=caller.task_id
        )

    async def _answer_in_pieces(
        self, request: CompletionRequest, caller: Caller
    ) -> AsyncGenerator[CompletionPiece]:
        pieces = self.stream(request, deadline_s=caller.deadline_s - REPLY_MARGIN_S, task_id=caller.task_id)
        async with aclosing(pieces):
            async for piece in pieces:
                yield piece

    async def _models(self, request: ModelsRequest, caller: Caller) -> ModelsReply:
        return self.models(request)

    def models(self, request: ModelsRequest) -> ModelsReply:
        """What a request of this privacy and tier could be answered by now, were there money and room."""
        now_s = self.clock()
        fit = (offer for offer in self.offers() if is_callable(offer, request))
        offered = (told(offer, self.learned, now_s) for offer in islice(fit, MODELS_MAX))
        return ModelsReply(models=tuple(offered), task_limit_nusd=self.policy.call_limit_nusd)

    async def complete(
        self, request: CompletionRequest, *, deadline_s: float, task_id: str = ""
    ) -> CompletionReply:
        """The answer, or why there is none; never later than the deadline.

        Args:
            deadline_s: absolute, seconds since 1970.
            task_id: who pays.
        """
        async with aclosing(self._pieces(request, deadline_s, task_id, is_stream=False)) as pieces:
            async for piece in pieces:
                if piece.reply is not None:
                    return piece.reply
        raise AssertionError("a completion ends with a reply")

    def stream(
        self, request: CompletionRequest, *, deadline_s: float, task_id: str = ""
    ) -> AsyncGenerator[CompletionPiece]:
        """The answer as it comes; the last piece holds the reply. Closing it early stops the request upstream."""
        return self._pieces(request, deadline_s, task_id, is_stream=True)

    async def _pieces(
        self, request: CompletionRequest, deadline_s: float, task_id: str, *, is_stream: bool
    ) -> AsyncGenerator[CompletionPiece]:
        self.running += 1
        try:
            async with aclosing(
                self._told_pieces(request, deadline_s, task_id, is_stream=is_stream)
            ) as pieces:
                async for piece in pieces:
                    yield piece
        finally:
            self.running -= 1
            self.handled += 1

    async def _told_pieces(
        self, request: CompletionRequest, deadline_s: float, task_id: str, *, is_stream: bool
    ) -> AsyncGenerator[CompletionPiece]:
        if not request.call_id:
            request = msgspec.structs.replace(request, call_id=new_id())
        with self.telemetry.call(request) as span:
            try:
                if request.schema is not None:
                    request = msgspec.structs.replace(request, schema=normal_schema(request.schema))
            except ValueError as error:
                yield _done(span, request, _refused(request, RefusalKind.BAD_REQUEST, str(error)))
                return
            key = key_of(request) if request.cache and self.cache_age_s else ""
            if key and (known := self._cache.get(key, self.clock())) is not None:
                reply = self._from_cache(known, request, task_id)
                yield _done(span, request, reply, text=known.text if is_stream else "")
                return
            if key and not is_stream:
                yield _done(span, request, await self._together(key, request, deadline_s, task_id))
                return
            work = self._work(request, deadline_s, task_id, key, is_stream=is_stream)
            async with aclosing(work):
                async for piece in work:
                    yield piece if piece.reply is None else _done(span, request, piece.reply)

    async def _together(
        self, key: str, request: CompletionRequest, deadline_s: float, task_id: str
    ) -> CompletionReply:
        """One flight for all who ask the same now; who didn't lead gets the answer as from the cache."""

        async def lead() -> CompletionReply:
            limit.reschedule(None)  # the work keeps the deadline itself, and knows what it was about
            async with aclosing(self._work(request, deadline_s, task_id, key, is_stream=False)) as work:
                async for piece in work:
                    if piece.reply is not None:
                        if piece.reply.completion is None:
                            raise _NotSharedError(piece.reply)
                        return piece.reply
            raise AssertionError("a completion ends with a reply")

        limit = asyncio.timeout(max(0.0, deadline_s - self.clock()))
        try:
            async with limit:
                reply, is_leader = await self._flights.run(key, lead)
        except _NotSharedError as error:
            return error.reply
        except TimeoutError:
            text = "no answer before the deadline (the same was being asked for somebody else)"
            return _refused(request, RefusalKind.DEADLINE, text)
        if is_leader or reply.completion is None:
            return reply
        return self._from_cache(reply.completion, request, task_id)

    async def _work(
        self, request: CompletionRequest, deadline_s: float, task_id: str, key: str, *, is_stream: bool
    ) -> AsyncGenerator[CompletionPiece]:
        """The work on one request that nobody else's answers."""
        started_s = self.clock()
        temperature = request.temperature
        completing = Completing(
            parts=self._parts,
            policy=self.policy,
            hedges=self._hedges,
            offers=self.offers(),
            shared=Purposed(
                facts=Facts.of(request),
                completion_id=request.call_id,
                task_id=task_id,
                temperature=self.policy.temperatures[request.purpose] if temperature is None else temperature,
                is_stream=is_stream,
                deadline_s=deadline_s,
            ),
            month=self._month if started_s < self._month_until_s else None,
        )
        completion, refusal = None, None
        try:
            async with aclosing(completing.run()) as pieces:
                async for piece in pieces:
                    if isinstance(piece, Completion):
                        completion = piece
                    else:
                        yield CompletionPiece(text=piece)
        except NoAnswerError as error:
            refusal = msgspec.structs.replace(error.refusal, cost_nusd=completing.cost_nusd)
        if completing.month is not None and completing.month is not self._month:
            self._month, self._month_until_s = completing.month, self.clock() + MONTH_FRESH_S
        # One that was cut may have been cut for want of money that others have.
        if completion is not None and key and completion.finish_reason != "length":
            self._cache.put(key, completion, self.clock())
        yield CompletionPiece(
            reply=CompletionReply(
                completion=completion,
                refusal=refusal,
                explanation=completing.explanation()
                if request.explain or self.telemetry.is_tracing
                else None,
            )
        )

    def _from_cache(self, known: Completion, request: CompletionRequest, task_id: str) -> CompletionReply:
        completion = msgspec.structs.replace(
            known,
            source=Source.CACHE,
            cost_nusd=0,
            latency_s=0.0,
            time_to_first_s=0.0,
            attempts=0,
            call_id=request.call_id,
        )
        self.money.settle(
            CallRecord(
                call_id=request.call_id,
                completion_id=request.call_id,
                at=now_text(),
                task_id=task_id,
                tenant=request.tenant,
                agent=request.agent,
                purpose=request.purpose,
                provider=known.provider,
                model=known.model.removeprefix(f"{known.provider}/"),
                is_local=known.is_local,
                outcome=Outcome.CACHED,
                usage=Usage(),
                price_nusd_if_cloud=known.cost_nusd,
            )
        )
        return CompletionReply(completion=completion)


class _NotSharedError(Exception):
    """Raised by a leader without an answer: a refusal is its own (its money, its deadline), not its followers'."""

    def __init__(self, reply: CompletionReply) -> None:
        super().__init__("no answer")
        self.reply = reply


def _refused(request: CompletionRequest, kind: RefusalKind, message: str) -> CompletionReply:
    return CompletionReply(refusal=Refusal(kind=kind, message=message, call_id=request.call_id))


def _done(
    span: CallSpan, request: CompletionRequest, reply: CompletionReply, *, text: str = ""
) -> CompletionPiece:
    span.finish(reply)
    if not request.explain:  # it was for the trace alone
        reply = msgspec.structs.replace(reply, explanation=None)
    return CompletionPiece(text=text, reply=reply)
