"""A rate card: what a platform charges, what it could earn elsewhere, and what was counted on it so far."""

import math
from collections.abc import Mapping
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from agents.negotiator.limits import RefusedError
from agents.negotiator.platforms.pricing import PRICINGS, Pricing
from schemas.negotiation import HOUSE, Evidence, PartyName

USD_MAX: Final = 1_000_000.0
"""Of one rate."""
COUNT_MAX: Final = 10**12
WORTH_MAX: Final = 1_000.0
"""Of a format or head start: US dollars for 1,000 US dollars of budget. Less than what a refused model costs."""
FORMATS_MAX: Final = 12
DAYS_MAX: Final = 365
WEIGHT_MAX: Final = 1_000.0
THRESHOLD_MAX_USD: Final = 1e9

Count = Annotated[int, Meta(ge=0, le=COUNT_MAX)]
ByDays = dict[int, float]
"""By days, US dollars for 1,000 US dollars of budget; in between it is interpolated from 0 days, worth 0."""
Main = Literal["cpm", "cpc", "cpa", "flat", "revenue_share"]

_PRICINGS: Final[dict[str, Pricing]] = {
    "cpm": Pricing.CPM,
    "cpc": Pricing.CPC,
    "cpa": Pricing.CPA,
    "flat": Pricing.FLAT,
    "revenue_share": Pricing.SHARE,
}


class Flat(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A package: so many impressions for a fixed fee."""

    usd: float
    impressions: Annotated[int, Meta(ge=1, le=COUNT_MAX)]


class Rates(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """List prices; what is left out, the platform doesn't take.

    Attributes:
        cpm_usd: for 1,000 impressions.
        cpc_usd: for a click; cpa_usd: for a conversion.
        revenue_share: of what conversions are worth, above 0 and at most 1.
    """

    cpm_usd: float | None = None
    cpc_usd: float | None = None
    cpa_usd: float | None = None
    flat: Flat | None = None
    revenue_share: float | None = None


class Counted(Evidence, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What was counted on the platform so far."""


class HeadStart(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What days ahead are worth.

    Attributes:
        first: of being first; on our own card, of having anybody first.
        behind: of another platform being first.
    """

    first: ByDays = {}
    behind: ByDays = {}


class Card(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A party's rate card.

    Attributes:
        version: any text; positions say from which version they were drawn up.
        kind: `house` is ourselves, of which there is one.
        speaks: `elsewhere`: somebody else states its position; its rates still stand here.
        main: which rate is its own when each platform is paid by its own; the first that it has when left out.
        floor_ecpm_usd: what 1,000 of its impressions earn elsewhere.
        inventory: impressions that it can give a campaign.
        evidence: what clicks and conversions are expected from.
        formats: by format, what it is worth; `other_formats`: of one that isn't listed, usually below 0.
        weight: in the negotiation. threshold_usd: the least that it accepts; without one, what it has without a deal.
        value_per_conversion_usd: on our own card alone.
    """

    name: PartyName
    version: Annotated[str, Meta(min_length=1, max_length=64)]
    kind: Literal["platform", "house"] = "platform"
    speaks: Literal["here", "elsewhere"] = "here"
    rates: Rates = Rates()
    main: Main | None = None
    floor_ecpm_usd: float = 0.0
    inventory: Count = 0
    evidence: Counted = Counted()
    formats: Annotated[
        dict[Annotated[str, Meta(min_length=1, max_length=40)], float], Meta(max_length=FORMATS_MAX)
    ] = {}
    other_formats: float = 0.0
    head_start: HeadStart = HeadStart()
    weight: float = 1.0
    threshold_usd: float | None = None
    value_per_conversion_usd: float | None = None

    @property
    def own(self) -> Pricing:
        """The model of its main rate."""
        return _PRICINGS[self.main] if self.main else next(one for one in PRICINGS if self.takes(one))

    def rate(self, pricing: Pricing) -> float | None:
        """Its price, in US dollars for 1,000 impressions, a click, a conversion or a package, or its revenue share."""
        rates = self.rates
        match pricing:
            case Pricing.CPM:
                return rates.cpm_usd
            case Pricing.CPC:
                return rates.cpc_usd
            case Pricing.CPA:
                return rates.cpa_usd
            case Pricing.FLAT:
                return rates.flat.usd if rates.flat else None
            case Pricing.SHARE:
                return rates.revenue_share
            case Pricing.OWN:
                return self.rate(self.own)

    def takes(self, pricing: Pricing) -> bool:
        return pricing is Pricing.OWN or self.rate(pricing) is not None


class CardError(ValueError):
    """Raised when a card contradicts itself; `key` is what to look at."""

    def __init__(self, key: str, message: str) -> None:
        super().__init__(message)
        self.key = key


def check_card(card: Card) -> Card:
    """`card`, if it makes sense.

    Raises:
        CardError: with the first thing that is wrong and how to mend it.
    """
    _within(card.weight, "weight", 0, WEIGHT_MAX, "0 leaves it out of account")
    if card.threshold_usd is not None:
        _within(card.threshold_usd, "threshold_usd", 0, THRESHOLD_MAX_USD, "without a deal it has 0")
    for name, worth in card.formats.items():
        _within(worth, f"formats.{name}", -WORTH_MAX, WORTH_MAX, "it counts for 1,000 dollars of budget")
    _within(
        card.other_formats, "other_formats", -WORTH_MAX, WORTH_MAX, "it counts for 1,000 dollars of budget"
    )
    for key, by_days in (("first", card.head_start.first), ("behind", card.head_start.behind)):
        for days, worth in by_days.items():
            if not 1 <= days <= DAYS_MAX:
                raise CardError(f"head_start.{key}", f"head_start.{key} has {days} days; use 1 to {DAYS_MAX}")
            _within(worth, f"head_start.{key}.{days}", -WORTH_MAX, WORTH_MAX, "it counts for 1,000 dollars")
    if card.kind == "house":
        _check_house(card)
    else:
        _check_platform(card)
    return card


def _check_house(card: Card) -> None:
    if card.name != HOUSE:
        raise CardError("kind", f"a card of kind house must be called {HOUSE!r}: there is one, ourselves")
    if any(card.rate(one) is not None for one in PRICINGS) or card.main:
        raise CardError("rates", "our own card has rates; only platforms are paid: remove them")
    if card.value_per_conversion_usd is None:
        raise CardError("value_per_conversion_usd", "value_per_conversion_usd is missing: what is one worth?")
    _price(card.value_per_conversion_usd, "value_per_conversion_usd")


def _check_platform(card: Card) -> None:
    if card.name == HOUSE:
        raise CardError("name", f"a platform can't be called {HOUSE!r}, which is ourselves; set kind: house")
    if card.value_per_conversion_usd is not None:
        raise CardError(
            "value_per_conversion_usd", "what a conversion is worth stands on our own card: remove it here"
        )
    for pricing, key in ((Pricing.CPM, "cpm_usd"), (Pricing.CPC, "cpc_usd"), (Pricing.CPA, "cpa_usd")):
        if (price := card.rate(pricing)) is not None:
            _price(price, f"rates.{key}")
    if card.rates.flat is not None:
        _price(card.rates.flat.usd, "rates.flat.usd")
    if (share := card.rates.revenue_share) is not None and not 0 < share <= 1:
        raise CardError(
            "rates.revenue_share", f"rates.revenue_share is {share:g}; it must be above 0, at most 1"
        )
    if not any(card.takes(one) for one in PRICINGS):
        raise CardError(
            "rates", "no rate at all; give at least one of cpm_usd, cpc_usd, cpa_usd, flat, revenue_share"
        )
    if card.main and not card.takes(_PRICINGS[card.main]):
        raise CardError(
            "main", f"main is {card.main}, for which there is no rate; add it or name another one"
        )
    _within(card.floor_ecpm_usd, "floor_ecpm_usd", 0, USD_MAX, "0 if impressions can't be sold elsewhere")
    if card.inventory < 1:
        raise CardError(
            "inventory", "inventory is 0 impressions; say how many the platform can give a campaign"
        )
    _check_evidence(card.evidence)
    _check_floor(card)


def _check_evidence(evidence: Evidence) -> None:
    if evidence.impressions > COUNT_MAX:
        raise CardError(
            "evidence.impressions", f"evidence.impressions is over {COUNT_MAX}; scale the counts down"
        )
    if evidence.clicks > evidence.impressions:
        raise CardError(
            "evidence.clicks",
            f"evidence: {evidence.clicks} clicks of {evidence.impressions} impressions; correct the counts",
        )
    if evidence.conversions > evidence.clicks:
        raise CardError(
            "evidence.conversions",
            f"evidence: {evidence.conversions} conversions of {evidence.clicks} clicks; correct the counts",
        )


def _check_floor(card: Card) -> None:
    """What is paid for impressions can't be less than they earn elsewhere; other models depend on the evidence."""
    earned = {"rates.cpm_usd": card.rates.cpm_usd}
    if (flat := card.rates.flat) is not None:
        earned["rates.flat.usd"] = 1_000 * flat.usd / flat.impressions
    for key, ecpm in earned.items():
        if ecpm is not None and ecpm < card.floor_ecpm_usd:
            raise CardError(
                key,
                f"{key} comes to ${ecpm:g} for 1,000 impressions, below the floor of ${card.floor_ecpm_usd:g}; "
                "raise the rate or lower floor_ecpm_usd",
            )


def _price(value: float, key: str) -> None:
    if not (math.isfinite(value) and 0 < value <= USD_MAX and round(value * 1e9) >= 1):
        raise CardError(key, f"{key} is {value:g}; a price must be above 0 and at most {USD_MAX:g} dollars")


def _within(value: float, key: str, least: float, most: float, why: str) -> None:
    if not (math.isfinite(value) and least <= value <= most):
        raise CardError(key, f"{key} is {value:g}; it must be from {least:g} to {most:g} ({why})")


def card_of(cards: Mapping[str, Card], name: str) -> Card:
    """The card of a party.

    Raises:
        RefusedError: there is none.
    """
    if (card := cards.get(name)) is not None:
        return card
    known = ", ".join(sorted(other for other in cards if other != HOUSE)) or "none"
    raise RefusedError(f"no rate card for {name!r}; there are cards for: {known}")
