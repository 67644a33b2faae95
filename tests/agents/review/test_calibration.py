"""The chance that a finding is real."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.review.calibration import Calibration, at, calibration, chance_of, judged
from agents.review.confidence import CONFIDENCE_MAX
from schemas.review import Hit, Severity

PLAIN = Calibration(
    models=calibration().models, analysers=((0.0, 0.0), (1.0, 1.0)), confirms=4.0, refutes=0.25
)


def hit(analyser: str, confidence: float = 0.5, *, by_model: bool = False, rule: str = "r") -> Hit:
    return Hit(
        analyser=analyser,
        rule=rule,
        path="a.py",
        line=1,
        title="t",
        severity=Severity.HIGH,
        confidence=confidence,
        by_model=by_model,
    )


def models(number: int) -> list[Hit]:
    return [hit(f"provider/m{n}", 0.1, by_model=True) for n in range(number)]


def test_distinct_models_make_a_claim_surer_and_one_model_twice_does_not() -> None:
    chances = [chance_of(models(n), PLAIN) for n in (1, 2, 3, 5, 8, 11)]
    assert chances == [0.10, 0.24, 0.42, 0.63, 0.80, 0.98]
    again = [hit("provider/m0", by_model=True, rule="other"), *models(1)]
    assert chance_of(again, PLAIN) == 0.10


def test_an_analyser_counts_as_one_more_voice() -> None:
    weak = hit("bandit", 0.05)
    assert chance_of([weak, *models(2)], PLAIN) == pytest.approx(0.42)
    strong = hit("bandit", 0.9)
    assert chance_of([strong, *models(1)], PLAIN) == pytest.approx(0.91)


@given(st.floats(0, 1), st.integers(0, 20))
def test_a_voice_more_never_makes_it_less_sure(confidence: float, number: int) -> None:
    one = hit("bandit", confidence)
    assert chance_of([one, *models(number)]) <= chance_of([one, *models(number + 1)]) <= CONFIDENCE_MAX


@given(st.floats(0.01, 0.98))
def test_a_verdict_and_its_opposite_cancel_out(chance: float) -> None:
    assert judged(chance, True, PLAIN) >= chance >= judged(chance, False, PLAIN) - 0.001
    assert judged(judged(chance, False, PLAIN), True, PLAIN) == pytest.approx(chance, abs=0.01)


@given(st.floats(-5, 50))
def test_the_table_that_ships_is_level_outside_and_rises(x: float) -> None:
    for points in (calibration().models, calibration().analysers):
        assert points[0][1] <= at(points, x) <= points[-1][1]
        assert list(points) == sorted(points)
        assert [y for _, y in points] == sorted(y for _, y in points)
