"""ε-manipulability: how much an agent gains by stating false utilities while all others are honest.

Tried are claims of a better alternative to a deal, and utilities that are exaggerated or played down. All of these
leave the order of outcomes as the agent has it, so that the frontier stays the frontier and choosing again is exact.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Final

import numpy as np

from agents.negotiator.concepts import Concept, RegretKind, best_of, terms_of
from agents.negotiator.deals import Names
from agents.negotiator.field import Candidates, Field
from agents.negotiator.problem import Floats, Problem
from schemas.deal import Manipulability

CLAIMS: Final = (1.0, 0.75, 0.5, 0.25)
"""Of the way from what the agent gets to its ideal: what it says that it has without a deal."""
CLAIMS_AGAIN: Final = (1.0, 0.5)
"""Where every claim takes a search of its own."""
POWERS: Final = (4.0, 2.0, 0.5)
"""To which gains are stated: only the best counts, or anything will do."""
NOTABLE: Final = 1e-7

Solve = Callable[[Problem], tuple[Candidates, int] | None]
"""The candidates of a problem and the column chosen."""


def manipulability_of(
    problem: Problem,
    concept: Concept,
    regret: RegretKind,
    field: Field,
    column: int,
    names: Names,
    left_s: Callable[[], float],
    *,
    again: Solve | None = None,
) -> Manipulability:
    """The most that was found, in the time that is left.

    Args:
        again: solves a changed problem anew; without it the candidates hold every outcome that matters.
    """
    best = Manipulability(epsilon=0.0, tested=0)
    tested = 0
    shares = CLAIMS if again is None else CLAIMS_AGAIN
    last_s = 0.0
    for row, claim in _claims(problem, field, column, shares):
        # What the last one took, the next one may take.
        before_s = left_s()
        if before_s <= last_s:
            break
        chosen = (again or _among(field, concept, regret))(_claimed(problem, row, claim))
        tested += 1
        last_s = before_s - left_s() if np.isfinite(before_s) else 0.0
        if chosen is not None:
            words = f"claims to have {claim:.6g} without a deal, instead of {problem.disagreement[row]:.6g}"
            best = _better(best, problem, field, column, row, chosen, words, names)
    for row in range(len(problem.agents)) if again is None else ():
        for power in POWERS:
            if left_s() <= 0:
                break
            chosen = _restated(problem, concept, regret, field, row, power)
            tested += 1
            how = "only the best outcomes are worth much" if power > 1 else "almost any gain will do"
            words = f"states its gains to the power of {power:g}, as if {how}"
            best = _better(best, problem, field, column, row, chosen, words, names)
    return Manipulability(
        epsilon=best.epsilon,
        tested=tested,
        deviator=best.deviator,
        deviation=best.deviation,
        gain=best.gain,
        deal=best.deal,
    )


def _claims(
    problem: Problem, field: Field, column: int, shares: tuple[float, ...]
) -> list[tuple[int, float]]:
    """(agent, what it claims): the boldest claims of all first, for when time runs out."""
    has = field.candidates.utilities[:, column]
    room = field.ideal - has
    return [
        (row, float(has[row] + share * room[row]))
        for share in shares
        for row in range(len(has))
        if room[row] > problem.equal[row] and has[row] + share * room[row] > problem.accepts[row]
    ]


def _claimed(problem: Problem, row: int, claim: float) -> Problem:
    disagreement, accepts = problem.disagreement.copy(), problem.accepts.copy()
    disagreement[row], accepts[row] = claim, max(accepts[row], claim)
    return replace(problem, disagreement=disagreement, accepts=accepts)


def _among(field: Field, concept: Concept, regret: RegretKind) -> Solve:
    def choose(problem: Problem) -> tuple[Candidates, int] | None:
        agreed = problem.agreed(field.candidates.utilities)
        if not agreed.any():
            return None
        left = Candidates(
            utilities=field.candidates.utilities[:, agreed], choices=field.candidates.choices[agreed]
        )
        terms = terms_of(problem, left.utilities.max(axis=1), regret)
        return left, best_of(concept, left, terms).column

    return choose


def _restated(
    problem: Problem, concept: Concept, regret: RegretKind, field: Field, row: int, power: float
) -> tuple[Candidates, int]:
    room = max(float(field.ideal[row] - problem.disagreement[row]), float(problem.equal[row]))
    stated: Floats = field.candidates.utilities.copy()
    gains = (stated[row] - problem.disagreement[row]) / room
    stated[row] = problem.disagreement[row] + room * np.sign(gains) * np.abs(gains) ** power
    terms = terms_of(problem, stated.max(axis=1), regret)
    seen = replace(field.candidates, utilities=stated)
    return field.candidates, best_of(concept, seen, terms).column


def _better(
    best: Manipulability,
    problem: Problem,
    field: Field,
    column: int,
    row: int,
    chosen: tuple[Candidates, int],
    words: str,
    names: Names,
) -> Manipulability:
    candidates, at = chosen
    gain = float(candidates.utilities[row, at] - field.candidates.utilities[row, column])
    room = max(float(field.ideal[row] - problem.disagreement[row]), float(problem.equal[row]))
    epsilon = gain / room
    if epsilon <= max(best.epsilon, NOTABLE):
        return best
    return Manipulability(
        epsilon=epsilon,
        tested=0,
        deviator=problem.agents[row],
        deviation=words,
        gain=gain,
        deal=names.deal(candidates.choices[at]),
    )
