"""What is staged: the content of git's index, which the next commit will hold, and which of its lines are new.

Only the files that are staged are read, so that it is quick in a repository of any size; what follows from files that
are not is for a review of the whole.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from agents.review.diff import (
    DIFF,
    OUTPUT_BYTES_MAX,
    DiffError,
    GitFailedError,
    git,
    parse_diff,
    path_text,
)
from agents.review.languages import language_of
from agents.review.paths import UnsafePathError, check_path, shown, why
from schemas.review import ChangedLines

FILES_MAX: Final = 5_000
FILE_MODES: Final = (b"100644", b"100755")
"""Of files; the index holds links and submodules too."""


def staged_lines(path: Path) -> tuple[ChangedLines, ...]:
    """The lines that the next commit adds or changes, below a folder or in one file.

    Raises:
        DiffError: git is missing or too slow, `path` is in no work tree, or too much is staged.
    """
    folder, where = _where(path)
    try:
        # Without a commit to compare with, git compares with HEAD, and before the first commit with nothing.
        with git(folder, *DIFF, "--cached", *where, keeps_index=True) as diff:
            ranges = dict(parse_diff(diff))
    except GitFailedError as error:
        raise DiffError(f"what is staged can't be told: {error.reason}") from None
    if len(ranges) > FILES_MAX:
        raise DiffError(
            f"{len(ranges):,} files are staged, over the limit of {FILES_MAX:,}: review without --staged"
        )
    return tuple(ChangedLines(path=name, ranges=ranges[name]) for name in sorted(ranges))


def write_staged(path: Path, names: Sequence[str], target: Path, *, file_bytes_max: int) -> int:
    """Write the staged content of `names`, as `staged_lines(path)` gives them, below the folder `target`.

    Links, submodules and files of kinds that no review reads are left out. Blobs are read as they are stored: no
    filter of the repository runs. In the place of one over `file_bytes_max` stands an empty file of its size, which
    says the same to an intake. Returns how many files were written.

    Raises:
        DiffError: git can't tell them, they are too much, or they can't be written.
    """
    folder, where = _where(path)
    blobs = _blobs(folder, where, names)
    sizes = _sizes(folder, blobs)
    small = {name: blob for name, blob in blobs.items() if sizes[name] <= file_bytes_max}
    if (total := sum(sizes[name] for name in small)) > OUTPUT_BYTES_MAX:
        raise DiffError(f"{total:,} bytes are staged, over the limit of {OUTPUT_BYTES_MAX:,}")
    try:
        for name, size in sizes.items():
            if name not in small:
                with _made(target, name).open("wb") as file:
                    file.truncate(size)
        with git(folder, "cat-file", "--batch", stdin=_asked(small)) as answers:
            for name in small:
                answers.readline()
                _made(target, name).write_bytes(answers.read(sizes[name]))
                answers.read(1)
    except OSError as error:
        raise DiffError(f"what is staged can't be written below {shown(target)}: {why(error)}") from None
    return len(blobs)


def _where(path: Path) -> tuple[Path, tuple[str, ...]]:
    """The folder that git runs in, and the arguments that name one file in it."""
    return (path, ("--",)) if path.is_dir() else (path.parent, ("--", f":(literal){path.name}"))


def _blobs(folder: Path, where: Sequence[str], names: Sequence[str]) -> dict[str, bytes]:
    """The object of each of the files that can be reviewed."""
    wanted = {name for name in names if language_of(name) and _is_safe(name)}
    if not wanted:
        return {}
    with git(folder, "ls-files", "--stage", "-z", *where, keeps_index=True) as listed:
        rows = [row.partition(b"\t") for row in listed.read().split(b"\0") if row]
    blobs = {}
    for facts, _, name in rows:
        mode, blob, _stage = facts.split(b" ")
        if mode in FILE_MODES and (text := path_text(name)) in wanted:
            blobs[text] = blob
    return blobs


def _sizes(folder: Path, blobs: Mapping[str, bytes]) -> dict[str, int]:
    """Bytes of each, known before any is read."""
    if not blobs:
        return {}
    with git(folder, "cat-file", "--batch-check", stdin=_asked(blobs)) as answers:
        heads = [line.split(b" ") for line in answers.read().splitlines()]
    sizes = {}
    for name, head in zip(blobs, heads, strict=False):
        if len(head) != 3:
            raise DiffError(f"git has no content for {shown(name)}: run `git fsck`")
        sizes[name] = int(head[2])
    if len(sizes) < len(blobs):
        raise DiffError("git does not tell all that is staged: run `git fsck`")
    return sizes


def _asked(blobs: Mapping[str, bytes]) -> bytes:
    return b"".join(blob + b"\n" for blob in blobs.values())


def _made(target: Path, name: str) -> Path:
    file = target / name
    file.parent.mkdir(parents=True, exist_ok=True)
    return file


def _is_safe(name: str) -> bool:
    try:
        check_path(name)
    except UnsafePathError:
        return False
    return True
