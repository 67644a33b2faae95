"""The words without which a query can't match, so that it need only be run where they stand.

`(#eq? @f "eval")` can only hold in a source in which `eval` stands, and so can `#any-of?` and a `#match?` that is
a list of words. A pattern needs one of these lists; a query needs one word of any of its patterns. A capture that
a match may leave empty must not be the only one with words, since an empty one fulfils every predicate.
"""

import re
from collections.abc import Iterator
from typing import Final

WORD_CHARS_MIN: Final = 2
SPOTS_MAX: Final = 300
"""A word that stands in more places than this is looked for in the whole source."""
PLACES_MAX: Final = 2_000
SPOTS_APART_BYTES: Final = 100
"""Places that are closer to each other are looked at together."""

CONDITION_WORDS: Final[dict[str, tuple[str, ...]]] = {
    "insecure-url?": ("http:", "ws:", "HTTP:", "WS:"),
    "awaited-in-turn?": ("await",),
}
"""What a condition needs by itself."""

_WORD_BYTES: Final = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")
_PREDICATE = re.compile(r"""\(#(?P<name>[\w-]+\?) @\w+(?P<words>(?:\s+"(?:[^"\\]|\\.)*")*)\)""")
_STRING = re.compile(r'"((?:[^"\\]|\\.)*)"')
_WORD_LIST = re.compile(r"(?:\^|\(\^\|[^()]*\))\(?(?P<words>[\w|]+)\)?(?:\((?P<suffix>\w+)\)\?)?\$")
_PART = re.compile(r'"(?:[^"\\]|\\.)*"|;[^\n]*|[()\[\]]')


def words_needed(query: str) -> tuple[bytes, ...]:
    """One of these words stands in every source that the query can match. Empty: it may match any source."""
    needed: set[str] = set()
    for pattern in patterns_of(query):
        lists = [words for words in _word_lists(pattern) if min(map(len, words)) >= WORD_CHARS_MIN]
        if not lists:
            return ()
        needed.update(max(lists, key=lambda words: min(map(len, words))))
    return tuple(sorted(word.encode() for word in needed))


def spots_of(words: tuple[bytes, ...], source: bytes) -> list[tuple[int, int]] | None:
    """Where in a source the words stand, as ranges of bytes; None if in so many places that it is everywhere."""
    places: list[tuple[int, int]] = []
    for word in words:  # one after the other: `find` is many times as fast as a regular expression
        start = source.find(word)
        while start >= 0:
            end = start + len(word)
            if not (_continues(source, start) or _continues(source, end)):
                places.append((start, end))
                if len(places) > PLACES_MAX:
                    return None
            start = source.find(word, end)
    spots: list[tuple[int, int]] = []
    for start, end in sorted(places):
        if spots and start - spots[-1][1] <= SPOTS_APART_BYTES:
            spots[-1] = (spots[-1][0], max(end, spots[-1][1]))
        else:
            spots.append((start, end))
    return spots if len(spots) <= SPOTS_MAX else None


def _continues(source: bytes, at: int) -> bool:
    """Whether a word goes on across a place: a letter, digit or `_` before and after it."""
    return 0 < at < len(source) and source[at - 1] in _WORD_BYTES and source[at] in _WORD_BYTES


def patterns_of(query: str) -> Iterator[str]:
    """The top-level patterns of a query."""
    depth = start = 0
    for part in _PART.finditer(query):
        if part[0] in "([":
            if depth == 0:
                start = part.start()
            depth += 1
        elif part[0] in ")]":
            depth -= 1
            if depth == 0:
                yield query[start : part.end()]


def _word_lists(pattern: str) -> Iterator[tuple[str, ...]]:
    """For each predicate that only words can fulfil, these words."""
    for predicate in _PREDICATE.finditer(pattern):
        words = tuple(_STRING.findall(predicate["words"]))
        match predicate["name"]:
            case "eq?" | "any-of?" if words and not any("\\" in word for word in words):
                yield words
            case "match?" if found := _WORD_LIST.fullmatch(words[0].replace("\\\\$", "")):
                words = tuple(found["words"].split("|"))
                yield words + tuple(word + found["suffix"] for word in words if found["suffix"])
            case name if name in CONDITION_WORDS:
                yield CONDITION_WORDS[name]
