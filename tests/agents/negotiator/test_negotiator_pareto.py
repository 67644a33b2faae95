"""Pareto: the frontier is what pairwise comparison says, on every path."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from negotiations import domains, made, unhurried

from agents.negotiator.enumerate import enumerated
from agents.negotiator.frontier import frontier
from agents.negotiator.pareto import TooLargeError, directions, distinct, undominated
from agents.negotiator.problem import Ints, problem_of
from agents.negotiator.risk import Risk


def pairwise(keys: Ints) -> set[tuple[int, ...]]:
    """The undominated columns, by comparing each with each."""
    columns = {tuple(int(one) for one in column) for column in keys.T}
    return {
        column
        for column in columns
        if not any(
            other != column and all(a >= b for a, b in zip(other, column, strict=True)) for other in columns
        )
    }


@given(
    st.integers(1, 5).flatmap(
        lambda agents: st.integers(1, 60).flatmap(
            lambda count: arrays(np.int64, (agents, count), elements=st.integers(0, 6))
        )
    )
)
def test_the_frontier_of_a_list_is_what_pairwise_comparison_says(keys: Ints) -> None:
    found = undominated(keys, unhurried)
    assert [tuple(column) for column in keys[:, found].T.tolist()] == list(
        dict.fromkeys(tuple(column) for column in keys[:, found].T.tolist())
    )
    assert {tuple(column) for column in keys[:, found].T.tolist()} == pairwise(keys)


@pytest.mark.parametrize("agents", [2, 3, 4])
@pytest.mark.parametrize("most", [8, 200])
def test_the_frontier_of_a_long_list_is_what_pairwise_comparison_says(agents: int, most: int) -> None:
    keys = np.random.default_rng(agents + most).integers(0, most, (agents, 2_500))
    found = undominated(keys, unhurried)
    assert {tuple(column) for column in keys[:, found].T.tolist()} == pairwise(keys)


def test_equal_outcomes_leave_the_first() -> None:
    assert undominated(np.array([[1, 2, 2, 2], [1, 2, 2, 2], [0, 0, 0, 0]]), unhurried).tolist() == [1]


@given(domains())
@settings(max_examples=60, deadline=None)
def test_issue_by_issue_and_outcome_by_outcome_find_the_same_frontier(domain: object) -> None:
    problem = problem_of(domain, Risk())  # type: ignore[arg-type]
    by_issue = frontier(problem, unhurried)
    looked_at = enumerated(problem, unhurried)
    assert looked_at.is_complete
    assert looked_at.candidates.is_frontier
    seen = {tuple(column) for column in problem.keys(by_issue.utilities).T.tolist()}
    assert seen == {tuple(column) for column in problem.keys(looked_at.candidates.utilities).T.tolist()}


@pytest.mark.parametrize("agents", [2, 3])
def test_many_blocks_and_pivots_lose_no_undominated_outcome(agents: int) -> None:
    problem = problem_of(made(3, agents=agents, issues=6, values=7, is_coarse=True), Risk())
    by_issue = frontier(problem, unhurried)
    looked_at = enumerated(problem, unhurried).candidates
    assert {tuple(column) for column in problem.keys(by_issue.utilities).T.tolist()} == {
        tuple(column) for column in problem.keys(looked_at.utilities).T.tolist()
    }


def test_a_frontier_that_outgrows_its_limit_is_given_up() -> None:
    problem = problem_of(made(1, agents=3, issues=8, values=8), Risk())
    with pytest.raises(TooLargeError):
        frontier(problem, unhurried, points_max=100)
    with pytest.raises(TooLargeError):
        frontier(problem, lambda: 0.0)


@given(arrays(np.int64, (3, 40), elements=st.integers(0, 2)))
def test_distinct_columns_are_the_first_of_each_kind(keys: Ints) -> None:
    columns = [tuple(column) for column in keys.T.tolist()]
    assert distinct(keys).tolist() == [at for at, column in enumerate(columns) if column not in columns[:at]]


def test_directions_are_positive_weights_that_add_up_to_one() -> None:
    for agents in (1, 2, 5, 16):
        found = directions(agents)
        assert np.allclose(found.sum(axis=1), 1.0)
        assert (found >= 0).all()
        assert len(np.unique(found, axis=0)) > 1 or agents == 1
