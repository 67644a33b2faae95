"""What analysers of text report and data flow contradicts.

A rule that sees `execute(f"…")` can't know that what is put in is a constant. Where our data flow has followed every
value that gets to the sinks of a function, and found each harmless, a report of that kind of weakness in that function
is refuted. It is not dropped: the report tells it apart from the findings, with the reason.
"""

from collections import defaultdict
from collections.abc import Collection, Sequence
from typing import Final

import msgspec

from agents.review.analysers.analysis import Looked
from agents.review.cwe import family_of
from schemas.review import Hit

NEAR_LINES: Final = 5
"""At the top of a file, which is no function."""
FUNCTION_LINES_MAX: Final = 1_000_000
OF_TEXT: Final = frozenset({"bandit", "ruff"})
DECIDED: Final = {
    "weak randomness": "the number was followed, and becomes nothing that must be a secret",
    "xml external entities": "the parser's settings were followed, and it reads nothing from outside with entities",
}
"""Kinds of weakness of which data flow knows every call that the analysers of text look for."""
REASON: Final = "every value that gets to line {line} was followed, and none can do harm there"


def refute(
    hits: Sequence[Hit], looked: Sequence[Looked], analyser: str, followed: Collection[str] = ()
) -> list[Hit]:
    """The hits, those marked that data flow contradicts.

    Args:
        analyser: the name of the data-flow analysis, whose own hits stand.
        followed: files that it has followed to the end.
    """
    judged: defaultdict[tuple[str, str], list[Looked]] = defaultdict(list)
    for one in looked:
        judged[one.path, family_of(one.cwe)].append(one)
    stands = {(hit.path, family_of(hit.cwe), hit.line) for hit in hits if hit.analyser == analyser}
    return [_judged(hit, judged, stands, analyser, followed) for hit in hits]


def _judged(
    hit: Hit,
    judged: dict[tuple[str, str], list[Looked]],
    stands: set[tuple[str, str, int]],
    analyser: str,
    followed: Collection[str],
) -> Hit:
    if hit.analyser == analyser or not hit.cwe:
        return hit
    family = family_of(hit.cwe)
    around = [one for one in judged.get((hit.path, family), ()) if _is_about(one, hit)]
    if not all(one.is_clear for one in around):
        return hit
    if not around:
        is_decided = family in DECIDED and hit.analyser in OF_TEXT and hit.path in followed
        return msgspec.structs.replace(hit, refuted=DECIDED[family]) if is_decided else hit
    if any((hit.path, family, one.line) in stands for one in around):
        return hit
    nearest = min(around, key=lambda one: (abs(one.line - hit.line), one.line))
    return msgspec.structs.replace(hit, refuted=REASON.format(line=nearest.line))


def _is_about(one: Looked, hit: Hit) -> bool:
    """Whether a judged place is in the function that the hit is in; at the top of a file, whether it is near."""
    if one.last - one.first > FUNCTION_LINES_MAX:
        return abs(one.line - hit.line) <= NEAR_LINES
    return one.first <= hit.line <= one.last
