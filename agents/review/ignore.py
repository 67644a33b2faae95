"""What git would ignore: the rules of `.gitignore` files, nested ones too, and of `.git/info/exclude`."""

import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from pathspec import GitIgnoreSpec, RegexPattern
from pathspec.patterns.gitignore import GitIgnorePatternError

RULES_BYTES_MAX: Final = 1_000_000
"""Of one `.gitignore`; what follows is not read."""
ENCLOSING_FOLDERS_MAX: Final = 64
"""How far up the repository that holds the reviewed folder is looked for."""

_BELOW = re.compile(r"(?<=[^/])/\*\*/$")


@dataclass(frozen=True, slots=True)
class IgnoreRules:
    """Rules that hold for one folder, outermost first. A deeper `.gitignore` wins over those above it.

    Attributes:
        base: path of the reviewed folder within its repository: empty or ending in a slash.
        layers: rules, each with the length of the path, in the repository, of the folder they stand in.
    """

    base: str = ""
    layers: tuple[tuple[int, GitIgnoreSpec], ...] = ()

    def within(self, prefix: str, text: str) -> Self:
        """The rules for the folder `prefix` (empty or ending in a slash), whose `.gitignore` holds `text`."""
        spec = rules(text)
        layer = (len(self.base) + len(prefix), spec)
        return type(self)(self.base, (*self.layers, layer)) if len(spec) else self

    def ignores(self, path: str, *, is_folder: bool) -> bool:
        """Whether git would leave out `path`, given that it does not leave out the folder that holds it."""
        full = f"{self.base}{path}/" if is_folder else f"{self.base}{path}"
        for cut, spec in reversed(self.layers):
            for pattern in reversed(spec.patterns):
                if (
                    isinstance(pattern, RegexPattern)
                    and pattern.regex
                    and matches_itself(pattern.regex, full[cut:])
                ):
                    return bool(pattern.include)
        return False


def matches_itself(regex: re.Pattern[str], path: str) -> bool:
    """Whether a pattern is about `path` (folders end in a slash) and not just about a folder that holds it.

    For git, a pattern that matches a folder says nothing of what is below: a folder left out is not entered,
    one that is let in again leaves its files to their own patterns. Regexes of pathspec match both, and mark
    the slash after the folder by the group `ps_d`; those without it match whatever is below on purpose.
    """
    if "ps_d" not in regex.groupindex:
        found = regex.search(path)
        # `a/**`, whose regex is `^a/`: all that is in the folder, but not the folder.
        return found is not None and not (regex.pattern.endswith("/") and found.end() == len(path))
    if not regex.pattern.startswith("^"):  # `**/`: every folder
        return path.endswith("/")
    return regex.fullmatch(path) is not None


def rules(text: str) -> GitIgnoreSpec:
    """The rules of a `.gitignore`. Lines that are no pattern are skipped, as git does."""
    # pathspec takes `a/**/` for `a/`; for git it is every folder below.
    lines = [_BELOW.sub("/**/*/", line) for line in text.splitlines()]
    try:
        return GitIgnoreSpec.from_lines(lines)
    except (GitIgnorePatternError, re.error):
        return GitIgnoreSpec.from_lines(line for line in lines if is_pattern(line))


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
    above = [root, *root.parents][:ENCLOSING_FOLDERS_MAX]
    top = next((folder for folder in above if (folder / ".git").exists()), None)
    if top is None:
        return IgnoreRules()
    found = IgnoreRules().within("", read_rules(top / ".git" / "info" / "exclude"))
    prefix = ""
    for part in root.relative_to(top).parts:
        found = found.within(prefix, read_rules(top / prefix / ".gitignore"))
        if found.ignores(prefix + part, is_folder=True):
            return IgnoreRules()
        prefix += f"{part}/"
    return IgnoreRules(prefix, found.layers)


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
