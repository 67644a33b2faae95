"""Which way through the outcomes: the frontier issue by issue, every outcome, or a search with bounds."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from agents.negotiator.concepts import Concept, RegretKind
from agents.negotiator.enumerate import enumerated
from agents.negotiator.field import Candidates, Field
from agents.negotiator.frontier import frontier
from agents.negotiator.limits import CELLS_MAX, SEARCH_AGENTS_MAX
from agents.negotiator.pareto import Indices, TooLargeError, undominated
from agents.negotiator.problem import Floats, Problem
from agents.negotiator.search import NothingFoundError, searched

FRONTIER_AGENTS_MAX: Final = 8
"""With more, nearly all outcomes are undominated."""
VALUES_COMPARED_MAX: Final = 2_000
"""Of one issue, that are compared with one another."""
FRONTIER_TIME_SHARE: Final = 0.3
ENUMERATED_MAX: Final = 50_000
"""Outcomes that are looked at one by one where a search is possible too."""


def explore(
    problem: Problem, regret: RegretKind, concepts: Sequence[Concept], left_s: Callable[[], float]
) -> Field:
    """The outcomes to choose from, without values that another value of the same issue beats for everybody.

    Raises:
        NothingFoundError: there is no outcome that enough agents accept, or none was found in time.
        RefusedError: there are too many ways to fill the quorum.
    """
    if not problem.is_additive:
        return _explore(problem, regret, concepts, left_s)
    kept = [_worth_choosing(problem, part) for part in problem.parts]
    parts = tuple(part[:, values] for part, values in zip(problem.parts, kept, strict=True))
    fewer = replace(problem, parts=parts, uncertain=(None,) * len(problem.agents))
    field = _explore(fewer, regret, concepts, left_s)
    chosen = [values[field.candidates.choices[:, number]] for number, values in enumerate(kept)]
    choices = np.stack(chosen, axis=1).astype(np.int32)
    return replace(field, candidates=replace(field.candidates, choices=choices))


def _worth_choosing(problem: Problem, part: Floats) -> Indices:
    """The values that no other value beats for everybody; all of them where that takes too long to find out."""
    if part.shape[1] > VALUES_COMPARED_MAX:
        return np.arange(part.shape[1])
    return undominated(problem.keys(part), lambda: math.inf)


def _explore(
    problem: Problem, regret: RegretKind, concepts: Sequence[Concept], left_s: Callable[[], float]
) -> Field:
    if problem.is_additive and len(problem.agents) <= FRONTIER_AGENTS_MAX:
        spare_s = max(left_s(), 0.0) * (1 - FRONTIER_TIME_SHARE) if np.isfinite(left_s()) else 0.0
        try:
            return _field(frontier(problem, lambda: left_s() - spare_s), "frontier", is_complete=True)
        except TooLargeError:
            pass
    can_search = problem.is_additive and len(problem.agents) <= SEARCH_AGENTS_MAX
    if problem.outcomes * len(problem.agents) <= CELLS_MAX and (
        problem.outcomes <= ENUMERATED_MAX or not can_search
    ):
        found = enumerated(problem, left_s)
        return _field(found.candidates, "enumeration", is_complete=found.is_complete, concepts=concepts)
    return searched(problem, regret, concepts, left_s)


def _field(
    candidates: Candidates, route: str, *, is_complete: bool, concepts: Sequence[Concept] = ()
) -> Field:
    if not candidates.count:
        raise NothingFoundError(is_proven=is_complete)
    return Field(
        candidates=candidates,
        ideal=candidates.utilities.max(axis=1),
        route="frontier" if route == "frontier" else "enumeration",
        bounds={} if is_complete else dict.fromkeys(concepts, np.inf),
        is_ideal_exact=is_complete,
    )
