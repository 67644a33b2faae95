"""One completion: attempts, one after the other or racing, until an answer is good enough or nothing is left.

One absolute deadline runs through all of it. What was promised to the caller's purse and clock is kept whatever
providers do; what was decided and what came of it is noted for `explain`.
"""

import asyncio
from collections.abc import AsyncGenerator, Iterable
from dataclasses import dataclass, field
from typing import Final

from agents.router.attempt import Attempt
from agents.router.checks import strip_thinking
from agents.router.choosing import Chooser, Chosen, NothingLeftError, TooLateError
from agents.router.decide import Choice, Policy
from agents.router.hedging import HedgeBudget
from agents.router.judging import Verdict, judge
from agents.router.offers import Offer
from agents.router.parts import GIVE_UP_BEFORE_S, BudgetRefusedError, Parts, Purposed
from agents.router.progress import Progress
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
STOP_S_MAX: Final = 0.03
"""How long after the deadline the end of cancelled requests is waited for."""
RESCUE_MEDIANS: Final = 3.0
"""A rescue starts while so many times the other model's usual duration is left,"""
RESCUE_SHARE: Final = 0.4
"""or so much of the time, when nobody knows how long it takes."""
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
    chooser: Chooser = field(init=False)
    _is_rescued: bool = False
    _rescue_at_s: float = float("inf")

    def __post_init__(self) -> None:
        self.chooser = Chooser(
            parts=self.parts,
            policy=self.policy,
            offers=self.offers,
            shared=self.shared,
            progress=self.progress,
            month=self.month,
        )

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

    async def _next_attempt(self) -> Attempt:
        """The best model with room, called."""
        try:
            if self._is_at_most():
                raise NothingLeftError
            return self._attempt(await self.chooser.next(self._committed_nusd()))
        except TooLateError:
            if self.attempts and self.attempts[-1].waits_for_money and self.progress.budget is not None:
                raise self._hopeless() from None  # its time went by waiting for money
            raise self._refused(RefusalKind.DEADLINE, deadline_text(self.attempts)) from None
        except NothingLeftError:
            raise self._hopeless() from None

    def _is_at_most(self) -> bool:
        """Whether it has made all its requests; looks at a model that is being loaded have a limit of their own."""
        return len(self.attempts) - sum(self.progress.loading.values()) >= ATTEMPTS_MAX

    # -- attempts -----------------------------------------------------------------------------------------

    def _attempt(self, chosen: Chosen, *, is_hedge: bool = False) -> Attempt:
        choice, shared = chosen.choice, self.shared
        offer = choice.offer
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
            has_place=chosen.has_place,
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
        if choice.is_free or not self.chooser.has_free_choice():
            return until_s
        now_s = parts.clock()
        wait_s = GUARD_WAIT_AGAIN_S if now_s < parts.guard_missing_until_s else GUARD_WAIT_S
        return min(until_s, now_s + wait_s)

    async def _raced(self, attempt: Attempt) -> Attempt | None:
        """The attempt that gives something first, it or another beside it; None when all failed (which is noted)."""
        racing = [attempt]
        starts = self._second_starts_s(attempt)
        while racing:
            await self._until_ready(racing, min((self.shared.deadline_s, *starts)))
            for one in [one for one in racing if one.is_ready]:
                racing.remove(one)
                if one.failure is None:
                    await self._stop(racing, Outcome.HEDGE_LOST)
                    return one
                self._failed(one, one.failure)
            now_s = self.parts.clock()
            if racing and self._left_s() <= 0:
                await self._stop(racing)
                raise self._refused(RefusalKind.DEADLINE, deadline_text(self.attempts))
            if racing and starts and now_s >= starts[0]:
                is_rescue = starts.pop(0) >= self._rescue_at_s
                if (second := self._second(attempt, is_rescue=is_rescue)) is not None:
                    racing.append(second)
                    starts.clear()
        return None

    def _second_starts_s(self, attempt: Attempt) -> list[float]:
        """When a second request may go out beside a slow one: as a hedge, or as a rescue while there is time."""
        now_s, choice = self.parts.clock(), attempt.choice
        learned = self.parts.learned.model(choice.offer)
        starts = []
        if self.hedges.may_hedge(now_s):
            delay_s = learned.hedge_delay_s(
                is_stream=self.shared.is_stream, output_tokens=choice.expected_tokens, now_s=now_s
            )
            if delay_s is not None:
                starts.append(now_s + delay_s)
        # It isn't late before its usual time is over; what another one needs must be left then.
        usually_s = learned.usually_within_s(choice.expected_tokens, now_s) or 0.0
        others = self.chooser.others(choice.offer)
        needs_s = min(
            (one.median_s * RESCUE_MEDIANS or self._left_s() * RESCUE_SHARE for one in others), default=0.0
        )
        if needs_s:
            self._rescue_at_s = max(now_s + usually_s, self.shared.deadline_s - needs_s)
            starts.append(self._rescue_at_s)
        return sorted(start_s for start_s in starts if start_s < self.shared.deadline_s)

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

    def _second(self, slow: Attempt, *, is_rescue: bool) -> Attempt | None:
        """A second request, if one may be made: hedges are few, a rescue is made once for a completion."""
        now_s = self.parts.clock()
        if self._is_at_most():
            return None
        if is_rescue:
            if self._is_rescued:
                return None
        elif not self.hedges.may_hedge(now_s):
            return None
        chosen = self.chooser.hedge(slow.choice.offer, self._committed_nusd(), only_others=is_rescue)
        if chosen is None:
            return None
        if is_rescue:
            self._is_rescued = True
        else:
            self.hedges.hedged(now_s)
        return self._attempt(chosen, is_hedge=True)

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
        now_s, budget = self.parts.clock(), self.progress.budget
        if isinstance(error, BusError) and attempt.waits_for_money and budget is not None:
            error = BudgetRefusedError(budget)  # the guard is there; the money didn't come back in time
        if isinstance(error, BudgetRefusedError) and error.budget.limit.startswith("month"):
            self.month = self.chooser.month = error.budget
        if isinstance(error, BusError) and attempt.latency_s >= GUARD_WAIT_AGAIN_S:
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
            fallback=any(self._gave_way(one, offer) for one in self.attempts),
            call_id=self.shared.completion_id,
        )

    @staticmethod
    def _gave_way(attempt: Attempt, offer: Offer) -> bool:
        """Whether an attempt at another model failed, so that `offer` came to answer."""
        was_outrun = attempt.is_hedge or attempt.outcome is Outcome.HEDGE_LOST
        return attempt.choice.offer.name != offer.name and not was_outrun

    # -- what is said -------------------------------------------------------------------------------------

    @property
    def cost_nusd(self) -> int:
        return sum(attempt.cost_nusd for attempt in self.attempts)

    def _committed_nusd(self) -> int:
        return sum(attempt.committed_nusd for attempt in self.attempts)

    def explanation(self) -> Explanation:
        return explanation(
            self.chooser.first,
            self.attempts,
            self.progress.excluded,
            deadline_left_s=self._left_s(),
            budget=self.progress.budget,
            decision_s=self.chooser.decision_s,
            notes=self.progress.notes,
        )

    def _hopeless(self) -> NoAnswerError:
        progress, request, last = self.progress, self.shared.facts.request, self.chooser.last
        dropped = last.dropped if last is not None else ()
        failure = f"; the last model failed: {progress.last_failure}" if progress.last_failure else ""
        is_month = any(one.obstacle == "month" for one in dropped)
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
            (one for one in dropped if one.obstacle == "call_limit"),
            key=lambda one: one.least_nusd,
            default=None,
        )
        if too_dear is not None:
            budget = call_budget(request, self.policy.call_limit_nusd, self.cost_nusd)
            return self._refused(RefusalKind.BUDGET, call_limit_text(too_dear), budget)
        return self._refused(RefusalKind.NO_MODEL, no_model_text(dropped))

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
