"""Which sinks are harmless: looked at with all that comes in known, each time with a value that can do nothing there.

A value of which nothing at all is known, what a foreign call gave or an attribute of something foreign, clears nothing:
it may be from outside by a way that isn't followed, through a queue or a database.
"""

from typing import Final

from agents.review.dataflow.machine import Frame, Machine, Visit
from agents.review.dataflow.values import Value

LAST_LINE: Final = 1 << 30


def is_understood(frame: Frame, value: Value) -> bool:
    """Whether anything is known of a value, or of what is in it."""
    if value.constants is not None or value.taints or value.kind or value.prefix:
        return True
    thing = frame.state.the_thing(value)
    if thing is None:
        return False
    parts = [*thing.fields.values(), *([thing.rest] if thing.rest is not None else [])]
    return any(part.constants is not None or part.taints or part.kind for part in parts)


def visit(machine: Machine, frame: Frame, cwe: int, line: int, *, is_harmless: bool) -> None:
    """Note that a sink was looked at."""
    syntax = frame.function.syntax if frame.function is not None else None
    first, last = (syntax.line, syntax.end_line or syntax.line) if syntax is not None else (1, LAST_LINE)
    place = Visit(frame.path, line, cwe, first, last)
    is_clear = is_harmless and machine.knows_arguments and not machine.is_shallow
    machine.visits[place] = machine.visits.get(place, True) and is_clear
