"""Operators and text methods on constants, so that a condition that can't come out otherwise is known to.

Everything here is bounded: no power, no shift, no text longer than a value may hold.
"""

import operator
from collections.abc import Callable, Sequence
from typing import Any, Final

from agents.review.dataflow.values import CONSTANTS_MAX, TEXT_CHARS_MAX, Value, constant, is_one

_NUMBERS: Final = (int, float)
_OPERATORS: Final[dict[str, Callable[[Any, Any], Any]]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "//": operator.floordiv,
    "%": operator.mod,
    "&": operator.and_,
    "|": operator.or_,
    "^": operator.xor,
}
_COMPARISONS: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<>": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "in": lambda left, right: left in right,
    "not in": lambda left, right: left not in right,
    "is": lambda left, right: left is right if left is None or right is None else left == right,
    "is not": lambda left, right: left is not right if left is None or right is None else left != right,
}
_TEXT_METHODS: Final = frozenset(
    {
        "lower",
        "upper",
        "strip",
        "lstrip",
        "rstrip",
        "title",
        "capitalize",
        "swapcase",
        "replace",
        "startswith",
    }
    | {
        "endswith",
        "removeprefix",
        "removesuffix",
        "isdigit",
        "isalpha",
        "isalnum",
        "find",
        "rfind",
        "index",
        "count",
    }
    | {"casefold", "isupper", "islower", "encode", "decode", "zfill"}
)


def fold(sign: str, left: Value, right: Value) -> Value | None:
    """`left sign right`; None if it isn't known or not worth knowing."""
    if left.constants is None or right.constants is None:
        return None
    if len(left.constants) * len(right.constants) > CONSTANTS_MAX:
        return None
    made = [_fold_one(sign, one, other) for one in left.constants for other in right.constants]
    if any(one is None for one in made):
        return None
    return Value(constants=tuple(dict.fromkeys(made)))


def _fold_one(sign: str, left: Any, right: Any) -> Any:
    act = _OPERATORS.get(sign)
    if act is None:
        return None
    are_numbers = isinstance(left, _NUMBERS) and isinstance(right, _NUMBERS)
    are_texts = sign == "+" and type(left) is type(right) and isinstance(left, str | bytes)
    is_repeated = sign == "*" and isinstance(left, str) and type(right) is int and 0 <= right <= 100
    if not (are_numbers or are_texts or is_repeated):
        return None
    try:
        result = act(left, right)
    except (ArithmeticError, TypeError, ValueError):
        return None
    if isinstance(result, str | bytes) and len(result) > TEXT_CHARS_MAX:
        return None
    if isinstance(result, int) and result.bit_length() > 128:
        return None
    return result


def fold_comparison(sign: str, left: Value, right: Value) -> bool | None:
    """Whether a comparison comes out in one way for all that both sides can be."""
    act = _COMPARISONS.get(sign)
    if act is None or left.constants is None or right.constants is None:
        return None
    outcomes: set[bool] = set()
    for one in left.constants:
        for other in right.constants:
            if sign in ("in", "not in") and not (isinstance(one, str) and isinstance(other, str)):
                return None
            try:
                outcomes.add(bool(act(one, other)))
            except TypeError:
                return None
    return outcomes.pop() if len(outcomes) == 1 else None


def fold_method(name: str, text: Any, given: Sequence[Value]) -> Value | None:
    """A method of a constant text with constant arguments; None if it isn't known."""
    if name not in _TEXT_METHODS or not all(is_one(value) for value in given):
        return None
    arguments = [value.constants[0] for value in given if value.constants is not None]
    if (
        name == "replace"
        and len(text) * max((len(str(one)) for one in arguments), default=0) > TEXT_CHARS_MAX
    ):
        return None
    if name == "zfill" and not (arguments and type(arguments[0]) is int and 0 <= arguments[0] < 1_000):
        return None
    try:
        return constant(getattr(text, name)(*arguments))
    except (TypeError, ValueError, LookupError, AttributeError):
        return None


def fold_text(left: Value, given: Sequence[Value]) -> Value | None:
    """`text % values` with plain `%s` and `%d` only."""
    if not is_one(left) or left.constants is None or not all(is_one(value) for value in given):
        return None
    text = left.constants[0]
    arguments = [value.constants[0] for value in given if value.constants is not None]
    plain = str(text).replace("%s", "").replace("%d", "")
    if not isinstance(text, str) or "%" in plain or sum(len(str(one)) for one in arguments) > TEXT_CHARS_MAX:
        return None
    try:
        return constant(text % tuple(arguments))
    except (TypeError, ValueError):
        return None
