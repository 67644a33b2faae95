"""Rules for web applications that no flow of data shows: settings, keys, passwords, and who may do what.

Many of them compare: a handler without a login among handlers with one, a model that other handlers filter by its
owner. So the whole folder is read, whichever shard is asked for, and each shard is told what lies in its files.
"""

import hashlib
import os
import time
from collections import OrderedDict
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Final

from agents.review.analysers.analysis import Analysis
from agents.review.analysers.web.project import find_all, read_project
from agents.review.analysers.web.rules import ANALYSER, FILE, hit_of
from agents.review.languages import language_of
from schemas.review import Hit, NotReviewed, Stage

STAGE: Final = "labverse web"
SECONDS_MAX: Final = 45.0
"""For the project that a shard belongs to; what was found until then counts."""
FILES_MAX: Final = 2_000
LISTED_MAX: Final = 50_000
PROJECTS_MAX: Final = 8
"""Whose hits are kept for their other shards."""


class Web:
    """The part of the analyser `labverse` for web applications. Never raises for a bad source."""

    name = ANALYSER

    def __init__(self) -> None:
        self._known: OrderedDict[bytes, tuple[tuple[Hit, ...], tuple[NotReviewed, ...]]] = OrderedDict()

    def version(self) -> str:
        """A digest of the rules: what a cached result depends on."""
        return _version()

    def run(self, role: str, folder: Path, paths: Sequence[str]) -> Analysis:
        """Hits in those of `paths` (relative to `folder`) that are Python; the role `security` only."""
        started = time.monotonic()
        chosen = {path for path in paths if language_of(path) == "python"}
        if role != "security" or not chosen:
            return Analysis()
        hits, left_out = self._of_project(folder, chosen)
        stage = Stage(
            analyser=STAGE, version=self.version(), files=len(chosen), seconds=time.monotonic() - started
        )
        return Analysis(
            hits=tuple(hit for hit in hits if hit.path in chosen),
            stages=(stage,),
            not_reviewed=tuple(one for one in left_out if one.path in chosen),
        )

    def _of_project(self, folder: Path, chosen: set[str]) -> tuple[tuple[Hit, ...], tuple[NotReviewed, ...]]:
        around = _around(folder, chosen)
        key = _digest(folder, around)
        known = self._known.get(key)
        if known is None:
            deadline_s = time.monotonic() + SECONDS_MAX
            sources, left_out = read_project(folder, around, deadline_s=deadline_s)
            found, late = find_all(sources, deadline_s=deadline_s)
            known = tuple(map(hit_of, found)), (*left_out, *late)
            self._known[key] = known
            if len(self._known) > PROJECTS_MAX:
                self._known.popitem(last=False)
        self._known.move_to_end(key)
        return known


def _around(folder: Path, chosen: set[str]) -> list[str]:
    """Python files of the folder, those asked for first if there are too many."""
    found: list[str] = []
    for root, folders, names in os.walk(folder):
        folders.sort()
        base = Path(root).relative_to(folder)
        found += [(base / name).as_posix() for name in sorted(names) if name.endswith(".py")]
        if len(found) >= LISTED_MAX:
            break
    every = sorted({*found, *chosen}, key=lambda path: (path not in chosen, path))
    return sorted(every[: max(FILES_MAX, len(chosen))])


def _digest(folder: Path, paths: Sequence[str]) -> bytes:
    """Of the names, sizes and times of change of everything that is read."""
    whole = hashlib.blake2b(os.fsencode(folder), digest_size=16)
    for path in paths:
        try:
            status = (folder / path).stat()
            what = f"{path}\0{status.st_size}\0{status.st_mtime_ns}\0{status.st_ino}"
        except (OSError, ValueError) as failed:
            what = f"{path}\0{type(failed).__name__}"
        whole.update(what.encode("utf-8", "surrogateescape") + b"\0")
    return whole.digest()


@lru_cache(maxsize=1)
def _version() -> str:
    return hashlib.blake2b(FILE.read_bytes(), digest_size=4).hexdigest()
