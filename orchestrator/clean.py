"""Texts from elsewhere, made safe to print on a terminal."""

import re
import unicodedata

_SEQUENCE = re.compile(
    r"""
      (?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]                     # colours, movements, modes
    | (?:\x1b[]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)  # titles, links, strings
    | \x1b[ -/]*[0-~]
    """,
    re.X,
)
"""Control sequences of terminals (ECMA-48), whole."""


def clean(text: str) -> str:
    """`text` in one line without control characters and without what is left of their sequences: nothing in it can
    move the cursor or colour the screen."""
    text = _SEQUENCE.sub("", text)
    return "".join(
        " " if c in "\n\r\t" else c for c in text if c in "\n\r\t" or unicodedata.category(c)[0] != "C"
    )


def clean_lines(text: str) -> str:
    """The same for a text of several lines: line ends and tabs stay."""
    text = _SEQUENCE.sub("", text)
    return "".join(c for c in text if c in "\n\t" or unicodedata.category(c)[0] != "C")
