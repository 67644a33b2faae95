"""What the web rules say: the words of `rules.yaml`, and what a rule found."""

from functools import lru_cache
from pathlib import Path
from typing import Annotated, Final

import msgspec
import msgspec.yaml

from schemas.review import Hit, Severity

ANALYSER: Final = "labverse"
FILE: Final = Path(__file__).parent / "rules.yaml"


class Words(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One rule. `confidence` is the chance that a hit is real, as seen on real code."""

    id: str
    title: str
    description: str
    fix: str
    cwe: int
    severity: Severity
    confidence: Annotated[float, msgspec.Meta(gt=0, le=1)]


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """A place that a rule is about.

    Attributes:
        note: what is special about this place; stands before the rule's description.
        confidence, severity, cwe: where this place differs from what the rule says.
    """

    rule: str
    path: str
    line: int
    end_line: int = 0
    note: str = ""
    confidence: float | None = None
    severity: Severity | None = None
    cwe: int | None = None


@lru_cache(maxsize=1)
def words() -> dict[str, Words]:
    """The rules by their ids. Read once."""
    return {rule.id: rule for rule in msgspec.yaml.decode(FILE.read_bytes(), type=list[Words])}


def hit_of(found: Found) -> Hit:
    """As it is reported."""
    rule = words()[found.rule]
    return Hit(
        analyser=ANALYSER,
        rule=rule.id,
        path=found.path,
        line=found.line,
        end_line=max(found.line, found.end_line),
        title=rule.title,
        severity=found.severity or rule.severity,
        confidence=rule.confidence if found.confidence is None else found.confidence,
        cwe=rule.cwe if found.cwe is None else found.cwe,
        description=f"{found.note} {rule.description}".strip(),
        fix=rule.fix.strip(),
    )
