import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.router.hedging import HedgeBudget, hedge_delay
from agents.router.sketch import DecayingSketch


@given(st.lists(st.floats(0, 300), max_size=300), st.sampled_from([0.0, 0.05, 0.3, 1.0]))
def test_hedges_never_exceed_their_share_of_all_calls(gaps_s: list[float], ratio_max: float) -> None:
    budget = HedgeBudget(ratio_max)
    now_s, hedges = 0.0, 0
    for calls, gap_s in enumerate(gaps_s, start=1):
        now_s += gap_s
        budget.called(now_s)
        while budget.may_hedge(now_s):
            budget.hedged(now_s)
            hedges += 1
            assert hedges <= ratio_max * calls + 1e-6


def test_the_first_hedge_comes_after_twenty_calls_at_five_percent() -> None:
    budget = HedgeBudget(0.05)
    for _ in range(19):
        budget.called(0.0)
        assert not budget.may_hedge(0.0)
    budget.called(0.0)
    assert budget.may_hedge(0.0)
    budget.hedged(0.0)
    assert not budget.may_hedge(0.0)


def test_room_that_was_not_used_fades() -> None:
    budget = HedgeBudget(0.05, half_life_s=600)
    for _ in range(39):
        budget.called(0.0)
    assert budget.may_hedge(500.0)
    assert not budget.may_hedge(700.0)


def test_hedging_without_asking_must_be_earned_back() -> None:
    budget = HedgeBudget(0.5)
    budget.hedged(0.0)
    for _ in range(3):
        budget.called(1e9)
        assert not budget.may_hedge(1e9)
    budget.called(1e9)
    assert budget.may_hedge(1e9)


def test_a_steady_stream_hedges_as_often_as_it_may() -> None:
    budget = HedgeBudget(0.05)
    hedges = 0
    for call in range(10_000):
        budget.called(call * 0.1)
        if budget.may_hedge(call * 0.1):
            budget.hedged(call * 0.1)
            hedges += 1
    assert 450 <= hedges <= 500


def test_the_delay_is_unknown_before_twenty_samples() -> None:
    sketch = DecayingSketch()
    for _ in range(19):
        sketch.add(1.0, 0.0)
        assert hedge_delay(sketch, 0.0) is None
    sketch.add(1.0, 0.0)
    assert hedge_delay(sketch, 0.0) == pytest.approx(1.0, rel=0.1)


def test_the_delay_is_what_nineteen_of_twenty_stay_below() -> None:
    sketch = DecayingSketch()
    for tick in range(1, 101):
        sketch.add(tick / 10, 0.0)
    assert hedge_delay(sketch, 0.0) == pytest.approx(9.5, rel=0.1)


def test_a_share_above_one_is_refused() -> None:
    with pytest.raises(ValueError, match="hedge budget of 5"):
        HedgeBudget(5)
