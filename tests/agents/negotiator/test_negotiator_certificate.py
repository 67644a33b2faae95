"""Certificates: every claim in one can be checked, and is checked here."""

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from negotiations import Brute, domains, made, unhurried

from agents.negotiator import explore
from agents.negotiator.concepts import CONCEPTS, Concept
from agents.negotiator.domain import Agent, Domain, from_mapping
from agents.negotiator.points import points_of
from agents.negotiator.solve import Options, solve
from schemas.deal import Certificate, Flip, NoDeal

LOVERS = {
    "name": "evening",
    "issues": [
        {"name": "film", "values": ["western", "romance", "comedy"]},
        {"name": "dinner", "values": ["pasta", "curry"]},
    ],
    "agents": [
        {"name": "jo", "utilities": {"film": [6, 0, 4], "dinner": [4, 0]}},
        {"name": "sam", "disagreement": 1, "utilities": {"film": [0, 6, 3], "dinner": [0, 4]}},
    ],
}


def agreed(domain: Domain, options: Options | None = None) -> Certificate:
    answer = solve(domain, unhurried, options)
    assert isinstance(answer, Certificate)
    return answer


def test_a_small_case_worked_out_by_hand() -> None:
    answer = agreed(from_mapping(LOVERS))
    assert answer.deal == {"film": "comedy", "dinner": "curry"}
    assert answer.utilities == {"jo": 4.0, "sam": 7.0}
    # jo accepts anything; sam needs 1. Jo's best then is comedy and pasta, sam's romance and curry.
    assert answer.ideal == {"jo": 8.0, "sam": 10.0}
    assert answer.regrets == pytest.approx({"jo": 0.5, "sam": 3 / 9})
    assert answer.absolute_regrets == {"jo": 4.0, "sam": 3.0}
    assert answer.binds == ("jo",)
    assert answer.accepts == ("jo", "sam")
    assert (answer.value, answer.bound, answer.gap) == (0.5, 0.5, 0.0)
    assert answer.runner_up is not None
    assert answer.runner_up.value == pytest.approx(6 / 9)
    assert answer.by_concept["nash"].value == pytest.approx(24.0)
    assert (answer.outcomes, answer.candidates, answer.route) == (6, 4, "frontier")


def test_a_certificate_survives_its_encoding() -> None:
    answer = agreed(from_mapping(LOVERS))
    encoded = msgspec.json.encode(answer)
    assert msgspec.json.decode(encoded, type=Certificate | NoDeal) == answer


def changed_as_said(domain: Domain, answer: Certificate, flip: Flip, beyond: float) -> Domain:
    """The domain with one more issue-free way to state utilities: one issue whose values are the outcomes."""
    brute = Brute.of(domain)
    row = brute.names.index(flip.agent)
    utilities = brute.utilities.copy()
    weight = brute.weight.copy()
    if flip.kind == "weight":
        weight[row] += (flip.after - flip.before) * (1 + beyond)
    else:
        sizes = [len(issue.values) for issue in domain.issues]
        at = [issue.values.index(flip.deal[issue.name]) for issue in domain.issues]
        utilities[row, np.ravel_multi_index(at, sizes)] += (flip.after - flip.before) * (1 + beyond) + beyond
    values = tuple(str(number) for number in range(utilities.shape[1]))
    return msgspec.structs.replace(
        domain,
        issues=(msgspec.structs.replace(domain.issues[0], name="all", values=values),),
        agents=tuple(
            Agent(
                name=name,
                disagreement=float(brute.disagreement[number]),
                weight=float(weight[number]),
                utilities={"all": utilities[number].tolist()},
            )
            for number, name in enumerate(brute.names)
        ),
    )


def deal_number(domain: Domain, deal: dict[str, str]) -> str:
    at = [issue.values.index(deal[issue.name]) for issue in domain.issues]
    return str(int(np.ravel_multi_index(at, [len(issue.values) for issue in domain.issues])))


@pytest.mark.parametrize("concept", CONCEPTS)
@pytest.mark.parametrize("seed", range(6))
def test_a_flip_flips_and_less_than_it_does_not(concept: Concept, seed: int) -> None:
    domain = made(seed, agents=3, issues=3, values=4)
    options = Options(concept=concept)
    answer = agreed(domain, options)
    assert any(flip.kind == "utility" for flip in answer.flips)
    for flip in answer.flips:
        after = agreed(changed_as_said(domain, answer, flip, 1e-4), options)
        before = agreed(
            changed_as_said(domain, answer, flip, -1e-3 if flip.kind == "weight" else -1e-4), options
        )
        assert after.deal["all"] == deal_number(domain, flip.deal)
        assert before.deal["all"] == deal_number(domain, answer.deal)


@given(domains(agents_max=3))
@settings(max_examples=40, deadline=None)
def test_flips_and_manipulation_never_fail(domain: Domain) -> None:
    for concept in CONCEPTS:
        answer = solve(domain, unhurried, Options(concept=concept))
        if isinstance(answer, Certificate):
            assert answer.manipulability is not None
            assert answer.manipulability.epsilon >= 0
            assert len(answer.flips) <= 2


@pytest.mark.parametrize("route", ["frontier", "search"])
def test_the_false_statement_found_pays_as_said(route: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if route == "search":
        monkeypatch.setattr(explore, "FRONTIER_AGENTS_MAX", 0)
        monkeypatch.setattr(explore, "ENUMERATED_MAX", 0)
    found = 0
    for seed in range(6):
        domain = made(seed, agents=3, issues=3, values=5)
        answer = agreed(domain)
        cheat = answer.manipulability
        assert cheat is not None
        assert cheat.tested > 0
        if cheat.deviator is None or cheat.deviation is None or not cheat.deviation.startswith("claims"):
            continue
        found += 1
        claim = answer.utilities[cheat.deviator]
        liars = tuple(
            msgspec.structs.replace(agent, disagreement=float(cheat.deviation.split()[3]) - 1e-6)
            if agent.name == cheat.deviator
            else agent
            for agent in domain.agents
        )
        lied = agreed(msgspec.structs.replace(domain, agents=liars))
        assert lied.utilities[cheat.deviator] == pytest.approx(claim + cheat.gain, abs=1e-5)
        room = answer.ideal[cheat.deviator] - answer.disagreement[cheat.deviator]
        assert cheat.epsilon == pytest.approx(cheat.gain / room)
    assert found >= 3


def stubborn(**needs: float) -> Domain:
    domain = from_mapping(LOVERS)
    return msgspec.structs.replace(
        domain,
        agents=tuple(
            msgspec.structs.replace(agent, threshold=needs.get(agent.name)) for agent in domain.agents
        ),
    )


@pytest.mark.parametrize("route", ["frontier", "enumeration", "search"])
def test_no_deal_names_who_blocks_and_by_how_much(route: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if route != "frontier":
        monkeypatch.setattr(explore, "FRONTIER_AGENTS_MAX", 0)
    if route == "search":
        monkeypatch.setattr(explore, "ENUMERATED_MAX", 0)
    answer = solve(stubborn(jo=9.0), unhurried)
    assert isinstance(answer, NoDeal)
    assert answer.is_proven
    assert [(one.agent, one.needs, one.best, one.short_by) for one in answer.blockers] == [
        ("jo", 9.0, 8.0, 1.0),
        ("sam", 1.0, 0.0, 1.0),
    ]
    assert set(answer.shortfalls) <= {"jo", "sam"}
    assert "jo needs 9 and gets at most 8 where the others agree" in answer.reason


def test_no_deal_where_one_alone_wants_the_impossible() -> None:
    answer = solve(stubborn(jo=11.0), unhurried)
    assert isinstance(answer, NoDeal)
    assert [(one.agent, one.best) for one in answer.blockers] == [("jo", 8.0)]


def test_no_deal_where_several_want_the_impossible_names_the_short_ones() -> None:
    answer = solve(stubborn(jo=11.0, sam=12.0), unhurried)
    assert isinstance(answer, NoDeal)
    assert {one.agent for one in answer.blockers} == set(answer.shortfalls) == {"jo", "sam"}
    assert all(one.best is None for one in answer.blockers)


def test_no_deal_over_ten_to_the_twenty_outcomes_is_proven() -> None:
    answer = solve(made(1, agents=4, issues=20, values=10, disagreement=0.9), unhurried)
    assert isinstance(answer, NoDeal)
    assert answer.is_proven
    assert answer.blockers


def divided(domain: Domain, *names: str) -> Domain:
    return msgspec.structs.replace(
        domain,
        issues=tuple(
            msgspec.structs.replace(issue, is_divisible=not names or issue.name in names)
            for issue in domain.issues
        ),
    )


@pytest.mark.parametrize("concept", CONCEPTS)
@pytest.mark.parametrize("seed", range(3))
def test_shared_deals_are_as_good_as_the_best_lottery(concept: Concept, seed: int) -> None:
    from scipy.optimize import linprog  # type: ignore[import-untyped]

    domain = divided(made(seed, agents=3, issues=3, values=3, disagreement=0.2))
    mixed = agreed(domain, Options(concept=concept)).mixed
    assert mixed is not None
    for shares in mixed.shares.values():
        assert sum(shares.values()) == pytest.approx(1.0)
    brute = Brute.of(domain)
    count = brute.utilities.shape[1]
    own = np.array([mixed.utilities[name] for name in brute.names])
    assert (own >= brute.disagreement - 1e-7).all()
    simplex = {"A_eq": np.ones((1, count)), "b_eq": [1.0]}
    better = linprog(-brute.utilities.sum(axis=0), A_ub=-brute.utilities, b_ub=1e-7 - own, **simplex)
    assert -better.fun <= own.sum() + 1e-5, "a lottery dominates it"
    if concept == "egalitarian":
        rows = np.hstack([-brute.utilities, np.ones((3, 1))])
        least = linprog(
            np.append(np.zeros(count), -1.0),
            A_ub=rows,
            b_ub=-brute.disagreement,
            A_eq=np.append(np.ones(count), 0.0)[None, :],
            b_eq=[1.0],
            bounds=[(0, None)] * count + [(None, None)],
        )
        assert mixed.value == pytest.approx(-least.fun, abs=1e-6)


def test_whole_issues_stay_whole_beside_divisible_ones() -> None:
    domain = divided(made(2, agents=3, issues=4, values=3, disagreement=0.2), "issue-1", "issue-3")
    answer = agreed(domain)
    assert answer.mixed is not None
    assert len(answer.mixed.shares["issue-0"]) == len(answer.mixed.shares["issue-2"]) == 1
    by_hand = min(
        agreed(divided(made(2, agents=3, issues=4, values=3, disagreement=0.2), *names)).value
        for names in ((), ("issue-1",))
    )
    assert answer.value == pytest.approx(by_hand)


def test_what_nobody_can_split_is_not_split() -> None:
    assert agreed(made(1, agents=2, issues=3, values=3)).mixed is None


def test_shares_that_take_too_long_are_left_out_with_a_warning() -> None:
    answer = solve(divided(made(1, agents=3, issues=3, values=3)), lambda: 0.0)
    assert isinstance(answer, Certificate)
    assert answer.mixed is None
    assert answer.warnings == ("no time was left to work out shares of the divisible issues",)


def test_two_who_want_the_same_thing_take_halves() -> None:
    cake = from_mapping(
        {
            "issues": [{"name": "cake", "values": ["all to ann", "all to bo"], "divisible": True}],
            "agents": [
                {"name": "ann", "utilities": {"cake": [1, 0]}},
                {"name": "bo", "utilities": {"cake": [0, 1]}},
            ],
        }
    )
    mixed = agreed(cake).mixed
    assert mixed is not None
    assert mixed.shares["cake"] == pytest.approx({"all to ann": 0.5, "all to bo": 0.5})
    assert mixed.value == pytest.approx(0.5)


def test_points_to_draw_are_the_frontier_in_order() -> None:
    domain = made(3, agents=2, issues=4, values=6)
    drawn = points_of(domain, unhurried)
    assert drawn.is_frontier
    assert drawn.of == len(drawn.points)
    brute = Brute.of(domain)
    assert not any(brute.dominates(point.utilities) for point in drawn.points)
    first, second = ([point.utilities[name] for point in drawn.points] for name in brute.names)
    assert first == sorted(first)
    assert second == sorted(second, reverse=True)


def test_many_points_are_drawn_evenly_and_none_without_a_deal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agents.negotiator.points.POINTS_MAX", 20)
    many = points_of(made(3, agents=3, issues=6, values=8), unhurried)
    assert len(many.points) == 20 < many.of
    assert points_of(stubborn(jo=11.0), unhurried).points == ()
