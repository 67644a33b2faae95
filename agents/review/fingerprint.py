"""Fingerprints: 16 hex characters by which a finding is known again.

Made of the path, the family of the CWE (the analyser's rule if there is none), the first quoted line without
its whitespace, and a count among findings that are equal in all of these. So a fingerprint stays when lines
above move, when code is indented anew, or when another analyser finds the same thing; it changes when the
line itself or the path does.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable
from typing import Final

import msgspec

from agents.review.cwe import family_of
from schemas.review import Finding

FINGERPRINT_HEX: Final = 16
FINGERPRINT_VERSION: Final = "1"
"""Part of every fingerprint: another way of making them must not give equal ones by accident."""


def fingerprint(path: str, kind: str, code: str, occurrence: int) -> str:
    """The fingerprint of the `occurrence`-th (from 0) finding of this kind on this line of code in the file."""
    parts = (FINGERPRINT_VERSION, path, kind, code, str(occurrence))
    text = "\0".join(parts).encode("utf-8", "backslashreplace")
    return hashlib.sha256(text).hexdigest()[:FINGERPRINT_HEX]


def with_fingerprints(findings: Iterable[Finding]) -> list[Finding]:
    """The same findings with fingerprints, all different, ordered by path and line."""
    seen: Counter[tuple[str, str, str]] = Counter()
    marked = []
    for finding in sorted(findings, key=lambda each: (each.path, each.line, each.end_line, each.found_by)):
        key = (finding.path, kind_of(finding), first_line(finding.code))
        marked.append(msgspec.structs.replace(finding, fingerprint=fingerprint(*key, seen[key])))
        seen[key] += 1
    return marked


def kind_of(finding: Finding) -> str:
    """What sort of problem it is, whoever found it."""
    return family_of(finding.cwe) or (finding.found_by[0] if finding.found_by else finding.title)


def first_line(code: str) -> str:
    """The first line that is not blank, without any whitespace."""
    return next(("".join(line.split()) for line in code.splitlines() if not line.isspace() and line), "")
