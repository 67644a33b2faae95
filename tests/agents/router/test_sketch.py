import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.router.sketch import LEAST_S, MOST_S, DecayingSketch

DURATIONS = st.floats(LEAST_S, MOST_S)
NOW_S = 1_700_000_000.0


def sketch_of(values: list[float], now_s: float = NOW_S) -> DecayingSketch:
    sketch = DecayingSketch()
    for value in values:
        sketch.add(value, now_s)
    return sketch


def test_an_empty_sketch_knows_nothing() -> None:
    sketch = DecayingSketch()
    assert sketch.quantile(0.5, NOW_S) == 0.0
    assert sketch.probability_at_most(1.0, NOW_S) == 0.5
    assert sketch.weight(NOW_S) == 0.0
    assert sketch.mean(NOW_S) == 0.0


@given(st.lists(DURATIONS, min_size=1, max_size=60), st.floats(0, 1))
def test_quantiles_are_within_five_percent_of_the_exact_ones(values: list[float], q: float) -> None:
    exact = sorted(values)[max(0, math.ceil(q * len(values) - 1e-9) - 1)]
    assert sketch_of(values).quantile(q, NOW_S) == pytest.approx(exact, rel=0.05)


@given(st.lists(DURATIONS, min_size=1, max_size=30), st.floats(0, 1), st.floats(0, 1))
def test_quantiles_grow_with_the_share(values: list[float], one: float, other: float) -> None:
    sketch = sketch_of(values)
    assert sketch.quantile(min(one, other), NOW_S) <= sketch.quantile(max(one, other), NOW_S)


@given(st.lists(DURATIONS, max_size=30), st.floats(0, 2 * MOST_S), st.floats(0, 2 * MOST_S))
def test_more_time_never_makes_an_answer_in_time_less_likely(
    values: list[float], one: float, other: float
) -> None:
    sketch = sketch_of(values)
    low = sketch.probability_at_most(min(one, other), NOW_S)
    high = sketch.probability_at_most(max(one, other), NOW_S)
    assert 0 < low <= high + 1e-12
    assert high < 1


@given(st.lists(DURATIONS, min_size=1, max_size=40), DURATIONS)
def test_the_probability_is_the_share_of_the_values_with_a_prior_of_one(
    values: list[float], limit: float
) -> None:
    likely = sketch_of(values).probability_at_most(limit, NOW_S)
    surely_within = sum(value <= limit / 1.09 for value in values)
    maybe_within = sum(value <= limit * 1.09 for value in values)
    assert (surely_within + 0.5) / (len(values) + 1) <= likely + 1e-9
    assert likely <= (maybe_within + 0.5) / (len(values) + 1) + 1e-9


def test_ten_of_ten_in_time_is_not_certainty() -> None:
    assert sketch_of([0.5] * 10).probability_at_most(1.0, NOW_S) == pytest.approx(10.5 / 11)


def test_weight_halves_with_each_half_life() -> None:
    sketch = sketch_of([1.0] * 8)
    assert sketch.weight(NOW_S + 600) == pytest.approx(4.0)
    assert sketch.weight(NOW_S + 1800) == pytest.approx(1.0)
    assert sketch.probability_at_most(2.0, NOW_S + 1e6) == pytest.approx(0.5)
    assert sketch.quantile(0.5, NOW_S + 1e6) == 0.0


def test_what_is_new_outweighs_what_is_old() -> None:
    sketch = sketch_of([1.0] * 100)
    for _ in range(100):
        sketch.add(10.0, NOW_S + 3600)
    assert sketch.quantile(0.1, NOW_S + 3600) == pytest.approx(10.0, rel=0.05)


@given(st.lists(st.tuples(DURATIONS, st.floats(0, 10_000)), min_size=2, max_size=50))
def test_scaling_back_changes_nothing_that_can_be_seen(samples: list[tuple[float, float]]) -> None:
    sketch = DecayingSketch(half_life_s=10.0)
    now_s = NOW_S
    exact = 0.0
    for value, gap_s in samples:
        now_s += gap_s
        exact = exact * 2 ** -(gap_s / 10.0) + 1.0
        sketch.add(value, now_s)
    assert sketch.weight(now_s) == pytest.approx(exact, rel=1e-6)
    assert sketch.quantile(1.0, now_s) > 0


def test_a_clock_that_went_back_does_no_harm() -> None:
    sketch = sketch_of([1.0] * 4)
    sketch.add(1.0, NOW_S - 1e6)
    assert sketch.weight(NOW_S - 1e6) == pytest.approx(5.0)


def test_values_outside_the_range_count_as_its_ends() -> None:
    sketch = sketch_of([0.0, -1.0, 1e9, math.inf])
    assert sketch.quantile(0.0, NOW_S) == pytest.approx(LEAST_S, rel=0.05)
    assert sketch.quantile(1.0, NOW_S) == pytest.approx(MOST_S, rel=0.05)


def test_not_a_number_is_refused() -> None:
    with pytest.raises(ValueError, match="NaN"):
        sketch_of([math.nan])


def test_a_sketch_without_half_life_is_refused() -> None:
    with pytest.raises(ValueError, match="half-life 0"):
        DecayingSketch(half_life_s=0)


@given(st.lists(DURATIONS, min_size=1, max_size=30))
def test_the_mean_is_exact(values: list[float]) -> None:
    assert sketch_of(values).mean(NOW_S + 60) == pytest.approx(sum(values) / len(values))


def test_the_mean_forgets_with_the_weights() -> None:
    sketch = DecayingSketch(half_life_s=1.0)
    sketch.add(1.0, NOW_S)
    sketch.add(3.0, NOW_S + 70)
    assert sketch.mean(NOW_S + 70) == pytest.approx(3.0)
