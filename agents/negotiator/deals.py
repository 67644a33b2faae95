"""Outcomes by name: from the numbers of values to what people call them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agents.negotiator.domain import Domain
from agents.negotiator.problem import Floats, Problem
from schemas.deal import ByAgent, Deal


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """What issues, values and agents are called."""

    issues: tuple[tuple[str, tuple[str, ...]], ...]
    agents: tuple[str, ...]

    def deal(self, choice: NDArray[np.integer]) -> Deal:
        """Of one outcome: the index of each issue's value."""
        return {name: values[int(at)] for (name, values), at in zip(self.issues, choice, strict=True)}

    def by_agent(self, numbers: Floats) -> ByAgent:
        return dict(zip(self.agents, (float(number) for number in numbers), strict=True))


def names_of(domain: Domain, problem: Problem) -> Names:
    return Names(issues=tuple((issue.name, issue.values) for issue in domain.issues), agents=problem.agents)
