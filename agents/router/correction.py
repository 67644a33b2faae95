"""Learned per model: how many tokens are billed for each that we counted, and how long answers are."""

import math
from collections import deque
from typing import Final

from agents.router.sketch import DecayingSketch
from schemas.llm import OUTPUT_TOKENS_MAX

SAMPLES_MIN: Final = 3
SAMPLES_MAX: Final = 64
MEMORY_S: Final = 7 * 86_400.0
"""Providers change models behind a name; what was learned before counts no longer."""
MARGIN: Final = 0.05
MARGIN_OF_ONE_SAMPLE: Final = 0.5
"""Divided by the number of samples: the largest of three is a poor guess of the largest to come."""
MARGIN_TOKENS: Final = 8
COUNTED_MIN: Final = 64
"""Smaller prompts count as this many: what a chat template adds would look like a huge ratio."""
RATIO_MAX: Final = 1_000.0
SIZES: Final = (COUNTED_MIN, 512)
"""Prompts below, between and above so many counted tokens are learned apart."""

ANSWER_TOKENS_USUAL: Final = 300.0
ANSWER_PRIOR_WEIGHT: Final = 3.0
ANSWER_HALF_LIFE_S: Final = 6 * 3_600.0


class Correction:
    """Billed tokens for each counted one, so high that money reserved by it is rarely exceeded.

    The largest of the last `SAMPLES_MAX` ratios, and a margin. So it jumps up with the first bill that is larger
    than expected, and comes down only when that many more bills stayed below: one in 65 at most exceeds it even
    without the margin, as long as bills come from one distribution. Prompts of other sizes are another one: what
    short prompts teach is not believed of long ones, for which the bound stands until they teach themselves.
    """

    __slots__ = ("_by_size",)

    def __init__(self) -> None:
        self._by_size = tuple(_Ratios() for _ in range(len(SIZES) + 1))

    def observe(self, counted: int, billed: int, now_s: float) -> None:
        """Learn from one bill. Without tokens on it, it says nothing (some servers always bill 0)."""
        if counted > 0 and billed > 0:
            self._by_size[_size(counted)].add(min(billed / max(counted, COUNTED_MIN), RATIO_MAX), now_s)

    def factor(self, now_s: float, counted: int = SIZES[-1]) -> float | None:
        """What to multiply counted tokens by (at least `COUNTED_MIN` of them), for prompts of the size of `counted`;
        None before `SAMPLES_MIN` bills."""
        return self._by_size[_size(counted)].factor(now_s)

    def corrected(self, counted: int, bound: int, now_s: float) -> int:
        """Tokens to reserve money for: the bound until something is learned, then what bills say, be it more."""
        return self.corrected_by(self.factor(now_s, counted), counted, bound)

    @staticmethod
    def corrected_by(factor: float | None, counted: int, bound: int) -> int:
        """As `corrected`, by a factor that was asked for before. Never less than what was counted: a provider that
        bills little for one prompt may bill another in full."""
        if factor is None:
            return bound
        return max(math.ceil(max(counted, COUNTED_MIN) * factor), counted) + MARGIN_TOKENS


def _size(counted: int) -> int:
    return sum(counted >= size for size in SIZES)


class _Ratios:
    """The last ratios of billed to counted tokens of prompts of one size."""

    __slots__ = ("_known", "_ratios")

    def __init__(self) -> None:
        self._ratios: deque[tuple[float, float]] = deque(maxlen=SAMPLES_MAX)
        self._known: tuple[float, float, float | None] | None = None
        """The factor, and from when until when it stands without another bill."""

    def add(self, ratio: float, now_s: float) -> None:
        self._ratios.append((now_s, ratio))
        self._known = None

    def factor(self, now_s: float) -> float | None:
        if self._known is not None and self._known[0] <= now_s <= self._known[1]:
            return self._known[2]
        oldest_s = now_s - MEMORY_S
        fresh = [(at_s, ratio) for at_s, ratio in self._ratios if at_s >= oldest_s]
        factor = None
        if len(fresh) >= SAMPLES_MIN:
            largest = max(ratio for _, ratio in fresh)
            factor = largest * (1 + MARGIN + MARGIN_OF_ONE_SAMPLE / len(fresh))
        forgets_s = min((at_s for at_s, _ in fresh), default=now_s) + MEMORY_S
        self._known = (now_s, forgets_s, factor)
        return factor


class OutputLengths:
    """How many tokens answers have, for one purpose: to estimate a call's cost and to choose `max_tokens`.

    Args:
        usual: what to expect before anything is known; fades with a few answers.
    """

    __slots__ = ("_sketch", "_usual")

    def __init__(self, usual: float = ANSWER_TOKENS_USUAL, half_life_s: float = ANSWER_HALF_LIFE_S) -> None:
        self._usual = usual
        self._sketch = DecayingSketch(half_life_s, least=1.0, most=float(OUTPUT_TOKENS_MAX))

    def observe(self, tokens: int, now_s: float) -> None:
        """Learn from one whole answer. One cut at its limit would teach the limit: leave those out."""
        if tokens > 0:
            self._sketch.add(float(tokens), now_s)

    def expected(self, now_s: float) -> float:
        """Mean length in tokens; `usual` weighs as much as three answers."""
        weight = self._sketch.weight(now_s)
        known = self._sketch.mean(now_s) * weight
        return (known + self._usual * ANSWER_PRIOR_WEIGHT) / (weight + ANSWER_PRIOR_WEIGHT)

    def quantile(self, q: float, now_s: float) -> float:
        """Length that the share `q` of answers doesn't exceed, within 4 %; 0.0 when nothing is known."""
        return self._sketch.quantile(q, now_s)

    def weight(self, now_s: float) -> float:
        """How many fresh answers all that was seen is worth."""
        return self._sketch.weight(now_s)
