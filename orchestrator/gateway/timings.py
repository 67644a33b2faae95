"""How long requests took lately, for `/health`."""

from collections import deque
from dataclasses import dataclass, field
from typing import Final

KEPT_MAX: Final = 1_024
"""The newest requests that the quantiles are taken of."""


@dataclass(eq=False, slots=True)
class Timings:
    """The durations of the newest requests, and how many there were."""

    count: int = 0
    _kept_s: deque[float] = field(default_factory=lambda: deque(maxlen=KEPT_MAX))

    def add(self, took_s: float) -> None:
        self.count += 1
        self._kept_s.append(took_s)

    def quantile_s(self, share: float) -> float | None:
        """The smallest duration that `share` (0 to 1) of the newest requests did not exceed; None without any."""
        if not self._kept_s:
            return None
        ordered = sorted(self._kept_s)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
