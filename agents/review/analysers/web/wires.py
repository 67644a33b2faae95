"""Connections, tokens and logs: certificates that aren't checked, tokens that can be guessed, secrets in logs."""

import re
from collections.abc import Iterator
from typing import Final

from agents.review.analysers.web.passwords import PASSWORD
from agents.review.analysers.web.rules import Found
from agents.review.analysers.web.shapes import argument, called, function_name, is_const, text_of
from agents.review.analysers.web.source import Scope, Source, walk
from agents.review.dataflow import syntax as s
from schemas.review import Severity

_HTTP: Final = frozenset(
    {"get", "post", "put", "patch", "delete", "head", "options", "request", "stream", "send"}
)
_TOKEN: Final = re.compile(
    r"(?i)token|reset|otp|nonce|session_?id|sid$|secret|api_?key|verification|activation|invite|confirm\w*code|csrf|password|pin_?code|auth_?code"
)
_LOGGED: Final = re.compile(
    r"(?i)(?:^|_)(?:password|passwd|pwd|secret_key|api_?key|private_?key|access_?token|refresh_?token|auth_?token|reset_?token|session_?token|jwt_?token|client_?secret|credit_?card|card_?number|cvv|ssn|credentials)$"
)
_LOGS: Final = frozenset({"debug", "info", "warning", "warn", "error", "critical", "exception", "log"})
_LOGGER = re.compile(r"(?i)^(?:logging|logger|log|_?log(?:ger)?|app|current_app)$|\.logger$|logger$|\.log$")


def find(source: Source) -> Iterator[Found]:
    if source.is_test or source.is_aside:
        return
    for call, _ in source.all(s.Call):
        yield from _unverified(source, call)
        yield from _unsigned(source, call)
        yield from _logged(source, call)
        yield from _reflected(source, call)
    for node, scope in source.all(s.Assign):
        if node.value is not None:
            yield from _switched_off(source, node, scope)
            yield from _guessable(source, node, scope)


def _unverified(source: Source, call: s.Call) -> Iterator[Found]:
    """`verify=False` of sessions and clients, `ssl=False` of aiohttp: what others see only of `requests` itself."""
    name = function_name(call)
    is_http = name in _HTTP or name in (
        "Client",
        "AsyncClient",
        "TCPConnector",
        "ClientSession",
        "PoolManager",
    )
    if not is_http:
        return
    off = is_const(argument(call, None, "verify"), False) and not (
        name == "get" and "jwt" in source.path_of(call.function)
    )
    if not off and source.uses("aiohttp"):
        off = is_const(argument(call, None, "ssl", "verify_ssl"), False)
    if not off and name == "PoolManager":
        reqs = argument(call, None, "cert_reqs")
        off = text_of(reqs) == "CERT_NONE" or called(reqs) == "CERT_NONE"
    if off:
        yield Found(rule="web-tls-unverified", path=source.path, line=call.line)


def _is_asked(scope: Scope) -> bool:
    """Whether the caller of a function decides about checks, or its name says that there are none."""
    if scope.function is None:
        return False
    names = [scope.function.name, *(one.name for one in scope.function.parameters)]
    return any(re.search(r"(?i)verif|ssl|insecure|cert|check", name) for name in names)


def _switched_off(source: Source, node: s.Assign, scope: Scope) -> Iterator[Found]:
    for target in node.targets:
        match target:
            case s.Attribute(name="verify", owner=owner) if is_const(node.value, False) and re.search(
                r"(?i)sess|client|^s$", called(owner)
            ):
                yield Found(rule="web-tls-unverified", path=source.path, line=node.line)
            case s.Attribute(name="verify_mode") if called(node.value) == "CERT_NONE" and not _is_asked(
                scope
            ):
                yield Found(rule="web-tls-unverified", path=source.path, line=node.line)
            case s.Attribute(name="_create_default_https_context") if (
                called(node.value) == "_create_unverified_context"
            ):
                yield Found(
                    rule="web-tls-unverified", path=source.path, line=node.line, note="For the whole process."
                )
            case s.Index(key=s.Const(value=str(header))) | s.Attribute(name=str(header)) if (
                header.lower() == "access-control-allow-origin" and _is_origin(node.value)
            ):
                yield Found(
                    rule="web-cors",
                    path=source.path,
                    line=node.line,
                    confidence=0.6,
                    note="Whatever origin asks is allowed.",
                )


def _is_origin(value: s.Expr | None) -> bool:
    return any(
        isinstance(part, s.Const) and part.value in ("Origin", "origin", "HTTP_ORIGIN")
        for part in walk(value)
    ) and "request" in {part.name for part in walk(value) if isinstance(part, s.Name | s.Attribute)}


def _reflected(source: Source, call: s.Call) -> Iterator[Found]:
    if function_name(call) in ("add", "set", "setdefault", "add_header") and len(call.arguments) >= 2:
        header = (text_of(call.arguments[0].value) or "").lower()
        if header == "access-control-allow-origin" and _is_origin(call.arguments[1].value):
            yield Found(
                rule="web-cors",
                path=source.path,
                line=call.line,
                confidence=0.6,
                note="Whatever origin asks is allowed.",
            )


def _unsigned(source: Source, call: s.Call) -> Iterator[Found]:
    """Tokens that are read without their signature, or made without one."""
    path = source.path_of(call.function)
    package = path.split(".")[0]
    if package not in ("jwt", "jose", "authlib", "python_jwt", "pyjwt") and not path.startswith("jwt."):
        return
    name = path.rpartition(".")[2]
    if name == "decode":
        options = argument(call, None, "options")
        is_off = is_const(argument(call, 2, "verify"), False) or (
            isinstance(options, s.Mapping)
            and any(
                text_of(key) == "verify_signature" and is_const(value, False) for key, value in options.pairs
            )
        )
        algorithms = argument(call, 2, "algorithms", "algorithm")
        takes_none = any((text_of(part) or "x").lower() == "none" for part in walk(algorithms))
        if is_off or takes_none:
            yield Found(rule="web-jwt-unverified", path=source.path, line=call.line)
        elif (
            is_off is False
            and isinstance(options, s.Mapping)
            and any(text_of(key) == "verify_exp" and is_const(value, False) for key, value in options.pairs)
        ):
            yield Found(
                rule="web-jwt-unverified",
                path=source.path,
                line=call.line,
                cwe=613,
                severity=Severity.MEDIUM,
                confidence=0.6,
                note="Tokens that have expired are taken, too.",
            )
    elif name == "encode" and (text_of(argument(call, 2, "algorithm")) or "").lower() == "none":
        yield Found(rule="web-jwt-unverified", path=source.path, line=call.line)
    elif name in ("get_unverified_claims", "process_jwt"):
        yield Found(rule="web-jwt-unverified", path=source.path, line=call.line, confidence=0.55)


def _guessable(source: Source, node: s.Assign, scope: Scope) -> Iterator[Found]:
    """Tokens made of the time, of a machine's address, or of a hash of what everybody knows."""
    names = [called(target) for target in node.targets]
    if not any(_TOKEN.search(name) for name in names) or not isinstance(
        node.value, s.Call | s.Text | s.Binary
    ):
        return
    for part in walk(node.value):
        if not isinstance(part, s.Call):
            continue
        path = source.path_of(part.function)
        if path == "uuid.uuid1" or (
            path in ("time.time", "time.time_ns", "datetime.datetime.now", "datetime.now")
            and _is_made_of_time(source, node.value)
        ):
            yield Found(rule="web-guessable-token", path=source.path, line=node.line)
            return
        if (
            path in ("hashlib.md5", "hashlib.sha1", "hashlib.sha256")
            and part.arguments
            and "reset" in " ".join([*names, scope.function.name if scope.function else ""]).lower()
        ):
            inner = [
                called(one) for one in walk(part.arguments[0].value) if isinstance(one, s.Name | s.Attribute)
            ]
            if any(re.search(r"(?i)^(?:e?mail|user_?name|user_?id)$", one) for one in inner) and not any(
                re.search(r"(?i)secret|salt|key|rand|token", one) for one in inner
            ):
                yield Found(rule="web-guessable-token", path=source.path, line=node.line)
                return


def _is_made_of_time(source: Source, value: s.Expr) -> bool:
    """Whether the time is hashed or written out, rather than an expiry that is signed."""
    names = {
        source.path_of(part.function).rpartition(".")[2] for part in walk(value) if isinstance(part, s.Call)
    }
    if names & {
        "encode",
        "dumps",
        "token_hex",
        "token_urlsafe",
        "sign",
        "uuid4",
        "urandom",
        "new",
        "timedelta",
    }:
        return bool(names & {"md5", "sha1", "sha256"}) and not names & {
            "token_hex",
            "token_urlsafe",
            "urandom",
            "uuid4",
            "new",
            "timedelta",
        }
    return bool(names & {"md5", "sha1", "sha256", "str", "b64encode", "hex"})


def _logged(source: Source, call: s.Call) -> Iterator[Found]:
    """Passwords and keys in what is logged or printed."""
    name = function_name(call)
    if name == "print" and isinstance(call.function, s.Name):
        is_log = True
    else:
        is_log = (
            name in _LOGS
            and isinstance(call.function, s.Attribute)
            and _LOGGER.search(source.path_of(call.function.owner) or called(call.function.owner)) is not None
        )
    if not is_log:
        return
    for one in call.arguments:
        for value in _told(one.value):
            title = called(value)
            if title and (_LOGGED.search(title) or PASSWORD.search(title)) and not title.isupper():
                yield Found(
                    rule="web-secret-logged",
                    path=source.path,
                    line=value.line,
                    note=f"{title} is written out.",
                    confidence=0.45 if name == "print" else None,
                )
                return


def _told(value: s.Expr) -> Iterator[s.Expr]:
    """The values whose text is written: `a`, f"{a}", "%s" % a, "{}".format(a), a + b."""
    match value:
        case s.Text(parts=parts) | s.Sequence(items=parts) | s.Binary(operands=parts):
            for part in parts:
                yield from _told(part)
        case s.Call(function=s.Attribute(name="format"), arguments=arguments):
            for one in arguments:
                yield from _told(one.value)
        case s.Name() | s.Attribute() | s.Index():
            yield value
        case s.Call(function=s.Attribute(name="get")):
            yield value
