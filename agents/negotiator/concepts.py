"""Solution concepts: which outcome is the fair one, by five notions of fair.

`regret` is how far each agent falls short of its ideal, by default as a share of what it could gain, so that utilities
in different units compare; the largest one is made small, then the second largest, and so on (leximin), which never
leaves a dominated deal. `kalai_smorodinsky` does the same for equal shares of what is to be gained, without weights;
`egalitarian` for gains as they are. `nash` has the largest product of gains (to the power of the weights),
`utilitarian` the largest weighted sum.
"""

from dataclasses import dataclass
from typing import Final, Literal, get_args

import numpy as np

from agents.negotiator.field import Candidates
from agents.negotiator.pareto import Indices
from agents.negotiator.problem import Floats, Problem

Concept = Literal["regret", "nash", "kalai_smorodinsky", "egalitarian", "utilitarian"]
RegretKind = Literal["relative", "absolute"]
CONCEPTS: Final[tuple[Concept, ...]] = get_args(Concept)

LOG_MAX: Final = 700.0
"""Of a product of gains; what is more counts as this much."""
TIE: Final = 1e-9
"""Values less apart than this, as a part of what they can range over, are tied."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What utilities are measured against: arrays over agents.

    Attributes:
        ideal: the most that each can get of a deal.
        scale: ideal less disagreement point; where nothing is to be gained, the agent's range.
    """

    ideal: Floats
    disagreement: Floats
    scale: Floats
    weight: Floats
    unit: Floats
    equal: Floats
    regret: RegretKind = "relative"


def terms_of(problem: Problem, ideal: Floats, regret: RegretKind) -> Terms:
    room = ideal - problem.disagreement
    return Terms(
        ideal=ideal,
        disagreement=problem.disagreement,
        scale=np.where(room > problem.equal, room, problem.unit),
        weight=problem.weight,
        unit=problem.unit,
        equal=problem.equal,
        regret=regret,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Best:
    """The winner among candidates.

    Attributes:
        column: of the candidates.
        value: the largest regret, the product of gains, the least share, the least gain, or the sum.
        tied: how many candidates do as well.
    """

    column: int
    value: float
    tied: int


def losses(concept: Concept, utilities: Floats, terms: Terms) -> tuple[Floats, float] | None:
    """What leximin makes small, (n, K), and the range that ties are judged by; None for concepts of sums."""
    match concept:
        case "regret" if terms.regret == "relative":
            factor = terms.weight / terms.scale
            return (terms.ideal[:, None] - utilities) * factor[:, None], float(terms.weight.max())
        case "regret":
            short = (terms.ideal[:, None] - utilities) * terms.weight[:, None]
            return short, float((terms.weight * terms.unit).max())
        case "kalai_smorodinsky":
            return (terms.ideal[:, None] - utilities) / terms.scale[:, None], 1.0
        case "egalitarian":
            return terms.disagreement[:, None] - utilities, float(terms.unit.max())
        case _:
            return None


def merits(concept: Concept, utilities: Floats, terms: Terms) -> list[tuple[Floats, float]]:
    """What the concepts of sums make large, (K,) each in order of importance, with the range of ties."""
    if concept == "utilitarian":
        return [(terms.weight @ utilities, float(terms.weight @ terms.unit))]
    counted = terms.weight > 0
    gains = (utilities - terms.disagreement[:, None])[counted]
    has_gain = gains > terms.equal[counted][:, None]
    logs = np.log(np.where(has_gain, gains, 1.0))
    # Where not everybody can gain, as many as possible do, and the product is theirs.
    return [(has_gain.sum(axis=0).astype(np.float64), 1.0), (terms.weight[counted] @ logs, 1.0)]


def winners(concept: Concept, utilities: Floats, terms: Terms) -> Indices:
    """The columns that are best and tied, in order. There must be at least one column."""
    if (stated := losses(concept, utilities, terms)) is not None:
        return _leximin(*stated)
    alive = np.arange(utilities.shape[1])
    for merit, spread in merits(concept, utilities, terms):
        values = merit[alive]
        alive = alive[values >= values.max() - TIE * spread]
    return alive


def _leximin(loss: Floats, spread: float) -> Indices:
    worst = loss.max(axis=0)
    alive = np.flatnonzero(worst <= worst.min() + TIE * spread)
    ranked = np.sort(loss[:, alive], axis=0)[::-1]
    for level in range(1, len(loss)):
        if len(alive) == 1:
            break
        kept = ranked[level] <= ranked[level].min() + TIE * spread
        alive, ranked = alive[kept], ranked[:, kept]
    return alive


def best_of(concept: Concept, candidates: Candidates, terms: Terms) -> Best:
    """The winner; of tied ones that with the most for all together, then the one whose values come first."""
    tied = winners(concept, candidates.utilities, terms)
    column = int(tied[0])
    if len(tied) > 1:
        shares = (candidates.utilities[:, tied] / terms.unit[:, None]).sum(axis=0)
        column = candidates.first_of(tied[shares >= shares.max() - TIE])
    value = float(values_of(concept, candidates.utilities[:, [column]], terms)[0])
    return Best(column=column, value=value, tied=len(tied))


def values_of(concept: Concept, utilities: Floats, terms: Terms) -> Floats:
    """What a concept says of each column: regret is better when small, all others when large."""
    if (stated := losses(concept, utilities, terms)) is not None:
        worst: Floats = stated[0].max(axis=0)
        match concept:
            case "kalai_smorodinsky":
                return 1.0 - worst
            case "egalitarian":
                return -worst
            case _:
                return np.maximum(worst, 0.0)
    if concept == "utilitarian":
        return merits(concept, utilities, terms)[0][0]
    # By logarithms: a weight of 200 takes a product out of what a float can hold.
    counted = terms.weight > 0
    gains = np.maximum(utilities - terms.disagreement[:, None], 0.0)[counted]
    logs = np.log(np.where(gains > 0, gains, 1.0))
    product: Floats = np.exp(np.minimum(terms.weight[counted] @ logs, LOG_MAX))
    return np.where((gains > 0).all(axis=0), product, 0.0)
