import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.cost_guard.report import dollars
from agents.review.report.wording import counted, money_text, seconds_text, time_text


@pytest.mark.parametrize(
    ("nusd", "text"),
    [
        (0, "$0.00"),
        (1, "$0.000000001"),
        (420_000, "$0.00042"),
        (10_000_000, "$0.01"),
        (1_234_567, "$0.0012"),
        (256_700_000, "$0.2567"),
        (1_204_500_000_000, "$1,204.50"),
    ],
)
def test_money(nusd: int, text: str) -> None:
    assert money_text(nusd) == text


@given(st.integers(min_value=0, max_value=10**15))
def test_money_looks_as_in_the_account_of_costs(nusd: int) -> None:
    assert money_text(nusd) == dollars(nusd)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0, "0.00 s"), (9.994, "9.99 s"), (74.12, "74.1 s"), (120.0, "2 min 0 s"), (3_725.4, "62 min 5 s")],
)
def test_seconds(seconds: float, text: str) -> None:
    assert seconds_text(seconds) == text


def test_times_are_in_utc() -> None:
    assert time_text("2026-11-21T05:01:02Z") == "2026-11-21 05:01 UTC"
    assert time_text("2026-11-21T05:01:02.123456+02:00") == "2026-11-21 03:01 UTC"
    assert time_text("yesterday") == "yesterday"


def test_numbers_have_their_noun() -> None:
    assert [counted(number, "file") for number in (0, 1, 2_000)] == ["0 files", "1 file", "2,000 files"]
