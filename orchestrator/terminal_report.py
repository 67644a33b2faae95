"""The report on a terminal: worst findings first, with the code and what to do, in the width there is."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from agents.review.languages import language_of
from agents.review.report import summary_line
from agents.review.report.wording import counted, money_text, seconds_text
from agents.review.way import without_way
from orchestrator.clean import clean
from orchestrator.fitting import Column, joined, print_table
from orchestrator.live import COLOURS
from schemas.review import Finding, FindingStatus, ReviewReport, Severity

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

SHOWN_MAX: Final = 50
"""Findings shown in full on a terminal; a file report has them all."""
WIDTH_MAX: Final = 110
NOT_REVIEWED_SHOWN: Final = 12
TRACE_SHOWN: Final = 6
WORKERS_SHOWN: Final = 12
"""Agents and models in the account at the end, those that cost most first."""
INDENT: Final = 9
NUMBER_GAP_CELLS: Final = 3
"""Around the number of a line of code."""

AGENT_COLUMNS: Final = (
    Column("agent", "name"),
    Column("assignments"),
    Column("hits"),
    Column("time", rank=1),
    Column("cost"),
)
MODEL_COLUMNS: Final = (
    Column("model", "name"),
    Column("passes"),
    Column("claims"),
    Column("tokens in", rank=2),
    Column("out", rank=2, under="tokens out"),
    Column("cost"),
    Column("for another", rank=1, under="for another model"),
)


def print_report(report: ReviewReport, path: Path | None = None) -> None:
    """Print to standard output, or as plain text into `path`.

    Raises:
        OSError: `path` can't be written.
    """
    from rich.console import Console

    if path is None:
        console = Console(highlight=False)
        console.width = min(console.width, WIDTH_MAX)
        show(console, report)
        return
    with path.open("w", encoding="utf-8") as file:
        show(Console(file=file, width=WIDTH_MAX, highlight=False, no_color=True), report)


def show(console: "Console", report: ReviewReport) -> None:
    """Print in the width that `console` has."""
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
    _print_account(console, report)
    console.print()
    counts = Text()
    for severity in Severity:
        number = sum(finding.severity is severity for finding in new)
        if number:
            counts.append(f" {number} {severity} ", style=f"{COLOURS[severity]} reverse")
            counts.append(" ")
    if not new:
        clear = (
            (" nothing found ", "green reverse")
            if report.files
            else (" nothing to review ", "yellow reverse")
        )
        counts.append(*clear)
    console.print(counts)
    console.print(Text(clean(summary_line(report)), style="dim"))


def _print_finding(console: "Console", finding: Finding) -> None:
    from rich.padding import Padding
    from rich.text import Text

    head = Text()
    head.append(f"{finding.severity.upper():<8} ", style=COLOURS[finding.severity])
    head.append(clean(finding.title), style="bold")
    console.print(head)
    for line in joined(_facts(finding), max(1, console.width - INDENT)):
        console.print(Padding(line, (0, 0, 0, INDENT)))
    if finding.code:
        console.print(Padding(_code(finding, console.width - INDENT), (0, 0, 0, INDENT)))
    if description := without_way(finding):
        console.print(Padding(Text(_plain(description)), (0, 0, 0, INDENT)))
    if finding.trace:
        console.print(Padding(Text(_way(finding), style="dim"), (0, 0, 0, INDENT)))
    if finding.verdict:
        console.print(Padding(Text(clean(finding.verdict), style="dim"), (0, 0, 0, INDENT)))
    if finding.fix:
        console.print(Padding(Text(f"→ {_plain(finding.fix)}", style="green"), (0, 0, 0, INDENT)))
    console.print()


def _facts(finding: Finding) -> "list[Text]":
    """Where it is, what it is, who found it, and what that cost."""
    from rich.text import Text

    facts = [Text(f"{clean(finding.path)}:{finding.line}", style="underline")]
    if finding.cwe:
        facts.append(Text(f"CWE-{finding.cwe}", style="dim"))
    facts.append(Text(f"{finding.confidence:.0%} sure", style="dim"))
    facts.append(Text(finding.fingerprint, style="dim"))
    if finding.found_by:
        facts.append(Text(f"found by {clean(', '.join(finding.found_by))}", style="dim"))
    if finding.cost_nusd:
        facts.append(Text(f"cost {money_text(finding.cost_nusd)}", style="dim"))
    if finding.document:
        facts.append(Text(f"see {clean(finding.document.partition(': ')[2])}", style="dim"))
    return facts


def _way(finding: Finding) -> str:
    """Where the value comes in, and the places that it passes on its way."""
    shown = finding.trace
    if len(shown) > TRACE_SHOWN:
        shown = (*shown[: TRACE_SHOWN - 1], shown[-1])
    steps = " → ".join(f"{clean(step.what)} ({clean(step.path)}:{step.line})" for step in shown)
    return f"way of the value: {steps}"


def _code(finding: Finding, cells: int) -> Any:
    """The lines with their numbers; what doesn't fit into `cells` ends in an ellipsis."""
    from rich.syntax import Syntax

    lines = finding.code.splitlines()
    room = max(1, cells - len(str(finding.line + len(lines) - 1)) - NUMBER_GAP_CELLS)
    return Syntax(
        "\n".join(_cut(clean(line.expandtabs(4)), room) if line.strip() else "" for line in lines),
        language_of(finding.path),
        line_numbers=True,
        start_line=finding.line,
        theme="ansi_dark",
        background_color="default",
        word_wrap=False,
    )


def _cut(line: str, cells: int) -> str:
    from rich.cells import cell_len, set_cell_size

    return line if cell_len(line) <= cells else f"{set_cell_size(line, cells - 1).rstrip()}…"


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


def _print_account(console: "Console", report: ReviewReport) -> None:
    """Who did what, and what that cost."""
    if report.agents:
        agents = sorted(report.agents, key=lambda work: (-work.cost_nusd, work.agent))
        rows = [
            (
                clean(work.agent),
                f"{work.assignments:,}",
                f"{work.hits:,}",
                seconds_text(work.seconds),
                money_text(work.cost_nusd),
            )
            for work in agents[:WORKERS_SHOWN]
        ]
        console.print()
        print_table(console, _titled("agents", len(agents)), AGENT_COLUMNS, rows)
    if report.models:
        models = sorted(report.models, key=lambda work: (-work.cost_nusd, work.model))
        by_model = [
            (
                clean(work.model),
                f"{work.calls:,}",
                f"{work.hits:,}",
                f"{work.input_tokens:,}",
                f"{work.output_tokens:,}",
                money_text(work.cost_nusd),
                f"{work.fallbacks:,}" if work.fallbacks else "",
            )
            for work in models[:WORKERS_SHOWN]
        ]
        console.print()
        print_table(console, _titled("models", len(models)), MODEL_COLUMNS, by_model)


def _titled(name: str, number: int) -> str:
    return f"{name} ({counted(number - WORKERS_SHOWN, 'more', 'more')})" if number > WORKERS_SHOWN else name
