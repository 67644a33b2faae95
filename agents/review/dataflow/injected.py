"""What FastAPI gives to parameters: parts of the request, models made of its body, and what dependencies return."""

from typing import Any, Final

from agents.review.dataflow import syntax as s
from agents.review.dataflow.calls_project import call_function
from agents.review.dataflow.classes import annotation_text
from agents.review.dataflow.entries import Entry
from agents.review.dataflow.instances import instantiate, is_safe_type
from agents.review.dataflow.machine import Frame, Machine
from agents.review.dataflow.project import ProjectClass, ProjectFunction
from agents.review.dataflow.regexes import calls_in, pattern_of
from agents.review.dataflow.routes import SAFE_CONVERTERS
from agents.review.dataflow.values import UNKNOWN, Step, Taint, Thing, Value, changed, cleaned

MODELS_DEPTH_MAX: Final = 3
"""Models inside models."""


def outside(function: ProjectFunction, parameter: s.Parameter, trust: str, what: str) -> Value:
    """The value of a parameter that someone else controls."""
    path = function.module.path
    token = f"{path}:{function.syntax.line}:{parameter.name}"
    step = Step(path, parameter.line, f"{what} {parameter.name}")
    return Value(taints=(Taint(trust, token, frozenset(), step),))


def injected(
    machine: Machine,
    frame: Frame,
    function: ProjectFunction,
    entry: Entry,
    parameter: s.Parameter,
    typed: Value,
) -> Value:
    """What a parameter of a FastAPI handler, or of a dependency, is."""
    calls = calls_in(parameter.annotation, parameter.default)
    for call in calls:
        if annotation_text(call.function).endswith(("Depends", "Security")):
            return _depends(machine, frame, function, call, typed)
    annotation = annotation_text(parameter.annotation) if parameter.annotation is not None else ""
    if (annotation and is_safe_type(annotation)) or entry.parameters.get(parameter.name) in SAFE_CONVERTERS:
        return UNKNOWN
    value = cleaned(outside(function, parameter, "remote", "parameter"), _held_off(calls))
    for target in typed.targets:
        if isinstance(target, ProjectClass):
            return UNKNOWN if is_choice(target) else model(frame, target, value)
    if typed.kind and not typed.kind.startswith(("builtins.", "typing.", "pydantic.")):
        if typed.kind.rsplit(".", 1)[-1] in ("UploadFile", "SecretStr"):
            return changed(value, kind=typed.kind)
        return Value(kind=typed.kind)
    return value


def is_choice(owner: ProjectClass) -> bool:
    """Whether the class is an enumeration."""
    return any(base.startswith("enum.") for base in owner.library_bases())


def model(frame: Frame, owner: ProjectClass, value: Value, depth: int = 0) -> Value:
    """A model from a request's body: fields of harmless types are harmless, all else is from outside."""
    fields: dict[Any, Value] = {}
    for one in reversed(owner.lineage()):
        for name, annotation in one.annotations.items():
            fields[name] = _field(frame, one, annotation, _part(value, name), depth)
            fields[name] = cleaned(fields[name], one.patterns.get(name, frozenset()))
    return frame.state.put(Thing("instance", fields, value, None, owner))


def _field(frame: Frame, owner: ProjectClass, annotation: str, value: Value, depth: int) -> Value:
    if is_safe_type(annotation):
        return UNKNOWN
    named = owner.module.names.get(annotation.removeprefix("Optional[").rstrip("]").split("|")[0])
    for target in named.targets if named is not None else ():
        if isinstance(target, ProjectClass):
            if is_choice(target):
                return UNKNOWN
            if depth < MODELS_DEPTH_MAX and target is not owner:
                return model(frame, target, value, depth + 1)
    return value


def _part(value: Value, name: str) -> Value:
    """A field of a value from outside, called by its name."""
    parts = []
    for taint in value.taints:
        step = Step(
            taint.step.path, taint.step.line, f"{taint.step.what}.{name}", taint.step.before, taint.step.count
        )
        parts.append(Taint(taint.trust, f"{taint.token}[{name}]", taint.clean, step, taint.is_sure))
    return Value(taints=tuple(parts))


def _held_off(calls: list[s.Call]) -> frozenset[str]:
    """Kinds of flaw that a stated pattern keeps out: `Query(pattern="^[a-z]+$")`."""
    return frozenset().union(*map(pattern_of, calls))


def _depends(
    machine: Machine, frame: Frame, function: ProjectFunction, dependency: s.Call, typed: Value
) -> Value:
    """What a dependency returns; its own parameters come from the request too."""
    from agents.review.dataflow.arguments import arguments_of, instance_of

    provider = machine.evaluate(frame, dependency.arguments[0].value) if dependency.arguments else typed
    for target in provider.targets:
        if isinstance(target, ProjectClass):
            maker = target.member("__init__")
            for init in maker.targets if maker is not None else ():
                if isinstance(init, ProjectFunction):
                    given = arguments_of(machine, frame, init, Entry("fast"))
                    named = {one.name: given[one.name] for one in init.syntax.parameters[1:] if not one.stars}
                    return instantiate(machine, frame, target, [], named, dependency.line)
            return model(
                frame, target, outside(function, s.Parameter(dependency.line, "query"), "remote", "parameter")
            )
        if isinstance(target, ProjectFunction) and target.syntax is not function.syntax:
            given = arguments_of(machine, frame, target, Entry("fast"))
            named = {name: value for name, value in given.items() if name not in ("self", "cls")}
            value = call_function(machine, frame, target, [], named, dependency.line)
            frame.dead = False
            if target.syntax.is_generator:
                value = frame.state.items(value) or UNKNOWN
            return value
    return Value(kind=typed.kind) if typed.kind else instance_of(machine, frame, typed)
