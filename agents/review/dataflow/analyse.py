"""Reads the files of a project, walks every function that may be entered, and gathers what was found."""

import contextlib
import gc
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from tree_sitter import Node

from agents.review.analysers.analysis import Looked
from agents.review.analysers.tree.engine import normalise
from agents.review.analysers.tree.languages import Unparsable, parse
from agents.review.dataflow.expressions import EVALUATORS
from agents.review.dataflow.flows import FlowResult, flow_of, without_yielding
from agents.review.dataflow.lower import Lowering
from agents.review.dataflow.machine import Machine
from agents.review.dataflow.pages import Pages
from agents.review.dataflow.project import Project
from agents.review.dataflow.statements import EXECUTORS
from agents.review.dataflow.syntax import Stmt
from agents.review.dataflow.tables import load_tables
from agents.review.dataflow.walks import STAGE, guarded, walk_functions
from schemas.review import NotReviewed

SOURCE_BYTES_MAX: Final = 1_000_000
COLLECT_EVERY: Final = 100_000
"""New objects between two garbage collections."""
PARSE_SECONDS_MAX: Final = 2.0
"""Of one file."""


def analyse_project(folder: Path, paths: Sequence[str], *, budget_s: float) -> FlowResult:
    """Follow values through the Python files `paths` (relative to `folder`, with forward slashes).

    Never raises for a bad source: what could not be read, parsed or followed is named.

    Args:
        budget_s: time for all of it; what is found until then is returned.
    """
    deadline_s = time.monotonic() + budget_s
    reader = _Reader(folder, deadline_s)
    project = Project(reader.read)
    chosen = dict.fromkeys(paths)
    for path in chosen:
        project.add(path)
    for module in tuple(project.modules.values()):
        project.body(module)
    machine = Machine(project, load_tables(), EVALUATORS, EXECUTORS, deadline_s=deadline_s)
    machine.pages_of = Pages(folder)
    with _rare_collections():
        gave_up = _walk_all(machine, deadline_s)
    findings = sorted(
        map(flow_of, without_yielding(machine.found.values())), key=lambda one: (one.path, one.line, one.rule)
    )
    looked = sorted(
        (one.path, one.line, one.cwe, one.first, one.last, is_clear)
        for one, is_clear in machine.visits.items()
    )
    return FlowResult(
        findings=tuple(findings),
        looked=tuple(Looked(*one) for one in looked),
        gave_up=tuple(dict.fromkeys(gave_up)),
        not_parsed=tuple(reader.not_parsed),
    )


def _walk_all(machine: Machine, deadline_s: float) -> list[NotReviewed]:
    """Everything that is walked, and where that ended early."""
    gave_up: list[NotReviewed] = []
    for module in machine.project.in_order():
        guarded(machine, module, gave_up)
    walk_functions(machine, gave_up, deadline_s)
    for path, places in machine.shallow.items():
        more = f" and {len(places) - 1} more" if len(places) > 1 else ""
        reason = f"calls inside calls were not followed to the end {places[0]}{more}"
        gave_up.append(NotReviewed(path=path, reason=reason, stage=STAGE))
    return gave_up


@contextlib.contextmanager
def _rare_collections() -> Iterator[None]:
    """What a walk makes lives long and holds few cycles: looking for them often costs a tenth of the time."""
    before = gc.get_threshold()
    gc.set_threshold(COLLECT_EVERY, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


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
