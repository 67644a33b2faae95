"""What a position says for people, by template: of which nothing is calculated, and which names no floor."""

from collections.abc import Mapping, Sequence

from agents.negotiator.platforms.card import Card, card_of
from agents.negotiator.platforms.orders import percent, terms_text, usd
from agents.negotiator.platforms.posteriors import ctr_of, cvr_of, ecpm_usd
from agents.negotiator.platforms.pricing import PRICINGS, Pricing
from schemas.deal import Deal
from schemas.negotiation import WORDS_CHARS_MAX

_PER = {Pricing.CPM: "impressions", Pricing.CPC: "click", Pricing.CPA: "conversion"}


def position_words(card: Card, cards: Mapping[str, Card], platforms: Sequence[str], best: Deal) -> str:
    """In a few sentences: rates, what they are judged by, and what it would like best."""
    told = _house(card, cards, platforms) if card.kind == "house" else _platform(card)
    wish = "; ".join(f"{name.replace('_', ' ')}: {value}" for name, value in best.items())
    who = "We" if card.kind == "house" else "It"
    return f"{told} {who} would like best {wish}."[:WORDS_CHARS_MAX]


def _platform(card: Card) -> str:
    taken = [one for one in PRICINGS if card.takes(one)]
    taken.sort(key=lambda one: one is not card.own)
    refused = [str(one) for one in PRICINGS if not card.takes(one)]
    refusal = f" It takes no {_or(refused)}." if refused else ""
    return (
        f"{card.name} takes {', '.join(terms_text(card, one) for one in taken)}.{refusal} "
        f"{_judged(card)}{_ecpm(card)}"
    )


def _judged(card: Card) -> str:
    counted = card.evidence
    if not counted.impressions:
        return "Nothing was counted on it yet, so clicks and conversions may be anything."
    return (
        f"Judged by {counted.impressions:,} impressions with {counted.clicks:,} clicks and "
        f"{counted.conversions:,} conversions: {percent(ctr_of(counted).mean)} of impressions are clicked, "
        f"{percent(cvr_of(counted).mean)} of clicks convert."
    )


def _ecpm(card: Card) -> str:
    earned = [
        f"${ecpm_usd(rate, per, card.evidence):,.2f} by {pricing}"
        for pricing, per in _PER.items()
        if (rate := card.rate(pricing)) is not None
    ]
    return f" 1,000 impressions then earn it {', '.join(earned)}." if earned else ""


def _house(card: Card, cards: Mapping[str, Card], platforms: Sequence[str]) -> str:
    value = card.value_per_conversion_usd or 0.0
    brought = []
    for name in platforms:
        evidence = card_of(cards, name).evidence
        worth = ecpm_usd(value, "conversion", evidence)
        brought.append(f"${worth:,.2f} on {name}")
    return (
        f"A conversion is worth {usd(value)} to us, so that 1,000 impressions are worth {', '.join(brought)}, as far "
        "as what was counted there tells."
    )


def _or(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"
