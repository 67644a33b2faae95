"""Whatever the cards say: positions are usable, promises are kept, and both ways to judge a deal agree."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.negotiator.platforms.card import Card, Counted, Flat, HeadStart, Rates, check_card
from agents.negotiator.platforms.cards import load_cards
from agents.negotiator.platforms.checks import checked, domain_of
from agents.negotiator.platforms.issues import issues_of
from agents.negotiator.platforms.orders import orders_of, terms_in
from agents.negotiator.platforms.positions import position_of
from agents.negotiator.platforms.pricing import Pricing, read_terms
from agents.negotiator.platforms.revenue import gains_of
from agents.negotiator.solve import Options, solve
from schemas.deal import Certificate
from schemas.llm import NUSD_PER_USD
from schemas.negotiation import PositionAsked

PRICE = st.floats(0.001, 10_000.0)
WORTH = st.floats(-1_000.0, 1_000.0)
BY_DAYS = st.dictionaries(st.integers(1, 365), WORTH, max_size=4)
FORMATS = st.dictionaries(st.sampled_from(["clip", "episode", "live", "text"]), WORTH, max_size=3)
PAIR = ("alpha", "beta")


@st.composite
def platform(draw: st.DrawFn, name: str) -> Card:
    rates = Rates(
        cpm_usd=draw(st.none() | PRICE),
        cpc_usd=draw(st.none() | PRICE),
        cpa_usd=draw(PRICE),  # at least one
        flat=draw(st.none() | st.builds(Flat, usd=PRICE, impressions=st.integers(1, 10**6))),
        revenue_share=draw(st.none() | st.floats(0.01, 1.0)),
    )
    earned = [rates.cpm_usd or 1e9, 1_000 * rates.flat.usd / rates.flat.impressions if rates.flat else 1e9]
    impressions = draw(st.integers(0, 10**8))
    clicks = draw(st.integers(0, impressions))
    return check_card(
        Card(
            name=name,
            version="1",
            rates=rates,
            floor_ecpm_usd=draw(st.floats(0.0, 1.0)) * min(*earned, 100.0),
            inventory=draw(st.integers(1, 10**9)),
            evidence=Counted(
                impressions=impressions, clicks=clicks, conversions=draw(st.integers(0, clicks))
            ),
            formats=draw(FORMATS),
            other_formats=draw(WORTH),
            head_start=HeadStart(first=draw(BY_DAYS), behind=draw(BY_DAYS)),
        )
    )


@st.composite
def worlds(draw: st.DrawFn) -> dict[str, Card]:
    house = Card(
        name="house", version="1", kind="house", value_per_conversion_usd=draw(PRICE), formats=draw(FORMATS)
    )
    return {**{name: draw(platform(name)) for name in PAIR}, "house": check_card(house)}


@settings(max_examples=40, deadline=None)
@given(worlds(), st.integers(1, 10**16))
def test_every_party_s_position_is_usable_and_bears_out_what_is_promised(
    cards: dict[str, Card], budget_nusd: int
) -> None:
    issues = issues_of(PAIR, cards)
    positions = []
    for index, party in enumerate(("house", *PAIR)):
        position = position_of(party, cards=cards, issues=issues, platforms=PAIR, budget_nusd=budget_nusd)
        checked(
            position,
            PositionAsked(
                party=party,
                index=index,
                of=3,
                goal="",
                platforms=PAIR,
                budget_nusd=budget_nusd,
                issues=issues,
                deadline="",
            ),
        )
        positions.append(position)
    assert domain_of(issues, positions).outcomes > 0
    # What is paid by impressions is as certain as the contract.
    for place, value in enumerate(issues[0].values):
        terms = read_terms(value)
        assert terms is not None
        if terms.pricing is Pricing.CPM and terms.share("alpha"):
            order = orders_of(terms, cards, budget_nusd)["alpha"]
            exact = order.most_nusd / NUSD_PER_USD - order.volume * cards["alpha"].floor_ecpm_usd / 1_000
            for scenario in positions[1].scenarios:
                assert scenario.utilities["terms"][place] == pytest.approx(exact, rel=1e-6, abs=2e-6)


@settings(max_examples=25, deadline=None)
@given(worlds(), st.integers(10**9, 10**14), st.data())
def test_whatever_happens_nobody_is_paid_more_than_was_promised(
    cards: dict[str, Card], budget_nusd: int, data: st.DataObject
) -> None:
    terms = data.draw(st.sampled_from(issues_of(PAIR, cards)[0].values))
    [gains] = gains_of(
        [{"terms": terms}], cards=cards, platforms=PAIR, budget_nusd=budget_nusd, seed=1, draws=500
    )
    most = orders_of(terms_in({"terms": terms}), cards, budget_nusd)
    value = cards["house"].value_per_conversion_usd
    assert value is not None
    for drawn in (gains.expected, gains.realised):
        for name in PAIR:
            assert np.isfinite(drawn[name]).all()
            paid_most = most[name].most_nusd / NUSD_PER_USD if name in most else 0.0
            assert drawn[name].max() <= paid_most * (1 + 1e-9) + 1e-9
            given_most = cards[name].inventory * cards[name].floor_ecpm_usd / 1_000
            assert drawn[name].min() >= -given_most * (1 + 1e-9) - 1e-9
        assert drawn["house"].min() >= -budget_nusd / NUSD_PER_USD - 1e-6


SHIPPED = load_cards()


@pytest.mark.parametrize("pair", [("tiktok", "spotify"), ("podcast", "youtube"), ("instagram", "linkedin")])
def test_positions_and_revenue_agree_on_what_a_deal_is_worth(pair: tuple[str, str]) -> None:
    budget = 20_000 * NUSD_PER_USD
    issues = issues_of(pair, SHIPPED)
    positions = [
        position_of(party, cards=SHIPPED, issues=issues, platforms=pair, budget_nusd=budget)
        for party in ("house", *pair)
    ]
    found = solve(domain_of(issues, positions), _unhurried, Options(with_certificate=False, with_mixed=False))
    assert isinstance(found, Certificate)
    [gains] = gains_of([found.deal], cards=SHIPPED, platforms=pair, budget_nusd=budget, seed=11, draws=40_000)
    for position in positions:
        stated = sum(
            scenario.probability
            * sum(
                scenario.utilities[issue.name][issue.values.index(found.deal[issue.name])] for issue in issues
            )
            for scenario in position.scenarios
        )
        for drawn in (gains.expected[position.party], gains.realised[position.party]):
            # Scenarios stand for ranges, so that what bends (an inventory, a most) is met only nearly.
            assert drawn.mean() == pytest.approx(stated, rel=0.03, abs=5 * drawn.std() / 200)


def _unhurried() -> float:
    return float("inf")
