"""A search that rules out most of 10^20 outcomes by planes, and lists all that are left.

Of each concept come all outcomes whose plane (`aims`) is not below the best one found, so that the best is among them,
and everything tied with it. When that would be too many, integer programming goes on until the deadline; what is left
open then is a bound.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import combinations
from math import comb
from typing import Final

import numpy as np

from agents.negotiator.aims import Aim, aim_of, plane_of
from agents.negotiator.concepts import Concept, RegretKind, Terms, terms_of
from agents.negotiator.field import Candidates, Field, candidates_of
from agents.negotiator.highs import InfeasibleError, UnfinishedError
from agents.negotiator.limits import COALITIONS_MAX, UTILITY_MAX, RefusedError
from agents.negotiator.listed import Choices, Listed, is_closed
from agents.negotiator.milp import milp_best
from agents.negotiator.pareto import directions, distinct
from agents.negotiator.problem import Floats, Problem
from agents.negotiator.within import within

KEPT_MAX: Final = 4_000
"""Outcomes of one concept that are kept to choose from; ties are among them."""
RUNNERS_UP: Final = 3
BUDGET_FIRST: Final = 1e-3
BUDGET_GROWTH: Final = 4.0


class NothingFoundError(Exception):
    """Raised when no outcome was found that enough agents accept.

    Attributes:
        is_proven: there is none.
    """

    def __init__(self, *, is_proven: bool) -> None:
        super().__init__()
        self.is_proven = is_proven


def searched(
    problem: Problem,
    regret: RegretKind,
    concepts: Sequence[Concept],
    left_s: Callable[[], float],
) -> Field:
    """The best outcomes by each of `concepts`, the most important first.

    Raises:
        NothingFoundError: there is nothing to choose from.
        RefusedError: there are too many ways to fill the quorum.
    """
    floors = _floors(problem)
    quick = _quick(problem)
    ideal, is_exact, pool = _ideals(problem, floors, left_s)
    if not pool and not len(quick):
        raise NothingFoundError(is_proven=bool(np.isneginf(ideal).all()))
    pool.append(quick)
    terms = terms_of(problem, ideal, regret)
    bounds: dict[str, float] = {}
    for concept in concepts:
        if _is_same_as_regret(concept, concepts, terms):
            continue
        if left_s() <= 0:
            bounds[concept] = np.inf
            continue
        runners_up = RUNNERS_UP if concept == concepts[0] else 0
        listed = _of_concept(problem, concept, terms, floors, left_s, runners_up, np.vstack(pool))
        pool += [one.choices for one in listed if len(one.choices)]
        # What enough agents accept is known: a programme that says there is nothing is wrong in its last digits.
        bound = max((one.bound for one in listed), default=np.inf)
        best = max((one.best for one in listed), default=-np.inf)
        if not is_closed(best, bound):
            bounds[concept] = bound
    if "regret" in bounds and "kalai_smorodinsky" in concepts and "kalai_smorodinsky" not in bounds:
        bounds["kalai_smorodinsky"] = np.inf
    return _pooled(problem, ideal, is_exact, pool, bounds)


def _is_same_as_regret(concept: Concept, concepts: Sequence[Concept], terms: Terms) -> bool:
    """With equal weights the least relative regret is the largest equal share."""
    is_equal = terms.regret == "relative" and bool((terms.weight == terms.weight[0]).all())
    return concept == "kalai_smorodinsky" and "regret" in concepts and is_equal


def _pooled(
    problem: Problem,
    ideal: Floats,
    is_exact: bool,
    pool: list[Choices],
    bounds: dict[str, float],
) -> Field:
    candidates = candidates_of(problem, np.unique(np.vstack(pool), axis=0))
    agreed = problem.agreed(candidates.utilities)
    if not agreed.any():
        raise NothingFoundError(is_proven=False)
    candidates = Candidates(utilities=candidates.utilities[:, agreed], choices=candidates.choices[agreed])
    return Field(
        candidates=candidates,
        ideal=np.maximum(ideal, candidates.utilities.max(axis=1)),
        route="search",
        bounds=bounds,
        is_ideal_exact=is_exact,
    )


def _quick(problem: Problem) -> Choices:
    """Outcomes that many weightings of the agents find best, of those that enough accept: for when time runs out."""
    weights = directions(len(problem.agents)) / problem.unit
    choices = np.stack([np.argmax(weights @ part, axis=1) for part in problem.parts], axis=1)
    choices = np.unique(choices.astype(np.int32), axis=0)
    return choices[problem.agreed(problem.utilities(choices))]


def _floors(problem: Problem) -> list[Floats]:
    """Of each way to fill the quorum, the least utilities; −inf for those who need not accept."""
    accepts = problem.accepts - problem.equal
    agents = len(accepts)
    if comb(agents, problem.quorum) > COALITIONS_MAX:
        raise RefusedError(
            f"a quorum of {problem.quorum} of {agents} agents can be filled in "
            f"{comb(agents, problem.quorum)} ways; over so many outcomes at most {COALITIONS_MAX}"
        )
    floors = []
    for members in combinations(range(agents), problem.quorum):
        floor = np.full(agents, -np.inf)
        floor[list(members)] = accepts[list(members)]
        floors.append(floor)
    return floors


def _ideals(
    problem: Problem, floors: list[Floats], left_s: Callable[[], float]
) -> tuple[Floats, bool, list[Choices]]:
    """(the most each agent can get, whether that is exact, outcomes that show it)."""
    agents = len(problem.agents)
    ideal, is_exact, found = np.full(agents, -np.inf), True, []
    for row in range(agents):
        reached, bound = -np.inf, -np.inf
        if left_s() <= 0:
            most = sum(float(part[row].max()) for part in problem.parts)
            ideal[row], is_exact = most, False
            continue
        for listed in _most(problem, row, floors, left_s):
            bound = max(bound, listed.bound)
            if len(listed.choices):
                reached = max(reached, listed.best)
                found.append(listed.choices[:RUNNERS_UP])
        ideal[row] = reached if np.isfinite(reached) else bound
        is_exact &= bound <= reached + problem.equal[row]
    return ideal, bool(is_exact), found


def _greedy(problem: Problem, row: int, floor: Floats) -> Listed | None:
    """The agent's favourite outcome, of equal ones that which is best for the others, if they accept it."""
    others = 1.0 / problem.unit
    choice = []
    for part in problem.parts:
        tied = np.flatnonzero(part[row] >= part[row].max() - problem.equal[row] * 1e-3)
        choice.append(int(tied[np.argmax(others @ part[:, tied])]))
    choices = np.array([choice], dtype=np.int32)
    utilities = problem.utilities(choices)
    if (utilities[:, 0] < floor).any():
        return None
    best = float(sum(part[row].max() for part in problem.parts))
    return Listed(choices=choices, best=best, bound=best)


def _of_concept(
    problem: Problem,
    concept: Concept,
    terms: Terms,
    floors: list[Floats],
    left_s: Callable[[], float],
    runners_up: int,
    known: Choices,
) -> list[Listed]:
    gaining = np.flatnonzero(terms.ideal > terms.disagreement + terms.equal)
    aim = aim_of(concept, terms, gaining)
    if not len(aim.rows):
        # Nobody can gain: every product is 0.
        return [Listed(choices=_none(problem), best=0.0, bound=0.0)]
    return _of_floors(problem, aim, floors, left_s, runners_up=runners_up, known=known)


def _of_floors(
    problem: Problem,
    aim: Aim,
    floors: list[Floats],
    left_s: Callable[[], float],
    *,
    runners_up: int = 0,
    known: Choices | None = None,
) -> list[Listed]:
    """What is best for each way to fill the quorum, or for all ways at once where that settles it."""
    if problem.needs_all:
        listed = _listed(problem, aim, floors[0], left_s, runners_up=runners_up, known=known)
        return [] if listed is None else [listed]
    anyhow = _listed(
        problem, aim, np.full_like(floors[0], -np.inf), left_s, runners_up=runners_up, known=known
    )
    if anyhow is not None and is_closed(anyhow.best, anyhow.bound):
        return [anyhow]
    each = [_listed(problem, aim, floor, left_s, runners_up=runners_up, known=known) for floor in floors]
    found = [one for one in each if one is not None]
    if anyhow is not None:
        found = [replace(one, bound=min(one.bound, anyhow.bound)) for one in found]
        found.append(replace(anyhow, bound=anyhow.best))
    return found


def _listed(
    problem: Problem,
    aim: Aim,
    floor: Floats,
    left_s: Callable[[], float],
    *,
    runners_up: int = 0,
    known: Choices | None = None,
) -> Listed | None:
    """All outcomes whose aim could be the best, and some of the next best; None when the floors can't be met.

    Args:
        known: outcomes found before, so that worse ones need not be looked at.
    """
    try:
        plane = plane_of(aim, problem.parts, floor, left_s)
    except InfeasibleError:
        return None
    except UnfinishedError:
        return Listed(choices=_none(problem), best=-np.inf, bound=np.inf)
    spread = sum(float(np.ptp(plane.slope @ part)) for part in problem.parts) + 1e-12
    closed = -np.inf
    wanted, best, reach = _known_best(problem, aim, known, runners_up)
    budget = BUDGET_FIRST * spread
    while left_s() > 0:
        choices = within(problem, plane, aim, floor, budget, reach, left_s)
        if choices is None:
            break
        closed = budget
        utilities = problem.utilities(choices)
        agreed = problem.agreed(utilities)
        choices = choices[agreed]
        if len(choices):
            values = aim.of(utilities[:, agreed])
            order = np.argsort(-values, kind="stable")
            wanted, best = choices[order[:KEPT_MAX]], max(best, float(values[order[0]]))
            reach = max(reach, float(values[order[runners_up]]) if len(order) > runners_up else -np.inf)
        if reach >= plane.top - budget or budget >= spread:
            break
        if best >= plane.top - budget and budget * BUDGET_GROWTH > spread:
            break
        budget = _next_budget(budget, plane.top - reach, plane.top - best, spread)
    bound = best if closed >= spread else max(best, plane.top - max(closed, 0.0))
    listed = Listed(choices=wanted, best=best, bound=bound)
    if not is_closed(best, bound) and left_s() > 0 and np.isfinite(floor).any():
        return milp_best(problem, aim, floor, listed, left_s)
    return listed


def _none(problem: Problem) -> Choices:
    return np.empty((0, len(problem.parts)), dtype=np.int32)


def _known_best(
    problem: Problem, aim: Aim, known: Choices | None, runners_up: int
) -> tuple[Choices, float, float]:
    """(the best of what is known, its aim, what outcomes have to reach to be among the best)."""
    if known is None or not len(known):
        return _none(problem), -np.inf, -np.inf
    utilities = problem.utilities(known)
    able = np.flatnonzero(problem.agreed(utilities))
    able = able[distinct(problem.keys(utilities[:, able]))]
    values = aim.of(utilities[:, able])
    order = np.argsort(-values, kind="stable")
    if not len(order) or not np.isfinite(values[order[0]]):
        return _none(problem), -np.inf, -np.inf
    reach = float(values[order[runners_up]]) if len(order) > runners_up else -np.inf
    return known[able[order[:1]]], float(values[order[0]]), reach


def _next_budget(budget: float, for_reach: float, for_best: float, spread: float) -> float:
    """What closes the list if that is known, but not much more at a time: a better outcome may turn up before."""
    needed = (for_reach if np.isfinite(for_reach) else for_best) * (1 + 1e-9) + 1e-9 * spread
    if not np.isfinite(needed) or needed <= budget:
        needed = spread
    return min(needed, budget * BUDGET_GROWTH, spread)


def _most(problem: Problem, row: int, floors: list[Floats], left_s: Callable[[], float]) -> list[Listed]:
    favourite = _greedy(problem, row, np.full_like(floors[0], -np.inf))
    if favourite is not None and problem.agreed(problem.utilities(favourite.choices)).all():
        return [favourite]
    return _of_floors(problem, _alone(row), floors, left_s, runners_up=0)


def most_of(problem: Problem, row: int, floor: Floats, left_s: Callable[[], float]) -> Listed | None:
    """The most that one agent can have where the others have `floor`; None when they can't."""
    alone = replace(problem, accepts=np.where(np.isfinite(floor), problem.accepts, -UTILITY_MAX))
    return _greedy(problem, row, floor) or _listed(alone, _alone(row), floor, left_s, runners_up=0)


def nearest_to(problem: Problem, left_s: Callable[[], float]) -> Listed | None:
    """The outcome where the largest shortfall from what agents accept, as a share of their range, is smallest."""
    aim = Aim(
        kind="least",
        rows=np.arange(len(problem.agents)),
        slope=1.0 / problem.unit,
        base=problem.accepts / problem.unit,
    )
    anything = replace(problem, accepts=np.full(len(problem.agents), -UTILITY_MAX))
    return _listed(anything, aim, np.full(len(problem.agents), -np.inf), left_s, runners_up=0)


def _alone(row: int) -> Aim:
    return Aim(kind="sum", rows=np.array([row]), slope=np.ones(1), base=np.zeros(1))
