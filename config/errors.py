"""What is wrong with the settings, in one line."""

from collections.abc import Iterable
from os.path import commonprefix
from typing import Final

SHOWN_CHARS_MAX: Final = 80
LIKENESS_MIN: Final = 0.6


class ConfigError(ValueError):
    """Raised when a file, variable or flag can't be used: where it stands, what was found, what is expected."""


def shown(text: str) -> str:
    """Foreign text fit for a message of one line: bounded, with nothing that steers a terminal."""
    printable = "".join(char if char.isprintable() else "?" for char in text[: SHOWN_CHARS_MAX + 1])
    return printable if len(printable) <= SHOWN_CHARS_MAX else f"{printable[: SHOWN_CHARS_MAX - 1]}…"


def did_you_mean(unknown: str, known: Iterable[str]) -> str:
    """`; did you mean …?` with the nearest of `known`, empty when none is near."""
    from difflib import get_close_matches  # costs some milliseconds, for a message that is rarely needed

    candidates = list(known)
    # What all have in common (LABVERSE_) would make any two of them look alike.
    skipped = len(commonprefix([unknown, *candidates]))  # noqa: RUF071 - characters are meant, no paths
    rests = {name[skipped:]: name for name in candidates}
    unknown = unknown[skipped:][:SHOWN_CHARS_MAX]
    near = [rests[rest] for rest in get_close_matches(unknown, rests, n=1, cutoff=LIKENESS_MIN)]
    # A key that stands outside its section is not near by its letters.
    near = near or [name for name in candidates if name.endswith((f".{unknown}", f"__{unknown}"))][:1]
    return f"; did you mean `{near[0]}`?" if near else ""
