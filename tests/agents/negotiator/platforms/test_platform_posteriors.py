"""Posteriors of click and conversion rates, and scenarios of them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.negotiator.platforms.posteriors import ctr_of, cvr_of, draws_of, ecpm_usd, scenarios_of
from schemas.negotiation import Evidence


@st.composite
def evidence(draw: st.DrawFn) -> Evidence:
    impressions = draw(st.integers(0, 10**7))
    clicks = draw(st.integers(0, impressions))
    return Evidence(impressions=impressions, clicks=clicks, conversions=draw(st.integers(0, clicks)))


def test_rates_are_judged_by_what_was_counted_and_half_an_event() -> None:
    counted = Evidence(impressions=1_000, clicks=20, conversions=3)
    assert ctr_of(counted).mean == 20.5 / 1_001
    assert cvr_of(counted).mean == 3.5 / 21


@given(evidence(), st.integers(1, 4))
def test_scenarios_keep_the_means_of_both_rates_and_of_their_product(counted: Evidence, bins: int) -> None:
    rates = scenarios_of(counted, bins)
    ctr, cvr = ctr_of(counted).mean, cvr_of(counted).mean
    assert len(rates.ctr) == len(rates.cvr) == bins * bins
    assert rates.ctr.mean() == pytest.approx(ctr, rel=1e-6)
    assert rates.cvr.mean() == pytest.approx(cvr, rel=1e-6)
    assert (rates.ctr * rates.cvr).mean() == pytest.approx(ctr * cvr, rel=1e-6)
    assert ((rates.ctr > 0) & (rates.ctr <= 1) & (rates.cvr > 0) & (rates.cvr <= 1)).all()


def test_less_evidence_spreads_scenarios_wider() -> None:
    much = scenarios_of(Evidence(impressions=100_000, clicks=1_000, conversions=100), 4)
    little = scenarios_of(Evidence(impressions=1_000, clicks=10, conversions=1), 4)
    assert np.ptp(little.ctr) > 5 * np.ptp(much.ctr)
    assert np.ptp(little.cvr) > 5 * np.ptp(much.cvr)


def test_draws_follow_the_posterior_and_come_again_with_the_same_seed() -> None:
    counted = Evidence(impressions=50_000, clicks=500, conversions=20)
    first, again = (draws_of(counted, 20_000, np.random.default_rng(7)) for _ in range(2))
    assert (first.ctr == again.ctr).all()
    beta = ctr_of(counted)
    deviation = (beta.mean * (1 - beta.mean) / (beta.a + beta.b + 1)) ** 0.5
    assert first.ctr.mean() == pytest.approx(beta.mean, abs=5 * deviation / 20_000**0.5)
    assert first.ctr.std() == pytest.approx(deviation, rel=0.05)


def test_effective_cpm_is_what_a_thousand_impressions_are_expected_to_earn() -> None:
    counted = Evidence(impressions=9_999, clicks=99, conversions=9)
    assert ecpm_usd(6.5, "impressions", counted) == 6.5
    assert ecpm_usd(2.0, "click", counted) == pytest.approx(1_000 * (99.5 / 10_000) * 2.0)
    assert ecpm_usd(40.0, "conversion", counted) == pytest.approx(
        1_000 * (99.5 / 10_000) * (9.5 / 100) * 40.0
    )
