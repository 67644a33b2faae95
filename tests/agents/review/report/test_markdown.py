"""The Markdown report: what people read, and what hostile files can't do to it."""

from collections.abc import Sequence

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from agents.review.report import markdown as markdown_module
from agents.review.report import render
from schemas.review import AgentWork, Finding, FindingStatus, NotReviewed, ReviewReport, Severity, Stage

SQL = Finding(
    fingerprint="a1b2c3d4e5f60718",
    title="SQL query built from a string",
    path="src/db.py",
    line=12,
    end_line=13,
    severity=Severity.CRITICAL,
    confidence=0.93,
    cwe=89,
    description="Whoever sends `name` can read any row.",
    code='query = f"SELECT {name}"\ncursor.execute(query)',
    fix="Pass values as parameters:\n\n    cursor.execute(query, (name,))",
    found_by=("bandit B608", "ruff S608"),
    roles=("security",),
)
REPORT = ReviewReport(
    name="shop",
    task_id="task-1",
    created_at="2026-11-21T05:01:02Z",
    files=12,
    lines=1234,
    seconds=0.84,
    assignments=24,
    agents=(AgentWork(agent="reviewer-1", assignments=24, hits=3, seconds=3.2),),
    stages=(Stage(analyser="bandit", version="1.9.4", files=12, seconds=0.4),),
    roles=("security", "secrets"),
    findings=(SQL,),
    version="0.1.0",
)

WHOLE = """\
# Code review of shop

**1 finding (1 critical)**

|          |                                            |
| -------- | ------------------------------------------ |
| Date     | 2026-11-21 05:01 UTC                       |
| Reviewed | 12 files, 1,234 lines                      |
| By       | 1 agent on 24 assignments                  |
| Time     | 0.84 s                                     |
| Cost     | $0.00 (no model used: analysers and rules) |

## Summary

| Severity | New | Known before | Ignored |
| -------- | --: | -----------: | ------: |
| Critical |   1 |            0 |       0 |

## Critical

### 1. SQL query built from a string

`src/db.py:12-13` · **critical** · confidence 93 % (very likely) · CWE-89 SQL Injection

Whoever sends `name` can read any row.

Current code:

```python
query = f"SELECT {name}"
cursor.execute(query)
```

Fix:

Pass values as parameters:

```python
    cursor.execute(query, (name,))
```

Found by `bandit B608`, `ruff S608` (security) · fingerprint `a1b2c3d4e5f60718`

## How it was done

Labverse 0.1.0, task `task-1`, in the roles security, secrets.

| Analyser | Version | Files | Time   | Failed with |
| -------- | ------- | ----- | ------ | ----------- |
| bandit   | 1.9.4   | 12    | 0.40 s | –           |

| Agent      | Assignments | Hits | Time   |
| ---------- | ----------- | ---- | ------ |
| reviewer-1 | 24          | 3    | 3.20 s |
"""


def report(*findings: Finding, **fields: object) -> ReviewReport:
    return msgspec.structs.replace(REPORT, findings=findings, **fields)


def markdown(*findings: Finding, **fields: object) -> str:
    return render(report(*findings, **fields), "markdown")


def finding(**fields: object) -> Finding:
    return msgspec.structs.replace(SQL, **fields)


def parsed(text: str) -> list[Token]:
    return MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(text)


def headings(tokens: Sequence[Token]) -> list[str]:
    return [tokens[index + 1].content for index, token in enumerate(tokens) if token.type == "heading_open"]


def test_a_whole_report() -> None:
    assert render(REPORT, "markdown") == WHOLE


def test_a_clean_report_says_so() -> None:
    text = markdown()
    assert "**No findings**\n" in text
    assert "## Summary" not in text


def test_a_review_that_is_not_whole_says_so_at_the_top() -> None:
    text = markdown(degraded=("2 of 24 assignments failed", "ruff failed | on 1 shard"))
    lines = text.splitlines()
    assert lines[2:6] == [
        "> **This review is not whole.**",
        ">",
        "> - 2 of 24 assignments failed",
        "> - ruff failed | on 1 shard",
    ]
    assert "**No findings** in what was reviewed" in text


def test_findings_come_by_severity_and_are_numbered_through() -> None:
    text = markdown(
        finding(severity=Severity.HIGH, title="A"),
        finding(severity=Severity.CRITICAL, title="B"),
        finding(severity=Severity.HIGH, title="C"),
        finding(severity=Severity.INFO, title="D"),
    )
    assert headings(parsed(text)) == [
        *("Code review of shop", "Summary", "Critical", "1. B", "High", "2. A", "3. C", "Info", "4. D"),
        "How it was done",
    ]


def test_known_and_ignored_findings_are_listed_apart() -> None:
    known = finding(status=FindingStatus.BASELINE, status_reason="known", title="Old")
    ignored = finding(
        status=FindingStatus.SUPPRESSED, status_reason="# nosec B608 `checked`", title="Quiet", end_line=12
    )
    text = markdown(known, ignored)
    assert "**No findings, 1 known before, 1 ignored by a comment**" in text
    assert "## Known before\n\n- `src/db.py:12-13` Old (critical)\n" in text
    assert (
        "## Ignored by comments, or dismissed\n\n- `src/db.py:12` Quiet (critical): `` # nosec B608 `checked` ``\n"
        in text
    )
    assert "### " not in text


def test_what_was_not_reviewed_is_listed_with_its_reason() -> None:
    text = markdown(
        not_reviewed=(
            NotReviewed(path="a`b.py", reason="binary (a NUL at byte 3)"),
            NotReviewed(path="(ignored)", reason="3 files left out"),
            NotReviewed(path="c.py", reason="no answer <in> time", stage="assignment"),
        )
    )
    assert (
        "## What was not reviewed, and why\n\n"
        "- ``a`b.py``: binary (a NUL at byte 3)\n"
        "- ignored: 3 files left out\n"
        "- `c.py`: no answer \\<in> time (assignment)\n"
    ) in text


def test_money_that_was_spent_is_told() -> None:
    assert "| Cost     | $0.0123" in markdown(cost_nusd=12_300_000) or "$0.01 " in markdown(
        cost_nusd=12_300_000
    )
    assert "no model used" not in markdown(cost_nusd=12_300_000)


def test_a_finding_may_lack_everything_but_its_place() -> None:
    bare = finding(description="", code="", fix="", cwe=0, found_by=(), roles=())
    text = markdown(bare)
    assert "Current code" not in text
    assert "Fix" not in text
    assert "CWE" not in text


def test_very_many_findings_are_cut_in_markdown_and_whole_in_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(markdown_module, "FINDINGS_SHOWN_MAX", 3)
    monkeypatch.setattr(markdown_module, "ROWS_SHOWN_MAX", 2)
    many = [finding(fingerprint=f"{index:016}") for index in range(5)]
    known = [finding(status=FindingStatus.BASELINE) for _ in range(5)]
    text = markdown(*many, *known)
    assert text.count("### ") == 3
    assert "The JSON and SARIF reports hold 2 further findings, the least severe." in text
    assert "- and 3 more, which the JSON report holds" in text
    assert len(msgspec.json.decode(render(report(*many), "json"), type=ReviewReport).findings) == 5


def test_a_report_that_is_read_back_from_json_is_the_same() -> None:
    assert msgspec.json.decode(render(REPORT, "json"), type=ReviewReport) == REPORT


def test_an_unknown_format_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"no report format 'pdf': choose one of markdown, json, sarif"):
        render(REPORT, "pdf")


NASTY = st.text(alphabet="`~|*_[]()<>!#&\\-+.1 \t\n\r\x1b\u202eab:/$", max_size=30)


@settings(max_examples=100)
@given(text=NASTY, code=NASTY)
def test_hostile_files_cannot_change_the_report(text: str, code: str) -> None:
    """Headings, tables and fences are those of the report, and no HTML, link or image comes to be."""
    evil = finding(
        path=f"{text}.py", title=text, description=text, fix=text, code=f"x{code}", found_by=(text,)
    )
    known = msgspec.structs.replace(evil, status=FindingStatus.SUPPRESSED, status_reason=text)
    rendered = markdown(
        evil,
        known,
        name=text,
        degraded=(text,),
        not_reviewed=(NotReviewed(path=text, reason=text, stage=text),),
        stages=(Stage(analyser=text, version=text, error=text),),
        agents=(AgentWork(agent=text, assignments=1, hits=1, seconds=1.0),),
    )
    tokens = parsed(rendered)
    assert [token.tag for token in tokens if token.type == "heading_open"] == [
        *("h1", "h2", "h2", "h3", "h2", "h2", "h2")
    ]
    assert [token.type for token in tokens].count("table_open") == 4
    assert [token.type for token in tokens].count("td_open") == 10 + 4 + 5 + 4
    children = [child for token in tokens for child in token.children or []]
    allowed = {"text", "text_special", "code_inline", "strong_open", "strong_close", "softbreak"}
    assert {child.type for child in children} <= allowed
    assert not any(token.type == "html_block" for token in tokens)
    assert "\x1b" not in rendered
    assert "\u202e" not in rendered
