"""What a deal brings everybody: intervals by Monte Carlo, with all deals judged in the same worlds.

A world is a click and a conversion rate of each platform, drawn from their posteriors. `expected` spreads over worlds
alone; `realised` adds the chance of what happens in each: conversions of the impressions shown (Poisson, which at rates
this small is the binomial), impressions needed for the clicks or conversions promised (Gamma), conversions of clicks
(binomial). Deals of one model share that chance too: a larger order contains the smaller one, so that differences
between deals are not noise.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from agents.negotiator.platforms.card import Card, card_of
from agents.negotiator.platforms.economics import Result, expected
from agents.negotiator.platforms.issues import FORMAT, HEAD_START
from agents.negotiator.platforms.orders import Order, campaign_nusd, orders_of, terms_in, value_of
from agents.negotiator.platforms.positions import WORTH_PER_USD, head_start_worth
from agents.negotiator.platforms.posteriors import RATE_LEAST, Rates, draws_of
from agents.negotiator.platforms.pricing import Pricing
from schemas.deal import Deal
from schemas.llm import NUSD_PER_USD
from schemas.negotiation import HOUSE, Interval, Option, Revenue

DRAWS: Final = 10_000
LEVEL: Final = 0.95
DEALS_MAX: Final = 32
CENT_PARTS: Final = 1e-6
"""US dollars: smaller gains are rounding."""

Floats = NDArray[np.float64]


def seed_of(task_id: str) -> int:
    """The same worlds for the same task, after a crash too."""
    return int.from_bytes(hashlib.sha256(task_id.encode()).digest()[:8], "big")


@dataclass(frozen=True, slots=True, kw_only=True)
class Gains:
    """Of one deal, by party, in US dollars: in the mean of each world, and as it turns out; (draws,) each."""

    expected: Mapping[str, Floats]
    realised: Mapping[str, Floats]


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A deal with what it brings.

    Attributes:
        revenue: by party.
        options: the other deals, by how we ourselves would fare.
        confidence: how likely everybody for whom anything is at stake is to gain by it.
    """

    revenue: dict[str, Revenue]
    options: tuple[Option, ...]
    confidence: float


def judge(
    deal: Deal,
    others: Mapping[str, Deal],
    *,
    cards: Mapping[str, Card],
    platforms: Sequence[str],
    budget_nusd: int,
    task_id: str,
    draws: int = DRAWS,
) -> Judged:
    """What the deal brings each party, beside other deals by name.

    Args:
        platforms: those that take part; of others nothing is said.

    Raises:
        RefusedError: a deal names terms that a card doesn't have, or a platform has no card.
    """
    deals = [deal, *list(others.values())[: DEALS_MAX - 1]]
    gains = gains_of(
        deals, cards=cards, platforms=platforms, budget_nusd=budget_nusd, seed=seed_of(task_id), draws=draws
    )
    chosen = gains[0]
    revenue = {party: _revenue(chosen, party) for party in chosen.expected}
    return Judged(
        revenue=revenue,
        options=tuple(
            _option(name, other, found, chosen)
            for (name, other), found in zip(others.items(), gains[1:], strict=False)
        ),
        confidence=_confidence(chosen),
    )


def revenue_of(
    deal: Deal,
    *,
    cards: Mapping[str, Card],
    platforms: Sequence[str],
    budget_nusd: int,
    task_id: str,
    draws: int = DRAWS,
) -> dict[str, Revenue]:
    """What the deal brings each party.

    Raises:
        RefusedError: as of `judge`.
    """
    judged = judge(
        deal, {}, cards=cards, platforms=platforms, budget_nusd=budget_nusd, task_id=task_id, draws=draws
    )
    return judged.revenue


def gains_of(
    deals: Sequence[Deal],
    *,
    cards: Mapping[str, Card],
    platforms: Sequence[str],
    budget_nusd: int,
    seed: int,
    draws: int = DRAWS,
) -> list[Gains]:
    """What every party gains by each deal, in the same worlds.

    Raises:
        RefusedError: as of `judge`.
    """
    value = value_of(cards)
    parties = (HOUSE, *platforms)
    ordered = [orders_of(terms_in(deal), cards, budget_nusd) for deal in deals]
    counts = {
        name: campaign_nusd(card_of(cards, name), cards, platforms, budget_nusd) / NUSD_PER_USD
        for name in parties
    }
    fixed = [
        {
            name: _fixed_worth(card_of(cards, name), deal, counts[name]) if _has_part(name, orders) else 0.0
            for name in parties
        }
        for deal, orders in zip(deals, ordered, strict=True)
    ]
    mean = [{name: np.full(draws, worth[name]) for name in parties} for worth in fixed]
    real = [{name: np.full(draws, worth[name]) for name in parties} for worth in fixed]
    names = sorted({name for orders in ordered for name in orders})
    for name in names:
        card = card_of(cards, name)
        # Of its own, by name: so that a platform's worlds don't depend on who else takes part.
        generator = np.random.default_rng((seed, int.from_bytes(name.encode(), "big")))
        rates = draws_of(card.evidence, draws, generator)
        for number, (thought, happened) in _results(card, name, ordered, rates, generator).items():
            for gains, result in ((mean, thought), (real, happened)):
                gains[number][HOUSE] += result.gain(value)[:, 0]
                if name in gains[number]:
                    gains[number][name] += result.profit(card)[:, 0]
    return [Gains(expected=thought, realised=happened) for thought, happened in zip(mean, real, strict=True)]


def _fixed_worth(card: Card, deal: Deal, campaign_usd: float) -> float:
    """Of format and head start, in US dollars."""
    worth = card.formats.get(deal[FORMAT], card.other_formats) if FORMAT in deal else 0.0
    worth += head_start_worth(card, deal[HEAD_START]) if HEAD_START in deal else 0.0
    return worth * campaign_usd / WORTH_PER_USD


def _has_part(name: str, orders: Mapping[str, Order]) -> bool:
    """Whether a platform delivers anything; whether any does, for ourselves."""
    delivering = {platform for platform, order in orders.items() if order.volume}
    return bool(delivering) if name == HOUSE else name in delivering


def _results(
    card: Card,
    name: str,
    ordered: Sequence[Mapping[str, Order]],
    rates: Rates,
    generator: np.random.Generator,
) -> dict[int, tuple[Result, Result]]:
    """By number of the deal, what its order comes to in the mean and in fact: (draws, 1) each."""
    distinct = dict.fromkeys(orders[name] for orders in ordered if name in orders)
    found: dict[Order, tuple[Result, Result]] = {}
    for pricing in dict.fromkeys(order.pricing for order in distinct):
        group = sorted(
            (order for order in distinct if order.pricing is pricing), key=lambda order: order.volume
        )
        happened = _realised(card, pricing, group, rates, generator)
        thought = expected(card, pricing, group, rates)
        for at, order in enumerate(group):
            one = Result(
                *(column[:, [at]] for column in (thought.impressions, thought.conversions, thought.paid))
            )
            found[order] = one, happened[at]
    return {number: found[orders[name]] for number, orders in enumerate(ordered) if name in orders}


def _realised(
    card: Card, pricing: Pricing, group: Sequence[Order], rates: Rates, generator: np.random.Generator
) -> list[Result]:
    """What orders of one model, by growing volume, turn out to be."""
    buys = rates.ctr * rates.cvr
    volumes = [order.volume for order in group]
    match pricing:
        case Pricing.CPC:
            shown, clicks = _arrived(volumes, rates.ctr, card.inventory, generator)
            conversions = _thinned(clicks, rates.cvr, generator)
            paid_for = clicks
        case Pricing.CPA:
            shown, conversions = _arrived(volumes, buys, card.inventory, generator)
            paid_for = conversions
        case _:
            per = card.rates.flat.impressions if pricing is Pricing.FLAT and card.rates.flat else 1
            impressions = [volume * per for volume in volumes]
            shown = [np.full(len(buys), float(count)) for count in impressions]
            conversions = _brought(impressions, buys, generator)
            paid_for = conversions
    return [
        Result(one[:, None], two[:, None], _paid(order, many)[:, None])
        for order, one, two, many in zip(group, shown, conversions, paid_for, strict=True)
    ]


def _paid(order: Order, count: Floats) -> Floats:
    """US dollars for what was counted."""
    most = order.most_nusd / NUSD_PER_USD
    if order.pricing in (Pricing.CPM, Pricing.FLAT):
        return np.full(len(count), most)
    return np.minimum(most, count * (order.price_nusd / NUSD_PER_USD))


def _brought(impressions: Sequence[int], buys: Floats, generator: np.random.Generator) -> list[Floats]:
    """Conversions of so many impressions, each number containing the one before."""
    out, before, total = [], 0, np.zeros(len(buys))
    for count in impressions:
        if count > before:
            total = total + generator.poisson((count - before) * buys)
            before = count
        out.append(np.minimum(total, count))
    return out


def _arrived(
    volumes: Sequence[int], rate: Floats, inventory: int, generator: np.random.Generator
) -> tuple[list[Floats], list[Floats]]:
    """Impressions used until so many events came, or the inventory was used up, and how many events came."""
    shown, events, before = [], [], 0
    used, count = np.zeros(len(rate)), np.zeros(len(rate))
    for volume in volumes:
        if volume > before:
            more = volume - before
            needed = used + generator.standard_gamma(more, len(rate)) / np.maximum(rate, RATE_LEAST)
            short = (needed > inventory) & (used < inventory)
            came = np.where(needed <= inventory, float(volume), count)
            if short.any():
                # The last one of `more` comes too late; the others lie evenly in between.
                part = (inventory - used[short]) / (needed[short] - used[short])
                came[short] = count[short] + generator.binomial(more - 1, part)
            used, count, before = np.minimum(needed, inventory), came, volume
        shown.append(used)
        events.append(count)
    return shown, events


def _thinned(clicks: Sequence[Floats], cvr: Floats, generator: np.random.Generator) -> list[Floats]:
    out, before, total = [], np.zeros(len(cvr)), np.zeros(len(cvr))
    for count in clicks:
        total = total + generator.binomial((count - before).astype(np.int64), np.minimum(cvr, 1.0))
        before = count
        out.append(total)
    return out


def _revenue(gains: Gains, party: str) -> Revenue:
    return Revenue(
        expected=interval(gains.expected[party]),
        realised=interval(gains.realised[party]),
        p_gain=float((gains.realised[party] > CENT_PARTS).mean()),
    )


def _option(name: str, deal: Deal, gains: Gains, chosen: Gains) -> Option:
    difference = gains.realised[HOUSE] - chosen.realised[HOUSE]
    return Option(
        name=name,
        deal=deal,
        revenue=_revenue(gains, HOUSE),
        difference=interval(difference),
        p_better=float((difference > CENT_PARTS).mean()),
    )


def _confidence(gains: Gains) -> float:
    """A party for whom the deal changes nothing, whatever happens, neither gains nor loses by it."""
    at_stake = [drawn for drawn in gains.realised.values() if (np.abs(drawn) > CENT_PARTS).any()]
    if not at_stake:
        return 0.0
    return float(np.all([drawn > CENT_PARTS for drawn in at_stake], axis=0).mean())


def interval(drawn: Floats, level: float = LEVEL) -> Interval:
    """Mean, and the middle range that holds `level` of what was drawn."""
    tail = (1 - level) / 2
    low, high = np.quantile(drawn, [tail, 1 - tail])
    return Interval(mean=float(drawn.mean()), low=float(low), high=float(high), level=level)
