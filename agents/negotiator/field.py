"""The field: the outcomes that are left to choose from once the rest is ruled out."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from agents.negotiator.problem import Floats, Ints, Problem

Route = Literal["frontier", "enumeration", "search"]
"""How the field was found: the Pareto frontier issue by issue, every outcome looked at, or a search with bounds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidates:
    """Outcomes that enough agents accept.

    Attributes:
        utilities: (n, K).
        choices: (K, issues): the index of each issue's value.
        is_frontier: these are the undominated ones and no others, one of each kind.
    """

    utilities: Floats
    choices: NDArray[np.integer]
    is_frontier: bool = False

    @property
    def count(self) -> int:
        return int(self.utilities.shape[1])

    def first_of(self, columns: NDArray[np.intp]) -> int:
        """The column whose outcome comes first in the order of issues and values."""
        chosen = self.choices[columns]
        return int(columns[np.lexsort(chosen.T[::-1])[0]])


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """Candidates, and what is known about those that are not among them.

    Attributes:
        ideal: (n,): the most that each agent can get of a deal (at least as much, where `is_ideal_exact` is false).
        bounds: by concept that could not be settled in time, what no outcome does better than.
        looked_at: how many outcomes were ruled in or out.
    """

    candidates: Candidates
    ideal: Floats
    route: Route
    bounds: Mapping[str, float] = field(default_factory=dict)
    is_ideal_exact: bool = True


def unravelled(flat: Ints, sizes: tuple[int, ...]) -> NDArray[np.integer]:
    """(K, issues) of outcomes given by their number in the order of issues and values."""
    return np.stack(np.unravel_index(flat, sizes), axis=1).astype(np.int32)


def candidates_of(problem: Problem, choices: NDArray[np.integer], *, is_frontier: bool = False) -> Candidates:
    """Utilities added issue by issue in the order stated, so that equal outcomes have equal ones on every route."""
    return Candidates(utilities=problem.utilities(choices), choices=choices, is_frontier=is_frontier)
