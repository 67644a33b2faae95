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
REASON_CHARS_MAX: Final = 300
TITLE_CHARS_MAX: Final = 100
UNREADABLE: Final = "E902"
"""The rule for files that can't be read or decoded; without it Ruff leaves them out in silence."""
NOT_LOOKED_AT: Final = frozenset({None, "invalid-syntax", UNREADABLE})

SELECTED: Final[dict[str, tuple[str, ...]]] = {
    "security": ("S",),
    "quality": (
        "E722", "F5", "F6", "F7", "F81", "F82", "S110", "S112", "PLE", "RUF006", "RUF008", "RUF009",
        "B002", "B003", "B004", "B005", "B006", "B012", "B013", "B014", "B015", "B016", "B017", "B018", "B020",
        "B021", "B022", "B023", "B025", "B029", "B030", "B031", "B032", "B035", "B039",
        "PLW0127", "PLW0128", "PLW0129", "PLW0131", "PLW0133", "PLW0245", "PLW0711", "PLW1501", "PLW2101",
    ),
    "performance": ("PERF1", "PERF402", "B019", "ASYNC1", "ASYNC2", "PLW1509"),
    "testing": ("PT010", "PT014", "PT015", "PT020", "PT025", "PT026", "PT028"),
}  # fmt: skip
LEFT_OUT: Final[dict[str, tuple[str, ...]]] = {
    "security": (
        "S101", "S105", "S106", "S107", "S110", "S112", "S40", "S41", "S603", "S606", "S607", "S704",
    ),
    "performance": ("ASYNC109",),  # a parameter named timeout is a matter of taste
}  # fmt: skip
"""For the reasons given in `bandit.LEFT_OUT`; S704 repeats S308."""

_DEFAULTS: Final = {
    "security": Severity.LOW,
    "quality": Severity.LOW,
    "performance": Severity.INFO,
    "testing": Severity.LOW,
}
_MEDIUM: Final = frozenset({"F821", "F823", "B006", "B012", "B023", "B035", "F632", "F601", "F602", "F507"})
_MEDIUM_FAMILIES: Final = ("PLE01", "PLE07", "PLE11", "PLE12", "PLE13", "ASYNC2", "F50", "F7")


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


class RuffError(Exception):
    """Raised when Ruff can't be started, takes too long or stops in the middle of its work."""


class Ruff:
    """Never raises for a bad source: what can't be looked at is named."""

    name = "ruff"

    def version(self) -> str:
        return version_of("ruff")

    def run(self, role: str, folder: Path, paths: Sequence[str]) -> Analysis:
        """Hits of the role's rules for the Python files among `paths`."""
        started = time.monotonic()
        files = [path for path in paths if language_of(path) == "python"]
        if not files or role not in SELECTED:
            return Analysis()
        rules = ["--select", ",".join((*SELECTED[role], UNREADABLE))]
        if role in LEFT_OUT:
            rules += ["--ignore", ",".join(LEFT_OUT[role])]
        rows, failed = _lint(rules, folder, files)
        hits: list[Hit] = []
        not_reviewed = [NotReviewed(path=path, reason=why, stage=self.name) for path, why in failed.items()]
        for path, row in rows:
            if row.code in NOT_LOOKED_AT:
                not_reviewed.append(NotReviewed(path=path, reason=_why(row), stage=self.name))
            else:
                hits.append(_hit(row, role, path))
        stage = Stage(
            analyser=self.name,
            version=self.version(),
            files=len(files) - len(failed),
            seconds=time.monotonic() - started,
            error=next(iter(failed.values())) if len(failed) == len(files) else "",
        )
        return Analysis(hits=tuple(hits), stages=(stage,), not_reviewed=_first_of_each(not_reviewed))


def parsed_by_newest(folder: Path, paths: Sequence[str]) -> frozenset[str]:
    """Those of `paths` that are right in the newest syntax which Ruff knows."""
    rows, failed = _lint(["--select", UNREADABLE], folder, paths)
    return frozenset(paths) - {path for path, _ in rows} - failed.keys()


@lru_cache(maxsize=1)
def binary() -> str:
    """Path of ruff in this environment.

    Raises:
        RuffError: it is not installed.
    """
    name = "ruff.exe" if sys.platform == "win32" else "ruff"
    path = Path(sysconfig.get_path("scripts")) / name
    if not path.exists():
        raise RuffError("ruff is not installed: pip install ruff")
    return str(path)


def _lint(
    rules: Sequence[str], folder: Path, paths: Sequence[str]
) -> tuple[list[tuple[str, _Row]], dict[str, str]]:
    """Rows with their paths, and the files with which Ruff failed.

    One file on which Ruff crashes must not take the others along, so a group that fails is halved until that
    file is alone.
    """
    root = folder.resolve()
    by_name = {
        str(root / path).encode(errors="surrogateescape").decode(errors="replace"): path for path in paths
    }
    rows: list[tuple[str, _Row]] = []
    failed: dict[str, str] = {}
    give_up_s = time.monotonic() + TIMEOUT_S
    groups = list(_chunks(paths))
    while groups:
        group = groups.pop()
        try:
            found = _call(rules, folder, group, timeout_s=max(give_up_s - time.monotonic(), 0.1))
        except RuffError as error:
            if len(group) > 1 and time.monotonic() < give_up_s:
                middle = len(group) // 2
                groups += [group[:middle], group[middle:]]
            else:
                failed.update(dict.fromkeys(group, str(error)))
            continue
        rows += [(by_name[row.filename], row) for row in found if row.filename in by_name]
    return rows, failed


def _call(rules: Sequence[str], folder: Path, paths: Sequence[str], *, timeout_s: float) -> list[_Row]:
    """Run Ruff once.

    Raises:
        RuffError: it can't be started, takes too long or stops.
    """
    command = [
        binary(), "check", "--isolated", "--no-cache", "--exit-zero", "--quiet", "--ignore-noqa", "--no-fix",
        "--output-format", "json", "--target-version", TARGET, *rules, "--", *paths,
    ]  # fmt: skip
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            capture_output=True,
            timeout=timeout_s,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        if done.returncode != 0:
            last = done.stderr.decode(errors="replace").strip().rpartition("\n")[2]
            raise RuffError(f"ruff failed: {last[:REASON_CHARS_MAX] or f'exit code {done.returncode}'}")
        return msgspec.json.decode(done.stdout, type=list[_Row])
    except subprocess.TimeoutExpired:
        raise RuffError(f"ruff took longer than {timeout_s:.0f} s") from None
    except (OSError, ValueError, msgspec.DecodeError) as error:  # a ValueError is a NUL in a path
        raise RuffError(f"ruff failed: {error}"[:REASON_CHARS_MAX]) from error


def _why(row: _Row) -> str:
    if row.code == UNREADABLE:
        return f"could not be read: {row.message}"
    return f"syntax error at line {row.location.row}: {row.message}"


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
    message = " ".join(row.message.replace("`", "").split()).rstrip(".")
    fix = row.fix.message if row.fix and row.fix.message else ""
    if weakness is None:
        title, _, advice = message.partition(". ")
        is_medium = rule in _MEDIUM or rule.startswith(_MEDIUM_FAMILIES)
        severity = Severity.MEDIUM if is_medium else _DEFAULTS[role]
        description, fix, cwe = f"{message}.", fix or advice, 0
    else:
        title, fix, cwe = weakness.title, weakness.fix or fix, weakness.cwe
        severity = weakness.harmless if "seems safe" in message else weakness.severity
        # What Bandit also knows is described by us alone; of the rest Ruff's words tell which name is meant.
        is_shared = rule.startswith("S")
        description = weakness.description if is_shared else f"{message}. {weakness.description}"
    return Hit(
        analyser="ruff",
        rule=rule,
        path=path,
        line=row.location.row,
        end_line=max(row.location.row, row.end_location.row),
        column=row.location.column,
        title=title[:TITLE_CHARS_MAX],
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
