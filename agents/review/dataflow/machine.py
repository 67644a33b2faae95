"""Runs functions on what is known about their values, within limits, and collects what reaches a sink.

Nothing of the code under review is imported or executed: its syntax is walked with `Value`s in place of values. A
call of a function of the project walks that function with the arguments at hand, so that constants, containers and
checks are known inside it; walks that were done before are remembered.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from agents.review.dataflow import syntax as s
from agents.review.dataflow.pages import Pages
from agents.review.dataflow.project import Module, Project, ProjectFunction
from agents.review.dataflow.state import State
from agents.review.dataflow.tables import Tables
from agents.review.dataflow.values import UNKNOWN, Step, Thing, Value

DEPTH_MAX: Final = 110
"""Nodes inside nodes and calls inside calls that are walked at once; Python's own stack ends at about 1,000."""
CALLS_MAX: Final = 10
"""Calls inside calls."""
ROOT_STEPS_MAX: Final = 30_000
"""Nodes walked for one function that the walk begins with, and all that it calls."""
OWN_STEPS: Final = 10_000
"""Of those, kept for the function itself: with no more left, calls aren't looked into."""
FINDINGS_MAX: Final = 2_000
CLOCK_STEPS: Final = 256
"""Nodes between two looks at the clock."""


SHARED: Final = 0
"""Number of the thing that all functions of one request share: `flask.g`."""


class GaveUp(Exception):
    """Raised when a walk used up what it was given; the reason is for people."""


@dataclass(frozen=True, slots=True)
class Reached:
    """A tainted value at a sink, or a weak call (without `step`)."""

    rule: Any
    path: str
    line: int
    end_line: int
    what: str
    trust: str = ""
    is_sure: bool = True
    step: Step | None = None


@dataclass(slots=True, eq=False)
class Frame:
    """One walk through one function, or through the top level of a module."""

    module: Module
    state: State
    function: ProjectFunction | None = None
    dead: bool = False
    returns: list[tuple[Value, State]] = field(default_factory=list)
    yields: list[Value] = field(default_factory=list)
    breaks: list[list[State]] = field(default_factory=list)
    continues: list[list[State]] = field(default_factory=list)
    is_handler: bool = False
    caller: "Frame | None" = None
    called_at: int = 0
    """Line of the caller."""

    @property
    def path(self) -> str:
        return self.module.path

    def holds(self, path: str, line: int) -> bool:
        """Whether a line is one of the function that is walked."""
        if path != self.module.path or self.function is None:
            return path == self.module.path
        syntax = self.function.syntax
        return syntax.line <= line <= (syntax.end_line or syntax.line)


@dataclass(frozen=True, slots=True)
class Visit:
    """A sink that was looked at: at `line` of `path`, in the function whose lines are `first` to `last`."""

    path: str
    line: int
    cwe: int
    first: int
    last: int


Evaluate = Callable[["Machine", Frame, Any], Value]
Execute = Callable[["Machine", Frame, Any], None]


class Machine:
    """What walks of one project share."""

    def __init__(
        self,
        project: Project,
        tables: Tables,
        evaluators: Mapping[type, Evaluate],
        executors: Mapping[type, Execute],
        *,
        deadline_s: float,
    ) -> None:
        self.project = project
        self.tables = tables
        self.evaluators = evaluators
        self.executors = executors
        self.deadline_s = deadline_s
        self.things: dict[int, Thing] = {SHARED: Thing("flask.g", {})}
        """Those that modules made at their top level."""
        self.found: dict[tuple[str, str, int], Reached] = {}
        self.visits: dict[Visit, bool] = {}
        """Sinks that were looked at, and whether each of them was harmless every time."""
        self.knows_arguments = False
        """Whether the current walk began where all that comes in is known: a handler, the top of a file."""
        self.functions: dict[int, ProjectFunction] = {}
        """All that were made so far, by the identity of their syntax."""
        self.called: set[int] = set()
        self.wrapped: dict[int, Value] = {}
        """What decorators of the project made of functions, by the functions' syntax."""
        self.pages: set[int] = set()
        """Functions of which a returned text becomes a page, by their syntax."""
        self.routes: dict[int, dict[str, str]] = {}
        """Parameters that URL patterns give to functions, and their converters, by the function's syntax."""
        self.instances: dict[int, tuple[Value, dict[int, Thing]]] = {}
        """An instance of each class as `__init__` leaves it, for methods that are entered from outside."""
        self.shallow: dict[str, list[str]] = {}
        """Walks that left calls out, by file."""
        self.memory: dict[Any, Any] = {}
        self.pages_of: Pages | None = None
        """The project's templates."""
        self.steps_left = ROOT_STEPS_MAX
        self.is_shallow = False
        """Whether the current walk left calls out."""
        self.calls: list[s.Function] = []
        self.raised: dict[int, Value] = {}
        """What went into exceptions of the project's classes, by the class's syntax."""
        self.readers: dict[int, dict[int, ProjectFunction]] = {}
        """Functions that take things out of a module's list, by its number: what others put in comes out there."""
        self.filled: set[int] = set()
        """Lists of modules into which something from outside was put."""
        self.thrown: list[Value] = []
        """What went into the texts of exceptions, in the order they were raised in this walk."""
        self._depth = 0

    def evaluate(self, frame: Frame, node: s.Expr) -> Value:
        """What an expression is.

        Raises:
            GaveUp: the limits of this walk are reached.
        """
        self.steps_left -= 1
        if self.steps_left % CLOCK_STEPS == 0 or self.steps_left < 0:
            self._look_at_limits()
        if self._depth >= DEPTH_MAX:
            return UNKNOWN
        self._depth += 1
        try:
            return self.evaluators[type(node)](self, frame, node)
        finally:
            self._depth -= 1

    def run(self, frame: Frame, body: list[s.Stmt]) -> None:
        """Walk statements until the end, or until nothing gets any further (`frame.dead`).

        Raises:
            GaveUp: the limits of this walk are reached.
        """
        if self._depth >= DEPTH_MAX:
            return
        self._depth += 1
        try:
            for statement in body:
                self.steps_left -= 1
                self.executors[type(statement)](self, frame, statement)
                if frame.dead:
                    break
        finally:
            self._depth -= 1

    def begin(self) -> None:
        """Before a walk that isn't part of another."""
        self.steps_left = ROOT_STEPS_MAX
        self.is_shallow = False
        self._depth = 0
        self.calls.clear()
        self.thrown.clear()
        self._look_at_limits()

    def is_short_of_steps(self) -> bool:
        """Whether calls aren't looked into any more."""
        if self.steps_left > OWN_STEPS:
            return False
        self.is_shallow = True
        return True

    def report(self, reached: Reached, key: str) -> None:
        """Note what was found; of several ways to one place, the surest and shortest."""
        place = (key, reached.path, reached.line)
        known = self.found.get(place)
        if known is None:
            if len(self.found) < FINDINGS_MAX:
                self.found[place] = reached
        elif _rank(reached) < _rank(known):
            self.found[place] = reached

    def take_back(self, key: str, path: str, line: int) -> None:
        """Forget what was found at a place, since what came after it shows that it is harmless."""
        self.found.pop((key, path, line), None)

    def _look_at_limits(self) -> None:
        if self.steps_left < 0:
            raise GaveUp(f"more than {ROOT_STEPS_MAX} steps")
        if time.monotonic() > self.deadline_s:
            raise GaveUp("out of time")


_TRUSTS: Final = {"remote": 0, "": 0, "random": 0, "answer": 1, "local": 1}


def _rank(reached: Reached) -> tuple[int, bool, int]:
    length = reached.step.count if reached.step is not None else 0
    return _TRUSTS.get(reached.trust, 3), not reached.is_sure, length
