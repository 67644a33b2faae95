"""What callers are told: why there is no answer, in one line that says what to do, and how it was decided. Pure."""

from collections.abc import Mapping, Sequence
from itertools import zip_longest
from typing import Final

from agents.router.attempt import Attempt
from agents.router.decide import Choice, Decision, Dropped, usd
from agents.router.offers import SEES_UNKNOWN
from agents.router.parts import BudgetRefusedError
from agents.router.upstream import FailureKind, UpstreamError
from schemas.llm import Attempt as AttemptShown
from schemas.llm import BudgetState, Candidate, CompletionRequest, Explanation

REASONS_MAX: Final = 8
DETAIL_CHARS_MAX: Final = 300
NO_GUARD_TEXT: Final = (
    "no cost guard answers, so no money can be held and nothing can be paid for: start one (`labverse up`), "
    "or a local model, which is free"
)


def explanation(
    decision: Decision | None,
    attempts: Sequence[Attempt],
    excluded: Mapping[str, str],
    *,
    deadline_left_s: float,
    budget: BudgetState | None,
    decision_s: float,
    notes: Sequence[str],
) -> Explanation:
    """Estimates of the first decision beside what came of it.

    Args:
        excluded: why models (or providers) were not tried again, by name.
    """
    started_s = attempts[0].started_s if attempts else 0.0
    return Explanation(
        candidates=_candidates(decision, excluded) if decision is not None else (),
        attempts=tuple(
            _shown(attempt, started_s)
            for attempt, following in zip_longest(attempts, attempts[1:])
            if not (_is_look(attempt) and following is not None and _is_look(following))
        ),
        deadline_left_s=round(deadline_left_s, 3),
        budget_left_nusd=None if budget is None else _left_nusd(budget),
        decision_s=round(decision_s, 6),
        notes=(*notes, *_guesses(decision, attempts)),
    )


def _guesses(decision: Decision | None, attempts: Sequence[Attempt]) -> list[str]:
    """Those that were shown images on a guess; an answer that ignores them looks like any other."""
    asked = {attempt.choice.offer.name for attempt in attempts if attempt.choice.is_guess}
    names = [choice.offer.name for choice in decision.choices] if decision is not None else []
    return [f"{name} {SEES_UNKNOWN}" for name in dict.fromkeys(names) if name in asked]


def _is_look(attempt: Attempt) -> bool:
    """Whether it found its model being loaded; of many such looks in a row the last is shown."""
    return isinstance(attempt.failure, UpstreamError) and attempt.failure.kind is FailureKind.LOADING


def _candidates(decision: Decision, excluded: Mapping[str, str]) -> tuple[Candidate, ...]:
    shown = []
    for rank, choice in enumerate(decision.choices, 1):
        later = excluded.get(choice.offer.name) or excluded.get(choice.offer.provider)
        shown.append(_chosen(choice, rank, f"tried: {later}" if later else ""))
    shown += [
        Candidate(model=one.offer.name, is_local=one.offer.is_local, dropped=one.reason)
        for one in decision.dropped
    ]
    return tuple(shown)


def _chosen(choice: Choice, rank: int, dropped: str) -> Candidate:
    return Candidate(
        model=choice.offer.name,
        is_local=choice.offer.is_local,
        dropped=dropped,
        estimate_nusd=choice.expected_nusd,
        reserve_nusd=choice.want_nusd,
        p_in_time=-1.0 if choice.p_in_time is None else round(choice.p_in_time, 4),
        latency_p50_s=round(choice.median_s, 4),
        input_tokens=choice.input_tokens,
        max_tokens=choice.max_tokens,
        rank=rank,
    )


def _shown(attempt: Attempt, started_s: float) -> AttemptShown:
    no_money = isinstance(attempt.failure, BudgetRefusedError)
    return AttemptShown(
        model=attempt.choice.offer.name,
        outcome=attempt.outcome or ("no_money" if no_money else "failed"),
        started_s=round(attempt.started_s - started_s, 4),
        latency_s=round(attempt.latency_s, 4),
        cost_nusd=attempt.cost_nusd,
        is_hedge=attempt.is_hedge,
        detail=str(attempt.failure or "")[:DETAIL_CHARS_MAX],
    )


def budget_text(budget: BudgetState) -> str:
    """Which limit, what is used and held of it, and when it resets, in one line."""
    reset = f"; it resets at {budget.resets_at}" if budget.resets_at else ""
    stop = f", spending stops at {usd(budget.stop_nusd)}" if budget.stop_nusd != budget.limit_nusd else ""
    how = "leaves too little for this call" if _left_nusd(budget) else "is exhausted"
    return (
        f"budget of {budget.limit} {how}: {usd(budget.spent_nusd)} spent and "
        f"{usd(budget.reserved_nusd)} reserved of {usd(budget.limit_nusd)}{stop}{reset}"
    )


def call_budget(request: CompletionRequest, limit_nusd: int | None, spent_nusd: int) -> BudgetState:
    """The limit on one call as a budget: the request's own, or the operator's for a task."""
    limits = [limit for limit in (request.max_cost_nusd, limit_nusd) if limit is not None]
    least = min(limits, default=0)
    return BudgetState(
        limit="call", limit_nusd=least, stop_nusd=least, spent_nusd=spent_nusd, reserved_nusd=0
    )


def call_limit_text(dropped: Dropped) -> str:
    return f"no model can take this call for so little money: {dropped.offer.name} {dropped.reason}"


def no_model_text(dropped: Sequence[Dropped]) -> str:
    """Why none of the models can be called, each with its reason; what to do when there are none at all."""
    if not dropped:
        return "no model is known: start one (`labverse up --local-model`, Ollama) or set a provider's key"
    keys = dict.fromkeys(one.offer.key_variable for one in dropped if not one.offer.has_key)
    if all(not one.offer.has_key for one in dropped):
        return f"no model can be called: set {' or '.join(keys)}, or start a local server such as Ollama"
    reasons = [f"{one.offer.name}: {one.reason}" for one in dropped[:REASONS_MAX]]
    more = f"; and {len(dropped) - REASONS_MAX} more" if len(dropped) > REASONS_MAX else ""
    return f"no model can take this call: {'; '.join(reasons)}{more}"


def deadline_text(attempts: Sequence[Attempt]) -> str:
    tried = ", ".join(dict.fromkeys(attempt.choice.offer.name for attempt in attempts))
    return f"no answer before the deadline (tried {tried or 'nothing: no time was left'})"


def _left_nusd(budget: BudgetState) -> int:
    return max(0, budget.stop_nusd - budget.spent_nusd - budget.reserved_nusd)
