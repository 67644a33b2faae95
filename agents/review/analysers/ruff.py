"""Ruff, as a process: rules for Python of several roles, in hundredths of a second."""

import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator, Sequence
from functools import lru_cache
from importlib.metadata import version as version_of
from pathlib import Path
from typing import Final

import msgspec

from agents.review.analysers.analysis import Analysis
from agents.review.analysers.catalogue import weakness_of
from agents.review.languages import language_of
from schemas.review import Hit, NotReviewed, Severity, Stage

TIMEOUT_S: Final = 60.0
ARGUMENT_BYTES_MAX: Final = 60_000
CONFIDENCE: Final = 0.6
TARGET: Final = "py314"

SELECTED: Final[dict[str, tuple[str, ...]]] = {
    "security": ("S",),
    "quality": (
        "E722", "F5", "F6", "F7", "F81", "F82", "S110", "S112", "PLE", "RUF006", "RUF008", "RUF009",
        "B002", "B003", "B004", "B005", "B006", "B012", "B013", "B014", "B015", "B016", "B017", "B018", "B020",
        "B021", "B022", "B023", "B025", "B029", "B030", "B031", "B032", "B035", "B039",
        "PLW0127", "PLW0128", "PLW0129", "PLW0131", "PLW0133", "PLW0245", "PLW0711", "PLW1501", "PLW2101",
    ),
    "performance": ("PERF1", "PERF4", "B019", "ASYNC1", "ASYNC2", "PLW1509"),
    "testing": ("PT010", "PT014", "PT015", "PT020", "PT025", "PT026", "PT028"),
}  # fmt: skip
LEFT_OUT: Final[dict[str, tuple[str, ...]]] = {
    "security": (
        "S101", "S105", "S106", "S107", "S110", "S112", "S40", "S41", "S603", "S606", "S607", "S704",
    ),
}  # fmt: skip
"""For the reasons given in `bandit.LEFT_OUT`; S704 repeats S308."""

_DEFAULTS: Final = {
    "security": Severity.LOW,
    "quality": Severity.LOW,
    "performance": Severity.INFO,
    "testing": Severity.LOW,
}
_MEDIUM: Final = frozenset(
    {"F821", "F822", "F823", "B006", "B012", "B023", "B035", "F632", "F601", "F602", "F507"}
)
_MEDIUM_FAMILIES: Final = ("PLE", "ASYNC2", "F50", "F7")


class _Position(msgspec.Struct):
    row: int = 1
    column: int = 1


class _Fix(msgspec.Struct):
    message: str | None = None


class _Row(msgspec.Struct):
    code: str | None
    message: str
    filename: str
    location: _Position
    end_location: _Position
    fix: _Fix | None = None


class Ruff:
    name = "ruff"

    def version(self) -> str:
        return version_of("ruff")

    def run(self, role: str, folder: Path, paths: Sequence[str]) -> Analysis:
        """Hits of the role's rules for the Python files among `paths`."""
        started = time.monotonic()
        files = [path for path in paths if language_of(path) == "python"]
        if not files or role not in SELECTED:
            return Analysis()
        hits: list[Hit] = []
        not_reviewed: list[NotReviewed] = []
        error = ""
        by_name = {str((folder / path).resolve()): path for path in files}
        for chunk in _chunks(files):
            try:
                rows = _lint(role, folder, chunk)
            except (OSError, subprocess.TimeoutExpired, msgspec.DecodeError, RuntimeError) as failed:
                error = f"{type(failed).__name__}: {failed}"[:300]
                not_reviewed += (NotReviewed(path=path, reason=error, stage=self.name) for path in chunk)
                continue
            for row in rows:
                path = by_name.get(row.filename) or by_name.get(
                    str(Path(row.filename).resolve()), row.filename
                )
                if row.code in (None, "invalid-syntax", "E902"):
                    reason = f"{row.message} (line {row.location.row})"
                    not_reviewed.append(NotReviewed(path=path, reason=reason, stage=self.name))
                else:
                    hits.append(_hit(row, role, path))
        stage = Stage(
            analyser=self.name,
            version=self.version(),
            files=len(files),
            seconds=time.monotonic() - started,
            error=error,
        )
        return Analysis(hits=tuple(hits), stages=(stage,), not_reviewed=_first_of_each(not_reviewed))


@lru_cache(maxsize=1)
def binary() -> str:
    """Path of ruff in this environment.

    Raises:
        RuntimeError: it is not installed.
    """
    name = "ruff.exe" if sys.platform == "win32" else "ruff"
    path = Path(sysconfig.get_path("scripts")) / name
    if not path.exists():
        raise RuntimeError("ruff is not installed: pip install ruff")
    return str(path)


def _lint(role: str, folder: Path, paths: Sequence[str]) -> list[_Row]:
    command = [
        binary(), "check", "--isolated", "--no-cache", "--exit-zero", "--quiet", "--ignore-noqa", "--no-fix",
        "--output-format", "json", "--target-version", TARGET,
        "--select", ",".join(SELECTED[role]),
    ]  # fmt: skip
    if role in LEFT_OUT:
        command += ["--ignore", ",".join(LEFT_OUT[role])]
    done = subprocess.run(
        [*command, "--", *paths],
        cwd=folder,
        capture_output=True,
        timeout=TIMEOUT_S,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    if done.returncode != 0:
        raise RuntimeError(
            done.stderr.decode(errors="replace").strip()[:300] or f"exit code {done.returncode}"
        )
    return msgspec.json.decode(done.stdout, type=list[_Row])


def _chunks(paths: Sequence[str]) -> Iterator[list[str]]:
    """Paths in groups that fit on a command line."""
    chunk: list[str] = []
    size = 0
    for path in paths:
        size += len(path.encode(errors="surrogateescape")) + 1
        if chunk and size > ARGUMENT_BYTES_MAX:
            yield chunk
            chunk, size = [], len(path)
        chunk.append(path)
    if chunk:
        yield chunk


def _hit(row: _Row, role: str, path: str) -> Hit:
    rule = row.code or ""
    weakness = weakness_of(rule)
    fix = row.fix.message if row.fix and row.fix.message else ""
    if weakness is not None:
        severity = weakness.harmless if "seems safe" in row.message else weakness.severity
        title, description, fix, cwe = weakness.title, weakness.description, weakness.fix or fix, weakness.cwe
    else:
        severity = (
            Severity.MEDIUM if rule in _MEDIUM or rule.startswith(_MEDIUM_FAMILIES) else _DEFAULTS[role]
        )
        title, description, cwe = row.message.split("\n")[0].replace("`", "")[:100], row.message, 0
    return Hit(
        analyser="ruff",
        rule=rule,
        path=path,
        line=row.location.row,
        end_line=max(row.location.row, row.end_location.row),
        column=row.location.column,
        title=title,
        severity=severity,
        confidence=CONFIDENCE,
        cwe=cwe,
        description=description,
        fix=fix,
    )


def _first_of_each(entries: Sequence[NotReviewed]) -> tuple[NotReviewed, ...]:
    """A broken file brings many errors; the first tells where to look."""
    first: dict[str, NotReviewed] = {}
    for entry in entries:
        first.setdefault(entry.path, entry)
    return tuple(first.values())
