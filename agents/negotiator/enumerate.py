"""Every outcome looked at, block by block, so that memory stays small however many there are.

Of each block stays what enough agents accept and what none of a few strong outcomes dominates: usually a thousandth.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from agents.negotiator.field import Candidates, candidates_of, unravelled
from agents.negotiator.pareto import Indices, TooLargeError, directions, undominated, without_dominated
from agents.negotiator.problem import Floats, Problem

BLOCK_OUTCOMES: Final = 1 << 16
STRONG_CELLS_MAX: Final = 400_000
"""Outcomes times agents that are chosen from when time is out."""
BLOCK_CELLS: Final = 1 << 19
"""Outcomes times agents between two looks at the clock: some ten milliseconds."""
SAMPLE_OUTCOMES: Final = 4_096
PIVOTS_MAX: Final = 10
PIVOT_LEAST: Final = 0.01
"""Of what is left a pivot must rule out so much to be worth its comparisons."""
FRONTIER_CELLS_MAX: Final = 160_000
"""Outcomes times agents that are compared with one another; more are chosen from as they are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Enumerated:
    """What was found.

    Attributes:
        candidates: with all undominated outcomes, if `is_complete`.
        is_complete: every outcome was looked at.
    """

    candidates: Candidates
    is_complete: bool


def enumerated(problem: Problem, left_s: Callable[[], float]) -> Enumerated:
    """The outcomes that enough agents accept, but for ones that others dominate.

    Time and memory are linear in outcomes times agents; past the deadline, what was found by then.
    """
    pivots = _pivots(problem)
    flats, utilities, is_complete = [], [], True
    for start, block in _blocks(problem):
        if left_s() <= 0 and start:
            is_complete = False
            break
        alive = np.flatnonzero(problem.agreed(block))
        for pivot in pivots:
            if not len(alive):
                break
            alive = alive[~_beaten(problem, block[:, alive], pivot)]
        flats.append(alive + start)
        utilities.append(block[:, alive])
    flat, rows = np.concatenate(flats), np.hstack(utilities)
    kept, is_frontier = _settled(problem, rows, left_s)
    if not is_frontier and left_s() <= 0 and rows.shape[1] * len(rows) > STRONG_CELLS_MAX:
        # No time to compare so many: the strongest stand for all, and nothing is claimed to be proven.
        kept, is_complete = _strongest(problem, rows), False
    choices = unravelled(flat[kept].astype(np.int64), problem.sizes)
    return Enumerated(
        candidates=candidates_of(problem, choices, is_frontier=is_frontier and is_complete),
        is_complete=is_complete,
    )


def _strongest(problem: Problem, rows: Floats) -> Indices:
    """The columns that do best for the worst off, for all together, and for each alone."""
    count = max(1, STRONG_CELLS_MAX // len(rows) // 2)
    shares = (rows - problem.low[:, None]) / problem.unit[:, None]
    merits = (shares.min(axis=0), shares.sum(axis=0))
    best = [np.argpartition(merit, -min(count, len(merit)))[-count:] for merit in merits]
    return np.unique(np.concatenate([rows.argmax(axis=1), *best]))


def _settled(problem: Problem, rows: Floats, left_s: Callable[[], float]) -> tuple[Indices, bool]:
    """The columns that are left, and whether they are the frontier."""
    everything = np.arange(rows.shape[1])
    if left_s() <= 0:
        return everything, False
    keys = problem.keys(rows)
    alive = without_dominated(keys, everything, left_s)
    if len(alive) * len(keys) > FRONTIER_CELLS_MAX and len(keys) > 2:
        return alive, False
    try:
        return alive[undominated(keys[:, alive], left_s, is_thinned=True)], True
    except TooLargeError:
        return alive, False


def _blocks(problem: Problem) -> Iterator[tuple[int, Floats]]:
    """(number of the first outcome, utilities (n, outcomes)), in the order of issues and values."""
    sizes = problem.sizes
    most = min(BLOCK_OUTCOMES, max(1, BLOCK_CELLS // len(problem.agents)))
    tail = len(sizes)
    while tail and math.prod(sizes[tail - 1 :]) <= most:
        tail -= 1
    tail = min(tail, len(sizes) - 1)
    width = math.prod(sizes[tail:])
    heads = math.prod(sizes[:tail])
    step = max(1, most // width)
    for head in range(0, heads, step):
        numbers = np.arange(head * width, min(head + step, heads) * width)
        if problem.is_additive:
            yield int(numbers[0]), _summed(problem, head, min(head + step, heads), tail)
        else:
            yield int(numbers[0]), problem.utilities(unravelled(numbers, sizes))


def _summed(problem: Problem, first: int, last: int, tail: int) -> Floats:
    """Sums of the outcomes whose first issues have the numbers `first` to `last`."""
    agents = len(problem.agents)
    total = np.zeros((agents, last - first))
    if tail:
        digits = np.unravel_index(np.arange(first, last), problem.sizes[:tail])
        for part, digit in zip(problem.parts[:tail], digits, strict=True):
            total += part[:, digit]
    for part in problem.parts[tail:]:
        total = (total[:, :, None] + part[:, None, :]).reshape(agents, -1)
    return total


def _beaten(problem: Problem, block: Floats, pivot: Floats) -> NDArray[np.bool_]:
    """Which outcomes are nowhere above the pivot and somewhere clearly below."""
    below: NDArray[np.bool_] = block[0] <= pivot[0]
    for row, most in zip(block[1:], pivot[1:], strict=True):
        below &= row <= most
    at = np.flatnonzero(below)
    clearly = ((pivot[:, None] - block[:, at]) / problem.equal[:, None]).max(axis=0, initial=0.0) > 2.0
    below[at] = clearly
    return below


def _pivots(problem: Problem) -> list[Floats]:
    """Utilities of strong outcomes: those that rule out most of a sample, each after the ones before."""
    weights = directions(len(problem.agents)) / problem.unit
    choices = np.stack([np.argmax(weights @ part, axis=1) for part in problem.parts], axis=1)
    strong = problem.utilities(np.unique(choices, axis=0))
    if problem.outcomes <= SAMPLE_OUTCOMES:
        return []
    flat = np.linspace(0, problem.outcomes - 1, SAMPLE_OUTCOMES).astype(np.int64)
    # Every so many outcomes would always meet the same values of the last issues.
    flat = (flat + np.arange(SAMPLE_OUTCOMES) * 7919) % problem.outcomes
    sample = problem.utilities(unravelled(flat, problem.sizes))
    sample = sample[:, problem.agreed(sample)]
    beats = np.ones((strong.shape[1], sample.shape[1]), dtype=np.bool_)
    for best, row in zip(strong, sample, strict=True):
        beats &= best[:, None] >= row[None, :]
    chosen: list[Floats] = []
    while len(chosen) < PIVOTS_MAX and beats.shape[1]:
        ruled_out = beats.sum(axis=1)
        best_one = int(np.argmax(ruled_out))
        if ruled_out[best_one] <= PIVOT_LEAST * beats.shape[1]:
            break
        chosen.append(strong[:, best_one])
        beats = beats[:, ~beats[best_one]]
    return chosen
