"""The way of a value in one line, as descriptions tell it and as reports take it out again where they show it apart."""

from collections.abc import Iterable
from typing import Protocol

from schemas.review import Finding


class Step(Protocol):
    """One place that a value passes."""

    @property
    def path(self) -> str: ...
    @property
    def line(self) -> int: ...
    @property
    def what(self) -> str: ...


def way_text(path: str, steps: Iterable[Step]) -> str:
    """Such as `request.args['id'] (line 12) → query (line 14) → cursor.execute (db.py:15)`, seen from `path`."""
    return " → ".join(
        f"{step.what} (line {step.line})" if step.path == path else f"{step.what} ({step.path}:{step.line})"
        for step in steps
    )


def with_way(path: str, steps: Iterable[Step], description: str) -> str:
    """The description after the way, for readers who see nothing else."""
    way = way_text(path, steps)
    return f"{way}. {description}" if way else description


def without_way(finding: Finding) -> str:
    """The finding's description without the way, for reports that show the trace by itself."""
    return finding.description.removeprefix(with_way(finding.path, finding.trace, "")).lstrip()
