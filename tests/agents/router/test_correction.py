import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from agents.router.correction import COUNTED_MIN, MEMORY_S, SAMPLES_MAX, Correction, OutputLengths

BILLS = st.lists(st.tuples(st.integers(1, 100_000), st.floats(0.2, 4.0)), min_size=3, max_size=100)


def learned(ratio: float, times: int = 10, counted: int = 1_000) -> Correction:
    correction = Correction()
    for _ in range(times):
        correction.observe(counted, round(counted * ratio), 0.0)
    return correction


def test_before_three_bills_the_bound_is_reserved() -> None:
    correction = Correction()
    for _ in range(2):
        correction.observe(1_000, 1_200, 0.0)
        assert correction.factor(0.0) is None
        assert correction.corrected(1_000, 9_000, 0.0) == 9_000
    correction.observe(1_000, 1_200, 0.0)
    assert correction.corrected(1_000, 9_000, 0.0) < 2_000


@given(BILLS)
def test_no_bill_among_those_learned_exceeds_what_is_reserved_for_it(bills: list[tuple[int, float]]) -> None:
    correction = Correction()
    recent = []
    for counted, ratio in bills:
        billed = max(1, int(counted * ratio))
        correction.observe(counted, billed, 0.0)
        recent.append((counted, billed))
    for counted, billed in recent[-SAMPLES_MAX:]:
        assert correction.corrected(counted, 1 << 40, 0.0) >= billed


@given(BILLS, st.integers(1, 100_000))
def test_what_is_reserved_grows_with_what_was_counted(bills: list[tuple[int, float]], counted: int) -> None:
    correction = Correction()
    for each, ratio in bills:
        correction.observe(each, max(1, int(each * ratio)), 0.0)
    assert correction.corrected(counted, 1 << 20, 0.0) <= correction.corrected(counted + 1, 1 << 20, 0.0)


def test_it_jumps_up_with_the_first_bill_that_is_larger() -> None:
    correction = learned(1.1)
    before = correction.factor(0.0)
    correction.observe(1_000, 3_000, 0.0)
    after = correction.factor(0.0)
    assert before is not None
    assert after is not None
    assert before < 1.3
    assert after > 3.0


def test_it_comes_down_after_enough_smaller_bills() -> None:
    correction = learned(3.0, times=1)
    for count in range(SAMPLES_MAX):
        factor = correction.factor(0.0)
        assert factor is None or factor > 3.0, count
        correction.observe(1_000, 1_000, 0.0)
    assert correction.corrected(1_000, 0, 0.0) < 1_100


def test_time_alone_does_not_lower_it_within_a_week() -> None:
    correction = learned(2.0)
    assert correction.factor(MEMORY_S - 1) == correction.factor(0.0)
    assert correction.factor(MEMORY_S + 1) is None


def test_what_bills_say_may_exceed_the_bound() -> None:
    assert learned(5.0).corrected(1_000, 4_000, 0.0) > 5_000


@given(st.integers(-5, 0), st.integers(0, 100))
def test_a_bill_without_tokens_teaches_nothing(billed: int, counted: int) -> None:
    correction = Correction()
    for _ in range(5):
        correction.observe(counted, billed, 0.0)
    assert correction.factor(0.0) is None


def test_what_a_template_adds_to_a_tiny_prompt_does_not_spoil_the_factor() -> None:
    correction = learned(1.0, times=5)
    for _ in range(3):
        correction.observe(5, 45, 0.0)
    factor = correction.factor(0.0)
    assert factor is not None
    assert factor < 1.2
    assert correction.corrected(5, 0, 0.0) >= 45
    assert correction.corrected(5, 0, 0.0) <= 1.2 * COUNTED_MIN + 9


def test_answers_are_expected_as_usual_before_any_came() -> None:
    lengths = OutputLengths(usual=200.0)
    assert lengths.expected(0.0) == 200.0
    assert lengths.quantile(0.9, 0.0) == 0.0


@given(st.lists(st.integers(1, 100_000), min_size=1, max_size=60), st.floats(0, 1))
def test_lengths_of_answers_are_learned(tokens: list[int], q: float) -> None:
    lengths = OutputLengths()
    for each in tokens:
        lengths.observe(each, 0.0)
    assert min(tokens) * 0.95 <= lengths.quantile(q, 0.0) <= max(tokens) * 1.05
    mean = sum(tokens) / len(tokens)
    assume(mean != 300)
    assert min(mean, 300) - 1e-6 <= lengths.expected(0.0) <= max(mean, 300) + 1e-6


def test_many_answers_outweigh_what_is_usual() -> None:
    lengths = OutputLengths()
    for _ in range(300):
        lengths.observe(20, 0.0)
    assert lengths.expected(0.0) == pytest.approx(20, abs=3)
    lengths.observe(0, 0.0)
    assert lengths.weight(0.0) == pytest.approx(300)


def test_what_short_prompts_teach_is_not_believed_of_long_ones() -> None:
    correction = Correction()
    for _ in range(300):
        correction.observe(9, 2, 0.0)
    assert correction.corrected(7_500, 30_000, 0.0) == 30_000
    for _ in range(3):
        correction.observe(7_500, 7_502, 0.0)
    for _ in range(300):
        correction.observe(9, 2, 0.0)
    assert 7_502 <= correction.corrected(7_500, 30_000, 0.0) < 10_000
    assert correction.corrected(60, 300, 0.0) >= 60, "one of the same size may be billed in full"
