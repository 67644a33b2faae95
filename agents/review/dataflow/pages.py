"""Templates of pages: which of the names they are given come out unescaped.

Read with regular expressions, never rendered. Jinja and Django escape what they put in, unless it is marked `|safe`
or escaping is switched off around it.
"""

import os
import re
from functools import cached_property
from pathlib import Path
from typing import Final, NamedTuple

PAGE_BYTES_MAX: Final = 300_000
PAGES_MAX: Final = 5_000
FILES_MAX: Final = 50_000
"""Looked through for templates."""
INCLUDES_DEPTH_MAX: Final = 5
ENDINGS: Final = (
    *(".html", ".htm", ".xhtml", ".djhtml", ".xml", ".svg"),
    *(".jinja", ".jinja2", ".j2", ".tmpl", ".tpl"),
)

_TAG: Final = re.compile(
    r"\{\{-?(?P<out>[^{}]{1,300}?)-?\}\}|\{%-?\s*(?P<tag>\w+)(?P<rest>[^%]{0,300}?)-?%\}"
)
_SAFE: Final = re.compile(r"\|\s*(?:safe|safeseq)\b")
_ROOT: Final = re.compile(r"\s*([A-Za-z_]\w*)((?:\.\w+|\[['\"]?\w+['\"]?\])*)")
_LOOP: Final = re.compile(r"\s*([\w\s,]+?)\s+in\s+([A-Za-z_]\w*)")
_SET: Final = re.compile(r"\s*(\w+)\s*=\s*([A-Za-z_]\w*)")
_QUOTED: Final = re.compile(r"['\"]([^'\"]{1,200})['\"]")
_REQUEST: Final = re.compile(
    r"\s*request\.(?:args|form|values|cookies|headers|GET|POST|COOKIES|query_params)\b"
)


class Unescaped(NamedTuple):
    """A place in a template: `name` is the root of what is put in there, `parts` what of it, `shown` the expression."""

    name: str
    parts: tuple[str, ...]
    path: str
    line: int
    shown: str
    is_request: bool


class Pages:
    """The templates below a folder, listed and read when the first is asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._known: dict[str, tuple[Unescaped, ...]] = {}

    def unescaped(self, name: str) -> tuple[Unescaped, ...]:
        """Places where the template of this name, or one that it includes or extends, escapes nothing."""
        if name not in self._known:
            self._known[name] = ()
            if len(self._known) <= PAGES_MAX:
                self._known[name] = self._look(name)
        return self._known[name]

    def _look(self, name: str) -> tuple[Unescaped, ...]:
        found: dict[Unescaped, None] = {}
        names, seen = [(name, 0)], {name}
        while names:
            one, depth = names.pop()
            path = self._path(one)
            if path is None:
                continue
            text = self._read(path)
            found |= dict.fromkeys(places_in(path, text))
            for inner in _included(text) if depth < INCLUDES_DEPTH_MAX else ():
                if inner not in seen:
                    seen.add(inner)
                    names.append((inner, depth + 1))
        return tuple(found)

    def _path(self, name: str) -> str | None:
        """Of several files of this name, one in a folder `templates`, then the first."""
        candidates = self._by_last.get(name.rsplit("/", 1)[-1], ())
        fitting = [path for path in candidates if path == name or path.endswith(f"/{name}")]
        return min(fitting, key=lambda path: (f"templates/{name}" not in path, path), default=None)

    @cached_property
    def _by_last(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        count = 0
        for root, folders, names in os.walk(self.folder):
            folders.sort()
            base = Path(root).relative_to(self.folder)
            for name in sorted(names):
                if name.endswith(ENDINGS):
                    found.setdefault(name, []).append((base / name).as_posix())
            count += len(names)
            if count > FILES_MAX:
                break
        return found

    def _read(self, path: str) -> str:
        try:
            with (self.folder / path).open("rb") as file:
                return file.read(PAGE_BYTES_MAX).decode("utf-8", "replace")
        except (OSError, ValueError):
            return ""


def _included(text: str) -> list[str]:
    return [
        quoted[1]
        for match in _TAG.finditer(text)
        if match["tag"] in ("include", "extends") and (quoted := _QUOTED.search(match["rest"]))
    ]


def places_in(path: str, text: str) -> list[Unescaped]:
    """Places of one template; names that a loop or `set` gives stand for what they are of."""
    found: list[Unescaped] = []
    aliases: dict[str, str] = {}
    off = 0
    for match in _TAG.finditer(text):
        tag, rest, out = match["tag"], match["rest"] or "", match["out"]
        if tag == "autoescape":
            off += any(word in rest for word in ("false", "off"))
        elif tag == "endautoescape":
            off = max(0, off - 1)
        elif tag == "for" and (loop := _LOOP.match(rest)):
            aliases |= {one.strip(): aliases.get(loop[2], loop[2]) for one in loop[1].split(",")}
        elif tag in ("set", "with") and (given := _SET.match(rest)):
            aliases[given[1]] = aliases.get(given[2], given[2])
        elif out is not None and (off or _SAFE.search(out)) and (root := _ROOT.match(out)):
            line = text.count("\n", 0, match.start()) + 1
            parts = tuple(re.findall(r"\w+", root[2])) if root[1] not in aliases else ()
            name = aliases.get(root[1], root[1])
            is_request = _REQUEST.match(out) is not None
            found.append(Unescaped(name, parts, path, line, "{{" + out[:60].strip() + "}}", is_request))
    return found
