"""Texts from elsewhere, made safe to print on a terminal."""

import unicodedata


def clean(text: str) -> str:
    """`text` in one line without control characters: nothing in it can move the cursor or colour the screen."""
    return "".join(
        " " if c in "\n\r\t" else c for c in text if c in "\n\r\t" or unicodedata.category(c)[0] != "C"
    )
