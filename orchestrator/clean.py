"""Texts from elsewhere, made safe to print on a terminal."""

import unicodedata


def clean(text: str) -> str:
    """`text` in one line without control characters: nothing in it can move the cursor or colour the screen."""
    return "".join(
        " " if c in "\n\r\t" else c for c in text if c in "\n\r\t" or unicodedata.category(c)[0] != "C"
    )


def clean_lines(text: str) -> str:
    """The same for a text of several lines: line ends and tabs stay."""
    return "".join(c for c in text if c in "\n\t" or unicodedata.category(c)[0] != "C")
