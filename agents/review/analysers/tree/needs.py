"""The words without which a query can't match, so that most queries needn't be run over most files.

`(#eq? @f "eval")` can only hold in a source in which `eval` stands, and so can `#any-of?` and a `#match?` that is
a list of words. A pattern needs one of these lists; a query needs one word of any of its patterns. A capture that
a match may leave empty must not be the only one with words, since an empty one fulfils every predicate.
"""

import re
from collections.abc import Iterator
from typing import Final

WORD_CHARS_MIN: Final = 3
"""Shorter words stand in every source."""

CONDITION_WORDS: Final[dict[str, tuple[str, ...]]] = {
    "insecure-url?": ("http:", "ws:", "HTTP:", "WS:"),
    "awaited-in-turn?": ("await",),
}
"""What a condition needs by itself."""

_PREDICATE = re.compile(r"""\(#(?P<name>[\w-]+\?) @\w+(?P<words>(?:\s+"(?:[^"\\]|\\.)*")*)\)""")
_STRING = re.compile(r'"((?:[^"\\]|\\.)*)"')
_WORD_LIST = re.compile(r"(?:\^|\(\^\|[^()]*\))\(?(?P<words>[\w|]+)\)?(?:\(\w+\)\?)?\$")
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
                yield tuple(found["words"].split("|"))
            case name if name in CONDITION_WORDS:
                yield CONDITION_WORDS[name]
