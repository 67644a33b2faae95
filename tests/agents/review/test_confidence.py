import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.review.confidence import CONFIDENCE_MAX, combined_confidence, confidence_words
from schemas.review import Hit, Severity


def hit(analyser: str, confidence: float, rule: str = "R1") -> Hit:
    return Hit(
        analyser=analyser,
        rule=rule,
        path="a.py",
        line=1,
        title="t",
        severity=Severity.LOW,
        confidence=confidence,
    )


def test_one_analyser_alone_is_as_sure_as_it_says() -> None:
    assert combined_confidence([hit("bandit", 0.6)]) == 0.6


def test_hits_of_one_analyser_count_once() -> None:
    assert combined_confidence([hit("bandit", 0.6), hit("bandit", 0.5, "R2")]) == 0.6


def test_independent_analysers_add_up() -> None:
    assert combined_confidence([hit("bandit", 0.6), hit("labverse", 0.5)]) == pytest.approx(0.8)


def test_ruffs_copy_of_bandit_adds_little() -> None:
    both = combined_confidence([hit("bandit", 0.6, "B602"), hit("ruff", 0.5, "S602")])
    assert both == pytest.approx(1 - 0.4 * (1 - 0.125))
    assert combined_confidence([hit("bandit", 0.6, "B602"), hit("ruff", 0.5, "SIM102")]) == pytest.approx(0.8)


@given(st.lists(st.tuples(st.sampled_from(["a", "b", "c"]), st.floats(-1, 2)), min_size=1, max_size=6))
def test_more_voices_never_make_less_sure(voices: list[tuple[str, float]]) -> None:
    hits = [hit(analyser, confidence) for analyser, confidence in voices]
    assert 0.0 <= combined_confidence(hits[:-1]) <= combined_confidence(hits) <= CONFIDENCE_MAX
    assert combined_confidence(hits) == pytest.approx(combined_confidence(hits[::-1]))


def test_confidence_has_words() -> None:
    assert [confidence_words(value) for value in (0.99, 0.9, 0.7, 0.4, 0.1, 0.0)] == [
        *("very likely", "very likely", "likely", "possible", "uncertain", "uncertain")
    ]
