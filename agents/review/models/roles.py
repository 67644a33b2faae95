"""The roles in which models review, as data: what each looks for, in which code it pays, what it is asked."""

import re
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import msgspec.yaml

from agents.review.languages import CODE, language_of

FILE: Final = Path(__file__).parent / "roles.yaml"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRole:
    """One point of view.

    Attributes:
        question: what a model is asked, last.
        weight: what a pass in it is worth, beside others.
        passes: how many times it pays to ask about the same code.
        signals: it applies to code in which one of these is found; to any code if `always`.
        tags, cwes: which expert documents a model is shown.
    """

    name: str
    title: str
    focus: str
    question: str
    weight: int
    passes: int = 1
    always: bool = False
    languages: frozenset[str] = CODE
    tags: tuple[str, ...] = ()
    cwes: tuple[int, ...] = ()
    signals: tuple["re.Pattern[str]", ...] = field(default=(), repr=False)

    def found_in(self, path: str, text: str) -> int:
        """How many of its signals stand in a file's text; 0 when the role does not apply."""
        if language_of(path) not in self.languages:
            return 0
        return int(self.always) + sum(signal.search(text) is not None for signal in self.signals)


@lru_cache(maxsize=1)
def model_roles() -> dict[str, ModelRole]:
    """All of them by name, in the order of `roles.yaml`. Read once."""
    rows: list[dict[str, Any]] = msgspec.yaml.decode(FILE.read_bytes())
    return {row["name"]: _role(row) for row in rows}


def _role(row: dict[str, Any]) -> ModelRole:
    return ModelRole(
        name=row["name"],
        title=row["title"],
        focus=row["focus"],
        question=row["question"].strip(),
        weight=row["weight"],
        passes=row["passes"],
        always=row.get("always", False),
        languages=frozenset(row.get("languages", CODE)),
        tags=tuple(row.get("tags", ())),
        cwes=tuple(row.get("cwes", ())),
        signals=tuple(re.compile(signal, re.M) for signal in row["signals"]),
    )
