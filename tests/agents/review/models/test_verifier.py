"""What is contested, and what becomes of it."""

from typing import Any

import pytest

from agents.review.models.verifier import (
    CONTESTED_MAX,
    FINDINGS_MAX,
    TOGETHER_MAX,
    Verdict,
    Verdicts,
    contested,
    judged_by,
    shown_only,
)
from schemas.review import Finding, FindingStatus, Severity


def finding(number: int = 0, confidence: float = 0.5, **fields: Any) -> Finding:
    return Finding(
        **{
            "fingerprint": f"{number:016x}",
            "title": "t",
            "path": "a.py",
            "line": number + 1,
            "end_line": number + 1,
            "severity": Severity.HIGH,
            "confidence": confidence,
        }
        | fields
    )


def test_only_what_is_neither_clear_nor_known_is_asked_about() -> None:
    sure, known = finding(1, 0.95), finding(2, status=FindingStatus.BASELINE)
    hardly, open_one = finding(3, 0.01), finding(4, CONTESTED_MAX)
    assert contested([sure, known, hardly, open_one]) == [[open_one]]


def test_questions_are_about_one_file_and_a_few_findings() -> None:
    many = [finding(n, path=f"{n % 2}.py") for n in range(20)]
    groups = contested(many)
    assert all(len({one.path for one in group}) == 1 for group in groups)
    assert max(map(len, groups)) == TOGETHER_MAX
    assert sum(map(len, contested([finding(n) for n in range(10_000)]))) == FINDINGS_MAX


def test_a_verdict_moves_the_odds_and_a_finding_bears_its_share_of_the_cost() -> None:
    group = [finding(0), finding(1), finding(2)]
    verdicts = Verdicts(
        verdicts=[
            Verdict(number=1, real=True, because="line 4 concatenates"),
            Verdict(number=2, real=False, because="a constant"),
            Verdict(number=2, real=True),
            Verdict(number=99, real=True),
        ]
    )
    real, wrong, open_one = judged_by(group, verdicts, "one/m", 10)
    assert real.confidence == pytest.approx(0.8)
    assert real.verdict == "one/m confirms it: line 4 concatenates"
    assert wrong.confidence == pytest.approx(0.2)
    assert open_one.confidence == 0.5
    assert [one.cost_nusd for one in (real, wrong, open_one)] == [4, 4, 4]


def test_what_an_analyser_found_is_never_taken_away() -> None:
    analyser, claim = finding(0, 0.01), finding(1, 0.1, is_claim=True, models=1)
    assert shown_only([analyser, claim]) == ([analyser], 1)
    assert shown_only([finding(1, 0.31, is_claim=True, models=1)])[1] == 0
