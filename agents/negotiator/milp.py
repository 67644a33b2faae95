"""Integer programming by HiGHS, where a list of all outcomes that could be best would be too long."""

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from agents.negotiator.aims import TANGENT_LEAST, Aim, tangents
from agents.negotiator.highs import InfeasibleError, UnfinishedError, whole
from agents.negotiator.listed import Listed, is_closed
from agents.negotiator.problem import Floats, Problem

TANGENTS: Final = 12
ROUNDS_MAX: Final = 12
CLOSED: Final = 1e-7
"""Of the value: a product's bound is closed so far by tangents."""


def milp_best(
    problem: Problem, aim: Aim, floor: Floats, known: Listed, left_s: Callable[[], float]
) -> Listed:
    """`known` with the best outcome and the lowest bound that integer programming finds in the time that is left."""
    added = np.hstack(problem.parts)
    at = _first_tangents(problem, aim)
    for _ in range(ROUNDS_MAX if aim.kind == "product" else 1):
        if left_s() <= 0:
            break
        gain, rows, limits = _programme(aim, added, floor, at)
        free = rows.shape[1] - added.shape[1]
        try:
            solved = whole(problem.sizes, gain, rows, limits, left_s, free=free)
        except UnfinishedError:
            return known
        except InfeasibleError:
            return known if len(known.choices) else Listed(choices=known.choices, best=-np.inf, bound=-np.inf)
        choice = _rounded(solved.variables[: added.shape[1]], problem.sizes)
        known = _joined(problem, aim, floor, known, choice, solved.bound)
        if is_closed(known.best, known.bound, CLOSED) or aim.kind != "product":
            break
        gains = problem.utilities(choice)[aim.rows, 0] - aim.base
        at = np.hstack([at, np.maximum(gains, TANGENT_LEAST * at.max(axis=1))[:, None]])
    return known


def _joined(
    problem: Problem, aim: Aim, floor: Floats, known: Listed, choice: NDArray[np.int32], bound: float
) -> Listed:
    utilities = problem.utilities(choice)
    if (utilities[:, 0] < floor - problem.equal).any():
        return Listed(choices=known.choices, best=known.best, bound=min(known.bound, bound))
    best = max(known.best, float(aim.of(utilities)[0]))
    return Listed(
        choices=np.vstack([choice, known.choices]), best=best, bound=max(best, min(known.bound, bound))
    )


def _first_tangents(problem: Problem, aim: Aim) -> Floats:
    if aim.kind != "product":
        return np.empty((0, 0))
    most = np.sum([part.max(axis=1) for part in problem.parts], axis=0)[aim.rows]
    at: Floats = (most - aim.base)[:, None] * np.geomspace(TANGENT_LEAST, 1.0, TANGENTS)[None, :]
    return at


def _programme(aim: Aim, added: Floats, floor: Floats, at: Floats) -> tuple[Floats, Floats, Floats]:
    """(gain, rows, limits): what is made large, and what may at most be."""
    floored = np.flatnonzero(np.isfinite(floor))
    rows, limits = -added[floored], -floor[floored]
    match aim.kind:
        case "sum":
            return aim.slope @ added[aim.rows], rows, limits
        case "least":
            more, most = -aim.slope[:, None] * added[aim.rows], -aim.base
            more = np.hstack([more, np.ones((len(more), 1))])
            gain = np.zeros(added.shape[1] + 1)
            gain[-1] = 1.0
        case _:
            more, most = tangents(aim, added, at)
            gain = np.concatenate([np.zeros(added.shape[1]), aim.slope])
    rows = np.hstack([rows, np.zeros((len(rows), more.shape[1] - rows.shape[1]))])
    return gain, np.vstack([rows, more]), np.concatenate([limits, most])


def _rounded(shares: Floats, sizes: tuple[int, ...]) -> NDArray[np.int32]:
    starts = np.cumsum((0, *sizes[:-1]))
    return np.array(
        [[int(np.argmax(shares[start : start + size])) for start, size in zip(starts, sizes, strict=True)]],
        dtype=np.int32,
    )
