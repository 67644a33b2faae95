"""Attributes and items of values: of modules, classes, instances, containers, and of what a library returned."""

from typing import Any, Final

import msgspec

from agents.review.dataflow.calls_project import call_function, run_module
from agents.review.dataflow.checks import HOST, OTHER_PART, PARENTS, SCHEME_PART, facts_about
from agents.review.dataflow.forms import checked_data
from agents.review.dataflow.interfaces import from_request
from agents.review.dataflow.machine import SHARED, Frame, Machine
from agents.review.dataflow.project import Module, ProjectClass, ProjectFunction, namespace
from agents.review.dataflow.values import (
    LEADS_ELSEWHERE,
    UNKNOWN,
    Step,
    Taint,
    Thing,
    Value,
    changed,
    cleaned,
    constant,
    is_one,
    join,
    join_all,
    merge_taints,
    part_of,
)

HOSTS: Final = frozenset({"netloc", "hostname", "host"})
OTHER_PARTS: Final = frozenset(
    {"scheme", "port", "suffix", "content_type", "mimetype", "fragment", "username"}
)
SHARED_PATHS: Final = frozenset({"flask.g", "flask.globals.g", "quart.g"})
KEY_CHARS_MAX: Final = 40


def member(machine: Machine, frame: Frame, owner: Value, name: str, line: int) -> Value:
    """`owner.name`"""
    found: list[Value] = []
    for target in owner.targets:
        one = _of_target(machine, frame, target, name)
        if one is not None:
            found.append(one)
    for number in owner.references:
        thing = frame.state.thing(number)
        if thing is not None:
            one = _of_thing(machine, frame, thing, number, name, line)
            if one is not None:
                found.append(one)
    if found:
        value = join_all(found)
        return join(value, Value(taints=owner.taints)) if owner.taints and not value.taints else value
    return _of_path(machine, frame, owner, name, line)


def _of_target(machine: Machine, frame: Frame, target: Any, name: str) -> Value | None:
    if isinstance(target, Module):
        run_module(machine, target)
        known = target.names.get(name)
        if known is not None:
            return known
        dotted = f"{target.dotted}.{name}"
        inner = machine.project.find(dotted, target) if target.is_package else None
        if inner is None and target.is_package and machine.project.is_folder(dotted):
            inner = namespace(dotted, name)
        return Value(targets=(inner,)) if inner is not None else UNKNOWN
    if isinstance(target, ProjectClass):
        value = target.member(name)
        if value is None:
            bases = target.library_bases()
            return Value(kind=machine.tables.canonical(f"{bases[0]}.{name}")) if bases else None
        return _bound(value, Value(targets=(target,)), is_class=True)
    return None


def _of_thing(
    machine: Machine, frame: Frame, thing: Thing, number: int, name: str, line: int
) -> Value | None:
    """A field, what the class gives to the name, or what a library's class does."""
    if thing.kind != "instance" and thing.owner is None:
        if thing.kind in _CONTAINERS:
            return Value(kind=f"{thing.kind}.{name}")
        return thing.fields.get(name)
    field = thing.fields.get(name)
    if field is not None:
        return frame.state.seen(field)
    owner = thing.owner
    if not isinstance(owner, ProjectClass):
        return thing.rest
    checked = checked_data(frame, owner, name, line)
    if checked is not None:
        return checked
    given = owner.member(name)
    if given is not None:
        method = _bound(given, Value(references=(number,)), is_class=False)
        if any(isinstance(one, ProjectFunction) and one.how == "property" for one in method.targets):
            results = [
                call_function(machine, frame, one, [], {}, line)
                for one in method.targets
                if isinstance(one, ProjectFunction)
            ]
            return join_all(results)
        return method
    for base in owner.library_bases():
        path = machine.tables.canonical(f"{base}.{name}")
        return sourced(machine, frame, path, line, Value(kind=path))
    return thing.rest


_CONTAINERS: Final = frozenset({"list", "tuple", "set", "dict"})


def _bound(value: Value, receiver: Value, *, is_class: bool) -> Value:
    """Functions of a class as methods of what they were reached through."""
    targets = []
    for target in value.targets:
        if isinstance(target, ProjectFunction) and target.how != "static":
            if target.how == "class" and target.owner is not None:
                holder = receiver if is_class else Value(targets=(target.owner,))
                targets.append(_with_receiver(target, holder))
            elif not is_class:
                targets.append(_with_receiver(target, receiver))
            else:
                targets.append(target)
        else:
            targets.append(target)
    return changed(value, targets=tuple(targets)) if value.targets else value


def _with_receiver(function: ProjectFunction, receiver: Value) -> ProjectFunction:
    return ProjectFunction(
        function.syntax, function.module, function.closure, function.owner, receiver, function.how
    )


def _of_path(machine: Machine, frame: Frame, owner: Value, name: str, line: int) -> Value:
    """By what the owner is called in the tables; something from outside stays so in all its parts."""
    if not owner.kind:
        path = f"?.{name}"
    elif owner.kind == "str" and owner.constants is None and not owner.taints:
        return Value(kind=f"str.{name}")
    else:
        path = machine.tables.canonical(f"{owner.kind}.{name}") or f"?.{name}"
    if path in SHARED_PATHS:
        return Value(kind=path, references=(SHARED,))
    value = Value(taints=owner.taints, kind=path, marks=owner.marks)
    if owner.taints:
        if name in HOSTS:
            value = changed(value, marks=owner.marks | {HOST}, no=facts_about(frame, owner, LEADS_ELSEWHERE))
        elif name in OTHER_PARTS:
            marks = {OTHER_PART, SCHEME_PART} if name == "scheme" else {OTHER_PART}
            value = changed(value, marks=owner.marks | marks)
        elif name in ("name", "stem") and owner.kind == "Path":
            value = cleaned(value, frozenset({"path"}))
        elif name == "parents":
            value = changed(value, marks=owner.marks | {PARENTS})
        return value
    return sourced(machine, frame, path, line, value)


def sourced(machine: Machine, frame: Frame, path: str, line: int, value: Value) -> Value:
    """The value, from outside if the tables say that what has this path is."""
    trust = machine.tables.sources.get(path)
    if trust is None:
        return value
    what = source_name(path)
    taint = Taint(
        trust, path if trust != "random" else f"{path}@{line}", frozenset(), Step(frame.path, line, what)
    )
    return changed(value, taints=(taint,))


def source_name(path: str) -> str:
    """How people call it: `request.args`, `sys.argv`, `input()`."""
    for long, short in _NAMES.items():
        path = path.replace(long, short)
    return ".".join(path.split(".")[-2:])


_NAMES: Final = {
    "WebRequest": "request",
    "HttpHandler": "self",
    "builtins.": "",
    "Random": "random",
    "Socket": "socket",
    "ArgumentParser().": "",
}


def item(machine: Machine, frame: Frame, owner: Value, key: Value, line: int) -> Value:
    """`owner[key]`"""
    chosen = tuple(taint for taint in key.taints if taint.trust == "random")
    if chosen and not owner.taints:  # letters that random numbers choose are as predictable as they
        return Value(taints=chosen)
    if owner.references:
        return _item_of_things(frame, owner, key)
    if is_one(owner) and is_one(key) and owner.constants and key.constants:
        try:
            return constant(owner.constants[0][key.constants[0]])
        except (TypeError, LookupError):
            return UNKNOWN
    if owner.kind == "os.environ" and is_one(key) and key.constants:
        return of_environment(frame, str(key.constants[0]), line)
    kind = (
        machine.tables.canonical(f"{owner.kind}[]")
        if owner.kind and owner.kind not in ("str", "bytes")
        else ""
    )
    if not owner.taints:
        return Value(kind=kind, taints=())
    value = part_of(owner, key_label(key, line))
    return Value(taints=_named(value.taints, key), kind=kind if owner.kind in _KEPT else "")


def of_environment(frame: Frame, name: str, line: int) -> Value:
    """A variable of the environment: part of the request, if a web server sets it for a CGI script."""
    if not from_request(name):
        return UNKNOWN
    taint = Taint(
        "remote", f"os.environ[{name!r}]", frozenset(), Step(frame.path, line, f"environ[{name!r}]")
    )
    return Value(taints=(taint,))


_KEPT: Final = frozenset({"sys.argv", "WebRequest.files", "WebRequest.FILES"})


def _named(taints: tuple[Taint, ...], key: Value) -> tuple[Taint, ...]:
    """Taints whose source says which item it is: `request.args['id']`."""
    if not is_one(key) or not key.constants:
        return taints
    shown = repr(key.constants[0])[:KEY_CHARS_MAX]
    named = []
    for taint in taints:
        step = taint.step
        if step.before is None and "[" not in step.what:
            step = msgspec.structs.replace(step, what=f"{step.what}[{shown}]")
        named.append(msgspec.structs.replace(taint, step=step))
    return tuple(named)


def key_label(key: Value, line: int) -> str:
    """What tells one item of an outside value from another."""
    if is_one(key) and key.constants:
        return repr(key.constants[0])[:KEY_CHARS_MAX]
    return f"?{line}"


def _item_of_things(frame: Frame, owner: Value, key: Value) -> Value:
    if is_one(key) and key.constants:
        wanted = key.constants[0]
        thing = frame.state.the_thing(owner)
        if thing is not None and thing.size is not None and type(wanted) is int and wanted < 0:
            wanted += thing.size
        known = frame.state.field(owner, wanted)
        found = known if known is not None else UNKNOWN
    else:
        found = frame.state.items(owner) or UNKNOWN
        if key.taints:
            # which one is chosen comes from outside, what it is does not
            found = changed(found, yes=frozenset(), no=frozenset())
    if owner.taints:
        label = key_label(key, 0)
        found = changed(found, taints=merge_taints(found.taints, part_of(owner, label).taints))
    return frame.state.seen(found)
