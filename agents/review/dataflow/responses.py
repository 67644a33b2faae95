"""Answers of web frameworks: their text, type and headers, which may be set one after the other.

A page is reported where it is made; if it is said later that it is no page, that is taken back.
"""

from typing import Any, Final

from agents.review.dataflow.library import Given, Special
from agents.review.dataflow.machine import Frame, Machine
from agents.review.dataflow.sinks import reach, weak_call
from agents.review.dataflow.values import NOTHING, Thing, Value, beginning, text_constant

RESPONSE: Final = "WebResponse"
_PLAIN_COOKIE: Final = "cookie:plain"
_LINE: Final = "(line)"
"""Field that keeps where an answer got its text; no attribute has such a name."""
_TYPE: Final = "(type)"
_TEXTS: Final = frozenset({"data", "content", "response", "text", "body"})
_TYPES: Final = frozenset({"mimetype", "content_type", "media_type"})


def _make(machine: Machine, frame: Frame, call: Given) -> Value:
    """An answer; one that is made of another is that one."""
    first = call.argument(0)
    thing = frame.state.the_thing(first)
    if thing is not None and thing.kind == RESPONSE:
        return first
    fields: dict[Any, Value] = {_LINE: Value(constants=(call.node.line,))}
    for name in _TYPES:
        if name in call.named:
            fields[_TYPE] = call.named[name]
    answer = frame.state.put(Thing(RESPONSE, fields))
    headers = frame.state.the_thing(call.argument(2, "headers"))
    for name, value in headers.fields.items() if headers is not None else ():
        if isinstance(name, str):
            set_header(machine, frame, answer, name, value, call.node.line)
    return answer


def _set_text(machine: Machine, frame: Frame, call: Given) -> Value:
    """`response.set_data(text)`, `response.write(text)`"""
    if call.owner is not None:
        set_attribute(machine, frame, call.owner, "data", call.argument(0), call.node.line)
    return NOTHING


def _set_header(machine: Machine, frame: Frame, call: Given) -> Value:
    """`response.headers.add(name, value)`"""
    name = text_constant(call.argument(0))
    if name is not None and len(call.positional) > 1:
        set_header(machine, frame, None, name, call.positional[1], call.node.line)
    return NOTHING


def set_attribute(machine: Machine, frame: Frame, owner: Value, name: str, value: Value, line: int) -> None:
    """`response.name = value`; nothing if `owner` is no answer."""
    thing = frame.state.the_thing(owner)
    if thing is None or thing.kind != RESPONSE:
        return
    if name in _TYPES:
        _set_type(machine, frame, owner, value)
    elif name in _TEXTS:
        stated = thing.fields.get(_TYPE)
        given = {"0": value} | ({"mimetype": stated} if stated is not None else {})
        reach(machine, frame, "response.text", given, line, what=f"response.{name}")
        frame.state.set_field(owner, _LINE, Value(constants=(line,)))


def set_header(
    machine: Machine, frame: Frame, owner: Value | None, name: str, value: Value, line: int
) -> None:
    """A header of an answer, which is `owner` if that is known."""
    match name.lower():
        case "location":
            reach(machine, frame, "header.location", {"0": value}, line, what=f"{name} header")
        case "content-type" if owner is not None:
            _set_type(machine, frame, owner, value)
        case "set-cookie" if text_constant(value) is not None or _PLAIN_COOKIE in value.marks:
            weak_call(machine, frame, "header.set-cookie", {"0": value}, line, line, what=f"{name} header")


def _set_type(machine: Machine, frame: Frame, owner: Value, value: Value) -> None:
    thing = frame.state.the_thing(owner)
    stated = beginning(value).lower()
    if thing is None or thing.kind != RESPONSE:
        return
    frame.state.set_field(owner, _TYPE, value)
    made = thing.fields.get(_LINE)
    if made is not None and made.constants and stated and "html" not in stated and "svg" not in stated:
        machine.take_back("xss", frame.path, made.constants[0])


RESPONSE_SPECIALS: Final[dict[str, Special]] = {
    **dict.fromkeys(
        (
            "flask.make_response",
            "flask.Response",
            "quart.make_response",
            "quart.Response",
            "FlaskApp.make_response",
            "FlaskApp.response_class",
            "werkzeug.wrappers.Response",
            "werkzeug.Response",
            "django.http.HttpResponse",
            "django.http.response.HttpResponse",
            "django.shortcuts.HttpResponse",
            "fastapi.Response",
            "starlette.responses.Response",
            "fastapi.responses.Response",
        ),
        _make,
    ),
    f"{RESPONSE}.set_data": _set_text,
    f"{RESPONSE}.write": _set_text,
    f"{RESPONSE}.headers.add": _set_header,
    f"{RESPONSE}.headers.set": _set_header,
    f"{RESPONSE}.headers.__setitem__": _set_header,
}
