"""Functions that others call from outside: handlers of web frameworks, commands, and what they are given."""

from typing import Any, Final

from agents.review.dataflow import syntax as s
from agents.review.dataflow.calls_project import call_function, instantiate, is_safe_type, unsure
from agents.review.dataflow.classes import annotation_text, decorator_name
from agents.review.dataflow.machine import Frame, Machine
from agents.review.dataflow.project import Module, ProjectClass, ProjectFunction
from agents.review.dataflow.routes import SAFE_CONVERTERS, parameters_in
from agents.review.dataflow.values import UNKNOWN, Step, Taint, Thing, Value, changed, text_constant

ROUTE_NAMES: Final = frozenset(
    {
        "route",
        "get",
        "post",
        "put",
        "delete",
        "patch",
        "options",
        "head",
        "websocket",
        "api_route",
        "view",
        "websocket_route",
        "errorhandler",
        "app_errorhandler",
    }
)
HTTP_METHODS: Final = frozenset(
    {
        "get",
        "post",
        "put",
        "delete",
        "patch",
        "head",
        "options",
        "list",
        "retrieve",
        "create",
        "update",
        "partial_update",
        "destroy",
        "dispatch",
    }
)
_VIEW_BASES: Final = (
    "flask.views.",
    "flask_restful.",
    "flask_restx.",
    "django.views.",
    "rest_framework.",
    "tornado.web.",
)
_FRAMEWORKS: Final = (
    "django.",
    "rest_framework.",
    "aiohttp",
    "starlette.",
    "fastapi",
    "sanic",
    "pyramid.",
    "tornado.",
    "bottle",
    "litestar",
)
_IDS: Final = ("pk", "id", "page", "year", "month", "day")
_COMMANDS: Final = ("click.", "typer.")
HANDLER_EVENTS: Final = frozenset({"lambda_handler", "handler"})


class Entry:
    """How one function is entered.

    Attributes:
        kind: `flask`, `fast`, `view`, `django`, `command`, `event`, or empty for one that is only called.
    """

    def __init__(self, kind: str = "", parameters: dict[str, str] | None = None) -> None:
        self.kind = kind
        self.parameters = parameters or {}

    @property
    def is_page(self) -> bool:
        """Whether a text that is returned becomes a page."""
        return self.kind in ("flask", "view")


def entry_of(machine: Machine, frame: Frame, function: ProjectFunction) -> Entry:
    """How a function is entered, by its decorators, its class, its parameters and URL patterns."""
    for decorator in function.syntax.decorators:
        entry = _by_decorator(machine, frame, decorator)
        if entry is not None:
            return entry
    routed = machine.routes.get(id(function.syntax))
    owner = function.owner
    if owner is not None and function.syntax.name in HTTP_METHODS:
        bases = owner.library_bases()
        if any(base.startswith(_VIEW_BASES) for base in bases):
            is_page = any(base.startswith(("flask.views.",)) for base in bases)
            return Entry("view" if is_page else "django", routed)
    names = [parameter.name for parameter in function.syntax.parameters]
    if routed is not None:
        return Entry("django" if "request" in names[:1] else "flask", routed)
    if names[:1] == ["request"] and _uses_framework(function.module):
        return Entry("django")
    if function.syntax.name in HANDLER_EVENTS and names[:2] == ["event", "context"]:
        return Entry("event")
    return Entry()


def _by_decorator(machine: Machine, frame: Frame, decorator: s.Expr) -> Entry | None:
    name = decorator_name(decorator)
    function = decorator.function if isinstance(decorator, s.Call) else decorator
    kind = machine.evaluate(frame, function).kind
    if kind.startswith(_COMMANDS) or (kind.startswith("?.") and name == "command"):
        return Entry("command")
    if name not in ROUTE_NAMES or not isinstance(decorator, s.Call):
        return None
    pattern = ""
    for argument in decorator.arguments[:2]:
        if not argument.name or argument.name in ("rule", "path"):
            pattern = pattern or text_constant(machine.evaluate(frame, argument.value)) or ""
    if kind.startswith("FastApp."):
        return Entry("fast", parameters_in(pattern))
    if kind.startswith("FlaskApp."):
        return Entry("flask", parameters_in(pattern))
    if kind.startswith("?.") and (pattern.startswith("/") or (name == "route" and pattern)):
        is_fast = _imports(frame.module, ("fastapi", "starlette."))
        return Entry("fast" if is_fast else "flask", parameters_in(pattern))
    return None


def _imports(module: Module, prefixes: tuple[str, ...]) -> bool:
    return any(value.kind.startswith(prefixes) for value in module.names.values() if value.kind)


def _uses_framework(module: Module) -> bool:
    if _imports(module, _FRAMEWORKS):
        return True
    return module.path.endswith(("views.py", "handlers.py", "endpoints.py"))


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
    known = machine.instances.get(id(owner))
    if known is None:
        value = instantiate(machine, frame, owner, [], {"*": UNKNOWN}, function.syntax.line)
        frame.dead = False
        known = machine.instances[id(owner)] = value, dict(frame.state.things)
    value, things = known
    frame.state.things.update(things)
    return value


def _argument(
    machine: Machine, frame: Frame, function: ProjectFunction, entry: Entry, parameter: s.Parameter
) -> Value:
    annotation = annotation_text(parameter.annotation) if parameter.annotation is not None else ""
    typed = _annotated(machine, frame, parameter)
    if typed.kind == "WebRequest" or (
        parameter.name == "request" and _is_request(machine, function, entry, typed)
    ):
        return Value(kind="WebRequest")
    if typed.kind and not typed.kind.startswith("builtins.") and not typed.taints and entry.kind != "fast":
        return Value(kind=typed.kind)
    if entry.kind == "fast":
        return _of_fastapi(machine, frame, function, entry, parameter, annotation, typed)
    if entry.kind in ("flask", "view", "django"):
        return _of_route(machine, frame, function, entry, parameter, annotation)
    if entry.kind == "command":
        return UNKNOWN if is_safe_type(annotation) else _outside(function, parameter, "local", "argument")
    if entry.kind == "event" and parameter.name == "event":
        return _outside(function, parameter, "remote", "event")
    return _instance(frame, typed)


def _is_request(machine: Machine, function: ProjectFunction, entry: Entry, typed: Value) -> bool:
    if typed.kind or typed.targets:
        return False
    return entry.kind in ("django", "fast", "view") or _uses_framework(function.module)


def _annotated(machine: Machine, frame: Frame, parameter: s.Parameter) -> Value:
    """What the annotation names: a class of the project or a path of a library."""
    node = parameter.annotation
    while isinstance(node, s.Index | s.Unknown):
        if isinstance(node, s.Index):
            node = node.key if annotation_text(node.owner).endswith(("Optional", "Annotated")) else node.owner
        else:
            node = node.parts[-1] if node.parts else None
        if isinstance(node, s.Sequence):
            node = node.items[0] if node.items else None
    if isinstance(node, s.Binary) and node.operator == "|":
        node = node.operands[0]
    if isinstance(node, s.Const) and isinstance(node.value, str) and node.value.isidentifier():
        node = s.Name(node.line, node.value)
    return machine.evaluate(frame, node) if isinstance(node, s.Name | s.Attribute) else UNKNOWN


def _instance(frame: Frame, typed: Value) -> Value:
    """Some instance of a class of the project, of which nothing else is known."""
    for target in typed.targets:
        if isinstance(target, ProjectClass):
            return frame.state.put(Thing("instance", {}, None, None, target))
    return UNKNOWN


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
        return _outside(function, parameter, "remote", "parameter")
    if parameter.stars or parameter.default is not None or parameter.name in ("self", "cls", "request"):
        return UNKNOWN
    if entry.parameters or entry.kind == "flask" or id(function.syntax) in machine.called:
        return UNKNOWN
    if parameter.name in _IDS or parameter.name.endswith("_id") or is_safe_type(annotation):
        return UNKNOWN
    value = _outside(function, parameter, "remote", "parameter")
    return changed(value, taints=unsure(value.taints))


def _of_fastapi(
    machine: Machine,
    frame: Frame,
    function: ProjectFunction,
    entry: Entry,
    parameter: s.Parameter,
    annotation: str,
    typed: Value,
) -> Value:
    dependency = _dependency(parameter)
    if dependency is not None:
        return _depends(machine, frame, function, dependency, typed)
    if is_safe_type(annotation) and annotation:
        return UNKNOWN
    if entry.parameters.get(parameter.name) in SAFE_CONVERTERS:
        return UNKNOWN
    outside = _outside(function, parameter, "remote", "parameter")
    for target in typed.targets:
        if isinstance(target, ProjectClass):
            if any(base.startswith("enum.") for base in target.library_bases()):
                return UNKNOWN
            return _model(frame, target, outside)
    if typed.kind and not typed.kind.startswith(("builtins.", "typing.", "pydantic.")):
        if typed.kind.rsplit(".", 1)[-1] in ("UploadFile", "SecretStr"):
            return changed(outside, kind=typed.kind)
        return Value(kind=typed.kind)
    return outside


def _model(frame: Frame, model: ProjectClass, outside: Value) -> Value:
    """A model from a request's body: fields of harmless types are harmless, all else is from outside."""
    fields: dict[Any, Value] = {}
    for one in reversed(model.lineage()):
        for name, annotation in one.annotations.items():
            fields[name] = UNKNOWN if is_safe_type(annotation) else _field(outside, name)
    return frame.state.put(Thing("instance", fields, outside, None, model))


def _field(outside: Value, name: str) -> Value:
    (taint,) = outside.taints
    step = Step(taint.step.path, taint.step.line, f"{taint.step.what}.{name}")
    return Value(taints=(Taint(taint.trust, f"{taint.token}[{name}]", taint.clean, step, taint.is_sure),))


def _dependency(parameter: s.Parameter) -> s.Call | None:
    """The `Depends(…)` of a parameter, as its default or within `Annotated[…]`."""
    candidates: list[s.Expr] = [parameter.default] if parameter.default is not None else []
    if isinstance(parameter.annotation, s.Index | s.Unknown):
        stack: list[s.Expr] = [parameter.annotation]
        while stack and len(candidates) < 20:
            node = stack.pop()
            candidates.append(node)
            if isinstance(node, s.Index):
                stack += [node.owner, node.key]
            elif isinstance(node, s.Sequence):
                stack += node.items
            elif isinstance(node, s.Unknown):
                stack += node.parts
    for candidate in candidates:
        if isinstance(candidate, s.Call) and annotation_text(candidate.function).endswith(
            ("Depends", "Security")
        ):
            return candidate
    return None


def _depends(
    machine: Machine, frame: Frame, function: ProjectFunction, dependency: s.Call, typed: Value
) -> Value:
    """What a dependency returns; its own parameters come from the request too."""
    if not dependency.arguments:
        return _instance(frame, typed)
    provider = machine.evaluate(frame, dependency.arguments[0].value)
    for target in provider.targets:
        if isinstance(target, ProjectFunction) and target.syntax is not function.syntax:
            named = {
                name: value
                for name, value in arguments_of(machine, frame, target, Entry("fast")).items()
                if name not in ("self", "cls")
            }
            value = call_function(machine, frame, target, [], named, dependency.line)
            frame.dead = False
            if target.syntax.is_generator:
                value = frame.state.items(value) or UNKNOWN
            return value
    if typed.kind:
        return Value(kind=typed.kind)
    return _instance(frame, typed)


def _outside(function: ProjectFunction, parameter: s.Parameter, trust: str, what: str) -> Value:
    path = function.module.path
    token = f"{path}:{function.syntax.line}:{parameter.name}"
    step = Step(path, parameter.line, f"{what} {parameter.name}")
    return Value(taints=(Taint(trust, token, frozenset(), step),))
