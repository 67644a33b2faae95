"""The words without which a query can't match."""

import pytest

from agents.review.analysers.tree.needs import SPOTS_MAX, patterns_of, spots_of, words_needed
from agents.review.analysers.tree.rules import load_rules


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ('((identifier) @f (#eq? @f "eval"))', (b"eval",)),
        ('((identifier) @f (#any-of? @f "exec" "spawn"))', (b"exec", b"spawn")),
        ('((identifier) @f (#match? @f "^(find|findOne)$"))', (b"find", b"findOne")),
        (
            '((identifier) @f (#match? @f "^(read|write)(Sync)?$"))',
            (b"read", b"readSync", b"write", b"writeSync"),
        ),
        ('((identifier) @f (#match? @f "(^|\\\\.)(query|run)$"))', (b"query", b"run")),
        ('((identifier) @f (#match? @f "^\\\\$raw$"))', (b"raw",)),
        ('((a) @f (#eq? @f "short")) ((b) @g (#eq? @g "long"))', (b"long", b"short")),
        ('((a) @f (b) @g (#any-of? @f "get" "put") (#eq? @g "document"))', (b"document",)),
        ("((string) @u (#insecure-url? @u))", (b"HTTP:", b"WS:", b"http:", b"ws:")),
    ],
)
def test_a_query_needs_the_words_that_its_captures_equal(query: str, words: tuple[bytes, ...]) -> None:
    assert words_needed(query) == words


@pytest.mark.parametrize(
    "query",
    [
        "(debugger_statement) @hit",
        '((identifier) @f (#match? @f "(?i)token"))',
        '((identifier) @f (#not-eq? @f "eval"))',
        '((identifier) @f (#eq? @f "x"))',
        '((a) @f (#eq? @f "eval")) (b) @g',
    ],
)
def test_a_query_that_may_match_without_certain_words_needs_none(query: str) -> None:
    assert words_needed(query) == ()


def test_brackets_in_strings_do_not_end_a_pattern() -> None:
    first, second = '((a) @f (#eq? @f ")"))', "[(b) (c)]"
    assert list(patterns_of(f"{first} @hit {second} @hit")) == [first, second]


def test_most_rules_need_words() -> None:
    needing = [bool(words_needed(variant.query)) for rule in load_rules() for variant in rule.variants]
    assert sum(needing) > 0.6 * len(needing)


def test_spots_are_whole_words_and_close_ones_are_one() -> None:
    words = (b"eval", b"http:")
    assert spots_of(words, b"evaluate medieval") == []
    assert spots_of(words, b"eval(1); eval(2)") == [(0, 13)]
    assert spots_of(words, b"eval" + b" " * 200 + b"'http://a'") == [(0, 4), (205, 210)]


def test_a_word_that_stands_everywhere_has_no_spots() -> None:
    assert spots_of((b"get",), (b"get" + b" " * 200) * (SPOTS_MAX + 1)) is None
