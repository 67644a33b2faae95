"""Money is exact: no platform is paid more than its part, nor all of them more than the budget."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.negotiator.limits import RefusedError
from agents.negotiator.platforms.card import Card
from agents.negotiator.platforms.cards import load_cards
from agents.negotiator.platforms.issues import terms_of
from agents.negotiator.platforms.orders import order_of, orders_of, payments_of
from agents.negotiator.platforms.pricing import PRICINGS, Pricing, read_terms
from schemas.llm import NUSD_PER_USD

CARDS = load_cards()
PLATFORMS = ("tiktok", "spotify", "youtube")
TERMS = terms_of(PLATFORMS, CARDS)
BUDGET = 1_000 * NUSD_PER_USD


def paid(terms: str, cards: dict[str, Card], budget_nusd: int = BUDGET) -> list[tuple[str, str, int, str]]:
    payments = payments_of({"terms": terms, "format": "clip"}, cards, budget_nusd)
    return [(one.platform, one.terms, one.most_nusd, one.volume) for one in payments]


def test_what_is_paid_follows_from_the_card(plain: dict[str, Card]) -> None:
    # $600 at $4.50 for a thousand, $400 at $5.40. What is left of them buys no further impression and isn't paid.
    assert paid("CPM −10 %, alpha 60 % · beta 40 %", plain) == [
        ("alpha", "CPM $5.00 less 10 %", 133_333 * 4_500_000, "133,333 impressions"),
        ("beta", "CPM $6.00 less 10 %", 74_074 * 5_400_000, "74,074 impressions"),
    ]
    assert paid("own rates, alpha 50 % · beta 50 %", plain) == [
        ("alpha", "CPM $5.00", 500 * NUSD_PER_USD, "100,000 impressions"),
        ("beta", "CPA $30.00", 480 * NUSD_PER_USD, "16 conversions"),
    ]
    assert paid("flat fee −5 %, alpha 100 %", plain) == [
        ("alpha", "flat fee $100.00 for 20,000 impressions less 5 %", 950 * NUSD_PER_USD, "10 packages")
    ]
    # 60 % of $50 is $30 for what a thousand impressions bring 0.2 of: $1,000 are reached by 166,667 impressions.
    [(_, text, most, volume)] = paid("revenue share, alpha 100 %", plain)
    assert (text, most) == ("revenue share 60 % of what conversions are worth", BUDGET)
    assert int(volume.split()[0].replace(",", "")) == pytest.approx(166_667, rel=1e-3)


def test_what_the_inventory_does_not_hold_is_neither_promised_nor_paid(plain: dict[str, Card]) -> None:
    budget = 100_000 * NUSD_PER_USD
    assert paid("CPM, alpha 100 %", plain, budget)[0][2:] == (5_000 * NUSD_PER_USD, "1,000,000 impressions")
    [(_, _, most, volume)] = paid("CPA, beta 100 %", plain, budget)
    assert (most, volume) == (200 * 30 * NUSD_PER_USD, "200 conversions")
    assert paid("flat fee, alpha 100 %", plain, budget)[0][3] == "50 packages"


def test_a_part_too_small_for_anything_is_not_paid_at_all(plain: dict[str, Card]) -> None:
    assert paid("CPA, beta 100 %", plain, 29 * NUSD_PER_USD) == []
    assert paid("CPA, beta 100 %", plain, 30 * NUSD_PER_USD)[0][3] == "1 conversion"


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(TERMS), st.integers(1, 10**18))
def test_no_budget_is_ever_passed_and_every_volume_is_paid_in_full(terms: object, budget_nusd: int) -> None:
    orders = orders_of(terms, CARDS, budget_nusd)  # type: ignore[arg-type]
    assert sum(order.most_nusd for order in orders.values()) <= budget_nusd
    for name, order in orders.items():
        part = budget_nusd * terms.share(name) // 100  # type: ignore[attr-defined]
        assert 0 <= order.most_nusd <= part
        assert (order.volume == 0) == (order.most_nusd == 0)
        if order.pricing is Pricing.CPM:
            exact = order.volume * order.price_nusd
            assert exact <= 1_000 * order.most_nusd < exact + 1_000  # rounded up, by less than a nano-dollar
        elif order.pricing is not Pricing.SHARE:
            assert order.most_nusd == order.volume * order.price_nusd


def test_a_discount_never_makes_a_volume_smaller(plain: dict[str, Card]) -> None:
    for pricing in PRICINGS:
        for card in (plain["alpha"], plain["beta"]):
            volumes = [
                order.volume
                for discount in (0, 5, 10, 20)
                if (order := order_of(card, pricing, discount, 50, value_usd=50.0, budget_nusd=BUDGET))
            ]
            assert volumes == sorted(volumes)
            assert bool(volumes) == card.takes(pricing)


def test_deals_that_no_card_bears_out_are_refused(plain: dict[str, Card]) -> None:
    with pytest.raises(RefusedError, match="beta doesn't take CPC"):
        payments_of({"terms": "CPC, alpha 50 % · beta 50 %"}, plain, BUDGET)
    with pytest.raises(RefusedError, match="no rate card for 'gamma'"):
        payments_of({"terms": "CPC, gamma 100 %"}, plain, BUDGET)
    for deal in ({}, {"terms": "everything for free"}):
        with pytest.raises(RefusedError, match="are no terms"):
            payments_of(deal, plain, BUDGET)
    terms = read_terms("CPM, alpha 100 %")
    assert terms is not None
    with pytest.raises(RefusedError, match="no rate card for 'house'"):
        orders_of(terms, {"alpha": plain["alpha"]}, BUDGET)
