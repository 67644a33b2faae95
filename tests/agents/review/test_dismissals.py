"""Dismissed findings are marked and stay; those like them are less sure, by a formula that people can follow."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.review.dismissals import (
    ALIKE_MAX,
    CONFIDENCE_MIN,
    dismissal_notes,
    key_of,
    less_sure,
    mark_dismissed,
    similar_dismissals,
)
from agents.review.models.verifier import SHOWN_MIN
from schemas.review import Dismissal, Finding, FindingStatus, Hit, Severity

FINDING = Finding(
    fingerprint="a" * 16,
    title="SQL built from a string",
    path="src/db.py",
    line=12,
    end_line=12,
    severity=Severity.CRITICAL,
    confidence=0.8,
    cwe=89,
    description="Whoever sends `name` can read any row.",
    code='    db.execute(f"SELECT {name}")\n',
    found_by=("bandit B608",),
)


def finding(fingerprint: str = "a" * 16, **fields: object) -> Finding:
    return msgspec.structs.replace(FINDING, fingerprint=fingerprint, **fields)


def dismissal(fingerprint: str = "a" * 16, **fields: object) -> Dismissal:
    kind, code = key_of(FINDING)
    one = Dismissal(
        fingerprint=fingerprint,
        reason="name is one of ours",
        by="ada",
        at="2026-11-21T05:00:00Z",
        path="src/old.py",
        kind=kind,
        code=code,
    )
    return msgspec.structs.replace(one, **fields)


class TestMarking:
    def test_a_dismissed_finding_stays_with_who_when_and_why(self) -> None:
        [marked] = mark_dismissed([finding()], [dismissal()])
        assert marked.status is FindingStatus.SUPPRESSED
        assert marked.status_reason == "dismissed by ada on 2026-11-21: name is one of ours"
        assert marked.dismissed == dismissal()
        assert marked.confidence == FINDING.confidence

    @pytest.mark.parametrize("missing", ["by", "at", "reason"])
    def test_without_who_when_and_why_it_does_nothing(self, missing: str) -> None:
        unsigned = dismissal(**{missing: " "})
        others = dismissal("b" * 16, **{missing: " "})
        assert mark_dismissed([finding()], [unsigned, others]) == [finding()]
        [note] = dismissal_notes([], [unsigned], "d.json")
        assert note.startswith("1 of the dismissals in d.json without effect")

    @pytest.mark.parametrize("status", [FindingStatus.BASELINE, FindingStatus.SUPPRESSED])
    def test_what_is_marked_already_keeps_its_mark(self, status: FindingStatus) -> None:
        known = finding(status=status, status_reason="known before")
        assert mark_dismissed([known], [dismissal(), dismissal("b" * 16)]) == [known]

    def test_the_report_counts_them_and_names_the_file(self) -> None:
        found = mark_dismissed([finding(), finding("c" * 16, code="other")], [dismissal()])
        [note] = dismissal_notes(found, [dismissal()], "labverse-dismissals.json")
        assert note.startswith("1 of the findings dismissed by labverse-dismissals.json")
        [note] = dismissal_notes(found, [dismissal()], "")
        assert "by the request for this review" in note

    @given(
        st.lists(st.sampled_from("abcdef"), max_size=8), st.lists(st.sampled_from("abcdefgh"), max_size=30)
    )
    def test_no_finding_is_ever_left_out(self, findings: list[str], dismissed: list[str]) -> None:
        found = [finding(one * 16) for one in findings]
        marked = mark_dismissed(found, [dismissal(one * 16) for one in dismissed])
        assert [one.fingerprint for one in marked] == [one.fingerprint for one in found]
        assert all(one.severity is FINDING.severity and one.title == FINDING.title for one in marked)
        assert all((one.dismissed is None) == (one.status is FindingStatus.NEW) for one in marked)


class TestAlike:
    def test_each_different_dismissal_halves_the_odds(self) -> None:
        assert less_sure(0.8, 1) == pytest.approx(2 / 3, abs=0.001)
        assert less_sure(0.8, 2) == pytest.approx(0.5, abs=0.001)
        [one] = mark_dismissed([finding()], [dismissal("b" * 16), dismissal("c" * 16)])
        assert one.status is FindingStatus.NEW
        assert one.confidence == pytest.approx(0.5, abs=0.001)
        assert one.description.endswith(
            "Like a finding in src/old.py that was dismissed by ada: name is one of ours"
        )

    def test_the_same_dismissal_said_often_counts_once(self) -> None:
        [one] = mark_dismissed([finding()], [dismissal("b" * 16)] * 50)
        assert one.confidence == less_sure(0.8, 1)

    @given(st.floats(0, 1), st.integers(0, 10_000))
    def test_no_heap_of_dismissals_makes_a_finding_vanish(self, confidence: float, alike: int) -> None:
        after = less_sure(confidence, alike)
        assert after <= confidence
        assert after >= min(confidence, CONFIDENCE_MIN)
        assert after == less_sure(confidence, min(alike, ALIKE_MAX))

    def test_claims_that_were_shown_are_still_shown(self) -> None:
        assert CONFIDENCE_MIN >= SHOWN_MIN

    @pytest.mark.parametrize(
        "other",
        [{"code": "db.execute(other)"}, {"cwe": 78}, {"code": ""}],
        ids=["another line", "another weakness", "no line"],
    )
    def test_what_only_looks_a_little_alike_is_not(self, other: dict[str, object]) -> None:
        apart = finding(**other)
        blank = dismissal("c" * 16, code="")
        assert mark_dismissed([apart], [dismissal("b" * 16), blank]) == [apart]

    def test_blanks_make_no_difference(self) -> None:
        indented = finding(code='\n\tdb.execute( f"SELECT {name}" )')
        assert similar_dismissals([indented], [dismissal("b" * 16)]) == [(dismissal("b" * 16),)]

    def test_its_own_dismissal_is_not_one_of_something_like_it(self) -> None:
        others = [dismissal("b" * 16), dismissal("c" * 16)]
        assert similar_dismissals([finding()], [dismissal(), *others]) == [tuple(others)]

    def test_hits_are_looked_up_too(self) -> None:
        hit = Hit(
            analyser="ruff",
            rule="S608",
            path="x.py",
            line=1,
            title="SQL",
            severity=Severity.LOW,
            cwe=89,
            code=FINDING.code,
        )
        vague = msgspec.structs.replace(hit, cwe=0)
        by_rule = dismissal("c" * 16, kind="ruff S608")
        assert similar_dismissals([hit, vague], [dismissal("b" * 16), by_rule]) == [
            (dismissal("b" * 16),),
            (by_rule,),
        ]
