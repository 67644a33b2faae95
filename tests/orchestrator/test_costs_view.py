"""What `labverse costs` shows: small money that can be seen, a budget bar that is true, and honest emptiness."""

import io
import json
from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from agents.cost_guard.advice import Advice, advise
from agents.cost_guard.evidence import Evidence
from agents.cost_guard.report import BYS, Report
from orchestrator.commands import costs as command
from orchestrator.costs_view import (
    FREE,
    RESERVED,
    SPENT,
    STOP,
    Costs,
    budget_bar,
    budget_figures,
    print_costs,
    spark_line,
)
from orchestrator.main import Parser
from orchestrator.period import Period, period_of
from orchestrator.shell import UserError
from schemas.cost import CallRecord, Outcome, StateReply
from schemas.llm import BudgetState, Usage

HOSTILE = "\x1b[31mred\x1b[0m\n\r\x07[bold]markup[/bold] \u202eevil"
NOW_S = datetime(2026, 11, 18, 15, 30, tzinfo=UTC).timestamp()
DOLLAR = 10**9


def record(**changes: object) -> CallRecord:
    base = CallRecord(
        call_id="c",
        at="2026-11-03T10:00:00Z",
        agent="reviewer",
        provider="openai",
        model="gpt-4o-mini",
        usage=Usage(input_tokens=1_000, output_tokens=100),
        cost_nusd=69_000,
        latency_s=0.8,
    )
    return msgspec.structs.replace(base, **changes)


def costs_of(records: list[CallRecord], by: str = "model", **more: object) -> Costs:
    report, days = Report(by), Report("day")  # type: ignore[arg-type]
    for one in records:
        report.add(one)
        days.add(one)
    return Costs(period="this month", by=report, days=days, **more)  # type: ignore[arg-type]


def shown(costs: Costs, width: int = 160, *, terminal: bool = False) -> str:
    out = io.StringIO()
    console = Console(file=out, width=width, highlight=False, force_terminal=terminal, color_system=None)
    print_costs(console, costs)
    return out.getvalue()


def budget(**changes: object) -> BudgetState:
    base = BudgetState(
        limit="month 2026-11",
        limit_nusd=10 * DOLLAR,
        stop_nusd=9 * DOLLAR,
        spent_nusd=0,
        reserved_nusd=0,
        resets_at="2026-12-01T00:00:00Z",
    )
    return msgspec.structs.replace(base, **changes)


class TestCosts:
    def test_no_calls_yet_is_said_and_no_table_is_drawn(self) -> None:
        text = shown(costs_of([], advice=[]))
        assert "no model calls this month: nothing was spent" in text
        assert "p95" not in text

    def test_a_missing_cost_guard_is_said(self) -> None:
        assert "no cost guard answers" in shown(costs_of([record()]))

    def test_small_money_can_be_seen(self) -> None:
        text = shown(costs_of([record()]))
        assert "$0.000069 for 1 call this month" in text
        assert "$0.00 " not in text

    def test_rows_tell_model_cost_share_and_latency(self) -> None:
        text = shown(costs_of([record()] * 3 + [record(model="dear", cost_nusd=621_000)]))
        lines = text.splitlines()
        [dear] = [line for line in lines if "openai/dear" in line]
        [cheap] = [line for line in lines if "gpt-4o-mini" in line]
        assert lines.index(dear) < lines.index(cheap)
        assert "75%" in dear
        assert "25%" in cheap
        assert "3,000" in cheap
        assert " ms" in cheap

    def test_what_was_saved_wasted_and_unknown_is_said(self) -> None:
        free = record(provider="ollama", is_local=True, cost_nusd=0, price_nusd_if_cloud=4_200_000)
        text = shown(costs_of([record(), free, record(outcome=Outcome.UNKNOWN)]))
        assert "1 local, 1 of unknown charge" in text
        assert "$0.0042 saved" in text
        assert "$0.000069 without an answer" in text

    def test_more_groups_than_fit_are_counted(self) -> None:
        text = shown(costs_of([record(model=f"m{number}") for number in range(40)]))
        assert "(25 of 40; --json has them all)" in text

    def test_days_show_the_newest(self) -> None:
        records = [record(at=f"2026-{9 + n // 28:02}-{1 + n % 28:02}T00:00:00Z") for n in range(40)]
        text = shown(costs_of(records, by="day"))
        table = text[text.index("by day") :]
        assert "2026-10-12" in table
        assert "2026-09-01" not in table

    def test_hostile_names_do_not_reach_the_terminal(self) -> None:
        advice = [Advice(title=HOSTILE, text=HOSTILE, saving_nusd=1)]
        state = StateReply(month=budget(limit=HOSTILE, resets_at=HOSTILE))
        text = shown(costs_of([record(model=HOSTILE, provider=HOSTILE)], budget=state, advice=advice))
        assert "\x1b" not in text
        assert "\u202e" not in text
        assert "\x07" not in text
        assert "[bold]markup[/bold]" in text

    def test_a_stop_is_impossible_to_overlook(self) -> None:
        state = StateReply(month=budget(spent_nusd=9 * DOLLAR), is_stopped=True)
        assert "STOPPED" in shown(costs_of([], budget=state))

    @pytest.mark.parametrize("width", [60, 80, 120])
    def test_no_figure_is_cut_on_a_narrow_terminal(self, width: int) -> None:
        model = "gpt-4o-mini-2024-07-18-with-a-name-that-is-far-too-long-for-any-terminal"
        usage = Usage(input_tokens=1_234_567, output_tokens=45_678)
        records = [record(model=model, cost_nusd=1_234 * DOLLAR, usage=usage, latency_s=12.3)] * 1_100
        records += [record(cost_nusd=69_000)]
        month = budget(spent_nusd=1_357_469 * DOLLAR, limit_nusd=2_000_000 * DOLLAR, reserved_nusd=123_456)
        text = shown(costs_of(records, budget=StateReply(month=month), advice=[]), width=width, terminal=True)
        assert all(len(line) <= width for line in text.splitlines()), text
        row = text[text.index("by model") :].replace("…", " ")
        for figure in (
            "$1,357,400.00",
            "1,100",
            "1,358,023,700",
            "50,245,800",
            "12.1 s",
            "$0.000069",
            "825 ms",
        ):
            assert figure in row, text
        assert "$1,357,469.00 spent + $0.00012 held" in text
        assert text.count("…") == 1  # the long name, in its middle

    def test_numbers_end_where_their_column_ends(self) -> None:
        text = shown(costs_of([record(cost_nusd=12 * DOLLAR), record(model="other", cost_nusd=69_000)]))
        heading, first, second = text[text.index("\nmodel ") + 1 :].splitlines()[:3]
        end = heading.index("cost") + len("cost")
        assert first[:end].endswith(" $12.00")
        assert second[:end].endswith("$0.000069")

    def test_a_pipe_gets_names_whole(self) -> None:
        name = "m" * 200
        assert name in shown(costs_of([record(model=name)]))


class TestAdvice:
    def test_advice_is_shown_with_its_saving_and_its_bound(self) -> None:
        advice = [
            Advice(title="do this", text="because", saving_nusd=2 * DOLLAR, calls=30),
            Advice(title="look there", text="since", saving_nusd=DOLLAR, is_at_most=True, calls=30),
            Advice(title="hedge less", text="not enough calls yet (3 of 20)", calls=3, is_enough=False),
        ]
        text = shown(costs_of([record()], advice=advice))
        assert "→ do this, saves $2.00" in text
        assert "→ look there, saves at most $1.00" in text
        assert "Savings overlap" in text
        assert "hedge less: not enough calls yet (3 of 20)" in text

    def test_nothing_to_save_is_said(self) -> None:
        records, evidence = [record()] * 30, Evidence()
        for one in records:
            evidence.add(one)
        text = shown(costs_of(records, advice=advise(evidence)))
        assert "nothing to save was found in 30 calls" in text

    def test_no_advice_is_shown_unless_asked_for(self) -> None:
        assert "advice" not in shown(costs_of([record()] * 30))


class TestBudgetBar:
    @staticmethod
    def cells(state: BudgetState) -> str:
        text = budget_bar(state, cells=20).plain
        return "".join(char for char in text if char in SPENT + RESERVED + FREE + STOP)

    def test_spent_held_free_and_the_stop_stand_where_they_belong(self) -> None:
        state = budget(spent_nusd=4 * DOLLAR, reserved_nusd=2 * DOLLAR)
        assert self.cells(state) == SPENT * 8 + RESERVED * 4 + FREE * 6 + STOP + FREE
        text = budget_figures(state).plain
        assert "$4.00 spent + $2.00 held of $10.00, stops at $9.00, resets 2026-12-01" in text

    def test_the_first_nano_dollar_can_be_seen(self) -> None:
        assert self.cells(budget(spent_nusd=1)).startswith(SPENT + FREE)
        assert self.cells(budget(reserved_nusd=1)).startswith(RESERVED + FREE)

    @given(*(st.integers(0, 10**13) for _ in range(4)))
    def test_any_amounts_give_a_bar_of_the_same_width_with_one_stop(
        self, limit: int, stop: int, spent: int, reserved: int
    ) -> None:
        state = budget(limit_nusd=limit, stop_nusd=stop, spent_nusd=spent, reserved_nusd=reserved)
        cells = self.cells(state)
        assert len(cells) == 20
        assert cells.count(STOP) == 1


class TestSparkLine:
    def test_a_character_a_day_with_days_without_calls_told_apart_from_free_ones(self) -> None:
        report = Report("day")
        for day, cost in ((1, 7_000), (2, 0), (5, 3_000)):
            report.add(record(at=f"2026-11-0{day}T00:00:00Z", cost_nusd=cost))
        assert spark_line(report.rows()).plain == ("2026-11-01 █▁··▄ 2026-11-05, the dearest day $0.0000070")

    def test_only_the_last_days_are_drawn(self) -> None:
        report = Report("day")
        for year in (2020, 2026):
            report.add(record(at=f"{year}-11-01T00:00:00Z"))
        assert spark_line(report.rows()).plain.startswith("2026-09-03 ·")

    def test_records_without_a_day_are_left_out(self) -> None:
        report = Report("day")
        report.add(record(at=""))
        assert spark_line(report.rows()).plain == ""


class TestPeriod:
    @pytest.mark.parametrize(
        ("since", "start"),
        [
            ("month", "2026-11-01T00:00:00Z"),
            ("7d", "2026-11-11T15:30:00Z"),
            ("24h", "2026-11-17T15:30:00Z"),
            ("30m", "2026-11-18T15:00:00Z"),
            ("2026-10-05", "2026-10-05T00:00:00Z"),
        ],
    )
    def test_a_beginning_is_read(self, since: str, start: str) -> None:
        period = period_of(since, "", now_s=NOW_S)
        assert (period.since, period.until) == (start, "")
        assert datetime.fromtimestamp(period.since_s, UTC) == datetime.fromisoformat(start)

    def test_the_last_day_is_part_of_it(self) -> None:
        period = period_of("2026-11-01", "2026-11-03", now_s=NOW_S)
        assert period.holds("2026-11-03T23:59:59.999999Z")
        assert not period.holds("2026-11-04T00:00:00Z")
        assert period.holds("2026-11-01T00:00:00+00:00")
        assert not period.holds("2026-10-31T23:59:59Z")

    def test_a_record_without_a_time_counts_only_while_there_is_no_end(self) -> None:
        assert period_of("7d", "", now_s=NOW_S).holds("")
        assert not period_of("7d", "1d", now_s=NOW_S).holds("")

    @pytest.mark.parametrize(
        "text", ["", "yesterday", "7", "d", "-7d", "٣d", "2026-13-01", "99999d", "9" * 50 + "d"]
    )
    def test_what_is_no_time_is_named_in_one_line(self, text: str) -> None:
        with pytest.raises(UserError, match="--since") as caught:
            period_of(text, "", now_s=NOW_S)
        assert "\n" not in str(caught.value)

    def test_an_end_before_the_beginning_is_an_error(self) -> None:
        with pytest.raises(UserError, match="swap them"):
            period_of("1d", "7d", now_s=NOW_S)

    def test_the_last_day_there_is_does_not_overflow(self) -> None:
        with pytest.raises(UserError, match="--until"):
            period_of("7d", "9999-12-31", now_s=NOW_S)


def test_the_command_offers_the_groups_that_there_are() -> None:
    assert command.GROUPS == BYS


def test_defaults_are_this_month_by_model() -> None:
    parser = Parser()
    command.add_arguments(parser)
    args = parser.parse_args([])
    assert (args.by, args.since, args.until, args.json, args.advice) == ("model", "month", "", False, False)
    assert "%" not in parser.format_help()


def test_json_has_every_number_as_an_integer_of_nano_dollars(capsys: pytest.CaptureFixture[str]) -> None:
    costs = costs_of([record()] * 2, budget=StateReply(month=budget()), advice=[])
    command._print_json(costs, Period(since="2026-11-01T00:00:00Z", since_s=0.0))
    answer = json.loads(capsys.readouterr().out)
    assert set(answer) == {"since", "until", "by", "budget", "total", "rows", "days", "advice"}
    assert answer["total"]["cost_nusd"] == 138_000
    assert answer["rows"][0]["name"] == "openai/gpt-4o-mini"
    assert answer["budget"]["month"]["limit_nusd"] == 10 * DOLLAR


async def test_records_of_other_tasks_tenants_and_times_are_left_out() -> None:
    async def records():  # type: ignore[no-untyped-def]
        yield record(task_id="t1", tenant="acme")
        yield record(task_id="t2", tenant="acme")
        yield record(task_id="t1", tenant="other")
        yield record(task_id="t1", tenant="acme", at="2026-10-31T00:00:00Z")

    period = period_of("month", "", now_s=NOW_S)
    for task, tenant, count in (("t1", "acme", 1), ("t1", "", 2), ("", "acme", 2), ("", "", 3)):
        report, days = Report("task"), Report("day")
        await command._add_up(command._wanted(records(), period, task, tenant), report, days, None)
        assert (report.totals().calls, days.totals().calls) == (count, count)
