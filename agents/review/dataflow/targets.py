"""Giving values to names, attributes, items and patterns of them."""

import re
from typing import Final

from agents.review.dataflow import syntax as s
from agents.review.dataflow.cookies import put_cookie
from agents.review.dataflow.machine import Frame, Machine
from agents.review.dataflow.members import item
from agents.review.dataflow.project import Module, ProjectClass
from agents.review.dataflow.responses import RESPONSE, set_attribute, set_header
from agents.review.dataflow.sinks import reach, weak_call
from agents.review.dataflow.values import Thing, Value, changed, constant, is_one, join, part_of, with_step

SECRET_NAME: Final = re.compile(
    r"(?i)token|secret|passw|passphrase|\bpwd\b|session_?(?:id|key)|csrf|nonce|(?:^|_)salt|(?:^|_)otp(?:_|$)|one_?time"
    r"|(?:api|secret|session|sign\w*|remember_?me_?|auth|private|encrypt\w*|crypto\w*|access)_?key|credential"
    r"|(?:reset|verif\w*|auth\w*|confirm\w*|invit\w*|activation|recovery|security|access|voucher|coupon|gift|backup)_?code|(?:^|_)(?:new|make|create|generate|gen|issue|mint|fallback)_(?:\w+_)?(?:key|code|pin)$|remember_?me|(?:^|_)pin(?:_|$)|cookie"
)
"""Names of what nobody may guess."""


def assign(machine: Machine, frame: Frame, target: s.Expr, value: Value, line: int) -> None:
    """`target = value`"""
    match target:
        case s.Name(name=name):
            _name(machine, frame, name, value, line)
        case s.Attribute(owner=owner_node, name=name):
            _attribute(machine, frame, machine.evaluate(frame, owner_node), name, value, line)
        case s.Index(owner=owner_node, key=key_node):
            _item(machine, frame, owner_node, key_node, value, line)
        case s.Sequence(items=items):
            _unpack(machine, frame, items, value, line)
        case s.Star(value=inner):
            assign(machine, frame, inner, frame.state.put(Thing("list", {}, value)), line)


def _name(machine: Machine, frame: Frame, name: str, value: Value, line: int) -> None:
    if value.taints:
        name_secret(machine, frame, name, value, line)
        value = with_step(value, frame.path, line, name)
    setting(machine, frame, name, value, line)
    frame.state.names[name] = value
    if frame.function is not None and name in frame.function.syntax.globals:
        known = frame.module.names.get(name)
        kept = changed(value, taints=())
        frame.module.names[name] = kept if known is None else join(known, kept)


def name_secret(machine: Machine, frame: Frame, name: str, value: Value, line: int) -> None:
    """Report random numbers that get the name of a secret."""
    if any(taint.trust == "random" for taint in value.taints) and SECRET_NAME.search(name):
        reach(machine, frame, "name.secret", {"1": value}, line, what=name)


def _attribute(machine: Machine, frame: Frame, owner: Value, name: str, value: Value, line: int) -> None:
    name_secret(machine, frame, name, value, line)
    set_attribute(machine, frame, owner, name, value, line)
    frame.state.set_field(owner, name, with_step(value, frame.path, line, f".{name}"))
    for target in owner.targets:
        if isinstance(target, ProjectClass | Module):
            known = target.names.get(name)
            target.names[name] = value if known is None else join(known, value)


def _item(
    machine: Machine, frame: Frame, owner_node: s.Expr, key_node: s.Expr, value: Value, line: int
) -> None:
    owner = machine.evaluate(frame, owner_node)
    key = machine.evaluate(frame, key_node)
    if is_one(key) and key.constants and isinstance(key.constants[0], str):
        text = key.constants[0]
        name_secret(machine, frame, text, value, line)
        setting(machine, frame, text, value, line)
        if isinstance(owner_node, s.Attribute | s.Name):
            set_header(machine, frame, _answer(machine, frame, owner_node, owner), text, value, line)
    if owner.kind == "WebSession":
        reach(machine, frame, "WebSession.__setitem__", {"0": key, "1": value}, line, what="session")
    if put_cookie(frame, owner, key, line):
        return
    content = with_step(value, frame.path, line, "item")
    if not owner.references:
        _soak(machine, frame, owner_node, owner, content)
    elif is_one(key) and key.constants:
        frame.state.set_field(owner, key.constants[0], content)
    else:
        frame.state.add(owner, content)
        if key.taints:
            frame.state.add(owner, Value(taints=key.taints))


def _answer(machine: Machine, frame: Frame, owner_node: s.Expr, owner: Value) -> Value | None:
    """The answer whose headers these are: `response.headers[…]`, or `response[…]` in Django."""
    if owner.kind == RESPONSE:
        return owner
    if isinstance(owner_node, s.Attribute) and owner_node.name == "headers":
        return machine.evaluate(frame, owner_node.owner)
    return None


def setting(machine: Machine, frame: Frame, name: str, value: Value, line: int) -> None:
    """Settings of a framework that are a weakness by their value: `SESSION_COOKIE_SECURE = False`."""
    if name.isupper():
        weak_call(machine, frame, f"setting.{name}", {"0": value}, line, line, what=name)


def _soak(machine: Machine, frame: Frame, owner_node: s.Expr, owner: Value, content: Value) -> None:
    """A container that nothing is known of becomes one of which only this is known."""
    if isinstance(owner_node, s.Name) and content.taints and not owner.kind:
        frame.state.names[owner_node.name] = join(owner, Value(taints=content.taints))


def _unpack(machine: Machine, frame: Frame, items: list[s.Expr], value: Value, line: int) -> None:
    thing = frame.state.the_thing(value)
    has_star = any(isinstance(one, s.Star) for one in items)
    for index, one in enumerate(items):
        if thing is not None and thing.kind != "dict" and not has_star:
            part = item(machine, frame, value, constant(index), line)
        elif value.references:
            part = frame.state.items(value) or Value()
        else:
            part = part_of(value, str(index))
            if value.kind == "Socket.accept()" or value.kind.endswith(".accept()"):
                part = changed(part, kind=machine.tables.canonical(f"{value.kind}[]"))
        assign(machine, frame, one.value if isinstance(one, s.Star) else one, part, line)
