"""Settings that switch protection off: debug mode, hosts, cookies, CSRF, cross-origin access, password hashers.

A setting in a file or class for development or tests is what it is for, and isn't reported; nor is one that the
environment decides, unless it falls back to the unsafe value.
"""

import re
from collections.abc import Iterator
from typing import Final

from agents.review.analysers.web.rules import Found
from agents.review.analysers.web.shapes import argument, called, function_name, is_const, settings_in, text_of
from agents.review.analysers.web.source import Source, walk
from agents.review.dataflow import syntax as s
from schemas.review import Severity

DEVELOPMENT: Final = re.compile(
    r"(?i)(?:^|[/_.-])(?:example|sample|template|dev|devel|development|local|localhost|test|tests|testing|ci|debug)(?:$|[/_.-])"
)
_DEV_CLASS = re.compile(r"(?i)dev|test|local|debug|\bci\b")
_SETTINGS_FILE = re.compile(
    r"(?i)(?:^|/)(?:[\w-]*settings[\w-]*|[\w-]*config[\w-]*|conf|default|base|common|prod(?:uction)?|__init__|app|main|run|server|manage|wsgi|asgi|create_app|factory)\.py$|(?:^|/)(?:settings|config|conf)/[^/]+\.py$"
)
_ENVIRONMENT: Final = frozenset({"get", "getenv", "bool", "str", "env", "config", "environ"})

_OFF: Final[dict[str, tuple[str, int, Severity]]] = {
    "SESSION_COOKIE_SECURE": ("web-cookie-insecure", 614, Severity.LOW),
    "CSRF_COOKIE_SECURE": ("web-cookie-insecure", 614, Severity.LOW),
    "REMEMBER_COOKIE_SECURE": ("web-cookie-insecure", 614, Severity.LOW),
    "JWT_COOKIE_SECURE": ("web-cookie-insecure", 614, Severity.LOW),
    "SESSION_COOKIE_HTTPONLY": ("web-cookie-scripts", 1004, Severity.MEDIUM),
    "REMEMBER_COOKIE_HTTPONLY": ("web-cookie-scripts", 1004, Severity.MEDIUM),
    "WTF_CSRF_ENABLED": ("web-csrf-off", 352, Severity.HIGH),
    "WTF_CSRF_CHECK_DEFAULT": ("web-csrf-off", 352, Severity.MEDIUM),
    "JWT_COOKIE_CSRF_PROTECT": ("web-csrf-off", 352, Severity.HIGH),
}
"""Settings that must not be False: rule, CWE and severity."""
_WEAK_HASHERS = re.compile(r"(?i)MD5|SHA1|Crypt(?!o)|Plain")
_DEV_NAME = re.compile(
    r"(?i)^(?:is_|in_|flask_|django_)?(?:debug|dev|devel|development|develop|local"
    r"|test|tests|testing)(?:_mode|_env)?$"
)
_ENV_NAME = re.compile(r"(?i)env|stage|mode|profile")
_CSRF: Final = "CsrfViewMiddleware"


def find(source: Source) -> Iterator[Found]:
    """Settings of one file."""
    if source.is_test or DEVELOPMENT.search(source.path.rpartition("/")[2]):
        return
    left_out = development_lines(source)
    given = [one for one in settings_in(source) if one[2] not in left_out]
    later = {name: value for name, value, _, _ in given}
    for name, value, line, is_plain in given:
        if is_plain and not _SETTINGS_FILE.search(source.path) and name not in _OFF:
            continue
        yield from _setting(source, name, value, line, later)
    yield from _calls(source)


def development_lines(source: Source) -> frozenset[int]:
    """Lines of classes for development or tests, and of branches that are taken there only."""
    found: set[int] = set()
    for owner, _ in source.all(s.Class):
        if _DEV_CLASS.search(owner.name):
            found.update(_lines_of(owner.line, owner.body))
    for branch, _ in source.all(s.If):
        if _is_for_development(branch.test):
            found.update(_lines_of(branch.line + 1, branch.body))
    return frozenset(found)


def _lines_of(first: int, body: list[s.Stmt]) -> range:
    return range(first, max((node.line for node in walk(*body)), default=first) + 1)


def _is_for_development(test: s.Expr) -> bool:
    """`if DEBUG`, `if settings.TESTING`, `if os.environ["ENV"] == "development"`, but not `if name == "test"`."""
    if isinstance(test, s.Not):
        return False
    names = [called(node) for node in walk(test) if isinstance(node, s.Name | s.Attribute | s.Index | s.Call)]
    if any(_DEV_NAME.match(name) for name in names):
        return True
    literals = [text for node in walk(test) if (text := text_of(node)) is not None]
    return any(_ENV_NAME.search(name) for name in names) and any(_DEV_NAME.match(text) for text in literals)


def _setting(
    source: Source, name: str, value: s.Expr, line: int, later: dict[str, s.Expr]
) -> Iterator[Found]:
    upper = name.upper()
    if upper == "DEBUG":
        yield from _debug(source, value, line)
    elif upper in _OFF and is_const(value, False):
        rule, cwe, severity = _OFF[upper]
        yield Found(
            rule=rule, path=source.path, line=line, cwe=cwe, severity=severity, note=f"{name} is off."
        )
    elif upper == "ALLOWED_HOSTS" and _has_star(value):
        yield Found(rule="web-allowed-hosts", path=source.path, line=line)
    elif upper in ("CORS_ALLOW_ALL_ORIGINS", "CORS_ORIGIN_ALLOW_ALL") and is_const(value, True):
        with_cookies = is_const(later.get("CORS_ALLOW_CREDENTIALS"), True)
        yield _cors(source, line, with_cookies=with_cookies)
    elif upper == "PASSWORD_HASHERS" and isinstance(value, s.Sequence) and value.items:
        first = text_of(value.items[0])
        if first is not None and _WEAK_HASHERS.search(first.rpartition(".")[2]) and "BCrypt" not in first:
            yield Found(
                rule="web-password-fast-hash",
                path=source.path,
                line=line,
                note="The first hasher is used for new passwords.",
            )
    elif upper in ("MIDDLEWARE", "MIDDLEWARE_CLASSES") and isinstance(value, s.Sequence):
        names = [text for item in value.items if (text := text_of(item)) is not None]
        if any(one.endswith("SessionMiddleware") for one in names) and not any(
            one.endswith(_CSRF) or "csrf" in one.lower() for one in names
        ):
            yield Found(rule="web-csrf-off", path=source.path, line=line, note=f"{_CSRF} is missing.")


def _debug(source: Source, value: s.Expr, line: int) -> Iterator[Found]:
    if is_const(value, True):
        yield Found(rule="web-debug", path=source.path, line=line)
    elif isinstance(value, s.Call) and function_name(value) in _ENVIRONMENT:
        fallback = argument(value, 1, "default")
        if is_const(fallback, True) or (text_of(fallback) or "").lower() in ("true", "1", "yes", "on"):
            yield Found(
                rule="web-debug", path=source.path, line=line, confidence=0.55, severity=Severity.MEDIUM,
                note="Debug mode is on wherever the environment doesn't say otherwise.",
            )  # fmt: skip


def _has_star(value: s.Expr) -> bool:
    return isinstance(value, s.Sequence) and any(text_of(item) == "*" for item in value.items)


def _cors(source: Source, line: int, *, with_cookies: bool) -> Found:
    if with_cookies:
        return Found(rule="web-cors", path=source.path, line=line)
    return Found(
        rule="web-cors", path=source.path, line=line, severity=Severity.LOW, confidence=0.35,
        note="No cookies are sent along, so this matters where pages are protected by the network alone.",
    )  # fmt: skip


def _calls(source: Source) -> Iterator[Found]:
    for call, _ in source.all(s.Call):
        path = source.path_of(call.function)
        name = path.rpartition(".")[2]
        if name in ("run", "run_simple", "FastAPI", "Starlette", "Sanic") and (
            is_const(argument(call, None, "debug", "use_debugger"), True)
        ):
            if (
                name != "run"
                or source.uses("flask", "flask_socketio", "bottle", "sanic", "quart", "connexion")
                or path.startswith("app.")
            ):
                yield Found(rule="web-debug", path=source.path, line=call.line)
        elif name == "CORS" and is_const(argument(call, None, "supports_credentials"), True):
            origins = argument(call, None, "origins", "resources")
            if origins is None:
                yield _cors(source, call.line, with_cookies=True)
        elif name == "add_middleware" and is_const(argument(call, None, "allow_credentials"), True):
            origins = argument(call, None, "allow_origins")
            if isinstance(origins, s.Name) and _has_star(_top_value(source, origins.name)):
                yield _cors(source, call.line, with_cookies=True)
        elif name in ("set_cookie", "set_signed_cookie"):
            yield from _cookie(source, call)


def _top_value(source: Source, name: str) -> s.Expr:
    for node, _ in source.all(s.Assign):
        if node.value is not None and any(
            isinstance(one, s.Name) and one.name == name for one in node.targets
        ):
            return node.value
    return s.Unknown(0, [])


_LOGS_IN = re.compile(r"(?i)sess|token|auth|jwt|sid$|login|user|remember")
_NO_SECRET = re.compile(r"(?i)csrf|xsrf|theme|lang|locale")


def _cookie(source: Source, call: s.Call) -> Iterator[Found]:
    """A cookie that logs in: what is switched off by hand, or left out though it is set otherwise."""
    if any(one.stars for one in call.arguments):
        return
    name = argument(call, 0, "key", "name")
    title = text_of(name) or called(name)
    if not _LOGS_IN.search(title) or _NO_SECRET.search(title):
        return
    httponly, secure = argument(call, None, "httponly"), argument(call, None, "secure")
    if httponly is None or is_const(httponly, False):
        yield Found(
            rule="web-cookie-scripts", path=source.path, line=call.line, note=f"The cookie is {title}."
        )
    elif secure is None or is_const(secure, False):
        yield Found(
            rule="web-cookie-insecure", path=source.path, line=call.line, note=f"The cookie is {title}."
        )
