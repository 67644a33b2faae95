"""What came of a review: in one line for people, in one number for scripts."""

from collections import Counter
from typing import Final

from agents.review.report.escape import clean
from agents.review.report.wording import counted, money_text, seconds_text
from schemas.review import Finding, FindingStatus, ReviewReport, Severity

EXIT_CLEAN: Final = 0
EXIT_FINDINGS: Final = 1
EXIT_DEGRADED: Final = 2


def exit_code(report: ReviewReport, fail_on: Severity | None) -> int:
    """0 clean, 1 with a new finding of `fail_on` or worse, 2 when degraded.

    2 wins over 1: of a review that is not whole, nobody knows what the rest would have said, and a script
    that only looks for 1 must not take it for a full answer. Without `fail_on` no finding fails.
    """
    if report.degraded:
        return EXIT_DEGRADED
    if fail_on is None:
        return EXIT_CLEAN
    fails = any(finding.severity.rank <= fail_on.rank for finding in new_findings(report))
    return EXIT_FINDINGS if fails else EXIT_CLEAN


def summary_line(report: ReviewReport) -> str:
    """Such as `3 findings (1 critical, 2 high), 1 known · 12 files, 1,204 lines · 8 agents · 1.2 s · $0.00`."""
    parts = [
        findings_text(report),
        f"{counted(report.files, 'file')}, {counted(report.lines, 'line')}",
        counted(len(report.agents), "agent"),
        seconds_text(report.seconds),
        money_text(report.cost_nusd),
    ]
    if report.degraded:
        parts.append(f"degraded: {clean('; '.join(report.degraded))}")
    return " · ".join(parts)


def findings_text(report: ReviewReport) -> str:
    """Such as `3 findings (1 critical, 2 high), 1 known before, 2 ignored by comments`."""
    severities = Counter(finding.severity for finding in new_findings(report))
    statuses = Counter(finding.status for finding in report.findings)
    text = counted(severities.total(), "finding") if severities else "no findings"
    if severities:
        text += f" ({', '.join(f'{severities[each]} {each}' for each in Severity if severities[each])})"
    if known := statuses[FindingStatus.BASELINE]:
        text += f", {known:,} known before"
    dismissed = sum(finding.dismissed is not None for finding in report.findings)
    if ignored := statuses[FindingStatus.SUPPRESSED] - dismissed:
        text += f", {ignored:,} ignored by {'a comment' if ignored == 1 else 'comments'}"
    if dismissed:
        text += f", {dismissed:,} dismissed"
    return text


def new_findings(report: ReviewReport) -> list[Finding]:
    """The findings that count, in the order of the report."""
    return [finding for finding in report.findings if finding.status is FindingStatus.NEW]
