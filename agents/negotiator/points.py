"""Points to draw: what undominated deals are worth to everybody."""

from collections.abc import Callable
from typing import Final

import msgspec
import numpy as np

from agents.negotiator.deals import names_of
from agents.negotiator.domain import Domain, check
from agents.negotiator.explore import explore
from agents.negotiator.problem import problem_of
from agents.negotiator.risk import Risk
from agents.negotiator.search import NothingFoundError
from schemas.deal import ByAgent, Deal

POINTS_MAX: Final = 400


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """A deal that enough agents accept, and what it is worth to each."""

    deal: Deal
    utilities: ByAgent


class Points(msgspec.Struct, frozen=True, kw_only=True):
    """Some deals.

    Attributes:
        points: at most POINTS_MAX, evenly from worst to best for the first agent by name.
        of: from how many.
        is_frontier: from all undominated deals; false when only some of them are known.
    """

    points: tuple[Point, ...]
    of: int
    is_frontier: bool


def points_of(domain: Domain, left_s: Callable[[], float], risk: Risk | None = None) -> Points:
    """The frontier, or as much of it as a deadline allows; no points when there is no deal.

    Raises:
        RefusedError: the domain can't be negotiated as stated.
    """
    problem = problem_of(check(domain), risk or Risk())
    names = names_of(domain, problem)
    try:
        candidates = explore(problem, "relative", ("regret",), left_s).candidates
    except NothingFoundError:
        return Points(points=(), of=0, is_frontier=False)
    order = np.lexsort(candidates.utilities[::-1])
    picked = order[np.unique(np.linspace(0, len(order) - 1, min(POINTS_MAX, len(order))).round().astype(int))]
    return Points(
        points=tuple(
            Point(
                deal=names.deal(candidates.choices[column]),
                utilities=names.by_agent(candidates.utilities[:, column]),
            )
            for column in picked
        ),
        of=candidates.count,
        is_frontier=candidates.is_frontier,
    )
