"""A project read for the web rules, and all rules applied to it."""

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from agents.review.analysers.tree.engine import normalise
from agents.review.analysers.tree.languages import Unparsable, parse
from agents.review.analysers.web import access, bodies, keys, passwords, settings, wires
from agents.review.analysers.web.handlers import Handler, handlers_in, mark_guards
from agents.review.analysers.web.rules import ANALYSER, Found
from agents.review.analysers.web.source import Source, read_source
from agents.review.dataflow import syntax as s
from agents.review.dataflow.lower import Lowering
from schemas.review import NotReviewed

SOURCE_BYTES_MAX: Final = 1_000_000
PARSE_SECONDS_MAX: Final = 2.0
"""Of one file."""


def read_project(
    folder: Path, paths: Sequence[str], *, deadline_s: float
) -> tuple[list[Source], list[NotReviewed]]:
    """The sources of a project, and what could not be read, and why.

    Args:
        deadline_s: on the clock of `time.monotonic`; files that aren't read by then are named.
    """
    sources: list[Source] = []
    left_out: list[NotReviewed] = []
    for path in paths:
        source, reason = _read(folder, path, deadline_s)
        if source is None:
            left_out.append(NotReviewed(path=path, reason=reason, stage=ANALYSER))
        else:
            sources.append(source)
    return sources, left_out


def find_all(sources: Sequence[Source], *, deadline_s: float) -> tuple[tuple[Found, ...], list[NotReviewed]]:
    """Everything that the rules say of a project, in order of path and line, each once; and files that there was no
    time for.

    Args:
        deadline_s: on the clock of `time.monotonic`; what is found until then counts.
    """
    late: list[NotReviewed] = []
    classes = {owner.name: owner for source in sources for owner, _ in source.all(s.Class)}
    functions = {one.name: one for source in sources for one, _ in source.all(s.Function)}
    handlers: list[Handler] = [one for source in sources for one in handlers_in(source)]
    mark_guards(handlers, functions)

    def everything() -> Iterator[Found]:
        for source in sources:
            if time.monotonic() > deadline_s:
                late.append(NotReviewed(path=source.path, reason="out of time", stage=ANALYSER))
                continue
            yield from settings.find(source)
            yield from keys.find(source)
            yield from passwords.find(source, classes)
            yield from wires.find(source)
            yield from bodies.find_in_source(source, classes)
        if late:
            return
        yield from bodies.find_in_handlers(handlers, classes, functions)
        yield from access.find_missing_checks(handlers, sources)
        yield from access.find_foreign_objects(handlers, classes)
        yield from access.find_forgeable(handlers, sources)
        yield from access.find_races(handlers)

    once: dict[tuple[str, int, str], Found] = {}
    for found in everything():
        once.setdefault((found.path, found.line, found.rule), found)
    return tuple(once[key] for key in sorted(once)), late


def _read(folder: Path, path: str, deadline_s: float) -> tuple[Source | None, str]:
    """A file with its nodes, or why there is none."""
    if time.monotonic() > deadline_s:
        return None, "out of time"
    try:
        with (folder / path).open("rb") as file:
            raw = file.read(SOURCE_BYTES_MAX + 1)
    except (OSError, ValueError) as failed:
        return None, f"could not be read: {failed.strerror if isinstance(failed, OSError) else failed}"
    if len(raw) > SOURCE_BYTES_MAX:
        return None, f"larger than {SOURCE_BYTES_MAX} bytes"
    if b"\0" in raw and not raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        return None, "not a text: it holds NUL bytes"
    text = normalise(raw).replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    try:
        (region,) = parse(text, "python", deadline_s=min(deadline_s, time.monotonic() + PARSE_SECONDS_MAX))
        body = Lowering(text).module(region.tree.root_node)
        return read_source(path, body, text.decode(errors="replace").split("\n")), ""
    except Unparsable as unparsable:
        return None, str(unparsable)
    except RecursionError:
        return None, "is nested too deeply to be parsed"
