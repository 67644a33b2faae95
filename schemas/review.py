"""Code review: from the request for it, through assignments and findings, to the report."""

import enum
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from schemas.event import Event

PASSES_MAX: Final = 100
"""Assignments for models in one review."""
REASON_CHARS_MAX: Final = 500
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
    """Whether a finding counts. Only `new` ones decide the exit code; the others are shown, marked.

    `suppressed` are those that people or the code itself speak against: a comment that says to ignore them, somebody
    who has dismissed them, or data flow that contradicts them; the reason says which.
    """

    NEW = "new"
    BASELINE = "baseline"
    SUPPRESSED = "suppressed"


class Models(enum.StrEnum):
    """Which models may read the code under review."""

    NONE = "none"
    LOCAL = "local"
    """No word leaves this network, and nothing is spent."""
    ANY = "any"


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


class Dismissal(msgspec.Struct, frozen=True, kw_only=True):
    """That somebody has said of a finding that it is none. It counts only if it says who, when and why.

    Attributes:
        kind: what sort of problem it was: a family of weaknesses, or a rule.
        code: its first line without whitespace.
        at: RFC 3339.
    """

    fingerprint: Annotated[str, Meta(pattern="^[0-9a-f]{16}$")]
    reason: Annotated[str, Meta(min_length=1, max_length=REASON_CHARS_MAX)]
    by: Annotated[str, Meta(max_length=200)] = ""
    at: Annotated[str, Meta(max_length=40)] = ""
    path: Annotated[str, Meta(max_length=4_096)] = ""
    line: int = 0
    title: Annotated[str, Meta(max_length=400)] = ""
    kind: Annotated[str, Meta(max_length=200)] = ""
    code: Annotated[str, Meta(max_length=LINE_CHARS_MAX)] = ""


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
        dismissed: what people have dismissed before; it is marked, and what is like it is less sure.
        dismissed_in: the file that says so, for people.
        models: which models may be asked; without one that can be called, analysers and rules do it all.
        needs_models: without any the review counts as less than it should be.
        max_cost_nusd: most that models may cost over the whole review, in nano-USD.
        passes_max: most assignments for models.
        models_s: for so many seconds' work of models it is planned, as far as their speed is known.
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
    dismissed: tuple[Dismissal, ...] = ()
    dismissed_in: Annotated[str, Meta(max_length=4_096)] = ""
    models: Models = Models.NONE
    needs_models: bool = False
    max_cost_nusd: Annotated[int, Meta(ge=0)] | None = None
    passes_max: Annotated[int, Meta(ge=0, le=PASSES_MAX)] = PASSES_MAX
    models_s: Annotated[float, Meta(ge=0, le=86_400)] = 600.0


class ReviewAssigned(Event, frozen=True, kw_only=True, tag="review.assigned.v1"):
    """Command: one reviewer looks at one shard (`paths` of `bundle`) in one role."""

    index: int
    of: int
    role: str
    bundle: Bundle
    paths: tuple[str, ...]


class CodePart(msgspec.Struct, frozen=True, kw_only=True):
    """Lines `first` to `last` of a file: 1-based, inclusive."""

    path: str
    first: int
    last: int


class ReviewPassAssigned(Event, frozen=True, kw_only=True, tag="review.pass_assigned.v1"):
    """Command: a model reads some code in one role, once.

    Attributes:
        role: of the roles for models.
        number: which of several passes in this role over this code, from 1.
        parts: the code, of files of `bundle`.
        model: to be asked first, `provider/model`; when it can't answer, another one is.
        max_cost_nusd: most that this pass may cost; None when nobody gave a limit.
        evidence: event ids of assignments of analysers whose hits the model is shown.
        dismissed: what people said of earlier findings in this code, in a line each.
        deadline: RFC 3339; an answer after it is of no use.
    """

    index: int
    of: int
    role: str
    number: int = 1
    bundle: Bundle
    parts: tuple[CodePart, ...]
    model: str = ""
    models: Models = Models.LOCAL
    max_cost_nusd: int | None = None
    evidence: tuple[str, ...] = ()
    dismissed: tuple[str, ...] = ()
    deadline: str = ""


class PassEstimate(msgspec.Struct, frozen=True, kw_only=True):
    """What the passes of one model will take, as known before they start.

    Attributes:
        cost_nusd: expected; `cost_max_nusd` if every answer is as long as may be.
        seconds: wall time, with as many at once as the provider takes.
        is_speed_known: otherwise `seconds` assumes what is usual.
    """

    model: str
    calls: int
    input_tokens: int
    output_tokens: int
    cost_nusd: int = 0
    cost_max_nusd: int = 0
    seconds: float = 0.0
    is_speed_known: bool = False


class ReviewPlanned(Event, frozen=True, kw_only=True, tag="review.planned.v1"):
    """The review was split into `assignments` (their event ids, in order of index).

    Attributes:
        passes: how many of them, the last ones, are for models.
        no_models: why none is, where models were asked for.
        bundles: the code, where models may be asked about it again.
        verify: models that may be asked about what is contested, the best first.
        verify_max_nusd: most that this may cost; None when nobody gave a limit.
    """

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
    dismissed: tuple[Dismissal, ...] = ()
    dismissed_in: str = ""
    passes: int = 0
    estimates: tuple[PassEstimate, ...] = ()
    models: Models = Models.NONE
    no_models: str = ""
    bundles: tuple[Bundle, ...] = ()
    verify: tuple[str, ...] = ()
    verify_max_nusd: int | None = None


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
        by_model: a model says so, whose name stands in `analyser`.
        refuted: why our data-flow analysis contradicts it; empty when it does not.
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
    by_model: bool = False
    refuted: str = ""


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
    """What reviewer `agent` found for assignment `index`.

    Attributes:
        model: that answered, for a pass; empty when none did, for the reason `no_model`.
        is_fallback: another model than the one that was to be asked.
        dropped: claims of a model that were left out, with the reason, and how many of each.
    """

    index: int
    role: str
    agent: str
    hits: tuple[Hit, ...] = ()
    stages: tuple[Stage, ...] = ()
    not_reviewed: tuple[NotReviewed, ...] = ()
    files: int = 0
    seconds: float = 0.0
    is_pass: bool = False
    model: str = ""
    is_fallback: bool = False
    no_model: str = ""
    cost_nusd: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    dropped: dict[str, int] = msgspec.field(default_factory=dict)


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One problem at one place, merged from all hits about it.

    Attributes:
        fingerprint: 16 hex characters; stays the same when lines above it move.
        confidence: 0 to 1; grows with the number of different analysers that agree.
        found_by: `analyser rule`, sorted.
        roles: in which roles it was found.
        trace: the way of a value from its source to here, as our data-flow analysis followed it.
        dismissed: who dismissed it, when and why; None if nobody did.
        models: how many different ones say so.
        is_claim: models alone say so, no analyser.
        verdict: what a model said that was asked about it; empty when none was.
        cost_nusd: its share of what models cost.
        document: id and title of the expert document about it.
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
    trace: tuple[TraceStep, ...] = ()
    dismissed: Dismissal | None = None
    models: int = 0
    is_claim: bool = False
    verdict: str = ""
    cost_nusd: int = 0
    document: str = ""


class AgentWork(msgspec.Struct, frozen=True, kw_only=True):
    """What one reviewer contributed: shown in the live view and in the report."""

    agent: str
    assignments: int
    hits: int
    seconds: float
    cost_nusd: int = 0


class ModelWork(msgspec.Struct, frozen=True, kw_only=True):
    """What one model did for a review. `fallbacks`: answers in the place of another model."""

    model: str
    calls: int
    hits: int
    input_tokens: int = 0
    output_tokens: int = 0
    cost_nusd: int = 0
    fallbacks: int = 0


class ReviewReport(msgspec.Struct, frozen=True, kw_only=True):
    """The whole answer, from which every format is rendered.

    Attributes:
        degraded: reasons why the report is less than it should be (a stage failed, a part is missing);
            empty for a full review.
        seconds: wall time from request to merge.
        cost_nusd: money spent on models, in nano-USD; 0 when rules and analysers did it all.
        models: those that took part; none when rules and analysers did it all.
        refuted: what analysers report and our data-flow analysis contradicts: it followed the value, and nothing from
            outside reaches that place unchecked. They are no findings; they are told so that people can disagree.
        notes: what else is to be known of how it was done, such as claims that were not confirmed.
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
    models: tuple[ModelWork, ...] = ()
    notes: tuple[str, ...] = ()
    refuted: tuple[Finding, ...] = ()


class ReviewCompleted(Event, frozen=True, kw_only=True, tag="review.completed.v1"):
    """The review is done, wholly or with parts missing, as the report says."""

    report: ReviewReport
