"""Calls of libraries: what reaches their sinks, and what they return, as the tables say or their names promise."""

from typing import Any, Final

from agents.review.dataflow import syntax as s
from agents.review.dataflow.calls_project import unsure
from agents.review.dataflow.checks import facts_about
from agents.review.dataflow.containers import container_method
from agents.review.dataflow.contexts import ESCAPED, ESCAPED_TEXT, formatted
from agents.review.dataflow.cookies import COOKIE_SPECIALS
from agents.review.dataflow.encodings import DECODER_SPECIALS
from agents.review.dataflow.frameworks import FRAMEWORK_SPECIALS
from agents.review.dataflow.library import SPECIALS, Given
from agents.review.dataflow.machine import Frame, Machine
from agents.review.dataflow.members import item, key_label, sourced
from agents.review.dataflow.paths import PATH_SPECIALS
from agents.review.dataflow.querysets import QUERYSET_SPECIALS, chained
from agents.review.dataflow.rendering import RENDERING_SPECIALS
from agents.review.dataflow.responses import RESPONSE_SPECIALS
from agents.review.dataflow.routes import ROUTE_SPECIALS
from agents.review.dataflow.scalars import SCALAR_SPECIALS
from agents.review.dataflow.sinks import reach, weak_call
from agents.review.dataflow.texts import text_method
from agents.review.dataflow.values import (
    ANY,
    BOOLEAN,
    UNKNOWN,
    Value,
    built_at,
    changed,
    cleaned,
    is_one,
    join,
    merge_taints,
    part_of,
    truth,
)
from agents.review.dataflow.wsgi import WSGI_SPECIALS

NAME_CHARS_MAX: Final = 60
_ENDS: Final = frozenset(
    {
        "sys.exit",
        "os._exit",
        "os.abort",
        "flask.abort",
        "builtins.exit",
        "builtins.quit",
        "werkzeug.exceptions.abort",
    }
    | {"quart.abort", "bottle.abort", "flask_restful.abort", "sanic.exceptions.abort"}
)
"""Calls that don't return."""
_RAISING: Final = frozenset(
    {
        "builtins.int",
        "builtins.float",
        "uuid.UUID",
        "ipaddress.ip_address",
        "decimal.Decimal",
        "ipaddress.ip_network",
    }
)
"""Calls that raise for anything harmful: what they accepted is harmless afterwards too."""
_STORES: Final = frozenset(
    {
        "append",
        "add",
        "insert",
        "extend",
        "update",
        "appendleft",
        "put",
        "put_nowait",
        "write",
        "writelines",
        "setdefault",
    }
)


_ALL_SPECIALS: Final = {
    **SPECIALS,
    **SCALAR_SPECIALS,
    **PATH_SPECIALS,
    **DECODER_SPECIALS,
    **FRAMEWORK_SPECIALS,
    **RESPONSE_SPECIALS,
    **RENDERING_SPECIALS,
    **ROUTE_SPECIALS,
    **COOKIE_SPECIALS,
    **WSGI_SPECIALS,
    **QUERYSET_SPECIALS,
}


def call_library(
    machine: Machine,
    frame: Frame,
    node: s.Call,
    callee: Value,
    owner: Value | None,
    positional: list[Value],
    named: dict[str, Value],
) -> Value:
    path = callee.kind
    if path and (machine.tables.sinks.get(path) or machine.tables.weak.get(path)):
        given = _given(frame, path, owner, positional, named)
        what = shown(node.function)
        reach(machine, frame, path, given, node.line, what=what)
        weak_call(machine, frame, path, given, node.line, 0, what=what)
    if path in _ENDS:
        frame.dead = True
        return UNKNOWN
    if path.endswith(".abort") and not positional:
        return UNKNOWN
    call = Given(node, callee, owner, positional, named, path)
    special = _ALL_SPECIALS.get(path)
    if special is not None:
        answer: Value = special(machine, frame, call)
        return answer
    if path and not path.startswith("?.") and _ends_here(machine, path):
        return Value(kind=machine.tables.canonical(f"{path}()"))
    name = node.function.name if isinstance(node.function, s.Attribute) else ""
    if owner is not None:
        same = chained(frame, owner, name)
        if same is not None:
            return same
        found = container_method(machine, frame, owner, name, positional, named, node.line)
        if found is not None:
            return found
    return _by_tables(machine, frame, call, name)


def _given(
    frame: Frame, path: str, owner: Value | None, positional: list[Value], named: dict[str, Value]
) -> dict[str, Value]:
    """Arguments as sinks name them."""
    given = {str(index): value for index, value in enumerate(positional)} | named
    if owner is not None:
        given.setdefault("self", owner)
    given["(path)"] = Value(kind=path)
    if path == "WebSession.update" and named:
        taints = merge_taints(*(frame.state.taints(value) for value in named.values()))
        given["(named)"] = Value(taints=taints)
    if "*" in named and not positional:
        given.setdefault("0", named["*"])
    return given


def _ends_here(machine: Machine, path: str) -> bool:
    """Whether a sink gives back something else than what it was given: a file's text, an answer, rows."""
    return path not in _ARCHIVES and any(
        flaw.flaw not in _PASSED_ON for flaw, _ in machine.tables.sinks.get(path)
    )


_ARCHIVES: Final = frozenset({"tarfile.open", "zipfile.ZipFile"})
_PASSED_ON: Final = frozenset({"deserialize", "xxe", "random", "trust"})


def _by_tables(machine: Machine, frame: Frame, call: Given, name: str) -> Value:
    """Sources, checks and cleaners as the tables say; else by what the name promises."""
    tables, path, node = machine.tables, call.path, call.node
    result_path = tables.canonical(f"{path}()") if path else ""
    trust = tables.sources.get(result_path)
    if trust is not None:
        return _source(machine, frame, call, result_path)
    values = [*call.positional, *call.named.values()]
    for kinds in tables.checks.get(path):
        given = values[0] if values else UNKNOWN
        is_method = call.owner is not None and not call.positional
        is_own = is_method and (path.startswith("?.") or name.startswith("is"))
        subject = call.owner if is_own and call.owner is not None else given
        return changed(BOOLEAN, yes=facts_about(frame, subject, kinds))
    found = tables.cleaners.get(path)
    if found:
        kinds = frozenset().union(*found)
        stated = call.named.get("quote")
        if ESCAPED in kinds and stated is not None and truth(stated) is False:
            kinds = (kinds - {ESCAPED}) | {ESCAPED_TEXT}
        taints = merge_taints(*(frame.state.taints(value) for value in (*values, *_owned(call.owner))))
        if path in _RAISING and call.positional:
            frame.state.learn(facts_about(frame, call.positional[0], frozenset({ANY})))
        return cleaned(Value(taints=taints, kind=_kind_of_cleaned(path, result_path)), kinds)
    if call.owner is not None:
        items, named = call.positional, call.named
        if name == "format":
            items, named = formatted(call.owner, items, named)
        text = text_method(frame, call.owner, name, items, named)
        if text is not None:
            is_built = name in ("format", "format_map", "join")
            return built_at(text, frame.path, node.line) if is_built else text
        _soak(frame, call, name)
    return _unknown(machine, frame, call, name, result_path)


def _owned(owner: Value | None) -> tuple[Value, ...]:
    """What a method belongs to, if that is a value and no module."""
    return (owner,) if owner is not None and not owner.targets else ()


def _kind_of_cleaned(path: str, result_path: str) -> str:
    return {
        "builtins.int": "int",
        "builtins.float": "float",
        "builtins.len": "int",
        "builtins.bool": "bool",
    }.get(path, result_path)


def _source(machine: Machine, frame: Frame, call: Given, result_path: str) -> Value:
    value = sourced(machine, frame, result_path, call.node.line, Value(kind=result_path))
    if call.positional and is_one(call.positional[0]):
        part = part_of(value, key_label(call.positional[0], call.node.line))
        return Value(taints=part.taints)
    return value


def _unknown(machine: Machine, frame: Frame, call: Given, name: str, result_path: str) -> Value:
    """A call that no table knows: what comes out has to do with what it belongs to, and perhaps what it got."""
    owner_taints = frame.state.taints(call.owner) if call.owner is not None else ()
    if owner_taints and name in (
        "get",
        "getlist",
        "pop",
        "getall",
        "get_all",
        "getone",
        "getfirst",
        "getvalue",
        "get_list",
    ):
        key = call.positional[0] if call.positional else UNKNOWN
        inner = Value(taints=owner_taints, kind=call.owner.kind if call.owner is not None else "")
        found = _typed(call, item(machine, frame, inner, key, call.node.line))
        default = call.positional[1] if len(call.positional) > 1 else call.named.get("default")
        return join(found, default) if default is not None and default.taints else found
    passed: tuple[Any, ...] = ()
    if not _is_lookup(machine, name):
        values = [*call.positional, *call.named.values()]
        passed = unsure(merge_taints(*(frame.state.taints(value) for value in values)))
        if _is_known_module(call.path):
            passed = merge_taints(*(frame.state.taints(value) for value in values))
    taints = merge_taints(owner_taints, tuple(taint for taint in passed if taint.trust != "random"))
    value = Value(taints=taints, kind="" if result_path.startswith("?.") else result_path)
    promised = machine.tables.promised(name or call.path.rpartition(".")[2]) if taints else frozenset()
    return cleaned(value, promised) if promised else value


def _typed(call: Given, value: Value) -> Value:
    """`request.args.get("id", type=int)`"""
    wanted = call.named.get("type") or (call.positional[2] if len(call.positional) > 2 else None)
    if wanted is not None and wanted.kind in _CONVERTERS:
        return cleaned(value, frozenset({ANY}))
    return value


_CONVERTERS: Final = frozenset({"builtins.int", "builtins.float", "builtins.bool", "uuid.UUID"})
_TRANSPARENT: Final = (
    "urllib.",
    "base64.",
    "codecs.",
    "json.",
    "html.",
    "os.path.",
    "io.",
    "textwrap.",
    "string.",
    "binascii.",
    "zlib.",
    "gzip.",
    "copy.",
    "itertools.",
    "functools.",
    "collections.",
    "quopri.",
)


def _is_known_module(path: str) -> bool:
    """Modules whose functions give back what they were given, in another form."""
    return path.startswith(_TRANSPARENT)


def _is_lookup(machine: Machine, name: str) -> bool:
    """Whether a method gives back what is stored, which its arguments only choose."""
    first = name.lstrip("_").split("_", 1)[0].lower()
    return name in machine.tables.lookups or first in _CHOOSING


_CHOOSING: Final = frozenset(
    {
        "get",
        "find",
        "fetch",
        "query",
        "load",
        "read",
        "lookup",
        "search",
        "count",
        "exists",
        "create",
        "save",
        "add",
    }
    | {
        "insert",
        "update",
        "delete",
        "is",
        "has",
        "check",
        "validate",
        "verify",
        "select",
        "filter",
        "list",
        "remove",
    }
    | {
        "log",
        "send",
        "set",
        "store",
        "write",
        "execute",
        "notify",
        "register",
        "on",
        "should",
        "can",
        "recv",
        "hash",
    }
)


def _soak(frame: Frame, call: Given, name: str) -> None:
    """A container of which nothing is known takes on what is put into it."""
    function = call.node.function
    if name not in _STORES or not isinstance(function, s.Attribute) or not isinstance(function.owner, s.Name):
        return
    owner = call.owner
    if owner is None or (
        owner.kind and not owner.kind.startswith(("?.", "io.", "list", "dict", "collections.", "queue."))
    ):
        return
    taints = merge_taints(*(frame.state.taints(value) for value in call.positional))
    if taints:
        known = frame.state.names.get(function.owner.name, owner)
        frame.state.names[function.owner.name] = join(known, Value(taints=taints))


def shown(node: s.Expr) -> str:
    """A function as it is written: `cursor.execute`."""
    names: list[str] = []
    while isinstance(node, s.Attribute):
        names.append(node.name)
        node = node.owner
    names.append(node.name if isinstance(node, s.Name) else "…")
    return ".".join(reversed(names))[-NAME_CHARS_MAX:]
