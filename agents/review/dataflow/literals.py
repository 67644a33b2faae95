"""Literals as they are written in Python, read without running anything."""

import re
from typing import Final

from agents.review.dataflow.syntax import MISSING

DIGITS_MAX: Final = 40
TEXT_CHARS_MAX: Final = 20_000
"""Of one literal that are kept; what is longer is data."""

_ESCAPE = re.compile(
    r"\\(?:(?P<octal>[0-7]{1,3})|x(?P<hex>[0-9a-fA-F]{2})|u(?P<four>[0-9a-fA-F]{4})"
    r"|U(?P<eight>[0-9a-fA-F]{8})|N\{[^}]*\}|(?P<one>.|\n))",
    re.DOTALL,
)
_ONES: Final = {
    "n": "\n",
    "t": "\t",
    "r": "\r",
    "\\": "\\",
    "'": "'",
    '"': '"',
    "\n": "",
    "a": "\a",
    "b": "\b",
    "f": "\f",
    "v": "\v",
}


def unescape(text: str) -> str:
    """The characters that a literal's escapes stand for; an unknown escape stays as it is written."""
    if "\\" not in text:
        return text

    def one(match: re.Match[str]) -> str:
        if match["octal"]:
            return chr(int(match["octal"], 8))
        code = match["hex"] or match["four"] or match["eight"]
        if code:
            number = int(code, 16)
            return chr(number) if number < 0x110000 and not 0xD800 <= number < 0xE000 else "?"
        return _ONES.get(match["one"] or "", match[0])

    return _ESCAPE.sub(one, text)


def number(text: str) -> int | float | str:
    """An integer or a float; `MISSING` for one that is too long or imaginary."""
    plain = text.replace("_", "").lower()
    if len(plain) > DIGITS_MAX:
        return MISSING
    try:
        return int(plain, 0)
    except ValueError:
        pass
    try:
        return int(plain) if plain.isdigit() else float(plain)
    except ValueError:
        return MISSING
