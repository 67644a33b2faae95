"""How passwords are kept and compared: in plain text, with a fast hash, or in a time that tells."""

import re
from collections.abc import Iterator, Mapping
from typing import Final

from agents.review.analysers.web.rules import Found
from agents.review.analysers.web.shapes import (
    argument,
    assignments,
    body_says,
    called,
    from_request,
    function_name,
    is_request,
    says,
    text_of,
)
from agents.review.analysers.web.source import Scope, Source, walk
from agents.review.dataflow import syntax as s

PASSWORD: Final = re.compile(
    r"(?i)(?:^|_)(?:password|passwd|passwort|pwd|passphrase)\d?$|^pass(?:word)?$|^pw$|(?<=[a-z])Password$"
)
HASHES: Final = re.compile(
    r"(?i)hash|bcrypt|argon|pbkdf|scrypt|encrypt|crypt|make_password|set_password|digest|verify|check_password|secure|ldap|bind"
)
_TWICE = re.compile(
    r"(?i)confirm|repeat|again|new|old|current|verif|retype|second|re_|[_]?2$|match|hash|digest|previous|generated|default"
)
_FAST: Final = frozenset(
    {"md5", "sha1", "sha224", "sha256", "sha384", "sha512", "blake2b", "blake2s", "sha3_256", "sha3_512"}
)
_BROKEN: Final = frozenset({"md5", "sha1"})
_LEAKS = re.compile(r"(?i)pwned|hibp|breach|leak|etag|cache|compat|legacy")
_DIGEST = re.compile(r"(?i)^(?:\w+_)?(?:signature|hmac|digest|mac|checksum_hmac)(?:_\w+)?$|sig$")
_ACCOUNT = re.compile(
    r"(?i)user|account|member|admin|customer|employee|person|profile|client|student|patient|login"
)
_NOT_ROWS = re.compile(
    r"BaseModel|Schema|Form|Serializer|NamedTuple|TypedDict|Enum|Exception|Command|TestCase|Struct"
)
_INSERT = re.compile(r"(?is)^\s*(?:insert\s+into|update)\b.*\bpass(?:word|wd)?\b")
_SELECT = re.compile(r"(?is)^\s*select\b.*\bwhere\b.*\bpass(?:word|wd)?\b\s*=")
_QUERIES: Final = frozenset({"filter_by", "get", "filter", "find_one", "find", "get_or_none"})


def find(source: Source, classes: Mapping[str, s.Class]) -> Iterator[Found]:
    """Passwords in one file.

    Args:
        classes: of the whole project by name.
    """
    if source.is_test or source.is_aside:
        return
    for compare, scope in source.all(s.Compare):
        yield from _compared(source, compare, scope)
    for call, scope in source.all(s.Call):
        yield from _hashed(source, call, scope)
        yield from _stored(source, call, scope, classes)
        yield from _asked(source, call, scope)
        yield from _in_sql(source, call, scope)
    for node, scope in source.all(s.Assign):
        yield from _assigned(source, node, scope, classes)


def _compared(source: Source, compare: s.Compare, scope: Scope) -> Iterator[Found]:
    if len(compare.rights) != 1 or compare.operators[0] not in ("==", "!="):
        return
    left, right = compare.left, compare.rights[0]
    if _is_plain_password(left, scope) and _is_plain_password(right, scope) and _is_kept(left, right, scope):
        yield Found(
            rule="web-password-plain",
            path=source.path,
            line=compare.line,
            note="Passwords are compared as they are.",
        )
        return
    is_digest = scope.function is not None and any(_is_digest(source, side, scope) for side in (left, right))
    if is_digest and not isinstance(left, s.Const) and not isinstance(right, s.Const):
        yield Found(rule="web-timing", path=source.path, line=compare.line)


def _is_plain_password(node: s.Expr, scope: Scope) -> bool:
    """Whether it is a password that nothing has hashed."""
    name = called(node)
    if not PASSWORD.search(name) or _TWICE.search(name) or isinstance(node, s.Const):
        return False
    if isinstance(node, s.Name) and scope.function is not None:
        return not says(HASHES, assignments(scope.function, node.name))
    return not any(isinstance(part, s.Call) and HASHES.search(function_name(part)) for part in walk(node))


def _is_kept(left: s.Expr, right: s.Expr, scope: Scope) -> bool:
    """Whether one side is what was kept of an account, and both aren't what one form brings."""
    if says(_TWICE, [left, right], texts=True):
        return False
    known = from_request(scope.function) if scope.function is not None else frozenset()
    sides = (left, right)
    parameters = (
        {one.name for one in scope.function.parameters} - {"self", "cls"}
        if scope.function is not None
        else set()
    )
    if not any(
        isinstance(side, s.Name) or is_request(side, known) or _owner_name(side) in parameters
        for side in sides
    ):
        return False
    if all(is_request(side, known) for side in sides):
        return False
    return any(
        isinstance(side, s.Attribute | s.Index) and not is_request(side, known) and not _is_own_form(side)
        for side in sides
    )


def _owner_name(side: s.Expr) -> str:
    return (
        side.owner.name if isinstance(side, s.Attribute | s.Index) and isinstance(side.owner, s.Name) else ""
    )


def _is_own_form(side: s.Expr) -> bool:
    return (
        isinstance(side, s.Attribute)
        and isinstance(side.owner, s.Name)
        and side.owner.name in ("form", "args", "data", "self.form", "options", "settings", "conf", "config")
    )


def _is_digest(source: Source, node: s.Expr, scope: Scope) -> bool:
    """Whether it is the code of a message, made here with a key."""
    match node:
        case s.Call(function=s.Attribute(owner=s.Call() as made, name="hexdigest" | "digest")):
            return source.path_of(made.function) in ("hmac.new", "hmac.HMAC")
        case s.Name(name=name) if scope.function is not None:
            return any(_is_digest(source, value, Scope()) for value in assignments(scope.function, name))
    return source.path_of(node.function) == "hmac.digest" if isinstance(node, s.Call) else False


def _hashed(source: Source, call: s.Call, scope: Scope) -> Iterator[Found]:
    path = source.path_of(call.function)
    name = path.rpartition(".")[2]
    if path == "hashlib.new":
        name, given = (
            (text_of(argument(call, 0, "name")) or "").lower().replace("-", ""),
            argument(call, 1, "data"),
        )
    elif path.startswith("hashlib.") or name in ("md5", "sha1", "sha256", "sha512"):
        given = argument(call, 0, "data", "string")
    elif name == "generate_password_hash":
        method = (text_of(argument(call, 1, "method")) or "").lower()
        if method and re.fullmatch(r"(?:plain|md5|sha1|sha224|sha256|sha384|sha512)", method):
            yield Found(
                rule="web-password-fast-hash",
                path=source.path,
                line=call.line,
                note=f"The method is {method}.",
            )
        return
    else:
        return
    if name not in _FAST or given is None or not _is_about_password(given, scope):
        return
    around = scope.function
    if around is not None and (_LEAKS.search(around.name) or body_says(_LEAKS, around, texts=True)):
        return
    yield Found(
        rule="web-password-fast-hash", path=source.path, line=call.line, note=f"{name.upper()} is made for speed.",
        confidence=0.85 if name in _BROKEN else 0.75,
    )  # fmt: skip


def _is_about_password(given: s.Expr, scope: Scope) -> bool:
    """Whether a password goes in, perhaps with salt around it."""
    for part in walk(given):
        if isinstance(part, s.Name | s.Attribute | s.Index | s.Call) and PASSWORD.search(called(part)):
            return True
        if isinstance(part, s.Name) and scope.function is not None:
            values = assignments(scope.function, part.name)
            if any(
                PASSWORD.search(called(inner))
                for value in values
                for inner in walk(value)
                if isinstance(inner, s.Name | s.Attribute | s.Index | s.Call)
            ):
                return not says(HASHES, values)
    return False


def _raw_password(source: Source, value: s.Expr | None, scope: Scope) -> bool:
    """Whether a value is a password as the client sent it."""
    if value is None or scope.function is None or not PASSWORD.search(called(value)):
        return False
    if not _is_plain_password(value, scope):
        return False
    known = from_request(scope.function)
    if is_request(value, known):
        return True
    return isinstance(value, s.Name) and any(one.name == value.name for one in scope.function.parameters)


def _stored(source: Source, call: s.Call, scope: Scope, classes: Mapping[str, s.Class]) -> Iterator[Found]:
    """`User(name=…, password=request.form["password"])`"""
    name = function_name(call)
    owner = classes.get(name)
    if owner is None or not name[:1].isupper() or not _ACCOUNT.search(name) or not _is_row(owner, classes):
        return
    for one in call.arguments:
        is_raw = one.name and PASSWORD.search(one.name) and _raw_password(source, one.value, scope)
        if is_raw and not _hashes_elsewhere(owner, scope):
            yield Found(rule="web-password-plain", path=source.path, line=one.line)


def _assigned(
    source: Source, node: s.Assign, scope: Scope, classes: Mapping[str, s.Class]
) -> Iterator[Found]:
    """`user.password = request.form["password"]`"""
    for target in node.targets:
        match target:
            case s.Attribute(owner=s.Name(name=name), name=member) if (
                PASSWORD.search(member)
                and name not in ("self", "form", "app", "config", "settings")
                and _ACCOUNT.search(name)
            ):
                owner = next(
                    (
                        one
                        for title, one in classes.items()
                        if title.lower() == name.lower().removeprefix("new_") and _is_row(one, classes)
                    ),
                    None,
                )
                if (
                    owner is not None
                    and _raw_password(source, node.value, scope)
                    and not _hashes_elsewhere(owner, scope)
                ):
                    yield Found(rule="web-password-plain", path=source.path, line=node.line)


def _is_row(owner: s.Class, classes: Mapping[str, s.Class]) -> bool:
    """Whether a class is a table: what it inherits from tells, or columns in its body."""
    bases = [called(base) for base in owner.bases]
    if any(_NOT_ROWS.search(base) for base in bases):
        return False
    if any(re.search(r"Model$|^Base$|Document$|^Entity$|^SQLModel$", base) for base in bases):
        return True
    return any(
        isinstance(part, s.Call) and function_name(part) in ("Column", "mapped_column")
        for part in walk(*owner.body)
    )


def _hashes_elsewhere(owner: s.Class, scope: Scope) -> bool:
    """Whether the class or the function hashes after all."""
    return says(HASHES, [*owner.body]) or (scope.function is not None and body_says(HASHES, scope.function))


def _asked(source: Source, call: s.Call, scope: Scope) -> Iterator[Found]:
    """`User.query.filter_by(name=…, password=request.form["password"])`"""
    if not (isinstance(call.function, s.Attribute) and call.function.name in _QUERIES):
        return
    for one in call.arguments:
        given = one.value if one.name and PASSWORD.search(one.name) else None
        if isinstance(one.value, s.Mapping) and call.function.name in ("find_one", "find"):
            given = next(
                (value for key, value in one.value.pairs if PASSWORD.search(text_of(key) or "")), None
            )
        if given is not None and _raw_password(source, given, scope):
            yield Found(
                rule="web-password-plain",
                path=source.path,
                line=one.line,
                note="The database is asked for the password as it is.",
            )


def _in_sql(source: Source, call: s.Call, scope: Scope) -> Iterator[Found]:
    """A statement that keeps or asks for a password, with one from the request in it."""
    if scope.function is None or not (
        isinstance(call.function, s.Attribute)
        and call.function.name
        in ("execute", "execute_query", "query", "raw", "fetch_one", "fetchrow", "query_db")
    ):
        return
    statement = argument(call, 0, "query", "sql", "statement")
    parts = [
        statement,
        *(assignments(scope.function, statement.name) if isinstance(statement, s.Name) else []),
    ]
    text = " ".join(one for part in parts for inner in walk(part) if (one := text_of(inner)) is not None)
    is_kept = _INSERT.search(text) is not None
    if not is_kept and not _SELECT.search(text):
        return
    given = [*parts, *(one.value for one in call.arguments[1:])]
    raw = any(
        _raw_password(source, part, scope)
        for part in walk(*given)
        if isinstance(part, s.Name | s.Attribute | s.Index | s.Call)
    )
    if raw and not body_says(HASHES, scope.function) and not re.search(r"(?i)hash|crypt|md5|sha\d", text):
        note = "" if is_kept else "The database is asked for the password as it is."
        yield Found(rule="web-password-plain", path=source.path, line=call.line, note=note)
