"""Putting untrusted text into Markdown: nothing in a file name, a title or a line of code can leave its place.

Control characters, which could drive a terminal, and marks that turn the writing direction are shown as
escapes such as `\\x1b`.
"""

import re
from typing import Final

from schemas.review import LINE_CHARS_MAX

FENCE_LINES_MAX: Final = 60
TAB: Final = "\t"

_SPAN = re.compile(r"(`[^`\n]+`)")
_SPECIAL = re.compile(
    r"""
      ^[-+>=](?=[\s=-]|$)  | ^>       # a list, a rule, a quotation
    | (?<!\S)\#                       # a heading, and its end
    | \\(?![A-Za-z0-9\s])             # an escape
    | [`~$] | \*(?!\s|$) | (?<!\s)\*  # code, deletion, formulas, emphasis
    | (?<![A-Za-z0-9])_ | _(?![A-Za-z0-9])
    | \](?=[\[(:])                    # a link, or where one leads
    | <(?=[A-Za-z/!?]) | &(?=[\#A-Za-z])
    """,
    re.X,
)
"""What Markdown could take for more than itself. Escaping no more keeps the text readable as it is."""
_NUMBERED = re.compile(r"^(\d+)([.)])(?=\s|$)")
_BACKTICKS = re.compile(r"`+")


def clean(text: str) -> str:
    """The text in one line, without anything that is not visible."""
    return "".join(char if char.isprintable() else _escape(char) for char in " ".join(text.split()))


def clean_lines(text: str) -> list[str]:
    """The lines of a text, tabs kept, without anything else that is not visible."""
    lines = text.replace("\r\n", "\n").split("\n")
    return [
        "".join(char if char.isprintable() or char == TAB else _escape(char) for char in line)
        for line in lines
    ]


def prose(text: str) -> str:
    """One line of running text. Spans in backticks stay spans; everything else means itself."""
    parts = _SPAN.split(clean(text))
    return "".join(part if _SPAN.fullmatch(part) else _escape_prose(part) for part in parts)


def span(text: str) -> str:
    """A span of code such as a path, whatever backticks it holds."""
    inner = "".join(char if char.isprintable() else _escape(char) for char in text) or " "
    ticks = "`" * (max((len(run) for run in _BACKTICKS.findall(inner)), default=0) + 1)
    pad = " " if inner.startswith("`") or inner.endswith("`") else ""
    return f"{ticks}{pad}{inner}{pad}{ticks}"


def cell(text: str) -> str:
    """Something already escaped, as the cell of a table."""
    return text.replace("\\|", "|").replace("|", "\\|")


def fence(code: str, language: str) -> list[str]:
    """Lines of a fenced block around the code, cut when it is very long or wide."""
    lines = [line.rstrip() for line in clean_lines(code.strip("\r\n"))]
    shown = [
        line if len(line) <= LINE_CHARS_MAX else f"{line[:LINE_CHARS_MAX]}…"
        for line in lines[:FENCE_LINES_MAX]
    ]
    if len(lines) > FENCE_LINES_MAX:
        shown.append(f"… {len(lines) - FENCE_LINES_MAX:,} more lines")
    longest = max((len(run) for line in shown for run in _BACKTICKS.findall(line)), default=0)
    ticks = "`" * max(3, longest + 1)
    return [f"{ticks}{language}", *shown, ticks]


def _escape_prose(text: str) -> str:
    return _NUMBERED.sub(r"\1\\\2", _SPECIAL.sub(r"\\\g<0>", text))


def _escape(char: str) -> str:
    return ascii(char)[1:-1]
