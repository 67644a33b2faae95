"""Rate cards: those that come along, those of a user, and what is refused and how."""

from pathlib import Path

import pytest

from agents.negotiator.limits import RefusedError
from agents.negotiator.platforms.card import Card, card_of
from agents.negotiator.platforms.cards import FILE_BYTES_MAX, SHIPPED, load_cards, read_card
from agents.negotiator.platforms.pricing import Pricing

GOOD = """\
name: alpha
version: "1"
rates: {cpm_usd: 5.5, flat: {usd: 100, impressions: 20000}}
floor_ecpm_usd: 2
inventory: 1000
evidence: {impressions: 100, clicks: 10, conversions: 1}
"""


def test_the_cards_that_come_along_are_whole_and_say_where_their_numbers_come_from(
    shipped: dict[str, Card],
) -> None:
    assert {"tiktok", "spotify", "youtube", "instagram", "linkedin", "x", "house"} <= shipped.keys()
    assert shipped["tiktok"].own is Pricing.CPM
    assert shipped["spotify"].own is Pricing.CPA
    for path in SHIPPED.iterdir():
        assert path.read_text().startswith("# "), path
        assert "your own numbers" in path.read_text(), path


def test_a_user_s_card_takes_the_place_of_the_one_that_comes_along(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(GOOD.replace("alpha", "tiktok"))
    cards = load_cards([SHIPPED, tmp_path])
    assert cards["tiktok"].rates.cpm_usd == 5.5
    assert "spotify" in cards


def test_numbers_written_without_a_point_count_as_numbers() -> None:
    card = read_card(GOOD, "a.yaml")
    assert card.rates.flat is not None
    assert card.rates.flat.usd == 100.0
    assert card.own is Pricing.CPM


@pytest.mark.parametrize(
    ("old", "new", "line", "says"),
    [
        ("cpm_usd: 5.5", "cpm_usd: .nan", 3, "rates.cpm_usd is nan"),
        ("cpm_usd: 5.5", "cpm_usd: .inf", 3, "rates.cpm_usd is inf"),
        ("cpm_usd: 5.5", "cpm_usd: -1", 3, "must be above 0"),
        ("cpm_usd: 5.5", "cpm_usd: 1", 3, "below the floor of $2"),
        ("usd: 100", "usd: 10", 3, "below the floor"),
        ("cpm_usd: 5.5", "cpm_usd: cheap", 3, "Expected `float"),
        ("cpm_usd: 5.5", "cpx_usd: 5.5", 3, "unknown field `cpx_usd`"),
        ("rates: {cpm_usd: 5.5, flat: {usd: 100, impressions: 20000}}", "rates: {}", 3, "no rate at all"),
        ("clicks: 10", "clicks: 101", 6, "101 clicks of 100 impressions"),
        ("conversions: 1", "conversions: 11", 6, "11 conversions of 10 clicks"),
        ("clicks: 10", "clicks: -1", 6, ">= 0"),
        ("impressions: 100,", "impression: 100,", 6, "unknown field `impression`"),
        ("inventory: 1000", "inventory: 0", 5, "inventory is 0"),
        ("floor_ecpm_usd: 2", "floor_ecpm_usd: .nan", 4, "floor_ecpm_usd is nan"),
        ("floor_ecpm_usd: 2", "weight: -1", 4, "weight is -1"),
        ("floor_ecpm_usd: 2", "threshold_usd: -1", 4, "threshold_usd is -1"),
        ("floor_ecpm_usd: 2", "formats: {clip: .nan}", 4, "formats.clip is nan"),
        ("floor_ecpm_usd: 2", "formats: {clip: 5000}", 4, "from -1000 to 1000"),
        ("floor_ecpm_usd: 2", "head_start: {first: {0: 1}}", 4, "0 days"),
        ("floor_ecpm_usd: 2", "main: cpa", 4, "for which there is no rate"),
        ("floor_ecpm_usd: 2", "value_per_conversion_usd: 3", 4, "on our own card"),
        ("floor_ecpm_usd: 2", "inventory: 5", 5, "a second time"),
        ("name: alpha", "name: house", 1, "set kind: house"),
        ("name: alpha", "name: Alpha!", 1, "matching"),
        ("floor_ecpm_usd: 2", "kind: house", 4, "must be called 'house'"),
    ],
)
def test_a_card_that_is_wrong_is_refused_in_one_line_with_file_and_line(
    old: str, new: str, line: int, says: str
) -> None:
    assert old in GOOD
    with pytest.raises(RefusedError) as refused:
        read_card(GOOD.replace(old, new), "a.yaml")
    assert str(refused.value).startswith(f"a.yaml:{line}: ")
    assert says in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "empty"),
        ("- a\n- b\n", "not a rate card"),
        ("name: [", "not YAML"),
        ("name: &a alpha\nversion: *a\n", "aliases"),
        ("name: " + "[" * 5_000, "nested deeper"),
        ("name: alpha\n? [1, 2]\n: 3\n", "unhashable key"),
        ("name: alpha\nversion: 2021-13-45\n", "can't be read"),
        ("kind: house\nname: house\nversion: '1'\n", "value_per_conversion_usd is missing"),
        ("kind: house\nname: house\nversion: '1'\nrates: {cpm_usd: 1}\n", "our own card has rates"),
        ("name: alpha\n", "missing required field `version`"),
    ],
)
def test_what_is_no_card_is_refused_with_the_reason(text: str, says: str) -> None:
    with pytest.raises(RefusedError) as refused:
        read_card(text, "a.yaml")
    assert says in str(refused.value)
    assert "\n" not in str(refused.value)


def test_two_cards_of_one_name_in_a_folder_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(GOOD)
    (tmp_path / "b.yaml").write_text(GOOD)
    with pytest.raises(RefusedError, match=r"b\.yaml: a\.yaml is a card of 'alpha' too"):
        load_cards([SHIPPED, tmp_path])


def test_folders_and_files_that_can_not_be_used_are_named(tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match=r"gone: No such file or directory"):
        load_cards([tmp_path / "gone"])
    with pytest.raises(RefusedError, match="no card of kind house"):
        load_cards([tmp_path])
    (tmp_path / "big.yaml").write_text("#" * (FILE_BYTES_MAX + 1))
    with pytest.raises(RefusedError, match=f"more than {FILE_BYTES_MAX} bytes"):
        load_cards([tmp_path])
    (tmp_path / "big.yaml").write_bytes(b"name: \xff")
    with pytest.raises(RefusedError, match="not UTF-8"):
        load_cards([tmp_path])


def test_a_platform_without_a_card_is_named_with_those_that_have_one(shipped: dict[str, Card]) -> None:
    with pytest.raises(RefusedError, match=r"no rate card for 'myspace'; .*spotify, tiktok"):
        card_of(shipped, "myspace")
