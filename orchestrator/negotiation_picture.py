"""What a picture of a negotiation shows, and the picture in characters: pure, from plain numbers.

Two agents: what deals are worth to one against what they are worth to the other. Any other number: a bar each.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from agents.negotiator.domain import Domain
from agents.negotiator.points import Points
from orchestrator.clean import clean
from orchestrator.fitting import shortened
from schemas.deal import ByAgent, Certificate, NoDeal

MarkKind = Literal["deal", "concept", "shared", "nearest", "without", "needs"]

SIGNS: Final[dict[MarkKind, str]] = {
    "concept": "o",
    "shared": "+",
    "needs": "n",
    "without": "x",
    "nearest": "◆",
    "deal": "◆",
}
"""In characters, the later the more important: it covers the earlier ones."""
POINT: Final = "·"
ROWS: Final = 13
COLUMNS_MAX: Final = 66
COLUMNS_MIN: Final = 16
NAME_CELLS: Final = 30
BARS_MAX: Final = 24
"""Agents with a bar; the table has them all."""
BAR_CELLS: Final = 30
FULL, FREE = "█", "░"
SPARE: Final = 0.04
"""Of the range, around what is drawn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """One place in the picture: utilities in the order of the agents."""

    kind: MarkKind
    label: str
    utilities: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """What is drawn; every text is safe to print.

    Attributes:
        points: utilities of deals, in the order of the agents.
        legend: what the points are, in words; empty without any.
        marks: the least important first.
    """

    name: str
    agents: tuple[str, ...]
    points: tuple[tuple[float, ...], ...]
    legend: str
    marks: tuple[Mark, ...]

    def range_of(self, at: int) -> tuple[float, float]:
        """From where to where an agent's utilities go, with some space around; never empty."""
        numbers = [one[at] for one in (*self.points, *(mark.utilities for mark in self.marks))]
        low, high = min(numbers), max(numbers)
        spare = SPARE * (high - low) or abs(high) * SPARE or 1.0
        return low - spare, high + spare


def picture_of(domain: Domain, outcome: Certificate | NoDeal, points: Points | None) -> Picture:
    """The picture of an answer. Pure."""
    names = tuple(agent.name for agent in domain.agents)

    def row(utilities: ByAgent) -> tuple[float, ...]:
        return tuple(utilities[name] for name in names)

    without = Mark(
        kind="without",
        label="without a deal",
        utilities=tuple(agent.disagreement for agent in domain.agents),
    )
    marks = [without]
    if isinstance(outcome, NoDeal):
        needs = tuple(
            agent.disagreement if agent.threshold is None else agent.threshold for agent in domain.agents
        )
        if needs != without.utilities:
            marks.append(Mark(kind="needs", label="accepted from here", utilities=needs))
        marks.append(Mark(kind="nearest", label="the nearest outcome", utilities=row(outcome.utilities)))
    else:
        marks = [*_concepts(outcome, names), *marks]
        if outcome.mixed is not None:
            marks.append(Mark(kind="shared", label="shared deal", utilities=row(outcome.mixed.utilities)))
        marks.append(Mark(kind="deal", label="the deal", utilities=row(outcome.utilities)))
    return Picture(
        name=clean(domain.name),
        agents=tuple(clean(name) for name in names),
        points=tuple(row(point.utilities) for point in points.points) if points else (),
        legend=_legend(points),
        marks=tuple(marks),
    )


def _concepts(certificate: Certificate, names: Sequence[str]) -> list[Mark]:
    """The other deals that other notions of fairness lead to, each once."""
    labels: dict[tuple[float, ...], list[str]] = {}
    for concept, one in certificate.by_concept.items():
        if one.utilities != certificate.utilities:
            labels.setdefault(tuple(one.utilities[name] for name in names), []).append(words_of(concept))
    return [Mark(kind="concept", label=", ".join(concepts), utilities=at) for at, concepts in labels.items()]


def words_of(concept: str) -> str:
    return "Kalai–Smorodinsky" if concept == "kalai_smorodinsky" else concept.replace("nash", "Nash")


def _legend(points: Points | None) -> str:
    if points is None or not points.points:
        return ""
    kind = "undominated deals" if points.is_frontier else "deals that are known"
    drawn = len(points.points)
    return f"{drawn} {kind}" if drawn == points.of else f"{drawn} of {points.of} {kind}"


def figure(value: float) -> str:
    """A utility or a value: four digits, or as many as a large one has."""
    if value == 0:
        return "0"
    return f"{value:,.0f}" if 1e4 <= abs(value) < 1e12 else f"{value:.4g}"


def scatter(picture: Picture, columns: int) -> list[str]:
    """Lines of a picture of two agents, the first from left to right, the second upwards. Pure.

    Args:
        columns: of the terminal.
    """
    across, upwards = picture.range_of(0), picture.range_of(1)
    ticks = [figure(upwards[1]), figure(upwards[0])]
    margin = max(len(tick) for tick in ticks)
    cells = max(COLUMNS_MIN, min(COLUMNS_MAX, columns - margin - 4))
    grid = [[" "] * cells for _ in range(ROWS)]
    kinds = list(SIGNS)
    marks = sorted(picture.marks, key=lambda mark: kinds.index(mark.kind))
    for sign, at in (
        *((POINT, point) for point in picture.points),
        *((SIGNS[mark.kind], mark.utilities) for mark in marks),
    ):
        grid[ROWS - 1 - _place(at[1], upwards, ROWS)][_place(at[0], across, cells)] = sign
    lines = [f"{' ' * (margin + 1)}{shortened(picture.agents[1], min(NAME_CELLS, cells))} ↑"]
    for number, row in enumerate(grid):
        tick = ticks[0] if number == 0 else ticks[1] if number == ROWS - 1 else ""
        lines.append(f"{tick:>{margin}} │{''.join(row)}".rstrip())
    lines.append(f"{' ' * margin} └{'─' * cells}")
    left, right = figure(across[0]), figure(across[1])
    room = cells - len(left) - len(right) - 6
    name = f"{shortened(picture.agents[0], min(NAME_CELLS, max(1, room)))} →"
    blank = max(2, cells - len(left) - len(right) - _cells(name) - 2)
    lines.append(f"{' ' * (margin + 2)}{left}{' ' * blank}{name}  {right}")
    return lines


def keys(picture: Picture) -> list[str]:
    """What the signs of `scatter` mean."""
    signs = [f"{POINT} {picture.legend}"] if picture.legend else []
    for mark in reversed(picture.marks):
        said = f"{SIGNS[mark.kind]} {'by other concepts' if mark.kind == 'concept' else mark.label}"
        if said not in signs:
            signs.append(said)
    return signs


def bar(share: float, cells: int = BAR_CELLS) -> str:
    """How much of what there is to gain somebody gains. Pure."""
    full = round(max(0.0, min(1.0, share)) * cells)
    return FULL * full + FREE * (cells - full)


def _place(value: float, ends: tuple[float, float], cells: int) -> int:
    return max(0, min(cells - 1, int((value - ends[0]) / (ends[1] - ends[0]) * cells)))


def _cells(text: str) -> int:
    from rich.cells import cell_len

    return cell_len(text)
