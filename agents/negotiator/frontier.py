"""The Pareto frontier of all outcomes without looking at all outcomes.

Utilities are sums over issues, so what is dominated among the first issues stays dominated whatever the rest will be:
issues are added one at a time and only the frontier is kept. Ten issues of ten values have 10^10 outcomes and, for two
agents, some hundreds or thousands of undominated ones.
"""

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from agents.negotiator.field import Candidates, candidates_of
from agents.negotiator.pareto import Indices, TooLargeError, undominated
from agents.negotiator.problem import Floats, Problem

POINTS_MAX: Final = 2_000_000
"""For one or two agents, that are compared before the dominated ones go."""
POINTS_THREE_MAX: Final = 120_000
POINTS_MANY_MAX: Final = 12_000
"""For more agents, where most outcomes are undominated unless many are equal."""


def frontier(problem: Problem, left_s: Callable[[], float], *, points_max: int | None = None) -> Candidates:
    """Every undominated outcome that enough agents accept; nobody can agree when there is none.

    Raises:
        TooLargeError: there are too many on the way, or it takes too long.
    """
    if not problem.is_additive:
        raise TooLargeError
    most = points_max or {1: POINTS_MAX, 2: POINTS_MAX, 3: POINTS_THREE_MAX}.get(
        len(problem.agents), POINTS_MANY_MAX
    )
    order = sorted(range(len(problem.parts)), key=lambda number: (-problem.sizes[number], number))
    rest_best = np.sum([part.max(axis=1) for part in problem.parts], axis=0)
    sums: Floats = np.zeros((len(problem.agents), 1))
    steps = []
    for number in order:
        part = problem.parts[number]
        if sums.shape[1] * part.shape[1] > most or left_s() <= 0:
            raise TooLargeError
        grown = (sums[:, :, None] + part[:, None, :]).reshape(len(part), -1)
        rest_best = rest_best - part.max(axis=1)
        hopeful = _hopeful(problem, grown, rest_best)
        kept = hopeful[undominated(problem.keys(grown[:, hopeful]), left_s)]
        sums = grown[:, kept]
        steps.append((number, kept // part.shape[1], (kept % part.shape[1]).astype(np.int32)))
    choices = _traced(steps, sums.shape[1], len(order))
    found = candidates_of(problem, choices[np.lexsort(choices.T[::-1])], is_frontier=True)
    agreed = problem.agreed(found.utilities)
    return Candidates(utilities=found.utilities[:, agreed], choices=found.choices[agreed], is_frontier=True)


def _hopeful(problem: Problem, sums: Floats, rest_best: Floats) -> Indices:
    """Those that enough agents can still accept, if the other issues go as they like."""
    best = sums + rest_best[:, None] + problem.equal[:, None]
    return np.flatnonzero(problem.agreed(best))


def _traced(
    steps: list[tuple[int, Indices, NDArray[np.int32]]],
    count: int,
    issues: int,
) -> NDArray[np.int32]:
    """The value of every issue, back from the last issue added to the first."""
    choices = np.zeros((count, issues), dtype=np.int32)
    at = np.arange(count)
    for number, parents, values in reversed(steps):
        choices[:, number] = values[at]
        at = parents[at]
    return choices
