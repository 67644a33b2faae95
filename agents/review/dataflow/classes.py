"""Definitions: functions with what their decorators say of them, and classes."""

from collections.abc import Mapping
from typing import Final

from agents.review.dataflow import syntax as s
from agents.review.dataflow.machine import Frame, Machine
from agents.review.dataflow.project import ProjectAlias, ProjectClass, ProjectFunction
from agents.review.dataflow.regexes import calls_in, pattern_of
from agents.review.dataflow.state import State
from agents.review.dataflow.values import UNKNOWN, Value

_PROPERTIES: Final = frozenset({"property", "cached_property", "hybrid_property"})


def closure_of(frame: Frame) -> Mapping[str, Value] | None:
    """The names that a function made here sees around it."""
    if frame.function is None:
        return None
    outer = frame.function.closure
    return {**outer, **frame.state.names} if outer else frame.state.names


def define_function(machine: Machine, frame: Frame, node: s.Function) -> Value:
    """The function, remembered in case that nobody calls it."""
    function = ProjectFunction(node, frame.module, closure_of(frame), None, None, _how(node))
    machine.functions[id(node)] = function
    plain = value = Value(targets=(function,))
    for decorator in reversed(node.decorators):
        value = _decorated(machine, frame, decorator, function, value)
    if value is not plain:
        machine.wrapped[id(node)] = value
    return value


def _decorated(
    machine: Machine, frame: Frame, decorator: s.Expr, function: ProjectFunction, value: Value
) -> Value:
    """What a decorator of the project makes of a function: what still calls it. Others leave it as it is."""
    from agents.review.dataflow.library import call_value

    wrapper = machine.evaluate(frame, decorator)
    frame.dead = False
    if not wrapper.references and not any(
        isinstance(one, ProjectFunction | ProjectClass) for one in wrapper.targets
    ):
        return value
    made = call_value(machine, frame, wrapper, [value], decorator.line)
    frame.dead = False
    thing = frame.state.the_thing(made)
    if thing is not None and thing.owner is not None:
        return made if any(_holds(one, function) for one in thing.fields.values()) else value
    targets = tuple(
        ProjectFunction(one.syntax, one.module, one.closure, one.owner, one.receiver, function.how)
        for one in made.targets
        if isinstance(one, ProjectFunction)
        and one.syntax is not function.syntax
        and one.closure is not None
        and any(_holds(inner, function) for inner in one.closure.values())
    )
    return Value(targets=targets) if targets else value


def _holds(value: Value, function: ProjectFunction) -> bool:
    return any(isinstance(one, ProjectFunction) and one.syntax is function.syntax for one in value.targets)


def _how(node: s.Function) -> str:
    for decorator in node.decorators:
        name = decorator_name(decorator)
        if name == "staticmethod":
            return "static"
        if name == "classmethod":
            return "class"
        if name in _PROPERTIES:
            return "property"
    return ""


def decorator_name(node: s.Expr) -> str:
    """The last name of a decorator: `route` for `@app.route("/")`."""
    if isinstance(node, s.Call):
        node = node.function
    if isinstance(node, s.Attribute):
        return node.name
    return node.name if isinstance(node, s.Name) else ""


def define_class(machine: Machine, frame: Frame, node: s.Class) -> Value:
    """The class, its body walked once."""
    bases = [_base(machine, frame, base) for base in node.bases]
    found = ProjectClass(node, frame.module, {}, bases, {})
    for base in bases:
        for one in base.targets:
            if isinstance(one, ProjectClass):
                one.heirs.append(found)
    found.is_data = any(decorator_name(one) in ("dataclass", "define", "frozen") for one in node.decorators)
    outer = frame.state
    frame.state = State(
        {**outer.names} if frame.function is not None else {}, outer.things, outer.base, outer.facts
    )
    before = set(frame.state.names)
    try:
        for statement in node.body:
            if isinstance(statement, s.Assign) and statement.annotation is not None:
                for target in statement.targets:
                    if isinstance(target, s.Name):
                        _note_field(machine, frame, found, target.name, statement)
            machine.run(frame, [statement])
            if frame.dead:
                frame.dead = False
                break
        found.names = {
            name: _owned(machine, value, found)
            for name, value in frame.state.names.items()
            if name not in before or value is not outer.names.get(name)
        }
    finally:
        outer.things = frame.state.things
        frame.state = outer
    return Value(targets=(found,))


def _note_field(machine: Machine, frame: Frame, owner: ProjectClass, name: str, field: s.Assign) -> None:
    """The type of a field, and what patterns keep out of it: `constr(pattern=…)`, `Field(pattern=…)`."""
    annotation = field.annotation
    if annotation is None:
        return
    while isinstance(annotation, s.Unknown) and len(annotation.parts) == 1:
        annotation = annotation.parts[0]
    if isinstance(annotation, s.Name | s.Attribute):
        targets = machine.evaluate(frame, annotation).targets
        annotation = next((one.node for one in targets if isinstance(one, ProjectAlias)), annotation)
    owner.annotations[name] = annotation_text(annotation)
    calls = calls_in(annotation, field.value)
    owner.patterns[name] = frozenset().union(*map(pattern_of, calls))


def _base(machine: Machine, frame: Frame, node: s.Expr) -> Value:
    if isinstance(node, s.Index):  # Generic[T], Repository[User]
        node = node.owner
    value = machine.evaluate(frame, node)
    return value if value.targets or value.kind else UNKNOWN


def _owned(machine: Machine, value: Value, owner: ProjectClass) -> Value:
    """Functions of a class's body as its methods."""
    if not any(isinstance(one, ProjectFunction) for one in value.targets):
        return value
    targets = []
    for one in value.targets:
        if isinstance(one, ProjectFunction) and one.owner is None:
            one = ProjectFunction(one.syntax, one.module, one.closure, owner, None, one.how)
            machine.functions[id(one.syntax)] = one
        targets.append(one)
    return Value(targets=tuple(targets))


def annotation_text(node: s.Expr) -> str:
    """An annotation as it is written, without what doesn't matter."""
    match node:
        case s.Name(name=name):
            return name
        case s.Attribute(owner=owner, name=name):
            return f"{annotation_text(owner)}.{name}"
        case s.Index(owner=owner, key=key):
            return f"{annotation_text(owner)}[{annotation_text(key)}]"
        case s.Binary(operator="|", operands=operands):
            return "|".join(annotation_text(one) for one in operands)
        case s.Sequence(items=items):
            return ",".join(annotation_text(one) for one in items)
        case s.Const(value=value):
            return str(value)
        case s.Unknown(parts=parts) if parts:
            first = annotation_text(parts[0])
            inside = ",".join(annotation_text(one) for one in parts[1:])
            return f"{first}[{inside}]" if inside else first
    return "?"
