"""Dismissals: what a review does with findings of which somebody has said, with a reason, that they are none.

The code under review may be hostile, and `dismissal_file` reads a file that comes with it. So a dismissal never takes
a finding away: the finding is marked, stays in every report with who, when and why, and the report counts them and
names the file. A dismissed finding does not fail a review (`--fail-on`), as a comment in the source can do too; but a
dismissal that does not say who, when and why does nothing, and that is told.

A finding of the same kind, on the same line of code elsewhere, is less sure. With n different dismissals like it,

    odds = confidence / (1 - confidence) x ODDS ** min(n, ALIKE_MAX)
    confidence = max(odds / (1 + odds), CONFIDENCE_MIN)

so one of them makes 80 % into 67 %, two into 50 %; nothing that was above CONFIDENCE_MIN falls below it, where
claims of models would not be shown any more.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from agents.review.cwe import family_of
from agents.review.fingerprint import first_line, kind_of
from schemas.review import LINE_CHARS_MAX, Dismissal, Finding, FindingStatus, Hit

ODDS: Final = 0.5
"""By what one dismissal of something like it multiplies the odds of a finding."""
ALIKE_MAX: Final = 5
"""Further dismissals like it change nothing, so that no heap of them can make a finding vanish."""
CONFIDENCE_MIN: Final = 0.25
KIND_CHARS_MAX: Final = 200
SURE_MAX: Final = 0.99
"""Full certainty has no odds; it counts as this."""


def counts(dismissal: Dismissal) -> bool:
    """Whether it says who, when and why."""
    return all(text.strip() for text in (dismissal.by, dismissal.at, dismissal.reason))


def key_of(found: Finding | Hit) -> tuple[str, str]:
    """By which findings are alike: the family of weaknesses, else the rule; and the line of code without blanks."""
    rule = f"{found.analyser} {found.rule}" if isinstance(found, Hit) else kind_of(found)
    return (family_of(found.cwe) or rule)[:KIND_CHARS_MAX], first_line(found.code)[:LINE_CHARS_MAX]


def similar_dismissals(
    found: Sequence[Finding | Hit], dismissed: Iterable[Dismissal]
) -> list[tuple[Dismissal, ...]]:
    """For each finding or hit the dismissals of others like it, oldest first, which a later prompt can tell.

    Their texts come from a file beside the code: material, as the code is.
    """
    alike: defaultdict[tuple[str, str], dict[str, Dismissal]] = defaultdict(dict)
    for one in dismissed:
        if counts(one) and one.kind and one.code:
            alike[one.kind, one.code][one.fingerprint] = one
    return [
        tuple(
            one
            for one in alike.get(key_of(each), {}).values()
            if not (isinstance(each, Finding) and one.fingerprint == each.fingerprint)
        )
        for each in found
    ]


def mark_dismissed(findings: Iterable[Finding], dismissed: Sequence[Dismissal]) -> list[Finding]:
    """The findings, dismissed ones marked, and those that are like them less sure. None is left out."""
    found = list(findings)
    if not dismissed:
        return found
    by_fingerprint = {one.fingerprint: one for one in dismissed if counts(one)}
    similar = similar_dismissals(found, dismissed)
    return [
        _marked(finding, by_fingerprint.get(finding.fingerprint), alike)
        for finding, alike in zip(found, similar, strict=True)
    ]


def dismissal_notes(
    findings: Iterable[Finding], dismissed: Sequence[Dismissal], dismissed_in: str
) -> list[str]:
    """What the report says of them: how many findings are dismissed, by which file, and what does not count."""
    file = dismissed_in or "the request for this review"
    marked = sum(finding.dismissed is not None for finding in findings)
    unsigned = sum(not counts(one) for one in dismissed)
    told = []
    if marked:
        told.append(
            f"{marked:,} of the findings dismissed by {file}, which may come with the code: look at it"
        )
    if unsigned:
        told.append(
            f"{unsigned:,} of the dismissals in {file} without effect: they must say by whom, at what time and why"
        )
    return told


def less_sure(confidence: float, alike: int) -> float:
    """A confidence after so many different dismissals of something like it."""
    if confidence <= CONFIDENCE_MIN or not alike:
        return confidence
    sure = min(confidence, SURE_MAX)
    odds = sure / (1 - sure) * ODDS ** min(alike, ALIKE_MAX)
    return max(round(odds / (1 + odds), 3), CONFIDENCE_MIN)


def _marked(finding: Finding, own: Dismissal | None, alike: Sequence[Dismissal]) -> Finding:
    if finding.status is not FindingStatus.NEW:
        return finding
    if own is not None:
        return msgspec.structs.replace(
            finding,
            status=FindingStatus.SUPPRESSED,
            status_reason=f"dismissed by {own.by} on {own.at[:10]}: {own.reason}",
            dismissed=own,
        )
    if not alike:
        return finding
    last = alike[-1]
    told = f"Like a finding in {last.path or 'another file'} that was dismissed by {last.by}: {last.reason}"
    return msgspec.structs.replace(
        finding,
        confidence=less_sure(finding.confidence, len(alike)),
        description=f"{finding.description}\n\n{told}".strip(),
    )
