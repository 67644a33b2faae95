"""Mixed deals: divisible issues shared out between values, or turns taken between whole deals.

Shares of sums are sums of shares, so the best shares come from a linear programme (integer where some issues are
whole). No more values get a share than there are agents, besides one per issue. Where risk makes utilities more than
sums and everything is divisible, agents take turns between undominated deals instead.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from agents.negotiator.aims import Aim, aim_of, tangents
from agents.negotiator.concepts import Concept, RegretKind, terms_of, values_of
from agents.negotiator.deals import Names
from agents.negotiator.domain import Domain
from agents.negotiator.field import Field
from agents.negotiator.highs import InfeasibleError, Solved, UnfinishedError, relaxed, whole
from agents.negotiator.problem import Floats, Problem
from schemas.deal import Mixed

SHARE_LEAST: Final = 1e-7
SLACK: Final = 1e-9
"""Of each agent's range, that a level reached in one programme may be missed by in the next."""
TANGENT_ROUNDS_MAX: Final = 10
TANGENTS: Final = 16
TANGENT_LEAST: Final = 1e-3
PRODUCT_CLOSED: Final = 1e-9
TURNS_MAX: Final = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Shares:
    """The programme's world: values to share out among.

    Attributes:
        added: (n, values): what each value adds.
        sizes: values by issue.
        divisible: by issue.
        floor: (n,): the least that each agent accepts.
    """

    added: Floats
    sizes: tuple[int, ...]
    divisible: tuple[bool, ...]
    floor: Floats
    slack: Floats
    left_s: Callable[[], float]

    def best(self, gain: Floats, rows: Floats, limits: Floats, *, free: int = 0) -> Solved:
        """The largest `gain · shares` where everybody has at least the floor, and `rows @ shares <= limits`.

        Raises:
            InfeasibleError: there is none.
            UnfinishedError: time is out.
        """
        if self.left_s() <= 0:
            raise UnfinishedError
        floored = np.flatnonzero(np.isfinite(self.floor))
        base = np.hstack([-self.added[floored], np.zeros((len(floored), free))])
        at_most = np.vstack([base, rows]) if len(rows) else base
        limits = np.concatenate([self.slack[floored] - self.floor[floored], limits])
        if all(self.divisible):
            return relaxed(self.sizes, gain, at_most, limits, free=free)
        return whole(self.sizes, gain, at_most, limits, self.left_s, free=free, divisible=self.divisible)


def mixed_deal(
    domain: Domain,
    problem: Problem,
    field: Field,
    concept: Concept,
    regret: RegretKind,
    names: Names,
    left_s: Callable[[], float],
) -> Mixed | None:
    """The best shares by `concept`; None where nothing is divisible, or a quorum is wanted.

    Raises:
        UnfinishedError: time is out.
    """
    divisible = tuple(issue.is_divisible for issue in domain.issues)
    if not any(divisible) or not problem.needs_all:
        return None
    takes_turns = not problem.is_additive
    if takes_turns and not (all(divisible) and field.candidates.count <= TURNS_MAX):
        return None
    shares = Shares(
        added=field.candidates.utilities if takes_turns else np.hstack(problem.parts),
        sizes=(field.candidates.count,) if takes_turns else problem.sizes,
        divisible=(True,) if takes_turns else divisible,
        floor=problem.accepts,
        slack=SLACK * problem.unit,
        left_s=left_s,
    )
    try:
        found = _shared(problem, shares, concept, regret)
    except InfeasibleError:
        return None
    return _named(problem, shares, field, names, concept, regret, found, takes_turns=takes_turns)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Shares by value, and the most that each agent can get of shared deals."""

    shares: Floats
    ideal: Floats


def _shared(problem: Problem, shares: Shares, concept: Concept, regret: RegretKind) -> Found:
    none = np.empty((0, shares.added.shape[1]))
    ideal = np.array([shares.best(row, none, np.empty(0)).value for row in shares.added])
    terms = terms_of(problem, ideal, regret)
    aim = aim_of(concept, terms, np.flatnonzero(ideal > terms.disagreement + 1e-6 * terms.unit))
    match aim.kind:
        case "least":
            reached = _leximin(shares, aim)
        case "sum":
            reached = (
                shares.added @ shares.best(aim.slope @ shares.added[aim.rows], none, np.empty(0)).variables
            )
        case _:
            reached = _product(shares, aim)
    # Nobody loses, and all together have the most: so that nothing dominates it.
    everybody = (1.0 / problem.unit) @ shares.added
    solved = shares.best(everybody, -shares.added, 2 * shares.slack - reached)
    return Found(shares=np.clip(solved.variables, 0.0, 1.0), ideal=ideal)


def _leximin(shares: Shares, aim: Aim) -> Floats:
    """Raise the least as far as it goes, hold whoever can't go on, raise the rest: the utilities reached."""
    least = np.full(len(shares.added), -np.inf)
    open_rows = list(range(len(aim.rows)))
    reached = np.zeros(len(shares.added))
    while open_rows:
        held = np.flatnonzero(np.isfinite(least))
        rows = np.vstack(
            [
                np.hstack(
                    [-aim.slope[open_rows, None] * shares.added[aim.rows[open_rows]], _ones(len(open_rows))]
                ),
                np.hstack([-shares.added[held], np.zeros((len(held), 1))]),
            ]
        )
        limits = np.concatenate([-aim.base[open_rows], shares.slack[held] - least[held]])
        gain = np.zeros(shares.added.shape[1] + 1)
        gain[-1] = 1.0
        solved = shares.best(gain, rows, limits, free=1)
        reached = shares.added @ solved.variables[:-1]
        level = solved.value
        stuck = [at for at in open_rows if not _can_rise(shares, aim, at, open_rows, least, level)]
        for at in stuck or open_rows:
            least[aim.rows[at]] = (level + aim.base[at]) / aim.slope[at]
        open_rows = [at for at in open_rows if at not in (stuck or open_rows)]
    return reached


def _ones(count: int) -> Floats:
    return np.ones((count, 1))


def _can_rise(shares: Shares, aim: Aim, at: int, open_rows: list[int], least: Floats, level: float) -> bool:
    """Whether one agent can get more while nobody falls below the level."""
    floor = least.copy()
    rows = aim.rows[open_rows]
    floor[rows] = (level + aim.base[open_rows]) / aim.slope[open_rows]
    held = np.flatnonzero(np.isfinite(floor))
    solved = shares.best(shares.added[aim.rows[at]], -shares.added[held], shares.slack[held] - floor[held])
    return solved.value > float(floor[aim.rows[at]] + 100 * shares.slack[aim.rows[at]])


def _product(shares: Shares, aim: Aim) -> Floats:
    """By tangents of the logarithms, more of them where the best shares lie, until they agree."""
    room = np.array([shares.best(shares.added[row], *_nothing(shares)).value for row in aim.rows]) - aim.base
    if (room <= 0).any() or not len(aim.rows):
        raise InfeasibleError
    at = room[:, None] * np.geomspace(TANGENT_LEAST, 1.0, TANGENTS)[None, :]
    gain = np.concatenate([np.zeros(shares.added.shape[1]), aim.slope])
    best, reached = -np.inf, np.zeros(len(shares.added))
    for _ in range(TANGENT_ROUNDS_MAX):
        rows, limits = tangents(aim, shares.added, at)
        solved = shares.best(gain, rows, limits, free=len(aim.rows))
        utilities = shares.added @ solved.variables[: shares.added.shape[1]]
        value = float(aim.of(utilities[:, None])[0])
        if value > best:
            best, reached = value, utilities
        if solved.value - best <= PRODUCT_CLOSED * max(1.0, abs(best)):
            break
        gains = np.maximum(utilities[aim.rows] - aim.base, TANGENT_LEAST * room)
        at = np.hstack([at, gains[:, None]])
    return reached


def _nothing(shares: Shares) -> tuple[Floats, Floats]:
    return np.empty((0, shares.added.shape[1])), np.empty(0)


def _named(
    problem: Problem,
    shares: Shares,
    field: Field,
    names: Names,
    concept: Concept,
    regret: RegretKind,
    found: Found,
    *,
    takes_turns: bool,
) -> Mixed:
    utilities = shares.added @ found.shares
    value = float(values_of(concept, utilities[:, None], terms_of(problem, found.ideal, regret))[0])
    by_agent = names.by_agent(utilities)
    if takes_turns:
        columns = np.flatnonzero(found.shares > SHARE_LEAST)
        turns = tuple(
            (float(found.shares[column]), names.deal(field.candidates.choices[column])) for column in columns
        )
        return Mixed(shares={}, utilities=by_agent, value=value, turns=turns)
    starts = np.cumsum((0, *shares.sizes))
    by_issue = {
        name: {
            values[at]: float(found.shares[start + at])
            for at in range(len(values))
            if found.shares[start + at] > SHARE_LEAST
        }
        for (name, values), start in zip(names.issues, starts[:-1], strict=True)
    }
    return Mixed(shares=by_issue, utilities=by_agent, value=value)
