import pytest

from agents.review.report import exit_code, summary_line
from schemas.review import AgentWork, Finding, FindingStatus, ReviewReport, Severity


def finding(severity: Severity, status: FindingStatus = FindingStatus.NEW) -> Finding:
    return Finding(
        fingerprint="",
        title="t",
        path="a.py",
        line=1,
        end_line=1,
        severity=severity,
        confidence=0.5,
        status=status,
    )


def report(*findings: Finding, degraded: tuple[str, ...] = (), cost_nusd: int = 0) -> ReviewReport:
    return ReviewReport(
        name="n",
        task_id="t",
        created_at="",
        files=1,
        lines=1204,
        seconds=1.234,
        cost_nusd=cost_nusd,
        agents=(AgentWork(agent="a", assignments=1, hits=1, seconds=1.0),),
        findings=findings,
        degraded=degraded,
    )


@pytest.mark.parametrize(
    ("severity", "fail_on", "code"),
    [
        (Severity.HIGH, Severity.HIGH, 1),
        (Severity.CRITICAL, Severity.HIGH, 1),
        (Severity.MEDIUM, Severity.HIGH, 0),
        (Severity.INFO, Severity.INFO, 1),
        (Severity.CRITICAL, None, 0),
    ],
)
def test_a_new_finding_at_the_threshold_or_worse_fails(
    severity: Severity, fail_on: Severity | None, code: int
) -> None:
    assert exit_code(report(finding(severity)), fail_on) == code


def test_known_and_ignored_findings_do_not_fail() -> None:
    others = [
        finding(Severity.CRITICAL, status) for status in (FindingStatus.BASELINE, FindingStatus.SUPPRESSED)
    ]
    assert exit_code(report(*others), Severity.INFO) == 0


def test_a_clean_report_does_not_fail() -> None:
    assert exit_code(report(), Severity.INFO) == 0


def test_a_review_that_is_not_whole_fails_before_anything_else() -> None:
    assert exit_code(report(degraded=("x",)), None) == 2
    assert exit_code(report(finding(Severity.CRITICAL), degraded=("x",)), Severity.INFO) == 2


def test_the_summary_is_one_line() -> None:
    found = [
        finding(Severity.CRITICAL),
        finding(Severity.HIGH),
        finding(Severity.HIGH),
        finding(Severity.LOW, FindingStatus.BASELINE),
        finding(Severity.LOW, FindingStatus.SUPPRESSED),
    ]
    assert summary_line(report(*found, cost_nusd=420_000)) == (
        "3 findings (1 critical, 2 high), 1 known before, 1 ignored by a comment"
        " · 1 file, 1,204 lines · 1 agent · 1.23 s · $0.00042"
    )
    assert summary_line(report(degraded=("one", "two"))) == (
        "no findings · 1 file, 1,204 lines · 1 agent · 1.23 s · $0.00 · degraded: one; two"
    )


def test_what_failed_cannot_break_the_summary() -> None:
    line = summary_line(report(degraded=("ruff failed:\n\x1b[2J\u202egone",)))
    assert line.endswith("degraded: ruff failed: \\x1b[2J\\u202egone")
