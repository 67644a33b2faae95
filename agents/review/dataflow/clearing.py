"""Which sinks are harmless: looked at with all that comes in known, each time with a value that can do nothing there.

That a place is harmless is said only of values that are understood: constants, numbers, and what came from outside and
was checked or escaped for this place. A value that comes from nobody knows where clears nothing.
"""

from typing import Final

from agents.review.dataflow.machine import Frame, Machine, Visit
from agents.review.dataflow.values import OPAQUE, Value

LAST_LINE: Final = 1 << 30
PLAIN: Final = frozenset({"int", "bool", "float", "str", "bytes", "Path"})
"""Kinds of which the parts were understood, unless the mark `OPAQUE` says otherwise."""


def is_understood(frame: Frame, value: Value) -> bool:
    """Whether everything that goes into a value is known, or known to be from outside."""
    if OPAQUE in value.marks:
        return False
    if value.constants is not None or value.taints or value.kind in PLAIN:
        return True
    thing = frame.state.the_thing(value)
    if thing is not None and thing.owner is None:
        parts = [*thing.fields.values(), *([thing.rest] if thing.rest is not None else [])]
        return all(part.constants is not None or part.taints or part.kind in PLAIN for part in parts)
    return bool(value.prefix)


def is_opaque(value: Value) -> bool:
    """Whether what is put into a text can't be judged."""
    if OPAQUE in value.marks:
        return True
    return value.constants is None and not value.taints and value.kind not in PLAIN and not value.references


def visit(machine: Machine, frame: Frame, cwe: int, line: int, *, is_harmless: bool) -> None:
    """Note that a sink was looked at."""
    syntax = frame.function.syntax if frame.function is not None else None
    first, last = (syntax.line, syntax.end_line or syntax.line) if syntax is not None else (1, LAST_LINE)
    place = Visit(frame.path, line, cwe, first, last)
    is_clear = is_harmless and machine.knows_arguments and not machine.is_shallow
    machine.visits[place] = machine.visits.get(place, True) and is_clear
