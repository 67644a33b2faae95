"""The handlers of requests in a project, and what guards each of them."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from agents.review.analysers.web.shapes import argument, called, function_name, says, text_of
from agents.review.analysers.web.source import Scope, Source, walk
from agents.review.dataflow import syntax as s

VERBS: Final = frozenset({"get", "post", "put", "patch", "delete"})
CHANGING: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})
GUARD: Final = re.compile(
    r"(?i)auth(?!or)|log(?:ged)?_?in_?(?:req|check|user)|login_required|permission|require|current_?(?:\w+_)?user|token_?(?:valid|check|req|verif)"
    r"|verify|validate_(?:token|session|jwt)|jwt|is_admin|is_staff|is_superuser|admin_only|(?:^|_)roles?(?:_|$)|protected|access|credential"
    r"|api_?key|security|identity|get_user|ensure|restrict|allowed|owner|superuser|logged_?in|signed_?in|signature|hmac|check_session"
    r"|session_user|user_session|private|internal|secret|session_required|needs|fresh_login"
)
IN_BODY: Final = re.compile(
    r"(?i)^(?:current_user|current_account|get_jwt_identity|get_jwt|verify_jwt\w*|authorization|get_current_user|is_authenticated"
    r"|login_required|check_\w*(?:auth|perm|access|token|password)\w*|has_perm\w*|require_\w+|\w*(?:authenticat|authoriz|authoris)\w*"
    r"|(?:verify|validate|decode|check)_\w*(?:token|session|jwt|signature|user|key)\w*|token_\w*valid\w*|Unauthorized|Forbidden|PermissionDenied"
    r"|is_admin|is_staff|is_superuser|compare_digest|Signature\w*|api_key|PermissionError|session_id)$"
)
_SESSION_KEY = re.compile(r"(?i)user|log|auth|admin|account|email|name|id$|role|token")
OPEN: Final = re.compile(
    r"(?i)log_?(?:in|out|off)|sign_?(?:in|up|out)|register|registration|forgot|reset|recover|webhook|callback|oauth|sso|saml|health|ping|status"
    r"|(?:^|[/_])token|refresh|verif|confirm|activat|contact|search|public|subscribe|unsubscribe|static|favicon|robots|csp|report|captcha"
    r"|feedback|index|home|landing|metrics|hook|setup|install|init|error|not_?found|locale|language|theme|cart|basket|checkout|challenge|ipn|notify"
)
_WRITES = re.compile(
    r"^(?:commit|save|delete|delete_one|delete_many|update_one|update_many|insert_one|insert_many|insert|bulk_create|create|remove|unlink|rmtree"
    r"|add|merge|put_item|delete_item|update_item|destroy|soft_delete|system|Popen|flush)$"
)
_SQL_WRITE = re.compile(
    r"(?i)^\s*(?:insert\s+into|update\s+\w|delete\s+from|drop\s|replace\s+into|truncate\s)"
)

Guard = Callable[[str], bool]
"""Whether the project's function of this name asks who is calling."""


@dataclass(slots=True, eq=False)
class Handler:
    """A function that answers requests.

    Attributes:
        rule: the pattern of its address, empty if not known.
        methods: of HTTP, in capitals.
        router: what it is registered with, such as `app` or `admin_bp`.
        is_guarded: something asks who is calling.
    """

    source: Source
    function: s.Function
    owner: s.Class | None
    rule: str
    methods: frozenset[str]
    router: str
    framework: str
    is_guarded: bool = False

    @property
    def name(self) -> str:
        return self.function.name

    @property
    def is_changing(self) -> bool:
        """Whether it changes what the server keeps, as far as methods and calls tell."""
        return (bool(self.methods & CHANGING) and self.writes) or (self.writes and _by_name(self.name))

    @property
    def writes(self) -> bool:
        """Whether something is written in it."""
        return writes(self.function)

    @property
    def is_open(self) -> bool:
        """Whether what it is for needs no login."""
        return (
            OPEN.search(self.name) is not None
            or OPEN.search(re.sub(r"<[^>]*>|\{[^}]*\}", "", self.rule)) is not None
        )


def _by_name(name: str) -> bool:
    return re.search(r"(?i)delete|remove|update|edit|create|add|set_|change|transfer", name) is not None


def writes(function: s.Function) -> bool:
    """Whether a function writes to a database or removes files."""
    for node in walk(*function.body):
        if isinstance(node, s.Call):
            name = function_name(node)
            if (
                isinstance(node.function, s.Attribute)
                and _WRITES.match(name)
                and (name != "add" or "session" in called(node.function.owner))
            ):
                return True
            if any(
                _SQL_WRITE.match(text)
                for one in node.arguments[:1]
                for part in walk(one.value)
                if (text := text_of(part))
            ):
                return True
        elif isinstance(node, s.Const) and isinstance(node.value, str) and _SQL_WRITE.match(node.value):
            return True
    return False


def handlers_in(source: Source) -> Iterator[Handler]:
    """Handlers of Flask, FastAPI and their like by their decorators; of Django by their first parameter."""
    for function, scope in source.all(s.Function):
        for decorator in function.decorators:
            handler = _by_decorator(source, function, scope, decorator)
            if handler is not None:
                yield handler
                break
        else:
            if _is_django_view(source, function, scope):
                yield Handler(source, function, scope.owner, "", _django_methods(function), "", "django")


def _by_decorator(source: Source, function: s.Function, scope: Scope, decorator: s.Expr) -> Handler | None:
    if not (isinstance(decorator, s.Call) and isinstance(decorator.function, s.Attribute)):
        return None
    verb = decorator.function.name
    rule = text_of(argument(decorator, 0, "rule", "path", "uri"))
    if verb not in VERBS | {"route", "api_route"} or rule is None or not (rule.startswith("/") or rule == ""):
        return None
    methods = frozenset({verb.upper()}) if verb in VERBS else frozenset({"GET"})
    stated = argument(decorator, None, "methods", "method")
    if isinstance(stated, s.Sequence):
        methods = frozenset((text_of(item) or "").upper() for item in stated.items)
    elif (one := text_of(stated)) is not None:
        methods = frozenset({one.upper()})
    router = called(decorator.function.owner)
    framework = "fastapi" if source.uses("fastapi", "starlette") else "flask"
    return Handler(source, function, scope.owner, rule, methods, router, framework)


def _is_django_view(source: Source, function: s.Function, scope: Scope) -> bool:
    if not source.uses("django", "rest_framework") or scope.function is not None:
        return False
    names = [one.name for one in function.parameters]
    if scope.owner is not None:
        is_view = any(called(base).endswith(("View", "ViewSet", "APIView")) for base in scope.owner.bases)
        return is_view and function.name in VERBS and names[:2] == ["self", "request"]
    return (
        names[:1] == ["request"]
        and not function.name.startswith("_")
        and any(isinstance(node, s.Return) for node in walk(*function.body))
    )


def _django_methods(function: s.Function) -> frozenset[str]:
    if function.name in VERBS:
        return frozenset({function.name.upper()})
    found = {"GET"}
    for node in walk(*function.decorators, *function.body):
        if isinstance(node, s.Const) and node.value in CHANGING:
            found.add(str(node.value))
        elif isinstance(node, s.Attribute | s.Name) and node.name in ("POST", "require_POST"):
            found.add("POST")
    return frozenset(found)


def mark_guards(handlers: Sequence[Handler], functions: Mapping[str, s.Function]) -> None:
    """Say of each handler whether something asks who is calling.

    Args:
        functions: of the whole project by name: a guard may be called anything, what it does tells.
    """
    asks: dict[str, bool] = {}

    def is_guard(name: str) -> bool:
        if name not in asks:
            function = functions.get(name)
            asks[name] = function is not None and _asks_who(function)
        return asks[name]

    for handler in handlers:
        handler.is_guarded = _is_guarded(handler, is_guard)


def _is_guarded(handler: Handler, is_guard: Guard) -> bool:
    function = handler.function
    for decorator in function.decorators:
        name = function_name(decorator)
        if name in VERBS | {"route", "api_route"}:
            if isinstance(decorator, s.Call) and any(
                one.name in ("dependencies", "auth") for one in decorator.arguments
            ):
                return True
            continue
        if GUARD.search(name) or is_guard(name):
            return True
        if isinstance(decorator, s.Call) and any(
            GUARD.search(word) for one in decorator.arguments for word in (called(one.value),) if word
        ):
            return True
    if handler.owner is not None and _class_is_guarded(handler.owner):
        return True
    for parameter in function.parameters:
        if _depends(parameter, is_guard):
            return True
    if _asks_who(function):
        return True
    return any(isinstance(node, s.Call) and is_guard(function_name(node)) for node in walk(*function.body))


def _class_is_guarded(owner: s.Class) -> bool:
    if any(GUARD.search(called(base)) for base in owner.bases):
        return True
    for decorator in owner.decorators:
        if says(GUARD, [decorator], texts=True):
            return True
    for node in owner.body:
        if isinstance(node, s.Assign):
            names = {called(target) for target in node.targets}
            if names & {
                "decorators",
                "permission_classes",
                "authentication_classes",
                "permission_required",
                "method_decorators",
                "login_url",
            }:
                return not (
                    isinstance(node.value, s.Sequence)
                    and (not node.value.items or all(called(one) == "AllowAny" for one in node.value.items))
                )
    return any(
        isinstance(node, s.Define)
        and node.function.name in ("dispatch", "setUp", "prepare", "get_permissions")
        and _asks_who(node.function)
        for node in owner.body
    )


def _depends(parameter: s.Parameter, is_guard: Guard) -> bool:
    """Whether a parameter of FastAPI brings the one who calls."""
    for node in walk(parameter.annotation, parameter.default):
        if isinstance(node, s.Call) and function_name(node) in ("Depends", "Security"):
            given = argument(node, 0, "dependency")
            name = function_name(given)
            if function_name(node) == "Security" or GUARD.search(name) or is_guard(name):
                return True
    annotation = called(parameter.annotation)
    return (
        bool(annotation)
        and re.search(r"(?i)current|auth|principal|identity|loggedin", annotation) is not None
    )


def _asks_who(function: s.Function) -> bool:
    """Whether a function looks at who is calling, or refuses those who may not."""
    for node in walk(*function.body):
        match node:
            case s.Name(name=name) | s.Attribute(name=name) if IN_BODY.match(name):
                return True
            case s.Attribute(owner=s.Name(name="g"), name="user" | "current_user" | "user_id"):
                return True
            case s.Attribute(owner=s.Name(name="request"), name="user" | "auth" | "authorization"):
                return True
            case s.Attribute(owner=s.Attribute(name="request"), name="user" | "auth"):
                return True
            case s.Call(function=s.Name(name="abort" | "HTTPException"), arguments=[first, *_]) if isinstance(
                first.value, s.Const
            ) and first.value.value in (401, 403):
                return True
            case s.Compare(left=s.Const(value=str(key)), operators=["in" | "not in"], rights=[place]) if (
                "session" in called(place) and _SESSION_KEY.search(key)
            ):
                return True
            case s.Index(owner=place, key=s.Const(value=str(key))) if called(place) in (
                "session",
                "sessions",
            ) and _SESSION_KEY.search(key):
                return not _only_sets(function, key)
            case s.Call(function=s.Attribute(owner=place, name="get"), arguments=[first, *_]) if called(
                place
            ) in ("session", "headers", "cookies", "COOKIES") and re.search(
                r"(?i)user|auth|token|api.?key|session|log|admin", text_of(first.value) or ""
            ):
                return True
            case s.Const(value="Authorization" | "HTTP_AUTHORIZATION" | "X-API-Key"):
                return True
            case s.Const(value=401 | 403):
                return True
    return False


def _only_sets(function: s.Function, key: str) -> bool:
    """Whether a key of the session is only given a value here, which is what a login does."""
    used = 0
    for node in walk(*function.body):
        if isinstance(node, s.Assign):
            used -= sum(isinstance(one, s.Index) and text_of(one.key) == key for one in node.targets)
        elif isinstance(node, s.Index) and text_of(node.key) == key:
            used += 1
    return used <= 0
