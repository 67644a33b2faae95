"""Intake: the files that a review reads, and an account of those that it does not.

Left out without a word for each are only what git ignores, what belongs to others (dependencies, build
output) and kinds of files that no analyser reads; these are counted. Every other file that is not reviewed is
named with its reason.
"""

import os
import stat
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from agents.review.gathering import Collected, Gathering, Intake, IntakeLimits, LeftOutError, check_size
from agents.review.globs import Glob, GlobError, parse_glob
from agents.review.ignore import rules_around
from agents.review.paths import UnsafePathError, check_path, shown, why
from agents.review.walk import Walk, opened_folder, read_into
from schemas.review import SourceFile

__all__ = ["Collected", "Intake", "IntakeError", "IntakeLimits", "collect", "collect_sent"]

DEFAULT_LIMITS: Final = IntakeLimits()
GLOBS_MAX: Final = 1_000


class IntakeError(Exception):
    """Raised when what should be reviewed can't be read at all. One line: what is wrong, what to do."""


def collect(
    root: Path,
    *,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    limits: IntakeLimits = DEFAULT_LIMITS,
) -> Intake:
    """Read the reviewable files of a folder, or the one file that `root` is.

    Args:
        include: globs as in `.gitignore`, relative to `root`; when given, only what they match is read.
        exclude: globs of what is left out. A single file is read whatever the globs say.

    Raises:
        IntakeError: there is nothing to read at `root`, or a glob can't be understood.
    """
    included, excluded = _globs(include), _globs(exclude)
    gathering = Gathering(limits=limits)
    try:
        real = Path(os.path.realpath(root, strict=True))
        mode = os.stat(real).st_mode
        if stat.S_ISDIR(mode):
            walk = Walk(root=real, gathering=gathering, include=included, exclude=excluded)
            with opened_folder(real) as folder_fd:
                walk.folder(folder_fd, "", rules_around(real))
        elif stat.S_ISREG(mode):
            _collect_one(real, gathering)
        else:
            raise IntakeError(f"{shown(root)} is neither a file nor a folder: name one of these")
    except (OSError, ValueError) as error:
        raise IntakeError(f"can't read {shown(root)}: {why(error)}; check the path") from None
    except LeftOutError as error:
        raise IntakeError(f"can't read {shown(root)}: {error}") from None
    return gathering.finish()


def collect_sent(files: Iterable[SourceFile], *, limits: IntakeLimits = DEFAULT_LIMITS) -> Intake:
    """The same for files that were sent along with a request, whose paths and texts nobody has checked."""
    gathering = Gathering(limits=limits)
    taken: set[str] = set()
    for file in sorted(files, key=lambda each: each.path):
        try:
            check_path(file.path)
            if file.path in taken:
                raise LeftOutError("sent twice under this path; the first one was taken")
            if gathering.wants(file.path):
                taken.add(file.path)
                data = file.text.encode()
                check_size(len(data), limits)
                gathering.add(file.path, data)
        except (LeftOutError, UnsafePathError) as reason:
            gathering.leave_out(file.path, str(reason))
        except UnicodeEncodeError:
            gathering.leave_out(file.path, "the text holds half a surrogate pair, which is not Unicode")
    return gathering.finish()


def _collect_one(file: Path, gathering: Gathering) -> None:
    with opened_folder(file.parent) as folder_fd:
        try:
            read_into(gathering, folder_fd, file.name, file.name)
        except (LeftOutError, UnsafePathError) as reason:
            gathering.leave_out(file.name, str(reason))
        except OSError as error:
            gathering.leave_out(file.name, why(error))


def _globs(texts: Sequence[str]) -> tuple[Glob, ...]:
    if len(texts) > GLOBS_MAX:
        raise IntakeError(f"{len(texts):,} patterns are over the limit of {GLOBS_MAX:,}")
    globs = []
    for text in texts:
        try:
            glob = parse_glob(text.removeprefix("./"))
        except GlobError as error:
            raise IntakeError(
                f"{shown(text)!r} is not a pattern: {error}; write it as in .gitignore"
            ) from None
        if glob is not None:
            globs.append(glob)
    return tuple(globs)
