"""Calls: what is called, with which arguments, and who answers: the project's code or a library."""

from typing import Any

from agents.review.dataflow import syntax as s
from agents.review.dataflow.calls_library import call_library
from agents.review.dataflow.calls_project import call_function
from agents.review.dataflow.instances import instantiate
from agents.review.dataflow.machine import Frame, Machine
from agents.review.dataflow.members import member
from agents.review.dataflow.project import ProjectClass, ProjectFunction
from agents.review.dataflow.sinks import reach
from agents.review.dataflow.targets import name_secret, setting
from agents.review.dataflow.values import UNKNOWN, Value, changed, join

PARTIAL = "functools.partial()"


def evaluate_call(machine: Machine, frame: Frame, node: s.Call) -> Value:
    """What a call returns."""
    owner: Value | None = None
    if isinstance(node.function, s.Attribute):
        bound = _of_super(frame, node.function)
        if bound is not None:
            callee = bound
        else:
            owner = machine.evaluate(frame, node.function.owner)
            callee = member(machine, frame, owner, node.function.name, node.function.line)
    else:
        callee = machine.evaluate(frame, node.function)
    positional, named = _arguments(machine, frame, node)
    return call_known(machine, frame, node, callee, owner, positional, named)


def call_known(
    machine: Machine,
    frame: Frame,
    node: s.Call,
    callee: Value,
    owner: Value | None,
    positional: list[Value],
    named: dict[str, Value],
) -> Value:
    """What a call returns whose function and arguments were looked at."""
    thing = frame.state.the_thing(callee)
    if thing is not None and thing.kind == PARTIAL:
        positional = [*(thing.fields[index] for index in range(thing.size or 0)), *positional]
        named = {name: one for name, one in thing.fields.items() if isinstance(name, str)} | named
        callee, owner = named.pop(PARTIAL), None
    if owner is not None and owner.targets and not callee.targets and isinstance(node.function, s.Attribute):
        callee, positional, named = _as_task(frame, owner, callee, node.function.name, positional, named)
    if owner is not None and positional and owner.targets and isinstance(node.function, s.Attribute):
        callee, positional, named = _as_model(owner, callee, node.function.name, positional, named)
    result: Value | None = None
    for target in callee.targets:
        one = _call_target(machine, frame, target, positional, named, node.line)
        if one is not None:
            result = one if result is None else join(result, one)
        if frame.dead:
            return UNKNOWN
    if result is None:
        result = _call_instance(machine, frame, callee, positional, named, node.line)
    if result is not None:
        return result
    return call_library(machine, frame, node, callee, owner, positional, named)


def _as_model(
    owner: Value, callee: Value, name: str, positional: list[Value], named: dict[str, Value]
) -> tuple[Value, list[Value], dict[str, Value]]:
    """`Model.model_validate(data)` of pydantic is `Model(**data)`."""
    classes = tuple(one for one in owner.targets if isinstance(one, ProjectClass))
    if callee.targets or not classes or name not in ("model_validate", "parse_obj", "model_construct"):
        return callee, positional, named
    return Value(targets=classes), [], {"**": positional[0]}


def _as_task(
    frame: Frame,
    owner: Value,
    callee: Value,
    name: str,
    positional: list[Value],
    named: dict[str, Value],
) -> tuple[Value, list[Value], dict[str, Value]]:
    """`task.delay(…)` and `task.apply_async(args=[…])` of Celery are calls of the function, at another time."""
    if name not in ("delay", "apply_async", "send", "enqueue"):
        return callee, positional, named
    functions = tuple(one for one in owner.targets if isinstance(one, ProjectFunction))
    if not functions:
        return callee, positional, named
    if name == "apply_async":
        thing = frame.state.the_thing(named.get("args", positional[0] if positional else UNKNOWN))
        keyed = frame.state.the_thing(named.get("kwargs", UNKNOWN))
        positional = [thing.fields[index] for index in range(thing.size or 0)] if thing is not None else []
        named = {str(key): one for key, one in keyed.fields.items()} if keyed is not None else {}
    parameters = functions[0].syntax.parameters
    if parameters and parameters[0].name == "self" and functions[0].receiver is None:  # `bind=True`
        positional = [UNKNOWN, *positional]
    return Value(targets=functions), positional, named


def _of_super(frame: Frame, function: s.Attribute) -> Value | None:
    """`super().name`, bound to the instance at hand."""
    owner = function.owner
    if not (
        isinstance(owner, s.Call) and isinstance(owner.function, s.Name) and owner.function.name == "super"
    ):
        return None
    around = frame.function
    if around is None or around.owner is None or around.receiver is None:
        return None
    for one in around.owner.lineage()[1:]:
        found = one.names.get(function.name)
        if found is not None:
            return changed(
                found,
                targets=tuple(
                    ProjectFunction(it.syntax, it.module, it.closure, it.owner, around.receiver, it.how)
                    for it in found.targets
                    if isinstance(it, ProjectFunction)
                ),
            )
    return None


def _arguments(machine: Machine, frame: Frame, node: s.Call) -> tuple[list[Value], dict[str, Value]]:
    """Arguments by position and by name; those of unknown number under `*` and `**`."""
    positional: list[Value] = []
    named: dict[str, Value] = {}
    for argument in node.arguments:
        value = machine.evaluate(frame, argument.value)
        if argument.stars == 1:
            thing = frame.state.the_thing(value)
            if thing is not None and thing.size is not None and len(thing.fields) == thing.size:
                positional += [thing.fields[index] for index in range(thing.size)]
            else:
                inside = frame.state.items(value) if value.references else value
                named["*"] = inside if inside is not None else UNKNOWN
        elif argument.stars == 2:
            thing = frame.state.the_thing(value)
            if thing is not None:
                named |= {key: one for key, one in thing.fields.items() if isinstance(key, str)}
            if thing is None or thing.rest is not None:
                named["**"] = (thing.rest if thing is not None else None) or value
        elif argument.name:
            named[argument.name] = value
            if argument.name.isupper():
                setting(machine, frame, argument.name, value, argument.line)
            if value.taints:
                name_secret(machine, frame, argument.name, value, argument.line)
        else:
            positional.append(value)
    return positional, named


def _call_target(
    machine: Machine, frame: Frame, target: Any, positional: list[Value], named: dict[str, Value], line: int
) -> Value | None:
    if isinstance(target, ProjectFunction):
        return call_function(machine, frame, target, positional, named, line)
    if isinstance(target, ProjectClass):
        if target.member("find_class") is None and any(
            base.endswith(".Unpickler") for base in target.library_bases()
        ):
            given = {str(index): value for index, value in enumerate(positional)} | named
            reach(machine, frame, "pickle.Unpickler", given, line, what=target.syntax.name)
        return instantiate(machine, frame, target, positional, named, line)
    return None


def _call_instance(
    machine: Machine, frame: Frame, callee: Value, positional: list[Value], named: dict[str, Value], line: int
) -> Value | None:
    """An instance with `__call__`."""
    thing = frame.state.the_thing(callee)
    if thing is None or not isinstance(thing.owner, ProjectClass):
        return None
    method = thing.owner.member("__call__")
    for target in method.targets if method is not None else ():
        if isinstance(target, ProjectFunction):
            bound = ProjectFunction(target.syntax, target.module, target.closure, target.owner, callee)
            return call_function(machine, frame, bound, positional, named, line)
    return None
