"""What the parameters of a function are when it is entered from outside, or called by someone unknown."""

import re
from typing import Any, Final

import msgspec

from agents.review.dataflow import syntax as s
from agents.review.dataflow.calls_project import unsure
from agents.review.dataflow.classes import annotation_text
from agents.review.dataflow.entries import Entry, uses_framework
from agents.review.dataflow.injected import injected, outside
from agents.review.dataflow.instances import instantiate, is_safe_type
from agents.review.dataflow.interfaces import START
from agents.review.dataflow.machine import Frame, Machine
from agents.review.dataflow.project import ProjectAlias, ProjectClass, ProjectFunction
from agents.review.dataflow.routes import SAFE_CONVERTERS
from agents.review.dataflow.state import State
from agents.review.dataflow.values import UNKNOWN, Thing, Value, changed

_VIEWS: Final = re.compile(r"(?i)(?:views?|handlers?|api|routes?|endpoints?|controllers?)(?:/|\.py$|s?/)")
_NO_TEXTS: Final = frozenset(
    {
        "form",
        "obj",
        "user",
        "instance",
        "queryset",
        "response",
        "exception",
        "exc",
        "error",
        "model",
        "view",
        "config",
    }
)
"""Names of parameters that the program itself gives."""
_IDS: Final = ("pk", "id", "page", "year", "month", "day")


def arguments_of(machine: Machine, frame: Frame, function: ProjectFunction, entry: Entry) -> dict[str, Value]:
    """What each parameter is when a function is entered from outside, or called by someone unknown."""
    names: dict[str, Value] = {}
    for index, parameter in enumerate(function.syntax.parameters):
        if index == 0 and function.owner is not None and function.how != "static":
            names[parameter.name] = _receiver(machine, frame, function)
        else:
            names[parameter.name] = _argument(machine, frame, function, entry, parameter)
    return names


def _receiver(machine: Machine, frame: Frame, function: ProjectFunction) -> Value:
    owner = function.owner
    if owner is None or function.how == "class":
        return Value(targets=(owner,)) if owner is not None else UNKNOWN
    if function.syntax.name == "__init__":
        return frame.state.put(Thing("instance", {}, None, None, owner))
    return _made(machine, frame, owner)


def _made(machine: Machine, frame: Frame, owner: ProjectClass) -> Value:
    """An instance as `__init__` leaves it, which was given what its annotations say; the same one for all."""
    known = machine.instances.get(id(owner))
    if known is None:
        machine.instances[id(owner)] = UNKNOWN, {}  # for classes that need one another
        named: dict[str, Value] = {"*": UNKNOWN}
        maker = owner.member("__init__")
        for init in maker.targets if maker is not None else ():
            if isinstance(init, ProjectFunction) and init.how != "static":
                inner = Frame(init.module, frame.state, init)
                for parameter in init.syntax.parameters[1:]:
                    if parameter.annotation is not None and not parameter.stars:
                        named[parameter.name] = _argument(machine, inner, init, Entry(), parameter)
        value = instantiate(machine, frame, owner, [], named, owner.syntax.line)
        frame.dead = False
        known = machine.instances[id(owner)] = value, dict(frame.state.things)
    value, things = known
    frame.state.things.update(things)
    return value


def _argument(
    machine: Machine, frame: Frame, function: ProjectFunction, entry: Entry, parameter: s.Parameter
) -> Value:
    """A parameter; of one whose annotation is a name for another, made elsewhere, as if that stood there."""
    alias = alias_of(machine, frame, parameter)
    if alias is None:
        return _stated(machine, frame, function, entry, parameter)
    state = frame.state
    inner = Frame(alias.module, State({}, state.things, state.base, state.facts))
    meant = msgspec.structs.replace(parameter, annotation=alias.node)
    value = _stated(machine, inner, function, entry, meant)
    state.things = inner.state.things
    return value


def alias_of(machine: Machine, frame: Frame, parameter: s.Parameter) -> ProjectAlias | None:
    """The alias that an annotation names, `None` beside it or not."""
    node = parameter.annotation
    while isinstance(node, s.Unknown) and len(node.parts) == 1:
        node = node.parts[0]
    if isinstance(node, s.Binary) and node.operator == "|":
        node = node.operands[0]
    if not isinstance(node, s.Name | s.Attribute):
        return None
    targets = machine.evaluate(frame, node).targets
    return next((one for one in targets if isinstance(one, ProjectAlias)), None)


def _stated(
    machine: Machine, frame: Frame, function: ProjectFunction, entry: Entry, parameter: s.Parameter
) -> Value:
    if entry.error and parameter is function.syntax.parameters[0]:
        return machine.raised.get(entry.error, UNKNOWN)
    annotation = annotation_text(parameter.annotation) if parameter.annotation is not None else ""
    typed = _annotated(machine, frame, parameter)
    if typed.kind == "WebRequest" or (
        parameter.name == "request" and _is_request(machine, function, entry, typed)
    ):
        return Value(kind="WebRequest")
    if typed.kind and not typed.kind.startswith("builtins.") and not typed.taints and entry.kind != "fast":
        return Value(kind=typed.kind)
    if entry.kind == "fast":
        return injected(machine, frame, function, entry, parameter, typed)
    if entry.kind == "wsgi" and parameter.name.startswith("start"):
        return Value(kind=START)
    if entry.kind == "wsgi":
        return changed(outside(function, parameter, "remote", "request"), kind="WebRequest.environ")
    if entry.kind in ("flask", "view", "django"):
        return _of_route(machine, frame, function, entry, parameter, annotation)
    if entry.kind in ("falcon", "open"):
        return _of_open(function, entry, parameter, annotation)
    if entry.kind == "command":
        return UNKNOWN if is_safe_type(annotation) else outside(function, parameter, "local", "argument")
    if entry.kind == "event" and parameter.name == "event":
        return outside(function, parameter, "remote", "event")
    return instance_of(machine, frame, typed)


def _is_request(machine: Machine, function: ProjectFunction, entry: Entry, typed: Value) -> bool:
    if typed.kind or typed.targets:
        return False
    return entry.kind in ("django", "fast", "view") or uses_framework(function.module)


def _annotated(machine: Machine, frame: Frame, parameter: s.Parameter) -> Value:
    """What the annotation names: a class of the project or a path of a library."""
    node = parameter.annotation
    while isinstance(node, s.Index | s.Unknown):
        if isinstance(node, s.Index):
            node = node.key if annotation_text(node.owner).endswith(("Optional", "Annotated")) else node.owner
        else:
            node = _inner(node.parts)
        if isinstance(node, s.Sequence):
            node = node.items[0] if node.items else None
    if isinstance(node, s.Binary) and node.operator == "|":
        node = node.operands[0]
    if isinstance(node, s.Const) and isinstance(node.value, str) and node.value.isidentifier():
        node = s.Name(node.line, node.value)
    return machine.evaluate(frame, node) if isinstance(node, s.Name | s.Attribute) else UNKNOWN


def _inner(parts: list[s.Expr]) -> s.Expr | None:
    """`X` of `Optional[X]` and of `Annotated[X, …]`."""
    if len(parts) > 1 and annotation_text(parts[0]).endswith("Annotated"):
        inside = parts[1]
        return inside.parts[0] if isinstance(inside, s.Unknown) and inside.parts else inside
    return parts[-1] if parts else None


def instance_of(machine: Machine, frame: Frame, typed: Value) -> Value:
    """Some instance of the class of the project that a parameter's annotation names."""
    for target in typed.targets:
        if isinstance(target, ProjectClass):
            return _made(machine, frame, target)
    return UNKNOWN


def _of_open(function: ProjectFunction, entry: Entry, parameter: s.Parameter, annotation: str) -> Value:
    if entry.kind == "falcon" and parameter.name in ("req", "request"):
        return Value(kind="WebRequest")
    is_given = (
        parameter.name in _GIVEN or parameter.stars or entry.parameters.get(parameter.name) in SAFE_CONVERTERS
    )
    if is_given or (annotation and is_safe_type(annotation)):
        return UNKNOWN
    return outside(function, parameter, "remote", "parameter")


_GIVEN: Final = frozenset({"self", "cls", "root", "parent", "info", "resp", "response", "sid", "context"})


def _of_route(
    machine: Machine,
    frame: Frame,
    function: ProjectFunction,
    entry: Entry,
    parameter: s.Parameter,
    annotation: str,
) -> Value:
    converter = entry.parameters.get(parameter.name)
    if converter is not None:
        if converter in SAFE_CONVERTERS or (is_safe_type(annotation) and entry.kind != "flask"):
            return UNKNOWN
        return outside(function, parameter, "remote", "parameter")
    if parameter.stars == 2:
        unsafe = {name: kind for name, kind in entry.parameters.items() if kind not in SAFE_CONVERTERS}
        named = (s.Parameter(parameter.line, name) for name in unsafe)
        fields: dict[Any, Value] = {one.name: outside(function, one, "remote", "parameter") for one in named}
        return frame.state.put(Thing("dict", fields))
    if parameter.stars or parameter.default is not None or parameter.name in ("self", "cls", "request"):
        return UNKNOWN
    if entry.parameters or entry.kind == "flask" or id(function.syntax) in machine.called:
        return UNKNOWN
    is_guess = function.owner is None and (machine.routes or not _VIEWS.search(function.module.path))
    if is_guess or parameter.name in _NO_TEXTS:
        return UNKNOWN
    if parameter.name in _IDS or parameter.name.endswith("_id") or is_safe_type(annotation):
        return UNKNOWN
    value = outside(function, parameter, "remote", "parameter")
    return changed(value, taints=unsure(value.taints))
