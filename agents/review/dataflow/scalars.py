"""Functions that make numbers, signs and truths of values, and signatures that vouch for them."""

from typing import Final

from agents.review.dataflow.checks import facts_about
from agents.review.dataflow.exceptions import note_thrown
from agents.review.dataflow.library import Given, Special
from agents.review.dataflow.machine import Frame, Machine
from agents.review.dataflow.values import (
    ANY,
    BOOLEAN,
    NUMBER,
    Value,
    changed,
    constant,
    is_one,
    truth,
)


def _is_instance(machine: Machine, frame: Frame, call: Given) -> Value:
    wanted = call.argument(1)
    kinds = {wanted.kind}
    thing = frame.state.the_thing(wanted)
    if thing is not None:
        kinds = {value.kind for value in thing.fields.values()}
    if kinds <= _PLAIN_TYPES:
        return changed(BOOLEAN, yes=facts_about(frame, call.argument(0), frozenset({ANY})))
    return BOOLEAN


_PLAIN_TYPES: Final = frozenset(
    {"builtins.int", "builtins.float", "builtins.bool", "uuid.UUID", "decimal.Decimal", "builtins.complex"}
)


def _quantified(machine: Machine, frame: Frame, call: Given) -> Value:
    """`all(check(x) for x in xs)`: true says it of every item; `any(…)` says so when it is false."""
    value = call.argument(0)
    is_all = call.path == "builtins.all"
    return changed(BOOLEAN, yes=value.yes if is_all else frozenset(), no=frozenset() if is_all else value.no)


def _length(machine: Machine, frame: Frame, call: Given) -> Value:
    value = call.argument(0)
    if is_one(value) and value.constants and isinstance(value.constants[0], str | bytes):
        return constant(len(value.constants[0]))
    thing = frame.state.the_thing(value)
    if thing is not None and thing.size is not None and len(thing.fields) == thing.size:
        return constant(thing.size)
    return NUMBER


def _number(machine: Machine, frame: Frame, call: Given) -> Value:
    """`int(x)`: raises for anything harmful, so that what it accepted is harmless afterwards too."""
    value = call.argument(0)
    if len(call.positional) == 1 and is_one(value) and value.constants:
        one = value.constants[0]
        try:
            if isinstance(one, str | int | float) and len(str(one)) < _DIGITS_MAX:
                return constant(int(one) if call.path == "builtins.int" else float(one))
        except (ValueError, OverflowError):
            return NUMBER
    note_thrown(machine, frame, [value])
    frame.state.learn(facts_about(frame, value, frozenset({ANY})))
    random = tuple(taint for taint in frame.state.taints(value) if taint.trust == "random")
    return Value(taints=random, kind=call.path.removeprefix("builtins."))


_DIGITS_MAX: Final = 40


def _signature(machine: Machine, frame: Frame, call: Given) -> Value:
    """`hmac.new(key, text, …)`: harmless itself; whoever compares with it knows where the text is from."""
    tokens = (taint.token for value in call.positional[1:2] for taint in frame.state.taints(value))
    return Value(kind="hmac.new()", marks=frozenset(SIGNS + token for token in tokens))


def _digest(machine: Machine, frame: Frame, call: Given) -> Value:
    return Value(kind="str", marks=call.owner.marks if call.owner is not None else frozenset())


SIGNS: Final = "signs:"
"""Begins the mark of a signature; the token of what was signed follows."""


def _compare_digest(machine: Machine, frame: Frame, call: Given) -> Value:
    marks = frozenset().union(*(value.marks for value in call.positional))
    tokens = (mark.removeprefix(SIGNS) for mark in marks if mark.startswith(SIGNS))
    return changed(BOOLEAN, yes=frozenset((token, ANY) for token in tokens))


def _truth(machine: Machine, frame: Frame, call: Given) -> Value:
    """`bool(x)` says what `x` says as a condition."""
    value = call.argument(0)
    known = truth(value)
    return Value(constants=None if known is None else (known,), kind="bool", yes=value.yes, no=value.no)


def _character(machine: Machine, frame: Frame, call: Given) -> Value:
    value = call.argument(0)
    if (
        is_one(value)
        and value.constants
        and type(value.constants[0]) is int
        and 0 <= value.constants[0] < 0x110000
    ):
        return constant(chr(value.constants[0]))
    return Value(taints=frame.state.taints(value), kind="str")


SCALAR_SPECIALS: Final[dict[str, Special]] = {
    "builtins.len": _length,
    "builtins.int": _number,
    "builtins.float": _number,
    "hmac.new": _signature,
    "hmac.digest": _signature,
    "hmac.new().digest": _digest,
    "hmac.new().hexdigest": _digest,
    "hmac.compare_digest": _compare_digest,
    "secrets.compare_digest": _compare_digest,
    "builtins.bool": _truth,
    "builtins.chr": _character,
    "builtins.isinstance": _is_instance,
    "builtins.all": _quantified,
    "builtins.any": _quantified,
}
