"""Globs as git writes them, each as a regular expression that takes linear time on any path.

Written for git's own meaning, where a pattern speaks of a path itself and not of what is below it, and against
patterns made to hang a matcher (`*a*a*a*a*a*b`): what stands between two stars is matched where it first
occurs and never tried elsewhere (atomic groups), which finds a match if there is one.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

GLOB_CHARS_MAX: Final = 1_024
"""Longer than any path that is reviewed."""

_TRAILING_SPACES = re.compile(r"(?<!\\)((?:\\\\)*) +$")
_TOKEN = re.compile(r"\\.|\[(?:[!^]?+\]?+(?:\[:[a-z]+:\]|\\.|[^\]\\])*)\]|.", re.S)
_CLASS_ITEM = re.compile(r"\[:(?P<named>[a-z]+):\]|(?P<first>\\.|[^\\])(?:-(?P<last>\\.|[^\\\]]))?", re.S)
_NAMED: Final = {
    "alnum": "A-Za-z0-9",
    "alpha": "A-Za-z",
    "blank": " \\t",
    "cntrl": "\\x00-\\x1f\\x7f",
    "digit": "0-9",
    "graph": "!-~",
    "lower": "a-z",
    "print": " -~",
    "punct": "!-/:-@\\[-`{-~",
    "space": "\\s",
    "upper": "A-Z",
    "xdigit": "A-Fa-f0-9",
}


class GlobError(ValueError):
    """Raised when a text is no glob; it says why."""


@dataclass(frozen=True, slots=True)
class Glob:
    """One line of a `.gitignore`.

    Attributes:
        regex: matches the whole path, or the whole name if `is_name`.
        is_name: it holds at any depth.
        is_negated: what it matches is let in again.
        folders_only: it is about folders.
    """

    regex: re.Pattern[str]
    is_name: bool = False
    is_negated: bool = False
    folders_only: bool = False

    def matches(self, path: str, *, is_folder: bool) -> bool:
        """Whether it is about `path` itself: relative, without a slash at the end."""
        if self.folders_only and not is_folder:
            return False
        return self.regex.fullmatch(path, path.rfind("/") + 1 if self.is_name else 0) is not None


def parse_glob(line: str) -> Glob | None:
    """The glob in one line; None for an empty line or a comment.

    Raises:
        GlobError: it can't match anything, as it is too long, ends in a backslash, or has an open bracket.
    """
    text = _TRAILING_SPACES.sub(r"\1", line)
    if not text or text.startswith("#"):
        return None
    if len(text) > GLOB_CHARS_MAX:
        raise GlobError(f"it has over {GLOB_CHARS_MAX:,} characters")
    is_negated = text.startswith("!")
    text = text.removeprefix("!")
    folders_only = text.endswith("/")
    text = text.removesuffix("/")
    if not text:
        raise GlobError("it names nothing")
    is_name = "/" not in text
    parts = _split(_TOKEN.findall(text.removeprefix("/")), "/")
    pattern = _segment(parts[0]) if is_name else _path(parts)
    return Glob(re.compile(pattern, re.S), is_name, is_negated, folders_only)


def parse_globs(lines: Iterable[str]) -> Iterator[Glob]:
    """The globs in the lines of a `.gitignore`. Lines that are none are skipped, as git does."""
    for line in lines:
        try:
            glob = parse_glob(line)
        except GlobError:
            continue
        if glob is not None:
            yield glob


def verdict(globs: Sequence[Glob], path: str, *, is_folder: bool) -> bool | None:
    """Whether the last glob that matches takes `path` (True) or lets it in again; None if none matches."""
    for glob in reversed(globs):
        if glob.matches(path, is_folder=is_folder):
            return not glob.is_negated
    return None


def covers(globs: Sequence[Glob], path: str) -> bool:
    """Whether a file, or the nearest folder above it of which a glob speaks, is taken by the globs."""
    taken = verdict(globs, path, is_folder=False)
    while taken is None and "/" in path:
        path = path.rpartition("/")[0]
        taken = verdict(globs, path, is_folder=True)
    return taken is True


def _path(parts: Sequence[Sequence[str]]) -> str:
    """A pattern with slashes. Each run of parts between two `**` is matched at the first folder where it fits."""
    if [] in parts:
        raise GlobError("it has two slashes in a row")
    runs: list[list[str]] = [[]]
    for part in parts:
        if len(part) > 1 and set(part) == {"*"}:
            runs.append([])
        else:
            runs[-1].append(_segment(part))
    head, *others = ["/".join(run) for run in runs]
    if not others:
        return head
    *middle, last = others
    pattern = f"{head}/" if head else ""
    pattern += "".join(f"(?>(?:[^/]+/)*?{run}/)" for run in middle if run)
    return pattern + (f"(?:[^/]+/)*?{last}" if last else "[^/].*")


def _segment(tokens: Sequence[str]) -> str:
    """One part of a path, in which stars stand for anything but a slash."""
    first, *others = ["".join(map(_token, piece)) for piece in _split(tokens, "*")]
    if not others:
        return first
    *middle, last = others
    return first + "".join(f"(?>[^/]*?{piece})" for piece in middle if piece) + f"[^/]*{last}"


def _split(tokens: Iterable[str], separator: str) -> list[list[str]]:
    pieces: list[list[str]] = [[]]
    for token in tokens:
        if token == separator:
            pieces.append([])
        else:
            pieces[-1].append(token)
    return pieces


def _token(token: str) -> str:
    if token == "?":
        return "[^/]"
    if token == "[" or token == "\\":
        raise GlobError("it has an open bracket" if token == "[" else "it ends in a backslash")
    if token.startswith("["):
        return _class(token[1:-1])
    return re.escape(token.removeprefix("\\") if len(token) > 1 else token)


def _class(text: str) -> str:
    """A class in brackets, which never matches a slash."""
    is_negated = text[:1] in ("!", "^")
    items = []
    for item in _CLASS_ITEM.finditer(text[is_negated:]):
        if item["named"]:
            items.append(_NAMED.get(item["named"], ""))
            continue
        first, last = item["first"][-1], (item["last"] or item["first"])[-1]
        last = max(first, last)  # of a range the other way round, git takes the first character
        items.append(f"{re.escape(first)}-{re.escape(last)}")
    inside = "".join(items)
    if not inside:
        return "[^/]" if is_negated else "(?!)"
    return f"(?!/)[{'^' if is_negated else ''}{inside}]"
