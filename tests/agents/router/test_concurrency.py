from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from agents.router.concurrency import AdaptiveLimit, ReleaseOutcome


def a_round(limit: AdaptiveLimit, outcome: ReleaseOutcome, now_s: float) -> int:
    """As many requests at once as it lets, all ending alike; how many these were."""
    count = 0
    while limit.try_acquire():
        count += 1
    for _ in range(count):
        limit.release(outcome, 1.0, now_s)
    return count


def test_no_more_than_the_limit_are_in_flight() -> None:
    limit = AdaptiveLimit(64, start=3)
    assert [limit.try_acquire() for _ in range(4)] == [True, True, True, False]
    assert limit.in_flight == 3


def test_rounds_that_use_it_up_raise_it_by_about_one_each() -> None:
    limit = AdaptiveLimit(64, start=4)
    for now_s in range(20):
        a_round(limit, "ok", float(now_s))
    assert 6 <= limit.limit <= 24


def test_it_grows_only_when_it_was_the_bottleneck() -> None:
    limit = AdaptiveLimit(64, start=4)
    for now_s in range(100):
        assert limit.try_acquire()
        limit.release("ok", 1.0, float(now_s))
    assert limit.limit == 4


def test_a_round_of_overload_cuts_it_once() -> None:
    limit = AdaptiveLimit(64, start=20)
    assert a_round(limit, "overload", 100.0) == 20
    assert limit.limit == 14


def test_overload_in_the_next_round_cuts_it_again() -> None:
    limit = AdaptiveLimit(64, start=20)
    a_round(limit, "overload", 100.0)
    a_round(limit, "overload", 101.0)
    assert limit.limit == 9


def test_it_never_falls_below_one_nor_grows_above_the_maximum() -> None:
    limit = AdaptiveLimit(5)
    for now_s in range(0, 100, 2):
        a_round(limit, "overload", float(now_s))
    assert limit.limit == 1
    for now_s in range(100, 500):
        a_round(limit, "ok", float(now_s))
    assert limit.limit == 5


def test_after_an_outage_it_doubles_each_round() -> None:
    limit = AdaptiveLimit(64, start=40)
    limit.restart()
    rounds = [a_round(limit, "ok", float(now_s)) for now_s in range(8)]
    assert rounds[0] == 1
    assert all(later <= 2 * earlier for earlier, later in pairwise(rounds))
    assert rounds[6] >= 32
    assert rounds[-1] <= 64


def test_overload_ends_the_doubling() -> None:
    limit = AdaptiveLimit(64, start=40)
    limit.restart()
    for now_s in range(5):
        a_round(limit, "ok", float(now_s))
    a_round(limit, "overload", 10.0)
    cut = limit.limit
    a_round(limit, "ok", 11.0)
    assert limit.limit <= cut + 1


def test_restarting_with_requests_in_flight_lets_none_more_until_they_are_over() -> None:
    limit = AdaptiveLimit(64, start=4)
    while limit.try_acquire():
        pass
    limit.restart()
    assert not limit.try_acquire()
    for _ in range(4):
        limit.release("other", 1.0, 1.0)
    assert limit.try_acquire()


def test_successes_of_requests_sent_before_a_restart_do_not_raise_it() -> None:
    limit = AdaptiveLimit(64, start=4)
    while limit.try_acquire():
        pass
    limit.restart()
    for _ in range(4):
        limit.release("ok", 1.0, 1.0)
    assert limit.limit == 1


def test_releasing_what_was_never_acquired_is_an_error() -> None:
    with pytest.raises(RuntimeError, match="never acquired"):
        AdaptiveLimit(4).release("ok", 1.0, 1.0)


@given(st.integers(-3, 0))
def test_a_provider_that_takes_no_request_is_refused(maximum: int) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        AdaptiveLimit(maximum)


class AnyUse(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.limit = AdaptiveLimit(9)
        self.out = 0
        self.now_s = 0.0

    @rule()
    def acquire(self) -> None:
        has_room = self.out < self.limit.limit
        assert self.limit.try_acquire() is has_room
        self.out += has_room

    @precondition(lambda self: self.out)
    @rule(
        outcome=st.sampled_from(["ok", "overload", "other"]), latency_s=st.floats(0, 5), gap_s=st.floats(0, 5)
    )
    def release(self, outcome: ReleaseOutcome, latency_s: float, gap_s: float) -> None:
        self.now_s += gap_s
        self.limit.release(outcome, latency_s, self.now_s)
        self.out -= 1

    @rule()
    def restart(self) -> None:
        self.limit.restart()

    @invariant()
    def holds(self) -> None:
        assert self.limit.in_flight == self.out
        assert 1 <= self.limit.limit <= 9


TestAnyUse = AnyUse.TestCase
