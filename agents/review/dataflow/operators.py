"""Operators on values: texts put together, lists joined, and what a loop over something gives."""

import re
from typing import Any, Final

from agents.review.dataflow.characters import common_signs, other_signs
from agents.review.dataflow.folding import fold, fold_text
from agents.review.dataflow.machine import Frame
from agents.review.dataflow.values import (
    LEADS_ELSEWHERE,
    UNKNOWN,
    Thing,
    Value,
    beginning,
    changed,
    cleaned,
    constant,
    is_one,
    join,
    join_all,
    merge_taints,
    text_constant,
)


def operate(frame: Frame, operator: str, left: Value, right: Value) -> Value:
    """`left operator right`: folded, put together, or of both origins."""
    folded = fold(operator, left, right)
    if folded is not None:
        return folded
    if operator == "%" and (left.kind == "str" or left.prefix or _is_text(left)):
        return _formatted(frame, left, right)
    if operator == "+" and (left.references or right.references):
        return _lists(frame, left, right)
    if operator == "/" and left.kind == "Path":
        return Value(taints=merge_taints(left.taints, right.taints), kind="Path")
    if operator == "|" and (left.references or right.references):
        return _united(frame, left, right)
    if operator == "*" and left.references:
        return left
    if operator == "&" and (left.references or right.references):  # only what is in both
        found = min(left, right, key=lambda one: bool(frame.state.taints(one)))
        return changed(found, no=common_signs(frame, left, right))
    if operator == "-" and left.references:  # what is in the first only
        return changed(left, no=other_signs(frame, left, right))
    taints = merge_taints(frame.state.taints(left), frame.state.taints(right))
    if operator in ("-", "//", "**", "<<", ">>", "@", "^"):
        return Value(taints=tuple(taint for taint in taints if taint.trust == "random"), kind="int")
    prefix = beginning(left) if operator == "+" else ""
    if operator == "+" and leads_nowhere_else(left):
        if is_one(right) and str(right.constants[0] if right.constants else "").startswith("://"):
            return Value(kind="str", marks=frozenset({SCHEME}))
        right = cleaned(right, LEADS_ELSEWHERE)
        taints = merge_taints(frame.state.taints(left), frame.state.taints(right))
    return Value(taints=taints, prefix=prefix or None, kind="str" if operator == "+" and prefix else "")


SCHEME: Final = "scheme"
"""Mark of a text that ends with `://`: what follows is the host."""


def leads_nowhere_else(first: Value) -> bool:
    """Whether an address that begins with this leads where the program says: it is ours, though not known."""
    is_ours = not first.taints and not first.references and SCHEME not in first.marks
    return is_ours and first.constants is None and not first.prefix


def _is_text(value: Value) -> bool:
    return value.constants is not None and all(isinstance(one, str) for one in value.constants)


def _formatted(frame: Frame, left: Value, right: Value) -> Value:
    """`left % right`"""
    prefix = beginning(left).split("%", 1)[0]
    if prefix == beginning(left) and left.constants is None:
        prefix = ""
    thing = frame.state.the_thing(right)
    given = [right]
    if (
        thing is not None
        and thing.kind == "tuple"
        and thing.size is not None
        and len(thing.fields) == thing.size
    ):
        given = [thing.fields[index] for index in range(thing.size)]
    chosen = _chosen(frame, left, right)
    if chosen is not None:
        taints = merge_taints(left.taints, *(frame.state.taints(one) for one in chosen))
    else:
        taints = merge_taints(left.taints, frame.state.taints(_not_numbers(frame, left, right, given)))
    folded = fold_text(left, given) if not taints else None
    if folded is not None:
        return folded
    if not prefix and beginning(left).startswith("%s") and given:
        prefix = beginning(given[0])
    return Value(taints=taints, prefix=prefix or None, kind="str")


_CONVERSION = re.compile(r"%[-+ #0]*(?:\d+|\*)?(?:\.\d+)?([a-zA-Z%])")


def _not_numbers(frame: Frame, left: Value, right: Value, given: list[Value]) -> Value:
    """What is put in as text: `%d` takes numbers only."""
    text = text_constant(left)
    if text is None:
        return right
    letters = [letter for letter in _CONVERSION.findall(text) if letter != "%"]
    if len(letters) != len(given) or not set(letters) & _NUMERIC:
        return right
    taints = [
        [taint for taint in frame.state.taints(one) if letter not in _NUMERIC or taint.trust == "random"]
        for letter, one in zip(letters, given, strict=True)
    ]
    return Value(taints=merge_taints(*taints))


_NAMED = re.compile(r"%\((\w+)\)")


def _chosen(frame: Frame, left: Value, right: Value) -> list[Value] | None:
    """Of `"%(a)s" % {"a": x, "b": y}` what is put in; None if it isn't that plain."""
    text, thing = text_constant(left), frame.state.the_thing(right)
    if text is None or thing is None or thing.kind != "dict" or thing.rest is not None:
        return None
    return [thing.fields[name] for name in _NAMED.findall(text) if name in thing.fields]


_NUMERIC = frozenset("diouxXeEfFgG")


def is_exact(thing: Thing) -> bool:
    """Whether every item of a list is known by its position."""
    return thing.size is not None and len(thing.fields) == thing.size


def _lists(frame: Frame, left: Value, right: Value) -> Value:
    """`[…] + […]`"""
    one, other = frame.state.the_thing(left), frame.state.the_thing(right)
    if one is not None and other is not None and is_exact(one) and is_exact(other):
        both = [thing.fields[index] for thing in (one, other) for index in range(thing.size or 0)]
        return frame.state.put(Thing("list", dict(enumerate(both)), None, len(both)))
    parts = []
    for value in (left, right):
        inside = frame.state.items(value) if value.references else value
        if inside is not None:
            parts.append(inside)
    return frame.state.put(Thing("list", {}, join_all(parts) if parts else None))


def _united(frame: Frame, left: Value, right: Value) -> Value:
    """`{…} | {…}`: of dictionaries the right one wins; of sets it is all that is in either."""
    one, other = frame.state.the_thing(left), frame.state.the_thing(right)
    kinds = {thing.kind for thing in (one, other) if thing is not None}
    if kinds != {"dict"}:
        return _lists(frame, left, right)
    fields: dict[Any, Value] = {}
    rest: Value | None = None
    for value, thing in ((left, one), (right, other)):
        if thing is None:  # it may hold any of the keys
            unknown = Value(taints=frame.state.taints(value))
            fields = {key: join(known, unknown) for key, known in fields.items()}
            rest = unknown if rest is None else join(rest, unknown)
            continue
        fields |= thing.fields
        if thing.rest is not None:
            rest = thing.rest if rest is None else join(rest, thing.rest)
    return frame.state.put(Thing("dict", fields, rest))


def concatenate(frame: Frame, values: list[Value]) -> Value:
    """One text of several values, whatever they are."""
    if all(is_one(value) for value in values):
        texts = [value.constants[0] for value in values if value.constants]
        if all(isinstance(text, bytes) for text in texts) and texts:
            return constant(b"".join(texts))
        return constant("".join(str(text) for text in texts))
    if len(values) > 1 and leads_nowhere_else(values[0]) and not beginning(values[1]).startswith("://"):
        values = [values[0], *(cleaned(value, LEADS_ELSEWHERE) for value in values[1:])]
    taints = merge_taints(*(frame.state.taints(value) for value in values))
    prefix = ""
    for value in values:
        prefix += beginning(value) if not (is_one(value) and value.constants) else str(value.constants[0])
        if not is_one(value):
            break
    return Value(taints=taints, prefix=prefix or None, kind="str")


def keys_of(thing: Thing) -> Value:
    """Keys of a dictionary that aren't known one by one; if nothing is said of them, they come from where values do."""
    if thing.keys is not None:
        return thing.keys
    return Value(taints=thing.rest.taints) if thing.rest is not None else UNKNOWN


def iterated(frame: Frame, value: Value) -> Value:
    """What a loop over something gives: its items, or the text itself, of which each character is a part."""
    if value.references:
        thing = frame.state.the_thing(value)
        if thing is not None and thing.kind == "dict":
            keys = [constant(key) for key in thing.fields]
            rest = [keys_of(thing)] if thing.rest is not None else []
            found = join_all([*keys, *rest]) if keys or rest else UNKNOWN
        else:
            found = frame.state.items(value) or UNKNOWN
        return join(found, Value(taints=value.taints)) if value.taints else found
    if value.constants is not None and all(isinstance(one, str) for one in value.constants):
        return Value(kind="str")
    if value.kind in ("DbCursor", "Socket"):
        return Value()
    return Value(taints=value.taints, kind=f"{value.kind}[]" if value.kind and value.taints else "")
