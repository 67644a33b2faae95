"""What platforms have to agree on: few enough values, readable names, nothing that nobody can agree on."""

import itertools

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.negotiator.limits import RefusedError
from agents.negotiator.platforms.card import Card, HeadStart, card_of
from agents.negotiator.platforms.issues import (
    HEAD_STARTS_MAX,
    OUTCOMES_AIM,
    TERMS_MAX,
    VALUE_CHARS_MAX,
    head_start_name,
    issues_of,
    read_head_start,
)
from agents.negotiator.platforms.pricing import Pricing, Terms, read_terms


def many(cards: dict[str, Card], count: int, name: str = "p") -> dict[str, Card]:
    """`count` copies of the cards of platforms, called p0, p1, …, and ourselves."""
    platforms = itertools.cycle(card for card in cards.values() if card.kind == "platform")
    named = {f"{name}{n}": msgspec.structs.replace(next(platforms), name=f"{name}{n}") for n in range(count)}
    return {**named, "house": cards["house"]}


@pytest.mark.parametrize("count", range(1, 12))
def test_any_number_of_platforms_has_few_values_of_which_some_pay_everybody(
    shipped: dict[str, Card], count: int
) -> None:
    cards = many(shipped, count)
    platforms = [f"p{n}" for n in range(count)]
    issues = {issue.name: issue.values for issue in issues_of(platforms, cards)}
    terms = [read_terms(value) for value in issues["terms"]]
    assert 1 <= len(terms) <= TERMS_MAX < 2_000
    assert len(set(issues["terms"])) == len(terms)
    assert len(issues["head_start"]) <= max(HEAD_STARTS_MAX, count + 1)
    assert len(issues["format"]) >= 2
    assert len(terms) * len(issues["format"]) * len(issues["head_start"]) <= OUTCOMES_AIM
    assert any(one is not None and len(one.split) == count for one in terms)
    for one in terms:
        assert one is not None
        assert sum(share for _, share in one.split) == 100
        assert all(card_of(cards, name).takes(one.pricing) for name, _ in one.split)


def test_two_platforms_share_in_steps_of_ten_percent_and_may_get_nothing(shipped: dict[str, Card]) -> None:
    terms = [read_terms(value) for value in issues_of(["tiktok", "spotify"], shipped)[0].values]
    assert {one.share("tiktok") for one in terms if one} == set(range(0, 101, 10))
    assert {one.discount for one in terms if one} == {0, 5, 10, 15, 20}
    # A model that one of both doesn't take is only there for the other alone.
    assert {one.split for one in terms if one and one.pricing is Pricing.CPC} == {(("tiktok", 100),)}


def test_values_read_as_people_would_say_them(shipped: dict[str, Card]) -> None:
    terms, formats, head_starts = issues_of(["tiktok", "spotify"], shipped)
    assert "CPA −10 %, tiktok 60 % · spotify 40 %" in terms.values
    assert "own rates, tiktok 50 % · spotify 50 %" in terms.values
    assert terms.divisible
    assert "episode" in formats.values
    assert head_starts.values[0] == "none"
    assert "tiktok 1 day first" in head_starts.values
    assert "spotify 3 days first" in head_starts.values


def test_long_names_still_fit(shipped: dict[str, Card]) -> None:
    cards = many(shipped, 9, "n" * 31)
    issues = issues_of([name for name in cards if name != "house"], cards)
    assert max(len(value) for issue in issues for value in issue.values) <= VALUE_CHARS_MAX


def test_one_platform_alone_has_nobody_to_be_ahead_of(shipped: dict[str, Card]) -> None:
    terms, _, head_start = issues_of(["tiktok"], shipped)
    assert head_start.values == ("none",)
    assert "CPM, tiktok 100 %" in terms.values
    # `own rates` would say the same twice.
    assert not any("own rates" in value for value in terms.values)


@pytest.mark.parametrize(
    ("platforms", "says"),
    [
        ([], "no platforms"),
        (["tiktok", "tiktok"], "twice"),
        (["tiktok", "house"], "ourselves"),
        (["tiktok", "myspace"], "no rate card for 'myspace'"),
        ([f"p{n}" for n in range(12)], "12 platforms; at most 11"),
    ],
)
def test_platforms_that_can_not_be_brought_together_are_refused(
    shipped: dict[str, Card], platforms: list[str], says: str
) -> None:
    with pytest.raises(RefusedError, match=says):
        issues_of(platforms, shipped)


@given(
    st.sampled_from(list(Pricing)),
    st.integers(0, 99),
    st.lists(st.from_regex(r"[a-z][a-z0-9_-]{0,31}", fullmatch=True), min_size=1, max_size=5, unique=True),
)
def test_terms_are_read_from_their_names(pricing: Pricing, discount: int, names: list[str]) -> None:
    shares = [100 // len(names)] * len(names)
    shares[0] += 100 - sum(shares)
    terms = Terms(pricing=pricing, discount=discount, split=tuple(zip(names, shares, strict=True)))
    assert read_terms(terms.name) == terms


@pytest.mark.parametrize(
    "value",
    [
        "",
        "CPM",
        "CPM, tiktok 60 %",
        "CPX, tiktok 100 %",
        "CPM, a 50 % · a 50 %",
        "CPM −0 %, a 100 %",
        "CPM, a 100 % ",
    ],
)
def test_what_names_no_terms_is_not_read(value: str) -> None:
    assert read_terms(value) is None


def test_head_starts_are_read_from_their_names() -> None:
    assert read_head_start(head_start_name("tiktok", 1)) == ("tiktok", 1)
    assert read_head_start(head_start_name("x", 30)) == ("x", 30)
    for value in ("none", "", "tiktok first", "tiktok x days first", "CPM, tiktok 100 %"):
        assert read_head_start(value) is None


def test_days_are_picked_from_the_whole_range_when_there_are_many(plain: dict[str, Card]) -> None:
    by_days = {day: float(day) for day in (1, 2, 3, 5, 9)}
    card = msgspec.structs.replace(plain["alpha"], head_start=HeadStart(first=by_days))
    offered = issues_of(["alpha", "beta"], {**plain, "alpha": card})[2].values
    assert {found[1] for value in offered if (found := read_head_start(value))} == {1, 3, 9}
