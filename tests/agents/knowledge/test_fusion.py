"""Fusion: rankings added by their ranks."""

from hypothesis import given
from hypothesis import strategies as st

from agents.knowledge.fusion import BM25_WEIGHT, DENSE_WEIGHT, Ranking, fuse

FOUND = st.lists(st.integers(0, 30), unique=True, max_size=20)


@given(FOUND, FOUND)
def test_all_that_was_found_comes_once_best_first_between_0_and_1(one: list[int], other: list[int]) -> None:
    fused = fuse([Ranking(one, BM25_WEIGHT), Ranking(other, DENSE_WEIGHT)])
    assert {found for found, _ in fused} == {*one, *other}
    assert len(fused) == len({*one, *other})
    scores = [score for _, score in fused]
    assert scores == sorted(scores, reverse=True)
    assert all(0 < score <= 1 + 1e-12 for score in scores)


@given(FOUND)
def test_one_ranking_alone_stays_as_it_is(found: list[int]) -> None:
    assert [one for one, _ in fuse([Ranking(found)])] == found
    assert [one for one, _ in fuse([Ranking(found, 2.0), Ranking(found, 1.0)])] == found


@given(FOUND, FOUND)
def test_what_all_put_first_scores_1_and_nothing_else_does(one: list[int], other: list[int]) -> None:
    fused = fuse([Ranking([99, *one], 2.0), Ranking([99, *other], 1.0)])
    assert abs(fused[0][1] - 1.0) < 1e-12
    assert fused[0][0] == 99
    assert all(score < 1.0 for _, score in fused[1:])


@given(FOUND, FOUND, st.integers(0, 18))
def test_a_better_rank_never_makes_it_worse(one: list[int], other: list[int], place: int) -> None:
    if place + 1 >= len(one):
        return
    risen = [*one[:place], one[place + 1], one[place], *one[place + 2 :]]
    before = dict(fuse([Ranking(one, 2.0), Ranking(other, 1.0)]))
    after = dict(fuse([Ranking(risen, 2.0), Ranking(other, 1.0)]))
    assert after[one[place + 1]] > before[one[place + 1]]


def test_words_count_twice_as_much_as_meaning() -> None:
    fused = dict(fuse([Ranking(["a"], BM25_WEIGHT), Ranking(["b"], DENSE_WEIGHT)]))
    assert fused["a"] == 2 * fused["b"]


def test_second_in_both_is_better_than_first_in_one() -> None:
    fused = fuse([Ranking(["a", "both"], 2.0), Ranking(["b", "both"], 1.0)])
    assert fused[0][0] == "both"


def test_nothing_found_fuses_to_nothing() -> None:
    assert fuse([]) == []
    assert fuse([Ranking([], 2.0), Ranking([], 1.0)]) == []
