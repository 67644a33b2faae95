"""Risk: what an uncertain utility is worth to an agent that dislikes bad surprises.

Each agent's utility under its scenarios becomes one number per outcome before anything is compared. The default, mean
minus `aversion` times the lower semideviation, never ranks a sure gain below nothing; mean minus standard deviation
does, and is not offered.
"""

import math
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from agents.negotiator.limits import RefusedError

AVERSION_DEFAULT: Final = 0.2
AVERSION_LEAST: Final = 1e-9
"""Less is none: the certainty equivalent divides by it."""
TAIL_DEFAULT: Final = 0.1
CARA_MAX: Final = 1e3

RiskKind = Literal["semideviation", "cvar", "cara"]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Risk:
    """How agents take uncertainty.

    Attributes:
        kind: `semideviation`: mean − aversion × lower semideviation, aversion from 0 to 1;
            `cvar`: (1 − aversion) × mean + aversion × mean of the worst `tail`, aversion from 0 to 1;
            `cara`: certainty equivalent under constant absolute risk aversion; `aversion` counts per range of the
            agent's utility, so that it does not depend on its unit.
        aversion: 0 is indifferent to risk: the mean.
        tail: share of worst cases that `cvar` looks at, above 0 and at most 1.
    """

    kind: RiskKind = "semideviation"
    aversion: float = AVERSION_DEFAULT
    tail: float = TAIL_DEFAULT

    def __post_init__(self) -> None:
        most = CARA_MAX if self.kind == "cara" else 1.0
        if not (math.isfinite(self.aversion) and 0 <= self.aversion <= most):
            raise RefusedError(
                f"risk aversion is {self.aversion:g}; for {self.kind} it must be from 0 to {most:g}"
            )
        if not 0 < self.tail <= 1:
            raise RefusedError(f"the tail is {self.tail:g}; it must be above 0 and at most 1")


def adjusted(samples: Floats, probabilities: Floats, risk: Risk, *, unit: float) -> Floats:
    """One number per outcome.

    Args:
        samples: (scenarios, outcomes), utilities.
        probabilities: (scenarios,), adding up to 1.
        unit: the range of the agent's utility.
    """
    mean: Floats = probabilities @ samples
    if risk.aversion < AVERSION_LEAST:
        return mean
    match risk.kind:
        case "semideviation":
            below = np.maximum(mean - samples, 0.0)
            below *= below
            return mean - risk.aversion * np.sqrt(probabilities @ below)
        case "cvar":
            return (1 - risk.aversion) * mean + risk.aversion * _worst(samples, probabilities, risk.tail)
        case "cara":
            slope = risk.aversion / unit
            least = samples.min(axis=0)
            # Shifted by the worst case, so that nothing overflows.
            certain: Floats = least - np.log1p(probabilities @ np.expm1(-slope * (samples - least))) / slope
            return certain


def _worst(samples: Floats, probabilities: Floats, tail: float) -> Floats:
    """Mean of the worst `tail` of each column; the scenario at the border counts in part."""
    order = np.argsort(samples, axis=0, kind="stable")
    ranked = np.take_along_axis(samples, order, axis=0)
    shares = probabilities[order]
    before = np.cumsum(shares, axis=0) - shares
    counted = np.clip(tail - before, 0.0, shares)
    worst: Floats = (counted * ranked).sum(axis=0) / counted.sum(axis=0)
    return worst
