"""Intake: the files of a folder that a review reads, and an account of those that it does not.

Symlinks are never followed and every folder is opened relative to the one that holds it, so that nothing
outside the reviewed folder is read, even if the tree changes meanwhile. Left out without a word for each are
only what git ignores, what belongs to others (dependencies, build output) and kinds of files that no analyser
reads; these are counted. Every other file that is not reviewed is named with its reason.
"""

import os
import stat
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Final

from pathspec import GitIgnoreSpec

from agents.review.ignore import IgnoreRules, is_pattern, read_rules, rules_around
from agents.review.languages import language_of
from schemas.review import NotReviewed, SourceFile

ENTRIES_MAX: Final = 1_000_000
"""Names looked at in one folder tree, ignored ones not counted below their folder."""
DEPTH_MAX: Final = 100
PATH_BYTES_MAX: Final = 1_024
NAME_BYTES_MAX: Final = 255
NAMED_MAX: Final = 300
"""Files named in `not_reviewed`; of further ones only the number is told."""
KINDS_SHOWN_MAX: Final = 8
"""Kinds of files listed in the line about files that no analyser reads."""

VCS_FOLDERS: Final = frozenset({".git", ".hg", ".svn", ".bzr", ".jj", "CVS"})
DEPENDENCY_FOLDERS: Final = frozenset(
    [
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
    ]
)
"""Never anybody's own code. Names that are sometimes code, such as `build`, are left to `.gitignore`."""
VIRTUALENV_MARK: Final = "pyvenv.cfg"


class IntakeError(Exception):
    """Raised when what should be reviewed can't be read at all. One line: what is wrong, what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IntakeLimits:
    """Limits of one review. A larger file is left out unread; over the totals, further files are."""

    file_bytes_max: int = 2_000_000
    files_max: int = 50_000
    total_bytes_max: int = 256_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
    """A file to review. `path` is relative, with forward slashes; `data` is valid UTF-8 without NUL."""

    path: str
    data: bytes
    lines: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Intake:
    """Files in order of their paths, and what was left out."""

    files: tuple[Collected, ...]
    not_reviewed: tuple[NotReviewed, ...]


class _LeftOutError(Exception):
    """Raised inside the intake when a file is not reviewed; its text is the reason."""


def collect(
    root: Path,
    *,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    limits: IntakeLimits = IntakeLimits(),
) -> Intake:
    """Read the reviewable files of a folder, or the one file that `root` is.

    Args:
        include: globs as in `.gitignore`, relative to `root`; when given, only what they match is read.
        exclude: globs of what is left out.

    Raises:
        IntakeError: there is nothing to read at `root`, or a glob can't be understood.
    """
    for glob in (*include, *exclude):
        if not is_pattern(glob):
            raise IntakeError(f"{shown(glob)} is not a glob: write it as in .gitignore, such as src/**/*.py")
    try:
        real = Path(os.path.realpath(root, strict=True))
        mode = os.stat(real).st_mode
        intake = _Intake(limits=limits, root=real, include=_globs(include), exclude=_globs(exclude))
        if stat.S_ISREG(mode):
            with _opened_folder(real.parent) as folder_fd:
                intake.take(folder_fd, real.name, Path(root).name or real.name)
        elif stat.S_ISDIR(mode):
            with _opened_folder(real) as folder_fd:
                intake.walk(folder_fd, "", rules_around(real))
        else:
            raise IntakeError(f"{shown(root)} is neither a file nor a folder: name one of them")
    except (OSError, ValueError) as error:
        raise IntakeError(f"can't read {shown(root)}: {_why(error)}; check the path") from None
    return intake.finish()


def collect_sent(files: Iterable[SourceFile], *, limits: IntakeLimits = IntakeLimits()) -> Intake:
    """The same for files that came along with a request: paths and texts are not trusted."""
    intake = _Intake(limits=limits, root=Path("/"))
    taken: set[str] = set()
    for file in sorted(files, key=lambda each: each.path):
        try:
            check_path(file.path)
            if file.path in taken:
                raise _LeftOutError("sent twice; the first one was taken")
            intake.add(file.path, _encoded(file.text, limits))
            taken.add(file.path)
        except (_LeftOutError, ValueError) as reason:
            intake.leave_out(file.path, str(reason))
    return intake.finish()


def check_path(path: str) -> None:
    """Whether `path` may name a file below a folder of ours.

    Raises:
        ValueError: it is absolute, leads upwards, or is too long; the text says which.
    """
    try:
        size = len(path.encode())
    except UnicodeEncodeError:
        raise ValueError("the name is not UTF-8; rename it") from None
    if not path or "\0" in path:
        raise ValueError("the path is empty or holds a NUL")
    if size > PATH_BYTES_MAX:
        raise ValueError(f"the path has {size:,} bytes, over the limit of {PATH_BYTES_MAX:,}")
    for part in path.split("/"):
        if part in ("", ".", ".."):
            raise ValueError("the path must be relative, without empty parts, . and ..")
        if len(part.encode()) > NAME_BYTES_MAX:
            raise ValueError(f"a name in the path has over {NAME_BYTES_MAX} bytes")


def shown(path: str | Path) -> str:
    """A path as it may stand in a message: one line, valid UTF-8, not endless."""
    text = os.fsencode(path).decode("utf-8", "backslashreplace")
    text = "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)
    return text if len(text) <= PATH_BYTES_MAX else f"{text[: PATH_BYTES_MAX // 2]}…"


@dataclass(slots=True, kw_only=True)
class _Intake:
    """What was gathered so far, and the rules by which it is gathered."""

    limits: IntakeLimits
    root: Path
    include: GitIgnoreSpec | None = None
    exclude: GitIgnoreSpec | None = None
    files: list[Collected] = field(default_factory=list)
    total_bytes: int = 0
    named: list[NotReviewed] = field(default_factory=list)
    named_more: int = 0
    entries: int = 0
    ignored: int = 0
    excluded: int = 0
    over: int = 0
    kinds: Counter[str] = field(default_factory=Counter)

    def walk(self, folder_fd: int, prefix: str, rules: IgnoreRules, depth: int = 0) -> None:
        """Read what is below an open folder, whose path is `prefix`: empty or ending in a slash."""
        entries = self._entries(folder_fd, prefix)
        if any(entry.name == ".gitignore" for entry in entries):
            rules = rules.within(prefix, read_rules(".gitignore", dir_fd=folder_fd))
        if depth and any(entry.name == VIRTUALENV_MARK for entry in entries):
            self.ignored += 1
            return
        for entry in entries:
            path = prefix + entry.name
            try:
                self._visit(folder_fd, entry, path, rules, depth)
            except _LeftOutError as reason:
                self.leave_out(path, str(reason))
            except OSError as error:
                self.leave_out(path, _why(error))

    def _entries(self, folder_fd: int, prefix: str) -> list[os.DirEntry[str]]:
        found: list[os.DirEntry[str]] = []
        with os.scandir(folder_fd) as entries:
            for entry in entries:
                self.entries += 1
                if self.entries > ENTRIES_MAX:
                    self.leave_out(
                        prefix or ".", f"the folder holds over {ENTRIES_MAX:,} files; review a part of it"
                    )
                    break
                found.append(entry)
        return sorted(found, key=lambda entry: entry.name)

    def _visit(
        self, folder_fd: int, entry: os.DirEntry[str], path: str, rules: IgnoreRules, depth: int
    ) -> None:
        is_folder = entry.is_dir(follow_symlinks=False)
        if entry.name in VCS_FOLDERS:
            return
        if (is_folder and entry.name in DEPENDENCY_FOLDERS) or rules.ignores(path, is_folder=is_folder):
            self.ignored += 1
        elif self.exclude is not None and self.exclude.match_file(path + "/" * is_folder):
            self.excluded += 1
        elif is_folder:
            self._enter(folder_fd, entry.name, path, rules, depth)
        elif entry.is_symlink():
            self._link(path)
        elif self.include is not None and not self.include.match_file(path):
            self.excluded += 1
        elif not entry.is_file(follow_symlinks=False):
            raise _LeftOutError(f"{_kind(entry.stat(follow_symlinks=False).st_mode)}, not a file")
        else:
            self.take(folder_fd, entry.name, path)

    def _enter(self, folder_fd: int, name: str, path: str, rules: IgnoreRules, depth: int) -> None:
        if depth >= DEPTH_MAX:
            raise _LeftOutError(f"folders are nested over {DEPTH_MAX} deep")
        try:
            check_path(path)
        except ValueError as error:
            raise _LeftOutError(str(error)) from None
        with _opened_folder(name, dir_fd=folder_fd) as inner_fd:
            self.walk(inner_fd, f"{path}/", rules, depth + 1)

    def _link(self, path: str) -> None:
        """Symlinks are not followed. One that stays inside needs no word: its target is reviewed anyway."""
        link = self.root / path
        try:
            target = Path(os.path.realpath(link, strict=True))
        except FileNotFoundError:
            raise _LeftOutError("a symlink to something that does not exist") from None
        if not target.is_relative_to(self.root):
            raise _LeftOutError(f"a symlink that leads out of the reviewed folder, to {shown(target)}")
        if link.is_relative_to(target):
            raise _LeftOutError("a symlink loop: it leads to a folder that holds it")

    def take(self, folder_fd: int, name: str, path: str) -> None:
        """Read one file, or tell why not."""
        if not language_of(name):
            self.kinds[_kind_of_name(name)] += 1
            return
        try:
            check_path(path)
            if self._is_full(0):
                self.over += 1
                return
            self.add(path, _read(folder_fd, name, self.limits))
        except (_LeftOutError, ValueError) as reason:
            self.leave_out(path, str(reason))
        except OSError as error:
            self.leave_out(path, _why(error))

    def add(self, path: str, data: bytes) -> None:
        """Take a file whose contents are known."""
        if not language_of(path):
            self.kinds[_kind_of_name(PurePosixPath(path).name)] += 1
            return
        _check_text(data)
        if self._is_full(len(data)):
            self.over += 1
            return
        self.total_bytes += len(data)
        lines = data.count(b"\n") + (not data.endswith(b"\n") and bool(data))
        self.files.append(Collected(path=path, data=data, lines=lines))

    def _is_full(self, more_bytes: int) -> bool:
        return (
            len(self.files) >= self.limits.files_max
            or self.total_bytes + more_bytes > self.limits.total_bytes_max
        )

    def leave_out(self, path: str, reason: str) -> None:
        if len(self.named) < NAMED_MAX:
            self.named.append(NotReviewed(path=shown(path), reason=reason))
        else:
            self.named_more += 1

    def finish(self) -> Intake:
        files = sorted(self.files, key=lambda file: file.path)
        return Intake(files=tuple(files), not_reviewed=(*sorted(self.named), *self._summary()))

    def _summary(self) -> Iterator[NotReviewed]:
        if self.named_more:
            reason = f"{self.named_more:,} further files were left out for reasons as above"
            yield NotReviewed(path="(more)", reason=reason)
        if self.over:
            reason = (
                f"{self.over:,} files left out: a review holds at most {self.limits.files_max:,} files and "
                f"{_megabytes(self.limits.total_bytes_max)}; review a part of the folder, or exclude some"
            )
            yield NotReviewed(path="(limit)", reason=reason)
        if self.excluded:
            reason = f"{self.excluded:,} files and folders left out by the include and exclude patterns"
            yield NotReviewed(path="(excluded)", reason=reason)
        if self.ignored:
            reason = f"{self.ignored:,} files and folders left out by .gitignore or as dependencies and build output"
            yield NotReviewed(path="(ignored)", reason=reason)
        if self.kinds:
            yield NotReviewed(path="(other files)", reason=_kinds_text(self.kinds))


class _opened_folder:
    """An open descriptor of a folder, which is not a symlink, for as long as the context lasts."""

    def __init__(self, path: str | Path, *, dir_fd: int | None = None) -> None:
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
        self.fd = os.open(path, flags, dir_fd=dir_fd)

    def __enter__(self) -> int:
        return self.fd

    def __exit__(self, *_: object) -> None:
        os.close(self.fd)
