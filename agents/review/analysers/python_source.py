"""Whether Python source can be parsed by the Python that runs, and if not, why."""

import ast
import sys
import warnings
from pathlib import Path
from typing import Final, NamedTuple

SOURCE_BYTES_MAX: Final = 1_000_000
"""Larger sources are data; walking their tree takes seconds."""
TOO_DEEP: Final = "is nested too deeply to be parsed"

_NESTING = ("too many nested", "too many statically nested")


class Trouble(NamedTuple):
    """Why a file can't be parsed.

    Attributes:
        is_syntax: the grammar of the running Python refuses it; a newer one may not.
    """

    reason: str
    line: int = 0
    is_syntax: bool = False


def why_unparsable(path: Path) -> Trouble | None:
    """None when the file parses. Analysers that use the running Python's parser skip others in silence."""
    try:
        with path.open("rb") as file:
            source = file.read(SOURCE_BYTES_MAX + 1)
        if len(source) > SOURCE_BYTES_MAX:
            return Trouble(f"larger than {SOURCE_BYTES_MAX} bytes")
        if b"\0" in source:
            return Trouble("holds NUL bytes")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about the code under review, such as invalid escapes
            ast.parse(source)
    except SyntaxError as error:
        message = error.msg or "invalid syntax"
        if message.startswith(_NESTING):
            return Trouble(TOO_DEEP, error.lineno or 0)
        if "codec can't decode" in message or "unknown encoding" in message or "encoding problem" in message:
            return Trouble("is not valid in its encoding", error.lineno or 0)
        return Trouble(message, error.lineno or 0, is_syntax=True)
    except (RecursionError, MemoryError):
        return Trouble(TOO_DEEP)
    except ValueError as error:
        return Trouble(f"can't be parsed: {error}")
    except OSError as error:
        return Trouble(f"could not be read: {error.strerror}")
    return None


def explain(trouble: Trouble, *, is_newer: bool) -> str:
    """The reason in words.

    Args:
        is_newer: a parser of newer Python accepts the file.
    """
    where = f" (line {trouble.line})" if trouble.line else ""
    if not trouble.is_syntax:
        return trouble.reason + where
    if is_newer:
        return f"uses syntax newer than Python {sys.version_info.major}.{sys.version_info.minor}{where}"
    return f"syntax error at line {trouble.line or '?'}: {trouble.reason}"
