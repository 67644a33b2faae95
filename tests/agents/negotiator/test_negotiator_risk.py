"""Risk: what uncertain utilities are worth, and that sure gains never count as losses."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from negotiations import unhurried

from agents.negotiator.domain import from_mapping
from agents.negotiator.limits import RefusedError
from agents.negotiator.risk import Risk, RiskKind, adjusted
from agents.negotiator.solve import Options, solve
from schemas.deal import Certificate

KINDS: list[RiskKind] = ["semideviation", "cvar", "cara"]


def one(samples: list[float], probabilities: list[float], risk: Risk, unit: float = 1.0) -> float:
    return float(adjusted(np.array(samples)[:, None], np.array(probabilities), risk, unit=unit)[0])


def test_semideviation_counts_only_what_falls_below_the_mean() -> None:
    assert one([0.0, 1.0], [0.5, 0.5], Risk(aversion=0.2)) == pytest.approx(0.5 - 0.2 * np.sqrt(0.125))


def test_cvar_is_the_mean_of_the_worst_with_the_border_in_part() -> None:
    risk = Risk(kind="cvar", aversion=1.0, tail=0.25)
    assert one([3.0, 1.0, 2.0], [0.5, 0.2, 0.3], risk) == pytest.approx((0.2 * 1 + 0.05 * 2) / 0.25)


def test_cara_is_the_certainty_equivalent_whatever_the_unit() -> None:
    risk = Risk(kind="cara", aversion=2.0)
    expected = -np.log((1 + np.exp(-2.0)) / 2) / 2
    assert one([0.0, 1.0], [0.5, 0.5], risk) == pytest.approx(expected)
    assert one([0.0, 1e6], [0.5, 0.5], risk, unit=1e6) == pytest.approx(expected * 1e6)
    assert np.isfinite(one([-1e9, 1e9], [0.5, 0.5], Risk(kind="cara", aversion=1e3)))


@pytest.mark.parametrize("kind", KINDS)
@given(
    st.lists(st.tuples(st.floats(-5, 5), st.floats(0.01, 1)), min_size=1, max_size=6),
    st.floats(0, 1),
    st.floats(0.05, 1),
    st.floats(0, 3),
)
def test_more_in_one_scenario_is_never_worth_less(
    kind: RiskKind, stated: list[tuple[float, float]], aversion: float, tail: float, more: float
) -> None:
    risk = Risk(kind=kind, aversion=aversion, tail=tail)
    samples = [sample for sample, _ in stated]
    total = sum(weight for _, weight in stated)
    probabilities = [weight / total for _, weight in stated]
    before = one(samples, probabilities, risk)
    raised = [samples[0] + more, *samples[1:]]
    assert one(raised, probabilities, risk) >= before - 1e-9
    assert min(samples) - 1e-9 <= before <= max(samples) + 1e-9


@pytest.mark.parametrize("kind", KINDS)
def test_no_aversion_is_the_mean(kind: RiskKind) -> None:
    assert one([0.0, 1.0, 5.0], [0.2, 0.3, 0.5], Risk(kind=kind, aversion=0.0)) == pytest.approx(2.8)


@pytest.mark.parametrize(
    ("kind", "aversion", "tail"),
    [
        ("semideviation", 1.5, 0.1),
        ("semideviation", -0.1, 0.1),
        ("cvar", 0.5, 0.0),
        ("cara", float("nan"), 0.1),
    ],
)
def test_risk_out_of_range_is_refused(kind: RiskKind, aversion: float, tail: float) -> None:
    with pytest.raises(RefusedError):
        Risk(kind=kind, aversion=aversion, tail=tail)


def gamble() -> object:
    """One value is sure, the other a little better in the mean and uncertain, for one of two agents."""
    return {
        "issues": [{"name": "plan", "values": ["sure", "bold"]}, {"name": "extra", "values": ["no", "yes"]}],
        "agents": [
            {
                "name": "a",
                "scenarios": [
                    {"probability": 0.5, "utilities": {"plan": [1.0, 2.2], "extra": [0, 0.1]}},
                    {"probability": 0.5, "utilities": {"plan": [1.0, 0.0], "extra": [0, 0.1]}},
                ],
            },
            {"name": "b", "utilities": {"plan": [1.0, 1.0], "extra": [0.0, 0.0]}},
        ],
    }


def test_aversion_turns_a_bold_plan_into_a_sure_one() -> None:
    domain = from_mapping(gamble())
    bold = solve(domain, unhurried, Options(risk=Risk(aversion=0.0)))
    sure = solve(domain, unhurried, Options(risk=Risk(aversion=0.2)))
    assert isinstance(bold, Certificate)
    assert isinstance(sure, Certificate)
    assert bold.deal == {"plan": "bold", "extra": "yes"}
    assert sure.deal == {"plan": "sure", "extra": "yes"}
    assert (bold.route, sure.route) == ("frontier", "enumeration")
    assert sure.utilities["a"] == pytest.approx(1.1)


def test_scenarios_over_too_many_outcomes_are_refused() -> None:
    issues = [{"name": f"i{at}", "values": list(range(10))} for at in range(9)]
    worth = {issue["name"]: [0.0] * 10 for issue in issues}
    scenarios = [{"probability": 0.5, "utilities": worth}] * 2
    with pytest.raises(RefusedError, match="set risk_aversion to 0"):
        solve(from_mapping({"issues": issues, "agents": [{"name": "a", "scenarios": scenarios}]}), unhurried)
