"""The negotiation as numbers: agents in the order of their names, so that nothing depends on the order stated."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from agents.negotiator.domain import Agent, Domain, worth
from agents.negotiator.limits import SCENARIO_CELLS_MAX, RefusedError
from agents.negotiator.risk import AVERSION_LEAST, Risk, adjusted

EQUAL: Final = 1e-10
"""Utilities that differ by less than this part of the agent's range are equal: sums of floats differ in their last
digits although they are the same number."""
ROUNDING: Final = 1e-14
"""Of the size of the numbers that are added."""

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Uncertain:
    """One agent's scenarios.

    Attributes:
        probabilities: (scenarios,).
        parts: by issue, (scenarios, values).
    """

    probabilities: Floats
    parts: tuple[Floats, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Arrays over n agents.

    Attributes:
        agents: names, in order.
        parts: by issue, (n, values): what each value adds to each agent's utility; the mean over scenarios.
        uncertain: by agent, its scenarios where risk makes its utility more than a sum; None elsewhere.
        disagreement, accepts, weight: (n,); `accepts` is the least utility that the agent says yes to.
        unit: (n,): from the least to the largest utility, 1 if they are the same.
        equal: (n,): utilities that are less apart are equal.
        low: (n,): the least utility.
    """

    agents: tuple[str, ...]
    parts: tuple[Floats, ...]
    uncertain: tuple[Uncertain | None, ...]
    risk: Risk
    disagreement: Floats
    accepts: Floats
    weight: Floats
    quorum: int
    unit: Floats
    equal: Floats
    low: Floats

    @property
    def sizes(self) -> tuple[int, ...]:
        return tuple(part.shape[1] for part in self.parts)

    @property
    def outcomes(self) -> int:
        count = 1
        for size in self.sizes:
            count *= size
        return count

    @property
    def is_additive(self) -> bool:
        return all(one is None for one in self.uncertain)

    @property
    def needs_all(self) -> bool:
        return self.quorum == len(self.agents)

    def utilities(self, choices: NDArray[np.integer]) -> Floats:
        """(n, outcomes) of outcomes given as (outcomes, issues), the index of each issue's value."""
        total = np.zeros((len(self.agents), len(choices)))
        for number, part in enumerate(self.parts):
            total += part[:, choices[:, number]]
        for row, uncertain in enumerate(self.uncertain):
            if uncertain is not None:
                samples = np.zeros((len(uncertain.probabilities), len(choices)))
                for number, part in enumerate(uncertain.parts):
                    samples += part[:, choices[:, number]]
                total[row] = self.adjusted(row, uncertain, samples)
        return total

    def adjusted(self, row: int, uncertain: Uncertain, samples: Floats) -> Floats:
        return adjusted(samples, uncertain.probabilities, self.risk, unit=float(self.unit[row]))

    def accepting(self, utilities: Floats) -> NDArray[np.bool_]:
        """Who says yes: (n, outcomes)."""
        yes: NDArray[np.bool_] = utilities >= (self.accepts - self.equal)[:, None]
        return yes

    def agreed(self, utilities: Floats) -> NDArray[np.bool_]:
        """Which outcomes enough agents accept: (outcomes,)."""
        if self.needs_all:
            yes = np.ones(utilities.shape[1], dtype=np.bool_)
            for row, least in zip(utilities, self.accepts - self.equal, strict=True):
                yes &= row >= least
            return yes
        enough: NDArray[np.bool_] = self.accepting(utilities).sum(axis=0) >= self.quorum
        return enough

    def keys(self, utilities: Floats) -> Ints:
        """Utilities as whole numbers, the same for equal ones: (n, outcomes).

        The odd shift keeps round numbers, which real utilities often are, away from where rounding tips over.
        """
        return np.floor((utilities - self.low[:, None]) / self.equal[:, None] + 0.3766).astype(np.int64)


def problem_of(domain: Domain, risk: Risk) -> Problem:
    """The numbers of a checked domain.

    Raises:
        RefusedError: scenarios of too many outcomes.
    """
    agents = sorted(domain.agents, key=lambda agent: agent.name)
    uncertain = [_uncertain(agent, domain) for agent in agents]
    rows = [
        [worth(agent, agent.utilities, issue) for issue in domain.issues]
        if one is None
        else [one.probabilities @ part for part in one.parts]
        for agent, one in zip(agents, uncertain, strict=True)
    ]
    parts = tuple(np.array([row[number] for row in rows]) for number in range(len(domain.issues)))
    kept = tuple(one if one is not None and risk.aversion >= AVERSION_LEAST else None for one in uncertain)
    low, high = _range(parts, kept)
    disagreement = np.array([agent.disagreement for agent in agents])
    size = np.array([np.abs(part).max(axis=1) for part in parts]).sum(axis=0) + np.abs(disagreement)
    unit = np.where(high - low > ROUNDING * size, high - low, 1.0)
    cells = sum(len(one.probabilities) for one in kept if one is not None) * domain.outcomes
    if cells > SCENARIO_CELLS_MAX:
        raise RefusedError(
            f"{domain.outcomes} outcomes under scenarios make {cells} utilities; at most {SCENARIO_CELLS_MAX}: "
            "state fewer scenarios, or set risk_aversion to 0, which needs the mean alone"
        )
    return Problem(
        agents=tuple(agent.name for agent in agents),
        parts=parts,
        uncertain=kept,
        risk=risk,
        disagreement=disagreement,
        accepts=np.array(
            [agent.disagreement if agent.threshold is None else agent.threshold for agent in agents]
        ),
        weight=np.array([agent.weight for agent in agents]),
        quorum=len(agents) if domain.quorum is None else domain.quorum,
        unit=unit,
        equal=EQUAL * unit + ROUNDING * size,
        low=low,
    )


def _uncertain(agent: Agent, domain: Domain) -> Uncertain | None:
    if not agent.scenarios:
        return None
    possible = [scenario for scenario in agent.scenarios if scenario.probability > 0]
    stated = np.array([scenario.probability for scenario in possible])
    return Uncertain(
        probabilities=stated / stated.sum(),
        parts=tuple(
            np.array([worth(agent, scenario.utilities, issue) for scenario in possible])
            for issue in domain.issues
        ),
    )


def _range(parts: tuple[Floats, ...], uncertain: tuple[Uncertain | None, ...]) -> tuple[Floats, Floats]:
    """The least and the largest utility of each agent, over scenarios too."""
    low: Floats = np.sum([part.min(axis=1) for part in parts], axis=0)
    high: Floats = np.sum([part.max(axis=1) for part in parts], axis=0)
    for row, one in enumerate(uncertain):
        if one is not None:
            low[row] = np.sum([part.min(axis=1) for part in one.parts], axis=0).min()
            high[row] = np.sum([part.max(axis=1) for part in one.parts], axis=0).max()
    return low, high
