"""What is found: a flow from source to sink, or a weak call, as others see it."""

from collections.abc import Iterable
from typing import Final

import msgspec

from agents.review.analysers.analysis import Looked
from agents.review.dataflow.machine import Reached
from agents.review.dataflow.sinks import severity_of
from agents.review.dataflow.tables import Flaw
from agents.review.dataflow.values import ANSWER, Step
from agents.review.way import way_text
from schemas.review import NotReviewed, Severity

SURE: Final = 0.85
UNSURE: Final = 0.55
LOCAL: Final = 0.5
ANSWERED: Final = 0.6
"""Where another server controls the value, not whoever asks this one."""
WEAK_CALL: Final = 0.7
UNSURE_WEAK_CALL: Final = 0.35
"""Where a name says that it is no matter of security: MD5 of a cache's key."""
TRACE_STEPS_MAX: Final = 12
"""Shown of one path; longer ones lose their middle."""


class Passed(msgspec.Struct, frozen=True):
    """One place on the path of a value: 1-based `line` of `path`, and what happens there."""

    path: str
    line: int
    what: str


class Flow(msgspec.Struct, frozen=True, kw_only=True):
    """One finding.

    Attributes:
        rule: such as `flow-sql-injection`.
        trust: who controls the value: `remote`, `local`, `answer` (of another server), `random`; empty for a weak call.
        trace: from the source to the sink; empty for a weak call.
    """

    rule: str
    path: str
    line: int
    end_line: int
    cwe: int
    severity: Severity
    confidence: float
    title: str
    description: str
    fix: str
    trust: str = ""
    trace: tuple[Passed, ...] = ()


class FlowResult(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome for a project.

    Attributes:
        findings: ordered by path and line.
        looked: places where values can do harm, whether they do or not.
        gave_up: files of which a part was not followed to the end, and why.
        not_parsed: files that could not be read or parsed, or not wholly.
    """

    findings: tuple[Flow, ...] = ()
    looked: tuple[Looked, ...] = ()
    gave_up: tuple[NotReviewed, ...] = ()
    not_parsed: tuple[NotReviewed, ...] = ()


def without_yielding(found: Iterable[Reached]) -> list[Reached]:
    """All but those that yield to another one of the same kind and source."""
    every = list(found)
    worse = {
        (one.rule.flaw, _source(one)) for one in every if isinstance(one.rule, Flaw) and not one.rule.yields
    }
    return [
        one
        for one in every
        if not isinstance(one.rule, Flaw) or not one.rule.yields or (one.rule.flaw, _source(one)) not in worse
    ]


def _source(reached: Reached) -> tuple[str, int] | None:
    step = reached.step
    while step is not None and step.before is not None:
        step = step.before
    return (step.path, step.line) if step is not None else None


def flow_of(reached: Reached) -> Flow:
    """A finding in the words of the tables."""
    rule = reached.rule
    severity: Severity = rule.severity
    confidence = WEAK_CALL
    if isinstance(rule, Flaw):
        stated = severity_of(rule, reached.trust)
        severity = stated if isinstance(stated, Severity) else severity
        confidence = SURE if reached.is_sure else UNSURE
        confidence = min(confidence, rule.confidence, LOCAL if reached.trust == "local" else confidence)
        if reached.trust == ANSWER:
            confidence = min(confidence, ANSWERED)
    elif not reached.is_sure:
        confidence = UNSURE_WEAK_CALL
    return Flow(
        rule=rule.id,
        path=reached.path,
        line=reached.line,
        end_line=reached.end_line or reached.line,
        cwe=rule.cwe,
        severity=severity,
        confidence=confidence,
        title=rule.title,
        description=rule.description,
        fix=rule.fix,
        trust=reached.trust,
        trace=_trace(reached.step),
    )


def _trace(step: Step | None) -> tuple[Passed, ...]:
    steps: list[Passed] = []
    while step is not None:
        steps.append(Passed(step.path, step.line, step.what))
        step = step.before
    steps.reverse()
    if len(steps) > TRACE_STEPS_MAX:
        half = TRACE_STEPS_MAX // 2
        steps = [*steps[:half], *steps[-half:]]
    return tuple(steps)


def told(flow: Flow) -> str:
    """The path in one line: `request.args['id'] (line 12) → query (line 14) → cursor.execute (line 15)`."""
    return way_text(flow.path, flow.trace)
