"""What expressions are: names, operators, literals and containers. Calls are in `calls.py`."""

import builtins
from typing import Any, Final

from agents.review.dataflow import syntax as s
from agents.review.dataflow.calls import evaluate_call
from agents.review.dataflow.characters import other_signs
from agents.review.dataflow.checks import compare, facts_of
from agents.review.dataflow.classes import annotation_text, closure_of
from agents.review.dataflow.contexts import percent, placed
from agents.review.dataflow.cookies import with_flags
from agents.review.dataflow.library import as_text
from agents.review.dataflow.machine import Evaluate, Frame, Machine
from agents.review.dataflow.members import item, member
from agents.review.dataflow.narrowing import narrow
from agents.review.dataflow.operators import concatenate, iterated, operate
from agents.review.dataflow.project import ProjectAlias, ProjectFunction
from agents.review.dataflow.state import State, join_states
from agents.review.dataflow.targets import assign, name_secret, setting
from agents.review.dataflow.values import (
    BOOLEAN,
    NO_FACTS,
    UNKNOWN,
    Thing,
    Value,
    built_at,
    changed,
    constant,
    is_one,
    join,
    join_all,
    merge_taints,
    shared_facts,
    truth,
)

_BUILTINS: Final = frozenset(dir(builtins)) | {
    "raw_input",
    "execfile",
    "file",
    "unicode",
    "reload",
    "long",
    "xrange",
}


def _const(machine: Machine, frame: Frame, node: s.Const) -> Value:
    return constant(node.value)


def _name(machine: Machine, frame: Frame, node: s.Name) -> Value:
    name = node.name
    value = frame.state.names.get(name)
    if value is None and frame.function is not None and frame.function.closure is not None:
        value = frame.function.closure.get(name)
    if value is None:
        value = frame.module.names.get(name)
    if value is None:
        return Value(kind=f"builtins.{name}") if name in _BUILTINS else UNKNOWN
    return frame.state.seen(value) if value.taints else value


def _attribute(machine: Machine, frame: Frame, node: s.Attribute) -> Value:
    return member(machine, frame, machine.evaluate(frame, node.owner), node.name, node.line)


def _index(machine: Machine, frame: Frame, node: s.Index) -> Value:
    if frame.function is None and annotation_text(node.owner) in _ANNOTATED:
        return Value(targets=(ProjectAlias(node, frame.module),))
    owner = machine.evaluate(frame, node.owner)
    if isinstance(node.key, s.Slice):
        return _sliced(machine, frame, owner, node.key)
    return item(machine, frame, owner, machine.evaluate(frame, node.key), node.line)


_ANNOTATED: Final = frozenset({"Annotated", "typing.Annotated", "typing_extensions.Annotated", "t.Annotated"})


def _sliced(machine: Machine, frame: Frame, owner: Value, key: s.Slice) -> Value:
    """A part of a text or a list: the same origin; known if both it and the bounds are."""
    bounds: list[Any] = []
    for bound in (key.lower, key.upper):
        value = machine.evaluate(frame, bound) if bound is not None else None
        bounds.append(
            None if value is None else value.constants[0] if is_one(value) and value.constants else ...
        )
    if all(bound is None or type(bound) is int for bound in bounds):
        lower, upper = bounds
        if is_one(owner) and owner.constants and isinstance(owner.constants[0], str | bytes):
            return constant(owner.constants[0][lower:upper])
        thing = frame.state.the_thing(owner)
        if thing is not None and thing.size is not None and len(thing.fields) == thing.size:
            kept = [thing.fields[index] for index in range(thing.size)[lower:upper]]
            return frame.state.put(Thing(thing.kind, dict(enumerate(kept)), None, len(kept)))
    if owner.references:
        inside = frame.state.items(owner)
        return frame.state.put(Thing("list", {}, inside))
    return Value(taints=owner.taints, kind=owner.kind if owner.kind == "str" else "")


def _binary(machine: Machine, frame: Frame, node: s.Binary) -> Value:
    values = [machine.evaluate(frame, operand) for operand in node.operands]
    if node.operator == "+":
        values = placed(values)
    value = values[0]
    for one in values[1:]:
        value = operate(
            frame, node.operator, value, percent(frame, value, one) if node.operator == "%" else one
        )
    if node.operator not in ("+", "%"):
        return value
    return built_at(with_flags(value, values), frame.path, node.line)


def _logic(machine: Machine, frame: Frame, node: s.Logic) -> Value:
    """Each operand is looked at knowing how the ones before came out."""
    is_and = node.operator == "and"
    before = frame.state.facts
    results: list[Value] = []
    yes, no = (NO_FACTS, NO_FACTS)
    for place, operand in enumerate(node.operands):
        value = machine.evaluate(frame, operand)
        is_true = truth(value)
        if place == 0:
            yes, no = value.yes, value.no
        elif is_and:
            yes, no = yes | value.yes, shared_facts(no, value.no)
        else:
            yes, no = shared_facts(yes, value.yes), no | value.no
        if is_true is not None and is_true is not is_and:  # the rest isn't looked at
            results = [*results, value] if results else [value]
            if is_and:
                no = NO_FACTS if len(results) > 1 else value.no
            break
        if place == len(node.operands) - 1:
            results.append(value)
        elif is_true is None:  # what ends an `and` early is false: empty, so harmless
            results.append(value if not is_and else Value(constants=_false(value), kind=value.kind))
        frame.state.learn(value.yes if is_and else value.no)
    frame.state.facts = before
    if len(results) == 1:
        return changed(results[0], yes=yes, no=no)
    joined = join_all(results)
    return changed(joined, yes=yes, no=no)


def _false(value: Value) -> tuple[Any, ...] | None:
    return tuple(one for one in value.constants if not one) if value.constants is not None else None


def _not(machine: Machine, frame: Frame, node: s.Not) -> Value:
    value = machine.evaluate(frame, node.operand)
    is_true = truth(value)
    known = None if is_true is None else (not is_true,)
    return Value(constants=known, kind="bool", yes=value.no, no=value.yes)


def _unary(machine: Machine, frame: Frame, node: s.Unary) -> Value:
    value = machine.evaluate(frame, node.operand)
    if (
        node.operator == "-"
        and is_one(value)
        and value.constants
        and type(value.constants[0]) in (int, float)
    ):
        return constant(-value.constants[0])
    return Value(taints=value.taints)


def _compare(machine: Machine, frame: Frame, node: s.Compare) -> Value:
    left = machine.evaluate(frame, node.left)
    found: Value | None = None
    for operator, right_node in zip(node.operators, node.rights, strict=True):
        right = machine.evaluate(frame, right_node)
        one = _of_sets(frame, operator, left, right) or compare(frame, operator, left, right)
        if found is None:
            found = one
        else:
            both = truth(found) is True and truth(one) is True
            found = Value(
                constants=(True,) if both else None,
                kind="bool",
                yes=found.yes | one.yes,
                no=shared_facts(found.no, one.no),
            )
            if truth(one) is False:
                found = changed(found, constants=(False,))
        left = right
    return found if found is not None else BOOLEAN


def _of_sets(frame: Frame, operator: str, left: Value, right: Value) -> Value | None:
    """`set(text) <= ALLOWED`"""
    if operator in ("<=", "<") and left.references:
        return changed(BOOLEAN, yes=other_signs(frame, left, right))
    if operator in (">=", ">") and right.references:
        return changed(BOOLEAN, yes=other_signs(frame, right, left))
    return None


def _conditional(machine: Machine, frame: Frame, node: s.Conditional) -> Value:
    test = machine.evaluate(frame, node.test)
    is_true = truth(test)
    if is_true is not None:
        frame.state.learn(facts_of(test, is_true))
        return machine.evaluate(frame, node.yes if is_true else node.no)
    before = frame.state
    results, states = [], []
    for outcome, branch in ((True, node.yes), (False, node.no)):
        frame.state = before.copy()
        frame.state.learn(facts_of(test, outcome))
        narrow(machine, frame, node.test, outcome)
        results.append(frame.state.seen(machine.evaluate(frame, branch)))
        states.append(frame.state)
    frame.state = join_states(states) or before
    return join(results[0], results[1])


def _text(machine: Machine, frame: Frame, node: s.Text) -> Value:
    """Parts side by side. What stands alone is what an f-string puts in."""
    values = [machine.evaluate(frame, part) for part in node.parts]
    values = [as_text(machine, frame, one, node.line) if one.references else one for one in values]
    value = with_flags(concatenate(frame, placed(values)), values)
    return built_at(value, frame.path, node.line) if len(values) > 1 else value


def _sequence(machine: Machine, frame: Frame, node: s.Sequence) -> Value:
    fields: dict[Any, Value] = {}
    rest: Value | None = None
    for one in node.items:
        if isinstance(one, s.Star):
            value = machine.evaluate(frame, one.value)
            known, inside = _spread(frame, value)
            if rest is None and len(fields) + len(known) < _FIELDS_MAX:
                fields |= dict(enumerate(known, len(fields)))
            else:
                inside = join_all([*known, *((inside,) if inside is not None else ())])
            rest = inside if rest is None else join(rest, inside) if inside is not None else rest
        elif rest is None and len(fields) < _FIELDS_MAX:
            fields[len(fields)] = machine.evaluate(frame, one)
        else:
            value = machine.evaluate(frame, one)
            rest = value if rest is None else join(rest, value)
    return frame.state.put(Thing(node.kind, fields, rest, len(fields) if rest is None else None))


_FIELDS_MAX: Final = 64


def _spread(frame: Frame, value: Value) -> tuple[list[Value], Value | None]:
    """Of `*value` the items whose place is known, and all others together."""
    thing = frame.state.the_thing(value)
    if thing is None or thing.kind not in ("list", "tuple"):
        return [], frame.state.items(value) if value.references else value
    count = next((index for index in range(len(thing.fields) + 1) if index not in thing.fields), 0)
    others = [one for index, one in thing.fields.items() if type(index) is not int or index >= count]
    others += [thing.rest] if thing.rest is not None else []
    return [thing.fields[index] for index in range(count)], join_all(others) if others else None


def _star(machine: Machine, frame: Frame, node: s.Star) -> Value:
    return machine.evaluate(frame, node.value)


def _mapping(machine: Machine, frame: Frame, node: s.Mapping) -> Value:
    fields: dict[Any, Value] = {}
    rest: Value | None = None
    for key_node, value_node in node.pairs:
        value = machine.evaluate(frame, value_node)
        if key_node is None:
            thing = frame.state.the_thing(value)
            if thing is not None:
                fields |= thing.fields
                value = thing.rest or UNKNOWN
            rest = value if rest is None else join(rest, value)
            continue
        key = machine.evaluate(frame, key_node)
        if is_one(key) and key.constants and len(fields) < _FIELDS_MAX:
            fields[key.constants[0]] = value
            if isinstance(key.constants[0], str) and key.constants[0].isupper():
                setting(machine, frame, key.constants[0], value, value_node.line)
            if value.taints and isinstance(key.constants[0], str):
                name_secret(machine, frame, key.constants[0], value, value_node.line)
        else:
            for found in (value, Value(taints=key.taints)) if key.taints else (value,):
                rest = found if rest is None else join(rest, found)
    return frame.state.put(Thing("dict", fields, rest))


def _comprehension(machine: Machine, frame: Frame, node: s.Comprehension) -> Value:
    """One round of it: an item of what is made. Names inside end with it; what was checked holds for the item."""
    outer = frame.state
    frame.state = State(outer.names.copy(), outer.things, outer.base, outer.facts)
    yes = NO_FACTS
    for clause in node.clauses:
        value = machine.evaluate(frame, clause.source)
        if clause.target is not None:
            assign(machine, frame, clause.target, iterated(frame, value), clause.line)
        else:
            frame.state.learn(facts_of(value, True))
    key = machine.evaluate(frame, node.key) if node.key is not None else None
    inside = frame.state.seen(machine.evaluate(frame, node.value))
    yes = inside.yes
    things = frame.state.things
    frame.state = outer
    outer.things = things
    kind = "list" if node.kind == "generator" else node.kind
    made = outer.put(Thing(kind, {}, inside, keys=frame.state.seen(key) if key is not None else None))
    if key is not None and key.taints:
        made = changed(made, taints=key.taints)
    return changed(made, yes=yes, no=inside.no) if yes or inside.no else made


def _await(machine: Machine, frame: Frame, node: s.Await) -> Value:
    return machine.evaluate(frame, node.value)


def _yield(machine: Machine, frame: Frame, node: s.Yield) -> Value:
    if node.value is not None:
        value = machine.evaluate(frame, node.value)
        if node.is_from:
            value = iterated(frame, value)
        frame.yields.append(value)
    return UNKNOWN


def _walrus(machine: Machine, frame: Frame, node: s.Walrus) -> Value:
    value = machine.evaluate(frame, node.value)
    assign(machine, frame, s.Name(node.line, node.name), value, node.line)
    return value


def _unknown(machine: Machine, frame: Frame, node: s.Unknown) -> Value:
    values = [machine.evaluate(frame, part) for part in node.parts]
    return Value(taints=merge_taints(*(frame.state.taints(value) for value in values)))


def _function(machine: Machine, frame: Frame, node: s.Function) -> Value:
    return Value(targets=(ProjectFunction(node, frame.module, closure_of(frame)),))


def _slice(machine: Machine, frame: Frame, node: s.Slice) -> Value:
    return UNKNOWN


EVALUATORS: Final[dict[type, Evaluate]] = {
    s.Const: _const,
    s.Name: _name,
    s.Attribute: _attribute,
    s.Index: _index,
    s.Slice: _slice,
    s.Call: evaluate_call,
    s.Binary: _binary,
    s.Logic: _logic,
    s.Not: _not,
    s.Unary: _unary,
    s.Compare: _compare,
    s.Conditional: _conditional,
    s.Text: _text,
    s.Sequence: _sequence,
    s.Star: _star,
    s.Mapping: _mapping,
    s.Comprehension: _comprehension,
    s.Await: _await,
    s.Yield: _yield,
    s.Walrus: _walrus,
    s.Unknown: _unknown,
    s.Function: _function,
}
