"""How findings are counted against labels: what meets which label, and what is a false alarm."""

from pathlib import Path

import msgspec
import pytest
from reviewscoring import Label, LabelsError, read_labels, score_app, score_cases, summed

from schemas.review import Finding, Severity, TraceStep


def finding(path: str, line: int, cwe: int, end_line: int = 0) -> Finding:
    return Finding(
        fingerprint="", title="t", path=path, line=line, end_line=end_line or line,
        severity=Severity.HIGH, confidence=0.5, cwe=cwe,
    )  # fmt: skip


def weak(path: str, line: int, cwe: int = 89, end_line: int = 0) -> Label:
    return Label(path=path, cwe=cwe, vulnerable=True, line=line, end_line=end_line or line)


def fine(path: str, line: int, cwe: int = 89) -> Label:
    return Label(path=path, cwe=cwe, vulnerable=False, line=line, end_line=line)


def test_a_case_counts_by_family_anywhere_in_its_file() -> None:
    labels = [weak("a.py", 3, 78), weak("b.py", 3), fine("c.py", 0), fine("d.py", 0)]
    score = score_cases(labels, [finding("a.py", 90, 77), finding("c.py", 1, 564), finding("d.py", 1, 22)])
    total = score.total
    assert (total.tp, total.fn, total.fp, total.tn, total.near) == (1, 1, 1, 1, 0)
    assert (total.recall, total.false_rate, total.gain, total.f1) == (0.5, 0.5, 0.0, 0.5)
    assert score.misses == [labels[1]]
    assert [alarm.label for alarm in score.false_alarms] == [labels[2]]


def test_a_finding_near_a_case_s_line_is_well_placed() -> None:
    near = score_cases([weak("a.py", 10)], [finding("a.py", 15, 89)])
    far = score_cases([weak("a.py", 10)], [finding("a.py", 16, 89)])
    assert (near.total.near, far.total.near) == (1, 0)


def test_a_weakness_of_an_application_is_met_once_and_by_the_nearest() -> None:
    score = score_app([weak("a.py", 10)], [finding("a.py", 13, 89), finding("a.py", 10, 89)])
    assert (score.total.tp, score.total.fp, score.total.fn) == (1, 1, 0)
    assert score.false_alarms[0].finding.line == 13


@pytest.mark.parametrize(("line", "found"), [(4, 0), (5, 1), (12, 1), (19, 1), (20, 0)])
def test_a_finding_meets_a_label_up_to_five_lines_away_from_its_range(line: int, found: int) -> None:
    score = score_app([weak("a.py", 10, end_line=14)], [finding("a.py", line, 89)])
    assert (score.total.tp, score.total.fp) == (found, 1 - found)


def test_another_family_or_file_meets_nothing() -> None:
    score = score_app([weak("a.py", 10)], [finding("a.py", 10, 22), finding("b.py", 10, 89)])
    assert (score.total.tp, score.total.fp, score.total.fn) == (0, 2, 1)


def test_a_finding_on_a_place_that_is_fine_is_a_false_alarm_even_beside_a_weakness() -> None:
    score = score_app([weak("a.py", 10), fine("a.py", 13)], [finding("a.py", 13, 89)])
    assert (score.total.tp, score.total.fp, score.total.fn, score.tempted) == (0, 1, 1, 1)


def test_a_finding_without_a_cwe_is_neither_right_nor_wrong() -> None:
    score = score_app([weak("a.py", 10)], [finding("a.py", 10, 0)])
    assert (score.unnamed, score.total.tp, score.total.fp, score.total.fn) == (1, 0, 0, 1)


def test_a_false_alarm_whose_trace_leads_past_a_weakness_says_so() -> None:
    elsewhere = msgspec.structs.replace(
        finding("db.py", 3, 89), trace=(TraceStep(path="a.py", line=12, what="goes into SQL"),)
    )
    score = score_app([weak("a.py", 10)], [elsewhere])
    assert (score.total.tp, score.total.fp, score.total.fn, score.elsewhere) == (0, 1, 1, 1)
    assert score.false_alarms[0].passes == weak("a.py", 10)


def test_applications_add_up() -> None:
    one = score_app([weak("a.py", 10)], [finding("a.py", 10, 89)])
    two = score_app([weak("a.py", 10)], [finding("a.py", 50, 89)])
    both = summed([one, two])
    assert (both.total.precision, both.total.recall, both.by_cwe[89].fp) == (0.5, 0.5, 1)


def test_labels_are_read_with_and_without_ranges(tmp_path: Path) -> None:
    table = tmp_path / "labels.csv"
    table.write_text("file,cwe,vulnerable,line\na.py,CWE-89,true,3\nb.py,22,0,\n")
    assert read_labels(table) == [weak("a.py", 3), Label(path="b.py", cwe=22, vulnerable=False)]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("file,cwe\n", "no column vulnerable"),
        ("file,cwe,vulnerable\na.py,89,maybe\n", "labels.csv:2: vulnerable is 'maybe'"),
        ("file,cwe,vulnerable\na.py,sql,true\n", "labels.csv:2"),
    ],
)
def test_a_bad_table_is_refused_with_its_line(tmp_path: Path, text: str, says: str) -> None:
    table = tmp_path / "labels.csv"
    table.write_text(text)
    with pytest.raises(LabelsError, match=says):
        read_labels(table)
