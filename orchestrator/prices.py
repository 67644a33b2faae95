"""What models cost, from the table that the genai-prices package carries: read once at start, with no network.

Its tiers price a whole request by the size of its input, as ours do, and begin above their `start`. Where a price
depends on what we don't know beforehand, the dearest counts, so that money is never held too short:
- by time of day: the dearest hour (DeepSeek's nights are cheaper);
- input that the provider writes into its cache by itself: the price of writing.
"""

import datetime
from collections.abc import Iterable, Iterator
from decimal import ROUND_CEILING, Decimal
from typing import TYPE_CHECKING, Any, Final

from agents.router.offers import Price, PriceTier
from schemas.llm import NUSD_PER_USD

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo, ModelPrice, TieredPrices

REQUESTS_PER_PRICE: Final = 1_000
TIERS_MAX: Final = 64

INPUT: Final = ("input_mtok", "cache_write_mtok")
OUTPUT: Final = ("output_mtok", "output_reasoning_mtok")
CACHED: Final = "cache_read_mtok"
CACHES_ON_REQUEST: Final = frozenset(("anthropic",))
"""Providers that write into their cache, and bill it, only when a request asks for it. Ours never do."""


def price_of(
    provider: str, model: str, *, base_url: str = "", now: datetime.datetime | None = None
) -> Price | None:
    """The price of a model, in nano-USD per million tokens; None when the table has none for its text.

    The first call takes half a second, to load the table; it holds until the process ends.

    Args:
        provider: its name in the table; empty looks for `base_url`.
        now: the prices of which moment, in UTC; None takes the present.
    """
    from importlib.metadata import version

    table, row = _find(provider, model, base_url)
    if row is None:
        return None
    moment = now or datetime.datetime.now(datetime.UTC)
    prices = [row.get_prices(at) for at in _moments(row, moment)]
    inputs = INPUT[:1] if table in CACHES_ON_REQUEST else INPUT
    starts = sorted({0, *(start for price in prices for start in _starts(price, (*INPUT, *OUTPUT, CACHED)))})
    if len(starts) > TIERS_MAX:
        return None
    tiers = tuple(tier for start in starts if (tier := _tier(prices, start, inputs)) is not None)
    if len(tiers) != len(starts):
        return None
    per_request = _dearest(prices, ("requests_kcount",), 0) or Decimal(0)
    return Price(
        tiers=tiers,
        per_request_nusd=_nusd(per_request / REQUESTS_PER_PRICE),
        source=f"genai-prices {version('genai_prices')}",
        date=moment.date().isoformat(),
    )


def _find(provider: str, model: str, base_url: str) -> "tuple[str, ModelInfo | None]":
    import re

    from genai_prices.data_snapshot import get_snapshot

    providers = get_snapshot().providers
    if provider:
        known = next((one for one in providers if one.id == provider), None)
    else:
        # Some of the table's patterns want a slash behind the host.
        known = next(
            (one for one in providers if re.match(one.api_pattern, f"{base_url.rstrip('/')}/")), None
        )
    return ("", None) if known is None else (known.id, known.find_model(model, all_providers=providers))


def _moments(model: "ModelInfo", now: datetime.datetime) -> Iterator[datetime.datetime]:
    """`now`, and begin and end of every time of day for which the model has a price of its own."""
    yield now
    for price in model.prices if isinstance(model.prices, list) else ():
        start: datetime.time | None = getattr(price.constraint, "start_time", None)
        end: datetime.time | None = getattr(price.constraint, "end_time", None)
        for time in (start, end):
            if time is not None:
                yield datetime.datetime.combine(
                    now.date(), time.replace(tzinfo=None), time.tzinfo or datetime.UTC
                )


def _starts(price: "ModelPrice", keys: Iterable[str]) -> Iterator[int]:
    for key in keys:
        tiered: Decimal | TieredPrices | None = getattr(price, key)
        for tier in getattr(tiered, "tiers", ()):
            yield tier.start + 1


def _tier(prices: "list[ModelPrice]", start: int, inputs: Iterable[str]) -> PriceTier | None:
    input_price = _dearest(prices, inputs, start)
    output_price = _dearest(prices, OUTPUT, start)
    if input_price is None or output_price is None:
        return None
    cached_price = _dearest(prices, (CACHED,), start)
    return PriceTier(
        input_nusd=_nusd(input_price),
        output_nusd=_nusd(output_price),
        cached_input_nusd=None if cached_price is None else _nusd(cached_price),
        from_input_tokens=start,
    )


def _dearest(prices: "list[ModelPrice]", keys: Iterable[str], input_tokens: int) -> Decimal | None:
    """The largest of some prices for a request with so many input tokens; None when the first is missing."""
    first, *others = [[_at(getattr(price, key), input_tokens) for price in prices] for key in keys]
    if any(value is None for value in first):
        return None
    return max(value for values in (first, *others) for value in values if value is not None)


def _at(price: Any, input_tokens: int) -> Decimal | None:
    if price is None or isinstance(price, Decimal):
        return price
    above = [tier.price for tier in price.tiers if input_tokens > tier.start]
    return Decimal(above[-1] if above else price.base)


def _nusd(dollars: Decimal) -> int:
    return int((dollars * NUSD_PER_USD).to_integral_value(ROUND_CEILING))
