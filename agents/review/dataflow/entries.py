"""Functions that others call from outside: handlers of web frameworks, commands, events."""

from typing import Final

from agents.review.dataflow import syntax as s
from agents.review.dataflow.classes import decorator_name
from agents.review.dataflow.interfaces import is_application
from agents.review.dataflow.machine import Frame, Machine
from agents.review.dataflow.project import Module, ProjectClass, ProjectFunction
from agents.review.dataflow.routes import parameters_in
from agents.review.dataflow.values import text_constant

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
    "DjangoView",
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
_COMMANDS: Final = ("click.", "typer.")
HANDLER_EVENTS: Final = frozenset({"lambda_handler", "handler"})


class Entry:
    """How one function is entered.

    Attributes:
        kind: `flask`, `fast`, `view`, `django`, `falcon`, `command`, `event`, `open` for one all of whose parameters
            come from outside, or empty for one that is only called.
        error: of a handler of exceptions, which class of the project's (by its syntax); 0 for others.
    """

    def __init__(
        self, kind: str = "", parameters: dict[str, str] | None = None, *, is_html: bool = False
    ) -> None:
        self.kind = kind
        self.parameters = parameters or {}
        self.is_html = is_html
        self.error: int = 0

    @property
    def is_page(self) -> bool:
        """Whether a text that is returned becomes a page."""
        return self.kind in ("flask", "view") or self.is_html


NO_ENTRY: Final = Entry()


def entry_of(machine: Machine, frame: Frame, function: ProjectFunction) -> Entry:
    """How a function is entered, by its decorators, its class, its parameters and URL patterns."""
    for decorator in function.syntax.decorators:
        entry = _by_decorator(machine, frame, decorator)
        if entry is not None:
            return entry
    routed = machine.routes.get(id(function.syntax))
    owner = function.owner
    if is_application([parameter.name for parameter in function.syntax.parameters]):
        return Entry("wsgi")
    if owner is not None and function.syntax.name in HTTP_METHODS:
        bases = owner.library_bases()
        if any(base.startswith(_VIEW_BASES) for base in bases):
            is_page = any(base.startswith(("flask.views.",)) for base in bases)
            return Entry("view" if is_page else "django", routed)
    names = [parameter.name for parameter in function.syntax.parameters]
    if owner is not None and (entry := _by_method(function.syntax.name, names, routed)) is not None:
        return entry
    if routed is not None:
        return Entry("django" if "request" in names[:1] else "flask", routed)
    if names[:1] == ["request"] and uses_framework(function.module):
        return Entry("django")
    if function.syntax.name in HANDLER_EVENTS and names[:2] == ["event", "context"]:
        return Entry("event")
    return Entry()


def _by_method(name: str, names: list[str], routed: dict[str, str] | None) -> Entry | None:
    """Methods that frameworks know by their name and parameters: Falcon's `on_get`, resolvers of GraphQL."""
    if name.startswith("on_") and names[1:3] in (["req", "resp"], ["request", "response"]):
        return Entry("falcon", routed)
    if "info" in names[:3] and (name.startswith("resolve_") or name == "mutate"):
        return Entry("open")
    return None


def _by_decorator(machine: Machine, frame: Frame, decorator: s.Expr) -> Entry | None:
    name = decorator_name(decorator)
    function = decorator.function if isinstance(decorator, s.Call) else decorator
    kind = machine.evaluate(frame, function).kind
    if kind.startswith(_COMMANDS) or (kind.startswith("?.") and name == "command"):
        return Entry("command")
    if kind == "cherrypy.expose":
        return Entry("open", is_html=True)
    if name in ("on", "event") and kind.startswith(("flask_socketio.", "socketio.")):
        return Entry("open")
    if name not in ROUTE_NAMES or not isinstance(decorator, s.Call):
        return None
    if name in _ERROR_HANDLERS and kind.startswith(("FlaskApp.", "?.")) and decorator.arguments:
        return _of_errors(machine, frame, decorator)
    pattern = ""
    for argument in decorator.arguments[:2]:
        if not argument.name or argument.name in ("rule", "path"):
            pattern = pattern or text_constant(machine.evaluate(frame, argument.value)) or ""
    if kind.startswith("FastApp."):
        return Entry("fast", parameters_in(pattern), is_html=_makes_pages(machine, frame, decorator))
    if kind.startswith(("FlaskApp.", "bottle.")):
        return Entry("flask", parameters_in(pattern))
    if kind.startswith("?.") and (pattern.startswith("/") or (name == "route" and pattern)):
        is_fast = _imports(frame.module, ("fastapi", "starlette."))
        return Entry("fast" if is_fast else "flask", parameters_in(pattern))
    return None


_ERROR_HANDLERS: Final = frozenset({"errorhandler", "app_errorhandler"})


def _of_errors(machine: Machine, frame: Frame, decorator: s.Call) -> Entry:
    """`@app.errorhandler(OwnError)`"""
    entry = Entry("flask")
    for target in machine.evaluate(frame, decorator.arguments[0].value).targets:
        if isinstance(target, ProjectClass):
            entry.error = id(target.syntax)
    return entry


def _makes_pages(machine: Machine, frame: Frame, decorator: s.Call) -> bool:
    """`response_class=HTMLResponse`"""
    return any(
        argument.name == "response_class"
        and machine.evaluate(frame, argument.value).kind.endswith("HTMLResponse")
        for argument in decorator.arguments
    )


def _imports(module: Module, prefixes: tuple[str, ...]) -> bool:
    return any(value.kind.startswith(prefixes) for value in module.names.values() if value.kind)


def uses_framework(module: Module) -> bool:
    if _imports(module, _FRAMEWORKS):
        return True
    return module.path.endswith(("views.py", "handlers.py", "endpoints.py"))
