"""Identities."""

import os
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.event import is_token
from schemas.ids import derive_id, new_id, output_id

ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
COUNT = 20_000


def number_of(ulid: str) -> int:
    number = 0
    for char in ulid:
        number = number * 32 + ALPHABET.index(char)
    return number


def test_twenty_thousand_new_ids_are_unique_tokens_of_26_characters() -> None:
    made = [new_id() for _ in range(COUNT)]
    assert len(set(made)) == COUNT
    assert all(len(text) == 26 and is_token(text) and set(text) <= set(ALPHABET) for text in made)


def test_ids_of_different_milliseconds_sort_by_time() -> None:
    made = []
    for _ in range(20):
        made.append(new_id())
        time.sleep(0.002)
    assert made == sorted(made)


@given(st.lists(st.integers(min_value=0, max_value=2**48 - 1), min_size=2, max_size=20, unique=True))
def test_ids_sort_as_the_clock_stood_from_1970_to_the_year_10889(moments_ms: list[int]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        made = {}
        for moment in moments_ms:
            patch.setattr(time, "time_ns", lambda moment=moment: moment * 1_000_000)
            made[new_id()] = moment
    assert [made[text] for text in sorted(made)] == sorted(moments_ms)


def test_an_id_holds_the_time_and_then_eighty_random_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time_ns", lambda: 1_469_918_176_385_999_999)
    monkeypatch.setattr(os, "urandom", lambda size: bytes(range(size)))
    assert number_of(new_id()) == (1_469_918_176_385 << 80) | int.from_bytes(bytes(range(10)), "big")
    assert new_id().startswith("01aryz6s41")


def test_a_derived_id_is_the_same_in_every_version() -> None:
    # Changing these would make a new version repeat everything that an old one had done and not yet acked.
    assert derive_id("01k9x4m3zc8v5t2q7rj6bnw0hd", "reviewer") == "a36212b1a8838858a770"
    assert derive_id("01k9x4m3zc8v5t2q7rj6bnw0hd", "reviewer", replay=1) == "150757ffd7ca4cb76afe"
    assert output_id("a36212b1a8838858a770", 3) == "a36212b1a8838858a770-3"


@given(
    st.text(), st.text(), st.integers(min_value=0, max_value=999_999), st.integers(min_value=0, max_value=999)
)
def test_outputs_of_any_input_have_ids_that_may_stand_in_a_subject(
    input_id: str, agent: str, replay: int, index: int
) -> None:
    derived = derive_id(input_id, agent, replay)
    assert derived == derive_id(input_id, agent, replay)
    assert len(derived) == 20
    assert is_token(output_id(derived, index))


KEYS = st.tuples(
    st.text("abc-", min_size=1, max_size=4), st.text("abc-", min_size=1, max_size=4), st.integers(0, 3)
)


@given(KEYS, KEYS)
def test_different_inputs_agents_or_replays_give_different_ids(
    one: tuple[str, str, int], other: tuple[str, str, int]
) -> None:
    assert (derive_id(*one) == derive_id(*other)) == (one == other)
