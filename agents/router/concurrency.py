"""How many requests at once a provider takes, found out by trying: additive increase, multiplicative decrease.

After an outage the limit starts at one and doubles with each round of successes, so that all who waited don't
fall upon a server that has just come back.
"""

from typing import Final, Literal

LIMIT_MIN: Final = 1
START: Final = 8
DECREASE: Final = 0.7

ReleaseOutcome = Literal["ok", "overload", "other"]


class AdaptiveLimit:
    """Requests in flight to one provider, never more than `limit`.

    Args:
        maximum: the provider's own limit; never exceeded.
        start: where to begin, before anything is known.
    """

    __slots__ = ("_cut_s", "_in_flight", "_is_slow_start", "_limit", "_maximum", "_saturated")

    def __init__(self, maximum: int, start: int = START) -> None:
        if maximum < LIMIT_MIN:
            raise ValueError(f"a provider takes at least {LIMIT_MIN} request at once, not {maximum}")
        self._maximum = maximum
        self._limit = float(min(max(start, LIMIT_MIN), maximum))
        self._in_flight = 0
        # Requests that were out when the limit was last reached: their success says that it may be higher.
        self._saturated = 0
        self._is_slow_start = False
        self._cut_s = float("-inf")

    @property
    def limit(self) -> int:
        """Requests that may be in flight now."""
        return int(self._limit)

    @property
    def in_flight(self) -> int:
        return self._in_flight

    def try_acquire(self) -> bool:
        """Whether one more request may go; if so it counts until `release`."""
        if self._in_flight >= self.limit:
            self._saturated = self._in_flight
            return False
        self._in_flight += 1
        if self._in_flight >= self.limit:
            self._saturated = self._in_flight
        return True

    def release(self, outcome: ReleaseOutcome, latency_s: float, now_s: float) -> None:
        """A request is over.

        Args:
            outcome: `overload` for 429 and time-outs; `other` for what says nothing of load.
            latency_s: since it was sent.

        Raises:
            RuntimeError: nothing is in flight.
        """
        if not self._in_flight:
            raise RuntimeError("a request was released that was never acquired")
        self._in_flight -= 1
        was_bottleneck = self._saturated > 0
        self._saturated -= was_bottleneck
        if outcome == "overload":
            self._cut(sent_s=now_s - latency_s, now_s=now_s)
        elif outcome == "ok" and was_bottleneck:
            # One more for each whole round of `limit` successes; in slow start one more for each success.
            step = 1.0 if self._is_slow_start else 1.0 / self._limit
            self._limit = min(self._limit + step, float(self._maximum))

    def restart(self) -> None:
        """Begin again at one, doubling each round: the provider has just come back."""
        self._limit = float(LIMIT_MIN)
        # What is still out was sent at the old limit and says nothing of the new one.
        self._saturated = 0
        self._is_slow_start = True

    def _cut(self, sent_s: float, now_s: float) -> None:
        """Requests that were out when the limit was cut can't know of the cut: they don't cut again."""
        self._is_slow_start = False
        if sent_s >= self._cut_s:
            self._limit = max(self._limit * DECREASE, float(LIMIT_MIN))
            self._cut_s = now_s
