"""Fingerprints stay when they should, and change when they should."""

import msgspec

from agents.review.fingerprint import with_fingerprints
from schemas.review import Finding, Severity

FINDING = Finding(
    fingerprint="",
    title="SQL",
    path="a.py",
    line=10,
    end_line=10,
    severity=Severity.HIGH,
    confidence=0.5,
    cwe=89,
    code="    run(x + y)",
    found_by=("bandit B608",),
)


def of(*findings: Finding) -> list[str]:
    return [finding.fingerprint for finding in with_fingerprints(findings)]


def changed(**fields: object) -> Finding:
    return msgspec.structs.replace(FINDING, **fields)


def test_a_fingerprint_is_sixteen_hex_characters() -> None:
    (mark,) = of(FINDING)
    assert len(mark) == 16
    assert int(mark, 16)


def test_a_fingerprint_is_the_same_in_every_version() -> None:
    """Baselines on people's disks depend on it."""
    assert of(FINDING) == ["a4cf6cacdfa69c49"]


def test_a_fingerprint_stays_when_the_finding_is_the_same() -> None:
    same = [
        changed(line=99, end_line=99),
        changed(code="\trun(x  +  y)\r\n"),
        changed(code="\n  \nrun(x+y)\n  more quoted lines"),
        changed(cwe=564),
        changed(found_by=("labverse PY-SQL", "ruff S608"), title="Other words", confidence=0.9),
        changed(severity=Severity.LOW, description="d", fix="f", end_line=12),
    ]
    assert {mark for finding in same for mark in of(finding)} == set(of(FINDING))


def test_a_fingerprint_changes_with_what_makes_the_finding() -> None:
    other = [changed(path="b.py"), changed(code="run(x - y)"), changed(cwe=78), changed(cwe=0)]
    assert len({mark for finding in [FINDING, *other] for mark in of(finding)}) == 5


def test_equal_findings_are_counted_in_order_of_their_lines() -> None:
    one, two, three = of(changed(line=30), FINDING, changed(line=20))
    assert len({one, two, three}) == 3
    assert [finding.line for finding in with_fingerprints([changed(line=30), FINDING])] == [10, 30]
    assert of(FINDING) == [one]


def test_without_a_cwe_the_rule_counts() -> None:
    first = changed(cwe=0, found_by=("ruff E722",))
    assert of(first) == of(msgspec.structs.replace(first, title="Other words"))
    assert of(first) != of(msgspec.structs.replace(first, found_by=("ruff E501",)))


def test_text_that_is_no_unicode_has_a_fingerprint_too() -> None:
    assert len(of(changed(code="\ud800"))) == 1
