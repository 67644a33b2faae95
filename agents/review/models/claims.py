"""Claims: what a model says it has found, and what of that is believed enough to be looked at further.

A claim counts when the code that it quotes stands in the code that was shown. It is moved to where the quote is; what
quotes nothing that is there is dropped and counted. A fix that changes nothing is no fix.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from agents.review.report.escape import clean, clean_lines
from schemas.review import LINE_CHARS_MAX, CodePart, Hit, Severity

CLAIMS_MAX: Final = 40
"""Of one answer; a model that claims more is not reviewing."""
QUOTE_LINES_MAX: Final = 12
QUOTE_CHARS_MIN: Final = 4
"""Of the first quoted line without whitespace; a bracket alone stands anywhere."""
MOVED_LINES_MAX: Final = 60
"""A quote that stands further from the line that was told is another place."""
TITLE_CHARS_MAX: Final = 160
TEXT_CHARS_MAX: Final = 2_000
CWE_MAX: Final = 1_500

NOT_THERE: Final = "the quoted code isn't there"
NOTHING_QUOTED: Final = "nothing was quoted"
NO_SUCH_FILE: Final = "no such file was shown"
TOO_MANY: Final = "too many in one answer"
TWICE: Final = "said twice"
WITHOUT_TITLE: Final = "it doesn't say what is wrong"


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """One problem, as a model puts it. Lenient where what is wrong can be told from the code itself."""

    path: str = ""
    line: int = 0
    quote: Annotated[str, Meta(description="the line or lines, copied exactly")]
    title: Annotated[str, Meta(description="what is wrong, in a few words")]
    severity: Literal["critical", "high", "medium", "low"]
    cwe: Annotated[int, Meta(description="CWE number; 0 if none fits")] = 0
    why: Annotated[str, Meta(description="which input or event leads to what harm")] = ""
    fix: Annotated[str, Meta(description="the lines as they should be, or what to do")] = ""


class Claims(msgspec.Struct, frozen=True, kw_only=True):
    """A model's whole answer."""

    findings: list[Claim]


@dataclass(frozen=True, slots=True)
class Checked:
    """Hits for the claims that stand, and how many of the others were dropped for which reason."""

    hits: tuple[Hit, ...]
    dropped: dict[str, int] = field(default_factory=dict)


def check_claims(
    claims: Claims,
    parts: Sequence[CodePart],
    sources: Mapping[str, str],
    *,
    model: str,
    rule: str,
    confidence: float,
) -> Checked:
    """The claims about `parts` that stand, as hits of `model`.

    Args:
        sources: whole files by path.
        rule: by which the hits of one pass are told from those of others.
        confidence: of each hit: what a single model's word is worth.
    """
    hits: list[Hit] = []
    dropped: Counter[str] = Counter()
    seen: set[tuple[object, ...]] = set()
    if len(claims.findings) > CLAIMS_MAX:
        dropped[TOO_MANY] = len(claims.findings) - CLAIMS_MAX
    for claim in claims.findings[:CLAIMS_MAX]:
        place = _place(claim, parts, sources)
        title = clean(claim.title)[:TITLE_CHARS_MAX]
        if isinstance(place, str):
            dropped[place] += 1
        elif not title:
            dropped[WITHOUT_TITLE] += 1
        elif (key := (place, claim.cwe or title.casefold())) in seen:
            dropped[TWICE] += 1
        else:
            seen.add(key)
            hits.append(_hit(claim, place, title, sources, model, rule, confidence))
    return Checked(tuple(hits), dict(dropped))


@dataclass(frozen=True, slots=True)
class _Place:
    path: str
    line: int
    end_line: int


def _place(claim: Claim, parts: Sequence[CodePart], sources: Mapping[str, str]) -> _Place | str:
    """Where the quote stands, nearest to the line that was told; or why the claim is dropped."""
    named = [part for part in parts if part.path == claim.path.strip()]
    if not named and len({part.path for part in parts}) == 1:
        named = list(parts)  # of a single file the name says nothing
    if not named:
        return NO_SUCH_FILE
    quote = [_bare(line) for line in _unnumbered(claim.quote)[:QUOTE_LINES_MAX] if line.strip()]
    if not quote or len(quote[0]) < QUOTE_CHARS_MIN:
        return NOTHING_QUOTED
    places = [
        _Place(part.path, number, number + len(quote) - 1)
        for part in named
        for number in _starts(quote, part, sources.get(part.path, ""))
    ]
    if not places:
        return NOT_THERE
    best = min(places, key=lambda place: (abs(place.line - claim.line), place.line))
    is_only = len(places) == 1
    return best if is_only or abs(best.line - claim.line) <= MOVED_LINES_MAX else NOT_THERE


def _starts(quote: Sequence[str], part: CodePart, text: str) -> list[int]:
    """Lines of `part` at which the quote's first line stands, with the next ones below it."""
    lines = [_bare(line[:LINE_CHARS_MAX]) for line in text.splitlines()[part.first - 1 : part.last]]
    first, *rest = quote
    found = []
    for index, line in enumerate(lines):
        if first not in line or (line != first and len(first) < len(line) / 4):
            continue
        below = [one for one in lines[index + 1 : index + 2 * len(quote)] if one]
        if all(want in have or have in want for want, have in zip(rest, below, strict=False)) and len(
            below
        ) >= len(rest):
            found.append(part.first + index)
    return found


def _hit(
    claim: Claim,
    place: _Place,
    title: str,
    sources: Mapping[str, str],
    model: str,
    rule: str,
    confidence: float,
) -> Hit:
    code = "\n".join(
        line[:LINE_CHARS_MAX] for line in sources[place.path].splitlines()[place.line - 1 : place.end_line]
    )
    fix = "\n".join(clean_lines(claim.fix))[:TEXT_CHARS_MAX].strip()
    return Hit(
        analyser=model,
        rule=rule,
        path=place.path,
        line=place.line,
        end_line=place.end_line,
        title=title,
        severity=Severity(claim.severity),
        confidence=confidence,
        cwe=claim.cwe if 0 < claim.cwe <= CWE_MAX else 0,
        description="\n".join(clean_lines(claim.why))[:TEXT_CHARS_MAX].strip(),
        code=code,
        fix="" if changes_nothing(fix, code) else fix,
        by_model=True,
    )


def changes_nothing(fix: str, code: str) -> bool:
    """Whether a fix is the code again, however it is indented or fenced."""
    lines = [line for line in fix.splitlines() if not line.lstrip().startswith("```")]
    return "".join(map(_bare, lines)) in ("", "".join(map(_bare, code.splitlines())))


def _bare(line: str) -> str:
    return "".join(line.split())


def _unnumbered(quote: str) -> list[str]:
    """The quoted lines; a model often copies the line numbers along."""
    lines = quote.strip("`").splitlines()
    return [line.partition("|")[2] if line.partition("|")[0].strip().isdecimal() else line for line in lines]
