"""No deal: who stands in the way, by how much, and which outcome comes nearest."""

from collections.abc import Callable
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from agents.negotiator.deals import Names
from agents.negotiator.explore import explore
from agents.negotiator.field import Candidates
from agents.negotiator.limits import UTILITY_MAX
from agents.negotiator.problem import Floats, Problem
from agents.negotiator.search import most_of, nearest_to
from schemas.deal import Blocker, NoDeal

TIME_LEAST_S: Final = 0.05
"""To find out who blocks, even past the deadline: an answer without it helps nobody."""


def no_deal(problem: Problem, names: Names, left_s: Callable[[], float], *, is_proven: bool) -> NoDeal:
    """Names the blockers of a problem that has no deal."""
    candidates = _unconditional(problem, left_s)
    short = np.maximum(problem.accepts[:, None] - problem.equal[:, None] - candidates.utilities, 0.0)
    shares = np.sort(short / problem.unit[:, None], axis=0)
    # With a quorum only the most easily won count.
    column = int(np.lexsort((shares.sum(axis=0), shares[problem.quorum - 1]))[0])
    utilities = candidates.utilities[:, column]
    says_no = utilities < problem.accepts - problem.equal
    blockers = _blockers(problem, candidates) or tuple(
        Blocker(
            agent=problem.agents[row],
            needs=float(problem.accepts[row]),
            best=None,
            short_by=float(problem.accepts[row] - utilities[row]),
        )
        for row in np.flatnonzero(says_no)
    )
    return NoDeal(
        reason=_reason(problem, blockers, is_proven=is_proven),
        is_proven=is_proven,
        blockers=blockers,
        nearest=names.deal(candidates.choices[column]),
        utilities=names.by_agent(utilities),
        shortfalls={
            problem.agents[row]: float(problem.accepts[row] - utilities[row])
            for row in np.flatnonzero(says_no)
        },
        outcomes=problem.outcomes,
    )


def _unconditional(problem: Problem, left_s: Callable[[], float]) -> Candidates:
    """Outcomes to look for the nearest among, when nobody refuses any."""
    ends_s = left_s() - TIME_LEAST_S if left_s() < TIME_LEAST_S else 0.0
    free = replace(problem, accepts=np.full(len(problem.agents), -UTILITY_MAX), quorum=len(problem.agents))
    field = explore(free, "relative", ("egalitarian",), lambda: left_s() - ends_s)
    if field.route != "search":
        return field.candidates
    listed = [
        nearest_to(problem, lambda: left_s() - ends_s),
        *(
            most_of(problem, row, _without(problem, row), lambda: left_s() - ends_s)
            for row in range(len(problem.agents))
        ),
    ]
    choices: list[NDArray[np.integer]] = [one.choices for one in listed if one is not None]
    together = np.unique(np.vstack([field.candidates.choices, *choices]), axis=0)
    return Candidates(utilities=problem.utilities(together), choices=together)


def _without(problem: Problem, row: int) -> Floats:
    floor = problem.accepts - problem.equal
    floor[row] = -np.inf
    return floor


def _blockers(problem: Problem, candidates: Candidates) -> tuple[Blocker, ...]:
    """Those without whose demand there would be a deal."""
    if not problem.needs_all:
        return ()
    yes = problem.accepting(candidates.utilities)
    found = []
    for row, agent in enumerate(problem.agents):
        others = np.delete(yes, row, axis=0).all(axis=0)
        if others.any():
            best = float(candidates.utilities[row, others].max())
            needs = float(problem.accepts[row])
            found.append(Blocker(agent=agent, needs=needs, best=best, short_by=needs - best))
    return tuple(found)


def _reason(problem: Problem, blockers: tuple[Blocker, ...], *, is_proven: bool) -> str:
    start = (
        f"none of {problem.outcomes} outcomes is accepted by "
        if is_proven
        else f"among {problem.outcomes} outcomes none was found in time that is accepted by "
    )
    start += "everybody" if problem.needs_all else f"{problem.quorum} of {len(problem.agents)} agents"
    named = [
        f"{one.agent} needs {one.needs:.6g} and gets at most {one.best:.6g} where the others agree"
        if one.best is not None
        else f"{one.agent} is {one.short_by:.6g} short of {one.needs:.6g} in the nearest outcome"
        for one in blockers
    ]
    return f"{start}: {'; '.join(named)}" if named else start
