"""One completion: attempts, one after the other or racing, until an answer is good enough or nothing is left.

One absolute deadline runs through all of it. What was promised to the caller's purse and clock is kept whatever
providers do; what was decided and what came of it is noted for `explain`.
"""

import asyncio
import random
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field, replace
from typing import Any, Final

import msgspec

from agents.router.attempt import Attempt, BudgetRefusedError, Parts, Purposed
from agents.router.checks import check, strip_thinking
from agents.router.decide import Choice, Decision, Policy, View, decide
from agents.router.failures import RULES, worth_trying
from agents.router.hedging import HedgeBudget
from agents.router.offers import Capability, Offer
from agents.router.structured import OffSchemaError, complaint, decode_answer, ladder, schema_prompt
from agents.router.upstream import FailureKind, UpstreamAnswer, UpstreamError
from bus import BusError
from schemas.cost import Outcome
from schemas.llm import (
    Attempt as AttemptShown,
)
from schemas.llm import (
    BudgetState,
    Candidate,
    Completion,
    Explanation,
    Message,
    Refusal,
    RefusalKind,
    Source,
    Usage,
)

ATTEMPTS_MAX: Final = 12
"""Requests that one completion may cost, hedges and repairs included."""
TRIES_A_MODEL: Final = 3
PAUSE_S: Final = 0.05
"""Before a model that has just failed is asked again; doubled each time, with jitter."""
SLOT_WAIT_S: Final = 0.25
"""A full provider is looked at again at least this often."""
GROWTH: Final = 4
"""An answer that was cut gets so many times the room."""


class NoAnswerError(Exception):
    """Raised when there is no answer; `refusal` says why."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal


@dataclass(eq=False, slots=True, kw_only=True)
class Completing:
    """The work on one request.

    Args:
        offers: all that may be called.
        is_stopped: whether the month's money is known to be spent.
    """

    parts: Parts
    policy: Policy
    hedges: HedgeBudget
    offers: tuple[Offer, ...]
    shared: Purposed
    is_stopped: bool = False

    decision: Decision | None = None
    attempts: list[Attempt] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    budget: BudgetState | None = None
    _excluded: dict[str, str] = field(default_factory=dict)
    _tries: dict[str, int] = field(default_factory=dict)
    _short_of_money: set[str] = field(default_factory=set)
    _last_failure: str = ""
    _last_kind: FailureKind | None = None
    _repairs: tuple[Message, ...] = ()
    _repaired: set[str] = field(default_factory=set)
    _grown: dict[str, int] = field(default_factory=dict)
    _off_schema: str = ""

    async def run(self) -> AsyncGenerator[str | Completion]:
        """Pieces of text when the request is a stream, and at last the completion.

        Raises:
            NoAnswerError: there is none. No request is left running upstream then, nor when this is closed.
        """
        try:
            while True:
                choice = await self._next_choice()
                attempt = await self._raced(self._attempt(choice))
                if attempt is None:
                    continue
                answer = None
                while answer is None:
                    piece = await self._piece(attempt)
                    if isinstance(piece, str):
                        yield piece
                    elif piece is None:
                        break
                    else:
                        answer = piece
                if answer is not None and (completion := self._judged(attempt, answer)) is not None:
                    yield completion
                    return
        finally:
            await asyncio.gather(*(attempt.cancel() for attempt in self.attempts))

    # -- choosing -----------------------------------------------------------------------------------------

    async def _next_choice(self) -> Choice:
        """The best model with room, its place taken; waits for room or for a breaker when that makes sense."""
        while True:
            left_s = self._left_s()
            if left_s <= 0:
                raise self._refused(RefusalKind.DEADLINE, self._deadline_text())
            decision = self._decide(left_s)
            if len(self.attempts) < ATTEMPTS_MAX:
                for choice in decision.choices:
                    if self.parts.learned.limit(choice.offer).try_acquire():
                        return choice
                if decision.choices:
                    await self._room(left_s)
                    continue
                if await self._paused():
                    continue
            raise self._hopeless()

    def _decide(self, left_s: float) -> Decision:
        started_s = self.parts.clock()
        parts = self.parts
        views = tuple(
            View(
                offer=offer,
                learned=parts.learned.model(offer),
                breakers=parts.breakers.of(offer),
                is_full=parts.learned.limit(offer).in_flight >= parts.learned.limit(offer).limit,
                is_excluded=self._excluded.get(offer.name)
                or self._excluded.get(offer.provider)
                or ("coming back: one request at a time" if parts.breakers.is_probing(offer) else ""),
            )
            for offer in self.offers
        )
        decision = decide(
            self.shared.facts,
            views,
            self.policy,
            left_s=left_s,
            now_s=started_s,
            is_stopped=self.is_stopped,
        )
        if self.decision is None:
            self.decision = decision
        return Decision(choices=tuple(self._by_tries(decision.choices)), candidates=decision.candidates)

    def _by_tries(self, choices: tuple[Choice, ...]) -> list[Choice]:
        """Those that failed in this completion come after those that didn't."""
        fresh = [choice for choice in choices if choice.offer.name not in self._short_of_money] or list(
            choices
        )
        return sorted(fresh, key=lambda choice: self._tries.get(choice.offer.name, 0))

    async def _room(self, left_s: float) -> None:
        self.parts.freed.clear()
        try:
            async with asyncio.timeout(min(left_s, SLOT_WAIT_S)):
                await self.parts.freed.wait()
        except TimeoutError:
            pass

    async def _paused(self) -> bool:
        """Wait for the first breaker that lets requests through in time, if there is one."""
        parts, now_s = self.parts, self.parts.clock()
        waits = []
        for offer in self.offers:
            opens_s = parts.breakers.opens_at(offer)
            if not opens_s and parts.breakers.is_probing(offer):
                opens_s = now_s + PAUSE_S
            is_out = self._excluded.get(offer.name) or self._excluded.get(offer.provider)
            if opens_s and not is_out and self._tries.get(offer.name, 0) < TRIES_A_MODEL:
                median_s = parts.learned.model(offer).median_s(self._expected_tokens(), now_s)
                if self._fits_otherwise(offer) and worth_trying(
                    now_s, self.shared.deadline_s, opens_s - now_s, median_s
                ):
                    waits.append(opens_s - now_s)
        if not waits:
            return False
        # A little late and not all at once.
        await asyncio.sleep(min(max(0.0, min(waits)) + random.uniform(0.001, 0.02), max(0.0, self._left_s())))
        return True

    def _fits_otherwise(self, offer: Offer) -> bool:
        """Whether nothing but its breaker stands against it."""
        view = View(offer=offer, learned=self.parts.learned.model(offer))
        alone = decide(
            self.shared.facts,
            (view,),
            self.policy,
            left_s=self._left_s(),
            now_s=self.parts.clock(),
            is_stopped=self.is_stopped,
        )
        return bool(alone.choices)

    def _expected_tokens(self) -> int:
        return self.shared.facts.request.max_tokens or 256

    # -- attempts -----------------------------------------------------------------------------------------

    def _attempt(self, choice: Choice, *, is_hedge: bool = False) -> Attempt:
        offer, shared = choice.offer, self.shared
        request = shared.facts.request
        if grown := self._grown.get(offer.name):
            choice = _grown(choice, grown)
        form = ladder(self.parts.learned.model(offer).can)[0] if request.schema is not None else "text"
        attempt = Attempt(
            parts=self.parts,
            shared=shared,
            choice=choice,
            call_id=f"{shared.completion_id}-{len(self.attempts)}",
            messages=(*self._prompt(), *self._repairs),
            format=form,
            is_hedge=is_hedge,
            wait_for_money=offer.name in self._short_of_money,
            price_if_cloud=self._price_if_cloud,
        )
        self.attempts.append(attempt)
        if not is_hedge:
            self.hedges.called(self.parts.clock())
        attempt.start()
        return attempt

    def _prompt(self) -> tuple[Message, ...]:
        request = self.shared.facts.request
        if request.schema is None:
            return request.messages
        wanted = Message(role="system", content=schema_prompt(request.schema, request.schema_name))
        return (wanted, *request.messages)

    async def _raced(self, attempt: Attempt) -> Attempt | None:
        """The attempt that gives something first, it or its hedge; None when all failed (which is noted)."""
        racing = [attempt]
        delay_s = self._hedge_delay_s(attempt)
        while racing:
            left_s = self._left_s()
            limit_s = left_s if delay_s is None else min(left_s, delay_s)
            await _any_ready(racing, max(0.0, limit_s))
            for one in [one for one in racing if one.ready.is_set()]:
                if one.failure is None:
                    await asyncio.gather(
                        *(other.cancel(Outcome.HEDGE_LOST) for other in racing if other is not one)
                    )
                    return one
                racing.remove(one)
                self._failed(one, one.failure)
            if self._left_s() <= 0 and racing:
                await asyncio.gather(*(one.cancel() for one in racing))
                raise self._refused(RefusalKind.DEADLINE, self._deadline_text())
            if racing and delay_s is not None:
                delay_s = None
                if (hedge := self._hedge(attempt)) is not None:
                    racing.append(hedge)
        return None

    def _hedge_delay_s(self, attempt: Attempt) -> float | None:
        if not self.hedges.may_hedge(self.parts.clock()):
            return None
        choice = attempt.choice
        delay_s = self.parts.learned.model(choice.offer).hedge_delay_s(
            is_stream=self.shared.is_stream,
            output_tokens=choice.expected_tokens,
            now_s=self.parts.clock(),
        )
        return delay_s if delay_s is not None and delay_s < self._left_s() else None

    def _hedge(self, slow: Attempt) -> Attempt | None:
        """A second request, preferably to another model, if there is one with room."""
        if len(self.attempts) >= ATTEMPTS_MAX or not self.hedges.may_hedge(self.parts.clock()):
            return None
        choices = self._decide(self._left_s()).choices
        others = [choice for choice in choices if choice.offer.name != slow.choice.offer.name]
        same = [choice for choice in choices if choice.offer.name == slow.choice.offer.name]
        for choice in (*others, *same):
            if self.parts.learned.limit(choice.offer).try_acquire():
                self.hedges.hedged(self.parts.clock())
                return self._attempt(choice, is_hedge=True)
        return None

    async def _piece(self, attempt: Attempt) -> str | UpstreamAnswer | None:
        """What comes next from the winner; None when it failed and another may be tried."""
        try:
            async with asyncio.timeout(max(0.0, self._left_s())):
                return await attempt.next()
        except TimeoutError:
            await attempt.cancel()
            raise self._refused(RefusalKind.DEADLINE, self._deadline_text()) from None
        except (UpstreamError, BudgetRefusedError, BusError) as error:
            if attempt.text:
                kind = RefusalKind.STREAM_CUT
                raise self._refused(
                    kind, f"{attempt.choice.offer.name} broke off after some text: {error}"
                ) from None
            self._failed(attempt, error)
            return None

    def _failed(self, attempt: Attempt, error: BaseException) -> None:
        """Take note of a failure: what must not be tried again, and how."""
        offer = attempt.choice.offer
        name = offer.name
        self._tries[name] = self._tries.get(name, 0) + 1
        match error:
            case BudgetRefusedError(budget=budget):
                self.budget = budget
                self._tries[name] -= 1
                if budget.stop_nusd - budget.spent_nusd < attempt.choice.min_nusd or attempt.wait_for_money:
                    self._excluded[name] = f"no money: {budget.limit}"
                self._short_of_money.add(name)
            case UpstreamError(kind=FailureKind.UNSUPPORTED, feature=feature) if self._can_do_without(
                offer, feature
            ):
                self.notes.append(f"{name} does not support {feature}: asked in another form")
            case UpstreamError():
                rule = RULES[error.kind]
                self._last_failure, self._last_kind = str(error), error.kind
                if not rule.try_elsewhere and error.kind is not FailureKind.UNSUPPORTED:
                    raise self._final(error)
                if rule.drops == "provider":
                    self._excluded[offer.provider] = error.kind.value
                elif rule.drops == "model" or not rule.try_again_here or self._tries[name] >= TRIES_A_MODEL:
                    self._excluded[name] = error.kind.value
            case BusError():
                self._last_failure = f"no money can be reserved: {error}"
                self._excluded[name] = "no cost guard answers"
            case _:
                raise error

    def _can_do_without(self, offer: Offer, feature: str) -> bool:
        """Learn that a model lacks a feature; whether it can be asked in another form."""
        forms = (
            Capability.JSON_SCHEMA,
            Capability.JSON_OBJECT,
            Capability.STREAM_USAGE,
            Capability.TEMPERATURE,
        )
        can = self.parts.learned.model(offer).can
        if feature not in Capability.__members__.values() or can.get(Capability(feature)) is False:
            return False
        can[Capability(feature)] = False
        return Capability(feature) in forms

    # -- answers ------------------------------------------------------------------------------------------

    def _judged(self, attempt: Attempt, answer: UpstreamAnswer) -> Completion | None:
        """The completion that an answer makes; None when it isn't good enough and another attempt follows."""
        request = self.shared.facts.request
        wants_schema = request.schema is not None
        problem = check(answer, wants_schema=wants_schema, has_tools=bool(request.tools))
        value: Any = None
        if wants_schema and problem in ("", Outcome.REFUSED) and not answer.refusal and not answer.tool_calls:
            assert request.schema is not None
            try:
                value = decode_answer(answer.text, request.schema)
                problem = ""
            except OffSchemaError as error:
                problem = problem or Outcome.OFF_SCHEMA
                self._off_schema = str(error)
                if problem == Outcome.OFF_SCHEMA:
                    self._repair(attempt, answer, error)
        is_refused = bool(answer.refusal) or answer.finish_reason == "content_filter"
        delivered = not problem or (problem == Outcome.REFUSED and not is_refused and not wants_schema)
        attempt.book(answer, Outcome(problem) if problem else Outcome.ANSWERED)
        if delivered:
            return self._completion(attempt, answer, value)
        self._rejected(attempt, answer, problem)
        return None

    def _rejected(self, attempt: Attempt, answer: UpstreamAnswer, problem: str) -> None:
        name = attempt.choice.offer.name
        self._tries[name] = self._tries.get(name, 0) + 1
        self._last_failure, self._last_kind = f"{name}: the answer is {problem.replace('_', ' ')}", None
        if self.shared.is_stream and attempt.text:
            # Its text is with the caller already; nothing can be taken back.
            kind = RefusalKind.OFF_SCHEMA if problem == Outcome.OFF_SCHEMA else RefusalKind.UPSTREAM
            raise self._refused(kind, f"{self._last_failure} {self._off_schema}".strip())
        if problem == Outcome.REFUSED:
            words = (answer.refusal or strip_thinking(answer.text)).strip()[:200]
            raise self._refused(RefusalKind.REFUSED, f"{name} declined: {words or 'its content filter'}")
        if problem == Outcome.TRUNCATED and name not in self._grown:
            self._grown[name] = attempt.max_tokens * GROWTH
            self._tries[name] -= 1
        elif problem == Outcome.OFF_SCHEMA and name not in self._repaired:
            self._repaired.add(name)
            self._tries[name] -= 1
        else:
            self._repairs = ()
            self._excluded[name] = problem

    def _repair(self, attempt: Attempt, answer: UpstreamAnswer, error: OffSchemaError) -> None:
        """The next attempt sees what was wrong with this answer."""
        if attempt.choice.offer.name not in self._repaired:
            said = Message(role="assistant", content=strip_thinking(answer.text)[:20_000] or "(nothing)")
            self._repairs = (said, Message(role="user", content=complaint(error)))

    def _completion(self, attempt: Attempt, answer: UpstreamAnswer, value: Any) -> Completion:
        offer = attempt.choice.offer
        first_s = attempt.first_s - attempt.started_s if attempt.first_s else 0.0
        started_s = self.attempts[0].started_s
        return Completion(
            text=strip_thinking(answer.text),
            value=value,
            tool_calls=answer.tool_calls,
            source=Source.MODEL,
            provider=offer.provider,
            model=offer.name,
            response_model=answer.response_model,
            is_local=offer.is_local,
            finish_reason=answer.finish_reason,
            usage=answer.usage or Usage(is_estimated=True),
            cost_nusd=self.cost_nusd,
            latency_s=round(attempt.ended_s - started_s, 6),
            time_to_first_s=round(first_s, 6),
            attempts=len(self.attempts),
            fallback=any(one is not attempt and not one.is_hedge for one in self.attempts),
            call_id=self.shared.completion_id,
        )

    # -- what is said -------------------------------------------------------------------------------------

    @property
    def cost_nusd(self) -> int:
        return sum(attempt.cost_nusd for attempt in self.attempts)

    def explanation(self, decision_s: float = 0.0) -> Explanation:
        candidates: tuple[Candidate, ...] = self.decision.candidates if self.decision else ()
        later = {**self._excluded}
        return Explanation(
            candidates=tuple(
                msgspec.structs.replace(candidate, dropped=f"tried: {later[candidate.model]}")
                if candidate.model in later and not candidate.dropped
                else candidate
                for candidate in candidates
            ),
            attempts=tuple(self._shown(attempt) for attempt in self.attempts),
            deadline_left_s=round(self._left_s(), 3),
            budget_left_nusd=_left(self.budget) if self.budget else None,
            decision_s=round(decision_s, 6),
            notes=tuple(self.notes),
        )

    def _shown(self, attempt: Attempt) -> AttemptShown:
        return AttemptShown(
            model=attempt.choice.offer.name,
            outcome=attempt.outcome
            or ("no_money" if isinstance(attempt.failure, BudgetRefusedError) else "failed"),
            started_s=round(attempt.started_s - self.attempts[0].started_s, 4),
            latency_s=round(attempt.latency_s, 4),
            cost_nusd=attempt.cost_nusd,
            is_hedge=attempt.is_hedge,
            detail=str(attempt.failure or "")[:300],
        )

    def _final(self, error: UpstreamError) -> NoAnswerError:
        kind = RefusalKind.REFUSED if error.kind is FailureKind.CONTENT_REFUSED else RefusalKind.BAD_REQUEST
        return self._refused(kind, str(error))

    def _hopeless(self) -> NoAnswerError:
        decision = self.decision
        if self.budget is not None:
            return self._refused(RefusalKind.BUDGET, budget_text(self.budget))
        if self._off_schema:
            return self._refused(
                RefusalKind.OFF_SCHEMA, f"no answer satisfies the schema: {self._off_schema}"
            )
        if self._last_failure:
            return self._refused(RefusalKind.UPSTREAM, f"every model failed; the last: {self._last_failure}")
        reasons = [f"{one.model}: {one.dropped}" for one in decision.candidates[:8]] if decision else []
        return self._refused(
            RefusalKind.NO_MODEL,
            f"no model can take this call: {'; '.join(reasons)}"
            if reasons
            else "no model is known: start one (`labverse up --local-model`, Ollama) or set a provider's key",
        )

    def _deadline_text(self) -> str:
        tried = ", ".join(dict.fromkeys(attempt.choice.offer.name for attempt in self.attempts))
        return f"no answer before the deadline (tried {tried or 'nothing: no time was left'})"

    def _refused(self, kind: RefusalKind, message: str) -> NoAnswerError:
        return NoAnswerError(
            Refusal(
                kind=kind,
                message=message,
                budget=self.budget if kind is RefusalKind.BUDGET else None,
                cost_nusd=self.cost_nusd,
                call_id=self.shared.completion_id,
            )
        )

    def _left_s(self) -> float:
        return self.shared.deadline_s - self.parts.clock()

    def _price_if_cloud(self, usage: Usage) -> int:
        prices = [
            offer.price.cost_nusd(usage.input_tokens, usage.output_tokens)
            for offer in self.offers
            if offer.price is not None and not offer.price.is_free
        ]
        return min(prices, default=0)


async def _any_ready(racing: list[Attempt], timeout_s: float) -> None:
    waits = [asyncio.ensure_future(attempt.ready.wait()) for attempt in racing]
    try:
        await asyncio.wait(waits, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()


def budget_text(budget: BudgetState) -> str:
    """Which limit, what is used and held of it, and when it resets, in one line."""
    reset = f"; it resets at {budget.resets_at}" if budget.resets_at else ""
    stop = f", spending stops at ${_usd(budget.stop_nusd)}" if budget.stop_nusd != budget.limit_nusd else ""
    return (
        f"budget of {budget.limit} is exhausted: ${_usd(budget.spent_nusd)} spent and "
        f"${_usd(budget.reserved_nusd)} reserved of ${_usd(budget.limit_nusd)}{stop}{reset}"
    )


def _usd(nusd: int) -> str:
    text = f"{nusd / 1e9:.9f}".rstrip("0")
    return text + "0" * max(0, 2 - len(text.split(".")[1]))


def _left(budget: BudgetState) -> int:
    return max(0, budget.stop_nusd - budget.spent_nusd - budget.reserved_nusd)


def _grown(choice: Choice, max_tokens: int) -> Choice:
    offer = choice.offer
    room = min(offer.output_tokens_max, max(1, offer.context_tokens - choice.input_tokens))
    max_tokens = max(choice.max_tokens, min(max_tokens, room))
    want = offer.price.cost_nusd(choice.input_tokens, max_tokens) if choice.want_nusd and offer.price else 0
    return replace(choice, max_tokens=max_tokens, want_nusd=want)
