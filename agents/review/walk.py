"""Walking a folder for an intake: what is there, what is left out, what is read.

Symlinks are never followed and every folder is opened relative to the one that holds it, so that nothing
outside the reviewed folder is read, even if somebody swaps folders for links meanwhile.
"""

import os
import stat
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from agents.review.gathering import Gathering, IntakeLimits, LeftOutError, check_size
from agents.review.globs import Glob, covers, verdict
from agents.review.ignore import RULES_MAX, IgnoreRules, read_rules
from agents.review.paths import UnsafePathError, check_path, shown, why

ENTRIES_MAX: Final = 1_000_000
"""Names looked at in one review; those below an ignored folder don't count."""
DEPTH_MAX: Final = 100
RULES_READ_MAX: Final = 20_000
"""Rules of all `.gitignore` files in one review; further files are not applied, and named."""

VCS_NAMES: Final = frozenset({".git", ".hg", ".svn", ".bzr", ".jj", "CVS"})
DEPENDENCY_FOLDERS: Final = frozenset(
    {
        "node_modules",
        "bower_components",
        "jspm_packages",
        "site-packages",
        "__pypackages__",
        ".venv",
        ".virtualenv",
        ".eggs",
        ".tox",
        ".nox",
        "__pycache__",
        ".mypy_cache",
        ".pytest_cache",
        ".ruff_cache",
        ".hypothesis",
        ".ipynb_checkpoints",
        ".yarn",
        ".pnpm-store",
        ".next",
        ".nuxt",
        ".svelte-kit",
        ".angular",
        ".parcel-cache",
        ".turbo",
        ".cache",
        ".gradle",
        ".terraform",
        ".dart_tool",
        ".pub-cache",
        ".build",
        "DerivedData",
        "Pods",
        "Carthage",
    }
)
"""Never anybody's own code. Names that are sometimes code, such as `build`, are left to `.gitignore`."""
VIRTUALENV_MARK: Final = "pyvenv.cfg"

KINDS: Final = (
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISDIR, "a folder"),
)


@dataclass(slots=True, kw_only=True)
class Walk:
    """One walk below `root`, an absolute path without symlinks."""

    root: Path
    gathering: Gathering
    include: Sequence[Glob]
    exclude: Sequence[Glob]
    entries: int = 0
    rules: int = 0

    def folder(self, folder_fd: int, prefix: str, rules: IgnoreRules, depth: int = 0) -> None:
        """Read what is below an open folder, whose path is `prefix`: empty, or ending in a slash."""
        entries = self._list(folder_fd)
        names = {entry.name for entry in entries}
        if depth and VIRTUALENV_MARK in names:
            self.gathering.ignored += 1
            return
        if ".gitignore" in names:
            rules = self._within(folder_fd, prefix, rules)
        for entry in entries:
            path = prefix + entry.name
            try:
                self._visit(folder_fd, entry, path, rules, depth)
            except (LeftOutError, UnsafePathError) as reason:
                self.gathering.leave_out(path, str(reason))
            except OSError as error:
                self.gathering.leave_out(path, why(error))

    def _list(self, folder_fd: int) -> list[os.DirEntry[str]]:
        found: list[os.DirEntry[str]] = []
        with os.scandir(folder_fd) as entries:
            for entry in entries:
                self.entries += 1
                if self.entries > ENTRIES_MAX:
                    raise LeftOutError(
                        f"the walk ended here, after {ENTRIES_MAX:,} names; review a part of it"
                    )
                found.append(entry)
        return sorted(found, key=lambda entry: entry.name)

    def _within(self, folder_fd: int, prefix: str, outer: IgnoreRules) -> IgnoreRules:
        if self.rules >= RULES_READ_MAX or outer.count >= RULES_MAX:
            self.gathering.leave_out(
                f"{prefix}.gitignore", "not applied: there are too many rules to ignore files"
            )
            return outer
        inner = outer.within(prefix, read_rules(".gitignore", dir_fd=folder_fd))
        self.rules += inner.count - outer.count
        return inner

    def _visit(
        self, folder_fd: int, entry: os.DirEntry[str], path: str, rules: IgnoreRules, depth: int
    ) -> None:
        is_folder = entry.is_dir(follow_symlinks=False)
        if entry.name in VCS_NAMES:
            return
        if (is_folder and entry.name in DEPENDENCY_FOLDERS) or rules.ignores(path, is_folder=is_folder):
            self.gathering.ignored += 1
        elif verdict(self.exclude, path, is_folder=is_folder):
            self.gathering.excluded += 1
        elif is_folder:
            self._enter(folder_fd, entry.name, path, rules, depth)
        elif entry.is_symlink():
            self._check_link(self.root / path)
        elif self.include and not covers(self.include, path):
            self.gathering.excluded += 1
        elif not entry.is_file(follow_symlinks=False):
            raise LeftOutError(f"{kind_of_mode(entry.stat(follow_symlinks=False).st_mode)}, not a file")
        else:
            read_into(self.gathering, folder_fd, entry.name, path)

    def _enter(self, folder_fd: int, name: str, path: str, rules: IgnoreRules, depth: int) -> None:
        check_path(path)
        if depth >= DEPTH_MAX:
            raise LeftOutError(f"folders are nested over {DEPTH_MAX} deep")
        with opened_folder(name, dir_fd=folder_fd) as inner_fd:
            self.folder(inner_fd, f"{path}/", rules, depth + 1)

    def _check_link(self, link: Path) -> None:
        """A link that stays inside needs no word: what it leads to is reviewed anyway."""
        try:
            target = Path(os.path.realpath(link, strict=True))
        except FileNotFoundError:
            raise LeftOutError("a symlink to something that does not exist") from None
        if not target.is_relative_to(self.root):
            raise LeftOutError(f"a symlink that leads out of the reviewed folder, to {shown(target)}")
        if link.is_relative_to(target):
            raise LeftOutError("a symlink loop: it leads to a folder that holds it")


def read_into(gathering: Gathering, folder_fd: int, name: str, path: str) -> None:
    """Read the file `name` of an open folder, if it is of a kind that is reviewed.

    Raises:
        LeftOutError: it can't be reviewed; the text says why.
        UnsafePathError: neither can its path.
        OSError: it can't be read.
    """
    if gathering.wants(path):
        check_path(path)
        gathering.add(path, read_file(folder_fd, name, gathering.limits))


def read_file(folder_fd: int, name: str, limits: IntakeLimits) -> bytes:
    """The bytes of a regular file. Neither a symlink nor a pipe put in its place can lead or hold us up.

    Raises:
        LeftOutError: it is over the limit, and was not read, or is no regular file.
        OSError: it can't be opened or read.
    """
    fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder_fd)
    with os.fdopen(fd, "rb") as file:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            raise LeftOutError(f"{kind_of_mode(status.st_mode)}, not a file")
        check_size(status.st_size, limits)
        data = file.read(limits.file_bytes_max + 1)
    check_size(len(data), limits)  # it may have grown meanwhile
    return data


def kind_of_mode(mode: int) -> str:
    """What something that is no regular file is, in words."""
    return next((name for is_kind, name in KINDS if is_kind(mode)), "a special file")


@contextmanager
def opened_folder(path: str | Path, *, dir_fd: int | None = None) -> Generator[int]:
    """The descriptor of a folder, which must not be a symlink, for as long as the context lasts.

    Raises:
        OSError: it can't be opened.
    """
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=dir_fd)
    try:
        yield fd
    finally:
        os.close(fd)
