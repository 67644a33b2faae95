"""What is learned of models: how long answers take and are, without being fooled by what was given up."""

from agents.router.learned import (
    FRESH_S,
    GAP_S,
    MAX_TOKENS_LEAST,
    MAX_TOKENS_UNKNOWN,
    Learned,
    ModelLearned,
)
from agents.router.offers import Offer
from schemas.llm import Purpose, Usage

NOW_S = 1_000.0
QUICK, NEW = Offer(provider="a", model="quick"), Offer(provider="b", model="new")


def bill(learned: Learned, offer: Offer, output_tokens: int, times: int = 50) -> None:
    for _ in range(times):
        usage = Usage(input_tokens=100, output_tokens=output_tokens)
        learned.model(offer).billed(Purpose.DEFAULT, 100, usage, was_cut=False, now_s=NOW_S)


def test_nothing_is_said_of_a_model_that_hardly_answered() -> None:
    model = Learned().model(QUICK)
    assert model.timing(1.0, 100, NOW_S) == (None, 0.0)
    for _ in range(4):
        model.answered(0.1, 0.0, 100, NOW_S)
    assert model.timing(1.0, 100, NOW_S) == (None, 0.0)


def test_timing_agrees_with_its_two_parts() -> None:
    model = Learned().model(QUICK)
    for number in range(200):
        model.answered(0.1 + number / 1_000, 0.0, 100, NOW_S)
    for _ in range(2):
        p, median_s = model.timing(0.2, 100, NOW_S)
        assert p == model.p_in_time(0.2, 100, NOW_S)
        assert median_s == model.median_s(100, NOW_S)
    assert p is not None
    assert 0.4 < p < 0.6


def test_estimates_follow_new_samples_within_milliseconds() -> None:
    model = Learned().model(QUICK)
    for _ in range(100):
        model.answered(0.1, 0.0, 100, NOW_S)
    quick, _ = model.timing(0.2, 100, NOW_S)
    for _ in range(300):
        model.answered(3.0, 0.0, 100, NOW_S)
    slow, _ = model.timing(0.2, 100, NOW_S + 2 * FRESH_S)
    assert quick is not None
    assert slow is not None
    assert quick > 0.9
    assert slow < 0.3


def test_an_unknown_model_is_expected_to_answer_as_long_as_the_others_do() -> None:
    learned = Learned()
    before = learned.model(NEW).lengths_of(Purpose.DEFAULT, NOW_S)
    bill(learned, QUICK, 20)
    after = learned.model(NEW).lengths_of(Purpose.DEFAULT, NOW_S)
    assert before.expected == 300
    assert after.expected < 50
    assert after.usual_max == MAX_TOKENS_UNKNOWN, "its own answers may be longer: nothing is cut on a guess"
    assert after.least_max == MAX_TOKENS_LEAST


def test_limits_on_answers_follow_from_known_lengths() -> None:
    learned = Learned()
    bill(learned, QUICK, 400)
    lengths = learned.model(QUICK).lengths_of(Purpose.DEFAULT, NOW_S)
    assert 570 < lengths.usual_max < 630
    assert 380 < lengths.least_max < 420
    assert 380 < lengths.expected < 420


def test_what_was_given_up_counts_as_slower_than_it_was_waited_for() -> None:
    model = Learned().model(QUICK)
    for _ in range(20):
        model.answered(0.1, 0.0, 100, NOW_S)
    known = model.p_in_time(0.2, 100, NOW_S)
    model.took_longer_than(0.01, 100, NOW_S)
    assert model.p_in_time(0.2, 100, NOW_S) == known, "giving up at once says nothing"
    for _ in range(20):
        model.took_longer_than(0.2, 100, NOW_S)
    late = model.p_in_time(0.2, 100, NOW_S)
    assert known is not None
    assert late is not None
    assert late < 0.6 < known


def test_a_timeout_is_the_models_fault_only_beyond_what_it_usually_takes() -> None:
    model = Learned().model(QUICK)
    assert not model.is_late(0.1, NOW_S)
    assert model.is_late(5.0, NOW_S)
    for _ in range(20):
        model.answered(0.1, 0.0, 100, NOW_S)
    assert not model.is_late(0.05, NOW_S)
    assert model.is_late(0.5, NOW_S)


def test_what_nobody_asked_for_a_while_is_unknown_again_and_soon_known_anew() -> None:
    learned = ModelLearned(QUICK)
    for number in range(50):
        learned.answered(9.0, 0.0, 20, 1_000.0 + number)
    assert learned.timing(1.0, 20, 1_060.0)[0] is not None
    later_s = 1_050.0 + GAP_S
    assert learned.timing(1.0, 20, later_s) == (None, 0.0)
    for number in range(6):
        learned.answered(0.2, 0.0, 20, later_s + number)
    p_in_time, median_s = learned.timing(1.0, 20, later_s + 6)
    assert p_in_time is not None
    assert p_in_time > 0.7
    assert median_s < 0.25


def test_a_stream_that_was_given_up_makes_the_next_hedge_wait_longer() -> None:
    learned = ModelLearned(QUICK)
    for number in range(30):
        learned.answered(1.0, 0.1, 20, 1_000.0 + number * 0.01)
    before_s = learned.hedge_delay_s(is_stream=True, output_tokens=20, now_s=1_001.0)
    for _ in range(5):
        learned.took_longer_than(2.0, 20, 1_001.0, is_stream=True)
    after_s = learned.hedge_delay_s(is_stream=True, output_tokens=20, now_s=1_001.0)
    assert before_s is not None
    assert after_s is not None
    assert after_s > 2.0 > before_s
