"""The core of limiting: token buckets, addresses, timings, and work behind requests."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st
from until import until

from orchestrator.gateway.parts import Background
from orchestrator.gateway.rates import MINUTE_S, Rates, network_of
from orchestrator.gateway.timings import KEPT_MAX, Timings


@given(
    per_minute=st.integers(1, 500), gaps=st.lists(st.floats(0, 30, allow_nan=False), min_size=1, max_size=300)
)
def test_within_any_minute_at_most_twice_the_limit_passes_and_waiting_always_helps(
    per_minute: int, gaps: list[float]
) -> None:
    rates = Rates(per_minute=per_minute)
    now_s = 0.0
    passed: list[float] = []
    for gap in gaps:
        now_s += gap
        wait_s = rates.take("a", now_s)
        if wait_s == 0:
            passed.append(now_s)
        else:
            now_s += wait_s * (1 + 1e-9)
            assert rates.take("a", now_s) == 0.0
            passed.append(now_s)
    for start in passed:
        assert sum(start <= at < start + MINUTE_S for at in passed) <= 2 * per_minute + 1


def test_a_clock_that_stands_still_or_goes_back_gives_nothing_away() -> None:
    rates = Rates(per_minute=2)
    assert [rates.take("a", at) == 0.0 for at in (10.0, 10.0, 10.0, 5.0)] == [True, True, False, False]


def test_the_table_stays_bounded_and_forgets_whom_it_heard_of_longest_ago() -> None:
    rates = Rates(per_minute=1, buckets_max=3)
    for who in ("a", "b", "c"):
        assert rates.take(who, 0.0) == 0.0
    assert rates.take("a", 0.0) > 0
    assert rates.take("d", 0.0) == 0.0
    assert len(rates) == 3
    assert rates.take("a", 0.0) > 0, "b was forgotten, not a"


@pytest.mark.parametrize(
    ("host", "network"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::1", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
        ("testclient", "testclient"),
    ],
)
def test_one_host_of_ipv6_is_one_whatever_address_it_takes(host: str, network: str) -> None:
    assert network_of(host) == network


def test_quantiles_are_of_the_newest_requests() -> None:
    timings = Timings()
    assert timings.quantile_s(0.5) is None
    for milliseconds in range(100):
        timings.add(milliseconds / 1e3)
    assert timings.quantile_s(0.5) == 0.05
    assert timings.quantile_s(0.95) == 0.095
    assert timings.quantile_s(1.0) == 0.099
    for _ in range(KEPT_MAX):
        timings.add(1.0)
    assert timings.quantile_s(0.0) == 1.0
    assert timings.count == 100 + KEPT_MAX


async def test_work_behind_requests_is_bounded_logged_and_ended(caplog: pytest.LogCaptureFixture) -> None:
    background = Background(tasks_max=2)
    ended: list[str] = []

    async def for_ever() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("cancelled")

    async def fail() -> None:
        raise ValueError("no luck")

    async def quick() -> None:
        ended.append("done")

    assert background.start(for_ever(), "long")
    assert background.start(fail(), "failing")
    assert not background.start(quick(), "too much")
    await until(lambda: len(background) == 1)
    assert "failing failed: ValueError: no luck" in caplog.text
    assert background.start(quick(), "quick")
    await background.close(0.05)
    assert sorted(ended) == ["cancelled", "done"]
    assert not background.start(quick(), "after the end")
    assert len(background) == 0
