"""Calls: of the project's functions, of methods of texts and containers, and of libraries."""

from typing import Any, Final

from agents.review.dataflow import syntax as s
from agents.review.dataflow.calls_project import call_function, instantiate, unsure
from agents.review.dataflow.checks import facts_about
from agents.review.dataflow.containers import container_method
from agents.review.dataflow.frameworks import FRAMEWORK_SPECIALS
from agents.review.dataflow.library import SPECIALS, Given
from agents.review.dataflow.machine import Frame, Machine
from agents.review.dataflow.members import item, key_label, member, sourced
from agents.review.dataflow.project import ProjectClass, ProjectFunction
from agents.review.dataflow.routes import ROUTE_SPECIALS
from agents.review.dataflow.sinks import reach, weak_call
from agents.review.dataflow.texts import text_method
from agents.review.dataflow.values import (
    ANY,
    BOOLEAN,
    UNKNOWN,
    Value,
    changed,
    cleaned,
    is_one,
    join,
    merge_taints,
    part_of,
)

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


def evaluate_call(machine: Machine, frame: Frame, node: s.Call) -> Value:
    """What a call returns."""
    owner: Value | None = None
    if isinstance(node.function, s.Attribute):
        bound = _of_super(frame, node.function)
        if bound is not None:
            callee = bound
        else:
            owner = machine.evaluate(frame, node.function.owner)
            callee = member(machine, frame, owner, node.function.name, node.function.line)
    else:
        callee = machine.evaluate(frame, node.function)
    positional, named = _arguments(machine, frame, node)
    result: Value | None = None
    for target in callee.targets:
        one = _call_target(machine, frame, target, positional, named, node.line)
        if one is not None:
            result = one if result is None else join(result, one)
        if frame.dead:
            return UNKNOWN
    if result is None:
        result = _call_instance(machine, frame, callee, positional, named, node.line)
    if result is not None:
        return result
    return _call_library(machine, frame, node, callee, owner, positional, named)


def _of_super(frame: Frame, function: s.Attribute) -> Value | None:
    """`super().name`, bound to the instance at hand."""
    owner = function.owner
    if not (
        isinstance(owner, s.Call) and isinstance(owner.function, s.Name) and owner.function.name == "super"
    ):
        return None
    around = frame.function
    if around is None or around.owner is None or around.receiver is None:
        return None
    for one in around.owner.lineage()[1:]:
        found = one.names.get(function.name)
        if found is not None:
            return changed(
                found,
                targets=tuple(
                    ProjectFunction(it.syntax, it.module, it.closure, it.owner, around.receiver, it.how)
                    for it in found.targets
                    if isinstance(it, ProjectFunction)
                ),
            )
    return None


def _arguments(machine: Machine, frame: Frame, node: s.Call) -> tuple[list[Value], dict[str, Value]]:
    """Arguments by position and by name; those of unknown number under `*` and `**`."""
    positional: list[Value] = []
    named: dict[str, Value] = {}
    for argument in node.arguments:
        value = machine.evaluate(frame, argument.value)
        if argument.stars == 1:
            thing = frame.state.the_thing(value)
            if thing is not None and thing.size is not None and len(thing.fields) == thing.size:
                positional += [thing.fields[index] for index in range(thing.size)]
            else:
                inside = frame.state.items(value) if value.references else value
                named["*"] = inside if inside is not None else UNKNOWN
        elif argument.stars == 2:
            thing = frame.state.the_thing(value)
            if thing is not None:
                named |= {key: one for key, one in thing.fields.items() if isinstance(key, str)}
            if thing is None or thing.rest is not None:
                named["**"] = (thing.rest if thing is not None else None) or value
        elif argument.name:
            named[argument.name] = value
        else:
            positional.append(value)
    return positional, named


def _call_target(
    machine: Machine, frame: Frame, target: Any, positional: list[Value], named: dict[str, Value], line: int
) -> Value | None:
    if isinstance(target, ProjectFunction):
        return call_function(machine, frame, target, positional, named, line)
    if isinstance(target, ProjectClass):
        return instantiate(machine, frame, target, positional, named, line)
    return None


def _call_instance(
    machine: Machine, frame: Frame, callee: Value, positional: list[Value], named: dict[str, Value], line: int
) -> Value | None:
    """An instance with `__call__`."""
    thing = frame.state.the_thing(callee)
    if thing is None or not isinstance(thing.owner, ProjectClass):
        return None
    method = thing.owner.member("__call__")
    for target in method.targets if method is not None else ():
        if isinstance(target, ProjectFunction):
            bound = ProjectFunction(target.syntax, target.module, target.closure, target.owner, callee)
            return call_function(machine, frame, bound, positional, named, line)
    return None


def _call_library(
    machine: Machine,
    frame: Frame,
    node: s.Call,
    callee: Value,
    owner: Value | None,
    positional: list[Value],
    named: dict[str, Value],
) -> Value:
    path = callee.kind
    given = {str(index): value for index, value in enumerate(positional)} | named
    if owner is not None:
        given.setdefault("self", owner)
    given["(path)"] = Value(kind=path)
    if "*" in named and not positional:
        given.setdefault("0", named["*"])
    what = shown(node.function)
    if path:
        reach(machine, frame, path, given, node.line, what=what)
        weak_call(machine, frame, path, given, node.line, 0, what=what)
    if path in _ENDS:
        frame.dead = True
        return UNKNOWN
    if path == "flask.abort" or (path.endswith(".abort") and not positional):
        return UNKNOWN
    call = Given(node, callee, owner, positional, named, path, what)
    special = SPECIALS.get(path) or FRAMEWORK_SPECIALS.get(path) or ROUTE_SPECIALS.get(path)
    if special is not None:
        return special(machine, frame, call)
    if path and not path.startswith("?.") and _ends_here(machine, path):
        return Value(kind=machine.tables.canonical(f"{path}()"))
    name = node.function.name if isinstance(node.function, s.Attribute) else ""
    if owner is not None:
        found = container_method(machine, frame, owner, name, positional, named, node.line)
        if found is not None:
            return found
    return _by_tables(machine, frame, call, name)


def _ends_here(machine: Machine, path: str) -> bool:
    """Whether a sink gives back something else than what it was given: a file's text, an answer, rows."""
    return path not in _ARCHIVES and any(
        flaw.flaw not in _PASSED_ON for flaw, _ in machine.tables.sinks.get(path)
    )


_ARCHIVES: Final = frozenset({"tarfile.open", "zipfile.ZipFile"})
_PASSED_ON: Final = frozenset({"deserialize", "xxe", "random", "trust"})


def _by_tables(machine: Machine, frame: Frame, call: Given, name: str) -> Value:
    """Sources, checks and cleaners as the tables say; else by what the name promises."""
    tables, path, _node = machine.tables, call.path, call.node
    result_path = tables.canonical(f"{path}()") if path else ""
    trust = tables.sources.get(result_path)
    if trust is not None:
        return _source(machine, frame, call, result_path)
    values = [*call.positional, *call.named.values()]
    for kinds in tables.checks.get(path):
        subject = (
            call.owner if path.startswith("?.") or (name.startswith("is") and not call.positional) else None
        )
        subject = (
            subject if subject is not None and not call.positional else (call.positional or [UNKNOWN])[0]
        )
        return changed(BOOLEAN, yes=facts_about(frame, subject, kinds))
    found = tables.cleaners.get(path)
    if found:
        kinds = frozenset().union(*found)
        taints = merge_taints(*(frame.state.taints(value) for value in (*values, *_owned(call.owner))))
        if path in _RAISING and call.positional:
            frame.state.learn(facts_about(frame, call.positional[0], frozenset({ANY})))
        return cleaned(Value(taints=taints, kind=_kind_of_cleaned(path, result_path)), kinds)
    if call.owner is not None:
        text = text_method(frame, call.owner, name, call.positional, call.named)
        if text is not None:
            return text
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
