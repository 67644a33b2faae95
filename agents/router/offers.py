"""Offers: the models that may be called, with what the router must know of each before it calls.

Plain values. The orchestrator makes them from the providers file, the price table and what was found and
probed on local servers; the router never reads any of these itself.
"""

import enum
from dataclasses import dataclass, field
from typing import Final

from schemas.llm import Tier

TOKENS_PER_PRICE: Final = 1_000_000
RANK_UNLISTED: Final = 1_000
SEES_UNKNOWN: Final = "was shown images, and whether it sees any is unknown"
"""From this rank on a model is called only when a request names it: the operator didn't list it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceTier:
    """Prices in nano-USD per million tokens, for requests of at least `from_input_tokens` input tokens."""

    input_nusd: int
    output_nusd: int
    cached_input_nusd: int | None = None
    from_input_tokens: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """What a model costs. The tier picked by the input's size prices the whole request.

    Attributes:
        tiers: at least one, by ascending `from_input_tokens`, the first from 0.
        per_request_nusd: added to every request.
        source, date: where the prices were read, and when (YYYY-MM-DD), for people.
    """

    tiers: tuple[PriceTier, ...]
    per_request_nusd: int = 0
    source: str = ""
    date: str = ""

    @property
    def is_free(self) -> bool:
        return not self.per_request_nusd and not any(
            tier.input_nusd or tier.output_nusd for tier in self.tiers
        )

    def cost_nusd(self, input_tokens: int, output_tokens: int, cached_tokens: int = 0) -> int:
        """The cost of one request, rounded up to a whole nano-USD.

        Args:
            input_tokens: all of the input, `cached_tokens` included.
        """
        tier = self._tier(input_tokens)
        cached_price = tier.input_nusd if tier.cached_input_nusd is None else tier.cached_input_nusd
        cached = min(cached_tokens, input_tokens)
        total = (
            (input_tokens - cached) * tier.input_nusd
            + cached * cached_price
            + output_tokens * tier.output_nusd
        )
        return self.per_request_nusd - (-total // TOKENS_PER_PRICE)

    def output_tokens_for(self, money_nusd: int, input_tokens: int) -> int:
        """How many output tokens `money_nusd` buys after the input is paid; negative when not even that is."""
        left = money_nusd - self.cost_nusd(input_tokens, 0)
        price = self._tier(input_tokens).output_nusd
        if left < 0:
            return -1
        return left * TOKENS_PER_PRICE // price if price else 1 << 40

    def _tier(self, input_tokens: int) -> PriceTier:
        return next(tier for tier in reversed(self.tiers) if input_tokens >= tier.from_input_tokens)


FREE: Final = Price(tiers=(PriceTier(input_nusd=0, output_nusd=0),), source="local", date="")


class Capability(enum.StrEnum):
    """What a model on a server can do."""

    JSON_SCHEMA = "json_schema"
    JSON_OBJECT = "json_object"
    TOOLS = "tools"
    VISION = "vision"
    STREAM_USAGE = "stream_usage"
    TEMPERATURE = "temperature"
    """Takes a temperature; some reasoning models refuse any."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """One model at one provider.

    Attributes:
        provider: the provider's name; with `model` its identity: `provider/model`.
        model: the name that the provider knows it by.
        is_local: nothing leaves this machine or network; free unless priced.
        price: None when unknown: such a model is refused for paid providers, never taken as free.
        context_tokens: input and output together.
        output_tokens_max: most output tokens that the provider takes as limit.
        can: what it can; None for what nobody knows yet (the first use tells).
        rank: place in the operator's own order (primary 0, then fallbacks); breaks ties.
        has_key: False when the provider wants a key and there is none.
        key_variable: which environment variable would hold it.
        concurrency_max: requests at once that this provider takes.
        concurrency_start: with how many to begin: all of them where somebody who knows said how many there are.
        max_tokens_field: what the limit on output tokens is called towards this provider.
    """

    provider: str
    model: str
    tier: Tier = Tier.SMALL
    is_local: bool = False
    price: Price | None = None
    context_tokens: int = 8_192
    output_tokens_max: int = 4_096
    can: dict[Capability, bool] = field(default_factory=dict)
    rank: int = 0
    has_key: bool = True
    key_variable: str = ""
    concurrency_max: int = 64
    concurrency_start: int = 8
    max_tokens_field: str = "max_tokens"

    @property
    def name(self) -> str:
        return f"{self.provider}/{self.model}"
