"""Keys and passwords that stand in the code, where the place tells that they are used, whatever they look like.

The other detectors judge by the look of a value and so pass over `SECRET_KEY = "secret"`, which is worse than a
long one. Here the place decides: the key that signs sessions or tokens, a password that a login is compared with.
"""

import re
from collections.abc import Iterator
from typing import Final

from agents.review.analysers.tree.secrets import is_secret_name
from agents.review.analysers.web.rules import Found
from agents.review.analysers.web.settings import DEVELOPMENT, development_lines
from agents.review.analysers.web.shapes import argument, called, function_name, settings_in, text_of
from agents.review.analysers.web.source import Scope, Source
from agents.review.dataflow import syntax as s
from schemas.review import Severity

KEY_CHARS_MIN: Final = 3

_SIGNING_KEY: Final = re.compile(
    r"(?i)^(?:.*_)?(?:secret_?key|jwt_?secret|jwt_?key|signing_?key|token_?secret|session_?secret|secret|security_password_salt|encryption_?key|app_?secret|client_?secret|api_?secret)$"
)
_PASSWORD: Final = re.compile(r"(?i)(?:^|_)(?:password|passwd|pwd|passphrase)$|^pass$")
_PLACEHOLDER = re.compile(
    r"(?i)^<.*>$|^\{\{|\$\{|^your[-_ ]|^(?:none|null|n/a|redacted|\*+|x+|\.+)$"
    r"|^(?:env|vault|aws|gcp|arn|ssm|file|https?):"
    r"|^%\(|^\{\w*\}$|\{[\w.]+\}"
)
_ADDRESS = re.compile(
    r"^(?P<scheme>[a-z][a-z0-9+.]*)://[^\s:/@{}%<>]*:(?P<password>[^\s@/{}%<>$]+)@(?P<host>[\w.-]+)"
)
_HEADERS: Final = frozenset({"authorization", "x-api-key", "x-auth-token", "api-key", "apikey"})
_BEARER = re.compile(r"(?i)^(?:bearer|basic|token)\s+[\w.~+/=-]{12,}$")
_CONNECTS = re.compile(
    r"(?i)connect|login|client|auth|redis|mysql|pool|smtp|create_engine|sign_?in|pika|ftp|ldap|bind"
)
_WORDS = re.compile(r"(?i)field|label|required|invalid|enter|string|char|text|min|max|\s|^password$")
"""What stands under the key `password` in forms and schemas."""
_READS: Final = frozenset({"get", "getenv", "config", "env", "str", "get_secret"})


def find(source: Source) -> Iterator[Found]:
    """Hard-coded keys in one file."""
    if source.is_test or source.is_aside or DEVELOPMENT.search(source.path.rpartition("/")[2]):
        return
    seen = set(development_lines(source))
    for one in _everything(source):
        if one.line not in seen:
            seen.add(one.line)
            yield one


def _everything(source: Source) -> Iterator[Found]:
    for name, value, line, _ in settings_in(source):
        if _SIGNING_KEY.match(name):
            yield from _key(source, name, value, line)
        elif _PASSWORD.search(name) and name.isupper():
            yield from _password(source, name, value, line)
    yield from _addresses(source)
    for call, scope in source.all(s.Call):
        yield from _in_call(source, call, scope)
    for compare, _ in source.all(s.Compare):
        yield from _compared(source, compare)
    for mapping, _ in source.all(s.Mapping):
        yield from _in_mapping(source, mapping)


def _key(source: Source, name: str, value: s.Expr, line: int) -> Iterator[Found]:
    literal = _literal(value)
    if literal is not None:
        if not _is_key(literal) or _names_itself(name, literal):
            return
        yield Found(rule="web-secret-key", path=source.path, line=line, note=f"{name} is a literal.")
        return
    fallback = _fallback(value)
    if fallback is not None and _is_key(fallback):
        yield Found(
            rule="web-secret-key", path=source.path, line=line, confidence=0.6, severity=Severity.MEDIUM,
            note=f"{name} falls back to a literal wherever the environment doesn't set it.",
        )  # fmt: skip


def _names_itself(name: str, literal: str) -> bool:
    """Whether a constant holds the name of a parameter or reason, `CLIENT_SECRET = "client_secret"`, and no key."""
    lower, literal = name.lower(), literal.lower().replace("-", "_")
    if lower in ("secret_key", "jwt_secret_key"):
        return False
    return literal == lower or ("_" in literal and lower.endswith(literal))


def _password(source: Source, name: str, value: s.Expr, line: int) -> Iterator[Found]:
    literal = _literal(value)
    if literal is not None and _is_key(literal) and " " not in literal and literal.lower() != name.lower():
        yield Found(rule="web-hardcoded-password", path=source.path, line=line, note=f"{name} is a literal.")


def _literal(value: s.Expr | None) -> str | None:
    """A literal text, or one that is encoded at once."""
    match value:
        case s.Const(value=bytes(raw)):
            return raw.decode("utf-8", "replace")
        case s.Call(function=s.Attribute(owner=owner, name="encode")):
            return text_of(owner)
    return text_of(value)


def _fallback(value: s.Expr) -> str | None:
    """What is used when a setting is not given: `os.environ.get("KEY", "literal")`, `os.getenv("KEY") or "literal"`."""
    match value:
        case s.Call() if function_name(value) in _READS:
            given = argument(value, 1, "default", "fallback")
            return _literal(given)
        case s.Logic(operator="or", operands=[s.Call() | s.Index() | s.Name() | s.Attribute(), *_, last]):
            return _literal(last)
    return None


def _is_key(literal: str) -> bool:
    return len(literal) >= KEY_CHARS_MIN and not _PLACEHOLDER.search(literal) and "\n" not in literal


def _addresses(source: Source) -> Iterator[Found]:
    """Addresses with a password in them, such as of databases."""
    for const, scope in source.all(s.Const):
        text = text_of(const)
        if (
            text is None
            or "://" not in text
            or "@" not in text
            or (scope.function is None and scope.owner is None and _is_docstring(source, const))
        ):
            continue
        match = _ADDRESS.match(text)
        if (
            match is None
            or (
                match["password"] in ("pass", "PASS", "password")
                and match["host"] not in ("localhost", "127.0.0.1", "db")
            )
            or _PLACEHOLDER.search(match["password"])
            or match["scheme"] in ("http", "https", "git")
        ):
            continue
        is_default = match["host"] in ("localhost", "127.0.0.1", "db", "postgres", "mysql", "mongo", "redis")
        yield Found(
            rule="web-hardcoded-password", path=source.path, line=const.line,
            confidence=0.5 if is_default else 0.75, note="An address has its password in it.",
        )  # fmt: skip


def _is_docstring(source: Source, const: s.Const) -> bool:
    return any(isinstance(one, s.Do) and one.value is const for one in source.body)


def _in_call(source: Source, call: s.Call, scope: Scope) -> Iterator[Found]:
    path = source.path_of(call.function)
    name = path.rpartition(".")[2]
    if name in ("encode", "decode") and path.split(".")[0] in ("jwt", "jose", "pyjwt", "authlib"):
        yield from _signed(source, call, scope, argument(call, 1, "key", "secret"))
    elif name in (
        "URLSafeTimedSerializer",
        "URLSafeSerializer",
        "TimedJSONWebSignatureSerializer",
        "JSONWebSignatureSerializer",
        "Serializer",
        "TimestampSigner",
        "Signer",
    ):
        if path.startswith(("itsdangerous", "URLSafe", "Timed", "JSONWeb")):
            yield from _signed(source, call, scope, argument(call, 0, "secret_key"))
    elif path in ("hmac.new", "hmac.HMAC", "hmac.digest"):
        yield from _signed(source, call, scope, argument(call, 0, "key"))
    elif name == "add_middleware":
        yield from _signed(source, call, scope, argument(call, None, "secret_key"))
    elif _CONNECTS.search(name):
        given = _literal(argument(call, None, "password", "passwd", "pwd"))
        if given is not None and _is_key(given):
            yield Found(rule="web-hardcoded-password", path=source.path, line=call.line, confidence=0.65)


def _signed(source: Source, call: s.Call, scope: Scope, key: s.Expr | None) -> Iterator[Found]:
    """The key that signs: a literal, or a name that is given one at the top of the file."""
    literal = _literal(key)
    line = call.line
    if literal is None and isinstance(key, s.Name):
        for node, where in source.all(s.Assign):
            if node.value is not None and any(
                isinstance(one, s.Name) and one.name == key.name for one in node.targets
            ):
                is_seen = where.function is None or where.function is scope.function
                literal, line = (_literal(node.value), node.line) if is_seen else (literal, line)
    if literal is not None and _is_key(literal):
        yield Found(
            rule="web-secret-key", path=source.path, line=line, note="It signs what the server later trusts."
        )


def _compared(source: Source, compare: s.Compare) -> Iterator[Found]:
    """A password or key that is compared with a literal: a login that the source gives away."""
    if len(compare.rights) != 1 or compare.operators[0] not in ("==", "!="):
        return
    for one, other in ((compare.left, compare.rights[0]), (compare.rights[0], compare.left)):
        literal, name = _literal(other), called(one)
        if literal is None or not name or isinstance(one, s.Const) or not _is_key(literal):
            continue
        if _PASSWORD.search(name) or (
            is_secret_name(name) and re.search(r"(?i)key|secret|auth|admin|access", name)
        ):
            if (
                literal.lower() in ("password", name.lower(), "text", "string", "true", "false", "secret")
                or " " in literal
            ):
                continue
            yield Found(
                rule="web-hardcoded-password",
                path=source.path,
                line=compare.line,
                note="A login is compared with a literal.",
            )


def _in_mapping(source: Source, mapping: s.Mapping) -> Iterator[Found]:
    """Passwords of databases in Django's `DATABASES`, and headers that log in."""
    keys = {text_of(key) for key, _ in mapping.pairs}
    for key, value in mapping.pairs:
        name, literal = text_of(key), _literal(value)
        if name is None or literal is None:
            continue
        if name == "PASSWORD" and "ENGINE" in keys and _is_key(literal):
            yield Found(
                rule="web-hardcoded-password",
                path=source.path,
                line=value.line,
                note="The password of the database.",
            )
        elif name.lower() in _HEADERS and _BEARER.match(literal):
            yield Found(
                rule="web-hardcoded-password",
                path=source.path,
                line=value.line,
                note="A header carries a fixed token.",
            )
        elif (
            name.lower() in ("password", "passwd")
            and keys & {"user", "username", "host", "login", "email"}
            and _is_key(literal)
            and not _WORDS.search(literal)
        ):
            yield Found(rule="web-hardcoded-password", path=source.path, line=value.line, confidence=0.5)
