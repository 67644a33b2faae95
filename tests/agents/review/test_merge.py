"""Merging: one problem is one finding, two problems are two, whatever the order of the hits."""

import random
import time
from collections.abc import Iterable, Sequence

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.review.calibration import chance_of
from agents.review.cwe import family_of
from agents.review.merge import NEAR_LINES, TEXT_CHARS_MAX, TITLE_CHARS_MAX, Merged, merge_hits
from schemas.review import Finding, FindingStatus, Hit, Severity


def hit(line: int, analyser: str = "bandit", rule: str = "R1", **fields: object) -> Hit:
    base = Hit(
        analyser=analyser,
        rule=rule,
        path="a.py",
        line=line,
        title="SQL",
        severity=Severity.MEDIUM,
        confidence=0.5,
        cwe=89,
        code=f"line {line}",
    )
    return msgspec.structs.replace(base, **fields)


def merged(*hits: Hit) -> tuple[Finding, ...]:
    return merge_hits(("security", each) for each in hits).findings


def lines(findings: Iterable[Finding]) -> list[int]:
    return sorted(finding.line for finding in findings)


def test_no_hits_give_no_findings() -> None:
    assert merge_hits([]) == Merged(findings=(), cut=0)


def test_analysers_that_agree_give_one_surer_finding() -> None:
    (found,) = merged(hit(10), hit(10, "labverse"), hit(12, "ruff", cwe=564))
    assert found.found_by == ("bandit R1", "labverse R1", "ruff R1")
    assert found.confidence == chance_of([hit(10), hit(10, "labverse"), hit(12, "ruff")])
    assert found.confidence > chance_of([hit(10)])


@pytest.mark.parametrize(("distance", "count"), [(0, 1), (NEAR_LINES, 1), (NEAR_LINES + 1, 2)])
def test_only_near_hits_are_joined(distance: int, count: int) -> None:
    assert len(merged(hit(10), hit(10 + distance, "labverse"))) == count


@pytest.mark.parametrize(("distance", "count"), [(0, 1), (2, 1), (3, 2)])
def test_without_a_cwe_the_title_and_two_lines_decide(distance: int, count: int) -> None:
    one = hit(10, cwe=0, title="Bare `except`")
    two = hit(10 + distance, "labverse", cwe=0, title="bare   EXCEPT.")
    assert len(merged(one, two)) == count
    assert len(merged(one, msgspec.structs.replace(two, title="Other"))) == 2


def test_a_chain_of_near_hits_does_not_grow_without_end() -> None:
    found = merged(*(hit(10 + 4 * index, f"analyser{index}") for index in range(6)))
    assert len(found) == 3


def test_other_families_files_and_titles_stay_apart() -> None:
    assert (
        len(merged(hit(10), hit(10, "labverse", cwe=78), hit(10, "ruff", path="b.py"), hit(10, "x", cwe=0)))
        == 4
    )


def test_one_rule_on_two_lines_means_two_problems() -> None:
    assert lines(merged(hit(10), hit(11))) == [10, 11]


def test_two_problems_that_two_analysers_see_are_two_findings() -> None:
    found = merged(hit(10), hit(11), hit(10, "labverse"), hit(11, "labverse"))
    assert [(each.line, each.found_by) for each in found] == [
        (10, ("bandit R1", "labverse R1")),
        (11, ("bandit R1", "labverse R1")),
    ]


def test_hits_go_to_the_nearest_of_two_problems() -> None:
    found = merged(hit(10), hit(15), hit(14, "labverse"), hit(11, "ruff"))
    assert sorted(each.found_by for each in found) == [("bandit R1", "labverse R1"), ("bandit R1", "ruff R1")]
    assert lines(found) == [10, 14]


def test_two_rules_of_one_analyser_on_one_line_are_one_finding() -> None:
    (found,) = merged(hit(10), hit(10, rule="R2"))
    assert found.found_by == ("bandit R1", "bandit R2")


def test_two_rules_of_one_analyser_on_other_lines_are_two_unless_they_overlap() -> None:
    assert len(merged(hit(10), hit(12, rule="R2"))) == 2
    assert len(merged(hit(10, end_line=13), hit(12, rule="R2"))) == 1


def test_the_same_hit_from_two_roles_counts_once() -> None:
    (found,) = merge_hits([("security", hit(10)), ("secrets", hit(10))]).findings
    assert found.roles == ("secrets", "security")
    assert found.confidence == chance_of([hit(10)])


def test_words_come_from_the_surest_place_from_the_tightest_and_the_longest_fix() -> None:
    (found,) = merged(
        hit(10, end_line=14, confidence=0.9, title="Best", description="best", fix="short", code="wide"),
        hit(12, "ruff", end_line=12, title="Tight", description="other", code="tight", fix="a longer fix"),
        hit(11, "labverse", end_line=12, confidence=0.1, fix="x" * 100, severity=Severity.CRITICAL),
    )
    assert (found.title, found.description) == ("Best", "best")
    assert (found.line, found.end_line, found.code) == (12, 12, "tight")
    assert found.fix == "a longer fix"
    assert found.severity is Severity.MEDIUM


def test_texts_of_a_finding_are_cut() -> None:
    endless = "x" * 100_000
    (found,) = merged(hit(10, title=endless, description=endless, code=endless, fix=endless))
    assert len(found.title) == TITLE_CHARS_MAX
    assert {len(text) for text in (found.description, found.code, found.fix)} == {TEXT_CHARS_MAX}


def test_the_worst_severity_of_believable_hits_counts() -> None:
    (found,) = merged(hit(10), hit(10, "ruff", severity=Severity.HIGH, confidence=0.3))
    assert found.severity is Severity.HIGH
    (found,) = merged(hit(10, confidence=0.1), hit(10, "ruff", severity=Severity.HIGH, confidence=0.2))
    assert found.severity is Severity.HIGH


def test_hits_on_other_lines_are_told_so_that_none_is_lost() -> None:
    (found,) = merged(hit(10, description="d"), hit(13, "labverse", "PY-SQL", title="Other title"))
    assert found.description == "d\n\nAlso reported at line 13 (labverse PY-SQL: Other title)."


def test_a_finding_is_ignored_only_if_all_its_hits_are() -> None:
    (found,) = merged(hit(10, suppressed="# nosec"), hit(10, "labverse", suppressed="# nosec"))
    assert (found.status, found.status_reason) == (FindingStatus.SUPPRESSED, "# nosec")
    (found,) = merged(hit(10, suppressed="# nosec"), hit(10, "labverse"))
    assert (found.status, found.status_reason) == (FindingStatus.NEW, "")


def test_the_worst_come_first_and_ignored_ones_last() -> None:
    found = merged(
        hit(10, severity=Severity.LOW),
        hit(20, severity=Severity.CRITICAL, suppressed="# nosec"),
        hit(30, severity=Severity.HIGH),
        hit(40, severity=Severity.HIGH, path="A.py"),
    )
    assert [(each.path, each.line) for each in found] == [
        ("A.py", 40),
        ("a.py", 30),
        ("a.py", 10),
        ("a.py", 20),
    ]


def test_over_the_limit_the_least_severe_are_cut_and_counted() -> None:
    hits = [("x", hit(100 * index, severity=Severity.LOW)) for index in range(10)]
    result = merge_hits([*hits, ("x", hit(5000, severity=Severity.HIGH))], findings_max=4)
    assert (len(result.findings), result.cut) == (4, 7)
    assert result.findings[0].line == 5000


def test_what_an_analyser_adds_does_not_change_the_fingerprint() -> None:
    alone = merged(hit(10))
    both = merged(hit(10), hit(10, "labverse", code="line 10", confidence=0.9, title="T"))
    assert alone[0].fingerprint == both[0].fingerprint


HITS = st.lists(
    st.builds(
        lambda line, length, analyser, rule, cwe, path, confidence, severity, title: hit(
            line,
            analyser,
            rule,
            end_line=line + length if length else 0,
            cwe=cwe,
            path=path,
            confidence=confidence,
            severity=severity,
            title=title,
        ),
        st.integers(1, 25),
        st.sampled_from([0, 0, 0, 1, 3, 40]),
        st.sampled_from(["bandit", "ruff", "labverse"]),
        st.sampled_from(["R1", "R2", "S602"]),
        st.sampled_from([89, 564, 78, 0]),
        st.sampled_from(["a.py", "b.py"]),
        st.sampled_from([0.1, 0.5, 0.9]),
        st.sampled_from(list(Severity)),
        st.sampled_from(["One", "Two"]),
    ),
    max_size=25,
)


def where(finding: Finding) -> tuple[str, str, int]:
    return (finding.path, family_of(finding.cwe) or finding.title, finding.line)


@settings(max_examples=150)
@given(hits=HITS, seed=st.integers())
def test_the_order_of_the_hits_does_not_matter(hits: list[Hit], seed: int) -> None:
    shuffled = [*hits]
    random.Random(seed).shuffle(shuffled)
    assert merged(*hits) == merged(*shuffled)


@settings(max_examples=150)
@given(hits=HITS)
def test_a_hit_that_comes_twice_changes_nothing(hits: list[Hit]) -> None:
    assert merged(*hits) == merged(*hits, *hits)


@settings(max_examples=150)
@given(hits=HITS)
def test_no_hit_is_lost(hits: list[Hit]) -> None:
    """Each is at a place that a finding names: in its lines, or among those where it was also reported."""
    found = merged(*hits)
    for each in hits:
        name = f"{each.analyser} {each.rule}"
        assert any(
            finding.path == each.path
            and name in finding.found_by
            and (
                (each.line <= finding.end_line and finding.line <= max(each.line, each.end_line))
                or f"line {each.line} ({name}: {each.title})" in finding.description
            )
            for finding in found
        )


@settings(max_examples=150)
@given(hits=HITS)
def test_no_finding_swallows_a_second_problem(hits: list[Hit]) -> None:
    """A rule that is reported on n lines is in at least n findings."""
    found = merged(*hits)
    for each in hits:
        same = {h.line for h in hits if _kind(h) == _kind(each)}
        name = f"{each.analyser} {each.rule}"
        holding = [f for f in found if f.path == each.path and name in f.found_by]
        assert len(holding) >= len(same)
    assert len({finding.fingerprint for finding in found}) == len(found)


def _kind(each: Hit) -> Sequence[object]:
    return (each.path, each.analyser, each.rule, family_of(each.cwe) or each.title)


@settings(max_examples=100)
@given(hits=HITS, gap=st.integers(1, 50))
def test_lines_put_above_change_no_fingerprint(hits: list[Hit], gap: int) -> None:
    moved = [
        msgspec.structs.replace(
            each, line=each.line + gap, end_line=each.end_line + gap if each.end_line else 0
        )
        for each in hits
    ]
    before = sorted(finding.fingerprint for finding in merged(*hits))
    assert before == sorted(finding.fingerprint for finding in merged(*moved))


def test_twenty_thousand_hits_take_about_a_second() -> None:
    chooser = random.Random(7)
    hits = [
        hit(
            chooser.randrange(1, 2_000),
            chooser.choice(["bandit", "ruff", "labverse", "detect-secrets"]),
            f"R{chooser.randrange(10)}",
            path=f"f{chooser.randrange(20)}.py",
            cwe=chooser.choice([0, 89, 78, 79, 502, 22]),
            description="d" * 200,
        )
        for _ in range(20_000)
    ]
    started = time.monotonic()
    result = merge_hits(("security", each) for each in hits)
    assert time.monotonic() - started < 10  # 0.6 s on an idle core
    assert len(result.findings) + result.cut > 10_000


def test_twenty_thousand_hits_on_one_line_are_no_trap() -> None:
    started = time.monotonic()
    assert len(merged(*(hit(10, f"a{index}") for index in range(20_000)))) == 1
    assert time.monotonic() - started < 10
