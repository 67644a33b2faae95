"""How long things take: quantiles of durations in which what was seen long ago counts less and less.

Values lie in buckets whose bounds grow by 8 %, so that every quantile is within 4 % of a value that was really
seen. A sample weighs 1 when it is added and half of that each half-life later. Instead of shrinking all weights
as time passes, later samples are added with a larger weight; now and then all are scaled back.
"""

import math
from bisect import bisect_left, bisect_right
from itertools import accumulate
from typing import Final

RELATIVE_ERROR: Final = 0.04
LEAST_S: Final = 0.001
MOST_S: Final = 3_600.0
HALF_LIFE_S: Final = 600.0
HALF_LIVES_UNSCALED_MAX: Final = 64.0
"""So long may increments grow before all is scaled back: 2^64 leaves a double ample room."""
WEIGHT_FORGOTTEN: Final = 1e-6
"""Below this weight (one sample, twenty half-lives ago) nothing is known any more."""
PRIOR_WEIGHT: Final = 1.0
PRIOR_SHARE: Final = 0.5


class DecayingSketch:
    """Quantiles of positive numbers, by default of durations from 1 ms to 1 h, in seconds.

    Args:
        half_life_s: after which a sample counts half.
        least, most: the range; what lies outside counts as its nearest end.
    """

    __slots__ = ("_base_s", "_gamma_log", "_half_life_s", "_least", "_most", "_sum", "_total", "_weights")

    def __init__(
        self, half_life_s: float = HALF_LIFE_S, *, least: float = LEAST_S, most: float = MOST_S
    ) -> None:
        if not (half_life_s > 0 and 0 < least < most):
            raise ValueError(f"no sketch with half-life {half_life_s} s from {least} to {most}")
        self._half_life_s = half_life_s
        self._least = least
        self._most = most
        self._gamma_log = math.log((1 + RELATIVE_ERROR) / (1 - RELATIVE_ERROR))
        self._weights = [0.0] * (math.ceil(math.log(most / least) / self._gamma_log) + 1)
        self._total = 0.0
        self._sum = 0.0
        self._base_s = 0.0

    def add(self, value_s: float, now_s: float) -> None:
        """Count one value, with weight 1 as of `now_s`.

        Raises:
            ValueError: it is not a number.
        """
        if math.isnan(value_s):
            raise ValueError("a sketch takes numbers, not NaN")
        value = min(max(value_s, self._least), self._most)
        weight = self._increment(now_s)
        self._weights[self._bucket(value)] += weight
        self._total += weight
        self._sum += weight * value

    def fade(self, weight: float, now_s: float) -> None:
        """Let all that was seen be worth no more than so many fresh samples."""
        if (known := self.weight(now_s)) > weight:
            factor = weight / known
            self._weights = [one * factor for one in self._weights]
            self._total *= factor
            self._sum *= factor

    def weight(self, now_s: float) -> float:
        """How many fresh samples all that was seen is worth."""
        return self._total * self._decay(now_s)

    def quantile(self, q: float, now_s: float) -> float:
        """The value that the share `q` (0 … 1) of the weight doesn't exceed; 0.0 when nothing is known."""
        if self.weight(now_s) < WEIGHT_FORGOTTEN:
            return 0.0
        sums = list(accumulate(self._weights))
        rank = min(max(q, 0.0), 1.0) * sums[-1]
        bucket = max(bisect_left(sums, rank), bisect_right(sums, 0.0))
        middle = self._least * math.exp(bucket * self._gamma_log) * (1 - RELATIVE_ERROR)
        return min(max(middle, self._least), self._most)

    def mean(self, now_s: float) -> float:
        """The weighted mean of the values (exact, not of buckets); 0.0 when nothing is known."""
        return self._sum / self._total if self.weight(now_s) >= WEIGHT_FORGOTTEN else 0.0

    def probability_at_most(self, value_s: float, now_s: float) -> float:
        """How likely the next value is at most `value_s`, between 0 and 1 and never quite either.

        (k + ½) / (n + 1), where n is the weight of all samples and k of those that are at most `value_s`
        (a bucket that it cuts counts in part): Jeffreys' prior of half a sample in time and half a sample
        late. Nothing seen gives ½, ten of ten 0.95; what was seen long ago fades back to ½.
        """
        within = 0.0
        if value_s >= self._most:
            within = self._total
        elif value_s >= self._least:
            place = math.log(value_s / self._least) / self._gamma_log
            bucket = self._bucket(value_s)
            part = min(max(place - (bucket - 1), 0.0), 1.0)
            within = sum(self._weights[:bucket]) + part * self._weights[bucket]
        decay = self._decay(now_s)
        # Sums of floats in another order may differ in the last bit.
        within = min(within, self._total)
        return (within * decay + PRIOR_WEIGHT * PRIOR_SHARE) / (self._total * decay + PRIOR_WEIGHT)

    def _bucket(self, value: float) -> int:
        """Bucket i holds what is above least·γ^(i−1) and at most least·γ^i."""
        place = math.ceil(math.log(value / self._least) / self._gamma_log)
        return min(max(place, 0), len(self._weights) - 1)

    def _decay(self, now_s: float) -> float:
        """What an increment of 1 that was made at the base is worth by now; a clock that went back changes
        nothing."""
        return math.exp2(-max(0.0, (now_s - self._base_s) / self._half_life_s))

    def _increment(self, now_s: float) -> float:
        if not self._total:
            self._base_s = now_s
            return 1.0
        half_lives = (now_s - self._base_s) / self._half_life_s
        if half_lives > HALF_LIVES_UNSCALED_MAX:
            self._scale_back(now_s)
            return 1.0
        return math.exp2(max(0.0, half_lives))

    def _scale_back(self, now_s: float) -> None:
        factor = self._decay(now_s)
        self._weights = [weight * factor for weight in self._weights]
        self._total = sum(self._weights)
        self._sum *= factor
        self._base_s = now_s
