"""Aims: each concept as a concave function of utilities, bounded from above by a plane.

The plane is what makes a search through 10^20 outcomes short: an outcome whose plane lies below the best one found is
out, and planes are sums over issues, so most values of most issues are out at once.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from agents.negotiator.concepts import Concept, Terms
from agents.negotiator.highs import InfeasibleError, relaxed
from agents.negotiator.pareto import Indices
from agents.negotiator.problem import Floats

TANGENTS: Final = 12
TANGENT_LEAST: Final = 1e-3
"""Of the most that an agent can gain."""
SHARPENINGS: Final = 3
SHARP: Final = 1e-6
"""A plane that is not lower than the last by this much ends the search for lower ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Aim:
    """To be made large, over agents with numbers `rows`.

    Attributes:
        slope, base: (r,): for `least`, min over rows of slope·u − base; for `sum`, slope·u; for `product`,
            Σ slope·log(u − base).
        kind: which of them.
    """

    kind: str
    rows: Indices
    slope: Floats
    base: Floats

    def of(self, utilities: Floats) -> Floats:
        """(K,) of utilities (n, K)."""
        chosen = utilities[self.rows]
        match self.kind:
            case "least":
                least: Floats = (self.slope[:, None] * chosen - self.base[:, None]).min(axis=0)
                return least
            case "sum":
                return self.slope @ chosen
            case _:
                gains = chosen - self.base[:, None]
                logs = np.log(np.where(gains > 0, gains, 1.0))
                return np.where((gains > 0).all(axis=0), self.slope @ logs, -np.inf)

    def lower(self, level: float, most: Floats) -> Floats:
        """(n,): with less than this for one agent the aim is below `level`, whatever the others get (`most`)."""
        low = np.full(len(most), -np.inf)
        match self.kind:
            case "least":
                low[self.rows] = (level + self.base) / self.slope
            case "sum":
                gap = self.slope @ most[self.rows] - level
                low[self.rows] = most[self.rows] - gap / self.slope
            case _:
                room = np.maximum(most[self.rows] - self.base, 1e-300)
                gap = self.slope @ np.log(room) - level
                low[self.rows] = self.base + np.exp(np.minimum(np.log(room) - gap / self.slope, 700.0))
        return low


def aim_of(concept: Concept, terms: Terms, gaining: Indices | None = None) -> Aim:
    """`gaining`: the agents whose gains are multiplied, for `nash`."""
    everybody = np.arange(len(terms.ideal))
    counted = np.flatnonzero(terms.weight > 0)
    match concept:
        case "regret":
            factor = terms.weight / (terms.scale if terms.regret == "relative" else 1.0)
            slope = factor[counted]
            return Aim(kind="least", rows=counted, slope=slope, base=slope * terms.ideal[counted])
        case "kalai_smorodinsky":
            return Aim(kind="least", rows=everybody, slope=1 / terms.scale, base=terms.ideal / terms.scale)
        case "egalitarian":
            ones = np.ones(len(everybody))
            return Aim(kind="least", rows=everybody, slope=ones, base=terms.disagreement.copy())
        case "utilitarian":
            return Aim(kind="sum", rows=counted, slope=terms.weight[counted], base=np.zeros(len(counted)))
        case _:
            rows = counted if gaining is None else np.intersect1d(counted, gaining)
            return Aim(kind="product", rows=rows, slope=terms.weight[rows], base=terms.disagreement[rows])


@dataclass(frozen=True, slots=True, kw_only=True)
class Plane:
    """No outcome's aim is above `slope · u + base`; `top` is the most of that over all outcomes."""

    slope: Floats
    base: float
    top: float


def plane_of(aim: Aim, parts: tuple[Floats, ...], floor: Floats, left_s: Callable[[], float]) -> Plane:
    """A plane that is low near the best outcomes, found by relaxing outcomes to shares.

    Args:
        floor: (n,): the least utility of each agent; −inf where anything goes.

    Raises:
        InfeasibleError: the floors can't be met, even with shares.
    """
    added = np.hstack(parts)
    sizes = tuple(part.shape[1] for part in parts)
    floored = np.flatnonzero(np.isfinite(floor))
    if aim.kind == "product":
        return _product_plane(aim, added, sizes, floored, floor, parts, left_s)
    free = 1 if aim.kind == "least" else 0
    rows, limits = [-added[floored]], [-floor[floored]]
    gain = np.zeros(added.shape[1] + free)
    if free:
        rows.append(-aim.slope[:, None] * added[aim.rows])
        limits.append(-aim.base)
        gain[-1] = 1.0
    else:
        gain[:] = aim.slope @ added[aim.rows]
    at_most = np.vstack(rows)
    if free:
        at_most = np.hstack([at_most, np.zeros((len(at_most), 1))])
        at_most[len(floored) :, -1] = 1.0
    solved = relaxed(sizes, gain, at_most, np.concatenate(limits), free=free)
    slope, base = np.zeros(len(floor)), 0.0
    slope[floored] += solved.multipliers[: len(floored)]
    base -= float(solved.multipliers[: len(floored)] @ floor[floored])
    if free:
        shares = solved.multipliers[len(floored) :]
        # The plane holds for shares that add up to 1 alone.
        shares = shares / shares.sum() if shares.sum() > 0 else np.full(len(shares), 1 / len(shares))
        slope[aim.rows] += shares * aim.slope
        base -= float(shares @ aim.base)
    else:
        slope[aim.rows] += aim.slope
    return _topped(slope, base, parts)


def _topped(slope: Floats, base: float, parts: tuple[Floats, ...]) -> Plane:
    return Plane(slope=slope, base=base, top=base + sum(float((slope @ part).max()) for part in parts))


def _product_plane(
    aim: Aim,
    added: Floats,
    sizes: tuple[int, ...],
    floored: Indices,
    floor: Floats,
    parts: tuple[Floats, ...],
    left_s: Callable[[], float],
) -> Plane:
    """The logarithms from above by tangents, more of them where the best shares lie."""
    room = np.sum([part.max(axis=1) for part in parts], axis=0)[aim.rows] - aim.base
    if (room <= 0).any():
        raise InfeasibleError
    at = room[:, None] * np.geomspace(TANGENT_LEAST, 1.0, TANGENTS)[None, :]
    best: Plane | None = None
    for _ in range(SHARPENINGS):
        at_most, limits = tangents(aim, added, at)
        rows = np.vstack([np.hstack([-added[floored], np.zeros((len(floored), len(aim.rows)))]), at_most])
        gain = np.concatenate([np.zeros(added.shape[1]), aim.slope])
        solved = relaxed(sizes, gain, rows, np.concatenate([-floor[floored], limits]), free=len(aim.rows))
        gains = added[aim.rows] @ solved.variables[: added.shape[1]] - aim.base
        gains = np.maximum(gains, TANGENT_LEAST * room)
        slope = np.zeros(len(floor))
        slope[aim.rows] = aim.slope / gains
        base = float(aim.slope @ (np.log(gains) - 1.0) - (aim.slope / gains) @ aim.base)
        slope[floored] += solved.multipliers[: len(floored)]
        base -= float(solved.multipliers[: len(floored)] @ floor[floored])
        plane = _topped(slope, base, parts)
        before = np.inf if best is None else best.top
        best = plane if best is None or plane.top < best.top else best
        if plane.top >= before - SHARP or left_s() <= 0:
            break
        at = np.hstack([at, gains[:, None]])
    assert best is not None
    return best


def tangents(aim: Aim, added: Floats, at: Floats) -> tuple[Floats, Floats]:
    """Rows that keep one free variable per agent below the tangents of log(u − base) at the gains `at`."""
    count, each = at.shape
    rows = np.zeros((count * each, added.shape[1] + count))
    for number, row in enumerate(aim.rows):
        block = slice(number * each, (number + 1) * each)
        rows[block, : added.shape[1]] = -added[row][None, :] / at[number][:, None]
        rows[block, added.shape[1] + number] = 1.0
    limits = np.log(at) - 1.0 - aim.base[:, None] / at
    return rows, limits.reshape(-1)
