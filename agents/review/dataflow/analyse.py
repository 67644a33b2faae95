"""Reads the files of a project, walks every function that may be entered, and gathers what was found."""

import time
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Final

from tree_sitter import Node

from agents.review.analysers.tree.engine import normalise
from agents.review.analysers.tree.languages import Unparsable, parse
from agents.review.dataflow.calls_project import run_module, walk
from agents.review.dataflow.entries import arguments_of, entry_of
from agents.review.dataflow.expressions import EVALUATORS
from agents.review.dataflow.flows import FlowResult, flow_of
from agents.review.dataflow.lower import Lowering
from agents.review.dataflow.machine import Frame, GaveUp, Machine
from agents.review.dataflow.project import Module, Project, ProjectFunction
from agents.review.dataflow.state import State
from agents.review.dataflow.statements import EXECUTORS
from agents.review.dataflow.syntax import Stmt
from agents.review.dataflow.tables import load_tables
from schemas.review import NotReviewed

STAGE: Final = "labverse-flow"
SOURCE_BYTES_MAX: Final = 1_000_000
PARSE_SECONDS_MAX: Final = 2.0
"""Of one file."""
FILE_SECONDS_MAX: Final = 4.0
"""Spent on the functions of one file, with all that they call."""
FUNCTIONS_MAX: Final = 20_000


def analyse_project(
    folder: Path, paths: Sequence[str], *, budget_s: float, beside: Sequence[str] = ()
) -> FlowResult:
    """Follow values through the Python files `paths` (relative to `folder`, with forward slashes).

    Never raises for a bad source: what could not be read, parsed or followed is named.

    Args:
        budget_s: time for all of it; what is found until then is returned.
        beside: other files of the project: read if they are imported, and only entered by calls from `paths`.
    """
    deadline_s = time.monotonic() + budget_s
    reader = _Reader(folder, deadline_s)
    project = Project(reader.read)
    chosen = dict.fromkeys(paths)
    for path in dict.fromkeys((*paths, *beside)):
        project.add(path)
    for path in chosen:
        project.body(project.modules[path])
    machine = Machine(project, load_tables(), EVALUATORS, EXECUTORS, deadline_s=deadline_s)
    gave_up: list[NotReviewed] = []
    for module in project.in_order():
        _guarded(machine, module, gave_up, None)
    _walk_functions(machine, chosen.keys(), gave_up, deadline_s)
    for path, places in machine.shallow.items():
        more = f" and {len(places) - 1} more" if len(places) > 1 else ""
        reason = f"calls inside calls were not followed to the end {places[0]}{more}"
        gave_up.append(NotReviewed(path=path, reason=reason, stage=STAGE))
    findings = sorted(map(flow_of, machine.found.values()), key=lambda one: (one.path, one.line, one.rule))
    return FlowResult(
        findings=tuple(findings),
        gave_up=tuple(dict.fromkeys(one for one in gave_up if one.path in chosen)),
        not_parsed=tuple(one for one in reader.not_parsed if one.path in chosen),
    )


class _Reader:
    """Parses files below a folder.

    Attributes:
        not_parsed: files that could not be, or not wholly, and why.
    """

    def __init__(self, folder: Path, deadline_s: float) -> None:
        self.folder = folder
        self.deadline_s = deadline_s
        self.not_parsed: list[NotReviewed] = []

    def read(self, path: str) -> list[Stmt]:
        """The statements of a file; none if it can't be parsed."""
        body, reason = _parse(self.folder, path, self.deadline_s)
        if reason:
            self.not_parsed.append(NotReviewed(path=path, reason=reason, stage=STAGE))
        return body


def _parse(folder: Path, path: str, deadline_s: float) -> tuple[list[Stmt], str]:
    """The statements of a file, and why they aren't all."""
    try:
        with (folder / path).open("rb") as file:
            raw = file.read(SOURCE_BYTES_MAX + 1)
    except (OSError, ValueError) as failed:
        return [], f"could not be read: {failed.strerror if isinstance(failed, OSError) else failed}"
    if len(raw) > SOURCE_BYTES_MAX:
        return [], f"larger than {SOURCE_BYTES_MAX} bytes"
    if b"\0" in raw and not raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        return [], "not a text: it holds NUL bytes"
    source = normalise(raw).replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    try:
        limit_s = min(deadline_s, time.monotonic() + PARSE_SECONDS_MAX)
        (region,) = parse(source, "python", deadline_s=limit_s)
    except Unparsable as unparsable:
        return [], str(unparsable)
    lowering = Lowering(source)
    try:
        body = lowering.module(region.tree.root_node)
    except RecursionError:
        return [], "nested too deeply to be followed"
    if region.tree.root_node.has_error:
        line = _first_error(region.tree.root_node)
        return body, f"syntax error near line {line}: the code around it was not followed"
    return body, f"nested too deeply at line {lowering.too_deep}" if lowering.too_deep else ""


def _first_error(root: Node) -> int:
    """The line of the first error in a tree that has one."""
    node = root
    for _ in range(200):
        if node.is_error or node.is_missing:
            break
        inner = next((child for child in node.children[:5_000] if child.has_error or child.is_missing), None)
        if inner is None:
            break
        node = inner
    return node.start_point.row + 1


def _guarded(
    machine: Machine, module: Module, gave_up: list[NotReviewed], function: ProjectFunction | None
) -> None:
    """One walk that begins here; if it is too much, the file and the place are named and others go on."""
    where = (
        f"at {function.syntax.name} (line {function.syntax.line})" if function is not None else "at the top"
    )
    try:
        machine.begin()
        if function is None:
            run_module(machine, module)
        else:
            _enter(machine, function)
        if machine.is_shallow:
            machine.shallow.setdefault(module.path, []).append(where)
    except GaveUp as reason:
        gave_up.append(NotReviewed(path=module.path, reason=f"gave up {where}: {reason}", stage=STAGE))
    except RecursionError:
        gave_up.append(
            NotReviewed(path=module.path, reason=f"gave up {where}: too many calls inside calls", stage=STAGE)
        )


def _walk_functions(
    machine: Machine, chosen: Collection[str], gave_up: list[NotReviewed], deadline_s: float
) -> None:
    """Every function that is known, those that are made meanwhile too; the ones that were called are done."""
    done: set[int] = set()
    spent: dict[str, float] = {}
    late: set[str] = set()
    while len(done) < FUNCTIONS_MAX:
        waiting = [
            (key, one)
            for key, one in machine.functions.items()
            if key not in done and one.module.path in chosen
        ]
        if not waiting:
            return
        for key, function in waiting:
            done.add(key)
            path = function.module.path
            if path in late:
                continue
            started = time.monotonic()
            if started > deadline_s or spent.get(path, 0.0) > FILE_SECONDS_MAX:
                late.add(path)
                where = f"{function.syntax.name} (line {function.syntax.line})"
                gave_up.append(
                    NotReviewed(path=path, reason=f"out of time: not followed from {where} on", stage=STAGE)
                )
                continue
            _guarded(machine, function.module, gave_up, function)
            spent[path] = spent.get(path, 0.0) + time.monotonic() - started


def _enter(machine: Machine, function: ProjectFunction) -> None:
    """Walk a function as whoever calls it from outside would; one that was called by others only if that too."""
    frame = Frame(function.module, State({}, {}, machine.things), None)
    entry = entry_of(machine, frame, function)
    if not entry.kind and id(function.syntax) in machine.called:
        return
    inner = Frame(function.module, State({}, {}, machine.things), function, is_handler=entry.is_page)
    inner.state.names = arguments_of(machine, inner, function, entry)
    inner.dead = False
    walk(machine, inner)
