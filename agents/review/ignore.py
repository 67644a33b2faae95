"""What git would ignore: the rules of `.gitignore` files, nested ones too, and of `.git/info/exclude`."""

import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from pathspec import GitIgnoreSpec
from pathspec.patterns.gitignore import GitIgnorePatternError

RULES_BYTES_MAX: Final = 1_000_000
"""Of one `.gitignore`; what follows is not read."""
ENCLOSING_FOLDERS_MAX: Final = 64
"""How far up the repository that holds the reviewed folder is looked for."""


@dataclass(frozen=True, slots=True)
class IgnoreRules:
    """Rules that hold for one folder, outermost first. A deeper `.gitignore` wins over those above it.

    Each layer is (text put before a path, characters cut from its front, rules): the rules of a file speak of
    paths relative to that file, our paths are relative to the reviewed folder.
    """

    layers: tuple[tuple[str, int, GitIgnoreSpec], ...] = ()

    def within(self, prefix: str, text: str) -> Self:
        """The rules for the folder `prefix` (empty or ending in a slash), whose `.gitignore` holds `text`."""
        spec = rules(text)
        return type(self)((*self.layers, ("", len(prefix), spec))) if len(spec) else self

    def ignores(self, path: str, *, is_folder: bool) -> bool:
        """Whether git would leave out `path`, given that it does not leave out the folder that holds it."""
        for before, cut, spec in reversed(self.layers):
            verdict = spec.check_file(before + path[cut:] + ("/" if is_folder else "")).include
            if verdict is not None:
                return verdict
        return False


def rules(text: str) -> GitIgnoreSpec:
    """The rules of a `.gitignore`. Lines that are no pattern are skipped, as git does."""
    try:
        return GitIgnoreSpec.from_lines(text.splitlines())
    except (GitIgnorePatternError, re.error):
        return GitIgnoreSpec.from_lines(line for line in text.splitlines() if is_pattern(line))


def is_pattern(line: str) -> bool:
    """Whether `line` can be read as a pattern of git."""
    try:
        GitIgnoreSpec.from_lines([line])
    except (GitIgnorePatternError, re.error):
        return False
    return True


def rules_around(root: Path) -> IgnoreRules:
    """The rules of the repository that holds `root`, as far as they come from above `root` and from its
    `.git/info/exclude`; none if there is no repository, or if it ignores `root` itself, which somebody then
    asked for by name.
    """
    folders = [root, *root.parents][:ENCLOSING_FOLDERS_MAX]
    top = next((folder for folder in folders if (folder / ".git").exists()), None)
    if top is None:
        return IgnoreRules()
    layers: list[tuple[str, int, GitIgnoreSpec]] = []
    above = [folder for folder in reversed(folders) if folder != root and folder.is_relative_to(top)]
    for folder, file in [
        (top, top / ".git" / "info" / "exclude"),
        *((each, each / ".gitignore") for each in above),
    ]:
        spec = rules(read_rules(file))
        inner = root.relative_to(folder).as_posix()
        if len(spec):
            layers.append(("" if inner == "." else f"{inner}/", 0, spec))
    outer = IgnoreRules(tuple(layers))
    is_named = any(before and spec.match_file(before) for before, _, spec in layers)
    return IgnoreRules() if is_named else outer


def read_rules(file: str | Path, *, dir_fd: int | None = None) -> str:
    """The text of a rules file; empty if it is missing, not readable or, as for git, not a regular file."""
    try:
        fd = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=dir_fd)
    except OSError:
        return ""
    with os.fdopen(fd, "rb") as opened:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            return ""
        try:
            return opened.read(RULES_BYTES_MAX).decode("utf-8", "surrogateescape")
        except OSError:
            return ""
