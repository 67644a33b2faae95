"""The JSON values in a text that may hold more than JSON: preambles, fences, remarks."""

import json
import math
import re
from collections.abc import Iterator
from typing import Any, Final, NoReturn

from agents.router.json_words import quoted
from agents.router.off_schema import OffSchemaError

CANDIDATES_MAX: Final = 32
DIGITS_MAX: Final = 64
_OPENING: Final = re.compile(r"[{\[]")
_BRACKETS: Final = re.compile(r"\\.|[\"{}\[\]]", re.DOTALL)


def json_values(text: str) -> Iterator[Any]:
    """JSON objects and lists in a text, those in a Markdown fence first.

    What lies within something malformed is not looked at: a piece of an answer is not the answer.
    """
    decoder = json.JSONDecoder(parse_constant=_no_number, parse_float=_finite, parse_int=_bounded)
    problem = ""
    count = decoded = 0
    for begin in dict.fromkeys((_after_fence(text), 0)):
        at = begin
        while count < CANDIDATES_MAX and (found := _OPENING.search(text, at)):
            count += 1
            try:
                value, at = decoder.raw_decode(text, found.start())
            except (ValueError, RecursionError) as error:
                said = error.msg if isinstance(error, json.JSONDecodeError) else str(error)
                problem = problem or f"this is not valid JSON ({said}): {quoted(text[found.start() :])}"
                at = _balanced_end(text, found.start())
            else:
                decoded += 1
                yield value
    if not count and text:
        try:
            yield decoder.decode(text)
        except (ValueError, RecursionError):
            problem = f"there is no JSON value in the answer {quoted(text)}"
    if problem and not decoded:
        raise OffSchemaError("$", problem)


def _after_fence(text: str) -> int:
    """Where the first fenced block begins; 0 when there is none, or only within the value."""
    fence = -1 if text.startswith(("{", "[")) else text.find("```")
    return text.find("\n", fence) + 1 if fence >= 0 else 0


def _balanced_end(text: str, begin: int) -> int:
    """Where the bracket at `begin` is closed; the text's end when it isn't."""
    depth = 0
    is_string = False
    for found in _BRACKETS.finditer(text, begin):
        match found.group():
            case '"':
                is_string = not is_string
            case "{" | "[" if not is_string:
                depth += 1
            case "}" | "]" if not is_string:
                depth -= 1
                if depth <= 0:
                    return found.end()
    return len(text)


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError(f"{quoted(digits)} is too large")
    return number


def _bounded(digits: str) -> int:
    if len(digits) > DIGITS_MAX:
        raise ValueError(f"a number of {len(digits)} digits is too large")
    return int(digits)
