"""Words about JSON values for error messages, bounded; and walks through values, without recursion."""

import json
from collections.abc import Iterator
from itertools import islice
from typing import Any, Final

QUOTE_CHARS_MAX: Final = 80


def kind(value: Any) -> str:
    for name in ("object", "array", "string", "boolean", "null", "integer", "number"):
        if is_type(value, name):
            return name
    return type(value).__name__


def quoted(value: Any) -> str:
    """The value as JSON, cut to what a message can bear."""
    if isinstance(value, str):
        value = value[: QUOTE_CHARS_MAX + 1]
    # In pieces, so that of a large value only the beginning is written.
    pieces = json.JSONEncoder(ensure_ascii=False, default=repr).iterencode(value)
    return short("".join(islice(pieces, QUOTE_CHARS_MAX)), QUOTE_CHARS_MAX)


def short(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def parts(value: Any) -> Iterator[Any]:
    """The value and all within it, without recursion."""
    ahead = [value]
    while ahead:
        part = ahead.pop()
        yield part
        if isinstance(part, dict):
            ahead.extend(part.values())
        elif isinstance(part, list | tuple):
            ahead.extend(part)


def depth(value: Any, most: int) -> int:
    """How deep lists and objects lie within one another; counts no further than just above `most`."""
    depth, layer = 0, [value]
    while layer and depth <= most:
        layer = [
            inner
            for part in layer
            if isinstance(part, dict | list | tuple)
            for inner in (part.values() if isinstance(part, dict) else part)
        ]
        depth += bool(layer)
    return depth


def is_type(value: Any, name: str) -> bool:
    match name:
        case "object":
            return isinstance(value, dict)
        case "array":
            return isinstance(value, list)
        case "string":
            return isinstance(value, str)
        case "boolean":
            return isinstance(value, bool)
        case "null":
            return value is None
        case "number":
            return isinstance(value, int | float) and not isinstance(value, bool)
        case _:
            is_whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
            return is_whole and not isinstance(value, bool)
