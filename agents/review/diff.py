"""What a diff changed: line ranges by file, from git, and the findings on them."""

import os
import re
import subprocess
import tempfile
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

from agents.review.paths import shown, why
from schemas.review import ChangedLines, Finding

GIT_TIMEOUT_S: Final = 60.0
OUTPUT_BYTES_MAX: Final = 512_000_000
FILES_MAX: Final = 50_000
LINES_MAX: Final = 10_000_000
"""Last line of a file that is new to git, whose lines nobody has counted."""

_HUNK = re.compile(rb"@@ -\d+(?:,(?P<old>\d+))? \+(?P<start>\d+)(?:,(?P<new>\d+))? @@")
_ESCAPE = re.compile(rb"\\(?:([0-7]{3})|(.))", re.S)
_ESCAPED: Final = {b"a": b"\a", b"b": b"\b", b"t": b"\t", b"n": b"\n", b"v": b"\v", b"f": b"\f", b"r": b"\r"}

_GIT: Final = (
    "git",
    "-c", "core.quotePath=true",
    # A repository under review must not make git run programs of its own.
    "-c", "core.fsmonitor=false",
    "-c", "core.hooksPath=/dev/null",
)  # fmt: skip
DIFF: Final = (
    "diff", "--unified=0", "--inter-hunk-context=0", "--no-color", "--no-ext-diff", "--no-textconv",
    "--find-renames", "--ignore-submodules=all", "--relative", "--src-prefix=a/", "--dst-prefix=b/",
)  # fmt: skip


class DiffError(Exception):
    """Raised when git can't tell what changed. One line: what is wrong, what to do."""


class GitFailedError(DiffError):
    """Raised when git itself refuses; `reason` is the first line that it says."""

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


def changed_lines(repo: Path, base: str) -> tuple[ChangedLines, ...]:
    """The lines that differ between `base`, a commit, and the files as they are now, with files that git
    does not know yet. Deleted files and lines, binary files and mere renames change no line.

    Args:
        repo: a folder in a work tree, to which the paths are relative, or one file.

    Raises:
        DiffError: git is missing or too slow, `repo` is in no work tree, or `base` is no commit.
    """
    if not base or base.startswith("-") or not base.isprintable():
        raise DiffError(f"{shown(base)!r} is not a commit: name a branch, tag or hash")
    folder, only = (repo, "") if repo.is_dir() else (repo.parent, repo.name)
    _check_repo(folder, base)
    where = ("--", f":(literal){only}") if only else ("--",)
    with git(folder, *DIFF, base, *where) as diff:
        ranges = dict(parse_diff(diff))
    with git(folder, "ls-files", "--others", "--exclude-standard", "-z", *where) as untracked:
        for name in untracked.read().split(b"\0"):
            if name:
                ranges[path_text(name)] = ((1, LINES_MAX),)
    if len(ranges) > FILES_MAX:
        raise DiffError(f"{len(ranges):,} files changed since {base}, over the limit of {FILES_MAX:,}")
    return tuple(ChangedLines(path=path, ranges=ranges[path]) for path in sorted(ranges))


def only_changed(findings: Iterable[Finding], changed: Iterable[ChangedLines]) -> tuple[Finding, ...]:
    """The findings whose lines touch a changed line, in their order."""
    by_path: defaultdict[str, list[tuple[int, int]]] = defaultdict(list)
    for file in changed:
        by_path[file.path] += file.ranges
    apart = {path: _joined(ranges) for path, ranges in by_path.items()}
    return tuple(finding for finding in findings if _touches(finding, apart.get(finding.path, ())))


def _joined(ranges: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """The same lines as ranges in order that don't overlap."""
    joined: list[tuple[int, int]] = []
    for start, end in sorted(ranges):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return joined


def _touches(finding: Finding, ranges: Sequence[tuple[int, int]]) -> bool:
    """Whether the last range that starts by the finding's end reaches its start."""
    last = max(finding.line, finding.end_line)
    index = bisect_right(ranges, last, key=lambda lines: lines[0])
    return index > 0 and ranges[index - 1][1] >= finding.line


def parse_diff(diff: IO[bytes]) -> Iterator[tuple[str, tuple[tuple[int, int], ...]]]:
    """Path and added or changed lines of each file of a unified diff without context.

    Hunks are read by the lengths that they declare, so that no line of a file can pass for a header.

    Raises:
        DiffError: it is not what git writes.
    """
    path, ranges = "", list[tuple[int, int]]()
    while line := diff.readline():
        if line.startswith(b"diff --git "):
            if path and ranges:
                yield path, tuple(ranges)
            path, ranges = "", []
        elif line.startswith(b"+++ "):
            path = _path(line)
        elif line.startswith(b"@@ "):
            ranges += _hunk(line, diff)
    if path and ranges:
        yield path, tuple(ranges)


def _hunk(head: bytes, diff: IO[bytes]) -> list[tuple[int, int]]:
    match = _HUNK.match(head)
    if match is None:
        raise DiffError(f"git wrote a hunk that can't be read: {shown(path_text(head.strip()))}")
    start, new = int(match["start"]), int(match["new"] or 1)
    left = int(match["old"] or 1) + new
    while left and (line := diff.readline()):
        left -= not line.startswith(b"\\")  # "\ No newline at end of file" is about the line before
    return [(start, start + new - 1)] if new else []


def _path(line: bytes) -> str:
    """The path in `+++ b/…`, which git quotes like a C string if it holds anything unusual; empty for none."""
    name = line[4:].rstrip(b"\n").removesuffix(b"\t")  # git puts the tab after names with a space
    if name.startswith(b'"') and name.endswith(b'"'):
        name = _ESCAPE.sub(_unescaped, name[1:-1])
    return path_text(name[2:]) if name.startswith(b"b/") else ""


def _unescaped(match: re.Match[bytes]) -> bytes:
    octal, char = match.groups()
    return bytes([int(octal, 8) & 0xFF]) if octal else _ESCAPED.get(char, char)


def path_text(name: bytes) -> str:
    """A path as it stands elsewhere in a review. One that is not UTF-8 is not reviewed, so it may be mangled."""
    return name.decode("utf-8", "backslashreplace")


def _check_repo(folder: Path, base: str) -> None:
    try:
        with git(folder, "rev-parse", "--is-inside-work-tree") as answer:
            is_inside = answer.read().strip() == b"true"
    except GitFailedError as error:
        raise DiffError(f"{shown(folder)} can't be compared with {base}: {error.reason}") from None
    if not is_inside:
        raise DiffError(f"{shown(folder)} is no work tree of git, which a diff needs")
    try:
        with git(folder, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{base}^{{commit}}"):
            pass
    except GitFailedError:
        raise DiffError(f"{base} is not a commit in {shown(folder)}: name a branch, tag or hash") from None


@contextmanager
def git(folder: Path, *arguments: str, stdin: bytes = b"", keeps_index: bool = False) -> Generator[IO[bytes]]:
    """What a git command writes, as an open file.

    Args:
        keeps_index: read the index that GIT_INDEX_FILE names: within a hook, what is about to be committed.

    Raises:
        DiffError: git is missing, fails, writes too much or takes too long.
    """
    with tempfile.TemporaryFile() as output:
        _run(folder, arguments, output, stdin, keeps_index=keeps_index)
        if output.seek(0, os.SEEK_END) > OUTPUT_BYTES_MAX:
            raise DiffError(
                f"git {arguments[0]} wrote over {OUTPUT_BYTES_MAX:,} bytes; review a part of the folder"
            )
        output.seek(0)
        yield output


def _run(
    folder: Path, arguments: Sequence[str], output: IO[bytes], stdin: bytes, *, keeps_index: bool
) -> None:
    # A hook's or caller's GIT_DIR and the like would make git answer about another repository.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    if keeps_index and (index := os.environ.get("GIT_INDEX_FILE")):
        environment["GIT_INDEX_FILE"] = os.path.abspath(index)
    environment |= {"GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
    try:
        done = subprocess.run(
            [*_GIT, *arguments],
            cwd=folder,
            env=environment,
            input=stdin,
            stdout=output,
            stderr=subprocess.PIPE,
            timeout=GIT_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise DiffError(f"git {arguments[0]} took over {GIT_TIMEOUT_S:g} s in {shown(folder)}") from None
    except FileNotFoundError:
        if folder.is_dir():
            raise DiffError("git is not installed: install it, or review without a diff") from None
        raise DiffError(f"no such folder: {shown(folder)}; check the path") from None
    except (OSError, ValueError) as error:
        raise DiffError(f"can't run git in {shown(folder)}: {why(error)}") from None
    if done.returncode != 0:
        lines = done.stderr.decode("utf-8", "backslashreplace").strip().splitlines()
        reason = shown(lines[0].removeprefix("fatal: ")) if lines else f"exit {done.returncode}"
        raise GitFailedError(f"git {arguments[0]} failed in {shown(folder)}: {reason}", reason)
