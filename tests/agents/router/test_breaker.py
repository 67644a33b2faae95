from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.router.breaker import (
    OPEN_S_MAX,
    PAUSE_LONG_S,
    PAUSE_S_MAX,
    UNLIMITED,
    BreakerState,
    after_failure,
    after_success,
    believable,
    is_half_open,
    is_open,
    merge,
    probes_allowed,
)
from agents.router.failures import RULES
from agents.router.upstream import FailureKind

NOW_S = 1_700_000_000.0
SOFT = [
    FailureKind.SERVER_ERROR,
    FailureKind.TIMEOUT,
    FailureKind.UNREACHABLE,
    FailureKind.CONNECTION_LOST,
    FailureKind.GARBAGE,
]
TIMES = st.integers(0, 50).map(lambda tick: NOW_S + tick)
STEPS = st.lists(
    st.tuples(
        st.sampled_from([*FailureKind, None]),
        TIMES,
        st.sampled_from(["a", "b"]),
        st.floats(0, 9_000) | st.none(),
    ),
    max_size=8,
)


@st.composite
def reachable(draw: st.DrawFn) -> BreakerState:
    """States that come about, also with clocks that go back."""
    state = BreakerState()
    for kind, at_s, router_id, retry_after_s in draw(STEPS):
        if kind is None:
            state = after_success(state, at_s - 1, at_s)
        else:
            state = after_failure(state, kind, at_s, retry_after_s=retry_after_s, router_id=router_id)
    return state


def opened(now_s: float = NOW_S) -> BreakerState:
    state = BreakerState()
    for _ in range(3):
        state = after_failure(state, FailureKind.SERVER_ERROR, now_s, router_id="r1")
    return state


@given(reachable(), reachable())
def test_merging_is_commutative(one: BreakerState, other: BreakerState) -> None:
    assert merge(one, other) == merge(other, one)


@given(reachable(), reachable(), reachable())
def test_merging_is_associative(one: BreakerState, other: BreakerState, third: BreakerState) -> None:
    assert merge(merge(one, other), third) == merge(one, merge(other, third))


@given(reachable(), reachable())
def test_merging_again_changes_nothing(one: BreakerState, other: BreakerState) -> None:
    assert merge(one, one) == one
    both = merge(one, other)
    assert merge(both, other) == both


@given(reachable(), reachable())
def test_open_until_is_the_later_of_both(one: BreakerState, other: BreakerState) -> None:
    assert merge(one, other).open_until_s == max(one.open_until_s, other.open_until_s)


@given(reachable(), st.sampled_from(FailureKind), st.floats(0, 1e9) | st.none())
def test_it_never_opens_for_more_than_an_hour(
    state: BreakerState, kind: FailureKind, retry_after_s: float | None
) -> None:
    now_s = NOW_S + 60
    after = after_failure(state, kind, now_s, retry_after_s=retry_after_s)
    assert after.open_until_s <= now_s + OPEN_S_MAX


@pytest.mark.parametrize("kind", SOFT)
def test_three_failures_in_a_row_open_it(kind: FailureKind) -> None:
    state = BreakerState()
    for count in range(1, 4):
        assert not is_open(state, NOW_S)
        assert probes_allowed(state, NOW_S) == UNLIMITED
        state = after_failure(state, kind, NOW_S, router_id="r1")
        assert state.failures == count
    assert is_open(state, NOW_S + 0.4)
    assert not is_open(state, NOW_S + 0.5)
    assert (state.reason, state.opened_by) == (kind.value, "r1")


def test_a_success_between_failures_starts_the_count_again() -> None:
    state = BreakerState()
    for _ in range(10):
        state = after_failure(state, FailureKind.SERVER_ERROR, NOW_S)
        state = after_failure(state, FailureKind.SERVER_ERROR, NOW_S)
        # Even one that started before: one server of many behind the name may be ill.
        state = after_success(state, NOW_S - 5, NOW_S)
    assert not is_open(state, NOW_S)
    assert state.failures == 0


@pytest.mark.parametrize("kind", [FailureKind.BAD_KEY, FailureKind.OUT_OF_CREDIT])
def test_what_no_retry_helps_opens_it_at_once_and_for_long(kind: FailureKind) -> None:
    assert after_failure(BreakerState(), kind, NOW_S).open_until_s == NOW_S + PAUSE_LONG_S


def test_a_rate_limit_opens_it_for_what_the_provider_asks() -> None:
    state = after_failure(BreakerState(), FailureKind.RATE_LIMITED, NOW_S, retry_after_s=7.0)
    assert state.open_until_s == NOW_S + 7


@pytest.mark.parametrize("first", [FailureKind.SERVER_ERROR, FailureKind.RATE_LIMITED])
def test_each_failed_probe_doubles_the_pause_up_to_a_minute(first: FailureKind) -> None:
    state = opened() if first is FailureKind.SERVER_ERROR else BreakerState()
    now_s = NOW_S
    pauses = []
    for _ in range(12):
        now_s = max(state.open_until_s, now_s)
        state = after_failure(state, first, now_s)
        pauses.append(state.open_until_s - now_s)
    assert pauses[0] == 1.0
    assert all(later == min(2 * earlier, PAUSE_S_MAX) for earlier, later in pairwise(pauses))
    assert pauses[-1] == PAUSE_S_MAX


def test_failures_of_requests_in_flight_do_not_double_the_pause() -> None:
    state = opened()
    for _ in range(64):
        state = after_failure(state, FailureKind.TIMEOUT, NOW_S + 0.1)
    assert state.open_until_s <= NOW_S + 0.6
    assert state.failures == 3


@pytest.mark.parametrize("kind", [kind for kind in FailureKind if not RULES[kind].trips_breaker])
def test_what_is_the_requests_own_fault_leaves_it_alone(kind: FailureKind) -> None:
    assert after_failure(BreakerState(failures=2), kind, NOW_S) == BreakerState(failures=2)


def test_one_probe_goes_through_when_the_pause_is_over_until_a_success() -> None:
    state = opened()
    assert probes_allowed(state, NOW_S) == 0
    later_s = state.open_until_s
    assert is_half_open(state, later_s)
    assert probes_allowed(state, later_s) == 1
    closed = after_success(state, later_s, later_s + 1)
    assert probes_allowed(closed, later_s + 1) == UNLIMITED
    assert closed.failures == 0


@pytest.mark.parametrize("kind", SOFT)
def test_a_single_failed_probe_opens_it_again_whatever_opened_it(kind: FailureKind) -> None:
    state = after_failure(BreakerState(), FailureKind.RATE_LIMITED, NOW_S, retry_after_s=2.0)
    state = after_failure(state, kind, NOW_S + 3)
    assert is_open(state, NOW_S + 3)


def test_an_answer_long_under_way_does_not_close_it() -> None:
    state = opened()
    assert after_success(state, NOW_S - 10, NOW_S + 0.1) == state
    assert is_half_open(after_success(state, NOW_S - 10, NOW_S + 5), NOW_S + 5)


def test_a_success_forgets_the_failures_that_other_routers_still_remember() -> None:
    stale = opened()
    closed = after_success(stale, NOW_S + 1, NOW_S + 2)
    assert probes_allowed(merge(stale, closed), NOW_S + 2) == UNLIMITED


def test_a_failure_after_the_success_counts_again() -> None:
    closed = after_success(opened(), NOW_S + 1, NOW_S + 2)
    failed = after_failure(closed, FailureKind.TIMEOUT, NOW_S + 3)
    assert merge(closed, failed).failures == 1


def test_an_opening_too_far_ahead_is_not_believed() -> None:
    rogue = BreakerState(open_until_s=NOW_S + 1e9, failures=3, reason="timeout", opened_by="wrong clock")
    assert not is_open(rogue, NOW_S)
    assert believable(rogue, NOW_S) == BreakerState()
    assert after_failure(rogue, FailureKind.BAD_KEY, NOW_S).open_until_s == NOW_S + PAUSE_LONG_S
    assert believable(opened(), NOW_S) == opened()
