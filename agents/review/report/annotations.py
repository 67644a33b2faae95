"""The report as workflow commands of GitHub Actions, which show findings beside the changed lines.

A step shows ten annotations of each level, so the worst come first and the last says how many there are besides.
Workflow commands: https://docs.github.com/actions/reference/workflow-commands-for-github-actions
"""

from collections.abc import Iterator
from typing import Final

from agents.review.confidence import confidence_words
from agents.review.cwe import name_of
from agents.review.report.escape import clean
from agents.review.report.outcome import new_findings, summary_line
from agents.review.report.wording import counted
from schemas.review import Finding, ReviewReport, Severity

SHOWN_MAX: Final = 10
"""Of each level in one step; GitHub drops more without a word."""
TEXT_CHARS_MAX: Final = 4_000
LEVELS: Final = {
    Severity.CRITICAL: "error",
    Severity.HIGH: "error",
    Severity.MEDIUM: "warning",
    Severity.LOW: "notice",
    Severity.INFO: "notice",
}


def to_annotations(report: ReviewReport) -> str:
    """A line for each finding that counts, and one for each reason why the review is not whole."""
    lines = [
        command("error", f"This review is not whole: {clean(reason)}", title="Labverse")
        for reason in report.degraded[:SHOWN_MAX]
    ]
    counts = {"error": len(lines), "warning": 0, "notice": 1}  # the summary is a notice
    left_out = 0
    for finding in new_findings(report):
        level = LEVELS[finding.severity]
        counts[level] += 1
        if counts[level] > SHOWN_MAX:
            left_out += 1
        else:
            lines.append(_annotation(level, finding))
    more = f"; {counted(left_out, 'further finding')} in the full report" if left_out else ""
    lines.append(command("notice", summary_line(report) + more, title="Labverse"))
    return "\n".join(lines) + "\n"


def _annotation(level: str, finding: Finding) -> str:
    return command(
        level,
        "\n".join(_text(finding))[:TEXT_CHARS_MAX],
        file=finding.path,
        line=str(max(1, finding.line)),
        endLine=str(max(1, finding.line, finding.end_line)),
        title=f"{finding.severity.capitalize()}: {clean(finding.title)}",
    )


def _text(finding: Finding) -> Iterator[str]:
    facts = [name_of(finding.cwe), f"{confidence_words(finding.confidence)} ({finding.confidence:.0%})"]
    yield " · ".join(fact for fact in facts if fact)
    if finding.description:
        yield finding.description
    if finding.fix:
        yield f"Fix: {finding.fix}"
    yield f"Found by {', '.join(finding.found_by)}; fingerprint {finding.fingerprint}"


def command(level: str, message: str, **properties: str) -> str:
    """One workflow command; nothing in message or properties can end it or begin another one."""
    told = ",".join(f"{name}={_property(value)}" for name, value in properties.items() if value)
    return f"::{level} {told}::{_data(message)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
