"""Sums over call records: nothing lost, nothing counted twice, and never more memory than groups."""

import random
import statistics

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.cost_guard.report import (
    BUCKET_MAX,
    BYS,
    NAMELESS,
    OTHERS,
    Histogram,
    Report,
    dollars,
    group_of,
    model_name,
)
from schemas.cost import CallRecord, Outcome
from schemas.llm import Usage

PAID = CallRecord(
    call_id="c",
    at="2026-11-03T10:00:00Z",
    task_id="t1",
    tenant="acme",
    agent="reviewer",
    purpose="default",
    provider="openai",
    model="gpt-4o-mini",
    usage=Usage(input_tokens=1_000, output_tokens=100),
    cost_nusd=210_000,
    latency_s=0.8,
)


def record(**changes: object) -> CallRecord:
    return msgspec.structs.replace(PAID, **changes)


records = st.builds(
    record,
    outcome=st.sampled_from(Outcome),
    provider=st.sampled_from(["openai", "ollama", ""]),
    model=st.sampled_from(["a", "b", ""]),
    task_id=st.sampled_from(["", *(f"t{n}" for n in range(20))]),
    is_local=st.booleans(),
    is_hedge=st.booleans(),
    cost_nusd=st.integers(0, 10**12),
    price_nusd_if_cloud=st.integers(0, 10**12),
    latency_s=st.floats(0, 1e6),
    usage=st.builds(Usage, input_tokens=st.integers(0, 10**6), output_tokens=st.integers(0, 10**6)),
)


@given(st.lists(records, max_size=60), st.sampled_from(BYS), st.integers(1, 5))
def test_the_rows_add_up_to_the_total_however_few_groups_there_may_be(
    many: list[CallRecord], by: str, groups_max: int
) -> None:
    report = Report(by, groups_max=groups_max)  # type: ignore[arg-type]
    for one in many:
        report.add(one)
    rows, total = report.rows(), report.totals()
    assert len(rows) <= groups_max + 1
    for field in ("calls", "answered", "cached", "failed", "cost_nusd", "saved_nusd", "input_tokens"):
        assert sum(getattr(row, field) for row in rows) == getattr(total, field)
    assert total.calls == len(many)
    assert total.cost_nusd == sum(one.cost_nusd for one in many)
    if total.cost_nusd:
        assert sum(row.cost_share for row in rows) == pytest.approx(1.0)


def test_each_outcome_is_counted_where_it_belongs() -> None:
    report = Report("model")
    for outcome in Outcome:
        report.add(record(outcome=outcome, cost_nusd=0 if outcome is Outcome.CACHED else 1_000))
    total = report.totals()
    assert (total.calls, total.answered, total.cached) == (len(Outcome), 1, 1)
    assert (total.failed, total.cancelled, total.unknown) == (6, 1, 1)
    assert total.cost_nusd == 1_000 * (len(Outcome) - 1)
    assert total.wasted_nusd == 1_000 * (len(Outcome) - 2), "all but the answer and the cached one"


def test_cache_and_local_models_save_what_the_cloud_would_have_cost_and_their_failures_save_nothing() -> None:
    report = Report("provider")
    free = {"provider": "ollama", "is_local": True, "cost_nusd": 0, "price_nusd_if_cloud": 500}
    report.add(record(**free))
    report.add(record(**free, outcome=Outcome.FAILED))
    report.add(record(outcome=Outcome.CACHED, cost_nusd=0, price_nusd_if_cloud=70))
    report.add(record(price_nusd_if_cloud=9_999))
    assert report.totals().saved_nusd == 570
    assert report.totals().local_calls == 2


def test_tokens_of_cached_answers_are_not_counted_again() -> None:
    report = Report("provider")
    report.add(record())
    report.add(record(outcome=Outcome.CACHED, cost_nusd=0))
    assert (report.totals().input_tokens, report.totals().output_tokens) == (1_000, 100)


def test_the_dearest_group_comes_first_days_in_their_order_and_the_rest_last() -> None:
    by_model, by_day = Report("model", groups_max=2), Report("day")
    for model, cost, day in (("cheap", 1, "02"), ("dear", 9, "01"), ("late", 100, "03")):
        one = record(model=model, cost_nusd=cost, at=f"2026-11-{day}T00:00:00Z")
        by_model.add(one)
        by_day.add(one)
    assert [row.name for row in by_model.rows()] == ["openai/dear", "openai/cheap", OTHERS]
    assert [row.name for row in by_day.rows()] == ["2026-11-01", "2026-11-02", "2026-11-03"]


def test_a_group_without_a_name_has_one_all_the_same() -> None:
    assert {group_of(CallRecord(call_id="c"), by) for by in BYS} == {NAMELESS}


def test_a_model_says_its_provider_once() -> None:
    assert model_name(record()) == "openai/gpt-4o-mini"
    assert model_name(record(model="openai/gpt-4o-mini")) == "openai/gpt-4o-mini"
    assert model_name(record(provider="openrouter", model="openai/gpt-4o")) == "openrouter/openai/gpt-4o"
    assert model_name(record(provider="", model="x")) == "x"


def test_quantiles_are_within_five_percent_whatever_the_scale() -> None:
    chance = random.Random(7)
    values = [chance.lognormvariate(0, 1.5) for _ in range(20_000)]
    histogram = Histogram(smallest=0.001)
    for value in values:
        histogram.add(value)
    cuts = statistics.quantiles(values, n=100)
    assert histogram.quantile(0.5) == pytest.approx(cuts[49], rel=0.05)
    assert histogram.quantile(0.95) == pytest.approx(cuts[94], rel=0.05)


@given(st.lists(st.floats(0, 1e300), min_size=1, max_size=50))
def test_a_histogram_is_bounded_and_its_quantiles_grow(values: list[float]) -> None:
    histogram = Histogram(smallest=0.001)
    for value in values:
        histogram.add(value)
    assert len(histogram.counts) <= BUCKET_MAX + 1
    quantiles = [histogram.quantile(share / 10) for share in range(11)]
    assert quantiles == sorted(quantiles)


def test_a_histogram_of_nothing_says_nothing() -> None:
    assert Histogram(smallest=1.0).quantile(0.5) == 0.0


def test_the_latency_of_failures_and_cached_answers_does_not_count() -> None:
    report = Report("model")
    for outcome in (Outcome.FAILED, Outcome.CACHED, Outcome.HEDGE_LOST):
        report.add(record(outcome=outcome, latency_s=100.0))
    report.add(record(latency_s=2.0))
    assert report.totals().latency_p95_s == pytest.approx(2.0, rel=0.05)


@pytest.mark.parametrize(
    ("nusd", "text"),
    [
        (0, "$0.00"),
        (1, "$0.000000001"),
        (69_000, "$0.000069"),
        (4_200_000, "$0.0042"),
        (20_000_000, "$0.02"),
        (42_500_000, "$0.0425"),
        (420_000_000, "$0.42"),
        (12_300_000_000, "$12.30"),
        (1_234_567_890_000, "$1,234.57"),
    ],
)
def test_small_amounts_are_not_rounded_to_nothing(nusd: int, text: str) -> None:
    assert dollars(nusd) == text


def test_a_report_goes_into_json_as_it_is() -> None:
    report = Report("model")
    report.add(record())
    [row] = msgspec.json.decode(msgspec.json.encode(report.rows()))
    assert row["name"] == "openai/gpt-4o-mini"
    assert row["cost_nusd"] == 210_000
