"""Choosing the next model of a completion: decides, takes a place, and waits for room or a breaker where it pays."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from agents.router.decide import Choice, Decision, Policy, View, decide
from agents.router.failures import worth_trying
from agents.router.offers import Offer
from agents.router.parts import GIVE_UP_BEFORE_S, Parts, Purposed
from agents.router.progress import TRIES_A_MODEL, Progress
from schemas.llm import BudgetState

PROBE_WAIT_S: Final = 0.25
"""While another call probes a provider that is coming back, it is looked at again at least this often."""
JITTER_S: Final = 0.02


class TooLateError(Exception):
    """Raised when the deadline is over, or as good as over."""


class NothingLeftError(Exception):
    """Raised when no model can be called any more; `Chooser.last` says why not."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """A model to call now; without a place at its provider it first waits for money, and then for one."""

    choice: Choice
    has_place: bool


@dataclass(eq=False, slots=True, kw_only=True)
class Chooser:
    """Chooses for one completion.

    Args:
        month: the month's budget as of a moment ago, None when nothing is known of it.
    """

    parts: Parts
    policy: Policy
    offers: tuple[Offer, ...]
    shared: Purposed
    progress: Progress
    month: BudgetState | None = None

    first: Decision | None = None
    """The first decision, with its estimates."""
    decision_s: float = 0.0
    """How long that took."""
    last: Decision | None = None

    async def next(self, committed_nusd: int) -> Chosen:
        """The best model that may be called now.

        Args:
            committed_nusd: what the completion has cost, or may still cost.

        Raises:
            TooLateError, NothingLeftError: there is none.
        """
        progress = self.progress
        while True:
            left_s = self.left_s()
            if left_s <= GIVE_UP_BEFORE_S:
                raise TooLateError
            decision = self.decide(committed_nusd)
            if self._is_stopped(decision):
                raise NothingLeftError
            if not decision.choices:
                if await self._paused():
                    continue
                raise NothingLeftError
            now_s = self.parts.clock()
            choices = self._preferred(self._in_order(decision.choices))
            for choice in choices:
                if choice.offer.name in progress.short_of_money:
                    return Chosen(choice, has_place=False)
                if self._may_start(choice, now_s) and self._takes_place(choice):
                    return Chosen(choice, has_place=True)
            await self._room(choices, now_s)

    def _preferred(self, choices: Sequence[Choice]) -> Sequence[Choice]:
        """The model that the request prefers, alone, while it is one of the choices: it is waited for."""
        wanted = self.shared.facts.request.prefer
        return [choice for choice in choices if choice.offer.name == wanted] or choices

    def others(self, than: Offer) -> list[Choice]:
        """What else could be called, by the last decision."""
        choices = self.last.choices if self.last is not None else ()
        return [choice for choice in choices if choice.offer.name != than.name]

    def hedge(self, slow: Offer, committed_nusd: int, *, only_others: bool = False) -> Chosen | None:
        """A second model beside a slow one, preferably another, if one has room and money at hand."""
        now_s = self.parts.clock()
        choices = self.decide(committed_nusd).choices
        for choice in sorted(choices, key=lambda choice: choice.offer.name == slow.name):
            is_short = choice.offer.name in self.progress.short_of_money
            if only_others and choice.offer.name == slow.name:
                continue
            if not is_short and self._may_start(choice, now_s) and self._takes_place(choice):
                return Chosen(choice, has_place=True)
        return None

    def has_free_choice(self) -> bool:
        """Whether the call could also be answered for nothing."""
        return self.last is not None and any(choice.is_free for choice in self.last.choices)

    def left_s(self) -> float:
        return self.shared.deadline_s - self.parts.clock()

    def decide(self, committed_nusd: int) -> Decision:
        now_s = self.parts.clock()
        month = self.month
        decision = decide(
            self.shared.facts,
            tuple(self._view(offer) for offer in self.offers),
            self.policy,
            left_s=self.left_s(),
            now_s=now_s,
            spent_nusd=committed_nusd,
            month_left_nusd=None if month is None else month.stop_nusd - month.spent_nusd,
        )
        if self.first is None:
            self.first, self.decision_s = decision, self.parts.clock() - now_s
        self.last = decision
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

    def _may_start(self, choice: Choice, now_s: float) -> bool:
        return self.progress.not_before_s.get(choice.offer.name, 0.0) <= now_s

    def _takes_place(self, choice: Choice) -> bool:
        return self.parts.learned.limit(choice.offer).try_acquire()

    async def _room(self, choices: Sequence[Choice], now_s: float) -> None:
        """Wait until one of the choices has room, or may be asked again."""
        progress, pauses = self.progress, []
        for choice in choices:
            name = choice.offer.name
            pause_s = progress.not_before_s.get(name, 0.0) - now_s
            if pause_s > 0 and worth_trying(now_s, self.shared.deadline_s, pause_s, choice.median_s):
                pauses.append(pause_s + random.uniform(0.0, JITTER_S))
            elif pause_s > 0:
                progress.excluded[name] = "no time for another try"
        if pauses or all(choice.offer.name not in progress.excluded for choice in choices):
            providers = (choice.offer.provider for choice in choices)
            await self.parts.room.wait(providers, min((self.left_s(), *pauses)))

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
        await parts.room.wait(waits, min(pause_s, max(0.0, self.left_s())))
        return True

    def _without_breaker(self, offer: Offer) -> Choice | None:
        """The choice that this offer would be if nothing but its breaker stood against it."""
        view = View(offer=offer, learned=self.parts.learned.model(offer))
        alone = decide(
            self.shared.facts, (view,), self.policy, left_s=self.left_s(), now_s=self.parts.clock()
        )
        return alone.choices[0] if alone.choices else None
