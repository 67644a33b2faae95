"""The report on a terminal: worst findings first, with the code and what to do, in the width there is."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from agents.review.languages import language_of
from agents.review.report import summary_line
from orchestrator.clean import clean
from orchestrator.live import COLOURS
from schemas.review import Finding, FindingStatus, ReviewReport, Severity

if TYPE_CHECKING:
    from rich.console import Console

SHOWN_MAX: Final = 50
"""Findings shown in full on a terminal; a file report has them all."""
WIDTH_MAX: Final = 110
NOT_REVIEWED_SHOWN: Final = 12
TRACE_SHOWN: Final = 6


def print_report(report: ReviewReport, path: Path | None = None) -> None:
    """Print to standard output, or as plain text into `path`.

    Raises:
        OSError: `path` can't be written.
    """
    from rich.console import Console

    if path is None:
        console = Console(highlight=False)
        console.width = min(console.width, WIDTH_MAX)
        _print(console, report)
        return
    with path.open("w", encoding="utf-8") as file:
        _print(Console(file=file, width=WIDTH_MAX, highlight=False, no_color=True), report)


def _print(console: "Console", report: ReviewReport) -> None:
    from rich.text import Text

    for reason in report.degraded:
        console.print(Text(f"NOT WHOLE: {clean(reason)}", style="bold white on red"))
    new = [finding for finding in report.findings if finding.status is FindingStatus.NEW]
    for finding in new[:SHOWN_MAX]:
        _print_finding(console, finding)
    if len(new) > SHOWN_MAX:
        console.print(f"… and {len(new) - SHOWN_MAX} more: --format markdown --output report.md has them all")
    marked = len(report.findings) - len(new)
    if marked:
        console.print(Text(f"{marked} findings are known or suppressed and don't count", style="dim"))
    _print_left_out(console, report)
    for note in report.notes:
        console.print(Text(clean(note), style="dim"))
    console.print()
    counts = Text()
    for severity in Severity:
        number = sum(finding.severity is severity for finding in new)
        if number:
            counts.append(f" {number} {severity} ", style=f"{COLOURS[severity]} reverse")
            counts.append(" ")
    if not new:
        counts.append(" nothing found ", style="green reverse")
    console.print(counts)
    console.print(Text(clean(summary_line(report)), style="dim"))


def _print_finding(console: "Console", finding: Finding) -> None:
    from rich.padding import Padding
    from rich.text import Text

    head = Text()
    head.append(f"{finding.severity.upper():<8} ", style=COLOURS[finding.severity])
    head.append(clean(finding.title), style="bold")
    where = Text()
    where.append(f"{clean(finding.path)}:{finding.line}", style="underline")
    cwe = f"  CWE-{finding.cwe}" if finding.cwe else ""
    facts = (
        f"{cwe}  {finding.confidence:.0%} sure  {finding.fingerprint}  {clean(', '.join(finding.found_by))}"
    )
    where.append(facts, style="dim")
    console.print(head)
    console.print(Padding(where, (0, 0, 0, 9)))
    if finding.code:
        console.print(Padding(_code(finding), (0, 0, 0, 9)))
    if finding.description:
        console.print(Padding(Text(_plain(finding.description)), (0, 0, 0, 9)))
    if finding.trace:
        console.print(Padding(Text(_way(finding), style="dim"), (0, 0, 0, 9)))
    if finding.verdict:
        console.print(Padding(Text(clean(finding.verdict), style="dim"), (0, 0, 0, 9)))
    if finding.fix:
        console.print(Padding(Text(f"→ {_plain(finding.fix)}", style="green"), (0, 0, 0, 9)))
    console.print()


def _way(finding: Finding) -> str:
    """Where the value comes in, and the places that it passes on its way."""
    shown = finding.trace
    if len(shown) > TRACE_SHOWN:
        shown = (*shown[: TRACE_SHOWN - 1], shown[-1])
    steps = " → ".join(f"{clean(step.what)} ({clean(step.path)}:{step.line})" for step in shown)
    return f"way of the value: {steps}"


def _code(finding: Finding) -> Any:
    from rich.syntax import Syntax

    code = "\n".join(clean(line.expandtabs(4)) if line.strip() else "" for line in finding.code.splitlines())
    return Syntax(
        code,
        language_of(finding.path),
        line_numbers=True,
        start_line=finding.line,
        theme="ansi_dark",
        background_color="default",
        word_wrap=False,
    )


def _plain(text: str) -> str:
    return "\n".join(clean(line.expandtabs(4)) for line in text.splitlines())


def _print_left_out(console: "Console", report: ReviewReport) -> None:
    from rich.text import Text

    if not report.not_reviewed:
        return
    console.print(Text("Not reviewed", style="bold"))
    for entry in report.not_reviewed[:NOT_REVIEWED_SHOWN]:
        stage = f" ({entry.stage})" if entry.stage else ""
        console.print(Text(f"  {clean(entry.path)}{stage}: {clean(entry.reason)}", style="dim"))
    if len(report.not_reviewed) > NOT_REVIEWED_SHOWN:
        console.print(Text(f"  … and {len(report.not_reviewed) - NOT_REVIEWED_SHOWN} more", style="dim"))
