"""Loops: their body is walked twice, and what changes in it isn't constant."""

from typing import Final

from agents.review.dataflow import syntax as s
from agents.review.dataflow.machine import Execute, Frame, Machine
from agents.review.dataflow.operators import iterated
from agents.review.dataflow.state import State, join_states
from agents.review.dataflow.targets import assign
from agents.review.dataflow.values import NO_FACTS, UNKNOWN, Fact, Value, beginning, changed, truth

ROUNDS: Final = 2
"""Walks through the body of a loop: the second sees what the first left."""


def meet(frame: Frame, ends: list[State]) -> None:
    """Go on from wherever ways ended, the current one among them if it is alive."""
    states = [*ends, *(() if frame.dead else (frame.state,))]
    joined = join_states(states)
    frame.dead = joined is None
    if joined is not None:
        frame.state = joined


def _while(machine: Machine, frame: Frame, node: s.While) -> None:
    _loop(machine, frame, node, None)


def _for(machine: Machine, frame: Frame, node: s.For) -> None:
    source = machine.evaluate(frame, node.source)
    _loop(machine, frame, node, iterated(frame, source))


def _loop(machine: Machine, frame: Frame, node: s.While | s.For, inside: Value | None) -> None:
    """What changes in a loop isn't constant in it. `inside` is what a `for` gives to its target."""
    _forget(frame, node.assigned)
    frame.breaks.append([])
    exits: list[State] = []
    is_endless = False
    passed = NO_FACTS
    for _ in range(ROUNDS):
        test = UNKNOWN
        if isinstance(node, s.While):
            test = machine.evaluate(frame, node.test)
            is_endless = truth(test) is True
            if truth(test) is False:
                break
        before = frame.state.copy()
        frame.continues.append([])
        if isinstance(node, s.For) and inside is not None:
            assign(machine, frame, node.target, inside, node.line)
        frame.state.learn(test.yes)
        machine.run(frame, node.body)
        meet(frame, frame.continues.pop())
        passed = NO_FACTS if frame.dead else _of_items(frame.state.facts - before.facts, inside)
        if frame.dead:
            frame.state, frame.dead = before, False
        elif joined := join_states([before, frame.state]):
            frame.state = joined
    broken = frame.breaks.pop()
    if is_endless:
        frame.dead = True
    else:
        if isinstance(node, s.While):
            frame.state.learn(test.no)
        frame.state.learn(passed)
        machine.run(frame, node.otherwise)
    meet(frame, [*exits, *broken])


def _of_items(facts: frozenset[Fact], inside: Value | None) -> frozenset[Fact]:
    """What was checked about each item, and so holds for all of them once the loop came to its end."""
    if not facts or inside is None or not inside.taints:
        return NO_FACTS
    tokens = {taint.token for taint in inside.taints}
    return frozenset(fact for fact in facts if fact[0] in tokens)


def _forget(frame: Frame, names: frozenset[str]) -> None:
    for name in names:
        value = frame.state.names.get(name)
        if value is not None and value.constants is not None:
            texts = all(isinstance(one, str) for one in value.constants)
            frame.state.names[name] = changed(
                value, constants=None, prefix=beginning(value) or None, kind="str" if texts else ""
            )


def _break(machine: Machine, frame: Frame, node: s.Break) -> None:
    if frame.breaks:
        frame.breaks[-1].append(frame.state)
    frame.dead = True


def _continue(machine: Machine, frame: Frame, node: s.Continue) -> None:
    if frame.continues:
        frame.continues[-1].append(frame.state)
    frame.dead = True


LOOPS: Final[dict[type, Execute]] = {
    s.While: _while,
    s.For: _for,
    s.Break: _break,
    s.Continue: _continue,
}
