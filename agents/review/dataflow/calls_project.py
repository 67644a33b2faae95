"""Calls of the project's own functions and classes: they are walked with the arguments at hand."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from agents.review.dataflow import syntax as s
from agents.review.dataflow.machine import CALLS_MAX, ROOT_STEPS_MAX, Frame, Machine
from agents.review.dataflow.project import Module, ProjectFunction
from agents.review.dataflow.state import State, join_states
from agents.review.dataflow.values import (
    NO_FACTS,
    NOTHING,
    UNKNOWN,
    Taint,
    Thing,
    Value,
    built_at,
    changed,
    join,
    join_all,
    merge_taints,
    with_step,
)

REMEMBERED_THINGS_MAX: Final = 40
"""Things that arguments lead to; with more, a walk isn't remembered."""


def run_module(machine: Machine, module: Module) -> None:
    """Walk the top level of a file once, before anything of it is used."""
    if module.status != "new":
        return
    module.status = "running"
    frame = Frame(module, State(module.names, machine.things, {}))
    calls, machine.calls = machine.calls, []
    steps, machine.steps_left = machine.steps_left, ROOT_STEPS_MAX
    try:
        machine.run(frame, machine.project.body(module))
    finally:
        machine.calls, machine.steps_left = calls, steps
        module.names.update(frame.state.names)
        if frame.state.things is not machine.things:
            machine.things.update(frame.state.things)
        module.status = "done"


def call_function(
    machine: Machine,
    frame: Frame,
    function: ProjectFunction,
    positional: Sequence[Value],
    named: Mapping[str, Value],
    line: int,
) -> Value:
    """What a function returns for these arguments; what it does to things and checks is done in `frame` after."""
    if len(machine.calls) >= CALLS_MAX or _is_nested(machine, function) or machine.is_short_of_steps():
        passed = passed_on(frame, [*positional, *named.values()])
        if passed.taints and len(machine.calls) >= CALLS_MAX:
            machine.is_shallow = True
        return passed
    machine.called.add(id(function.syntax))
    names = bind(machine, frame, function, positional, named)
    key = _key(frame, function, names)
    if key is not None and key in machine.memory:
        result, facts, is_dead, _ = machine.memory[key]
        frame.state.learn(facts)
        frame.dead = frame.dead or is_dead
        return _built_by_call(frame, result, line) if isinstance(result, Value) else UNKNOWN
    before = frame.state
    inner = Frame(function.module, State(names, before.things.copy(), before.base, before.facts), function)
    inner.caller, inner.called_at = frame, line
    inner.is_handler = id(function.syntax) in machine.pages
    result = walk(machine, inner)
    after = join_states([state for _, state in inner.returns])
    if after is None:
        frame.dead = True
        facts = NO_FACTS
    else:
        facts = after.facts - before.facts
        after.forget_since(before, result)
        if key is not None and _is_untouched(before, after, result):
            machine.memory[key] = (result, facts, False, key)
        frame.state.things, frame.state.facts = after.things, after.facts
        for name in function.syntax.globals:  # `nonlocal`
            if function.closure and name in frame.state.names and name in after.names:
                frame.state.names[name] = after.names[name]
    return _built_by_call(frame, result, line)


NESTED_MAX: Final = 3
"""Elements of a page inside elements whose texts are looked into."""


def _is_nested(machine: Machine, function: ProjectFunction) -> bool:
    """Whether a function is within itself; texts of elements inside elements are looked into some more times."""
    if function.syntax not in machine.calls:
        return False
    is_text = function.syntax.name in ("__str__", "__html__", "render") and function.receiver is not None
    return not is_text or machine.calls.count(function.syntax) >= NESTED_MAX


def _built_by_call(frame: Frame, result: Value, line: int) -> Value:
    """A text that the called function put together comes, for its caller, from the call."""
    if any(taint.built is not None and place_of(frame, taint.built) is None for taint in result.taints):
        return built_at(result, frame.path, line)
    return result


def place_of(frame: Frame, place: tuple[str, int]) -> Frame | None:
    """The innermost of the walks that are under way that a line belongs to."""
    around: Frame | None = frame
    while around is not None and not around.holds(*place):
        around = around.caller
    return around


def walk(machine: Machine, inner: Frame) -> Value:
    """Walk the function of a frame; its result, with what follows from each way that it ends."""
    function = inner.function
    if function is None:
        return UNKNOWN
    entry = inner.state.facts
    machine.calls.append(function.syntax)
    try:
        machine.run(inner, function.syntax.body)
    finally:
        machine.calls.pop()
    if not inner.dead:
        inner.returns.append((NOTHING, inner.state))
    if function.syntax.is_generator:
        if not inner.returns:
            inner.returns.append((NOTHING, inner.state))
        made = Thing("list", {}, join_all(inner.yields) if inner.yields else None)
        state = inner.returns[0][1]
        value = state.put(made)
        for _, other in inner.returns[1:]:
            other.things[value.references[0]] = made
        return value
    return join_all([_with_facts(value, state, entry) for value, state in inner.returns])


def _with_facts(value: Value, state: State, entry: Any) -> Value:
    value = state.seen(value)
    fresh = state.facts - entry
    return changed(value, yes=value.yes | fresh, no=value.no | fresh) if fresh else value


def bind(
    machine: Machine,
    frame: Frame,
    function: ProjectFunction,
    positional: Sequence[Value],
    named: Mapping[str, Value],
) -> dict[str, Value]:
    """Parameters of a function by name; `*` in `named` is what was given with `*args` of unknown length."""
    given = list(positional)
    if function.receiver is not None:
        given.insert(0, function.receiver)
    names: dict[str, Value] = {}
    left = dict(named)
    spread = [left.pop(star) for star in ("*", "**") if star in left]
    taken = 0
    for parameter in function.syntax.parameters:
        if parameter.stars == 1:
            rest = dict(enumerate(given[taken:]))
            names[parameter.name] = frame.state.put(
                Thing(
                    "tuple", dict(rest), join_all(spread) if spread else None, None if spread else len(rest)
                )
            )
            taken = len(given)
        elif parameter.stars == 2:
            inside = join_all(spread) if spread else None
            names[parameter.name] = frame.state.put(Thing("dict", dict(left), inside))
        elif taken < len(given) and not parameter.keyword_only:
            names[parameter.name] = given[taken]
            taken += 1
        elif parameter.name in left:
            names[parameter.name] = left.pop(parameter.name)
        elif parameter.default is not None and not spread:
            names[parameter.name] = _default(machine, function, parameter)
        else:
            names[parameter.name] = join_all(spread) if spread else UNKNOWN
    for name, value in names.items():
        if value.taints:
            what = f"{function.syntax.name}({name})"
            names[name] = with_step(value, function.module.path, function.syntax.line, what)
    return names


def _default(machine: Machine, function: ProjectFunction, parameter: s.Parameter) -> Value:
    """Only plain defaults: anything else was made once, elsewhere."""
    if isinstance(parameter.default, s.Const | s.Name | s.Attribute) and parameter.default is not None:
        state = State({}, machine.things, {})
        return machine.evaluate(Frame(function.module, state, function), parameter.default)
    return UNKNOWN


def _key(frame: Frame, function: ProjectFunction, names: dict[str, Value]) -> Any:
    """What a walk depends on; None if that is too much to be remembered."""
    if function.closure:
        return None
    reachable: dict[int, Thing] = {}
    queue = [number for value in names.values() for number in value.references]
    has_taint = any(value.taints for value in names.values())
    while queue:
        number = queue.pop()
        thing = frame.state.thing(number)
        if thing is None or number in reachable:
            continue
        if len(reachable) >= REMEMBERED_THINGS_MAX:
            return None
        reachable[number] = thing
        for inside in (*thing.fields.values(), *((thing.rest,) if thing.rest is not None else ())):
            has_taint = has_taint or bool(inside.taints)
            queue += inside.references
    things = tuple(
        (number, _Same(thing)) for number, thing in sorted(reachable.items(), key=lambda one: one[0])
    )
    state = frame.state
    common = tuple((number, _Same(thing)) for number, thing in state.things.items() if number in state.base)
    return (
        id(function.syntax),
        tuple(names.values()),
        things,
        common,
        state.facts if has_taint else NO_FACTS,
    )


class _Same:
    """A thing by identity; holding it keeps its identity from being given to another."""

    __slots__ = ("thing",)

    def __init__(self, thing: Thing) -> None:
        self.thing = thing

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and other.thing is self.thing

    def __hash__(self) -> int:
        return id(self.thing)


def _is_untouched(before: State, after: State, result: Value) -> bool:
    """Whether a walk changed nothing that was there before and returned nothing new."""
    if any(before.thing(number) is None for number in result.references):
        return False
    return all(
        before.thing(number) is None or before.thing(number) is thing
        for number, thing in after.things.items()
    )


def passed_on(frame: Frame, values: Sequence[Value]) -> Value:
    """The result of a call that isn't looked into: of the origin of its arguments, but not surely so."""
    return Value(taints=unsure(merge_taints(*(frame.state.taints(value) for value in values))))


def unsure(taints: Sequence[Taint]) -> tuple[Taint, ...]:
    return tuple(
        Taint(taint.trust, taint.token, taint.clean, taint.step, False, taint.built)
        if taint.is_sure
        else taint
        for taint in taints
    )


def join_results(left: Value | None, right: Value) -> Value:
    return right if left is None else join(left, right)
