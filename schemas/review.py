"""Code review: from the request for it, through assignments and findings, to the report."""

import enum
from typing import Final

import msgspec

from schemas.event import Event

LINE_CHARS_MAX: Final = 400
"""Longer quoted lines are cut, so that a minified file can't swell a report."""


class Severity(enum.StrEnum):
    """How bad a finding is, worst first."""

    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"
    INFO = "info"

    @property
    def rank(self) -> int:
        """0 for critical, 4 for info."""
        return list(Severity).index(self)


class FindingStatus(enum.StrEnum):
    """Whether a finding counts. Only `new` ones decide the exit code; the others are shown, marked."""

    NEW = "new"
    BASELINE = "baseline"
    SUPPRESSED = "suppressed"


class SourceFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file sent along with the request. `path` is relative, with forward slashes."""

    path: str
    text: str


class Bundle(msgspec.Struct, frozen=True, kw_only=True):
    """Files in one object of the object store: a zip whose member `f<i>` is the file `paths[i]`.

    Attributes:
        object_name: name in the bus's object store.
        sha256: hex digest of the object's bytes, checked by every reader.
        sizes: size of each of `paths` in bytes, from which shards are balanced; empty if not known.
        lines: lines of text over all files, for the report's header.
        source_bytes: size of the files before compression.
    """

    object_name: str
    sha256: str
    paths: tuple[str, ...]
    lines: int = 0
    source_bytes: int = 0
    sizes: tuple[int, ...] = ()


class NotReviewed(msgspec.Struct, frozen=True, kw_only=True, order=True):
    """A file, or a part of the work (`stage`), that was left out, and why. Never left out in silence."""

    path: str
    reason: str
    stage: str = ""


class ChangedLines(msgspec.Struct, frozen=True, kw_only=True):
    """Lines of one file that a diff added or changed: inclusive, 1-based ranges."""

    path: str
    ranges: tuple[tuple[int, int], ...]


class ReviewRequested(Event, frozen=True, kw_only=True, tag="review.requested.v1"):
    """Command: review these files. Give `files` inline, or `bundles`, or a `root` folder that the planner's
    machine is configured to allow.

    Attributes:
        name: what is reviewed, for people.
        roles: reviewer roles to use; empty means all that apply.
        changed: when given, only findings on these lines are reported (`--diff`).
        baseline: fingerprints of findings that were known before; they are marked, not removed.
        not_reviewed: what the sender already had to leave out.
        deadline_s: how long the whole review may take, in seconds.
    """

    name: str = ""
    files: tuple[SourceFile, ...] = ()
    bundles: tuple[Bundle, ...] = ()
    root: str = ""
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    changed: tuple[ChangedLines, ...] | None = None
    baseline: tuple[str, ...] = ()
    not_reviewed: tuple[NotReviewed, ...] = ()
    deadline_s: float = 600.0


class ReviewAssigned(Event, frozen=True, kw_only=True, tag="review.assigned.v1"):
    """Command: one reviewer looks at one shard (`paths` of `bundle`) in one role."""

    index: int
    of: int
    role: str
    bundle: Bundle
    paths: tuple[str, ...]


class ReviewPlanned(Event, frozen=True, kw_only=True, tag="review.planned.v1"):
    """The review was split into `assignments` (their event ids, in order of index)."""

    name: str = ""
    assignments: tuple[str, ...]
    labels: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    files: int = 0
    lines: int = 0
    source_bytes: int = 0
    deadline: str = ""
    changed: tuple[ChangedLines, ...] | None = None
    baseline: tuple[str, ...] = ()
    not_reviewed: tuple[NotReviewed, ...] = ()
    started_at: str = ""


class TraceStep(msgspec.Struct, frozen=True, kw_only=True):
    """One place that a value passes on its way from where it comes in to where it does harm. `line` is 1-based."""

    path: str
    line: int
    what: str


class Hit(msgspec.Struct, frozen=True, kw_only=True):
    """What one analyser says about one place.

    Attributes:
        analyser: `bandit`, `ruff`, `detect-secrets`, `labverse` (our own rules),
            `labverse-flow` (our own data-flow analysis).
        rule: the analyser's own id, such as `B608`.
        line, end_line: 1-based, inclusive.
        cwe: CWE number, 0 if none fits.
        confidence: the analyser's own, 0 to 1.
        description: what is wrong and what follows from it.
        code: the lines quoted, as they stand in the file.
        fix: what to do, in words or code; empty if there is nothing useful to say.
        suppressed: the comment in the source that says to ignore it; empty if there is none.
        trace: the way of a value from its source to where it does harm; empty if the analyser follows none.
    """

    analyser: str
    rule: str
    path: str
    line: int
    end_line: int = 0
    column: int = 0
    title: str
    severity: Severity
    confidence: float = 0.5
    cwe: int = 0
    description: str = ""
    code: str = ""
    fix: str = ""
    suppressed: str = ""
    trace: tuple[TraceStep, ...] = ()


class Stage(msgspec.Struct, frozen=True, kw_only=True):
    """One analyser's run over one shard, for the report's account of what was done.

    Attributes:
        error: why it failed; empty if it did not.
    """

    analyser: str
    version: str = ""
    files: int = 0
    seconds: float = 0.0
    error: str = ""


class ReviewFindings(Event, frozen=True, kw_only=True, tag="review.findings.v1"):
    """What reviewer `agent` found for assignment `index`."""

    index: int
    role: str
    agent: str
    hits: tuple[Hit, ...] = ()
    stages: tuple[Stage, ...] = ()
    not_reviewed: tuple[NotReviewed, ...] = ()
    files: int = 0
    seconds: float = 0.0


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One problem at one place, merged from all hits about it.

    Attributes:
        fingerprint: 16 hex characters; stays the same when lines above it move.
        confidence: 0 to 1; grows with the number of different analysers that agree.
        found_by: `analyser rule`, sorted.
        roles: in which roles it was found.
    """

    fingerprint: str
    title: str
    path: str
    line: int
    end_line: int
    severity: Severity
    confidence: float
    cwe: int = 0
    description: str = ""
    code: str = ""
    fix: str = ""
    found_by: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    status: FindingStatus = FindingStatus.NEW
    status_reason: str = ""


class AgentWork(msgspec.Struct, frozen=True, kw_only=True):
    """What one reviewer contributed: shown in the live view and in the report."""

    agent: str
    assignments: int
    hits: int
    seconds: float


class ReviewReport(msgspec.Struct, frozen=True, kw_only=True):
    """The whole answer, from which every format is rendered.

    Attributes:
        degraded: reasons why the report is less than it should be (a stage failed, a part is missing);
            empty for a full review.
        seconds: wall time from request to merge.
        cost_nusd: money spent on models, in nano-USD; 0 when rules and analysers did it all.
    """

    name: str
    task_id: str
    created_at: str
    files: int
    lines: int
    seconds: float
    cost_nusd: int = 0
    assignments: int = 0
    agents: tuple[AgentWork, ...] = ()
    stages: tuple[Stage, ...] = ()
    roles: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    not_reviewed: tuple[NotReviewed, ...] = ()
    degraded: tuple[str, ...] = ()
    version: str = ""


class ReviewCompleted(Event, frozen=True, kw_only=True, tag="review.completed.v1"):
    """The review is done, wholly or with parts missing, as the report says."""

    report: ReviewReport
