"""One example of each event, as documentation shows it and as tests check it."""

from typing import Final

from schemas.approval import (
    Approval,
    ApprovalDecided,
    ApprovalExpired,
    ApprovalExpiring,
    ApprovalOpened,
    ApprovalRequested,
    ApprovalState,
    ApprovalVoted,
    ApprovalWithdrawn,
    Ballot,
    Fact,
    Vote,
)
from schemas.cost import CallRecord, CostRecorded, CostThresholdCrossed
from schemas.deal import Alternative, Certificate, ParetoCheck
from schemas.event import Event, tag_of
from schemas.llm import BudgetState, Usage
from schemas.negotiation import (
    Evidence,
    Interval,
    IssueStated,
    NegotiationAgreed,
    NegotiationExpired,
    NegotiationNoDeal,
    NegotiationOpened,
    NegotiationProposed,
    NegotiationRequested,
    NegotiationVetoed,
    Payment,
    PositionAsked,
    PositionScenario,
    PositionStated,
    Proposal,
    Revenue,
)
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

_REQUEST: Final = NegotiationRequested(
    goal="Cross-platform content syndication", platforms=("tiktok", "spotify"), budget_nusd=1_000_000_000_000
)
_ISSUES: Final = (
    IssueStated(name="terms", values=("CPM, tiktok 60 % · spotify 40 %", "CPA, tiktok 50 % · spotify 50 %")),
    IssueStated(name="format", values=("clip", "episode")),
)
_DEAL: Final = {"terms": "CPM, tiktok 60 % · spotify 40 %", "format": "clip"}
_DIGEST: Final = "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae"
_PAYMENTS: Final = (
    Payment(platform="tiktok", terms="CPM $6.50", most_nusd=600_000_000_000, volume="92,307 impressions"),
    Payment(platform="spotify", terms="CPM $18.00", most_nusd=400_000_000_000, volume="22,222 impressions"),
)
_WORTH: Final = {"house": 180.0, "spotify": 88.0, "tiktok": 210.0}
_ALTERNATIVE: Final = Alternative(deal=_DEAL, utilities=_WORTH, value=0.31)
_CERTIFICATE: Final = Certificate(
    concept="regret",
    regret="relative",
    deal=_DEAL,
    utilities=_WORTH,
    disagreement={"house": 0.0, "spotify": 0.0, "tiktok": 0.0},
    ideal={"house": 260.0, "spotify": 120.0, "tiktok": 290.0},
    regrets={"house": 0.31, "spotify": 0.27, "tiktok": 0.28},
    absolute_regrets={"house": 80.0, "spotify": 32.0, "tiktok": 80.0},
    binds=("house",),
    accepts=("house", "spotify", "tiktok"),
    value=0.31,
    bound=0.31,
    gap=0.0,
    is_exact=True,
    route="enumeration",
    outcomes=4,
    candidates=2,
    runner_up=None,
    flips=(),
    manipulability=None,
    pareto=ParetoCheck(is_undominated=True, is_proven=True, by="frontier"),
    by_concept={"regret": _ALTERNATIVE},
)
_APPROVAL_REQUEST: Final = ApprovalRequested(
    kind="deal",
    title="Syndicate with tiktok and spotify for at most $1,000.00",
    digest=_DIGEST,
    facts=(Fact(label="tiktok", value="at most $600.00: CPM $6.50"),),
    text="The largest regret of anybody is 31 % of what they could gain.",
    cost_nusd=1_000_000_000_000,
    about=f"deal {TASK_ID}",
    reasons=("$1,000.00 is more than $100.00",),
)
_VOTE: Final = Vote(
    by="alice",
    identity="slack:U024BE7LH",
    ballot=Ballot.APPROVE,
    at="2026-01-31T12:05:00.000000Z",
    vote_id="U024BE7LH-1769860800.123456",
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
    _REQUEST,
    NegotiationOpened(
        request=_REQUEST,
        parties=("house", "tiktok", "spotify"),
        issues=_ISSUES,
        asked=(EVENT_ID,),
        deadline="2026-01-31T12:00:02.000000Z",
        started_at="2026-01-31T12:00:00.000000Z",
    ),
    PositionAsked(
        party="tiktok",
        index=1,
        of=3,
        goal=_REQUEST.goal,
        platforms=_REQUEST.platforms,
        budget_nusd=_REQUEST.budget_nusd,
        issues=_ISSUES,
        deadline="2026-01-31T12:00:02.000000Z",
    ),
    PositionStated(
        party="tiktok",
        agent="platform",
        scenarios=(
            PositionScenario(probability=1.0, utilities={"terms": (210.0, 140.0), "format": (20.0, 0.0)}),
        ),
        words="tiktok would rather be paid by CPM, with 60 % of the budget.",
        proposals=(Proposal(deal=_DEAL),),
        evidence=Evidence(impressions=1_200_000, clicks=13_100, conversions=240),
        card="tiktok 2026-11",
    ),
    NegotiationProposed(
        goal=_REQUEST.goal,
        deal=_DEAL,
        certificate=_CERTIFICATE,
        parties=("house", "tiktok", "spotify"),
        payments=_PAYMENTS,
        amount_nusd=1_000_000_000_000,
        digest=_DIGEST,
        confidence=0.93,
        revenue={
            "house": Revenue(
                expected=Interval(mean=180.0, low=40.0, high=330.0),
                realised=Interval(mean=180.0, low=-60.0, high=450.0),
                p_gain=0.93,
            )
        },
        approval_reasons=("$1,000.00 is more than $100.00",),
        policy_version="1",
        machine_s=0.07,
    ),
    NegotiationAgreed(
        goal=_REQUEST.goal,
        deal=_DEAL,
        payments=_PAYMENTS,
        amount_nusd=1_000_000_000_000,
        digest=_DIGEST,
        parties=("house", "tiktok", "spotify"),
        approval_id=EVENT_ID,
        by=("alice",),
    ),
    NegotiationVetoed(
        deal=_DEAL, digest=_DIGEST, approval_id=EVENT_ID, by="alice", note="not before the season starts"
    ),
    NegotiationExpired(
        deal=_DEAL, digest=_DIGEST, approval_id=EVENT_ID, why="nobody decided by 2026-02-01T12:00:00Z"
    ),
    NegotiationNoDeal(
        kind="silent", reason="spotify stated no position in 2.0 s", silent={"spotify": "nothing heard"}
    ),
    _APPROVAL_REQUEST,
    ApprovalOpened(
        approval=Approval(
            approval_id=EVENT_ID,
            task_id=TASK_ID,
            request=_APPROVAL_REQUEST,
            requested_by="labverse/negotiation-table",
            policy_version="1",
            approvers=("alice",),
            opened_at="2026-01-31T12:00:00.100000Z",
            deadline="2026-02-01T12:00:00.100000Z",
            warn_at="2026-02-01T11:00:00.100000Z",
        )
    ),
    ApprovalVoted(approval_id=EVENT_ID, by="alice", missing=1),
    ApprovalExpiring(approval_id=EVENT_ID, deadline="2026-02-01T12:00:00.100000Z", left_s=3600.0),
    ApprovalDecided(
        approval_id=EVENT_ID,
        kind="deal",
        digest=_DIGEST,
        state=ApprovalState.APPROVED,
        votes=(_VOTE,),
        policy_version="1",
        about=f"deal {TASK_ID}",
    ),
    ApprovalExpired(
        approval_id=EVENT_ID, kind="deal", digest=_DIGEST, deadline="2026-02-01T12:00:00.100000Z"
    ),
    ApprovalWithdrawn(
        approval_id=EVENT_ID, kind="deal", digest=_DIGEST, why="a newer request took its place"
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
