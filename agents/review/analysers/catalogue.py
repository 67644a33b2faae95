"""What we say about a weakness, whichever analyser saw it: severity, CWE, words and a fix.

Analysers disagree about how bad a thing is and describe it in their own way; the table in `catalogue.yaml` makes
them speak with one voice, so that their hits about one place merge into one finding.
"""

from functools import lru_cache
from pathlib import Path

import msgspec
import msgspec.yaml

from schemas.review import Severity


class Weakness(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One kind of problem.

    Attributes:
        rules: ids of analysers' rules that mean it (`B608`, `S608`).
        harmless: severity when the analyser itself says that it seems safe (a constant command, say).
    """

    id: str
    rules: tuple[str, ...]
    title: str
    severity: Severity
    cwe: int = 0
    description: str = ""
    fix: str = ""
    harmless: Severity = Severity.LOW


@lru_cache(maxsize=1)
def _by_rule() -> dict[str, Weakness]:
    data = (Path(__file__).parent / "catalogue.yaml").read_bytes()
    weaknesses = msgspec.yaml.decode(data, type=list[Weakness])
    return {rule: weakness for weakness in weaknesses for rule in weakness.rules}


def weakness_of(rule: str) -> Weakness | None:
    """What a rule means; None for a rule that we have no words of our own for."""
    return _by_rule().get(rule)
