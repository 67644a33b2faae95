"""HiGHS, behind two calls: a linear programme with its multipliers, and a mixed integer one with its bound.

Shares: every issue's values get shares from 0 to 1 that add up to 1; whole shares are an outcome.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from agents.negotiator.problem import Floats

TIME_LEAST_S: Final = 0.005
GAP: Final = 1e-9
INFEASIBLE: Final = 2
"""What SciPy calls it."""


class InfeasibleError(Exception):
    """Raised when nothing meets all conditions."""


class UnfinishedError(Exception):
    """Raised when nothing was found, in time or at all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Solved:
    """What a programme said.

    Attributes:
        variables: shares first, then the free variables.
        value: the largest that was found.
        bound: no more than this is possible.
        multipliers: of the `at_most` rows, at least 0; empty for integer programmes.
    """

    variables: Floats
    value: float
    bound: float
    multipliers: Floats


def _scipy() -> Any:
    """Loaded when first used, as it is heavy."""
    import scipy.optimize  # type: ignore[import-untyped]
    import scipy.sparse  # type: ignore[import-untyped]

    return scipy


def warm() -> None:
    """Loads the solver, which takes about a second once: call it before a deadline starts to run."""
    _scipy()


def issue_rows(sizes: tuple[int, ...], free: int) -> Any:
    """The rows that say that each issue's shares add up to 1, sparse."""
    issues = np.repeat(np.arange(len(sizes)), sizes)
    count = len(issues)
    return _scipy().sparse.csc_array(
        (np.ones(count), (issues, np.arange(count))), shape=(len(sizes), count + free)
    )


def relaxed(
    sizes: tuple[int, ...], gain: Floats, at_most: Floats, limits: Floats, *, free: int = 0
) -> Solved:
    """The largest `gain · variables` where `at_most @ variables <= limits`; free variables are unbounded.

    Raises:
        InfeasibleError: there is none.
    """
    shares = sum(sizes)
    bounds = [(0.0, None)] * shares + [(None, None)] * free
    done = _scipy().optimize.linprog(
        -gain,
        A_ub=at_most,
        b_ub=limits,
        A_eq=issue_rows(sizes, free),
        b_eq=np.ones(len(sizes)),
        bounds=bounds,
        method="highs",
    )
    if done.x is None:
        raise InfeasibleError if done.status == INFEASIBLE else UnfinishedError
    return Solved(
        variables=np.asarray(done.x),
        value=-float(done.fun),
        bound=-float(done.fun),
        multipliers=np.maximum(-np.asarray(done.ineqlin.marginals), 0.0),
    )


def whole(
    sizes: tuple[int, ...],
    gain: Floats,
    at_most: Floats,
    limits: Floats,
    left_s: Callable[[], float],
    *,
    free: int = 0,
    divisible: tuple[bool, ...] = (),
) -> Solved:
    """As `relaxed`, with whole shares except of `divisible` issues.

    Raises:
        InfeasibleError: there is none.
        UnfinishedError: none was found in time.
    """
    optimize = _scipy().optimize
    shares = sum(sizes)
    is_whole = np.repeat(~np.array(divisible or (False,) * len(sizes)), sizes).astype(np.int64)
    done = optimize.milp(
        -gain,
        constraints=[
            optimize.LinearConstraint(at_most, ub=limits),
            optimize.LinearConstraint(issue_rows(sizes, free), lb=1.0, ub=1.0),
        ],
        integrality=np.concatenate([is_whole, np.zeros(free, dtype=np.int64)]),
        bounds=optimize.Bounds(
            np.concatenate([np.zeros(shares), np.full(free, -np.inf)]),
            np.concatenate([np.ones(shares), np.full(free, np.inf)]),
        ),
        options={"time_limit": max(min(left_s(), 3600.0), TIME_LEAST_S), "mip_rel_gap": GAP},
    )
    if done.x is None:
        raise InfeasibleError if done.status == INFEASIBLE else UnfinishedError
    bound = done.mip_dual_bound if done.mip_dual_bound is not None else done.fun
    return Solved(
        variables=np.asarray(done.x),
        value=-float(done.fun),
        bound=-float(bound),
        multipliers=np.empty(0),
    )
