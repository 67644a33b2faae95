"""Annotations: what GitHub's runner reads from them is what was meant, whatever stands in a finding."""

import re
from urllib.parse import unquote

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.review.report.annotations import (
    SHOWN_MAX,
    SUMMARY_BYTES_MAX,
    command,
    step_summary,
    to_annotations,
)
from schemas.review import Finding, FindingStatus, ReviewReport, Severity

FINDING = Finding(
    fingerprint="a1b2c3d4e5f60718",
    title="SQL built from a string",
    path="src/db.py",
    line=12,
    end_line=13,
    severity=Severity.CRITICAL,
    confidence=0.93,
    cwe=89,
    description="100 % of rows:\nreadable.",
    fix="Pass values as parameters.",
    found_by=("bandit B608",),
)


def finding(**fields: object) -> Finding:
    return msgspec.structs.replace(FINDING, **fields)


def report(*findings: Finding, degraded: tuple[str, ...] = ()) -> ReviewReport:
    return ReviewReport(
        name="n",
        task_id="t",
        created_at="",
        files=1,
        lines=9,
        seconds=1.0,
        findings=findings,
        degraded=degraded,
    )


def parsed(line: str) -> tuple[str, dict[str, str], str]:
    """Level, properties and message as the runner reads them: split first, then decoded."""
    match = re.fullmatch(r"::(\w+)(?: ([^\r\n]*?))?::([^\r\n]*)", line)
    assert match is not None, line
    level, properties, message = match.groups()
    pairs = [one.split("=", 1) for one in (properties or "").split(",") if one]
    return level, {name: unquote(value) for name, value in pairs}, unquote(message)


@given(st.text(), st.text(min_size=1), st.text(min_size=1))
def test_whatever_the_text_it_is_one_command_that_says_it(message: str, title: str, file: str) -> None:
    line = command("error", message, file=file, title=title)
    level, properties, text = parsed(line)
    assert (level, properties, text) == ("error", {"file": file, "title": title}, message)


@given(st.text(), st.text(), st.text(), st.text(min_size=1))
def test_no_finding_can_begin_a_command_of_its_own(title: str, told: str, fix: str, path: str) -> None:
    evil = finding(
        title=f"{title}\n::error::x", description=f"{told}\r::stop-commands::y", fix=fix, path=path
    )
    text = to_annotations(report(evil, evil))
    lines = re.split(r"[\r\n]+", text.removesuffix("\n"))
    assert [parsed(line)[0] for line in lines] == ["error", "error", "notice"]
    assert parsed(lines[0])[1]["file"] == path


def test_a_finding_stands_beside_its_lines() -> None:
    first, last = to_annotations(report(FINDING)).splitlines()
    level, properties, message = parsed(first)
    assert level == "error"
    assert properties == {
        "file": "src/db.py", "line": "12", "endLine": "13", "title": "Critical: SQL built from a string"
    }  # fmt: skip
    assert "100 % of rows:\nreadable.\nFix: Pass values as parameters.\n" in message
    assert FINDING.fingerprint in message
    assert parsed(last)[0] == "notice"
    inner = to_annotations(report(FINDING), folder="services/shop").splitlines()[0]
    assert parsed(inner)[1]["file"] == "services/shop/src/db.py"


@pytest.mark.parametrize(
    ("severity", "level"),
    [("critical", "error"), ("high", "error"), ("medium", "warning"), ("low", "warning"), ("info", "notice")],
)
def test_the_level_follows_the_severity(severity: str, level: str) -> None:
    line = to_annotations(report(finding(severity=Severity(severity)))).splitlines()[0]
    assert parsed(line)[0] == level


def test_only_what_is_new_counts() -> None:
    others = [finding(status=status) for status in (FindingStatus.BASELINE, FindingStatus.SUPPRESSED)]
    [only] = to_annotations(report(*others)).splitlines()
    assert parsed(only)[2].startswith("no findings, 1 known before")


def test_of_each_level_as_many_as_github_shows_and_the_rest_is_counted() -> None:
    many = [
        finding(severity=severity, line=line)
        for severity in (Severity.CRITICAL, Severity.HIGH, Severity.LOW, Severity.INFO)
        for line in range(1, 9)
    ]
    rows = [parsed(line) for line in to_annotations(report(*many)).splitlines()]
    levels = [level for level, _, _ in rows]
    assert (levels.count("error"), levels.count("warning")) == (SHOWN_MAX, 8)
    assert levels.count("notice") == 9
    assert [row[1]["title"].partition(":")[0] for row in rows[:10]] == ["Critical"] * 8 + ["High"] * 2
    assert rows[-1][2].endswith("6 further findings in the full report")


def test_what_is_not_whole_comes_first_and_leaves_room() -> None:
    lines = to_annotations(report(*[FINDING] * 20, degraded=tuple("abcdefghijklm"))).splitlines()
    levels = [parsed(line)[0] for line in lines]
    assert levels.count("error") == SHOWN_MAX
    assert parsed(lines[0])[2] == "This review is not whole: a"
    assert "degraded: a; b; c; d" in parsed(lines[-1])[2]


def test_the_page_of_a_run_gets_the_report_in_the_size_that_it_takes() -> None:
    assert step_summary(report(FINDING)).startswith("# Code review")
    large = step_summary(report(*[finding(description="ü" * 4_000, code="```\nx\n```")] * 500))
    assert len(large.encode()) <= SUMMARY_BYTES_MAX + 200
    assert large.endswith("write it with `--output FILE`.\n")
    body = large.splitlines()
    assert sum(line.startswith("````") for line in body) % 2 == 0
