"""Hedges: a second request to another model when the first is slower than usual, for a few calls in a hundred."""

import math
from typing import Final

from agents.router.sketch import RELATIVE_ERROR, DecayingSketch

RATIO_MAX: Final = 0.05
WINDOW_HALF_LIFE_S: Final = 600.0
DELAY_QUANTILE: Final = 0.95
SAMPLES_MIN: Final = 20.0
"""With fewer, the slowest of a handful would pass for the 95th percentile."""


class HedgeBudget:
    """Room for hedges: each call earns `ratio_max`, each hedge spends 1, and what isn't used fades.

    So hedges are never more than `ratio_max` of all calls, nor can a quiet night save up for a storm of them in
    the morning, when everything is slow and hedges do the most harm.

    Args:
        ratio_max: hedges for each call, 0 … 1.
        half_life_s: after which half of the room that nobody used is gone.
    """

    __slots__ = ("_at_s", "_half_life_s", "_ratio_max", "_room")

    def __init__(self, ratio_max: float = RATIO_MAX, half_life_s: float = WINDOW_HALF_LIFE_S) -> None:
        if not (0 <= ratio_max <= 1 and half_life_s > 0):
            raise ValueError(f"no hedge budget of {ratio_max} for each call over {half_life_s} s")
        self._ratio_max = ratio_max
        self._half_life_s = half_life_s
        self._room = 0.0
        self._at_s = 0.0

    def called(self, now_s: float) -> None:
        """A call (not a hedge) was made."""
        self._room = self._room_at(now_s) + self._ratio_max
        self._at_s = max(self._at_s, now_s)

    def may_hedge(self, now_s: float) -> bool:
        # Twenty times 0.05 is a hair below 1 in floats.
        return self._room_at(now_s) >= 1.0 - 1e-9

    def hedged(self, now_s: float) -> None:
        """A hedge was sent; ask `may_hedge` first."""
        self._room = self._room_at(now_s) - 1.0
        self._at_s = max(self._at_s, now_s)

    def _room_at(self, now_s: float) -> float:
        # Debt doesn't fade: whoever hedges without asking must earn it back.
        if self._room <= 0:
            return self._room
        return self._room * math.exp2(-max(0.0, now_s - self._at_s) / self._half_life_s)


def hedge_delay(sketch: DecayingSketch, now_s: float) -> float | None:
    """Seconds to wait for the first request before hedging: the learned 95th percentile of the time to its
    first token or whole answer; None while too little is known."""
    if sketch.weight(now_s) < SAMPLES_MIN:
        return None
    # The upper end of the quantile's bucket: at its middle, half of what is usual in it would be hedged too.
    return sketch.quantile(DELAY_QUANTILE, now_s) * (1 + RELATIVE_ERROR)
