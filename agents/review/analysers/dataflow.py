"""Our own data-flow analysis of Python as an analyser: each hit tells the way of a value from source to sink."""

import hashlib
import time
from collections.abc import Sequence
from functools import lru_cache
from importlib.metadata import version as version_of
from pathlib import Path
from typing import Final

from agents.review.analysers.analysis import Analysis
from agents.review.dataflow import Flow, Folders
from agents.review.languages import language_of
from agents.review.way import with_way
from schemas.review import Hit, Stage, TraceStep

ANALYSER: Final = "labverse-flow"
SHARD_SECONDS_MAX: Final = 60.0
"""For the project that a shard belongs to; what was found until then counts."""
DESCRIPTION_CHARS_MAX: Final = 1_200


class DataFlow:
    """The analyser `labverse-flow`: security only, Python only. Never raises for a bad source."""

    name = ANALYSER

    def __init__(self) -> None:
        self._folders = Folders()

    def version(self) -> str:
        """The version of the parser and a digest of our code and tables: what a result depends on."""
        return _version()

    def run(self, role: str, folder: Path, paths: Sequence[str]) -> Analysis:
        """Follow values through those of `paths` (relative to `folder`) that are Python."""
        started = time.monotonic()
        chosen = [path for path in paths if language_of(path) == "python"]
        if role != "security" or not chosen:
            return Analysis()
        result = self._folders.analyse(folder, chosen, budget_s=SHARD_SECONDS_MAX)
        stage = Stage(
            analyser=self.name, version=self.version(), files=len(chosen), seconds=time.monotonic() - started
        )
        return Analysis(
            hits=tuple(map(_hit, result.findings)),
            stages=(stage,),
            looked=result.looked,
            not_reviewed=(*result.not_parsed, *result.gave_up),
        )


def _hit(flow: Flow) -> Hit:
    return Hit(
        analyser=ANALYSER,
        rule=flow.rule,
        path=flow.path,
        line=flow.line,
        end_line=flow.end_line,
        title=flow.title,
        severity=flow.severity,
        confidence=flow.confidence,
        cwe=flow.cwe,
        description=with_way(flow.path, flow.trace, flow.description)[:DESCRIPTION_CHARS_MAX],
        fix=flow.fix,
        trace=tuple(TraceStep(path=step.path, line=step.line, what=step.what) for step in flow.trace),
    )


@lru_cache(maxsize=1)
def _version() -> str:
    folder = Path(__file__).parents[1] / "dataflow"
    parts = sorted((*folder.glob("*.py"), *folder.glob("*.yaml")))
    digest = hashlib.blake2b(b"".join(part.read_bytes() for part in parts), digest_size=4).hexdigest()
    return f"{version_of('tree-sitter')}+{digest}"
