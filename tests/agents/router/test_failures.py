import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.router.failures import RULES, worth_trying
from agents.router.upstream import FailureKind

TIMES = st.floats(0, 1e6)


def test_every_kind_of_failure_has_a_rule() -> None:
    assert set(RULES) == set(FailureKind)


@pytest.mark.parametrize("kind", FailureKind)
def test_what_is_dropped_is_not_tried_here_again(kind: FailureKind) -> None:
    assert not (RULES[kind].try_again_here and RULES[kind].drops != "nothing")


@pytest.mark.parametrize("kind", [FailureKind.CONTENT_REFUSED, FailureKind.BAD_REQUEST])
def test_a_bad_request_is_tried_nowhere_again(kind: FailureKind) -> None:
    assert not RULES[kind].try_again_here
    assert not RULES[kind].try_elsewhere


@pytest.mark.parametrize("kind", [FailureKind.RATE_LIMITED, FailureKind.TIMEOUT])
def test_overload_lowers_the_number_of_requests_at_once(kind: FailureKind) -> None:
    assert RULES[kind].counts_as_overload


@pytest.mark.parametrize("kind", FailureKind)
def test_overload_is_a_matter_of_the_providers_health(kind: FailureKind) -> None:
    assert RULES[kind].trips_breaker or not RULES[kind].counts_as_overload


@given(TIMES, TIMES, TIMES, TIMES)
def test_a_retry_is_worth_it_only_if_a_median_answer_comes_in_time(
    now_s: float, deadline_s: float, pause_s: float, median_s: float
) -> None:
    if worth_trying(now_s, deadline_s, pause_s, median_s):
        assert now_s + pause_s + median_s <= deadline_s * (1 + 1e-9)
        assert worth_trying(now_s, deadline_s + 1, pause_s, median_s)
        assert worth_trying(now_s, deadline_s, pause_s / 2, median_s)


@pytest.mark.parametrize(
    ("pause_s", "median_s", "is_worth_it"),
    [
        (0.0, 1.0, True),
        (1.0, 1.0, True),
        (1.5, 1.0, False),
        (0.0, 0.0, True),
        (2.0, 0.0, False),
        (-5.0, 2.1, False),
    ],
)
def test_pause_and_median_share_the_time_left(pause_s: float, median_s: float, is_worth_it: bool) -> None:
    assert worth_trying(100.0, 102.0, pause_s, median_s) is is_worth_it
