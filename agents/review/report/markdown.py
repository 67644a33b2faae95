"""The report in Markdown: what was found, worst first; then what was not reviewed, and how it was done."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from agents.review.confidence import confidence_words
from agents.review.cwe import name_of
from agents.review.languages import fence_of
from agents.review.report.escape import cell, fence, prose, span
from agents.review.report.fixes import Passage, passages
from agents.review.report.outcome import findings_text, new_findings
from agents.review.report.wording import counted, money_text, seconds_text, time_text
from agents.review.way import without_way
from schemas.review import Finding, FindingStatus, ReviewReport, Severity

FINDINGS_SHOWN_MAX: Final = 1_000
"""Findings told at length. The JSON and SARIF reports hold all."""
ROWS_SHOWN_MAX: Final = 500


def to_markdown(report: ReviewReport) -> str:
    """The whole report, ending in a newline."""
    sections = [
        _head(report),
        _summary(report),
        _findings(new_findings(report)),
        _others(report, FindingStatus.BASELINE, "Known before"),
        _others(report, FindingStatus.SUPPRESSED, "Ignored by comments, or dismissed"),
        _refuted(report.refuted),
        _not_reviewed(report),
        _how(report),
    ]
    return "\n".join(line for section in sections for line in section).rstrip("\n") + "\n"


def _head(report: ReviewReport) -> Iterator[str]:
    yield f"# Code review of {prose(report.name) or 'files'}"
    yield ""
    yield from _degraded(report)
    text = findings_text(report)
    yield f"**{text[0].upper()}{text[1:]}**{' in what was reviewed' if report.degraded else ''}"
    yield ""
    cost = money_text(report.cost_nusd)
    if not report.models and not report.cost_nusd:
        cost += " (no model used: analysers and rules)"
    elif not report.cost_nusd:
        cost += " (models that cost nothing)"
    rows = [
        ("Date", prose(time_text(report.created_at))),
        ("Reviewed", f"{counted(report.files, 'file')}, {counted(report.lines, 'line')}"),
        ("By", f"{counted(len(report.agents), 'agent')} on {counted(report.assignments, 'assignment')}"),
        ("Time", seconds_text(report.seconds)),
        ("Cost", cost),
    ]
    yield from _table(("", ""), rows)


def _degraded(report: ReviewReport) -> Iterator[str]:
    if report.degraded:
        yield "> **This review is not whole.**"
        yield ">"
        yield from (f"> - {prose(reason)}" for reason in report.degraded)
        yield ""


def _summary(report: ReviewReport) -> Iterator[str]:
    if not report.findings:
        return
    counts = Counter((finding.severity, finding.status) for finding in report.findings)
    statuses = [FindingStatus.NEW, FindingStatus.BASELINE, FindingStatus.SUPPRESSED]
    rows = [
        (severity.capitalize(), *(f"{counts[severity, status]:,}" for status in statuses))
        for severity in Severity
        if any(counts[severity, status] for status in statuses)
    ]
    yield "## Summary"
    yield ""
    yield from _table(("Severity", "New", "Known before", "Ignored"), rows, numbers=True)


def _findings(findings: Sequence[Finding]) -> Iterator[str]:
    number = 0
    for severity in Severity:
        of_severity = [finding for finding in findings[:FINDINGS_SHOWN_MAX] if finding.severity is severity]
        if of_severity:
            yield f"## {severity.capitalize()}"
            yield ""
        for finding in of_severity:
            number += 1
            yield from _finding(number, finding)
    if len(findings) > number:
        more = counted(len(findings) - number, "further finding")
        yield f"The JSON and SARIF reports hold {more}, the least severe."
        yield ""


def _finding(number: int, finding: Finding) -> Iterator[str]:
    yield f"### {number}. {prose(finding.title)}"
    yield ""
    facts = [
        span(_place(finding)),
        f"**{finding.severity}**",
        f"confidence {round(finding.confidence * 100)} % ({confidence_words(finding.confidence)})",
    ]
    if finding.cwe:
        facts.append(name_of(finding.cwe))
    yield " · ".join(facts)
    yield ""
    yield from _passages(passages(without_way(finding)), finding.path)
    if finding.code.strip():
        yield "Current code:"
        yield ""
        yield from fence(finding.code, fence_of(finding.path))
        yield ""
    if finding.fix.strip():
        yield "Fix:"
        yield ""
        yield from _passages(passages(finding.fix), finding.path)
    yield from _way(finding)
    if finding.verdict:
        yield f"Second look: {prose(finding.verdict)}"
        yield ""
    found_by = ", ".join(span(name) for name in finding.found_by) or "nobody"
    roles = f" ({prose(', '.join(finding.roles))})" if finding.roles else ""
    cost = f" · cost {money_text(finding.cost_nusd)}" if finding.cost_nusd else ""
    see = f" · see {prose(finding.document.partition(': ')[2])}" if finding.document else ""
    yield f"Found by {found_by}{roles}{cost}{see} · fingerprint {span(finding.fingerprint)}"
    yield ""


def _way(finding: Finding) -> Iterator[str]:
    """From where a value comes in to where it does harm."""
    if finding.trace:
        yield "The way of the value:"
        yield ""
        for number, step in enumerate(finding.trace, start=1):
            yield f"{number}. {span(f'{step.path}:{step.line}')} {prose(step.what)}"
        yield ""


def _passages(found: Iterable[Passage], path: str) -> Iterator[str]:
    for passage in found:
        if passage.is_code:
            yield from fence(passage.text, fence_of(path))
        else:
            yield prose(passage.text)
        yield ""


def _others(report: ReviewReport, status: FindingStatus, title: str) -> Iterator[str]:
    found = [finding for finding in report.findings if finding.status is status]
    if found:
        yield f"## {title}"
        yield ""
        yield from _list(
            f"- {span(_place(each))} {prose(each.title)} ({each.severity})" + _reason(each) for each in found
        )


def _refuted(findings: Sequence[Finding]) -> Iterator[str]:
    if findings:
        yield "## Reported by analysers, and contradicted by following the values"
        yield ""
        yield from _list(
            f"- {span(_place(each))} {prose(each.title)} ({prose(', '.join(each.found_by))}): "
            f"{prose(each.status_reason)}"
            for each in findings
        )


def _reason(finding: Finding) -> str:
    return f": {span(finding.status_reason)}" if finding.status is FindingStatus.SUPPRESSED else ""


def _not_reviewed(report: ReviewReport) -> Iterator[str]:
    if report.not_reviewed:
        yield "## What was not reviewed, and why"
        yield ""
        yield from _list(
            f"- {_name(entry.path)}: {prose(entry.reason)}"
            + (f" ({prose(entry.stage)})" if entry.stage else "")
            for entry in report.not_reviewed
        )


def _how(report: ReviewReport) -> Iterator[str]:
    yield "## How it was done"
    yield ""
    version = f" {prose(report.version)}" if report.version else ""
    roles = f", in the roles {prose(', '.join(report.roles))}" if report.roles else ""
    yield f"Labverse{version}, task {span(report.task_id)}{roles}."
    yield ""
    if report.stages:
        rows = [
            (
                prose(stage.analyser),
                prose(stage.version),
                f"{stage.files:,}",
                seconds_text(stage.seconds),
                prose(stage.error) or "–",
            )
            for stage in report.stages
        ]
        yield from _table(("Analyser", "Version", "Files", "Time", "Failed with"), rows)
    if report.agents:
        paid = any(work.cost_nusd for work in report.agents)
        shares = [
            (prose(work.agent), f"{work.assignments:,}", f"{work.hits:,}", seconds_text(work.seconds))
            + ((money_text(work.cost_nusd),) if paid else ())
            for work in report.agents
        ]
        yield from _table(("Agent", "Assignments", "Hits", "Time", *(("Cost",) if paid else ())), shares)
    if report.models:
        by_model = [
            (
                prose(work.model),
                f"{work.calls:,}",
                f"{work.hits:,}",
                f"{work.input_tokens:,}",
                f"{work.output_tokens:,}",
                money_text(work.cost_nusd),
                f"{work.fallbacks:,}",
            )
            for work in report.models
        ]
        head = ("Model", "Passes", "Claims", "Tokens in", "Out", "Cost", "For another model")
        yield from _table(head, by_model, numbers=True)
    if report.notes:
        yield from _list(f"- {prose(note)}" for note in report.notes)


def _place(finding: Finding) -> str:
    lines = f"{finding.line}-{finding.end_line}" if finding.end_line > finding.line else f"{finding.line}"
    return f"{finding.path}:{lines}"


def _name(path: str) -> str:
    """A path; or, in parentheses, what is no path."""
    return prose(path.strip("()")) if path.startswith("(") and path.endswith(")") else span(path)


def _list(items: Iterable[str]) -> Iterator[str]:
    more = 0
    for index, item in enumerate(items):
        if index < ROWS_SHOWN_MAX:
            yield item
        else:
            more += 1
    if more:
        yield f"- and {more:,} more, which the JSON report holds"
    yield ""


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: bool = False) -> Iterator[str]:
    """A table, its columns as wide as what is in them, so that it reads well as plain text too."""
    cells = [[cell(text) for text in row] for row in [head, *rows]]
    widths = [max(3, *(len(row[column]) for row in cells)) for column in range(len(head))]
    right = [numbers and column > 0 for column in range(len(head))]
    for index, row in enumerate(cells):
        texts = [
            text.rjust(width) if is_right else text.ljust(width)
            for text, width, is_right in zip(row, widths, right, strict=True)
        ]
        yield f"| {' | '.join(texts)} |"
        if index == 0:
            rules = [
                f"{'-' * (width - is_right)}{':' * is_right}"
                for width, is_right in zip(widths, right, strict=True)
            ]
            yield f"| {' | '.join(rules)} |"
    yield ""
