"""What a search for the best by one aim found."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Choices = NDArray[np.int32]

CLOSED: Final = 1e-9
"""Of the value: a bound that is closer is the value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """Outcomes that may be the best.

    Attributes:
        choices: (K, issues), the index of each issue's value.
        best: the largest aim among them, −inf if there are none.
        bound: no outcome's aim is above.
    """

    choices: Choices
    best: float
    bound: float


def is_closed(best: float, bound: float, within: float = CLOSED) -> bool:
    """Whether the best is proven to be the best; infinite ones are not, unless the bound says that there is none."""
    if not np.isfinite(best):
        return bound <= best
    return bound <= best + within * max(1.0, abs(best))
