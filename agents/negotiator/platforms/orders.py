"""Exact money: what a platform is promised for its part of the budget, and the most that it is paid for it.

All in integer nano-USD. What is paid is rounded up, and never more than the part; the parts never more than the budget.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from agents.negotiator.limits import RefusedError
from agents.negotiator.platforms.card import Card, card_of
from agents.negotiator.platforms.posteriors import ctr_of, cvr_of
from agents.negotiator.platforms.pricing import PRICINGS, Pricing, Terms, read_terms
from schemas.deal import Deal
from schemas.llm import NUSD_PER_USD
from schemas.negotiation import HOUSE, Payment

TERMS: Final = "terms"
"""The issue about money."""
PER_MILLE: Final = 1_000
WHOLE: Final = 100
"""Percent of the budget."""

_UNITS: Final = {
    Pricing.CPM: "impressions",
    Pricing.CPC: "clicks",
    Pricing.CPA: "conversions",
    Pricing.FLAT: "packages",
    Pricing.SHARE: "impressions",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What one platform is promised.

    Attributes:
        pricing: the model that it is paid by; never `OWN`.
        price_nusd: for 1,000 impressions, a click, a conversion or a package; of a revenue share, for a conversion.
        volume: in whole impressions, clicks, conversions or packages.
        most_nusd: that it is paid.
    """

    pricing: Pricing
    price_nusd: int
    volume: int
    most_nusd: int


def order_of(
    card: Card, pricing: Pricing, discount: int, share: int, *, value_usd: float, budget_nusd: int
) -> Order | None:
    """What `card`'s platform is promised for `share` percent of the budget; None if it doesn't take the model.

    Args:
        discount: on the card's rate, in percent.
        value_usd: what a conversion is worth to us, of which a revenue share is a part.
    """
    pricing = card.own if pricing is Pricing.OWN else pricing
    rate = card.rate(pricing)
    if rate is None:
        return None
    part = budget_nusd * share // 100
    whole = rate * value_usd if pricing is Pricing.SHARE else rate
    price = max(1, -(-round(whole * NUSD_PER_USD) * (100 - discount) // 100))
    volume, most = _bought(card, pricing, part, price)
    return Order(pricing=pricing, price_nusd=price, volume=volume, most_nusd=most)


def _bought(card: Card, pricing: Pricing, part: int, price: int) -> tuple[int, int]:
    """How much of it `part` buys, bounded by what the platform can deliver, and what that costs at most."""
    ctr, cvr = ctr_of(card.evidence).mean, cvr_of(card.evidence).mean
    match pricing:
        case Pricing.CPM:
            volume = min(part * PER_MILLE // price, card.inventory)
            return volume, -(-volume * price // PER_MILLE)
        case Pricing.CPC:
            volume = min(part // price, int(card.inventory * ctr))
        case Pricing.CPA:
            volume = min(part // price, int(card.inventory * ctr * cvr))
        case Pricing.FLAT:
            package = card.rates.flat.impressions if card.rates.flat else 1
            volume = min(part // price, card.inventory // package)
        case _:
            # As many impressions as are expected to bring what the part pays for. More may come of them: then it
            # is paid up to its part.
            wanted = part / price / (ctr * cvr)
            volume = min(int(wanted), card.inventory)
            return volume, part if volume else 0
    return volume, volume * price


def orders_of(terms: Terms, cards: Mapping[str, Card], budget_nusd: int) -> dict[str, Order]:
    """By platform with a part of the budget, what it is promised.

    Raises:
        RefusedError: a platform has no card, or doesn't take the model.
    """
    value = value_of(cards)
    orders = {}
    for name, share in terms.split:
        card = card_of(cards, name)
        order = order_of(card, terms.pricing, terms.discount, share, value_usd=value, budget_nusd=budget_nusd)
        if order is None:
            raise RefusedError(f"{name} doesn't take {terms.pricing}; its card has no rate for it")
        orders[name] = order
    return orders


def campaign_nusd(card: Card, cards: Mapping[str, Card], platforms: Sequence[str], budget_nusd: int) -> int:
    """How much of the budget can come to a platform at all, or to all of them for our own card: what formats and head
    starts are worth counts for so much money."""
    value = value_of(cards)
    names = platforms if card.kind == "house" else (card.name,)
    total = 0
    for name in names:
        orders = (
            order_of(card_of(cards, name), pricing, 0, WHOLE, value_usd=value, budget_nusd=budget_nusd)
            for pricing in PRICINGS
        )
        total += max((order.most_nusd for order in orders if order is not None), default=0)
    return min(budget_nusd, total)


def value_of(cards: Mapping[str, Card]) -> float:
    """What a conversion is worth to us, in US dollars.

    Raises:
        RefusedError: our own card is missing.
    """
    house = card_of(cards, HOUSE)
    if house.value_per_conversion_usd is None:
        raise RefusedError(f"the card of {HOUSE!r} is not of kind house: value_per_conversion_usd is missing")
    return house.value_per_conversion_usd


def terms_in(deal: Deal) -> Terms:
    """The terms of a deal.

    Raises:
        RefusedError: it has none that can be read.
    """
    terms = read_terms(deal.get(TERMS, ""))
    if terms is None:
        raise RefusedError(
            f"{deal.get(TERMS, 'nothing')[:80]!r} are no terms: pricing model, discount and split"
        )
    return terms


def payments_of(deal: Deal, cards: Mapping[str, Card], budget_nusd: int) -> tuple[Payment, ...]:
    """Who is paid how, how much at most, and for what; those who are paid nothing are left out.

    Raises:
        RefusedError: the deal names no terms, or some that a card doesn't have.
    """
    terms = terms_in(deal)
    return tuple(
        Payment(
            platform=name,
            terms=terms_text(card_of(cards, name), order.pricing, terms.discount),
            most_nusd=order.most_nusd,
            volume=volume_text(order),
        )
        for name, order in orders_of(terms, cards, budget_nusd).items()
        if order.most_nusd > 0
    )


def terms_text(card: Card, pricing: Pricing, discount: int = 0) -> str:
    """Such as `CPM $6.50 less 5 %`."""
    less = f" less {discount} %" if discount else ""
    rate = card.rate(pricing)
    if rate is None:
        return f"no {pricing}"
    if pricing is Pricing.SHARE:
        return f"revenue share {percent(rate)} of what conversions are worth{less}"
    flat = card.rates.flat
    package = f" for {flat.impressions:,} impressions" if pricing is Pricing.FLAT and flat else ""
    return f"{pricing} {usd(rate)}{package}{less}"


def volume_text(order: Order) -> str:
    """Such as `153,846 impressions`."""
    unit = _UNITS[order.pricing]
    return f"{order.volume:,} {unit if order.volume != 1 else unit.removesuffix('s')}"


def usd(amount: float) -> str:
    """A price: in cents, or as many digits as a small one needs."""
    if amount >= 0.01 and abs(round(amount, 2) - amount) < 1e-9 * max(1.0, amount):
        return f"${amount:,.2f}"
    return f"${amount:,.4f}" if amount >= 0.01 else f"${amount:.4g}"


def percent(share: float) -> str:
    """Such as `1.2 %`."""
    return f"{100 * share:.3g} %"
