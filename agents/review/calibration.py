"""How sure a finding is: the chance that it is real, by who says so. The table stands in `calibration.yaml`."""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import msgspec.yaml

from agents.review.confidence import CONFIDENCE_MAX, combined_confidence
from schemas.review import Hit

FILE: Final = Path(__file__).parent / "calibration.yaml"

Points = tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class Calibration:
    """The table: each list of points by ascending x, linear in between, level outside.

    Attributes:
        models: (distinct models, chance).
        analysers: (combined confidence of analysers, chance).
        confirms, refutes: by what a verifier's word multiplies the odds.
    """

    models: Points
    analysers: Points
    confirms: float
    refutes: float

    def of_models(self, models: float) -> float:
        return at(self.models, models)

    def of_analysers(self, confidence: float) -> float:
        return at(self.analysers, confidence)


@lru_cache(maxsize=1)
def calibration() -> Calibration:
    """The table that ships. Read once."""
    table: dict[str, Any] = msgspec.yaml.decode(FILE.read_bytes())
    return Calibration(
        models=_points(table["models"]["points"]),
        analysers=_points(table["analysers"]["points"]),
        confirms=table["verifier"]["confirms"],
        refutes=table["verifier"]["refutes"],
    )


def chance_of(hits: Iterable[Hit], table: Calibration | None = None) -> float:
    """The chance that a finding with these hits is real, 0 to `CONFIDENCE_MAX`.

    With a the analysers' chance and m(n) that of n distinct models: the larger of 1 − (1 − a)(1 − m(n)), which takes
    both as independent, and m(n + 1), where an analyser counts as one more voice.
    """
    table = table or calibration()
    own, said = [], set()
    for hit in hits:
        if hit.by_model:
            said.add(hit.analyser)
        else:
            own.append(hit)
    if not own:
        return round(min(CONFIDENCE_MAX, table.of_models(len(said))), 3)
    analysers = table.of_analysers(combined_confidence(own))
    if not said:
        return round(min(CONFIDENCE_MAX, analysers), 3)
    both = 1 - (1 - analysers) * (1 - table.of_models(len(said)))
    return round(min(CONFIDENCE_MAX, max(both, table.of_models(len(said) + 1))), 3)


def judged(confidence: float, is_real: bool, table: Calibration | None = None) -> float:
    """The chance after a verifier's word: the odds times what such a word is worth (Bayes)."""
    table = table or calibration()
    odds = confidence / (1 - min(confidence, CONFIDENCE_MAX)) * (table.confirms if is_real else table.refutes)
    return round(min(CONFIDENCE_MAX, odds / (1 + odds)), 3)


def at(points: Points, x: float) -> float:
    """The value at x: linear between the points, level outside of them."""
    place = bisect_right(points, x, key=lambda point: point[0])
    if place == 0:
        return points[0][1]
    if place == len(points):
        return points[-1][1]
    (left, low), (right, high) = points[place - 1], points[place]
    return low + (high - low) * (x - left) / (right - left)


def _points(rows: Sequence[Sequence[float]]) -> Points:
    return tuple((float(x), float(y)) for x, y in rows)
