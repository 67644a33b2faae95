"""What people see on a terminal: the live view, the report, and nothing hostile."""

import io
import json
from pathlib import Path

import msgspec
from events import findings, requested
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from bus import Envelope
from orchestrator.clean import clean
from orchestrator.follow import ended
from orchestrator.live import ROWS_MAX, View
from orchestrator.terminal_report import print_report
from schemas.review import (
    Finding,
    FindingStatus,
    Hit,
    NotReviewed,
    ReviewCompleted,
    ReviewPlanned,
    ReviewReport,
    Severity,
)
from schemas.task import TaskCancelled, TaskState, TaskStepFailed

ENVELOPE = Envelope(subject="lv.a.b.v1.t.e", id="e", tag="a.b.v1", task_id="t")
HOSTILE = "\x1b[31mred\x1b[0m\n\r\x07[bold]markup[/bold] \u202eevil"


def drawn(view: View) -> str:
    out = io.StringIO()
    Console(file=out, width=100).print(view.draw())
    return out.getvalue()


def hit(number: int, title: str = "SQL built from values") -> Hit:
    return Hit(
        analyser="x",
        rule="r",
        path=f"a{number}.py",
        line=number,
        title=title,
        severity=Severity.HIGH,
        code="x",
        cwe=89,
    )


def test_the_view_shows_progress_reviewers_and_findings() -> None:
    view = View()
    assert "planning" in drawn(view)
    view.on_event(ReviewPlanned(assignments=("a", "b"), files=3, lines=1234), ENVELOPE)
    view.on_note("reviewer-2", "security · a.py")
    view.on_event(msgspec.structs.replace(findings(0, "reviewer-1"), hits=(hit(1), hit(1), hit(2))), ENVELOPE)
    view.on_event(
        TaskStepFailed(agent="r", event_type="review.assigned.v1", event_id="b", reason="no"), ENVELOPE
    )
    shown = drawn(view)
    assert "2/2 assignments" in shown
    assert "3 files, 1,234 lines" in shown
    assert "2 high" in shown  # the same place twice counts once
    assert shown.index("reviewer-1") < shown.index("reviewer-2")
    assert "security · a.py" in shown


def test_a_hundred_reviewers_fit_on_a_screen() -> None:
    view = View()
    for number in range(100):
        view.on_note(f"reviewer-{number}", "busy")
    lines = drawn(view).splitlines()
    assert f"and {100 - ROWS_MAX} more" in drawn(view)
    assert len(lines) < ROWS_MAX + 8
    assert drawn(view).index("reviewer-2 ") < drawn(view).index("reviewer-10")


def test_hostile_names_and_titles_do_not_reach_the_terminal() -> None:
    view = View()
    view.on_note(HOSTILE, HOSTILE)
    view.on_event(msgspec.structs.replace(findings(0), hits=(hit(1, HOSTILE),)), ENVELOPE)
    shown = drawn(view)
    assert "\x1b" not in shown
    assert "\u202e" not in shown
    assert "[bold]markup[/bold]" in shown


def report(**changes: object) -> ReviewReport:
    finding = Finding(
        fingerprint="f" * 16,
        title=HOSTILE,
        path=f"{HOSTILE}.py",
        line=3,
        end_line=3,
        severity=Severity.CRITICAL,
        confidence=0.9,
        cwe=89,
        description=HOSTILE,
        code=f"x = 1 # {HOSTILE}",
        fix=HOSTILE,
        found_by=("bandit B608",),
    )
    base = ReviewReport(
        name="x",
        task_id="t",
        created_at="2026-01-01T00:00:00Z",
        files=1,
        lines=2,
        seconds=1.0,
        findings=(finding, msgspec.structs.replace(finding, status=FindingStatus.BASELINE)),
        not_reviewed=(NotReviewed(path=HOSTILE, reason=HOSTILE),),
        degraded=(HOSTILE,),
    )
    return msgspec.structs.replace(base, **changes)  # type: ignore[arg-type]


def test_the_terminal_report_is_clean_and_complete(tmp_path: Path) -> None:
    print_report(report(), tmp_path / "report.txt")
    shown = (tmp_path / "report.txt").read_text()
    assert "\x1b" not in shown
    assert "\u202e" not in shown
    for text in ("CRITICAL", "CWE-89", "bandit B608", "NOT WHOLE", "Not reviewed", "1 findings are known"):
        assert text in shown
    print_report(report(findings=(), degraded=()), tmp_path / "clean.txt")
    assert "nothing found" in (tmp_path / "clean.txt").read_text()


@given(st.text())
def test_clean_text_is_one_line_without_control_characters(text: str) -> None:
    assert all(char.isprintable() or char.isspace() for char in clean(text))
    assert len(clean(text).splitlines()) <= 1 or "\u2028" in text or "\u2029" in text
    assert json.dumps(clean(text))


def test_what_ends_a_task() -> None:
    assert ended(requested()) is None
    assert ended(ReviewCompleted(report=report())) == (TaskState.COMPLETED, "")
    assert ended(TaskCancelled(by="me", reason="enough")) == (TaskState.CANCELLED, "cancelled by me: enough")
    vital = TaskStepFailed(agent="p", event_type="review.planned.v1", event_id="x", reason="no")
    assert ended(vital) == (TaskState.FAILED, "p: no")
    assert ended(msgspec.structs.replace(vital, event_type="review.assigned.v1")) is None
