"""Advice comes from the records, with its numbers, or not at all."""

from collections.abc import Iterable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.cost_guard.advice import CALLS_MIN, Advice, advise
from agents.cost_guard.evidence import KEYS_MAX, REPEATS_KEPT_MAX, Evidence, Fit
from schemas.cost import CallRecord, Outcome
from schemas.llm import Usage

PAID = CallRecord(
    call_id="c",
    at="2026-11-03T10:00:00Z",
    agent="reviewer",
    purpose="default",
    provider="openai",
    model="gpt-4o",
    usage=Usage(input_tokens=1_000, output_tokens=100),
    cost_nusd=1_000_000,
    latency_s=0.8,
)


def record(**changes: object) -> CallRecord:
    return msgspec.structs.replace(PAID, **changes)


def local(**changes: object) -> CallRecord:
    return record(provider="ollama", model="qwen2:7b", is_local=True, cost_nusd=0, **changes)


def advice_for(records: Iterable[CallRecord]) -> dict[str, Advice]:
    evidence = Evidence()
    for one in records:
        evidence.add(one)
    return {one.title: one for one in advise(evidence)}


def test_too_few_calls_give_one_line_that_says_so() -> None:
    [one] = advice_for([record()] * 3).values()
    assert (one.text, one.is_enough, one.saving_nusd) == ("not enough calls yet (3 of 20)", False, 0)


def test_calls_that_need_nothing_get_no_advice() -> None:
    assert advice_for([record()] * 50) == {}


class TestMovingToALocalModel:
    TITLE = "move calls to a local model"

    def test_what_a_local_model_answers_reliably_need_not_be_paid(self) -> None:
        one = advice_for([local()] * 38 + [local(outcome=Outcome.EMPTY)] * 2 + [record()] * 10)[self.TITLE]
        assert one.saving_nusd == 10 * 1_000_000
        assert "95% of 40 calls" in one.text
        assert "10 more (20%)" in one.text
        assert "$0.01" in one.text

    def test_a_local_model_that_fails_too_often_is_not_praised(self) -> None:
        records = [local()] * 37 + [local(outcome=Outcome.OFF_SCHEMA)] * 3 + [record()] * 10
        assert self.TITLE not in advice_for(records)

    def test_too_few_local_calls_are_said(self) -> None:
        one = advice_for([local()] * 19 + [record()] * 10)[self.TITLE]
        assert one.text == f"not enough calls yet (19 of {CALLS_MIN})"

    def test_other_agents_and_purposes_prove_nothing(self) -> None:
        assert self.TITLE not in advice_for([local(agent="other")] * 40 + [record()] * 10)
        assert self.TITLE not in advice_for([local(purpose="creative")] * 40 + [record()] * 10)


class TestCheaperModels:
    TITLE = "use a cheaper model for the same purpose"

    @staticmethod
    def calls(
        model: str, input_nusd: int, output_nusd: int, failed: int = 0, n: int = 40
    ) -> list[CallRecord]:
        out = []
        for number in range(n):
            tokens_in, tokens_out = 500 + 10 * number, 300 - 5 * number
            out.append(
                record(
                    model=model,
                    usage=Usage(input_tokens=tokens_in, output_tokens=tokens_out),
                    cost_nusd=tokens_in * input_nusd + tokens_out * output_nusd,
                    outcome=Outcome.OFF_SCHEMA if number < failed else Outcome.ANSWERED,
                )
            )
        return out

    def test_the_saving_is_the_same_tokens_at_the_cheaper_models_prices(self) -> None:
        dear, cheap = self.calls("dear", 2_500, 10_000), self.calls("cheap", 150, 600)
        one = advice_for(dear + cheap)[self.TITLE]
        spent = sum(call.cost_nusd for call in dear)
        would = sum(call.cost_nusd for call in cheap)
        assert one.saving_nusd == pytest.approx(spent - would, rel=1e-6)
        assert "openai/cheap answered 100% of 40 calls" in one.text

    def test_a_cheaper_model_that_answers_less_often_is_not_proposed(self) -> None:
        assert self.TITLE not in advice_for(
            self.calls("dear", 2_500, 10_000) + self.calls("cheap", 150, 600, failed=2)
        )

    def test_models_are_compared_for_the_same_purpose_alone(self) -> None:
        cheap = [msgspec.structs.replace(one, purpose="creative") for one in self.calls("cheap", 150, 600)]
        assert self.TITLE not in advice_for(self.calls("dear", 2_500, 10_000) + cheap)

    def test_too_few_calls_of_the_second_model_are_said(self) -> None:
        few = self.calls("cheap", 150, 600, n=7)
        one = advice_for(self.calls("dear", 2_500, 10_000) + few)[self.TITLE]
        assert "(7 of 20)" in one.text


class TestFailures:
    TITLE = "stop paying for answers that nobody can use"

    def test_spend_on_failures_is_named_by_model_with_the_part_off_the_schema(self) -> None:
        records = (
            [record()] * 30 + [record(outcome=Outcome.OFF_SCHEMA)] * 6 + [record(outcome=Outcome.EMPTY)] * 4
        )
        one = advice_for(records)[self.TITLE]
        assert one.saving_nusd == 10_000_000
        assert "openai/gpt-4o: 10 of 40 calls (25%)" in one.text
        assert "6 of them off the schema ($0.0060)" in one.text

    def test_a_rare_failure_is_nothing_to_write_about(self) -> None:
        assert self.TITLE not in advice_for([record()] * 39 + [record(outcome=Outcome.EMPTY)])

    def test_calls_that_were_called_off_are_no_failures(self) -> None:
        assert self.TITLE not in advice_for([record()] * 20 + [record(outcome=Outcome.CANCELLED)] * 20)


class TestCache:
    TITLE = "let repeats come from the cache"

    def test_calls_that_look_like_an_earlier_one_are_a_bound_not_a_promise(self) -> None:
        records = [record(counted_tokens=900 + number) for number in range(20)]
        records += [record(counted_tokens=900)] * 5 + [record(outcome=Outcome.CACHED, cost_nusd=0)] * 2
        one = advice_for(records)[self.TITLE]
        assert (one.saving_nusd, one.is_at_most) == (5_000_000, True)
        assert "2 answers came from the cache; 5 paid calls look like an earlier one" in one.text

    def test_short_inputs_and_those_over_an_hour_apart_are_no_repeats(self) -> None:
        assert self.TITLE not in advice_for([record(counted_tokens=50)] * 30)
        hours = [
            record(counted_tokens=900, at=f"2026-11-0{1 + n // 24}T{n % 24:02}:00:00Z") for n in range(30)
        ]
        assert self.TITLE not in advice_for(hours)


class TestHedging:
    TITLE = "hedge less"

    def test_hedges_that_cost_more_than_a_call_for_each_they_won_are_too_many(self) -> None:
        won = [record(is_hedge=True)] * 2
        lost = [record(is_hedge=True, outcome=Outcome.HEDGE_LOST)] * 20
        one = advice_for([record()] * 20 + won + lost)[self.TITLE]
        assert one.saving_nusd == 20_000_000
        assert "2 of 22 hedges answered first" in one.text

    def test_hedges_that_win_are_left_alone(self) -> None:
        won = [record(is_hedge=True)] * 15
        lost = [record(is_hedge=True, outcome=Outcome.HEDGE_LOST, cost_nusd=500_000)] * 10
        assert self.TITLE not in advice_for([record()] * 20 + won + lost)

    def test_too_few_hedges_are_said(self) -> None:
        lost = [record(is_hedge=True, outcome=Outcome.HEDGE_LOST)] * 4
        assert "(4 of 20)" in advice_for([record()] * 20 + lost)[self.TITLE].text


def test_unknown_charges_are_named() -> None:
    one = advice_for([record()] * 30 + [record(outcome=Outcome.UNKNOWN, cost_nusd=5_000_000)])[
        "look into charges that nobody knows"
    ]
    assert (one.saving_nusd, one.is_at_most) == (5_000_000, True)
    assert "1 of 31 calls" in one.text


class TestLimits:
    TITLE = "ask for shorter answers"

    def test_limits_far_above_what_answers_take_are_named_and_save_no_money_by_themselves(self) -> None:
        one = advice_for([record(max_tokens=4_096, reserved_nusd=9_000_000)] * 30)[self.TITLE]
        assert one.saving_nusd == 0
        assert "4,096 on average" in one.text
        assert "$0.27 were held for what cost $0.03" in one.text

    def test_limits_that_fit_are_left_alone(self) -> None:
        assert self.TITLE not in advice_for([record(max_tokens=150, reserved_nusd=1_100_000)] * 30)


def test_prices_are_told_apart_by_calls_of_different_shape() -> None:
    fit = Fit()
    for tokens_in, tokens_out in ((1_000, 10), (10, 1_000), (500, 500)):
        fit.add(tokens_in, tokens_out, 150 * tokens_in + 600 * tokens_out)
    assert fit.price(2_000, 100) == pytest.approx(150 * 2_000 + 600 * 100, rel=1e-9)


def test_prices_of_calls_of_one_shape_are_their_mean() -> None:
    fit = Fit()
    for _ in range(5):
        fit.add(100, 100, 20_000)
    assert fit.price(50, 150) == 20_000
    assert Fit().price(1, 1) == 0


def test_evidence_is_bounded() -> None:
    evidence = Evidence()
    for number in range(REPEATS_KEPT_MAX + 500):
        evidence.add(
            record(agent=f"a{number}", model=f"m{number}", counted_tokens=1_000 + number, max_tokens=9)
        )
    assert len(evidence.paid) == len(evidence.models) == len(evidence.limits) == KEYS_MAX
    assert len(evidence._seen) == REPEATS_KEPT_MAX
    assert evidence.total.calls == REPEATS_KEPT_MAX + 500


@given(
    st.lists(
        st.builds(
            record,
            outcome=st.sampled_from(Outcome),
            is_local=st.booleans(),
            is_hedge=st.booleans(),
            model=st.sampled_from("ab"),
            cost_nusd=st.integers(0, 10**9),
            reserved_nusd=st.integers(0, 10**9),
            max_tokens=st.integers(0, 10**4),
            counted_tokens=st.integers(0, 400),
            at=st.sampled_from(["", "nonsense", "2026-11-03T10:00:00Z"]),
            usage=st.builds(Usage, input_tokens=st.integers(0, 10**5), output_tokens=st.integers(0, 10**5)),
        ),
        max_size=120,
    )
)
def test_no_single_saving_is_more_than_everything_that_was_spent(records: list[CallRecord]) -> None:
    spent = sum(one.cost_nusd for one in records)
    for one in advice_for(records).values():
        assert 0 <= one.saving_nusd <= spent
        assert one.title
        assert one.text
        assert "\n" not in one.text
