"""What every value of every issue is worth to a party, drawn up from its card: pure, the same for the same input."""

import zlib
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from agents.negotiator.limits import RefusedError
from agents.negotiator.platforms.card import ByDays, Card, card_of
from agents.negotiator.platforms.economics import Result, expected
from agents.negotiator.platforms.issues import FORMAT, HEAD_START, read_head_start
from agents.negotiator.platforms.orders import TERMS, Order, campaign_nusd, order_of, value_of
from agents.negotiator.platforms.posteriors import Rates, scenarios_of
from agents.negotiator.platforms.pricing import Pricing, Terms, read_terms
from agents.negotiator.platforms.words import position_words
from schemas.llm import NUSD_PER_USD
from schemas.negotiation import HOUSE, IssueStated, PositionScenario, PositionStated, Proposal

REFUSAL_BUDGETS: Final = 10.0
"""What a pricing model that a card doesn't take costs its platform, in budgets: more than anything else is worth."""
WORTH_PER_USD: Final = 1_000.0
"""Cards state what formats and head starts are worth for so many dollars of budget."""
DIGITS: Final = 6
"""After the point, of a utility in US dollars."""
SHUFFLE_SEED: Final = 20_260_102

Floats = NDArray[np.float64]


def position_of(
    party: str,
    *,
    cards: Mapping[str, Card],
    issues: Sequence[IssueStated],
    platforms: Sequence[str],
    budget_nusd: int,
    agent: str = "",
) -> PositionStated:
    """The position of `party`, by rules alone.

    Utilities are in US dollars. A platform's are its own profit; ours are what conversions are worth less what is
    paid to all platforms.

    Raises:
        RefusedError: a card is missing, or an issue is none of ours.
    """
    card = card_of(cards, party)
    campaign_usd = campaign_nusd(card, cards, platforms, budget_nusd) / NUSD_PER_USD
    utilities: dict[str, Floats] = {}
    for issue in issues:
        match issue.name:
            case "terms":
                utilities[TERMS] = _terms_worth(card, cards, issue, platforms, budget_nusd)
            case "format":
                utilities[FORMAT] = _format_worth(card, issue, campaign_usd)
            case "head_start":
                utilities[HEAD_START] = _head_start_worth(card, issue, campaign_usd)
            case other:
                raise RefusedError(
                    f"issue {other!r}: rate cards say nothing of it; they know terms, format, head_start"
                )
    best = {issue.name: issue.values[int(np.argmax(utilities[issue.name].mean(axis=0)))] for issue in issues}
    is_house = party == HOUSE
    return PositionStated(
        party=party,
        agent=agent,
        scenarios=_scenarios(utilities, bins_for(len(platforms)) ** 2),
        threshold=card.threshold_usd,
        weight=card.weight,
        words=position_words(card, cards, platforms, best),
        proposals=(Proposal(deal=best),),
        evidence=None if is_house else card.evidence,
        card=f"{card.name} {card.version}",
    )


def bins_for(platforms: int) -> int:
    """Into how many ranges each rate is divided: less when many platforms make many outcomes."""
    return 4 if platforms <= 2 else 3 if platforms <= 4 else 2


def _scenarios(utilities: Mapping[str, Floats], count: int) -> tuple[PositionScenario, ...]:
    """One scenario when nothing is uncertain."""
    if all(bool((rows == rows[0]).all()) for rows in utilities.values()):
        count = 1
    rounded = {
        name: np.broadcast_to(np.round(rows, DIGITS) + 0.0, (max(count, len(rows)), rows.shape[1])).tolist()
        for name, rows in utilities.items()
    }
    return tuple(
        PositionScenario(
            probability=1.0 / count, utilities={name: tuple(rows[number]) for name, rows in rounded.items()}
        )
        for number in range(count)
    )


def rates_by_platform(cards: Mapping[str, Card], platforms: Sequence[str]) -> dict[str, Rates]:
    """Scenarios in which all platforms' rates are what they are together.

    Each platform's are its own, in an order of its own: so they are independent of one another and keep their means.
    """
    bins = bins_for(len(platforms))
    rates = {}
    for name in platforms:
        own = scenarios_of(card_of(cards, name).evidence, bins)
        order = np.random.default_rng((SHUFFLE_SEED, zlib.crc32(name.encode()))).permutation(bins * bins)
        rates[name] = Rates(ctr=own.ctr[order], cvr=own.cvr[order])
    return rates


def _terms_worth(
    card: Card, cards: Mapping[str, Card], issue: IssueStated, platforms: Sequence[str], budget_nusd: int
) -> Floats:
    """(scenarios, values)."""
    stated = [_readable(value) for value in issue.values]
    bins = bins_for(len(platforms))
    refusal = -REFUSAL_BUDGETS * budget_nusd / NUSD_PER_USD
    value = value_of(cards)
    if card.kind == "platform":
        results, column, _ = results_of(
            card, stated, scenarios_of(card.evidence, bins), value_usd=value, budget_nusd=budget_nusd
        )
        return np.hstack(
            [results.profit(card), np.zeros((bins * bins, 1)), np.full((bins * bins, 1), refusal)]
        )[:, column]
    total = np.zeros((bins * bins, len(stated)))
    for name, rates in rates_by_platform(cards, platforms).items():
        other = card_of(cards, name)
        results, column, _ = results_of(other, stated, rates, value_usd=value, budget_nusd=budget_nusd)
        # What a platform doesn't take is its own to refuse; to us it is worth nothing.
        gain = np.hstack([results.gain(value), np.zeros((bins * bins, 2))])
        total += gain[:, column]
    return total


def _readable(value: str) -> Terms:
    terms = read_terms(value)
    if terms is None:
        raise RefusedError(f"issue {TERMS!r}: {value[:80]!r} is no pricing model with discount and split")
    return terms


def results_of(
    card: Card, stated: Sequence[Terms], rates: Rates, *, value_usd: float, budget_nusd: int
) -> tuple[Result, NDArray[np.int64], list[Order]]:
    """What a platform's orders come to, each different one once, by scenario.

    Returns:
        results of (scenarios, orders); for each of the terms, the column of its order, where the one after the last
        stands for no part of the budget, and the second after it for a model that the platform doesn't take; orders.
    """
    orders: dict[tuple[Pricing, int, int], Order] = {}
    refused = set()
    keys: list[tuple[Pricing, int, int] | None] = []
    for terms in stated:
        share = terms.share(card.name)
        pricing = card.own if terms.pricing is Pricing.OWN else terms.pricing
        key = (pricing, terms.discount, share)
        keys.append(key if share else None)
        if not share or key in orders or key in refused:
            continue
        order = order_of(card, pricing, terms.discount, share, value_usd=value_usd, budget_nusd=budget_nusd)
        if order is None:
            refused.add(key)
        else:
            orders[key] = order
    ranked = sorted(orders, key=lambda key: key[0])
    place = {key: number for number, key in enumerate(ranked)}
    columns = [len(ranked) if key is None else place.get(key, len(ranked) + 1) for key in keys]
    parts = [
        expected(card, pricing, [orders[key] for key in ranked if key[0] is pricing], rates)
        for pricing in dict.fromkeys(key[0] for key in ranked)
    ]
    empty = np.zeros((len(rates.ctr), 0))
    joined = Result(
        *(
            np.hstack([empty, *(getattr(part, name) for part in parts)])
            for name in ("impressions", "conversions", "paid")
        )
    )
    return joined, np.array(columns, dtype=np.int64), [orders[key] for key in ranked]


def _format_worth(card: Card, issue: IssueStated, campaign_usd: float) -> Floats:
    """(1, values)."""
    worth = [card.formats.get(value, card.other_formats) for value in issue.values]
    return np.array([worth]) * (campaign_usd / WORTH_PER_USD)


def _head_start_worth(card: Card, issue: IssueStated, campaign_usd: float) -> Floats:
    """(1, values)."""
    return np.array([[head_start_worth(card, value) for value in issue.values]]) * (
        campaign_usd / WORTH_PER_USD
    )


def head_start_worth(card: Card, value: str) -> float:
    """In US dollars for 1,000 US dollars of budget."""
    found = read_head_start(value)
    if found is None:
        return 0.0
    first, days = found
    is_first = first == card.name or card.kind == "house"
    return _interpolated(card.head_start.first if is_first else card.head_start.behind, days)


def _interpolated(by_days: ByDays, days: int) -> float:
    known = sorted(by_days.items())
    return float(np.interp(days, [0, *(day for day, _ in known)], [0.0, *(worth for _, worth in known)]))
