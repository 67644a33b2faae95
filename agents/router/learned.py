"""What the router has learned of each model and provider from the calls that it made.

Kept in memory: after a restart the first calls teach it anew, starting from careful guesses.
"""

from dataclasses import dataclass, field
from typing import Final

from agents.router.concurrency import AdaptiveLimit
from agents.router.correction import Correction, OutputLengths
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


@dataclass(eq=False, slots=True)
class ModelLearned:
    """One model's history."""

    offer: Offer
    latency: DecayingSketch = field(default_factory=DecayingSketch)
    first: DecayingSketch = field(default_factory=DecayingSketch)
    by_size: dict[int, DecayingSketch] = field(default_factory=dict)
    correction: Correction = field(default_factory=Correction)
    lengths: dict[Purpose, OutputLengths] = field(default_factory=dict)
    can: dict[Capability, bool] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.can = dict(self.offer.can)

    def answered(self, latency_s: float, first_s: float, output_tokens: int, now_s: float) -> None:
        """Learn from an answer's duration."""
        self.latency.add(latency_s, now_s)
        if first_s:
            self.first.add(first_s, now_s)
        self.by_size.setdefault(size_class(output_tokens), DecayingSketch()).add(latency_s, now_s)

    def billed(self, purpose: Purpose, counted: int, usage: Usage, *, was_cut: bool, now_s: float) -> None:
        """Learn from a bill."""
        self.correction.observe(counted, usage.input_tokens, now_s)
        if not was_cut:
            self.lengths.setdefault(purpose, OutputLengths()).observe(usage.output_tokens, now_s)

    def expected_output(self, purpose: Purpose, max_tokens: int, now_s: float) -> int:
        """Tokens that an answer usually has, never more than its limit."""
        lengths = self.lengths.get(purpose)
        return min(max_tokens, round((lengths or OutputLengths()).expected(now_s)))

    def usual_max_tokens(self, purpose: Purpose, now_s: float) -> int:
        """A limit on the answer that cuts hardly any, for callers who set none."""
        lengths = self.lengths.get(purpose)
        if lengths is None or lengths.weight(now_s) < LENGTHS_KNOWN:
            return MAX_TOKENS_UNKNOWN
        return max(MAX_TOKENS_LEAST, round(lengths.quantile(0.99, now_s) * LENGTH_MARGIN))

    def least_max_tokens(self, purpose: Purpose, now_s: float) -> int:
        """The smallest limit on the answer that still makes sense when money is short."""
        lengths = self.lengths.get(purpose)
        if lengths is None or lengths.weight(now_s) < LENGTHS_KNOWN:
            return MAX_TOKENS_LEAST
        return max(1, round(lengths.quantile(0.9, now_s)))

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

    def _sketch(self, output_tokens: int, now_s: float) -> DecayingSketch | None:
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
        self._limits: dict[str, AdaptiveLimit] = {}

    def model(self, offer: Offer) -> ModelLearned:
        known = self._models.get(offer.name)
        if known is None:
            known = self._models[offer.name] = ModelLearned(offer)
        return known

    def limit(self, offer: Offer) -> AdaptiveLimit:
        known = self._limits.get(offer.provider)
        if known is None:
            known = self._limits[offer.provider] = AdaptiveLimit(offer.concurrency_max)
        return known
