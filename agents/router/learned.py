"""What the router has learned of each model and provider from the calls that it made.

Kept in memory: after a restart the first calls teach it anew, starting from careful guesses.
"""

from dataclasses import dataclass, field, replace
from typing import Final

from agents.router.concurrency import AdaptiveLimit
from agents.router.correction import ANSWER_PRIOR_WEIGHT, ANSWER_TOKENS_USUAL, Correction, OutputLengths
from agents.router.hedging import hedge_delay
from agents.router.offers import Capability, Offer
from agents.router.sketch import DecayingSketch
from schemas.llm import Purpose, Usage

SIZE_CLASSES: Final = (64, 256, 1_024, 4_096)
"""Answers up to so many tokens are alike in duration; longer ones are a class of their own."""
KNOWN_WEIGHT: Final = 5.0
"""With fewer fresh samples nothing is said about how long a model takes."""
USED_WEIGHT: Final = 0.1
LENGTH_MARGIN: Final = 1.5
LENGTHS_KNOWN: Final = 10.0
MAX_TOKENS_UNKNOWN: Final = 1_024
MAX_TOKENS_LEAST: Final = 64
LONGER: Final = 1.1
"""What was given up counts as having taken so many times as long."""
GAP_S: Final = 300.0
"""What nobody has asked for so long may have recovered: it counts as unknown again, and gets another chance."""
LATE_UNKNOWN_S: Final = 2.0
FRESH_S: Final = 0.02
"""Estimates from many samples hardly change in so short a time: they aren't worked out anew for every call."""
MUCH_KNOWN: Final = 50.0
TIMINGS_MAX: Final = 256


@dataclass(frozen=True, slots=True)
class Lengths:
    """Answers in tokens.

    Attributes:
        usual_max: a limit that cuts hardly any, for callers who set none.
        least_max: the smallest limit that still makes sense when money is short.
        expected: what an answer usually has.
    """

    usual_max: int
    least_max: int
    expected: int


@dataclass(eq=False, slots=True)
class ModelLearned:
    """One model's history."""

    offer: Offer
    latency: DecayingSketch = field(default_factory=DecayingSketch)
    first: DecayingSketch = field(default_factory=DecayingSketch)
    by_size: dict[int, DecayingSketch] = field(default_factory=dict)
    correction: Correction = field(default_factory=Correction)
    lengths: dict[Purpose, OutputLengths] = field(default_factory=dict)
    pool: dict[Purpose, OutputLengths] = field(default_factory=dict)
    """Lengths of all models' answers."""
    can: dict[Capability, bool] = field(default_factory=dict)
    _seen_s: float = 0.0
    _lengths: dict[Purpose, tuple[float, Lengths]] = field(default_factory=dict)
    _timings: dict[tuple[int, float], tuple[float, tuple[float, float]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.can = dict(self.offer.can)

    def answered(self, latency_s: float, first_s: float, output_tokens: int, now_s: float) -> None:
        """Learn from an answer's duration."""
        self._add(latency_s, output_tokens, now_s)
        if first_s:
            self.first.add(first_s, now_s)

    def _add(self, latency_s: float, output_tokens: int, now_s: float) -> None:
        by_size = self.by_size.setdefault(size_class(output_tokens), DecayingSketch())
        if self._is_stale(now_s):
            for sketch in (self.latency, self.first, *self.by_size.values()):
                sketch.fade(1.0, now_s)
        self._seen_s = now_s
        self.latency.add(latency_s, now_s)
        by_size.add(latency_s, now_s)

    def _is_stale(self, now_s: float) -> bool:
        return now_s > self._seen_s + GAP_S

    def billed(self, purpose: Purpose, counted: int, usage: Usage, *, was_cut: bool, now_s: float) -> None:
        """Learn from a bill."""
        self.correction.observe(counted, usage.input_tokens, now_s)
        if not was_cut:
            for lengths in (self.lengths, self.pool):
                lengths.setdefault(purpose, OutputLengths()).observe(usage.output_tokens, now_s)

    def took_longer_than(
        self, elapsed_s: float, output_tokens: int, now_s: float, *, is_stream: bool = False
    ) -> None:
        """Learn from a request that was given up: its answer (its first token, of a stream) would have taken
        longer. Without this a model that always loses to its hedge, or to deadlines, would look as quick as its
        last answer in time."""
        longer_s = elapsed_s * LONGER
        if longer_s > self.median_s(output_tokens, now_s):
            self._add(longer_s, output_tokens, now_s)
        if is_stream:
            self.first.add(longer_s, now_s)

    def is_late(self, elapsed_s: float, now_s: float) -> bool:
        """Whether a request that got no answer in so long says something of the model, not of a short deadline."""
        if self.latency.weight(now_s) < KNOWN_WEIGHT:
            return elapsed_s >= LATE_UNKNOWN_S
        return elapsed_s >= self.latency.quantile(0.95, now_s)

    def lengths_of(self, purpose: Purpose, now_s: float) -> "Lengths":
        """How long answers for this purpose are."""
        cached = self._lengths.get(purpose)
        if cached is not None and cached[0] <= now_s < cached[0] + FRESH_S:
            return cached[1]
        known = self.lengths.get(purpose) or OutputLengths()
        weight = known.weight(now_s)
        lengths = Lengths(MAX_TOKENS_UNKNOWN, MAX_TOKENS_LEAST, self._expected(known, purpose, now_s))
        if weight >= LENGTHS_KNOWN:
            lengths = replace(
                lengths,
                usual_max=max(MAX_TOKENS_LEAST, round(known.quantile(0.99, now_s) * LENGTH_MARGIN)),
                least_max=max(1, round(known.quantile(0.9, now_s))),
            )
            self._lengths[purpose] = (now_s, lengths)
        return lengths

    def _expected(self, known: OutputLengths, purpose: Purpose, now_s: float) -> int:
        """Of a model that hardly answered yet, answers as long as those of all models: with a guess of its own
        an unknown model would look dearer than one that is known to answer briefly, and never be tried."""
        expected = known.expected(now_s)
        if (others := self.pool.get(purpose)) is not None:
            prior = ANSWER_PRIOR_WEIGHT / (known.weight(now_s) + ANSWER_PRIOR_WEIGHT)
            expected += prior * (others.expected(now_s) - ANSWER_TOKENS_USUAL)
        return max(1, round(expected))

    def timing(self, within_s: float, output_tokens: int, now_s: float) -> tuple[float | None, float]:
        """As `p_in_time` and `median_s` together, for decisions: some milliseconds old when much is known."""
        sketch = self._sketch(output_tokens, now_s)
        if sketch is None:
            return None, 0.0
        key = (size_class(output_tokens), round(within_s, 2))
        cached = self._timings.get(key)
        if cached is not None and cached[0] <= now_s < cached[0] + FRESH_S:
            return cached[1]
        timing = sketch.probability_at_most(within_s, now_s), sketch.quantile(0.5, now_s)
        if sketch.weight(now_s) >= MUCH_KNOWN:
            if len(self._timings) >= TIMINGS_MAX:
                self._timings.clear()
            self._timings[key] = (now_s, timing)
        return timing

    def p_in_time(self, left_s: float, output_tokens: int, now_s: float) -> float | None:
        """How likely an answer of about so many tokens comes within `left_s`; None when too little is known."""
        sketch = self._sketch(output_tokens, now_s)
        return None if sketch is None else sketch.probability_at_most(left_s, now_s)

    def median_s(self, output_tokens: int, now_s: float) -> float:
        """The usual duration of such an answer; 0 when nothing is known."""
        sketch = self._sketch(output_tokens, now_s)
        return 0.0 if sketch is None else sketch.quantile(0.5, now_s)

    def was_used(self, now_s: float) -> bool:
        """Whether it answered within the last half hour or so."""
        return self.latency.weight(now_s) > USED_WEIGHT

    def hedge_delay_s(self, *, is_stream: bool, output_tokens: int, now_s: float) -> float | None:
        """When a second request is due: at the 95th percentile of the time to the first token, or to the whole."""
        if is_stream:
            return hedge_delay(self.first, now_s)
        sketch = self.by_size.get(size_class(output_tokens))
        delay = hedge_delay(sketch, now_s) if sketch else None
        return hedge_delay(self.latency, now_s) if delay is None else delay

    def usually_within_s(self, output_tokens: int, now_s: float) -> float | None:
        """The 95th percentile of such an answer's duration; None when too little is known."""
        sketch = self._sketch(output_tokens, now_s)
        return None if sketch is None else sketch.quantile(0.95, now_s)

    def _sketch(self, output_tokens: int, now_s: float) -> DecayingSketch | None:
        if self._is_stale(now_s):
            return None
        for sketch in (self.by_size.get(size_class(output_tokens)), self.latency):
            if sketch is not None and sketch.weight(now_s) >= KNOWN_WEIGHT:
                return sketch
        return None


def size_class(output_tokens: int) -> int:
    """The class of answers of so many tokens: the largest that it holds."""
    return next((most for most in SIZE_CLASSES if output_tokens <= most), 1 << 30)


class Learned:
    """All models' histories and all providers' limits, by name."""

    def __init__(self) -> None:
        self._models: dict[str, ModelLearned] = {}
        self._pool: dict[Purpose, OutputLengths] = {}
        self._limits: dict[str, AdaptiveLimit] = {}

    def model(self, offer: Offer) -> ModelLearned:
        known = self._models.get(offer.name)
        if known is None:
            known = self._models[offer.name] = ModelLearned(offer, pool=self._pool)
        return known

    def limit(self, offer: Offer) -> AdaptiveLimit:
        known = self._limits.get(offer.provider)
        if known is None:
            known = self._limits[offer.provider] = AdaptiveLimit(
                offer.concurrency_max, start=offer.concurrency_start
            )
        return known

    def restart(self, provider: str) -> None:
        """Begin anew with one request at a time: the provider is just coming back."""
        if (known := self._limits.get(provider)) is not None:
            known.restart()
