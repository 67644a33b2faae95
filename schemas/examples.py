"""One example of each event, as documentation shows it and as tests check it."""

from typing import Final

from schemas.cost import CallRecord, CostRecorded, CostThresholdCrossed
from schemas.event import Event, tag_of
from schemas.llm import BudgetState, Usage
from schemas.review import (
    AgentWork,
    Bundle,
    CodePart,
    Finding,
    Hit,
    Models,
    ReviewAssigned,
    ReviewCompleted,
    ReviewFindings,
    ReviewPassAssigned,
    ReviewPlanned,
    ReviewReport,
    ReviewRequested,
    Severity,
    SourceFile,
    Stage,
    TraceStep,
)
from schemas.task import HandledMark, TaskCancelled, TaskExpired, TaskStepFailed

TASK_ID: Final = "01k9x4m3zc8v5t2q7rj6bnw0hd"
EVENT_ID: Final = "5c1f0e9a7b3d2c4e6f80-0"

_HIT: Final = Hit(
    analyser="bandit",
    rule="B608",
    path="app/orders.py",
    line=12,
    end_line=12,
    title="SQL built from user input",
    severity=Severity.HIGH,
    confidence=0.7,
    cwe=89,
    description="Text from a request becomes part of the statement, so that a caller can change its meaning.",
    code='    db.execute(f"SELECT * FROM orders WHERE id = {order_id}")',
    fix='db.execute("SELECT * FROM orders WHERE id = ?", (order_id,))',
    trace=(
        TraceStep(path="app/pages.py", line=31, what="request.args['id']"),
        TraceStep(path="app/orders.py", line=12, what="db.execute"),
    ),
)
_STAGE: Final = Stage(analyser="bandit", version="1.9.4", files=3, seconds=0.4)
_BUNDLE: Final = Bundle(
    object_name=f"review-{TASK_ID}-0",
    sha256="9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    paths=("app/__init__.py", "app/orders.py", "app/pages.py"),
    lines=240,
    source_bytes=7_812,
)

_ALL: Final[tuple[Event, ...]] = (
    ReviewRequested(
        name="orders service",
        files=(SourceFile(path="app/orders.py", text="import sqlite3\n"),),
        roles=("security", "quality"),
        deadline_s=120.0,
    ),
    ReviewPlanned(
        name="orders service",
        assignments=(EVENT_ID,),
        labels=("security 1/1",),
        roles=("security",),
        files=3,
        lines=240,
        source_bytes=7_812,
        deadline="2026-01-31T12:02:00.000000Z",
        started_at="2026-01-31T12:00:00.000000Z",
    ),
    ReviewAssigned(index=0, of=1, role="security", bundle=_BUNDLE, paths=("app/orders.py",)),
    ReviewPassAssigned(
        index=1,
        of=2,
        role="injection",
        bundle=_BUNDLE,
        parts=(CodePart(path="app/orders.py", first=1, last=120),),
        model="ollama/qwen3:8b",
        models=Models.LOCAL,
        evidence=(EVENT_ID,),
        deadline="2026-01-31T12:01:40.000000Z",
    ),
    ReviewFindings(
        index=0, role="security", agent="reviewer-1", hits=(_HIT,), stages=(_STAGE,), files=3, seconds=0.6
    ),
    ReviewCompleted(
        report=ReviewReport(
            name="orders service",
            task_id=TASK_ID,
            created_at="2026-01-31T12:00:01.500000Z",
            files=3,
            lines=240,
            seconds=1.5,
            assignments=1,
            agents=(AgentWork(agent="reviewer-1", assignments=1, hits=1, seconds=0.6),),
            stages=(_STAGE,),
            roles=("security",),
            findings=(
                Finding(
                    fingerprint="3f9a1c5be0d27846",
                    title=_HIT.title,
                    path=_HIT.path,
                    line=_HIT.line,
                    end_line=_HIT.end_line,
                    severity=_HIT.severity,
                    confidence=_HIT.confidence,
                    cwe=_HIT.cwe,
                    description=_HIT.description,
                    code=_HIT.code,
                    fix=_HIT.fix,
                    found_by=("bandit B608",),
                    roles=("security",),
                ),
            ),
        )
    ),
    TaskCancelled(by="alice", reason="wrong branch"),
    TaskExpired(
        agent="reviewer",
        event_type="review.assigned.v1",
        event_id=EVENT_ID,
        deadline="2026-01-31T12:02:00.000000Z",
        late_s=3.5,
    ),
    TaskStepFailed(
        agent="reviewer",
        event_type="review.assigned.v1",
        event_id=EVENT_ID,
        reason="the bundle's sha256 does not match",
        attempts=5,
    ),
    CostRecorded(
        record=CallRecord(
            call_id="01k9x4m4aa0000000000000000-0",
            completion_id="01k9x4m4aa0000000000000000",
            at="2026-01-31T12:00:01.100000Z",
            task_id=TASK_ID,
            agent="reviewer",
            purpose="critical",
            provider="dashscope",
            model="qwen-turbo",
            usage=Usage(input_tokens=812, output_tokens=140),
            counted_tokens=760,
            max_tokens=512,
            reserved_nusd=160_000,
            cost_nusd=68_600,
            latency_s=0.9,
        ),
        task_spent_nusd=68_600,
    ),
    CostThresholdCrossed(
        budget=BudgetState(
            limit="month 2026-01",
            limit_nusd=500_000_000_000,
            stop_nusd=450_000_000_000,
            spent_nusd=449_800_000_000,
            reserved_nusd=200_000_000,
            resets_at="2026-02-01T00:00:00.000000Z",
        ),
        percent=90,
        is_stop=True,
        channel="#cost-alerts",
    ),
    HandledMark(),
)

EXAMPLES: Final[dict[str, Event]] = {tag_of(event): event for event in _ALL}
"""By tag."""
