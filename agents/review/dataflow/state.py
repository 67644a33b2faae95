"""Everything that is known at one point of a function: its names, the things they refer to, what was checked."""

import functools
import itertools
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from agents.review.dataflow.values import (
    ANY,
    NO_FACTS,
    UNKNOWN,
    Fact,
    Taint,
    Thing,
    Value,
    changed,
    join,
    join_all,
    merge_taints,
    shared_facts,
)

FIELDS_MAX: Final = 80
"""Items of one thing that are told apart."""
REACH_MAX: Final = 120
"""Things looked through for taint in one value."""

_numbers = itertools.count(1)


class State:
    """One point of one run of a function.

    Attributes:
        names: local names.
        things: those made or changed since the run began; `base` holds the older ones.
        facts: what was checked about outside values on every way here.
    """

    __slots__ = ("base", "facts", "names", "things")

    def __init__(
        self,
        names: dict[str, Value],
        things: dict[int, Thing],
        base: Mapping[int, Thing],
        facts: frozenset[Fact] = NO_FACTS,
    ) -> None:
        self.names = names
        self.things = things
        self.base = base
        self.facts = facts

    def copy(self) -> "State":
        return State(self.names.copy(), self.things.copy(), self.base, self.facts)

    def take(self, other: "State") -> None:
        """Become `other`."""
        self.names, self.things, self.facts = other.names, other.things, other.facts

    # --- things

    def thing(self, number: int) -> Thing | None:
        found = self.things.get(number)
        return found if found is not None else self.base.get(number)

    def put(self, thing: Thing) -> Value:
        """A value that refers to a new thing; with too many items, they aren't told apart."""
        if len(thing.fields) > FIELDS_MAX:
            thing = _poured(thing)
        number = next(_numbers)
        self.things[number] = thing
        return Value(references=(number,), kind=thing.kind if thing.owner is None else "")

    def the_thing(self, value: Value) -> Thing | None:
        """The one thing that a value refers to; None if there is none, or several."""
        return self.thing(value.references[0]) if len(value.references) == 1 else None

    def field(self, value: Value, key: Any) -> Value | None:
        """What is at `key` in what a value refers to; None if nothing is known of it."""
        found: Value | None = None
        for number in value.references:
            thing = self.thing(number)
            if thing is None:
                continue
            one = thing.fields.get(key)
            if one is None:
                one = thing.rest
            if one is not None:
                found = one if found is None else join(found, one)
        return found

    def items(self, value: Value) -> Value | None:
        """Anything that is in what a value refers to; None if that is nothing."""
        inside = [
            one
            for number in value.references
            if (thing := self.thing(number)) is not None
            for one in (*thing.fields.values(), *((thing.rest,) if thing.rest is not None else ()))
        ]
        return join_all(inside) if inside else None

    def set_field(self, value: Value, key: Any, content: Value) -> None:
        """Put something at `key`: in its place if there is one thing, beside what is there if there are several."""
        for number in value.references:
            thing = self.thing(number)
            if thing is None:
                continue
            if len(value.references) > 1 and key in thing.fields:
                content = join(thing.fields[key], content)
            if len(thing.fields) >= FIELDS_MAX and key not in thing.fields:
                self.things[number] = _poured(thing, content)
            else:
                self.things[number] = msgspec.structs.replace(thing, fields={**thing.fields, key: content})

    def add(self, value: Value, content: Value) -> None:
        """Put something in at a place that isn't known."""
        for number in value.references:
            thing = self.thing(number)
            if thing is not None:
                rest = content if thing.rest is None else join(thing.rest, content)
                self.things[number] = msgspec.structs.replace(thing, rest=rest, size=None, keys=None)

    def append(self, value: Value, content: Value) -> None:
        """Put something at the end of a list."""
        thing = self.the_thing(value)
        if thing is None or thing.size is None or thing.size >= FIELDS_MAX:
            self.add(value, content)
            return
        self.things[value.references[0]] = msgspec.structs.replace(
            thing, fields={**thing.fields, thing.size: content}, size=thing.size + 1
        )

    def set_thing(self, value: Value, thing: Thing) -> None:
        """Replace the one thing that a value refers to."""
        if len(value.references) == 1:
            self.things[value.references[0]] = thing

    def forget_since(self, before: "State", value: Value) -> None:
        """Drop things made since `before` that neither `value` nor anything older leads to any more."""
        if len(self.things) <= len(before.things):
            return
        kept: dict[int, Thing] = {}
        queue = list(value.references)
        for number, thing in self.things.items():
            older = before.things.get(number)
            if older is None:
                older = before.base.get(number)
            if older is None:
                continue
            kept[number] = thing
            if older is not thing:
                queue += references_in(thing)
        while queue:
            number = queue.pop()
            if number in kept or number not in self.things:
                continue
            kept[number] = self.things[number]
            queue += references_in(kept[number])
        self.things = kept

    # --- taint

    def taints(self, value: Value) -> tuple[Taint, ...]:
        """Taints of a value and of all that is in it, less what was checked."""
        if not value.references:
            return self.unchecked(value.taints) if value.taints else ()
        found = [value.taints]
        seen = set(value.references)
        queue = list(value.references)
        while queue and len(seen) < REACH_MAX:
            thing = self.thing(queue.pop())
            if thing is None:
                continue
            for inside in (*thing.fields.values(), *((thing.rest,) if thing.rest is not None else ())):
                if inside.taints:
                    found.append(inside.taints)
                fresh = [number for number in inside.references if number not in seen]
                seen.update(fresh)
                queue += fresh
        return self.unchecked(merge_taints(*found))

    def unchecked(self, taints: tuple[Taint, ...]) -> tuple[Taint, ...]:
        """Taints, less what was checked on every way here."""
        if not self.facts or not taints:
            return taints
        kept = []
        for taint in taints:
            kinds = kinds_checked(self.facts, taint.token)
            if ANY in kinds and taint.trust != "random":
                continue
            kept.append(
                msgspec.structs.replace(taint, clean=taint.clean | kinds) if kinds - taint.clean else taint
            )
        return tuple(kept)

    def seen(self, value: Value) -> Value:
        """The value as it is here: checks that were made stick to it from now on."""
        if not self.facts or not value.taints:
            return value
        taints = self.unchecked(value.taints)
        return value if taints == value.taints else changed(value, taints=taints)

    def learn(self, facts: frozenset[Fact]) -> None:
        if facts:
            self.facts = self.facts | facts


def references_in(thing: Thing) -> list[int]:
    """Numbers of the things that one leads to directly."""
    found = [number for value in thing.fields.values() for number in value.references]
    return found + list(thing.rest.references) if thing.rest is not None else found


def kinds_checked(facts: frozenset[Fact], token: str) -> frozenset[str]:
    """Kinds of flaw for which an outside value, or the whole that it is a part of, was checked."""
    kinds = {
        kind
        for checked, kind in facts
        if token == checked or (token.startswith(checked) and token[len(checked)] == "[")
    }
    return frozenset(kinds)


def join_states(states: list[State]) -> State | None:
    """The state after several ways came together; None if none gets here."""
    if len(states) <= 1:
        return states[0] if states else None
    facts = functools.reduce(shared_facts, (state.facts for state in states))
    for state in states:
        if state.facts != facts:
            state.names = {name: state.seen(value) for name, value in state.names.items()}
            state.things = {number: _seen_thing(state, thing) for number, thing in state.things.items()}
    first = states[0]
    names, things = first.names, first.things
    for state in states[1:]:
        names = _join_names(names, state.names)
        things = _join_things(things, state.things, first.base)
    return State(names, things, first.base, facts)


def _seen_thing(state: State, thing: Thing) -> Thing:
    if not any(value.taints for value in thing.fields.values()) and not (thing.rest and thing.rest.taints):
        return thing
    return msgspec.structs.replace(
        thing,
        fields={key: state.seen(value) for key, value in thing.fields.items()},
        rest=state.seen(thing.rest) if thing.rest is not None else None,
    )


def _join_names(left: dict[str, Value], right: dict[str, Value]) -> dict[str, Value]:
    if left is right:
        return left
    joined = dict(left)
    for name, value in right.items():
        known = left.get(name)
        if known is None:
            joined[name] = value
        elif known is not value:
            joined[name] = join(known, value)
    return joined


def _join_things(
    left: dict[int, Thing], right: dict[int, Thing], base: Mapping[int, Thing]
) -> dict[int, Thing]:
    joined = dict(left)
    for number, thing in right.items():
        known = left.get(number)
        if known is thing:
            continue
        if known is None:
            known = base.get(number)
        joined[number] = thing if known is None or known is thing else _join_thing(known, thing)
    if base:
        for number in left.keys() - right.keys():
            if number in base and base[number] is not left[number]:
                joined[number] = _join_thing(base[number], left[number])
    return joined


def _join_thing(left: Thing, right: Thing) -> Thing:
    """Of one thing in two states. What only one has may be missing: that is an unknown value, without taint."""
    fields: dict[Any, Value] = {}
    same = left.size == right.size
    for key in (*left.fields, *(key for key in right.fields if key not in left.fields)):
        one, other = left.fields.get(key), right.fields.get(key)
        if one is None or other is None:
            found = one if one is not None else other
            missing = left.rest if one is None else right.rest
            fields[key] = join(found or UNKNOWN, missing) if missing is not None else found or UNKNOWN
        else:
            fields[key] = one if one is other else join(one, other)
    rest = (
        left.rest if right.rest is None else right.rest if left.rest is None else join(left.rest, right.rest)
    )
    if not same and left.kind in ("list", "tuple"):
        kept = {key: one for key, one in fields.items() if key in left.fields and key in right.fields}
        inside = [one for key, one in fields.items() if key not in kept]
        inside += [rest] if rest is not None else []
        return Thing(left.kind, kept, join_all(inside) if inside else None, None, left.owner)
    keys = join(left.keys, right.keys) if left.keys is not None and right.keys is not None else None
    return Thing(left.kind, fields, rest, left.size if same else None, left.owner, keys)


def _poured(thing: Thing, content: Value | None = None) -> Thing:
    """A thing whose items are known only together, and one more."""
    inside = [*thing.fields.values(), *(one for one in (thing.rest, content) if one is not None)]
    return Thing(thing.kind, {}, join_all(inside), None, thing.owner)
