"""The solver against brute force, on every route; deadlines; order; quorum."""

import math
from dataclasses import replace
from typing import get_args

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from negotiations import Brute, domains, made, unhurried, within

from agents.negotiator import explore
from agents.negotiator.concepts import CONCEPTS, Concept
from agents.negotiator.domain import Domain
from agents.negotiator.highs import warm
from agents.negotiator.limits import RefusedError
from agents.negotiator.problem import problem_of
from agents.negotiator.risk import Risk
from agents.negotiator.search import searched
from agents.negotiator.solve import Options, solve
from schemas.deal import Certificate, NoDeal

ROUTES = {"frontier": (9, 10**9), "enumeration": (0, 10**9), "search": (0, 0)}
"""Agents that the frontier is worked out for, and outcomes that are looked at one by one."""
PLAIN = Options(with_certificate=False)


def take(route: str, monkeypatch: pytest.MonkeyPatch) -> None:
    agents, outcomes = ROUTES[route]
    monkeypatch.setattr(explore, "FRONTIER_AGENTS_MAX", agents)
    monkeypatch.setattr(explore, "ENUMERATED_MAX", outcomes)


def check(domain: Domain, answer: Certificate | NoDeal, *, absolute: bool = False) -> None:
    """By the definitions: nothing dominated, every concept's value that of the best of all outcomes."""
    brute = Brute.of(domain)
    if isinstance(answer, NoDeal):
        assert answer.is_proven
        assert not brute.agreed.any()
        return
    assert brute.agreed.any()
    for concept, alternative in answer.by_concept.items():
        assert not brute.dominates(alternative.utilities), concept
        best = brute.best(concept, absolute=absolute)
        if concept == "nash" and best < 1e-12:
            continue  # nobody can make all gain: the product is 0 everywhere
        assert alternative.value == pytest.approx(best, rel=1e-7, abs=1e-7), concept
        assert alternative.is_exact
    assert answer.gap == 0


@pytest.mark.parametrize("route", ROUTES)
def test_every_route_finds_what_brute_force_finds(route: str, monkeypatch: pytest.MonkeyPatch) -> None:
    take(route, monkeypatch)

    @given(domains())
    @settings(max_examples=60, deadline=None)
    def compared(domain: Domain) -> None:
        answer = solve(domain, unhurried, PLAIN)
        check(domain, answer)
        assert isinstance(answer, NoDeal) or answer.route == route

    compared()


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("is_coarse", [False, True])
@pytest.mark.parametrize("agents", [2, 3, 4])
def test_larger_domains_are_settled_as_by_brute_force(
    route: str, is_coarse: bool, agents: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    take(route, monkeypatch)
    domain = made(agents, agents=agents, issues=4, values=6, is_coarse=is_coarse, disagreement=0.25)
    check(domain, solve(domain, unhurried, PLAIN))


@pytest.mark.parametrize("route", ROUTES)
def test_a_quorum_lets_deals_pass_that_some_refuse(route: str, monkeypatch: pytest.MonkeyPatch) -> None:
    take(route, monkeypatch)
    for seed in range(5):
        domain = made(seed, agents=3, issues=3, values=4, disagreement=0.6)
        domain = msgspec.structs.replace(domain, quorum=2)
        answer = solve(domain, unhurried, PLAIN)
        brute = Brute.of(domain)
        assert isinstance(answer, Certificate) == bool(brute.agreed.any())
        if isinstance(answer, Certificate):
            assert len(answer.accepts) >= 2
            for concept in ("egalitarian", "utilitarian"):
                assert answer.by_concept[concept].value == pytest.approx(brute.best(concept))
            assert not any(brute.dominates(one.utilities) for one in answer.by_concept.values())


def test_absolute_regret_counts_in_the_agents_own_units_times_weights() -> None:
    for seed in range(5):
        domain = made(seed, agents=3, issues=3, values=5)
        check(domain, solve(domain, unhurried, replace(PLAIN, regret="absolute")), absolute=True)


@given(domains(), st.randoms(use_true_random=False))
@settings(max_examples=40, deadline=None)
def test_the_order_of_agents_changes_nothing(domain: Domain, random: object) -> None:
    agents = list(domain.agents)
    random.shuffle(agents)  # type: ignore[attr-defined]
    shuffled = msgspec.structs.replace(domain, agents=tuple(agents))
    assert solve(domain, unhurried) == solve(shuffled, unhurried)


@given(domains(coarse=True), st.sampled_from([0.001, 7.0, 1e6]), st.sampled_from([-3.0, 0.0, 100.0]))
@settings(max_examples=40, deadline=None)
def test_other_units_of_one_agent_leave_relative_regret_and_nash_alone(
    domain: Domain, factor: float, shift: float
) -> None:
    first, *rest = domain.agents
    name = domain.issues[0].name
    utilities = {
        issue: [one * factor + (shift if issue == name else 0.0) for one in numbers]
        for issue, numbers in first.utilities.items()
    }
    moved = msgspec.structs.replace(
        first, utilities=utilities, disagreement=first.disagreement * factor + shift
    )
    before = solve(domain, unhurried)
    after = solve(msgspec.structs.replace(domain, agents=(moved, *rest)), unhurried)
    assert type(before) is type(after)
    if isinstance(before, Certificate) and isinstance(after, Certificate):
        assert after.value == pytest.approx(before.value, rel=1e-6, abs=1e-6)
        assert after.by_concept["regret"].deal == before.by_concept["regret"].deal


def test_equal_outcomes_give_the_one_whose_values_come_first() -> None:
    domain = made(1, agents=2, issues=2, values=3)
    flat = msgspec.structs.replace(
        domain,
        agents=tuple(
            msgspec.structs.replace(
                agent, disagreement=0.0, utilities=dict.fromkeys(agent.utilities, [1.0] * 3)
            )
            for agent in domain.agents
        ),
    )
    answer = solve(flat, unhurried)
    assert isinstance(answer, Certificate)
    assert answer.deal == {"issue-0": "value-0", "issue-1": "value-0"}
    assert answer.runner_up is None


@pytest.mark.parametrize("is_coarse", [False, True])
@pytest.mark.parametrize("agents", [2, 3])
def test_frontier_and_search_agree_on_ten_to_the_twelve_outcomes(
    agents: int, is_coarse: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    domain = made(agents, agents=agents, issues=12, values=10, is_coarse=is_coarse, disagreement=0.5)
    by_frontier = solve(domain, unhurried, PLAIN)
    by_search = _solved_by_search(domain, monkeypatch)
    assert isinstance(by_frontier, Certificate)
    assert (by_frontier.route, by_search.route) == ("frontier", "search")
    for concept, one in by_frontier.by_concept.items():
        assert by_search.by_concept[concept].value == pytest.approx(one.value, rel=1e-8), concept
        assert by_search.by_concept[concept].utilities == pytest.approx(one.utilities) or one.tied > 1


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("agents", [4, 5])
def test_of_ten_to_the_twenty_outcomes_the_best_are_found(agents: int, seed: int) -> None:
    """Too many to enumerate: at least no change of two values may improve on what is proven best."""
    domain = made(seed, agents=agents, issues=20, values=10)
    answer = solve(domain, unhurried, PLAIN)
    assert isinstance(answer, Certificate)
    assert answer.route == "search"
    assert answer.outcomes == 10**20
    for concept, one in answer.by_concept.items():
        assert one.is_exact, concept
        assert _never_beaten_nearby(domain, one.utilities, one.deal), concept


def _never_beaten_nearby(domain: Domain, utilities: dict[str, float], deal: dict[str, str]) -> bool:
    """Whether no change of two values makes somebody better off and nobody worse."""
    problem = problem_of(domain, Risk())
    at = [issue.values.index(deal[issue.name]) for issue in domain.issues]
    choices = []
    for one in range(len(at)):
        for other in range(one):
            for first in range(problem.sizes[one]):
                for second in range(problem.sizes[other]):
                    changed = at.copy()
                    changed[one], changed[other] = first, second
                    choices.append(changed)
    nearby = problem.utilities(np.array(choices))
    own = np.array([utilities[name] for name in problem.agents])[:, None]
    return not ((nearby >= own - 1e-12).all(axis=0) & (nearby > own + 1e-9).any(axis=0)).any()


@pytest.mark.parametrize("seconds", [0.0, 0.002, 0.02])
def test_past_the_deadline_the_best_found_comes_with_its_gap(seconds: float) -> None:
    warm()
    domain = made(4, agents=4, issues=20, values=10)
    exact = solve(domain, unhurried, PLAIN)
    hurried = solve(domain, within(seconds), PLAIN)
    assert isinstance(exact, Certificate)
    assert isinstance(hurried, Certificate)
    for concept in CONCEPTS:
        known, found = exact.by_concept[concept], hurried.by_concept[concept]
        if found.is_exact:
            assert found.value == pytest.approx(known.value)
        elif found.bound is not None and concept in ("nash", "egalitarian", "utilitarian"):
            assert found.value <= known.value + 1e-9
            assert found.bound >= known.value - 1e-9
        elif found.bound is not None:
            assert found.bound <= known.value + 1e-9 or concept == "kalai_smorodinsky"
    assert hurried.is_exact or hurried.gap is None or hurried.gap > 0


def test_a_hurried_answer_is_accepted_by_everybody() -> None:
    domain = made(2, agents=5, issues=20, values=10, disagreement=0.4)
    hurried = solve(domain, within(0.0), PLAIN)
    assert isinstance(hurried, Certificate)
    assert len(hurried.accepts) == 5
    assert not hurried.is_exact
    assert not hurried.pareto.is_proven


@pytest.mark.parametrize("concept", CONCEPTS)
def test_each_concept_can_be_the_one_that_decides(concept: Concept) -> None:
    answer = solve(made(5, agents=3, issues=4, values=4), unhurried, Options(concept=concept))
    assert isinstance(answer, Certificate)
    assert answer.deal == answer.by_concept[concept].deal
    assert answer.binds


def test_too_many_ways_to_fill_a_quorum_are_refused() -> None:
    domain = msgspec.structs.replace(made(1, agents=10, issues=20, values=5), quorum=5)
    with pytest.raises(RefusedError, match="252 ways"):
        solve(domain, unhurried)


def test_integer_programming_takes_over_where_lists_grow_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agents.negotiator.within.LISTED_MAX", 3)
    domain = made(6, agents=3, issues=4, values=6)
    problem = problem_of(domain, Risk())
    field = searched(problem, "relative", get_args(Concept), unhurried)
    brute = Brute.of(domain)
    assert field.ideal == pytest.approx(brute.ideal, abs=1e-6)
    answer = _solved_by_search(domain, monkeypatch)
    for concept in ("regret", "kalai_smorodinsky", "egalitarian", "utilitarian", "nash"):
        assert answer.by_concept[concept].value == pytest.approx(brute.best(concept), rel=1e-5, abs=1e-6)
        assert not brute.dominates(answer.by_concept[concept].utilities)


def _solved_by_search(domain: Domain, monkeypatch: pytest.MonkeyPatch) -> Certificate:
    take("search", monkeypatch)
    answer = solve(domain, unhurried, PLAIN)
    assert isinstance(answer, Certificate)
    return answer


def test_one_agent_gets_its_favourite() -> None:
    domain = made(1, agents=1, issues=3, values=4)
    answer = solve(domain, unhurried)
    assert isinstance(answer, Certificate)
    assert answer.utilities == pytest.approx(answer.ideal)
    assert math.isclose(answer.value, 0.0, abs_tol=1e-12)
