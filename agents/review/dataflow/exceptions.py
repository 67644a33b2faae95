"""Texts of exceptions: what was raised with a value from outside tells it to whoever shows the exception."""

from collections.abc import Iterable
from typing import Final

from agents.review.dataflow.machine import Frame, Machine
from agents.review.dataflow.project import ProjectClass
from agents.review.dataflow.values import Value, join, merge_taints

THROWN_MAX: Final = 200
"""Exceptions of one walk that are remembered."""


def note_thrown(machine: Machine, frame: Frame, values: Iterable[Value]) -> Value:
    """Remember what goes into an exception's text; what that is."""
    taints = merge_taints(*(frame.state.taints(value) for value in values))
    taints = tuple(taint for taint in taints if taint.trust != "random")
    if taints and len(machine.thrown) < THROWN_MAX:
        machine.thrown.append(Value(taints=taints))
    return Value(taints=taints)


def note_raised(machine: Machine, owner: ProjectClass, thrown: Value) -> None:
    """Remember it for handlers of the class, or of one that it inherits from."""
    if thrown.taints:
        for one in owner.lineage():
            known = machine.raised.get(id(one.syntax))
            machine.raised[id(one.syntax)] = thrown if known is None else join(known, thrown)


def thrown_since(machine: Machine, count: int) -> Value:
    """An exception that may be any of those after the first `count`."""
    return Value(taints=merge_taints(*(value.taints for value in machine.thrown[count:])))
