"""Negotiations: how long the solver takes, and how good the deals of each solution concept are.

    uv run --group bench python tests/bench/negotiation.py [--rounds 3] [--domains 200] [--output FILE]

Domains are drawn with a seed: for half of them utilities from 0 to 1, for the other half in steps of a tenth with
weights in steps of a hundredth, as people state them, which makes many ties. The time is that of a whole certificate
(five concepts side by side, runner-up, flips, false statements, Pareto check) with a deadline of 180 ms. Brute force is
numpy: all utilities in one array, then the least of the largest relative regret, and nothing else; its time is given
where the array fits.

For quality, all outcomes of smaller domains are looked at. "Dominated" is the share of deals that are worse than some
outcome for somebody and better for nobody. The first row, the plain least largest regret without looking further, is
what is mended here. Nash product and welfare are shares of the largest that is possible, averaged; the worst regret is
the largest of any agent in any domain.
"""

import argparse
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from harness import Row, median, rounds, table
from numpy.typing import NDArray

# isort: split
from negotiations import Brute, made, within

from agents.negotiator.concepts import CONCEPTS
from agents.negotiator.domain import Domain
from agents.negotiator.highs import warm
from agents.negotiator.problem import problem_of
from agents.negotiator.risk import Risk
from agents.negotiator.solve import TIME_S, Options, solve
from schemas.deal import Certificate

SIZES: Final = ((3, 10), (5, 10), (6, 10), (10, 10), (20, 10))
"""Issues and values of each: from a thousand outcomes to 10^20."""
AGENTS: Final = (2, 3, 4, 5)
DOMAINS_EACH: Final = 12
BRUTE_MAX: Final = 1_000_000
QUALITY_SIZES: Final = ((2, 8), (3, 6), (5, 4), (7, 3))
DISAGREEMENTS: Final = (0.0, 0.2, 0.35)


def brute_ms(domain: Domain) -> float:
    """The least of the largest relative regret, by looking at all outcomes."""
    problem = problem_of(domain, Risk())
    began = time.perf_counter()
    total = np.zeros((len(problem.agents), 1))
    for part in problem.parts:
        total = (total[:, :, None] + part[:, None, :]).reshape(len(part), -1)
    agreed = total[:, (total >= problem.disagreement[:, None]).all(axis=0)]
    if agreed.shape[1]:
        ideal = agreed.max(axis=1, keepdims=True)
        room = np.maximum(ideal - problem.disagreement[:, None], 1e-12)
        ((ideal - agreed) / room).max(axis=0).argmin()
    return (time.perf_counter() - began) * 1e3


def timed(issues: int, values: int, agents: int) -> Row:
    """Median and worst time of some domains of one size, and how many were settled."""
    warm()
    took, brute, settled, decided, count = [], [], 0, 0, 0
    solve(made(0, agents=3, issues=12, values=10), within(TIME_S))
    for seed in range(DOMAINS_EACH):
        domain = made(seed, agents=agents, issues=issues, values=values, is_coarse=bool(seed % 2))
        began = time.perf_counter()
        answer = solve(domain, within(TIME_S))
        took.append((time.perf_counter() - began) * 1e3)
        if domain.outcomes <= BRUTE_MAX:
            brute.append(brute_ms(domain))
        count += 1
        if isinstance(answer, Certificate):
            settled += all(one.is_exact for one in answer.by_concept.values())
            decided += answer.is_exact
        else:
            settled += answer.is_proven
            decided += answer.is_proven
    return {
        "p50_ms": float(np.median(took)),
        "max_ms": max(took),
        "brute_ms": float(np.median(brute)) if brute else float("nan"),
        "decided": decided / count,
        "settled": settled / count,
    }


@dataclass(slots=True)
class Quality:
    """Sums over domains."""

    dominated: int = 0
    regret_worst: float = 0.0
    regret: float = 0.0
    nash: float = 0.0
    welfare: float = 0.0

    def add(self, brute: Brute, utilities: NDArray[np.float64]) -> None:
        room = np.maximum(brute.ideal - brute.disagreement, 1e-9)
        regret = float(((brute.ideal - utilities) / room).max())
        gains = np.maximum(utilities - brute.disagreement, 0.0)
        self.dominated += brute.dominates(dict(zip(brute.names, utilities.tolist(), strict=True)))
        self.regret_worst = max(self.regret_worst, regret)
        self.regret += regret
        best_nash = brute.best("nash")
        self.nash += float(np.prod(gains)) / best_nash if best_nash > 0 else 1.0
        self.welfare += float(utilities.sum()) / brute.best("utilitarian")


def plain_regret(brute: Brute) -> NDArray[np.float64]:
    """Of the first outcome with the least largest regret."""
    agreed = brute.utilities[:, brute.agreed]
    room = np.maximum(brute.ideal - brute.disagreement, 1e-9)
    worst = ((brute.ideal[:, None] - agreed) / room[:, None]).max(axis=0)
    best: NDArray[np.float64] = agreed[:, int(np.argmin(worst))]
    return best


def quality(count: int) -> tuple[dict[str, Quality], int]:
    """By concept, over the domains that have a deal."""
    sums = {name: Quality() for name in ("regret, plain", *CONCEPTS)}
    deals = 0
    for seed in range(count):
        issues, values = QUALITY_SIZES[seed % len(QUALITY_SIZES)]
        domain = made(
            1_000 + seed,
            agents=2 + seed % 4,
            issues=issues,
            values=values,
            disagreement=DISAGREEMENTS[seed % len(DISAGREEMENTS)],
            is_coarse=bool(seed // 4 % 2),
        )
        answer = solve(domain, within(10.0), Options(with_certificate=False))
        if not isinstance(answer, Certificate):
            continue
        deals += 1
        brute = Brute.of(domain)
        sums["regret, plain"].add(brute, plain_regret(brute))
        for concept in CONCEPTS:
            utilities = answer.by_concept[concept].utilities
            sums[concept].add(brute, np.array([utilities[name] for name in brute.names]))
    return sums, deals


def times_table(runs: dict[str, list[Row]], sizes: dict[str, tuple[int, int, int]]) -> str:
    lines = []
    for name, measured in runs.items():
        issues, values, agents = sizes[name]
        brute = median(measured, "brute_ms")
        lines.append(
            [
                f"{values**issues:.0e}".replace("e+", " × 10^").replace("1 × ", "").replace("^0", "^"),
                agents,
                f"{median(measured, 'p50_ms'):.1f}",
                f"{median(measured, 'max_ms'):.1f}",
                "–" if np.isnan(brute) else f"{brute:.1f}",
                f"{median(measured, 'decided'):.0%}",
                f"{median(measured, 'settled'):.0%}",
            ]
        )
    head = [
        "outcomes",
        "agents",
        "p50 ms",
        "worst ms",
        "brute force ms",
        "deal proven best",
        "all five proven",
    ]
    return table(head, lines)


def quality_table(sums: dict[str, Quality], deals: int) -> str:
    lines = [
        [
            name.replace("_", "–"),
            f"{one.dominated / deals:.1%}",
            f"{one.regret_worst:.3f}",
            f"{one.regret / deals:.3f}",
            f"{one.nash / deals:.1%}",
            f"{one.welfare / deals:.1%}",
        ]
        for name, one in sums.items()
    ]
    head = ["concept", "dominated", "worst regret", "mean regret", "Nash product", "welfare"]
    return table(head, lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--domains", type=int, default=200)
    parser.add_argument("--output", type=Path)
    parser.add_argument("--row", nargs=3, type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.row:
        print(json.dumps(timed(*args.row)))
        return
    sizes = {
        f"{issues} × {values}, {agents}": (issues, values, agents)
        for issues, values in SIZES
        for agents in AGENTS
    }
    rows = {name: ["--row", *map(str, size)] for name, size in sizes.items()}
    text = times_table(rounds(__file__, rows, args.rounds), sizes)
    sums, deals = quality(args.domains)
    text += (
        f"\nBy concept, over {deals} domains with a deal of {args.domains}:\n\n{quality_table(sums, deals)}"
    )
    print(text)
    if args.output:
        args.output.write_text(text)


if __name__ == "__main__":
    main()
