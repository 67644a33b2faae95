"""The report as SARIF 2.1.0, the format that code hosts and editors read.

One rule for each CWE, or for each analyser's rule where there is none. Findings that were known carry
`baselineState: unchanged`, ignored ones a suppression; a stage that failed and every file that was not
reviewed is a notification. There are no `fixes`: those are edits that a program may apply, and what we know
are instructions for people, which stand in the message.
"""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final, TypeAlias
from urllib.parse import quote

import msgspec

from agents.review.cwe import name_of
from agents.review.languages import fence_of, language_of
from agents.review.report.escape import fence, prose
from agents.review.report.fixes import passages
from agents.review.report.wording import NUSD_PER_USD
from schemas.review import Finding, FindingStatus, NotReviewed, ReviewReport, Severity, TraceStep

SCHEMA_URI: Final = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)
SARIF_VERSION: Final = "2.1.0"
FINGERPRINT_KEY: Final = "labverse/v1"
ROOT_ID: Final = "%SRCROOT%"
TEXT_CHARS_MAX: Final = 8_000

LEVELS: Final = {
    Severity.CRITICAL: "error",
    Severity.HIGH: "error",
    Severity.MEDIUM: "warning",
    Severity.LOW: "note",
    Severity.INFO: "note",
}
SECURITY_SEVERITIES: Final = {
    Severity.CRITICAL: "9.5",
    Severity.HIGH: "8.0",
    Severity.MEDIUM: "5.5",
    Severity.LOW: "3.0",
    Severity.INFO: "1.0",
}
"""On the scale of CVSS, in the middle of the range that each word has there."""
RULE_WORDS_MAX: Final = 8

Json: TypeAlias = dict[str, Any]

_WORD = re.compile(r"[A-Za-z0-9]+")


def to_sarif(report: ReviewReport) -> str:
    """The whole report as indented JSON, ending in a newline."""
    log = {"$schema": SCHEMA_URI, "version": SARIF_VERSION, "runs": [_run(report)]}
    return msgspec.json.format(msgspec.json.encode(log), indent=2).decode() + "\n"


def _run(report: ReviewReport) -> Json:
    by_rule: dict[str, list[Finding]] = {}
    for finding in report.findings:
        by_rule.setdefault(rule_id(finding), []).append(finding)
    index = {rule: number for number, rule in enumerate(by_rule)}
    versions = dict.fromkeys((stage.analyser, stage.version) for stage in report.stages)
    driver = {"name": "Labverse", "rules": [_rule(rule, found) for rule, found in by_rule.items()]}
    if report.version:
        driver["version"] = report.version
    return {
        "tool": {
            "driver": driver,
            "extensions": [
                {"name": name, **({"version": version} if version else {})} for name, version in versions
            ],
        },
        "automationDetails": {"id": f"labverse/{report.task_id}"},
        "columnKind": "unicodeCodePoints",
        "originalUriBaseIds": {ROOT_ID: {"description": {"text": "The folder that was reviewed"}}},
        "invocations": [_invocation(report)],
        "results": [_result(finding, index[rule_id(finding)]) for finding in report.findings],
        "properties": {
            "name": report.name,
            "files": report.files,
            "lines": report.lines,
            "seconds": report.seconds,
            "costUsd": report.cost_nusd / NUSD_PER_USD,
            "roles": report.roles,
        },
    }


def rule_id(finding: Finding) -> str:
    """Such as `CWE-89`; `ruff/E722` for a finding without a CWE."""
    if finding.cwe:
        return f"CWE-{finding.cwe}"
    return finding.found_by[0].replace(" ", "/") if finding.found_by else "labverse/other"


def _rule(rule: str, found: Sequence[Finding]) -> Json:
    """What is known of a rule from its findings, of which the first is the worst."""
    first = found[0]
    title = name_of(first.cwe) or first.title
    words = _WORD.findall(name_of(first.cwe).partition(" ")[2] or first.title)[:RULE_WORDS_MAX]
    tags = sorted({role for finding in found for role in finding.roles})
    properties: Json = {"tags": tags}
    if first.cwe:
        worst = min((finding.severity for finding in found), key=lambda severity: severity.rank)
        properties["security-severity"] = SECURITY_SEVERITIES[worst]
        properties["tags"] = [*dict.fromkeys(["security", *tags]), f"external/cwe/cwe-{first.cwe}"]
    described: Json = {
        "id": rule,
        "name": "".join(word[:1].upper() + word[1:] for word in words) or "Finding",
        "shortDescription": {"text": _text(title)},
        "help": {"text": _words(first), "markdown": _markdown(first)},
        "defaultConfiguration": {"level": LEVELS[first.severity]},
        "properties": properties,
    }
    if first.cwe:
        described["helpUri"] = f"https://cwe.mitre.org/data/definitions/{first.cwe}.html"
    return described


def _result(finding: Finding, rule_index: int) -> Json:
    suppressions = []
    if finding.status is FindingStatus.SUPPRESSED:
        suppressions.append(
            {
                "kind": "external" if finding.dismissed is not None else "inSource",
                "status": "accepted",
                "justification": finding.status_reason,
            }
        )
    region: Json = {"startLine": max(1, finding.line), "endLine": max(1, finding.line, finding.end_line)}
    if finding.code:
        region["snippet"] = {"text": finding.code}
    place = {"artifactLocation": _artifact(finding.path), "region": region}
    if language := language_of(finding.path):
        region["sourceLanguage"] = language
    result: Json = {
        "ruleId": rule_id(finding),
        "ruleIndex": rule_index,
        "level": LEVELS[finding.severity],
        "rank": round(finding.confidence * 100, 1),
        "message": {"text": _words(finding), "markdown": _markdown(finding)},
        "locations": [{"physicalLocation": place}],
        "partialFingerprints": {FINGERPRINT_KEY: finding.fingerprint},
        "suppressions": suppressions,
        "baselineState": "unchanged" if finding.status is FindingStatus.BASELINE else "new",
        "properties": {
            "severity": finding.severity,
            "confidence": finding.confidence,
            "foundBy": finding.found_by,
            "roles": finding.roles,
            **({"verdict": finding.verdict} if finding.verdict else {}),
            **({"costUsd": finding.cost_nusd / NUSD_PER_USD} if finding.cost_nusd else {}),
        },
    }
    if finding.trace:
        steps = [_step(step) for step in finding.trace]
        result["codeFlows"] = [{"threadFlows": [{"locations": steps}]}]
    return result


def _step(step: TraceStep) -> Json:
    place = {"artifactLocation": _artifact(step.path), "region": {"startLine": max(1, step.line)}}
    return {"location": {"physicalLocation": place, "message": {"text": _text(step.what)}}}


def _invocation(report: ReviewReport) -> Json:
    failures = [_notification("error", "degraded", reason) for reason in report.degraded]
    failures += [
        _notification("error", "stage-failed", f"{stage.analyser}: {stage.error}")
        for stage in report.stages
        if stage.error
    ]
    invocation: Json = {
        "executionSuccessful": not report.degraded,
        "toolExecutionNotifications": [*failures, *map(_left_out, report.not_reviewed)],
    }
    if ended := _utc(report.created_at):
        invocation["endTimeUtc"] = ended
    return invocation


def _notification(level: str, kind: str, text: str) -> Json:
    return {
        "level": level,
        "descriptor": {"id": f"labverse/{kind}"},
        "message": {"text": _text(text) or kind},
    }


def _left_out(entry: NotReviewed) -> Json:
    """A file that was left out; or, without a place, what stands in parentheses: a sum of many."""
    stage = f" ({entry.stage})" if entry.stage else ""
    if entry.path.startswith("(") and entry.path.endswith(")"):
        return _notification("note", "not-reviewed", f"Not reviewed: {entry.reason}{stage}")
    text = f"{entry.path} was not reviewed: {entry.reason}{stage}"
    notification = _notification("warning", "not-reviewed", text)
    if entry.stage != "assignment":  # whose path is a label
        notification["locations"] = [{"physicalLocation": {"artifactLocation": _artifact(entry.path)}}]
    return notification


def _artifact(path: str) -> Json:
    uri = quote(path.encode("utf-8", "surrogateescape"), safe="/")
    return {"uri": uri, "uriBaseId": ROOT_ID}


def _words(finding: Finding) -> str:
    """Title, description and fix as plain text."""
    parts = [finding.title, finding.description, finding.fix and f"Fix: {finding.fix}"]
    return _text("\n\n".join(part for part in parts if part.strip())) or "Finding"


def _markdown(finding: Finding) -> str:
    lines = [f"**{prose(finding.title)}**", ""]
    for heading, text in (("", finding.description), ("Fix:", finding.fix)):
        found = passages(text)
        if found and heading:
            lines += [heading, ""]
        for passage in found:
            lines += fence(passage.text, fence_of(finding.path)) if passage.is_code else [prose(passage.text)]
            lines.append("")
    return "\n".join(lines).strip()


def _text(text: str) -> str:
    """A plain text message, in which `[words](target)` would be a link: nobody's code should make one."""
    return text[:TEXT_CHARS_MAX].replace("](", "] (")


def _utc(rfc3339: str) -> str:
    try:
        return datetime.fromisoformat(rfc3339).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except ValueError:
        return ""
