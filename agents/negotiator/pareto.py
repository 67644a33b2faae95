"""Pareto: which of many outcomes no other one beats.

Outcomes come as whole numbers (`Problem.keys`), so that equal utilities are equal. Of outcomes that are the same to
everybody the first is kept.
"""

import math
from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from agents.negotiator.problem import Ints

BLOCK: Final = 256
PIVOTS_MAX: Final = 24
PAIRS_MAX: Final = 400_000_000
"""Comparisons of one outcome with another, at a fraction of a nanosecond each."""
DIRECTIONS: Final = 96

Indices = NDArray[np.intp]


class TooLargeError(Exception):
    """Raised when a set of outcomes outgrows what there is time or room for."""


def undominated(keys: Ints, left_s: Callable[[], float], *, is_thinned: bool = False) -> Indices:
    """Columns of `keys` (agents, outcomes) that no other column dominates or precedes as its equal, in order.

    Args:
        is_thinned: they have been through `without_dominated`.

    Raises:
        TooLargeError: there are too many to find out in time.
    """
    count = keys.shape[1]
    if count <= 1:
        return np.arange(count)
    match len(keys):
        case 1:
            return np.array([int(np.argmax(keys[0]))])
        case 2:
            return _of_two(keys)
        case 3:
            alive = np.arange(count) if is_thinned else without_dominated(keys, np.arange(count), left_s)
            return np.sort(alive[_of_three(keys[:, alive], left_s)])
        case _:
            alive = np.arange(count) if is_thinned else without_dominated(keys, np.arange(count), left_s)
            return np.sort(alive[_of_many(keys[:, alive], left_s)])


def without_dominated(keys: Ints, alive: Indices, left_s: Callable[[], float] = lambda: math.inf) -> Indices:
    """`alive` without what a few strong outcomes dominate; cheap, and most of them, as far as time allows."""
    if len(alive) <= BLOCK:
        return alive
    chosen = keys[:, alive]
    spread = chosen.max(axis=1) - chosen.min(axis=1)
    scaled = chosen / np.maximum(spread, 1)[:, None]
    for weights in directions(len(keys))[:PIVOTS_MAX]:
        if len(alive) <= BLOCK or left_s() <= 0:
            break
        pivot = chosen[:, int(np.argmax(weights @ scaled))]
        kept = ~_beaten(chosen, pivot)
        if not kept.all():
            alive, chosen, scaled = alive[kept], chosen[:, kept], scaled[:, kept]
    return alive


def _beaten(keys: Ints, pivot: Ints) -> NDArray[np.bool_]:
    """Which columns the pivot dominates."""
    below: NDArray[np.bool_] = keys[0] <= pivot[0]
    for row, most in zip(keys[1:], pivot[1:], strict=True):
        below &= row <= most
    at = np.flatnonzero(below)
    below[at] = (keys[:, at] != pivot[:, None]).any(axis=0)
    return below


def distinct(keys: Ints) -> Indices:
    """The first of each kind of column, in order."""
    hashed = np.zeros(keys.shape[1], dtype=np.uint64)
    with np.errstate(over="ignore"):
        for row in keys.astype(np.uint64):
            # Mixed after each row: a sum of multiples would make one hash of 2a + b and of c.
            hashed = (hashed ^ row) * np.uint64(0x9E3779B97F4A7C15)
            hashed ^= hashed >> np.uint64(29)
    _, firsts, kinds = np.unique(hashed, return_index=True, return_inverse=True)
    # Columns that differ and have the same hash both stay.
    others = (keys != keys[:, firsts[kinds]]).any(axis=0)
    others[firsts] = True
    return np.flatnonzero(others)


def directions(agents: int, count: int = DIRECTIONS) -> NDArray[np.float64]:
    """Weights to look for strong outcomes with, (count, agents), spread evenly, the balanced ones first."""
    # Additive recurrence with the generalised golden ratio, as exponentials: even on the simplex, and always the same.
    ratio = 1.5
    for _ in range(40):
        ratio = (1 + ratio) ** (1 / (agents + 1))
    steps = np.arange(1, count + 1)[:, None] * (1 / ratio ** np.arange(1, agents + 1))[None, :]
    even = -np.log(np.clip((0.5 + steps) % 1.0, 1e-6, 1.0))
    even /= even.sum(axis=1, keepdims=True)
    balance = np.argsort(even.max(axis=1), kind="stable")
    return np.vstack([np.full((1, agents), 1 / agents), even[balance][: count - 1]])


def _of_two(keys: Ints) -> Indices:
    order = np.lexsort((-keys[1], -keys[0]))
    second = keys[1, order]
    best = np.maximum.accumulate(second)
    kept = np.ones(len(order), dtype=np.bool_)
    kept[1:] = second[1:] > best[:-1]
    return np.sort(order[kept])


def _of_three(keys: Ints, left_s: Callable[[], float]) -> Indices:
    """By falling first number, against a staircase of the other two numbers of all that went before."""
    order = np.lexsort((-keys[2], -keys[1], -keys[0]))
    seconds, thirds = keys[1, order], keys[2, order]
    stair_y = np.empty(0, dtype=np.int64)
    stair_z = np.empty(0, dtype=np.int64)
    kept = []
    for start in range(0, len(order), BLOCK):
        if left_s() <= 0:
            raise TooLargeError
        y, z = seconds[start : start + BLOCK], thirds[start : start + BLOCK]
        above = np.searchsorted(stair_y, y)
        inside = above < len(stair_y)
        fresh = np.ones(len(y), dtype=np.bool_)
        fresh[inside] = stair_z[above[inside]] < z[inside]
        y, z, numbers = y[fresh], z[fresh], np.flatnonzero(fresh) + start
        beaten = np.triu((y[:, None] >= y[None, :]) & (z[:, None] >= z[None, :]), 1).any(axis=0)
        y, z = y[~beaten], z[~beaten]
        kept.append(numbers[~beaten])
        if len(y):
            stair_y, stair_z = _stairs(np.concatenate([stair_y, y]), np.concatenate([stair_z, z]))
    found: Indices = order[np.concatenate(kept)]
    return found


def _stairs(y: Ints, z: Ints) -> tuple[Ints, Ints]:
    """The points that no other has more of both than, by rising `y` and falling `z`."""
    order = np.lexsort((z, y))
    y, z = y[order], z[order]
    highest = np.maximum.accumulate(z[::-1])[::-1]
    kept = np.ones(len(z), dtype=np.bool_)
    kept[:-1] = z[:-1] > highest[1:]
    return y[kept], z[kept]


def _of_many(keys: Ints, left_s: Callable[[], float]) -> Indices:
    """By falling sum: what comes later can't dominate what comes before."""
    order = np.argsort(-keys.sum(axis=0), kind="stable")
    ranked = keys[:, order]
    kept: list[NDArray[np.intp]] = []
    pairs = 0
    alive = np.arange(len(order))
    while len(alive):
        if left_s() <= 0 or pairs > PAIRS_MAX:
            raise TooLargeError
        head, alive = alive[:BLOCK], alive[BLOCK:]
        block = ranked[:, head]
        weakly = np.ones((len(head), len(head)), dtype=np.bool_)
        for row in block:
            weakly &= row[:, None] >= row[None, :]
        fresh = ~np.triu(weakly, 1).any(axis=0)
        block = block[:, fresh]
        kept.append(head[fresh])
        pairs += len(head) ** 2 + block.shape[1] * len(alive)
        alive = _survivors(ranked, alive, block)
    return order[np.concatenate(kept)]


def _survivors(ranked: Ints, alive: Indices, block: Ints) -> Indices:
    """`alive` without what a column of `block` dominates or equals."""
    for start in range(0, block.shape[1], 32):
        if not len(alive):
            break
        some = block[:, start : start + 32]
        rest = ranked[:, alive]
        weakly = some[0][:, None] >= rest[0][None, :]
        for row, other in zip(some[1:], rest[1:], strict=True):
            weakly &= row[:, None] >= other[None, :]
        alive = alive[~weakly.any(axis=0)]
    return alive
