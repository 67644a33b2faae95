"""Walks that begin from outside: the top of each file, and each function that may be entered."""

import time
from typing import Final

from agents.review.dataflow.arguments import arguments_of, instance_of
from agents.review.dataflow.calls_project import call_function, run_module, walk
from agents.review.dataflow.classes import decorator_name
from agents.review.dataflow.entries import NO_ENTRY, Entry, entry_of
from agents.review.dataflow.machine import ROOT_STEPS_MAX, SHARED, Frame, GaveUp, Machine
from agents.review.dataflow.project import Module, ProjectFunction
from agents.review.dataflow.state import State, join_states
from agents.review.dataflow.values import Value
from schemas.review import NotReviewed

STAGE: Final = "labverse-flow"
FILE_STEPS_MAX: Final = 400_000
"""Nodes walked for the functions of one file, with all that they call: about three seconds, but on any computer the
same."""
FUNCTIONS_MAX: Final = 100_000
HEIRS_MAX: Final = 8
"""Classes that inherit a handler and for which it is walked again."""
_FIRST: Final = frozenset(
    {"before_request", "before_app_request", "url_value_preprocessor", "before_first_request"}
)
"""Functions that run before each handler and leave things for it in `flask.g`."""


def guarded(
    machine: Machine,
    module: Module,
    gave_up: list[NotReviewed],
    function: ProjectFunction | None = None,
    entry: Entry = NO_ENTRY,
) -> None:
    """One walk that begins here; if it is too much, the file and the place are named and others go on."""
    where = (
        f"at {function.syntax.name} (line {function.syntax.line})" if function is not None else "at the top"
    )
    try:
        machine.begin()
        machine.knows_arguments = function is None or bool(entry.kind) or not _takes_anything(function)
        if function is None:
            run_module(machine, module)
        else:
            _enter(machine, function, entry)
        if machine.is_shallow:
            machine.shallow.setdefault(module.path, []).append(where)
    except GaveUp as reason:
        gave_up.append(NotReviewed(path=module.path, reason=f"gave up {where}: {reason}", stage=STAGE))
    except RecursionError:
        gave_up.append(
            NotReviewed(path=module.path, reason=f"gave up {where}: too many calls inside calls", stage=STAGE)
        )


def _takes_anything(function: ProjectFunction) -> bool:
    """Whether callers that nobody knows hand something in."""
    return any(one.name not in ("self", "cls") for one in function.syntax.parameters)


def walk_functions(machine: Machine, gave_up: list[NotReviewed], deadline_s: float) -> None:
    """Every function that is known, those that are made meanwhile too.

    Handlers go first: what they call needn't be walked again without them.
    """
    done: set[int] = set()
    spent: dict[str, int] = {}
    late: set[str] = set()
    while waiting := [one for key, one in machine.functions.items() if key not in done]:
        done.update(id(one.syntax) for one in waiting)
        entered = [(function, _entry(machine, function)) for function in waiting]
        entered.sort(key=lambda one: _turn(*one))
        machine.pages.update(id(function.syntax) for function, entry in entered if entry.is_page)
        for function, entry in entered:
            path = function.module.path
            if path in late:
                continue
            is_late = time.monotonic() > deadline_s
            if is_late or spent.get(path, 0) > FILE_STEPS_MAX or len(done) > FUNCTIONS_MAX:
                late.add(path)
                where = f"{function.syntax.name} (line {function.syntax.line})"
                reason = f"{'out of time' if is_late else 'too much in it'}: not followed from {where} on"
                gave_up.append(NotReviewed(path=path, reason=reason, stage=STAGE))
                continue
            guarded(machine, function.module, gave_up, function, entry)
            spent[path] = spent.get(path, 0) + ROOT_STEPS_MAX - machine.steps_left
    if machine.filled and not late:
        _walk_readers(machine, gave_up)


def _walk_readers(machine: Machine, gave_up: list[NotReviewed]) -> None:
    """Once more those who take out of a queue what others put in later."""
    machine.memory.clear()
    readers = {key: one for number in machine.filled for key, one in machine.readers.get(number, {}).items()}
    for key, function in readers.items():
        machine.called.discard(key)
        guarded(machine, function.module, gave_up, function)


def _turn(function: ProjectFunction, entry: Entry) -> int:
    if any(decorator_name(one) in _FIRST for one in function.syntax.decorators):
        return 0
    return 2 if entry.error else 1 if entry.kind else 3


def _entry(machine: Machine, function: ProjectFunction) -> Entry:
    return entry_of(machine, Frame(function.module, State({}, {}, machine.things)), function)


def _enter(machine: Machine, function: ProjectFunction, entry: Entry) -> None:
    """Walk a function as whoever calls it from outside would; one that was called by others only if that too."""
    syntax = function.syntax
    if not entry.kind and id(syntax) in machine.called:
        return
    if entry.kind and id(syntax) in machine.wrapped and _enter_wrapped(machine, function, entry):
        return
    inner = Frame(function.module, State({}, {}, machine.things), function, is_handler=entry.is_page)
    inner.state.names = arguments_of(machine, inner, function, entry)
    inner.dead = False
    walk(machine, inner)
    if entry.kind:
        _enter_for_heirs(machine, function, entry)
    if _turn(function, entry) == 0:
        left = join_states([state for _, state in inner.returns])
        if left is not None and SHARED in left.things:
            machine.things[SHARED] = left.things[SHARED]


def _enter_for_heirs(machine: Machine, function: ProjectFunction, entry: Entry) -> None:
    """Walk a handler that classes inherit, with an instance of each: its other methods may be theirs."""
    if function.owner is None or function.how or not function.syntax.parameters:
        return
    heirs = list(function.owner.heirs)
    for heir in heirs:
        heirs += [one for one in heir.heirs if one not in heirs]
        if len(heirs) > HEIRS_MAX:
            break
    for heir in heirs[:HEIRS_MAX]:
        if function.syntax.name in heir.names:
            continue
        inner = Frame(function.module, State({}, {}, machine.things), function, is_handler=entry.is_page)
        inner.state.names = arguments_of(machine, inner, function, entry)
        inner.state.names[function.syntax.parameters[0].name] = instance_of(
            machine, inner, Value(targets=(heir,))
        )
        inner.dead = False
        walk(machine, inner)


def _enter_wrapped(machine: Machine, function: ProjectFunction, entry: Entry) -> bool:
    """Enter a handler through what its decorators made of it; whether they called it."""
    syntax = function.syntax
    frame = Frame(function.module, State({}, {}, machine.things), function)
    given = arguments_of(machine, frame, function, entry)
    frame.dead = False
    by_place = [
        one.name for one in syntax.parameters[:2] if one.name in ("self", "cls", "request") and not one.stars
    ]
    stars = {one.name for one in syntax.parameters if one.stars}
    positional = [given[name] for name in by_place]
    named = {name: value for name, value in given.items() if name not in by_place and name not in stars}
    was_called = id(syntax) in machine.called
    machine.called.discard(id(syntax))
    wrapped = machine.wrapped[id(syntax)]
    for target in wrapped.targets:
        if isinstance(target, ProjectFunction):
            call_function(machine, frame, target, positional, named, syntax.line)
    is_reached = id(syntax) in machine.called
    if was_called:
        machine.called.add(id(syntax))
    return is_reached
