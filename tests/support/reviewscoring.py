"""Findings against labels: which labels a set of findings meets, and which findings meet none.

A case is a whole file with one label: it counts as reported if any finding in it is of the label's CWE family. An
application is many labels in many files: a finding meets a label of its file and family if it starts at most
`NEAR_LINES` from the label's lines; each label is met once, by the nearest.
"""

import csv
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from agents.review.cwe import family_of
from schemas.review import Finding

NEAR_LINES: Final = 5
NEAR_LINES_FINE: Final = 2
"""Of a place that is fine: further away, something else is meant."""
TRUE: Final = frozenset({"true", "1", "yes"})
FALSE: Final = frozenset({"false", "0", "no"})


class LabelsError(ValueError):
    """Raised when a table of labels can't be read; says which line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """One place that is weak, or that merely looks so. Lines are 1-based; 0 if the label is about the file."""

    path: str
    cwe: int
    vulnerable: bool
    line: int = 0
    end_line: int = 0
    note: str = ""
    app: str = ""

    @property
    def family(self) -> str:
        return family_of(self.cwe)

    def distance(self, line: int) -> int:
        """Lines between `line` and the label; 0 if it is inside."""
        return max(0, self.line - line, line - max(self.line, self.end_line))


def read_labels(path: Path) -> list[Label]:
    """Labels from a CSV file with the columns file, cwe, vulnerable, and if there are any line, end_line, note, app.

    Raises:
        LabelsError: a column is missing, or a value is not what it should be.
    """
    with path.open(newline="", encoding="utf-8") as file:
        rows = csv.DictReader(file)
        missing = {"file", "cwe", "vulnerable"} - set(rows.fieldnames or ())
        if missing:
            raise LabelsError(f"{path}: no column {', '.join(sorted(missing))}")
        return [_label(row, f"{path}:{rows.line_num}") for row in rows]


def _label(row: dict[str, str], where: str) -> Label:
    said = row["vulnerable"].strip().lower()
    if said not in TRUE | FALSE:
        raise LabelsError(f"{where}: vulnerable is {said!r}, not true or false")
    try:
        line = int(row.get("line") or 0)
        return Label(
            path=row["file"],
            cwe=int(row["cwe"].upper().removeprefix("CWE-")),
            vulnerable=said in TRUE,
            line=line,
            end_line=int(row.get("end_line") or line),
            note=row.get("note") or "",
            app=row.get("app") or "",
        )
    except ValueError as error:
        raise LabelsError(f"{where}: {error}") from None


@dataclass(slots=True)
class Counts:
    """True and false positives and negatives, and of the true positives how many point at the place."""

    tp: int = 0
    fp: int = 0
    fn: int = 0
    tn: int = 0
    near: int = 0

    @property
    def recall(self) -> float:
        return self.tp / (self.tp + self.fn) if self.tp + self.fn else 0.0

    @property
    def precision(self) -> float:
        return self.tp / (self.tp + self.fp) if self.tp + self.fp else 0.0

    @property
    def false_rate(self) -> float:
        return self.fp / (self.fp + self.tn) if self.fp + self.tn else 0.0

    @property
    def f1(self) -> float:
        return 2 * self.tp / (2 * self.tp + self.fp + self.fn) if self.tp else 0.0

    @property
    def gain(self) -> float:
        """True-positive rate − false-positive rate."""
        return self.recall - self.false_rate

    def add(self, other: "Counts") -> None:
        self.tp += other.tp
        self.fp += other.fp
        self.fn += other.fn
        self.tn += other.tn
        self.near += other.near


@dataclass(frozen=True, slots=True)
class FalseAlarm:
    """A finding that meets no weakness.

    Attributes:
        label: the label of the place, if it is labelled as fine.
        passes: a weakness that the finding's trace leads past: the same problem, told at another place or twice.
    """

    finding: Finding
    label: Label | None = None
    passes: Label | None = None


@dataclass(slots=True)
class Score:
    """How one way to report did, over all and by CWE, with what it missed and what it reported wrongly.

    Attributes:
        tempted: false alarms at places that are labelled as fine.
        elsewhere: false alarms whose trace leads past a weakness of the same family.
        unnamed: findings without a CWE: advice that no label speaks of, counted as neither right nor wrong.
    """

    total: Counts = field(default_factory=Counts)
    by_cwe: dict[int, Counts] = field(default_factory=lambda: defaultdict(Counts))
    misses: list[Label] = field(default_factory=list)
    false_alarms: list[FalseAlarm] = field(default_factory=list)
    tempted: int = 0
    elsewhere: int = 0
    unnamed: int = 0


def score_cases(labels: Iterable[Label], findings: Iterable[Finding]) -> Score:
    """Core: every label is one case, reported or not."""
    by_case: defaultdict[tuple[str, str], list[Finding]] = defaultdict(list)
    for finding in findings:
        by_case[finding.path, family_of(finding.cwe)].append(finding)
    score = Score()
    for label in labels:
        reported = by_case.get((label.path, label.family), [])
        one = Counts()
        if label.vulnerable:
            one.tp, one.fn = (1, 0) if reported else (0, 1)
            one.near = int(any(label.distance(finding.line) <= NEAR_LINES for finding in reported))
            if not reported:
                score.misses.append(label)
        else:
            one.fp, one.tn = (1, 0) if reported else (0, 1)
            score.false_alarms += [FalseAlarm(finding, label) for finding in reported]
        score.total.add(one)
        score.by_cwe[label.cwe].add(one)
    score.tempted = score.total.fp
    return score


def score_app(labels: Sequence[Label], findings: Sequence[Finding]) -> Score:
    """Core: findings of one application, matched to its labels nearest first, a weakness before what is fine."""
    score = Score()
    named = [finding for finding in findings if finding.cwe > 0]
    score.unnamed = len(findings) - len(named)
    pairs = sorted(
        (distance, not label.vulnerable, index, number)
        for number, finding in enumerate(named)
        for index, label in enumerate(labels)
        if label.path == finding.path and label.family == family_of(finding.cwe)
        if (distance := min(label.distance(finding.line), label.distance(finding.end_line))) <= NEAR_LINES
    )
    met: dict[int, Label] = {}
    taken: set[int] = set()
    for distance, fine, index, number in pairs:
        # A weakness is met once, but any number of findings may fall for one place that is fine.
        if number in met or (index in taken and not fine) or (fine and distance > NEAR_LINES_FINE):
            continue
        met[number] = labels[index]
        taken.add(index)
    _count(score, labels, named, met, taken)
    return score


def _count(
    score: Score, labels: Sequence[Label], named: Sequence[Finding], met: dict[int, Label], taken: set[int]
) -> None:
    for index, label in enumerate(labels):
        if not label.vulnerable:
            continue
        one = Counts(tp=1, near=1) if index in taken else Counts(fn=1)
        score.total.add(one)
        score.by_cwe[label.cwe].add(one)
        if index not in taken:
            score.misses.append(label)
    for number, finding in enumerate(named):
        label = met.get(number)
        if label and label.vulnerable:
            continue
        score.total.fp += 1
        score.by_cwe[label.cwe if label else finding.cwe].fp += 1
        passes = None if label else _passed(labels, finding)
        score.tempted += label is not None
        score.elsewhere += passes is not None
        score.false_alarms.append(FalseAlarm(finding, label, passes))


def _passed(labels: Sequence[Label], finding: Finding) -> Label | None:
    """The first weakness of the finding's family that its trace leads past."""
    return next(
        (
            label
            for step in finding.trace
            for label in labels
            if label.vulnerable and label.path == step.path and label.family == family_of(finding.cwe)
            if label.distance(step.line) <= NEAR_LINES
        ),
        None,
    )


def summed(scores: Iterable[Score]) -> Score:
    """Core: the scores of several applications as one."""
    out = Score()
    for score in scores:
        out.total.add(score.total)
        for cwe, counts in score.by_cwe.items():
            out.by_cwe[cwe].add(counts)
        out.misses += score.misses
        out.false_alarms += score.false_alarms
        out.tempted += score.tempted
        out.elsewhere += score.elsewhere
        out.unnamed += score.unnamed
    return out
