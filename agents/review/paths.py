"""Relative paths of reviewed files: which are safe below a folder of ours, and how they stand in messages."""

import os
from pathlib import Path
from typing import Final

PATH_BYTES_MAX: Final = 1_024
NAME_BYTES_MAX: Final = 255
SHOWN_CHARS_MAX: Final = 300


class UnsafePathError(ValueError):
    """Raised when a path must not name a file below a folder of ours; the text says why."""


def check_path(path: str) -> None:
    """Pass a relative path with forward slashes, such as `src/app.py`.

    Raises:
        UnsafePathError: it is absolute, leads upwards, is not UTF-8, holds a NUL, or is too long.
    """
    try:
        size = len(path.encode())
    except UnicodeEncodeError:
        raise UnsafePathError("the name is not UTF-8; rename it") from None
    if not path or "\0" in path:
        raise UnsafePathError("the path is empty or holds a NUL")
    if size > PATH_BYTES_MAX:
        raise UnsafePathError(f"the path has {size:,} bytes, over the limit of {PATH_BYTES_MAX:,}")
    for part in path.split("/"):
        if part in ("", ".", ".."):
            raise UnsafePathError("the path must be relative, without empty parts, . and ..")
        if len(part.encode()) > NAME_BYTES_MAX:
            raise UnsafePathError(f"a name in the path has over {NAME_BYTES_MAX} bytes")


def shown(path: str | Path) -> str:
    """A path as it may stand in a message: one line, valid UTF-8, not endless."""
    text = "".join(char if char.isprintable() else _escape(char) for char in str(path))
    return text if len(text) <= SHOWN_CHARS_MAX else f"{text[:SHOWN_CHARS_MAX]}…"


def _escape(char: str) -> str:
    """Such as `\\n`; and `\\xe9` for a byte that was no UTF-8, which Python holds as a surrogate."""
    code = ord(char)
    return f"\\x{code - 0xDC00:02x}" if 0xDC80 <= code <= 0xDCFF else ascii(char)[1:-1]


def why(error: OSError | ValueError) -> str:
    """What an operating system error says, without its number and path, such as `permission denied`."""
    if isinstance(error, OSError) and error.errno is not None:
        return os.strerror(error.errno).lower()
    return str(error)
