"""The report on a terminal: nothing cut in silence, nothing said twice, and what everything cost."""

import io
from pathlib import Path

import msgspec
import pytest
from rich.console import Console

from agents.review.way import with_way
from orchestrator.terminal_report import INDENT, clean, print_report, show
from schemas.review import AgentWork, Finding, ModelWork, ReviewReport, Severity, TraceStep

LONG = 'run("' + "a" * 300 + '")'
FINDING = Finding(
    fingerprint="f" * 16,
    title="SQL built from values",
    path="app.py",
    line=99,
    end_line=100,
    severity=Severity.CRITICAL,
    confidence=0.9,
    cwe=89,
    code=f"short()\n{LONG}",
    found_by=("bandit B608", "mine/qwen3:8b injection"),
    cost_nusd=1_234_000,
    document="sql-injection: SQL injection",
)
REPORT = ReviewReport(
    name="x",
    task_id="t",
    created_at="2026-01-01T00:00:00Z",
    files=1,
    lines=2,
    seconds=1.0,
    cost_nusd=1_500_000,
    findings=(FINDING,),
    agents=(
        AgentWork(agent="reviewer-1", assignments=3, hits=1, seconds=0.5),
        AgentWork(agent="model mine/qwen3:8b", assignments=2, hits=1, seconds=4.0, cost_nusd=1_500_000),
    ),
    models=(
        ModelWork(
            model="mine/qwen3:8b", calls=2, hits=1, input_tokens=4_000, cost_nusd=1_500_000, fallbacks=1
        ),
    ),
)


def shown(report: ReviewReport, width: int = 80) -> str:
    out = io.StringIO()
    show(Console(file=out, width=width, highlight=False, no_color=True), report)
    return out.getvalue()


@pytest.mark.parametrize("width", [40, 80, 110])
def test_a_line_of_code_that_is_cut_says_so(width: int) -> None:
    lines = shown(REPORT, width).splitlines()
    [cut] = [line.rstrip() for line in lines if "aaa" in line]
    assert cut.endswith("a…")
    assert len(cut) in (width, width - 1)
    [whole] = [line for line in lines if "short()" in line]
    assert "…" not in whole
    assert whole.index("short()") > INDENT


def test_wide_characters_are_counted_as_they_are_shown() -> None:
    wide = msgspec.structs.replace(FINDING, code="x = '" + "漢" * 200 + "'")
    [line] = [
        line for line in shown(msgspec.structs.replace(REPORT, findings=(wide,))).splitlines() if "漢" in line
    ]
    assert line.rstrip().endswith("…")


def test_each_finding_says_who_found_it_and_what_that_cost() -> None:
    text = " ".join(shown(REPORT).split())
    assert "found by bandit B608, mine/qwen3:8b injection" in text
    assert "cost $0.0012" in text
    assert "see SQL injection" in text
    free = shown(msgspec.structs.replace(REPORT, findings=(msgspec.structs.replace(FINDING, cost_nusd=0),)))
    assert "cost $" not in free


def test_the_account_at_the_end_tells_the_cost_of_each_agent_and_model() -> None:
    rows = [line.split() for line in shown(REPORT).splitlines()]
    assert ["model", "mine/qwen3:8b", "2", "1", "4.00", "s", "$0.0015"] in rows
    assert ["reviewer-1", "3", "1", "0.50", "s", "$0.00"] in rows
    assert ["mine/qwen3:8b", "2", "1", "4,000", "0", "$0.0015", "1"] in rows


@pytest.mark.parametrize("width", [60, 80, 120])
def test_no_figure_of_the_account_is_cut_on_a_narrow_terminal(width: int) -> None:
    models = tuple(
        ModelWork(
            model=f"provider-with-a-long-name/model-{number}-of-that-provider-with-an-even-longer-name",
            calls=100,
            hits=1_234,
            input_tokens=123_456_789,
            output_tokens=1_234_567,
            cost_nusd=12_345_678_900_000,
        )
        for number in range(2)
    )
    text = shown(msgspec.structs.replace(REPORT, models=models), width)
    for figure in ("$12,345.68", "123,456,789", "1,234,567", "1,234"):
        assert text.count(figure) >= 2


def test_the_way_of_a_value_is_told_once() -> None:
    trace = (
        TraceStep(path="app.py", line=3, what="request.args['id']"),
        TraceStep(path="app.py", line=99, what="db.execute"),
    )
    flow = msgspec.structs.replace(
        FINDING, trace=trace, description=with_way("app.py", trace, "Whoever controls it decides.")
    )
    text = shown(msgspec.structs.replace(REPORT, findings=(flow,)))
    assert text.count("request.args['id']") == 1
    assert "Whoever controls it decides." in text


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b[1;38;5;196mred", "red"),
        ("\x9b31mred", "red"),
        ("\x1b]0;title\x07name", "name"),
        ("\x1b]8;;https://evil.example\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1bP1$r0m\x1b\\x", "x"),
        ("\x1b(Bx\x1b7y", "xy"),
        ("\x1b]never ended", "never ended"),
        ("\x1b", ""),
        ("[31m is a text", "[31m is a text"),
    ],
)
def test_control_sequences_go_whole(text: str, left: str) -> None:
    assert clean(text) == left


def test_nothing_of_a_sequence_is_left_in_a_report(tmp_path: Path) -> None:
    hostile = "\x1b[31mred\x1b[0m"
    finding = msgspec.structs.replace(
        FINDING, title=hostile, path=f"{hostile}.py", code=hostile, description=hostile, fix=hostile
    )
    print_report(msgspec.structs.replace(REPORT, findings=(finding,)), tmp_path / "report.txt")
    text = (tmp_path / "report.txt").read_text()
    assert "[31m" not in text
    assert "[0m" not in text
    assert text.count("red") >= 5


def test_a_report_of_no_files_does_not_look_like_a_clean_one() -> None:
    empty = msgspec.structs.replace(
        REPORT, files=0, findings=(), notes=("there was nothing to review: no file of a kind that is read",)
    )
    text = shown(empty)
    assert "nothing to review" in text
    assert "nothing found" not in text
