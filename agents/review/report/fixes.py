"""Descriptions and fixes mix words and code; here they are told apart."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

PASSAGE_LINES_MAX: Final = 200

_FENCE = re.compile(r"\s*(?:`{3,}|~{3,})\s*[\w+-]*\s*$")
_CODE = re.compile(
    r"""
      (?:[ ]{2}|\t)\s*\S.*                                    # indented
    | (?:(?:const|let|var|final)[ ])?[\w.\[\]'",$ ]+[ ][-+|]?=[ ]\S.*   # an assignment
    | (?:await[ ]|return[ ]|raise[ ]|throw[ ])?[\w.$]+\((?:.*\)[;,]?)?  # a call
    | (?:from[ ]\S+[ ])?import[ ][\w.*{].*
    | (?:def|class|if|elif|else|for|while|with|try|except|finally|async)\b.*:
    | [^A-Z].*\{
    | [)\]}]+[;,]?
    | @\w.*[\w)]
    | (?:\#|//)[ ]?\S.*
    """,
    re.X,
)
"""What hardly any sentence looks like. A wrong guess costs looks, nothing else."""


@dataclass(frozen=True, slots=True)
class Passage:
    """Running text, or lines of code."""

    text: str
    is_code: bool


def passages(text: str) -> list[Passage]:
    """The passages of a text: paragraphs, and code, which stands in a fence, is indented, or looks like it."""
    found: list[Passage] = []
    is_apart = True
    for line, is_code in _lines(text):
        if not line.strip():
            is_apart = True
            continue
        last = found[-1] if found else None
        if last is not None and last.is_code and is_code:
            found[-1] = Passage(last.text + ("\n\n" if is_apart else "\n") + line, True)
        elif last is not None and not last.is_code and not is_code and not is_apart:
            found[-1] = Passage(f"{last.text} {line.strip()}", False)
        else:
            found.append(Passage(line if is_code else line.strip(), is_code))
        is_apart = False
    return found


def _lines(text: str) -> Iterator[tuple[str, bool]]:
    lines = text.strip().splitlines()
    in_fence = False
    for line in lines[:PASSAGE_LINES_MAX]:
        if _FENCE.match(line):
            in_fence = not in_fence
            yield "", False
        else:
            yield line.rstrip(), in_fence or (len(lines) > 1 and _CODE.fullmatch(line.rstrip()) is not None)
    if len(lines) > PASSAGE_LINES_MAX:
        yield f"… {len(lines) - PASSAGE_LINES_MAX:,} more lines", False
