"""Negotiations made from a seed, what brute force says of them, and strategies for more."""

import itertools
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from agents.negotiator.domain import Domain, from_mapping

Floats = NDArray[np.float64]


def unhurried() -> float:
    """A deadline that never comes."""
    return math.inf


def within(seconds: float) -> Callable[[], float]:
    """A deadline so many seconds from now."""
    ends = time.perf_counter() + seconds
    return lambda: ends - time.perf_counter()


def made(
    seed: int, *, agents: int, issues: int, values: int, disagreement: float = 0.3, is_coarse: bool = False
) -> Domain:
    """A domain whose utilities range from 0 to about 1; coarse ones have many ties."""
    random = np.random.default_rng(seed)
    stated = []
    for number in range(agents):
        weights = random.dirichlet(np.full(issues, 2.0))
        worth = random.integers(0, 6, (issues, values)) / 5 if is_coarse else random.random((issues, values))
        weights = np.round(weights, 1) if is_coarse else weights
        stated.append(
            {
                "name": f"agent-{number}",
                "disagreement": disagreement,
                "issue_weights": {f"issue-{at}": float(weight) for at, weight in enumerate(weights)},
                "utilities": {f"issue-{at}": [float(one) for one in row] for at, row in enumerate(worth)},
            }
        )
    names = [
        {"name": f"issue-{at}", "values": [f"value-{one}" for one in range(values)]} for at in range(issues)
    ]
    return from_mapping({"name": f"made-{seed}", "issues": names, "agents": stated})


@dataclass(frozen=True, kw_only=True)
class Brute:
    """Every outcome's utilities (agents by name, outcomes), and which ones enough agents accept."""

    utilities: Floats
    agreed: NDArray[np.bool_]
    disagreement: Floats
    weight: Floats
    names: list[str]

    @classmethod
    def of(cls, domain: Domain) -> "Brute":
        agents = sorted(domain.agents, key=lambda agent: agent.name)
        outcomes = itertools.product(*(range(len(issue.values)) for issue in domain.issues))
        rows = np.array(list(outcomes))
        utilities = np.zeros((len(agents), len(rows)))
        for row, agent in enumerate(agents):
            for at, issue in enumerate(domain.issues):
                worth = agent.utilities[issue.name]
                numbers = [worth[value] for value in issue.values] if isinstance(worth, dict) else worth
                utilities[row] += agent.issue_weights.get(issue.name, 1.0) * np.array(numbers)[rows[:, at]]
        disagreement = np.array([agent.disagreement for agent in agents])
        accepts = np.array(
            [agent.disagreement if agent.threshold is None else agent.threshold for agent in agents]
        )
        yes = (utilities >= accepts[:, None] - 1e-9).sum(axis=0)
        return cls(
            utilities=utilities,
            agreed=yes >= (domain.quorum or len(agents)),
            disagreement=disagreement,
            weight=np.array([agent.weight for agent in agents]),
            names=[agent.name for agent in agents],
        )

    def dominates(self, utilities: dict[str, float]) -> bool:
        """Whether some outcome is better for somebody and worse for nobody."""
        own = np.array([utilities[name] for name in self.names])[:, None]
        no_worse = (self.utilities >= own - 1e-9).all(axis=0)
        return bool((no_worse & (self.utilities > own + 1e-8).any(axis=0)).any())

    @property
    def ideal(self) -> Floats:
        return self.utilities[:, self.agreed].max(axis=1)

    def best(self, concept: str, *, absolute: bool = False) -> float:
        """The value of the best outcome, by the definition of the concept."""
        chosen = self.utilities[:, self.agreed]
        gains, short = chosen - self.disagreement[:, None], self.ideal[:, None] - chosen
        room = self.ideal - self.disagreement
        scale = np.where(room > 1e-9, room, np.maximum(np.ptp(self.utilities, axis=1), 1e-9))[:, None]
        match concept:
            case "regret":
                return float(
                    (self.weight[:, None] * (short if absolute else short / scale)).max(axis=0).min()
                )
            case "nash":
                return float(np.prod(np.maximum(gains, 0) ** self.weight[:, None], axis=0).max())
            case "kalai_smorodinsky":
                return float((1 - short / scale).min(axis=0).max())
            case "egalitarian":
                return float(gains.min(axis=0).max())
            case _:
                return float((self.weight @ chosen).max())


@st.composite
def domains(draw: st.DrawFn, *, agents_max: int = 4, coarse: bool | None = None) -> Domain:
    """Small domains, half of them with many ties, some with nothing to agree on."""
    sizes = draw(st.lists(st.integers(1, 4), min_size=1, max_size=4))
    is_coarse = draw(st.booleans()) if coarse is None else coarse
    number = (
        st.integers(-2, 4) if is_coarse else st.integers(-(10**6), 10**6).map(lambda number: number / 10**6)
    )
    issues = [
        {"name": f"issue-{at}", "values": [f"value-{one}" for one in range(size)]}
        for at, size in enumerate(sizes)
    ]
    stated: list[dict[str, Any]] = [
        {
            "name": f"agent-{at}",
            "disagreement": draw(st.sampled_from([-1.0, 0.0, 0.5, 1.0])),
            "weight": draw(st.sampled_from([1.0, 1.0, 0.5, 2.0])),
            "utilities": {
                issue["name"]: draw(st.lists(number, min_size=size, max_size=size))
                for issue, size in zip(issues, sizes, strict=True)
            },
        }
        for at in range(draw(st.integers(1, agents_max)))
    ]
    return from_mapping({"issues": issues, "agents": stated})
