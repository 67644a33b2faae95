"""Terms: words as they are looked for, and their weights."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.knowledge.bm25 import TERMS_MAX, Terms, terms_of, weigh_chunk, weigh_query


def dot(query: Terms, chunk: Terms) -> float:
    weights = dict(zip(chunk.numbers, chunk.weights, strict=True))
    return sum(
        weight * weights.get(number, 0.0) for number, weight in zip(query.numbers, query.weights, strict=True)
    )


@given(st.text(max_size=500))
def test_a_vector_has_ascending_numbers_and_weights_above_zero(text: str) -> None:
    for terms in (weigh_chunk(text), weigh_query(text)):
        assert list(terms.numbers) == sorted(set(terms.numbers))
        assert len(terms.numbers) == len(terms.weights)
        assert all(weight > 0 for weight in terms.weights)
        assert all(0 <= number < 2**32 for number in terms.numbers)


@given(st.text("abcdefgsty ", max_size=100))
def test_upper_and_lower_case_are_the_same_where_words_have_no_humps(text: str) -> None:
    assert terms_of(text.upper()) == terms_of(text) == terms_of(text.title())


@given(st.lists(st.sampled_from(["sql", "cache", "token", "zebra"]), min_size=1, max_size=40))
def test_a_chunk_with_the_words_asked_for_scores_and_one_without_doesnt(words: list[str]) -> None:
    query = weigh_query(" ".join(words))
    assert dot(query, weigh_chunk(" ".join(words))) > 0
    assert dot(query, weigh_chunk("nothing of that kind")) == 0


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("injections", "injection"),
        ("queries", "query"),
        ("caching", "cached"),
        ("sanitization", "sanitizing"),
        ("authenticate", "authentication"),
        ("validates", "validation"),
        ("hashes", "hashing"),
        ("stopped", "stopping"),
        ("classes", "class"),
        ("Größe", "größe"),
    ],
)
def test_forms_of_a_word_are_one_term(one: str, other: str) -> None:
    assert terms_of(one) == terms_of(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [("us-east", "use"), ("string", "strip"), ("process", "proceed"), ("status", "state"), ("ring", "red")],
)
def test_other_words_stay_other_terms(one: str, other: str) -> None:
    assert not set(terms_of(one)) & set(terms_of(other))


def test_an_identifier_is_found_whole_and_by_its_parts() -> None:
    assert terms_of("verify_jwt") == ["verify_jwt", "verify", "jwt"]
    assert terms_of("XMLHttpRequest") == ["xmlhttprequest", "xml", "http", "request"]
    assert terms_of("CWE-89") == ["cwe-89", "cwe", "89"]
    assert dot(weigh_query("jwt"), weigh_chunk("call verify_jwt first")) > 0


def test_words_that_say_nothing_are_left_out() -> None:
    assert terms_of("How do I do this with the other one?") == []


def test_more_of_the_same_word_counts_less_and_less() -> None:
    scores = [dot(weigh_query("sql"), weigh_chunk("sql " * count)) for count in (1, 2, 20, 200)]
    assert scores == sorted(scores)
    assert scores[1] - scores[0] > scores[3] - scores[2]


def test_a_word_counts_more_in_a_short_chunk() -> None:
    assert dot(weigh_query("sql"), weigh_chunk("sql here")) > dot(
        weigh_query("sql"), weigh_chunk("sql " + "filler " * 500)
    )


def test_a_huge_text_gives_a_bounded_vector() -> None:
    assert len(terms_of("word1 word2 " * TERMS_MAX)) == TERMS_MAX
