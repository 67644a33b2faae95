"""The cards that come along, a plain world whose numbers can be checked by hand, and questions about it."""

from collections.abc import Callable, Sequence

import msgspec
import pytest

from agents.negotiator.platforms.card import Card, Counted, Flat, HeadStart, Rates
from agents.negotiator.platforms.cards import load_cards
from agents.negotiator.platforms.issues import issues_of
from schemas.llm import NUSD_PER_USD
from schemas.negotiation import PositionAsked
from schemas.review import Models

Ask = Callable[..., PositionAsked]
PLENTY = Counted(impressions=10_000_000, clicks=100_000, conversions=2_000)
"""1 % of impressions are clicked, 2 % of clicks convert, as good as certainly."""


@pytest.fixture(scope="session")
def shipped() -> dict[str, Card]:
    return load_cards()


@pytest.fixture
def plain() -> dict[str, Card]:
    """Two platforms and ourselves; a conversion is worth $50."""
    return {
        "alpha": Card(
            name="alpha",
            version="a1",
            rates=Rates(
                cpm_usd=5.0, cpc_usd=0.6, flat=Flat(usd=100.0, impressions=20_000), revenue_share=0.6
            ),
            floor_ecpm_usd=2.0,
            inventory=1_000_000,
            evidence=PLENTY,
            formats={"clip": 10.0, "text": -5.0},
            other_formats=-20.0,
            head_start=HeadStart(first={1: 4.0, 3: 8.0}, behind={1: -2.0}),
        ),
        "beta": Card(
            name="beta",
            version="b1",
            main="cpa",
            rates=Rates(cpm_usd=6.0, cpa_usd=30.0),
            floor_ecpm_usd=3.0,
            inventory=1_000_000,
            evidence=PLENTY,
        ),
        "house": Card(name="house", version="h1", kind="house", value_per_conversion_usd=50.0),
    }


@pytest.fixture
def ask() -> Ask:
    def asked(
        party: str,
        platforms: Sequence[str],
        cards: dict[str, Card],
        *,
        budget_usd: int = 1_000,
        deadline: str = "2099-01-01T00:00:00Z",
        goal: str = "Cross-platform content syndication",
        models: Models = Models.NONE,
    ) -> PositionAsked:
        parties = ("house", *platforms)
        return PositionAsked(
            party=party,
            index=parties.index(party),
            of=len(parties),
            goal=goal,
            platforms=tuple(platforms),
            budget_nusd=budget_usd * NUSD_PER_USD,
            issues=issues_of(platforms, cards),
            deadline=deadline,
            models=models,
        )

    return asked


@pytest.fixture
def judged_by() -> Callable[..., Card]:
    """A card with other evidence."""

    def changed(card: Card, impressions: int, clicks: int, conversions: int) -> Card:
        counted = Counted(impressions=impressions, clicks=clicks, conversions=conversions)
        return msgspec.structs.replace(card, evidence=counted)

    return changed
