"""What a test that came out one way leaves of the value of a name."""

from agents.review.dataflow import syntax as s
from agents.review.dataflow.machine import Frame, Machine
from agents.review.dataflow.project import ProjectClass
from agents.review.dataflow.values import Value, changed


def narrow(machine: Machine, frame: Frame, test: s.Expr, outcome: bool) -> None:
    """Take what a test says about the value of a name: that it isn't None, or of which class it is."""
    if isinstance(test, s.Not):
        narrow(machine, frame, test.operand, not outcome)
        return
    if isinstance(test, s.Call):
        _by_class(machine, frame, test, outcome)
        return
    name = ""
    if isinstance(test, s.Name) and outcome:
        name = test.name
    elif isinstance(test, s.Compare) and isinstance(test.left, s.Name) and len(test.operators) == 1:
        right = test.rights[0]
        if isinstance(right, s.Const) and right.value is None:
            is_none = test.operators[0] in ("is", "==")
            name = test.left.name if is_none is not outcome else ""
    value = frame.state.names.get(name) if name else None
    if (
        value is not None
        and value.constants is not None
        and None in value.constants
        and len(value.constants) > 1
    ):
        left = tuple(one for one in value.constants if one is not None)
        frame.state.names[name] = changed(value, constants=left)


def _by_class(machine: Machine, frame: Frame, test: s.Call, outcome: bool) -> None:
    """`isinstance(x, Tag)`: an instance of the project's class, or the text that it may be too."""
    function, arguments = test.function, test.arguments
    if not (isinstance(function, s.Name) and function.name == "isinstance" and len(arguments) == 2):
        return
    subject = arguments[0].value
    value = frame.state.names.get(subject.name) if isinstance(subject, s.Name) else None
    if value is None or not value.taints or not isinstance(subject, s.Name):
        return
    wanted = [one for one in _classes(machine, frame, arguments[1].value) if isinstance(one, ProjectClass)]
    if any("builtins.str" in one.library_bases() for one in wanted):
        return
    owners = [thing.owner for number in value.references if (thing := frame.state.thing(number)) is not None]
    if not wanted or not all(isinstance(one, ProjectClass) for one in owners):
        return
    if all(set(one.lineage()) & set(wanted) for one in owners):
        frame.state.names[subject.name] = (
            changed(value, taints=()) if outcome else Value(taints=value.taints, kind="str")
        )


def _classes(machine: Machine, frame: Frame, node: s.Expr) -> list[object]:
    value = machine.evaluate(frame, node)
    found = [*value.targets]
    thing = frame.state.the_thing(value)
    for one in thing.fields.values() if thing is not None else ():
        found += one.targets
    return found
