"""What statements do: branches, loops, definitions, imports."""

from typing import Final

from agents.review.dataflow import syntax as s
from agents.review.dataflow.checks import compare, facts_about, facts_of
from agents.review.dataflow.classes import define_class, define_function
from agents.review.dataflow.exceptions import note_raised, note_thrown, thrown_since
from agents.review.dataflow.imports import import_names
from agents.review.dataflow.loops import LOOPS, meet
from agents.review.dataflow.machine import Execute, Frame, Machine
from agents.review.dataflow.narrowing import narrow
from agents.review.dataflow.operators import operate
from agents.review.dataflow.project import ProjectClass, ProjectFunction
from agents.review.dataflow.sinks import reach
from agents.review.dataflow.state import State, join_states
from agents.review.dataflow.targets import SECRET_NAME, assign
from agents.review.dataflow.values import (
    ANY,
    NO_FACTS,
    NOTHING,
    UNKNOWN,
    Thing,
    Value,
    built_at,
    changed,
    cleaned,
    join,
    part_of,
    truth,
)
from agents.review.dataflow.wsgi import hand_over_body

SNAPSHOTS_MAX: Final = 12
"""Points of a `try` from which its handlers are thought to be reached."""


def _do(machine: Machine, frame: Frame, node: s.Do) -> None:
    machine.evaluate(frame, node.value)


def _assign(machine: Machine, frame: Frame, node: s.Assign) -> None:
    if node.value is None:
        return
    value = machine.evaluate(frame, node.value)
    if node.annotation is not None and not value.kind and not value.references and not value.targets:
        value = changed(value, kind=annotated_kind(machine, frame, node.annotation))
    for target in node.targets:
        assign(machine, frame, target, value, node.line)


def annotated_kind(machine: Machine, frame: Frame, annotation: s.Expr) -> str:
    """The path of a library's class that stands in an annotation; empty for others."""
    if isinstance(annotation, s.Name | s.Attribute):
        kind = machine.evaluate(frame, annotation).kind
        return "" if kind.startswith(("builtins.", "?.")) else kind
    return ""


def _augment(machine: Machine, frame: Frame, node: s.Augment) -> None:
    known = machine.evaluate(frame, node.target)
    value = machine.evaluate(frame, node.value)
    thing = frame.state.the_thing(known)
    if node.operator == "+" and thing is not None and thing.kind == "list":
        frame.state.add(known, frame.state.items(value) or value if value.references else value)
        return
    found = operate(frame, node.operator, known, value)
    assign(machine, frame, node.target, built_at(found, frame.path, node.line), node.line)


def _return(machine: Machine, frame: Frame, node: s.Return) -> None:
    value = machine.evaluate(frame, node.value) if node.value is not None else NOTHING
    if frame.dead:
        return
    if value.taints or value.references:
        _hand_over(machine, frame, value, node.line)
        if frame.is_handler:  # what is a page already needn't be told again where it is handed on
            value = cleaned(value, frozenset({"xss"}))
    frame.returns.append((value, frame.state))
    frame.dead = True


def _hand_over(machine: Machine, frame: Frame, value: Value, line: int) -> None:
    """What a web framework makes a page of, and random numbers that a function like `make_token` gives back."""
    hand_over_body(machine, frame, value, line)
    if frame.is_handler:
        thing = frame.state.the_thing(value)
        body = value
        if thing is not None and thing.kind == "tuple" and 0 in thing.fields:
            body = thing.fields[0]  # (text, status, headers)
        given = {"0": body}
        if thing is not None and thing.kind == "tuple" and (headers := _headers_in(thing)) is not None:
            given["headers"] = headers
        if not body.references or thing is None:
            reach(machine, frame, "return", given, line, what="return")
    name = frame.function.syntax.name if frame.function is not None else ""
    if name and any(taint.trust == "random" for taint in value.taints) and SECRET_NAME.search(name):
        reach(machine, frame, "name.secret", {"1": value}, line, what=f"return of {name}")


def _headers_in(thing: Thing) -> Value | None:
    """Of `(text, status, headers)` or `(text, headers)`."""
    return next(
        (thing.fields[index] for index in (1, 2) if index in thing.fields and thing.fields[index].references),
        None,
    )


def _raise(machine: Machine, frame: Frame, node: s.Raise) -> None:
    for value in node.values:
        raised = machine.evaluate(frame, value)
        if isinstance(value, s.Call):
            inside = [
                raised,
                *(machine.evaluate(frame, argument.value) for argument in value.arguments[:_TEXTS_MAX]),
            ]
            thrown = note_thrown(machine, frame, inside)
            thing = frame.state.the_thing(raised)
            if thing is not None and isinstance(thing.owner, ProjectClass):
                note_raised(machine, thing.owner, thrown)
    frame.dead = True


_TEXTS_MAX: Final = 4
"""Arguments of an exception that are looked at."""


def _assert(machine: Machine, frame: Frame, node: s.Assert) -> None:
    value = machine.evaluate(frame, node.test)
    if truth(value) is False:
        frame.dead = True
    frame.state.learn(value.yes)


def _if(machine: Machine, frame: Frame, node: s.If) -> None:
    """Both branches, unless constants decide; a chain of `elif` is one loop here."""
    ends: list[State] = []
    while True:
        test = machine.evaluate(frame, node.test)
        if frame.dead:
            break
        is_true = truth(test)
        if is_true is not False:
            after = frame.state.copy() if is_true is None else frame.state
            state, frame.state = frame.state, after
            frame.state.learn(facts_of(test, True))
            narrow(machine, frame, node.test, True)
            machine.run(frame, node.body)
            if not frame.dead:
                ends.append(frame.state)
            frame.dead = False
            frame.state = state
            if is_true:
                frame.dead = True
                break
        frame.state.learn(facts_of(test, False))
        narrow(machine, frame, node.test, False)
        if len(node.otherwise) == 1 and isinstance(node.otherwise[0], s.If):
            node = node.otherwise[0]
            continue
        machine.run(frame, node.otherwise)
        break
    meet(frame, ends)


def _try(machine: Machine, frame: Frame, node: s.Try) -> None:
    """Handlers are reached from anywhere in the body."""
    snapshots = [frame.state.copy()]
    thrown_before = len(machine.thrown)
    for statement in node.body:
        machine.run(frame, [statement])
        if len(snapshots) < SNAPSHOTS_MAX:
            snapshots.append(frame.state.copy())
        if frame.dead:
            break
    ends: list[State] = []
    if not frame.dead:
        machine.run(frame, node.otherwise)
        if not frame.dead:
            ends.append(frame.state)
    thrown = join_states(snapshots)
    text = thrown_since(machine, thrown_before)
    for handler in node.handlers if thrown is not None else ():
        frame.state, frame.dead = thrown.copy() if thrown is not None else frame.state, False
        if handler.name:
            frame.state.names[handler.name] = text
        machine.run(frame, handler.body)
        if not frame.dead:
            ends.append(frame.state)
    frame.dead = True
    if not ends and node.final and thrown is not None:
        frame.state, frame.dead = thrown.copy(), False
        machine.run(frame, node.final)
        frame.dead = True
        return
    meet(frame, ends)
    if not frame.dead:
        machine.run(frame, node.final)


def _with(machine: Machine, frame: Frame, node: s.With) -> None:
    for source, target in node.items:
        value = machine.evaluate(frame, source)
        entered = _entered(machine, frame, value, source.line)
        if target is not None:
            assign(machine, frame, target, entered, source.line)
    machine.run(frame, node.body)


def _entered(machine: Machine, frame: Frame, value: Value, line: int) -> Value:
    """What `with` gives: mostly the thing itself; what a generator of the project yields; what `__enter__` returns."""
    from agents.review.dataflow.calls_project import call_function
    from agents.review.dataflow.members import member

    thing = frame.state.the_thing(value)
    if thing is None:
        return value
    if thing.kind == "list":
        return frame.state.items(value) or UNKNOWN
    if thing.owner is not None:
        for name in ("__enter__", "__aenter__"):
            for target in member(machine, frame, value, name, line).targets:
                if isinstance(target, ProjectFunction):
                    return call_function(machine, frame, target, [], {}, line)
    return value


def _define(machine: Machine, frame: Frame, node: s.Define) -> None:
    frame.state.names[node.function.name] = define_function(machine, frame, node.function)


def _class(machine: Machine, frame: Frame, node: s.Class) -> None:
    frame.state.names[node.name] = define_class(machine, frame, node)


def _import(machine: Machine, frame: Frame, node: s.Import) -> None:
    frame.state.names.update(import_names(machine, frame.module, node))


def _delete(machine: Machine, frame: Frame, node: s.Delete) -> None:
    for target in node.targets:
        if isinstance(target, s.Name):
            frame.state.names.pop(target.name, None)
        elif isinstance(target, s.Index):
            owner = machine.evaluate(frame, target.owner)
            thing = frame.state.the_thing(owner)
            if thing is not None and thing.kind == "list":
                machine.evaluate(
                    frame,
                    s.Call(
                        node.line,
                        s.Attribute(node.line, target.owner, "pop"),
                        [s.Argument(node.line, target.key)],
                    ),
                )


def _match(machine: Machine, frame: Frame, node: s.Match) -> None:
    subject = machine.evaluate(frame, node.subject)
    ends: list[State] = []
    for case in node.cases:
        pattern = case.pattern
        test = _pattern_test(machine, frame, pattern, subject)
        is_true = truth(test)
        if is_true is False:
            continue
        before = frame.state.copy()
        _bind(frame, pattern, subject)
        frame.state.learn(test.yes)
        guard = machine.evaluate(frame, case.guard) if case.guard is not None else None
        if guard is None or truth(guard) is not False:
            frame.state.learn(guard.yes if guard is not None else NO_FACTS)
            machine.run(frame, case.body)
            if not frame.dead:
                ends.append(frame.state)
        frame.state, frame.dead = before, False
        if is_true is True and guard is None:
            frame.dead = True
            break
        frame.state.learn(test.no)
    meet(frame, ends)


def _bind(frame: Frame, pattern: s.Pattern, subject: Value) -> None:
    """Names of a pattern, and what its literals say about the items of what is matched."""
    whole = Value(taints=frame.state.taints(subject))
    for name in pattern.names:
        is_whole = pattern.is_wild or pattern.constants is not None
        value = subject if is_whole else UNKNOWN if name in pattern.plain else part_of(whole, name)
        frame.state.names[name] = frame.state.seen(value)
    for key in pattern.keys:
        frame.state.learn(facts_about(frame, part_of(whole, repr(key)), frozenset({ANY})))


def _pattern_test(machine: Machine, frame: Frame, pattern: s.Pattern, subject: Value) -> Value:
    if pattern.is_wild:
        return Value(constants=(True,))
    if pattern.constants is None:
        return UNKNOWN
    found: Value | None = None
    for one in pattern.constants:
        test = compare(frame, "==", subject, machine.evaluate(frame, one))
        if truth(test) is True:
            return test
        if found is None or truth(found) is False:
            found = test
        elif truth(test) is not False:
            found = join(found, test)
    return found if found is not None else UNKNOWN


EXECUTORS: Final[dict[type, Execute]] = {
    s.Do: _do,
    s.Assign: _assign,
    s.Augment: _augment,
    s.Return: _return,
    s.Raise: _raise,
    s.Assert: _assert,
    s.If: _if,
    **LOOPS,
    s.Try: _try,
    s.With: _with,
    s.Define: _define,
    s.Class: _class,
    s.Import: _import,
    s.Delete: _delete,
    s.Match: _match,
}
