"""BM25: a text as its weighted words, so that a store which multiplies sparse vectors ranks as BM25 does.

A chunk's weights are the saturated frequencies of its terms, a query's are counts; the store brings the third factor,
how rare a term is (Qdrant calls it the IDF modifier). A term is kept as a number: the first 32 bits of its hash, where
a collision among 100,000 different terms costs one of them little and happens to about one in 40,000.
"""

import re
import unicodedata
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from typing import Final

K: Final = 1.2
"""How soon more of the same term counts no more."""
B: Final = 0.75
"""How much a long chunk is held against it, 0 to 1."""
TERMS_AVERAGE: Final = 170.0
"""Of a chunk. Fixed, so that chunks needn't be weighed anew when others come; it only has to be about right."""
TERM_CHARS_MAX: Final = 64
TERMS_MAX: Final = 20_000
"""Of one text; what follows isn't looked at."""
TERMS_CACHED: Final = 65_536

_WORD = re.compile(r"[A-Za-z]+-\d+|[^\W_]+(?:_+[^\W_]+)*")
_PART = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_STOP_WORDS: Final = """
a about all also an and any are as at be been but by can could did do does don for from had has have how i if in into is
it its may me might more most must my no nor of on one only or other our out s should so some such t than that the their
them then there these they this those to too up us was we were what when where which while who why will with would you
your
"""
_STOP: Final = frozenset(_STOP_WORDS.split())


@dataclass(frozen=True, slots=True)
class Terms:
    """A sparse vector: term numbers, all different, ascending, and a weight above 0 for each."""

    numbers: tuple[int, ...] = ()
    weights: tuple[float, ...] = ()


def terms_of(text: str) -> list[str]:
    """The terms of a text, in order: words in lower case and without endings.

    An identifier gives itself and its parts (`verify_jwt`: verify_jwt, verify, jwt), an id stays whole (`cwe-89`)
    beside its parts. Words that say nothing are left out.
    """
    out: list[str] = []
    for match in _WORD.finditer(unicodedata.normalize("NFKC", text)):
        word = match[0]
        whole = word.lower()
        if whole in _STOP:
            continue
        parts = [part.lower() for part in _PART.findall(word)] if word.isascii() else [whole]
        if len(parts) > 1:
            out.append(whole[:TERM_CHARS_MAX])
            out += [_stem(part[:TERM_CHARS_MAX]) for part in parts if part not in _STOP]
        else:
            out.append(_stem(whole[:TERM_CHARS_MAX]))
        if len(out) >= TERMS_MAX:
            break
    return out[:TERMS_MAX]


def weigh_chunk(text: str) -> Terms:
    """A chunk's side of BM25."""
    counts = Counter(terms_of(text))
    length = 1 - B + B * counts.total() / TERMS_AVERAGE
    return _terms({term: count * (K + 1) / (count + K * length) for term, count in counts.items()})


def weigh_query(text: str) -> Terms:
    """A query's side: how often each term is asked for."""
    return _terms({term: float(count) for term, count in Counter(terms_of(text)).items()})


def _terms(weights: dict[str, float]) -> Terms:
    by_number: dict[int, float] = {}
    for term, weight in weights.items():
        number = _number(term)
        by_number[number] = by_number.get(number, 0.0) + weight
    pairs = sorted(by_number.items())
    return Terms(tuple(number for number, _ in pairs), tuple(weight for _, weight in pairs))


@lru_cache(maxsize=TERMS_CACHED)
def _number(term: str) -> int:
    return int.from_bytes(blake2b(term.encode("utf-8", "replace"), digest_size=4).digest(), "big")


_ENDINGS: Final = (
    ("ization", "iz"),
    ("isation", "iz"),
    ("ation", "at"),
    ("ing", ""),
    ("ed", ""),
    ("ly", ""),
    ("or", ""),
    ("er", ""),
)
_VOWEL = re.compile(r"[aeiouy]")


@lru_cache(maxsize=TERMS_CACHED)
def _stem(word: str) -> str:
    """The word without an English ending for plural, tense or adverb: what it finds must share it, no more."""
    if len(word) <= 3 or not word.isascii() or not word.isalpha():
        return word
    for ending, instead in (
        ("sses", "ss"),
        ("ies", "y"),
        ("ied", "y"),
        ("ss", "ss"),
        ("us", "us"),
        ("is", "is"),
    ):
        if word.endswith(ending) and len(word) > len(ending) + 1:
            return word[: -len(ending)] + instead
    if word.endswith("s"):
        word = word[:-1]
    for ending, instead in _ENDINGS:
        base = word.removesuffix(ending)
        if base != word and len(base) >= 3 and _VOWEL.search(base):
            word = base + instead
            break
    if len(word) > 3 and word[-1] == word[-2] and word[-1] not in "aeiouls":
        word = word[:-1]
    return word.removesuffix("e") if len(word) > 3 else word
