"""The files of a shard with the whole project around them: analysed once for all shards that a process looks at.

A flow may begin in one shard and end in another. So the whole folder is analysed, whichever shard is asked for, and
each shard is told what ends in its files; what was found is kept for the next shard by a digest of the contents.
"""

import hashlib
import os
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from agents.review.dataflow.analyse import analyse_project
from agents.review.dataflow.flows import FlowResult
from agents.review.dataflow.pages import ENDINGS
from agents.review.dataflow.walks import STAGE
from schemas.review import NotReviewed

WHOLE_FILES_MAX: Final = 2_000
"""Python files that are analysed together; of a larger project, a shard with those nearest to it."""
LISTED_FILES_MAX: Final = 50_000
SOURCE_BYTES_MAX: Final = 1_000_000
"""Larger files aren't parsed, so their length stands for their contents."""
RESULTS_MAX: Final = 8
"""Projects whose results are kept; they are small, since sources and trees aren't."""


class Folders:
    """Results of the projects that were looked at last."""

    def __init__(self) -> None:
        self._known: OrderedDict[bytes, FlowResult] = OrderedDict()

    def analyse(self, folder: Path, paths: Sequence[str], *, budget_s: float) -> FlowResult:
        """What ends in `paths` (relative to `folder`, Python), with flows from any file of the folder.

        Never raises for a bad source. A folder that changed is analysed anew.

        Args:
            budget_s: time for the whole project; what is found until then is kept for its other shards too.
        """
        listed = _listed(folder)
        around, is_cut = _around(listed, paths)
        key = _digest(folder, listed, around)
        known = self._known.get(key)
        if known is None:
            known = analyse_project(folder, around, budget_s=budget_s)
            self._known[key] = known
            if len(self._known) > RESULTS_MAX:
                self._known.popitem(last=False)
        self._known.move_to_end(key)
        return _part(known, paths, is_cut)


def _part(result: FlowResult, paths: Sequence[str], is_cut: bool) -> FlowResult:
    """What a result says of some files."""
    chosen = set(paths)
    gave_up = [one for one in result.gave_up if one.path in chosen]
    if is_cut:
        reason = f"more than {WHOLE_FILES_MAX} Python files: flows from files far away were not looked for"
        gave_up.append(NotReviewed(path="(project)", reason=reason, stage=STAGE))
    return msgspec.structs.replace(
        result,
        findings=tuple(one for one in result.findings if one.path in chosen),
        looked=tuple(one for one in result.looked if one.path in chosen),
        gave_up=tuple(gave_up),
        not_parsed=tuple(one for one in result.not_parsed if one.path in chosen),
    )


def _around(listed: Sequence[str], paths: Sequence[str]) -> tuple[list[str], bool]:
    """Python files to be analysed, those of the shard among them, and whether some had to be left out."""
    chosen = set(paths)
    known = sorted({*(path for path in listed if path.endswith(".py")), *chosen})
    if len(known) <= WHOLE_FILES_MAX:
        return known, False
    homes = sorted({tuple(path.split("/")[:-1]) for path in paths})

    def distance(path: str) -> tuple[bool, int]:
        parts = path.split("/")[:-1]
        return path not in chosen, -max((_shared(parts, home) for home in homes), default=0)

    return sorted(sorted(known, key=distance)[:WHOLE_FILES_MAX]), True


def _shared(one: Sequence[str], other: Sequence[str]) -> int:
    """How many leading folders two paths share."""
    pairs = zip(one, other, strict=False)
    return next((place for place, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))


def _listed(folder: Path) -> list[str]:
    """Python files and templates of a folder."""
    found: list[str] = []
    for root, folders, names in os.walk(folder):
        folders.sort()
        base = Path(root).relative_to(folder)
        found += [(base / name).as_posix() for name in sorted(names) if name.endswith((".py", *ENDINGS))]
        if len(found) >= LISTED_FILES_MAX:
            break
    return found[:LISTED_FILES_MAX]


def _digest(folder: Path, listed: Sequence[str], around: Sequence[str]) -> bytes:
    """Of the names and contents of everything that the analysis reads."""
    whole = hashlib.blake2b(os.fsencode(folder), digest_size=16)
    for path in (*around, "", *(path for path in listed if not path.endswith(".py"))):
        whole.update(b"\0" + path.encode("utf-8", "surrogateescape") + b"\0")
        try:
            with (folder / path).open("rb") as file:
                whole.update(file.read(SOURCE_BYTES_MAX + 1))
        except (OSError, ValueError) as failed:
            whole.update(type(failed).__name__.encode())
    return whole.digest()
