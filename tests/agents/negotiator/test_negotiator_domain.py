"""Domains: what is read, and what is refused with which reason."""

import copy
import math
from typing import Any

import pytest
from negotiations import made, unhurried

from agents.negotiator.domain import from_mapping, from_text
from agents.negotiator.limits import RefusedError
from agents.negotiator.solve import solve
from schemas.deal import Certificate

STATED: dict[str, Any] = {
    "issues": [{"name": "format", "values": ["clip", "episode"]}, {"name": "split", "values": [30, 50]}],
    "agents": [
        {
            "name": "tiktok",
            "disagreement": 0.2,
            "issue_weights": {"format": 0.4, "split": 0.6},
            "utilities": {"format": {"clip": 1, "episode": 0.5}, "split": [0, 1]},
        },
        {"name": "spotify", "utilities": {"format": [0, 1], "split": {30: 1, 50: 0.25}}},
    ],
}
YAML = """
name: syndication
issues:
  - {name: format, values: [clip, episode]}
  - {name: split, values: [30, 50]}
agents:
  - name: tiktok
    disagreement: 0.2
    issue_weights: {format: 0.4, split: 0.6}
    utilities: {format: {clip: 1, episode: 0.5}, split: [0, 1]}
  - name: spotify
    utilities: {format: [0, 1], split: {30: 1, 50: 0.25}}
"""


def stated(**changes: Any) -> dict[str, Any]:
    return {**copy.deepcopy(STATED), **changes}


def with_agent(**changes: Any) -> dict[str, Any]:
    changed = stated()
    changed["agents"][0] = {**changed["agents"][0], **changes}
    return changed


def test_yaml_and_plain_data_state_the_same_domain() -> None:
    domain = from_text(YAML)
    assert domain.agents == from_mapping(STATED).agents
    assert domain.issues[1].values == ("30", "50")
    assert domain.outcomes == 4


def test_numbers_as_names_are_texts_everywhere() -> None:
    domain = from_mapping(
        {
            "issues": [{"name": 7, "values": [1.5, 20, True]}],
            "agents": [{"name": 1, "utilities": {7: {1.5: 0, 20: 1, True: 2}}}],
        }
    )
    assert domain.issues[0].values == ("1.5", "20", "true")


def test_issues_may_be_called_name_and_values() -> None:
    domain = from_mapping(
        {
            "issues": [{"name": "name", "values": ["a", "b"]}, {"name": "values", "values": ["a", "b"]}],
            "agents": [
                {"name": "x", "issue_weights": {"name": 0.5}, "utilities": {"name": [0, 1], "values": [1, 0]}}
            ],
        }
    )
    certificate = solve(domain, unhurried)
    assert isinstance(certificate, Certificate)
    assert certificate.deal == {"name": "b", "values": "a"}


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        (stated(issues=[]), "no issues"),
        (stated(agents=[]), "no agents"),
        (stated(issues=[{"name": "format", "values": []}]), "issue 'format' has no values"),
        (stated(issues=[{"name": "f", "values": ["a", "a"]}]), "has the value 'a' twice"),
        (stated(issues=[{"name": "f", "values": ["a"]}, {"name": "f", "values": ["a"]}]), "two issues"),
        (stated(agents=[STATED["agents"][0]] * 2), "two agents are called 'tiktok'"),
        (stated(quorum=3), "quorum is 3; it must be from 1 to 2"),
        (stated(quorum=0), "quorum is 0"),
        (stated(surplus=1), "unknown field `surplus`"),
        (with_agent(weight=-1), "weight is -1; weights can't be negative"),
        (with_agent(weight=math.nan), "weight is not a number"),
        (with_agent(disagreement=math.inf), "disagreement point is inf"),
        (with_agent(threshold=0.1), "threshold 0.1 contradicts its disagreement point 0.2"),
        (with_agent(issue_weights={"format": -0.4}), "weight is -0.4; weights can't be negative"),
        (with_agent(issue_weights={"formt": 1}), "'formt' is none of the issues"),
        (with_agent(utilities={"format": [0, 1]}), "issue 'split': no utilities"),
        (with_agent(utilities={"format": [0, 1, 2], "split": [0, 1]}), "3 utilities for 2 values"),
        (with_agent(utilities={"format": {"clip": 0}, "split": [0, 1]}), "no utility for 'episode'"),
        (with_agent(utilities={"format": {"x": 0}, "split": [0, 1]}), "'x' is none of the issue's values"),
        (
            with_agent(utilities={"format": [math.nan, 1], "split": [0, 1]}),
            "the utility of 'clip' is not a number",
        ),
        (with_agent(utilities={"format": ["1", 1], "split": [0, 1]}), r"Expected .*float"),
        (with_agent(scenarios=[{"probability": 1, "utilities": {}}]), "both utilities and scenarios"),
        (
            with_agent(
                utilities={},
                scenarios=[{"probability": 0.5, "utilities": {"format": [0, 1], "split": [0, 1]}}],
            ),
            "add up to 0.5, not to 1",
        ),
        (with_agent(name=" "), "an agent has no name"),
        ([], "not a negotiation"),
        ("text", "not a negotiation"),
    ],
)
def test_nonsense_is_refused_in_one_line_that_says_what_is_wrong(changed: object, reason: str) -> None:
    with pytest.raises(RefusedError, match=reason) as refused:
        from_mapping(changed)
    assert "\n" not in str(refused.value)


def test_all_weights_zero_are_refused() -> None:
    changed = stated()
    for agent in changed["agents"]:
        agent["weight"] = 0
    with pytest.raises(RefusedError, match="all agents have weight 0"):
        from_mapping(changed)


def test_ten_million_outcomes_of_fifty_agents_are_refused() -> None:
    with pytest.raises(RefusedError, match="10000000 outcomes × 50 agents"):
        made(1, agents=50, issues=7, values=10)


def test_fifty_agents_over_few_outcomes_agree() -> None:
    certificate = solve(made(1, agents=50, issues=3, values=4, disagreement=0.0), unhurried)
    assert isinstance(certificate, Certificate)
    assert len(certificate.accepts) == 50


@pytest.mark.parametrize(
    "text",
    [
        "a: &a [x]\nb: [*a, *a]",
        "[" * 5000,
        "{" * 5000,
        "issues: [",
        "\x00",
        "issues: 2026-13-45",
        "{'a': 1",
    ],
)
def test_broken_and_hostile_texts_are_refused(text: str) -> None:
    with pytest.raises(RefusedError) as refused:
        from_text(text)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("text", ["- " * 50_000 + "1", "[" * 50_000, "a: {b: " * 30_000])
def test_what_is_nested_without_end_is_refused_before_it_is_loaded(text: str) -> None:
    with pytest.raises(RefusedError) as caught:
        from_text(text)
    assert "nested deeper than 12 levels" in str(caught.value) or "not YAML" in str(caught.value)
