"""What is staged: the content of git's index, which the next commit will hold, and which of its lines are new."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from agents.review.diff import DIFF, DiffError, GitFailedError, git, parse_diff, path_text
from agents.review.paths import UnsafePathError, check_path
from schemas.review import ChangedLines

EMPTY_TREE: Final = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
"""What a first commit is compared with."""
FILES_MAX: Final = 5_000
LINK_MODE: Final = b"120000"
SUBMODULE_MODE: Final = b"160000"


def staged_lines(folder: Path) -> tuple[ChangedLines, ...]:
    """The lines below `folder` that the next commit adds or changes.

    Raises:
        DiffError: git is missing or too slow, `folder` is in no work tree, or too much is staged.
    """
    try:
        with git(folder, "rev-parse", "--verify", "--quiet", "HEAD"):
            base = "HEAD"
    except GitFailedError:
        base = EMPTY_TREE
    try:
        with git(folder, *DIFF, "--cached", base, "--", keeps_index=True) as diff:
            ranges = dict(parse_diff(diff))
    except GitFailedError as error:
        raise DiffError(f"what is staged can't be told: {error.reason}") from None
    if len(ranges) > FILES_MAX:
        raise DiffError(f"{len(ranges):,} files are staged, over the limit of {FILES_MAX:,}")
    return tuple(ChangedLines(path=path, ranges=ranges[path]) for path in sorted(ranges))


def write_staged(folder: Path, paths: Sequence[str], target: Path) -> int:
    """Write the staged content of `paths` (relative to `folder`) below `target`; links and submodules are left out.

    Blobs are read as they are stored: no filter of the repository runs. Returns how many files were written.

    Raises:
        DiffError: git can't tell them.
    """
    if not paths:
        return 0
    with git(folder, "ls-files", "--stage", "-z", "--", keeps_index=True) as listed:
        rows = [row.partition(b"\t") for row in listed.read().split(b"\0") if row]
    wanted = frozenset(paths)
    blobs = {}
    for facts, _, name in rows:
        mode, blob, _stage = facts.split(b" ")
        if (path := path_text(name)) in wanted and mode not in (LINK_MODE, SUBMODULE_MODE):
            blobs[path] = blob
    asked = b"".join(blob + b"\n" for blob in blobs.values())
    written = 0
    with git(folder, "cat-file", "--batch", stdin=asked) as answers:
        for path in blobs:
            head = answers.readline().split(b" ")
            if len(head) != 3:
                raise DiffError(f"git has no content for {path}")
            data = answers.read(int(head[2]))
            answers.read(1)
            written += _write(target, path, data)
    return written


def _write(target: Path, path: str, data: bytes) -> bool:
    try:
        check_path(path)
    except UnsafePathError:
        return False
    file = target / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data)
    return True
