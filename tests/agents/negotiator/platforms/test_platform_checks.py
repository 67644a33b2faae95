"""Positions from elsewhere: each kind of nonsense is refused with its reason, in one line."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from agents.negotiator.limits import RefusedError
from agents.negotiator.platforms.checks import checked
from schemas.negotiation import (
    IssueStated,
    PositionAsked,
    PositionScenario,
    PositionStated,
    Proposal,
)

ISSUES = (IssueStated(name="price", values=("low", "high")), IssueStated(name="colour", values=("red",)))
ASKED = PositionAsked(
    party="alpha",
    index=1,
    of=2,
    goal="a goal",
    platforms=("alpha",),
    budget_nusd=10**12,
    issues=ISSUES,
    deadline="2099-01-01T00:00:00Z",
)


def scenario(
    price: tuple[float, ...] = (1.0, 2.0), probability: float = 1.0, **more: tuple[float, ...]
) -> PositionScenario:
    return PositionScenario(probability=probability, utilities={"price": price, "colour": (0.0,)} | more)


GOOD = PositionStated(party="alpha", agent="elsewhere", scenarios=(scenario(),))


def test_a_position_that_answers_the_question_passes() -> None:
    checked(GOOD, ASKED)
    checked(msgspec.structs.replace(GOOD, threshold=0.0, weight=0.0, disagreement=-3.0), ASKED)
    halves = (scenario(probability=0.5), scenario((-1e9, 1e9), probability=0.5))
    checked(msgspec.structs.replace(GOOD, scenarios=halves), ASKED)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"party": "beta"}, "'alpha' was asked"),
        ({"scenarios": ()}, "no scenario"),
        ({"scenarios": (scenario(probability=1 / 65),) * 65}, "65 scenarios; at most 64"),
        ({"scenarios": (scenario((float("nan"), 1.0)),)}, "utility of 'low' is not a number"),
        ({"scenarios": (scenario((1.0, float("inf"))),)}, "utility of 'high' is inf"),
        ({"scenarios": (scenario((1.0, -1e300)),)}, "numbers may be at most"),
        ({"scenarios": (scenario((1.0,)),)}, "1 utilities for the 2 values of issue 'price'"),
        ({"scenarios": (scenario((1.0, 2.0, 3.0)),)}, "3 utilities for the 2 values"),
        ({"scenarios": (scenario(size=(1.0,)),)}, "'size' is none of the issues"),
        (
            {"scenarios": (PositionScenario(probability=1.0, utilities={"price": (1.0, 2.0)}),)},
            "no utilities for issue 'colour'",
        ),
        ({"scenarios": (scenario(probability=0.5),)}, "add up to 0.5"),
        ({"scenarios": (scenario(probability=0.6),) * 2}, "add up to 1.2"),
        ({"scenarios": (scenario(probability=float("nan")),)}, "probability of a scenario is not a number"),
        ({"scenarios": (scenario(probability=-1.0), scenario(), scenario())}, "is -1"),
        ({"weight": -1.0}, "weight is -1"),
        ({"weight": float("nan")}, "weight is not a number"),
        ({"weight": 1e9}, "weight is 1e+09; at most 1000"),
        ({"disagreement": float("nan")}, "disagreement point is not a number"),
        ({"disagreement": 5.0, "threshold": 4.0}, "threshold 4 is below its disagreement point 5"),
        ({"threshold": float("inf")}, "threshold is inf"),
        ({"proposals": (Proposal(deal={"price": "free", "colour": "red"}),)}, "proposes price 'free'"),
        ({"proposals": (Proposal(deal={"price": "low"}),)}, "a deal without 'colour'"),
    ],
)
def test_nonsense_is_refused_with_who_said_it_and_what(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(RefusedError) as refused:
        checked(msgspec.structs.replace(GOOD, **changes), ASKED)
    assert str(refused.value).startswith("position of ")
    assert says in str(refused.value)
    assert "\n" not in str(refused.value)


def test_ten_million_outcomes_of_fifty_agents_are_refused() -> None:
    issues = tuple(IssueStated(name=f"i{n}", values=tuple(f"v{v}" for v in range(10))) for n in range(7))
    asked = msgspec.structs.replace(ASKED, issues=issues, of=50)
    utilities = {issue.name: (0.0,) * 10 for issue in issues}
    position = msgspec.structs.replace(
        GOOD, scenarios=(PositionScenario(probability=1.0, utilities=utilities),)
    )
    with pytest.raises(RefusedError, match="10000000 outcomes × 50 agents"):
        checked(position, asked)


def test_too_many_scenarios_for_so_many_outcomes_are_refused() -> None:
    issues = tuple(IssueStated(name=f"i{n}", values=tuple(f"v{v}" for v in range(100))) for n in range(3))
    utilities = {issue.name: (0.0,) * 100 for issue in issues}
    position = msgspec.structs.replace(
        GOOD, scenarios=(PositionScenario(probability=1 / 64, utilities=utilities),) * 64
    )
    with pytest.raises(RefusedError, match="state fewer scenarios"):
        checked(position, msgspec.structs.replace(ASKED, issues=issues))


def test_nonsense_that_json_can_carry_does_not_even_decode() -> None:
    body = msgspec.json.encode(GOOD)
    spoil: list[Callable[[bytes], bytes]] = [
        lambda text: text.replace(b"[1.0,2.0]", b"[NaN,2.0]"),
        lambda text: text.replace(b'"weight":1.0', b'"weight":-1.0'),
        lambda text: text.replace(b'"probability":1.0', b'"probability":2.0'),
    ]
    for change in spoil:
        spoiled = change(body)
        assert spoiled != body
        with pytest.raises(msgspec.DecodeError):
            msgspec.json.decode(spoiled, type=PositionStated)
