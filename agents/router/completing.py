"""One completion: attempts, one after the other or racing, until an answer is good enough or nothing is left.

One absolute deadline runs through all of it. What was promised to the caller's purse and clock is kept whatever
providers do; what was decided and what came of it is noted for `explain`.
"""

import asyncio
import random
from collections.abc import AsyncGenerator, Iterable
from dataclasses import dataclass, field
from typing import Final

from agents.router.attempt import GIVE_UP_BEFORE_S, Attempt, BudgetRefusedError, Parts, Purposed
from agents.router.checks import strip_thinking
from agents.router.decide import Choice, Decision, Policy, View, decide
from agents.router.failures import worth_trying
from agents.router.hedging import HedgeBudget
from agents.router.judging import Verdict, judge
from agents.router.offers import Offer
from agents.router.progress import TRIES_A_MODEL, Progress
from agents.router.saying import (
    NO_GUARD_TEXT,
    budget_text,
    call_budget,
    call_limit_text,
    deadline_text,
    explanation,
    no_model_text,
)
from agents.router.structured import ladder
from agents.router.upstream import UpstreamAnswer, UpstreamError
from bus import BusError
from schemas.cost import Outcome
from schemas.llm import BudgetState, Completion, Explanation, Refusal, RefusalKind, Source, Usage

ATTEMPTS_MAX: Final = 12
"""Requests that one completion may cost, hedges and repairs included."""
PROBE_WAIT_S: Final = 0.25
"""While another call probes a provider that is coming back, it is looked at again at least this often."""
JITTER_S: Final = 0.02
STOP_S_MAX: Final = 0.03
"""How long after the deadline the end of cancelled requests is waited for."""
GUARD_WAIT_S: Final = 1.0
"""How long a call that could also be answered for nothing waits for a cost guard."""
GUARD_WAIT_AGAIN_S: Final = 0.05
GUARD_MISSING_S: Final = 2.0


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
        month: the month's budget as of a moment ago, None when nothing is known of it.
    """

    parts: Parts
    policy: Policy
    hedges: HedgeBudget
    offers: tuple[Offer, ...]
    shared: Purposed
    month: BudgetState | None = None

    attempts: list[Attempt] = field(default_factory=list)
    progress: Progress = field(default_factory=Progress)
    decision: Decision | None = None
    """The first one, with its estimates."""
    decision_s: float = 0.0
    _last: Decision | None = None

    async def run(self) -> AsyncGenerator[str | Completion]:
        """Pieces of text when the request is a stream, and at last the completion.

        Raises:
            NoAnswerError: there is none. No request is left running upstream then, nor when this is closed.
        """
        started_s = self.parts.clock()
        try:
            while True:
                attempt = await self._raced(await self._next_attempt())
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
                if answer is not None and (verdict := self._judged(attempt, answer)) is not None:
                    yield self._completion(attempt, answer, verdict, started_s)
                    return
        finally:
            await self._stop(self.attempts)

    # -- choosing -----------------------------------------------------------------------------------------

    async def _next_attempt(self) -> Attempt:
        """The best model with room, called; waits for room, money or a breaker when that makes sense."""
        progress = self.progress
        while True:
            left_s = self._left_s()
            if left_s <= GIVE_UP_BEFORE_S:
                raise self._refused(RefusalKind.DEADLINE, deadline_text(self.attempts))
            decision = self._decide(left_s)
            if len(self.attempts) >= ATTEMPTS_MAX or self._is_stopped(decision):
                raise self._hopeless(decision)
            if not decision.choices:
                if await self._paused():
                    continue
                raise self._hopeless(decision)
            now_s = self.parts.clock()
            choices = self._in_order(decision.choices)
            for choice in choices:
                if choice.offer.name in progress.short_of_money:
                    return self._attempt(choice, has_place=False)
                if progress.not_before_s.get(choice.offer.name, 0.0) <= now_s and self._takes_place(choice):
                    return self._attempt(choice)
            await self._room(choices, left_s, now_s)

    def _decide(self, left_s: float) -> Decision:
        now_s = self.parts.clock()
        month = self.month
        committed_nusd = sum(attempt.committed_nusd for attempt in self.attempts)
        decision = decide(
            self.shared.facts,
            tuple(self._view(offer) for offer in self.offers),
            self.policy,
            left_s=left_s,
            now_s=now_s,
            spent_nusd=committed_nusd,
            month_left_nusd=None if month is None else month.stop_nusd - month.spent_nusd,
        )
        if self.decision is None:
            self.decision, self.decision_s = decision, self.parts.clock() - now_s
        self._last = decision
        return decision

    def _view(self, offer: Offer) -> View:
        parts, progress = self.parts, self.progress
        limit, breakers = parts.learned.limit(offer), parts.breakers.of(offer)
        excluded = progress.reason_against(offer)
        if not excluded and breakers and parts.breakers.is_probing(offer):
            excluded = "coming back: one request at a time"
        repair = progress.repairs.get(offer.name)
        return View(
            offer=offer,
            learned=parts.learned.model(offer),
            breakers=breakers,
            is_full=limit.in_flight >= limit.limit,
            excluded=excluded,
            room_wanted=progress.room_wanted.get(offer.name, 0),
            more_counted=repair.counted_tokens if repair else 0,
            more_bound=repair.bound_tokens if repair else 0,
        )

    def _in_order(self, choices: tuple[Choice, ...]) -> list[Choice]:
        """Who may put its own answer right comes first; then those that didn't fail; who lacks money, last."""
        if not self.attempts:
            return list(choices)
        progress = self.progress
        fresh = [choice for choice in choices if choice.offer.name not in progress.short_of_money]
        return sorted(
            fresh or choices,
            key=lambda choice: (
                not progress.gets_second_try(choice.offer.name),
                progress.tries.get(choice.offer.name, 0),
            ),
        )

    def _is_stopped(self, decision: Decision) -> bool:
        """Whether the month's money is spent and the operator wants nothing answered then, not even for nothing."""
        if self.policy.local_when_stopped:
            return False
        budget = self.progress.budget
        if budget is not None and budget.limit.startswith("month"):
            return any(reason.startswith("no money") for reason in self.progress.excluded.values())
        return any(one.obstacle == "month" for one in decision.dropped)

    def _takes_place(self, choice: Choice) -> bool:
        return self.parts.learned.limit(choice.offer).try_acquire()

    async def _room(self, choices: Iterable[Choice], left_s: float, now_s: float) -> None:
        """Wait until one of the choices has room, or may be asked again."""
        starts = [
            start_s - now_s
            for choice in choices
            if (start_s := self.progress.not_before_s.get(choice.offer.name, 0.0)) > now_s
        ]
        for choice in choices:
            name = choice.offer.name
            pause_s = self.progress.not_before_s.get(name, 0.0) - now_s
            if pause_s > 0 and not worth_trying(now_s, self.shared.deadline_s, pause_s, choice.median_s):
                self.progress.excluded[name] = "no time for another try"
        pause_s = min(starts, default=left_s) + (random.uniform(0.0, JITTER_S) if starts else 0.0)
        await self.parts.room.wait((choice.offer.provider for choice in choices), min(left_s, pause_s))

    async def _paused(self) -> bool:
        """Wait for the first breaker that lets requests through in time, if there is one."""
        parts, now_s = self.parts, self.parts.clock()
        waits: dict[str, float] = {}
        for offer in self.offers:
            opens_s = parts.breakers.opens_at(offer)
            if not opens_s and parts.breakers.is_probing(offer):
                opens_s = now_s + PROBE_WAIT_S
            if (
                opens_s
                and not self.progress.reason_against(offer)
                and self.progress.tries.get(offer.name, 0) < TRIES_A_MODEL
                and (choice := self._without_breaker(offer)) is not None
                and worth_trying(now_s, self.shared.deadline_s, opens_s - now_s, choice.median_s)
            ):
                waits[offer.provider] = min(opens_s - now_s, waits.get(offer.provider, opens_s))
        if not waits:
            return False
        # A little late and not all at once.
        pause_s = min(waits.values()) + random.uniform(0.001, JITTER_S)
        await parts.room.wait(waits, min(pause_s, max(0.0, self._left_s())))
        return True

    def _without_breaker(self, offer: Offer) -> Choice | None:
        """The choice that this offer would be if nothing but its breaker stood against it."""
        view = View(offer=offer, learned=self.parts.learned.model(offer))
        alone = decide(
            self.shared.facts, (view,), self.policy, left_s=self._left_s(), now_s=self.parts.clock()
        )
        return alone.choices[0] if alone.choices else None

    # -- attempts -----------------------------------------------------------------------------------------

    def _attempt(self, choice: Choice, *, is_hedge: bool = False, has_place: bool = True) -> Attempt:
        offer, shared = choice.offer, self.shared
        has_schema = shared.facts.request.schema is not None
        repair = self.progress.repairs.get(offer.name)
        attempt = Attempt(
            parts=self.parts,
            shared=shared,
            choice=choice,
            call_id=f"{shared.completion_id}-{len(self.attempts)}",
            messages=(*shared.facts.messages, *repair.messages) if repair else shared.facts.messages,
            guard_until_s=self._guard_until_s(choice),
            format=ladder(self.parts.learned.model(offer).can)[0] if has_schema else "text",
            is_hedge=is_hedge,
            has_place=has_place,
            price_if_cloud=self._price_if_cloud,
        )
        self.attempts.append(attempt)
        if not is_hedge:
            self.hedges.called(self.parts.clock())
        attempt.start()
        return attempt

    def _guard_until_s(self, choice: Choice) -> float:
        """Who has a free model to turn to doesn't wait for a cost guard as long as it could."""
        parts, until_s = self.parts, self.shared.deadline_s - GIVE_UP_BEFORE_S
        decision = self._last
        if choice.is_free or decision is None or not any(one.is_free for one in decision.choices):
            return until_s
        now_s = parts.clock()
        wait_s = GUARD_WAIT_AGAIN_S if now_s < parts.guard_missing_until_s else GUARD_WAIT_S
        return min(until_s, now_s + wait_s)

    async def _raced(self, attempt: Attempt) -> Attempt | None:
        """The attempt that gives something first, it or its hedge; None when all failed (which is noted)."""
        racing = [attempt]
        delay_s = self._hedge_delay_s(attempt)
        hedge_at_s = None if delay_s is None else self.parts.clock() + delay_s
        while racing:
            until_s = self.shared.deadline_s
            await self._until_ready(racing, until_s if hedge_at_s is None else min(until_s, hedge_at_s))
            for one in [one for one in racing if one.is_ready]:
                racing.remove(one)
                if one.failure is None:
                    await self._stop(racing, Outcome.HEDGE_LOST)
                    return one
                self._failed(one, one.failure)
            if racing and self._left_s() <= 0:
                await self._stop(racing)
                raise self._refused(RefusalKind.DEADLINE, deadline_text(self.attempts))
            if racing and hedge_at_s is not None and self.parts.clock() >= hedge_at_s:
                hedge_at_s = None
                if (hedge := self._hedge(attempt)) is not None:
                    racing.append(hedge)
        return None

    async def _until_ready(self, racing: list[Attempt], until_s: float) -> None:
        woken = self.shared.woken
        try:
            async with asyncio.timeout(max(0.0, until_s - self.parts.clock())):
                while not any(attempt.is_ready for attempt in racing):
                    woken.clear()
                    await woken.wait()
        except TimeoutError:
            pass

    async def _stop(self, attempts: Iterable[Attempt], outcome: Outcome = Outcome.CANCELLED) -> None:
        """Cancel requests and book what they may have cost; all are told before any is waited for."""
        tasks = [task for attempt in attempts if (task := attempt.abandon(outcome)) is not None]
        if tasks:
            await asyncio.wait(tasks, timeout=max(STOP_S_MAX, self._left_s()))

    def _hedge_delay_s(self, attempt: Attempt) -> float | None:
        now_s = self.parts.clock()
        if not self.hedges.may_hedge(now_s):
            return None
        choice = attempt.choice
        delay_s = self.parts.learned.model(choice.offer).hedge_delay_s(
            is_stream=self.shared.is_stream, output_tokens=choice.expected_tokens, now_s=now_s
        )
        return delay_s if delay_s is not None and delay_s < self._left_s() else None

    def _hedge(self, slow: Attempt) -> Attempt | None:
        """A second request, preferably to another model, if there is one with room and money at hand."""
        if len(self.attempts) >= ATTEMPTS_MAX or not self.hedges.may_hedge(self.parts.clock()):
            return None
        now_s, slow_name = self.parts.clock(), slow.choice.offer.name
        choices = self._decide(self._left_s()).choices
        for choice in sorted(choices, key=lambda choice: choice.offer.name == slow_name):
            name = choice.offer.name
            if name in self.progress.short_of_money or self.progress.not_before_s.get(name, 0.0) > now_s:
                continue
            if self._takes_place(choice):
                self.hedges.hedged(now_s)
                return self._attempt(choice, is_hedge=True)
        return None

    async def _piece(self, attempt: Attempt) -> str | UpstreamAnswer | None:
        """What comes next from the winner; None when it failed and another may be tried."""
        try:
            async with asyncio.timeout(max(0.0, self._left_s())):
                return await attempt.next()
        except TimeoutError:
            await self._stop([attempt])
            kind = RefusalKind.STREAM_CUT if attempt.text else RefusalKind.DEADLINE
            raise self._refused(kind, deadline_text(self.attempts)) from None
        except (UpstreamError, BudgetRefusedError, BusError) as error:
            if attempt.text:
                name = attempt.choice.offer.name
                text = f"{name} broke off after some text: {error}"
                raise self._refused(RefusalKind.STREAM_CUT, text) from None
            self._failed(attempt, error)
            return None

    def _failed(self, attempt: Attempt, error: BaseException) -> None:
        """Note a failure.

        Raises:
            NoAnswerError: nothing else may be tried.
        """
        now_s = self.parts.clock()
        if isinstance(error, BudgetRefusedError) and error.budget.limit.startswith("month"):
            self.month = error.budget
        if isinstance(error, BusError):
            self.parts.guard_missing_until_s = now_s + GUARD_MISSING_S
        learned = self.parts.learned.model(attempt.choice.offer)
        kind = self.progress.failed(attempt, error, learned, now_s)
        if kind is not None:
            raise self._refused(kind, str(error))

    # -- answers ------------------------------------------------------------------------------------------

    def _judged(self, attempt: Attempt, answer: UpstreamAnswer) -> Verdict | None:
        """What the caller gets; None when the answer isn't good enough and another attempt follows."""
        verdict = judge(answer, self.shared.facts.request)
        attempt.book(answer, verdict.outcome)
        if verdict.is_delivered:
            return verdict
        kind = self.progress.rejected(attempt, answer, verdict)
        if kind is None and attempt.text:
            # Its text is with the caller already; nothing can be taken back.
            is_off_schema = verdict.off_schema is not None
            kind = RefusalKind.OFF_SCHEMA if is_off_schema else RefusalKind.UPSTREAM
        if kind is not None:
            off_schema = self.progress.off_schema if kind is RefusalKind.OFF_SCHEMA else ""
            raise self._refused(kind, f"{self.progress.last_failure} {off_schema}".strip())
        return None

    def _completion(
        self, attempt: Attempt, answer: UpstreamAnswer, verdict: Verdict, started_s: float
    ) -> Completion:
        offer = attempt.choice.offer
        return Completion(
            text=strip_thinking(answer.text),
            value=verdict.value,
            tool_calls=answer.tool_calls,
            source=Source.MODEL,
            provider=offer.provider,
            model=offer.name,
            response_model=answer.response_model,
            is_local=offer.is_local,
            finish_reason=answer.finish_reason,
            usage=attempt.usage,
            cost_nusd=self.cost_nusd,
            latency_s=round(attempt.ended_s - started_s, 6),
            time_to_first_s=round(attempt.first_s - started_s, 6) if attempt.first_s else 0.0,
            attempts=len(self.attempts),
            fallback=any(one.failure is not None and not one.is_hedge for one in self.attempts)
            or any(one.choice.offer.name != offer.name and not one.is_hedge for one in self.attempts[:-1]),
            call_id=self.shared.completion_id,
        )

    # -- what is said -------------------------------------------------------------------------------------

    @property
    def cost_nusd(self) -> int:
        return sum(attempt.cost_nusd for attempt in self.attempts)

    def explanation(self) -> Explanation:
        return explanation(
            self.decision,
            self.attempts,
            self.progress.excluded,
            deadline_left_s=self._left_s(),
            budget=self.progress.budget,
            decision_s=self.decision_s,
            notes=self.progress.notes,
        )

    def _hopeless(self, decision: Decision) -> NoAnswerError:
        progress, request = self.progress, self.shared.facts.request
        failure = f"; the last model failed: {progress.last_failure}" if progress.last_failure else ""
        is_month = any(one.obstacle == "month" for one in decision.dropped)
        budget = progress.budget or (self.month if is_month else None)
        if budget is not None:
            return self._refused(RefusalKind.BUDGET, budget_text(budget) + failure, budget)
        if progress.off_schema:
            text = f"no answer satisfies the schema: {progress.off_schema}"
            return self._refused(RefusalKind.OFF_SCHEMA, text)
        if progress.has_no_guard:
            return self._refused(RefusalKind.NO_MODEL, NO_GUARD_TEXT + failure)
        if progress.last_failure:
            text = f"every model failed; the last: {progress.last_failure}"
            return self._refused(RefusalKind.UPSTREAM, text)
        too_dear = min(
            (one for one in decision.dropped if one.obstacle == "call_limit"),
            key=lambda one: one.least_nusd,
            default=None,
        )
        if too_dear is not None:
            budget = call_budget(request, self.policy.call_limit_nusd, self.cost_nusd)
            return self._refused(RefusalKind.BUDGET, call_limit_text(too_dear), budget)
        return self._refused(RefusalKind.NO_MODEL, no_model_text(decision.dropped))

    def _refused(self, kind: RefusalKind, message: str, budget: BudgetState | None = None) -> NoAnswerError:
        return NoAnswerError(
            Refusal(
                kind=kind,
                message=message,
                budget=budget,
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
