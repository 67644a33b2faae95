"""What git would ignore: the rules of `.gitignore` files, nested ones too, and of `.git/info/exclude`."""

import os
import stat
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final, Self

from agents.review.globs import Glob, parse_globs, verdict

RULES_BYTES_MAX: Final = 1_000_000
"""Of one `.gitignore`; what follows is not read."""
RULES_MAX: Final = 2_000
"""Of all that hold for one folder; what follows is not applied."""
ENCLOSING_FOLDERS_MAX: Final = 64
"""How far up the repository that holds the reviewed folder is looked for."""
BOM: Final = "\ufeff"


@dataclass(frozen=True, slots=True)
class IgnoreRules:
    """Rules that hold for one folder, outermost first. A deeper `.gitignore` wins over those above it.

    Attributes:
        base: path of the reviewed folder within its repository: empty or ending in a slash.
        layers: rules, each with the length of the path, in the repository, of the folder they stand in.
    """

    base: str = ""
    layers: tuple[tuple[int, tuple[Glob, ...]], ...] = ()

    def within(self, prefix: str, text: str) -> Self:
        """The rules for the folder `prefix` (empty or ending in a slash), whose `.gitignore` holds `text`."""
        room = RULES_MAX - self.count
        lines = text.removeprefix(BOM).split("\n")
        globs = tuple(islice(parse_globs(line.removesuffix("\r") for line in lines), max(0, room)))
        layer = (len(self.base) + len(prefix), globs)
        return type(self)(self.base, (*self.layers, layer)) if globs else self

    @property
    def count(self) -> int:
        """Rules of all layers."""
        return sum(len(globs) for _, globs in self.layers)

    def ignores(self, path: str, *, is_folder: bool) -> bool:
        """Whether git would leave out `path`, given that it does not leave out the folder that holds it."""
        full = self.base + path
        for cut, globs in reversed(self.layers):
            ignored = verdict(globs, full[cut:], is_folder=is_folder)
            if ignored is not None:
                return ignored
        return False


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
