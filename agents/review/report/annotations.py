"""The report as workflow commands of GitHub Actions, which show findings beside the changed lines.

A step shows ten annotations of each level, so the worst come first and the last says how many there are besides.
Workflow commands: https://docs.github.com/actions/reference/workflow-commands-for-github-actions
"""

from collections.abc import Iterator
from typing import Final

from agents.review.confidence import confidence_words
from agents.review.cwe import name_of
from agents.review.report.escape import clean, clean_lines
from agents.review.report.markdown import to_markdown
from agents.review.report.outcome import new_findings, summary_line
from agents.review.report.wording import counted
from schemas.review import Finding, ReviewReport, Severity

SHOWN_MAX: Final = 10
"""Of each level in one step; GitHub drops more without a word."""
REASONS_SHOWN_MAX: Final = 3
"""Reasons why a review is not whole that stand alone, so that room is left; the last line has all."""
TEXT_CHARS_MAX: Final = 4_000
TITLE_CHARS_MAX: Final = 200
SUMMARY_BYTES_MAX: Final = 900_000
"""GitHub takes 1 MiB from all that a step writes, and nothing of what is longer."""
LEVELS: Final = {
    Severity.CRITICAL: "error",
    Severity.HIGH: "error",
    Severity.MEDIUM: "warning",
    Severity.LOW: "warning",
    Severity.INFO: "notice",
}


def to_annotations(report: ReviewReport, *, folder: str = "") -> str:
    """A line for each finding that counts, one for each reason why the review is not whole, and a last one.

    Args:
        folder: where the reviewed folder lies in the checkout, such as `services/shop`, so that the places fit.
    """
    # What is not whole comes before all findings; the last line is a notice too.
    lines = [
        command("error", f"This review is not whole: {clean(reason)}", title="Labverse")
        for reason in report.degraded[:REASONS_SHOWN_MAX]
    ]
    counts = {"error": len(lines), "warning": 0, "notice": 1}
    left_out = 0
    for finding in new_findings(report):
        level = LEVELS[finding.severity]
        counts[level] += 1
        if counts[level] > SHOWN_MAX:
            left_out += 1
        else:
            lines.append(_annotation(level, finding, folder))
    more = f"; {counted(left_out, 'further finding')} in the full report" if left_out else ""
    lines.append(command("notice", summary_line(report) + more, title="Labverse"))
    return "\n".join(lines) + "\n"


def step_summary(report: ReviewReport) -> str:
    """The report in Markdown for the page of a run, in the size that GitHub takes."""
    text = to_markdown(report)
    if len(text.encode()) <= SUMMARY_BYTES_MAX:
        return text
    # Cut before a finding, so that no block of code stays open.
    kept = text.encode()[:SUMMARY_BYTES_MAX].decode(errors="ignore")
    end = kept.rfind("\n### ")
    return f"{kept[:end] if end > 0 else ''}\n\nThe rest is too long to be shown here: write it with `--output FILE`.\n"


def _annotation(level: str, finding: Finding, folder: str) -> str:
    return command(
        level,
        "\n".join(_text(finding))[:TEXT_CHARS_MAX],
        file=f"{folder}/{finding.path}" if folder else finding.path,
        line=str(max(1, finding.line)),
        endLine=str(max(1, finding.line, finding.end_line)),
        title=f"{finding.severity.capitalize()}: {clean(finding.title)}"[:TITLE_CHARS_MAX],
    )


def _text(finding: Finding) -> Iterator[str]:
    facts = [name_of(finding.cwe), f"{confidence_words(finding.confidence)} ({finding.confidence:.0%})"]
    yield " · ".join(fact for fact in facts if fact)
    if finding.description:
        yield from clean_lines(finding.description)
    if finding.fix:
        yield from clean_lines(f"Fix: {finding.fix}")
    yield f"Found by {clean(', '.join(finding.found_by))}; fingerprint {finding.fingerprint}"


def command(level: str, message: str, **properties: str) -> str:
    """One workflow command in one line; nothing in message or properties can end it or begin another one."""
    told = ",".join(f"{name}={_property(value)}" for name, value in properties.items() if value)
    return f"::{level}{' ' if told else ''}{told}::{_data(message)}"


_CONTROL: Final = {code: f"%{code:02X}" for code in (*range(32), 127)}
"""What could drive the terminal of whoever reads the log."""


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return text.replace("%", "%25").replace(":", "%3A").replace(",", "%2C").translate(_CONTROL)
