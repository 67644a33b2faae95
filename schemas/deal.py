"""The certificate: a deal with what it takes to check it and to trust it."""

from typing import Literal

import msgspec

Deal = dict[str, str]
"""By issue, the value agreed on."""
ByAgent = dict[str, float]


class Alternative(msgspec.Struct, frozen=True, kw_only=True):
    """A deal that was weighed.

    Attributes:
        value: what the concept says of it.
        tied: how many outcomes, different to somebody, do as well by the concept.
        bound: no outcome does better; None when that could not be found out.
        is_exact: no outcome does better than this one.
    """

    deal: Deal
    utilities: ByAgent
    value: float
    tied: int = 1
    bound: float | None = None
    is_exact: bool = True


class Flip(msgspec.Struct, frozen=True, kw_only=True):
    """The smallest change of one kind that makes another deal the best.

    Attributes:
        kind: `weight`: of an agent; `utility`: what the other deal is worth to an agent.
        before, after: the weight or the utility that changes.
        share: of the change: of the weight, or of the range of the agent's utility.
        deal: the one that is best then.
    """

    kind: Literal["weight", "utility"]
    agent: str
    before: float
    after: float
    share: float
    deal: Deal


class Manipulability(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody gains by stating false utilities while all others are honest.

    That nothing was found does not prove that honesty is an equilibrium.

    Attributes:
        epsilon: the largest gain found, as a share of what the deviator can gain at most; 0 if none was found.
        gain: the same in the deviator's utility.
        deviation: in words, what it states.
        tested: how many false statements were tried.
    """

    epsilon: float
    tested: int
    deviator: str | None = None
    deviation: str | None = None
    gain: float = 0.0
    deal: Deal | None = None


class ParetoCheck(msgspec.Struct, frozen=True, kw_only=True):
    """Whether another outcome is better for somebody and worse for nobody.

    Attributes:
        is_undominated: no such outcome is known.
        is_proven: there is none.
        by: how: the whole frontier is known, every outcome was looked at, or a search left none out.
    """

    is_undominated: bool
    is_proven: bool
    by: Literal["frontier", "enumeration", "search"]


class Mixed(msgspec.Struct, frozen=True, kw_only=True):
    """A deal that shares out divisible issues, or takes turns.

    Attributes:
        shares: by issue, the values that have a share, adding up to 1; turns of whole deals under the issue `""`.
        value: what the concept says of it, measured against the ideals of shared deals.
    """

    shares: dict[str, dict[str, float]]
    utilities: ByAgent
    value: float
    turns: tuple[tuple[float, Deal], ...] = ()


class Certificate(msgspec.Struct, frozen=True, kw_only=True, tag="deal"):
    """A deal, and why.

    Attributes:
        concept, regret: by which notion of fairness, and how regret was measured.
        ideal: the most that each agent can get of a deal that enough accept.
        regrets: by agent, the share of what it could gain that it does not (0 is its ideal).
        absolute_regrets: by agent, in its own unit.
        binds: who is worst off by the concept, so that a better deal would have to be better for them.
        accepts: who says yes.
        value, bound, gap: what the concept says of the deal; what no deal is better than; how far they are apart,
            0 when the deal is proven best; None when no bound was found in time.
        route: how outcomes were ruled out.
        outcomes, candidates: how many there are, and how many were compared in the end.
        runner_up: the next best deal among the candidates.
        flips: the smallest changes that would make another candidate the best.
        by_concept: the deals by all notions of fairness, side by side.
    """

    concept: str
    regret: str
    deal: Deal
    utilities: ByAgent
    disagreement: ByAgent
    ideal: ByAgent
    regrets: ByAgent
    absolute_regrets: ByAgent
    binds: tuple[str, ...]
    accepts: tuple[str, ...]
    value: float
    bound: float | None
    gap: float | None
    is_exact: bool
    route: str
    outcomes: int
    candidates: int
    runner_up: Alternative | None
    flips: tuple[Flip, ...]
    manipulability: Manipulability | None
    pareto: ParetoCheck
    by_concept: dict[str, Alternative]
    mixed: Mixed | None = None
    warnings: tuple[str, ...] = ()


class Blocker(msgspec.Struct, frozen=True, kw_only=True):
    """Who stands in the way, and by how much.

    Attributes:
        needs: the least utility that it accepts.
        best: the most it can have with what the others accept; None when the others can't agree either.
        short_by: how far the one is above the other; in the nearest deal when `best` is None.
    """

    agent: str
    needs: float
    best: float | None
    short_by: float


class NoDeal(msgspec.Struct, frozen=True, kw_only=True, tag="no_deal"):
    """Nobody could agree.

    Attributes:
        is_proven: there is no outcome that enough agents accept; false when none was found in time.
        blockers: those without whose demand the others could agree; if there is no single one, those who are short in
            the nearest deal.
        nearest: the outcome with the smallest shortfall, as a share of each agent's range, and its utilities.
        shortfalls: by agent who says no to the nearest, by how much.
    """

    reason: str
    is_proven: bool
    blockers: tuple[Blocker, ...]
    nearest: Deal
    utilities: ByAgent
    shortfalls: ByAgent
    outcomes: int
    warnings: tuple[str, ...] = ()
