"""All outcomes near a plane's top, issue by issue."""

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from agents.negotiator.aims import Aim, Plane
from agents.negotiator.listed import Choices
from agents.negotiator.pareto import distinct, without_dominated
from agents.negotiator.problem import Floats, Problem

LISTED_MAX: Final = 60_000
GROWN_MAX: Final = 8 * LISTED_MAX
THINNED_ABOVE: Final = 512


def within(
    problem: Problem,
    plane: Plane,
    aim: Aim,
    floor: Floats,
    budget: float,
    reach: float,
    left_s: Callable[[], float],
) -> Choices | None:
    """Every outcome whose plane is at most `budget` below the top and whose aim may reach `reach`; None: too many."""
    most = np.sum([part.max(axis=1) for part in problem.parts], axis=0)
    least = floor
    if np.isfinite(reach):
        least = np.maximum(floor, aim.lower(reach - 1e-9 * max(1.0, abs(reach)), most) - problem.equal)
    slacks = [(plane.slope @ part).max() - plane.slope @ part for part in problem.parts]
    order = sorted(range(len(slacks)), key=lambda number: (int((slacks[number] <= budget).sum()), number))
    spent = np.zeros(1)
    sums: Floats = np.zeros((len(most), 1))
    rest = most.copy()
    steps: list[tuple[int, NDArray[np.intp], NDArray[np.intp]]] = []
    for number in order:
        part = problem.parts[number]
        rest = rest - part.max(axis=1)
        values = np.flatnonzero(slacks[number] <= budget)
        if len(values) * len(spent) > GROWN_MAX or left_s() <= 0:
            return None
        together = spent[:, None] + slacks[number][values][None, :]
        parents, chosen = np.nonzero(together <= budget)
        grown = sums[:, parents] + part[:, values[chosen]]
        able = (grown + rest[:, None] >= (least - problem.equal)[:, None]).all(axis=0)
        parents, chosen, sums = parents[able], values[chosen[able]], grown[:, able]
        if len(parents) > THINNED_ABOVE:
            # Of what is the same to everybody so far, or worse, no more needs to be seen: planes and aims rise.
            fresh = without_dominated(problem.keys(sums), distinct(problem.keys(sums)))
            parents, chosen, sums = parents[fresh], chosen[fresh], sums[:, fresh]
        if len(parents) > LISTED_MAX:
            return None
        spent = spent[parents] + slacks[number][chosen]
        steps.append((number, parents, chosen))
    return _traced(steps, len(spent), len(order))


def _traced(
    steps: Sequence[tuple[int, NDArray[np.intp], NDArray[np.intp]]], count: int, issues: int
) -> Choices:
    choices = np.zeros((count, issues), dtype=np.int32)
    at = np.arange(count)
    for number, parents, values in reversed(steps):
        choices[:, number] = values[at]
        at = parents[at]
    return choices
