"""Our own rules: tree-sitter queries for languages that have no offline analyser, and for what others miss."""

import hashlib
import time
from collections.abc import Sequence
from functools import lru_cache
from importlib.metadata import version as version_of
from pathlib import Path

from agents.review.analysers.analysis import Analysis
from agents.review.analysers.tree.engine import ANALYSER, SOURCE_BYTES_MAX, has_rules, review
from agents.review.analysers.tree.languages import Unparsable
from agents.review.analysers.tree.rules import RuleError, load_rules
from schemas.review import Hit, NotReviewed, Stage


class TreeSitter:
    """The analyser `labverse`. Never raises for a bad source: what can't be looked at is named."""

    name = ANALYSER

    def version(self) -> str:
        """The version of tree-sitter, the number of rules and a digest of them: what a cached result depends on."""
        return _version()

    def run(self, role: str, folder: Path, paths: Sequence[str]) -> Analysis:
        """Apply the rules of `role` to those of `paths` (relative to `folder`) whose language they know."""
        started = time.monotonic()
        hits: list[Hit] = []
        not_reviewed: list[NotReviewed] = []
        files = 0
        error = ""
        try:
            for path in paths:
                if not has_rules(role, path):
                    continue
                files += 1
                found, reasons = _review_file(folder, path, role)
                hits += found
                not_reviewed += (NotReviewed(path=path, reason=reason, stage=self.name) for reason in reasons)
        except RuleError as broken:
            error = str(broken)
        seconds = time.monotonic() - started
        stage = Stage(
            analyser=self.name,
            version="" if error else self.version(),
            files=files,
            seconds=seconds,
            error=error,
        )
        return Analysis(
            hits=tuple(hits), stages=(stage,) if files or error else (), not_reviewed=tuple(not_reviewed)
        )


def _review_file(folder: Path, path: str, role: str) -> tuple[tuple[Hit, ...], tuple[str, ...]]:
    """Hits of one file, and reasons why it, or a part of it, wasn't looked at."""
    try:
        with (folder / path).open("rb") as file:
            raw = file.read(SOURCE_BYTES_MAX + 1)
    except (OSError, ValueError) as failed:  # vanished, a folder, no permission; a NUL in the name
        return (), (
            f"could not be read: {failed.strerror or failed}" if isinstance(failed, OSError) else str(failed),
        )
    if b"\0" in raw and not raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        return (), ("not a text: it holds NUL bytes",)
    try:
        outcome = review(raw, path, role)
    except Unparsable as unparsable:
        return (), (str(unparsable),)
    return outcome.hits, outcome.left_out


@lru_cache(maxsize=1)
def _version() -> str:
    rules = load_rules()
    digest = hashlib.blake2b(repr(rules).encode(), digest_size=4).hexdigest()
    return f"{version_of('tree-sitter')}+{len(rules)}rules.{digest}"
