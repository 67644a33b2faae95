"""Plain WSGI applications and CGI scripts: what a request gives them, and what they answer with."""

from typing import Final

from agents.review.dataflow.conditions import CONTENT_TYPE
from agents.review.dataflow.interfaces import START
from agents.review.dataflow.library import Given, Special
from agents.review.dataflow.machine import Frame, Machine
from agents.review.dataflow.responses import set_header
from agents.review.dataflow.sinks import reach
from agents.review.dataflow.values import NOTHING, Value, beginning, text_constant


def _start(machine: Machine, frame: Frame, call: Given) -> Value:
    """`start_response(status, headers)`: keeps the type of the answer, judges the other headers."""
    headers = frame.state.the_thing(call.argument(1, "headers", "response_headers"))
    for pair in headers.fields.values() if headers is not None else ():
        thing = frame.state.the_thing(pair)
        name = text_constant(thing.fields[0]) if thing is not None and 0 in thing.fields else None
        if thing is None or name is None or 1 not in thing.fields:
            continue
        if name.lower() == "content-type":
            frame.state.names[CONTENT_TYPE] = thing.fields[1]
        else:
            set_header(machine, frame, None, name, thing.fields[1], call.node.line)
    return NOTHING


def hand_over_body(machine: Machine, frame: Frame, value: Value, line: int) -> None:
    """What an application returns after it said that it is a page: parts of the page."""
    stated = frame.state.names.get(CONTENT_TYPE)
    if stated is None or "html" not in beginning(stated).lower():
        return
    body = frame.state.items(value) if value.references else value
    if body is not None and body.taints:
        reach(machine, frame, "return", {"0": body}, line, what="return")


WSGI_SPECIALS: Final[dict[str, Special]] = {START: _start}
