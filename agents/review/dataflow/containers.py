"""Methods of lists, dictionaries, sets, queues and buffers whose contents are known item by item."""

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from agents.review.dataflow.characters import set_method
from agents.review.dataflow.machine import Frame, Machine
from agents.review.dataflow.members import item
from agents.review.dataflow.operators import keys_of, operate
from agents.review.dataflow.texts import HARMLESS_SIGNS
from agents.review.dataflow.values import (
    NOTHING,
    UNKNOWN,
    Thing,
    Value,
    cleaned,
    constant,
    is_one,
    join,
    join_all,
)

_LISTS: Final = frozenset({"list", "tuple", "set"})


def container_method(
    machine: Machine,
    frame: Frame,
    owner: Value,
    name: str,
    positional: Sequence[Value],
    named: Mapping[str, Value],
    line: int,
) -> Value | None:
    """`owner.name(…)`; None if the owner isn't such a container, or has no such method."""
    thing = frame.state.the_thing(owner)
    if thing is None:
        if len(owner.references) > 1 and positional and name in ("append", "add", "extend", "update"):
            frame.state.add(owner, _content(frame, positional[0]))
            return NOTHING
        return None
    if thing.kind == "dict":
        return _dict_method(machine, frame, owner, thing, name, positional, named, line)
    if thing.kind in _LISTS:
        return _list_method(machine, frame, owner, thing, name, positional, line)
    if thing.kind == "buffer":
        return _buffer_method(frame, owner, thing, name, positional)
    if thing.kind == "Config":
        return _config_method(frame, owner, name, positional)
    return None


def _content(frame: Frame, value: Value) -> Value:
    found = frame.state.items(value) if value.references else value
    return found if found is not None else UNKNOWN


def _list_method(
    machine: Machine,
    frame: Frame,
    owner: Value,
    thing: Thing,
    name: str,
    positional: Sequence[Value],
    line: int,
) -> Value | None:
    state = frame.state
    is_exact = thing.size is not None and len(thing.fields) == thing.size
    if thing.kind == "set" and positional:
        found = set_method(frame, owner, thing, name, positional[0])
        if found is not None:
            return found
    _note_exchange(machine, frame, owner, name, positional)
    match name:
        case "append" | "add" | "put" | "put_nowait" if positional:
            state.append(owner, positional[0])
            return NOTHING
        case "extend" | "update" if positional:
            other = state.the_thing(positional[0])
            if is_exact and other is not None and other.size is not None and len(other.fields) == other.size:
                for index in range(other.size):
                    state.append(owner, other.fields[index])
            else:
                state.add(owner, _content(frame, positional[0]))
            return NOTHING
        case "insert" | "appendleft" if positional:
            _insert(frame, owner, thing, positional, is_exact)
            return NOTHING
        case "pop" | "popleft" | "get" | "get_nowait":
            return _pop(frame, owner, thing, name, positional, is_exact)
        case "remove" | "discard" if positional:
            _remove(frame, owner, thing, positional[0], is_exact)
            return NOTHING
        case "clear":
            state.set_thing(owner, Thing(thing.kind, {}, None, 0, thing.owner))
            return NOTHING
        case "reverse" if is_exact:
            items = [thing.fields[index] for index in range(thing.size or 0)][::-1]
            state.set_thing(owner, msgspec.structs.replace(thing, fields=dict(enumerate(items))))
            return NOTHING
        case "reverse" | "sort":
            inside = state.items(owner)
            state.set_thing(owner, Thing(thing.kind, {}, inside, None, thing.owner))
            return NOTHING
        case "copy" | "union":
            return state.put(thing)
        case "index" | "count":
            return Value(kind="int")
    return None


def _note_exchange(
    machine: Machine, frame: Frame, owner: Value, name: str, positional: Sequence[Value]
) -> None:
    """Who puts something from outside into a queue of a module, and who takes it out, perhaps in another thread."""
    number = owner.references[0]
    if name in ("get", "get_nowait") and frame.function is not None:
        machine.readers.setdefault(number, {})[id(frame.function.syntax)] = frame.function
    if number not in machine.things or name not in ("put", "put_nowait") or not positional:
        return
    if taints := frame.state.taints(positional[0]):
        known = machine.things[number]
        rest = Value(taints=taints) if known.rest is None else join(known.rest, Value(taints=taints))
        machine.things[number] = Thing(known.kind, {}, rest, None, known.owner)
        machine.filled.add(number)


def _insert(frame: Frame, owner: Value, thing: Thing, positional: Sequence[Value], is_exact: bool) -> None:
    place, content = (constant(0), positional[0]) if len(positional) == 1 else (positional[0], positional[1])
    index = place.constants[0] if is_one(place) and place.constants else None
    if not is_exact or type(index) is not int:
        inside = join_all(
            [*thing.fields.values(), *((thing.rest,) if thing.rest is not None else ()), content]
        )
        frame.state.set_thing(owner, Thing(thing.kind, {}, inside, None, thing.owner))
        return
    items = [thing.fields[number] for number in range(thing.size or 0)]
    items.insert(index, content)
    frame.state.set_thing(
        owner, msgspec.structs.replace(thing, fields=dict(enumerate(items)), size=len(items))
    )


def _pop(
    frame: Frame, owner: Value, thing: Thing, name: str, positional: Sequence[Value], is_exact: bool
) -> Value:
    first = name in ("popleft", "get", "get_nowait")
    place = positional[0] if positional and name == "pop" else constant(0 if first else -1)
    index = place.constants[0] if is_one(place) and place.constants else None
    items = [thing.fields[number] for number in range(thing.size or 0)] if is_exact else []
    if not is_exact or type(index) is not int or not -len(items) <= index < len(items):
        inside = frame.state.items(owner) or UNKNOWN
        if index != -1 and thing.fields:
            frame.state.set_thing(owner, Thing(thing.kind, {}, inside, None, thing.owner))
        return inside
    found = items.pop(index)
    frame.state.set_thing(
        owner, msgspec.structs.replace(thing, fields=dict(enumerate(items)), size=len(items))
    )
    return found


def _remove(frame: Frame, owner: Value, thing: Thing, value: Value, is_exact: bool) -> None:
    """Without knowing which item equals it, what is left may be any of them."""
    items = [thing.fields[number] for number in range(thing.size or 0)] if is_exact else []
    for index, one in enumerate(items):
        if one == value and is_one(value):
            del items[index]
            frame.state.set_thing(
                owner, msgspec.structs.replace(thing, fields=dict(enumerate(items)), size=len(items))
            )
            return
        if one.constants is None:
            break
    if items:
        frame.state.set_thing(owner, Thing(thing.kind, {}, join_all(items), None, thing.owner))


def _dict_method(
    machine: Machine,
    frame: Frame,
    owner: Value,
    thing: Thing,
    name: str,
    positional: Sequence[Value],
    named: Mapping[str, Value],
    line: int,
) -> Value | None:
    state = frame.state
    match name:
        case "get" | "pop" | "setdefault" | "__getitem__" if positional:
            return _get(machine, frame, owner, thing, name, positional, line)
        case "update":
            for other in positional:
                inner = state.the_thing(other)
                for key, value in inner.fields.items() if inner is not None else ():
                    state.set_field(owner, key, value)
                if inner is None or inner.rest is not None:
                    state.add(owner, (inner.rest if inner is not None else None) or other)
            for key, value in named.items():
                state.set_field(owner, key, value)
            return NOTHING
        case "values" | "popitem":
            return state.put(Thing("list", {}, state.items(owner)))
        case "keys":
            rest = Value(taints=owner.taints or keys_of(thing).taints) if thing.rest is not None else None
            return state.put(
                Thing("list", {}, join_all([*map(constant, thing.fields), *((rest,) if rest else ())]))
            )
        case "items":
            return _pairs(frame, thing, owner)
        case "copy":
            return state.put(thing)
        case "clear":
            state.set_thing(owner, Thing("dict", {}))
            return NOTHING
    return None


def _pairs(frame: Frame, thing: Thing, owner: Value) -> Value:
    inside = [*thing.fields.values(), *((thing.rest,) if thing.rest is not None else ())]
    keys: list[Value] = [constant(key) for key in thing.fields]
    if thing.rest is not None:
        keys.append(Value(taints=keys_of(thing).taints))
    if owner.taints:
        keys.append(Value(taints=owner.taints))
    pair = frame.state.put(
        Thing(
            "tuple",
            {0: join_all(keys) if keys else UNKNOWN, 1: join_all(inside) if inside else UNKNOWN},
            None,
            2,
        )
    )
    return frame.state.put(Thing("list", {}, pair))


def _get(
    machine: Machine,
    frame: Frame,
    owner: Value,
    thing: Thing,
    name: str,
    positional: Sequence[Value],
    line: int,
) -> Value:
    key = positional[0]
    default = positional[1] if len(positional) > 1 else NOTHING
    is_known = is_one(key) and key.constants is not None
    wanted = key.constants[0] if is_known and key.constants else None
    if is_known and wanted in thing.fields:
        found = item(machine, frame, owner, key, line)
        if name == "pop":
            fields = {one: value for one, value in thing.fields.items() if one != wanted}
            frame.state.set_thing(owner, msgspec.structs.replace(thing, fields=fields))
        return found
    if name == "setdefault":
        if is_known:
            frame.state.set_field(owner, wanted, default)
        else:
            frame.state.add(owner, default)
        return default
    if is_known and thing.rest is None and not owner.taints:
        return default
    if (
        default.taints and default.taints == key.taints
    ):  # `table.get(sign, sign)`: signs are replaced one by one
        held_off = [HARMLESS_SIGNS[sign] for sign in thing.fields if sign in HARMLESS_SIGNS]
        default = cleaned(default, frozenset().union(*held_off))
    return join(item(machine, frame, owner, key, line), default)


def _buffer_method(
    frame: Frame, owner: Value, thing: Thing, name: str, positional: Sequence[Value]
) -> Value | None:
    """`io.StringIO`: its text is one value, the parts in the order they were written."""
    known = thing.fields.get("text", constant(""))
    match name:
        case "write" | "writelines" if positional:
            added = _content(frame, positional[0]) if name == "writelines" else positional[0]
            frame.state.set_field(owner, "text", operate(frame, "+", known, added))
            return Value(kind="int")
        case "getvalue" | "read" | "readline" | "readlines":
            return known
        case "seek" | "flush" | "close" | "truncate":
            return NOTHING
    return None


def _config_method(frame: Frame, owner: Value, name: str, positional: Sequence[Value]) -> Value | None:
    """`configparser`: options by section and name."""
    if name in ("add_section", "has_section", "read", "has_option"):
        return UNKNOWN
    known = [one.constants[0] for one in positional[:2] if is_one(one) and one.constants]
    if len(known) < 2:
        if name == "set" and len(positional) > 2:
            frame.state.add(owner, positional[2])
        return None
    key = f"{known[0]}\0{str(known[1]).lower()}"
    if name == "set" and len(positional) > 2:
        frame.state.set_field(owner, key, positional[2])
        return NOTHING
    if name == "get":
        return frame.state.field(owner, key) or UNKNOWN
    return None
