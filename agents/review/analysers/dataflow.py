"""Our own data-flow analysis of Python as an analyser: each hit tells the way of a value from source to sink."""

import hashlib
import os
import time
from collections.abc import Sequence
from functools import lru_cache
from importlib.metadata import version as version_of
from pathlib import Path
from typing import Final

from agents.review.analysers.analysis import Analysis
from agents.review.dataflow import Flow, analyse_project, told
from agents.review.languages import language_of
from schemas.review import Hit, Stage, TraceStep

ANALYSER: Final = "labverse-flow"
SHARD_SECONDS_MAX: Final = 60.0
"""For all files of one shard; what was found until then counts."""
BESIDE_MAX: Final = 20_000
"""Files of other shards that may be imported."""
DESCRIPTION_CHARS_MAX: Final = 1_200


class DataFlow:
    """The analyser `labverse-flow`: security only, Python only. Never raises for a bad source."""

    name = ANALYSER

    def version(self) -> str:
        """The version of the parser and a digest of the tables: what a cached result depends on."""
        return _version()

    def run(self, role: str, folder: Path, paths: Sequence[str]) -> Analysis:
        """Follow values through those of `paths` (relative to `folder`) that are Python."""
        started = time.monotonic()
        chosen = [path for path in paths if language_of(path) == "python"]
        if role != "security" or not chosen:
            return Analysis()
        result = analyse_project(folder, chosen, budget_s=SHARD_SECONDS_MAX, beside=_others(folder, chosen))
        stage = Stage(
            analyser=self.name, version=self.version(), files=len(chosen), seconds=time.monotonic() - started
        )
        return Analysis(
            hits=tuple(map(_hit, result.findings)),
            stages=(stage,),
            not_reviewed=(*result.not_parsed, *result.gave_up),
        )


def _others(folder: Path, chosen: Sequence[str]) -> list[str]:
    """Python files of the folder that aren't in this shard: flows lead through them too."""
    found: list[str] = []
    known = set(chosen)
    for root, _, names in os.walk(folder):
        base = Path(root).relative_to(folder)
        paths = ((base / name).as_posix() for name in names if name.endswith(".py"))
        found += (path for path in paths if path not in known)
        if len(found) >= BESIDE_MAX:
            break
    return sorted(found[:BESIDE_MAX])


def _hit(flow: Flow) -> Hit:
    way = f"{told(flow)}. " if flow.trace else ""
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
        description=f"{way}{flow.description}"[:DESCRIPTION_CHARS_MAX],
        fix=flow.fix,
        trace=tuple(TraceStep(path=step.path, line=step.line, what=step.what) for step in flow.trace),
    )


@lru_cache(maxsize=1)
def _version() -> str:
    tables = sorted((Path(__file__).parents[1] / "dataflow").glob("*.yaml"))
    digest = hashlib.blake2b(b"".join(table.read_bytes() for table in tables), digest_size=4).hexdigest()
    return f"{version_of('tree-sitter')}+{digest}"
