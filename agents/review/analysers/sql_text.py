"""Whether text that is put together in Python reads like SQL: "select a file from {folder}" does not.

Bandit and Ruff look for the words of a statement in their order, which English sentences also have.
"""

import ast
import re
from typing import Final

TEXT_CHARS_MAX: Final = 2_000
"""Longer texts count as SQL unseen: nobody writes such a sentence."""
NESTING_MAX: Final = 200
HOLE: Final = "hole_1"
"""What stands for a value that is put in: a word that could be a name or a number."""

_NAME = r"""[\w.$*`"'\[\]@:%?-]+"""
_COLUMN = rf"""(?:{_NAME}|{_NAME}?\s*\([^()]*(?:\([^()]*\)[^()]*)*\))(?:\s+as\s+{_NAME})?"""
_STATEMENT = re.compile(
    rf"""(?ix)^ [\s(;]*
    (?: (?:explain\s+(?:analyze\s+)?)?
        select\s+ (?:distinct\s+|all\s+|top\s+\S+\s+)? {_COLUMN}(?:\s*,\s*{_COLUMN}){{0,300}} \s+from\s+ \S
      | insert\s+ (?:or\s+\w+\s+|ignore\s+)? into\s+ {_NAME}
      | replace\s+into\s+ {_NAME}
      | update\s+ (?:or\s+\w+\s+)? {_NAME} (?:\s+(?:as\s+)?\w+)? \s+set\s+ \S+\s*=
      | delete\s+from\s+ {_NAME} \s*(?:$|;|where\b|using\b|limit\b|returning\b)
      | with\s+ (?:recursive\s+)? {_NAME} (?:\s*\([^)]*\))? \s+as\s*\(
      | (?:create|alter|drop|truncate|grant|merge|call|exec|execute)\s
    )"""
)
_COMMENTS = re.compile(r"--[^\n]*|/\*.*?\*/", re.DOTALL)


def reads_like_sql(node: ast.expr) -> bool:
    """Whether the text that an expression builds begins like a statement, whatever is put in."""
    text = " ".join(_COMMENTS.sub(" ", _text_of(node)).split())
    return len(text) > TEXT_CHARS_MAX or _STATEMENT.match(text) is not None


def _text_of(node: ast.expr, depth: int = 0) -> str:
    if depth > NESTING_MAX:
        return HOLE
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=parts):
            return "".join(_text_of(part, depth + 1) for part in parts)
        case ast.BinOp(op=ast.Add(), left=left, right=right):
            return _text_of(left, depth + 1) + _text_of(right, depth + 1)
        case ast.BinOp(op=ast.Mod(), left=left):
            return _text_of(left, depth + 1)
        case ast.Call(func=ast.Attribute(value=ast.Constant(value=str(text)), attr="format")):
            return re.sub(r"\{[^{}]*\}", HOLE, text)
    return HOLE
