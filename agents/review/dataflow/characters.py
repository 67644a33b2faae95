"""Which signs a text may hold, as sets of signs tell it: `set(text) & set("{}")`, `set(text) <= ALLOWED`."""

from typing import Final

from agents.review.dataflow.checks import facts_about, kinds_without
from agents.review.dataflow.machine import Frame
from agents.review.dataflow.regexes import kinds_held_off_by_signs
from agents.review.dataflow.values import BOOLEAN, NO_FACTS, Fact, Thing, Value, changed, is_one

SIGNS_MAX: Final = 120


def signs_of(frame: Frame, value: Value) -> frozenset[str] | None:
    """The signs that a set, list or text of constants holds; None if it isn't that."""
    if is_one(value) and value.constants and isinstance(value.constants[0], str):
        text = value.constants[0]
        return frozenset(text) if len(text) <= SIGNS_MAX else None
    thing = frame.state.the_thing(value)
    if thing is None or thing.rest is not None or not thing.fields or thing.kind == "dict":
        return None
    signs: list[str] = []
    for one in thing.fields.values():
        if one.constants is None or not all(
            isinstance(sign, str) and len(sign) == 1 for sign in one.constants
        ):
            return None
        signs += one.constants
    return frozenset(signs)


def common_signs(frame: Frame, left: Value, right: Value) -> frozenset[Fact]:
    """What follows if two sets have nothing in common: the outside text holds none of the signs of the other."""
    for one, other in ((left, right), (right, left)):
        signs = signs_of(frame, other)
        if signs is not None and frame.state.taints(one):
            return facts_about(frame, one, kinds_without(signs))
    return NO_FACTS


def other_signs(frame: Frame, left: Value, right: Value) -> frozenset[Fact]:
    """What follows if the first of two sets is part of the second: the outside text holds only those signs."""
    signs = signs_of(frame, right)
    if signs is None or not frame.state.taints(left):
        return NO_FACTS
    return facts_about(frame, left, kinds_held_off_by_signs(signs))


def set_method(frame: Frame, owner: Value, thing: Thing, name: str, given: Value) -> Value | None:
    """`set(text).isdisjoint(signs)` and its like; None for other methods."""
    match name:
        case "isdisjoint":
            return changed(BOOLEAN, yes=common_signs(frame, owner, given))
        case "issubset":
            return changed(BOOLEAN, yes=other_signs(frame, owner, given))
        case "issuperset":
            return changed(BOOLEAN, yes=other_signs(frame, given, owner))
        case "intersection":
            return changed(owner, no=common_signs(frame, owner, given))
        case "difference":
            return changed(owner, no=other_signs(frame, owner, given))
    return None
