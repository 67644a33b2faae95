"""Units: the pieces of code that a model is shown at once: a file, a part of a long one, or some short neighbours.

Long files are cut between top-level definitions, so that no function is torn where that can be avoided.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from agents.review.languages import CODE, language_of
from schemas.review import CodePart

UNIT_CHARS_MAX: Final = 24_000
"""Some 7,000 tokens: what models of medium size still read with care. Models of small context get less."""
UNIT_CHARS_MIN: Final = 3_000
UNIT_LINES_MAX: Final = 600
SMALL_LINES: Final = 40
"""Files below this are shown together with their neighbours."""
GROUP_LINES_MAX: Final = 200
LINE_SHOWN_CHARS_MAX: Final = 400
"""Longer lines are cut for the model: they are data or minified."""

_TOP_LEVEL = re.compile(
    r"(?:@|async\s+def|def|class|function|export|func|public|private|internal|struct|enum|extension|const\s+\w+\s*="
    r"|interface|type|abstract|mixin|void|Widget|<template|<script|<style)\b"
)


@dataclass(frozen=True, slots=True)
class Unit:
    """Parts that are shown together; of one bundle, whose place in the review's bundles is `bundle`."""

    bundle: int
    parts: tuple[CodePart, ...]

    @property
    def paths(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(part.path for part in self.parts))

    @property
    def lines(self) -> int:
        return sum(part.last - part.first + 1 for part in self.parts)


def units_of(bundle: int, sources: Mapping[str, str], chars_max: int = UNIT_CHARS_MAX) -> list[Unit]:
    """The units of one bundle's programs, by path. Files that are empty or no program have none."""
    units: list[Unit] = []
    small: list[CodePart] = []
    for path in sorted(sources):
        text = sources[path]
        if language_of(path) not in CODE or not text.strip():
            continue
        parts = split(path, text, chars_max)
        if len(parts) > 1 or parts[0].last >= SMALL_LINES:
            units += [Unit(bundle, (part,)) for part in parts]
        else:
            small += parts
    return units + [Unit(bundle, tuple(group)) for group in _groups(small)]


def split(path: str, text: str, chars_max: int = UNIT_CHARS_MAX) -> list[CodePart]:
    """The parts of one file, each within `chars_max` and `UNIT_LINES_MAX`."""
    lines = text.splitlines()
    sizes = [min(len(line), LINE_SHOWN_CHARS_MAX) + 1 for line in lines]
    parts: list[CodePart] = []
    first, size, cut = 0, 0, 0
    for number, line in enumerate(lines):
        if number > first and _TOP_LEVEL.match(line) and not _is_decorated(lines, number):
            cut = number
        if size + sizes[number] > chars_max or number - first >= UNIT_LINES_MAX:
            end = cut if cut > first else number
            parts.append(CodePart(path=path, first=first + 1, last=end))
            first, size = end, sum(sizes[end:number])
        size += sizes[number]
    parts.append(CodePart(path=path, first=first + 1, last=max(len(lines), 1)))
    return parts


def shown(parts: Iterable[CodePart], sources: Mapping[str, str]) -> str:
    """The code as a model sees it: each part under its path, with line numbers."""
    blocks = []
    for part in parts:
        lines = sources.get(part.path, "").splitlines()[part.first - 1 : part.last]
        numbered = (f"{part.first + n}| {line[:LINE_SHOWN_CHARS_MAX]}" for n, line in enumerate(lines))
        blocks.append("\n".join((f"=== {part.path} (lines {part.first}-{part.last})", *numbered)))
    return "\n\n".join(blocks)


def _is_decorated(lines: Sequence[str], number: int) -> bool:
    """Whether the line before belongs to this one."""
    return lines[number - 1].startswith("@")


def _groups(parts: Sequence[CodePart]) -> list[list[CodePart]]:
    """Neighbours of one folder together, while they stay short."""
    groups: list[list[CodePart]] = []
    lines = 0
    for part in parts:
        folder = part.path.rpartition("/")[0]
        joins = groups and groups[-1][-1].path.rpartition("/")[0] == folder
        if joins and lines + part.last <= GROUP_LINES_MAX:
            groups[-1].append(part)
            lines += part.last
        else:
            groups.append([part])
            lines = part.last
    return groups
