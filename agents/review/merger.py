"""Review merger: waits for the reviewers, merges what they found, and writes the report.

Listens  review.planned.v1
Emits    review.completed.v1
Effects  asks models about contested findings, where there are some; looks documents up
State    none: the answers are read from the stream, so after a crash the next merger gets the same
Without an LLM  the same, with nothing verified
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import msgspec

from agents.review.baseline import mark_baseline
from agents.review.diff import only_changed
from agents.review.dismissals import dismissal_notes, mark_dismissed
from agents.review.languages import language_of
from agents.review.merge import Merged, by_severity, merge_hits
from agents.review.models.account import model_work, notes, shortfalls, spent, with_costs
from agents.review.models.passages import Passages
from agents.review.models.patience import Health, Patient
from agents.review.models.verifier import Verified, Verifier, shown_only
from bus import Bus, Envelope, Gathered, Subscription
from bus.envelope import now_text, parse_time
from schemas.review import (
    AgentWork,
    Finding,
    NotReviewed,
    ReviewCompleted,
    ReviewFindings,
    ReviewPlanned,
    ReviewReport,
    Stage,
)

DURABLE: Final = "review-merger"
OPEN_MAX: Final = 256
"""Reviews that one process waits for at once; a waiting one costs little."""
DOCUMENTS_MAX: Final = 40
"""Weaknesses of one report for which a document is looked up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewMerger:
    bus: Bus
    version: str
    verifier: Verifier | None = None
    passages: Passages | None = None
    health: Health = field(default_factory=Health)

    def subscription(self) -> Subscription:
        return Subscription(
            durable=DURABLE,
            listens=(ReviewPlanned,),
            handle=self.handle,
            concurrency=OPEN_MAX,
            max_ack_pending=4096,
        )

    async def handle(self, event: ReviewPlanned, envelope: Envelope) -> ReviewCompleted:
        """Gather until all have answered or the deadline comes, then merge what there is."""
        deadline_s = parse_time(event.deadline) if event.deadline else time.time() + 600.0
        gathered = await self.bus.gather(
            ReviewFindings, task_id=envelope.task_id, expected=event.assignments, deadline_s=deadline_s
        )
        merged = await asyncio.to_thread(merge_parts, event, [part for part, _ in gathered.parts])
        verified = None
        answered = any(part.model for part, _ in gathered.parts)
        if self.verifier is not None and event.verify and answered:  # who never answered isn't asked again
            patient = Patient(complete=self.verifier.complete, bus=self.bus, health=self.health)
            verified = await replace(self.verifier, complete=patient).verify(
                event, merged.findings, task_id=envelope.task_id, deadline_s=deadline_s
            )
        report = await asyncio.to_thread(
            write_report,
            event,
            gathered,
            merged,
            verified,
            task_id=envelope.task_id,
            version=self.version,
            now=now_text(),
        )
        if self.passages is not None:
            report = await with_documents(report, self.passages)
        return ReviewCompleted(report=report)


async def with_documents(report: ReviewReport, passages: Passages) -> ReviewReport:
    """The report with the expert document on each weakness named."""
    kinds = {(finding.cwe, language_of(finding.path)) for finding in report.findings if finding.cwe}
    named = {}
    for cwe, language in sorted(kinds)[:DOCUMENTS_MAX]:
        if (hit := await passages.document_on(cwe, language)) is not None:
            named[cwe, language] = f"{hit.document_id}: {hit.title}"
    findings = tuple(
        msgspec.structs.replace(finding, document=named.get((finding.cwe, language_of(finding.path)), ""))
        for finding in report.findings
    )
    return msgspec.structs.replace(report, findings=findings)


def merge_parts(planned: ReviewPlanned, parts: Sequence[ReviewFindings]) -> Merged:
    """Core: the findings of all parts, those on unchanged lines left out, known ones marked."""
    merged = merge_hits((part.role, hit) for part in parts for hit in part.hits)
    found: Sequence[Finding] = merged.findings
    if planned.changed is not None:
        found = only_changed(found, planned.changed)
    found = mark_dismissed(mark_baseline(found, planned.baseline), planned.dismissed)
    found = with_costs(found, parts)
    return replace(merged, findings=tuple(found))


def write_report(
    planned: ReviewPlanned,
    gathered: Gathered[ReviewFindings],
    merged: Merged | None = None,
    verified: Verified | None = None,
    *,
    task_id: str,
    version: str,
    now: str,
) -> ReviewReport:
    """Core: the report of what was gathered, saying what is missing.

    Args:
        merged: of the same parts; None merges them here.
        verified: `merged`'s findings after a second look.
    """
    parts = [part for part, _ in gathered.parts]
    merged = merged or merge_parts(planned, parts)
    found, unconfirmed = shown_only(verified.findings if verified else merged.findings)
    found.sort(key=by_severity)
    not_reviewed = [*planned.not_reviewed, *(entry for part in parts for entry in part.not_reviewed)]
    if merged.cut:
        not_reviewed.append(
            NotReviewed(path="(findings)", reason=f"{merged.cut} findings over the limit were cut")
        )
    degraded, unanswered = missing_parts(planned, gathered)
    if not planned.files and planned.changed is None and planned.not_reviewed:
        degraded.insert(0, "nothing was reviewed: every file was left out, for the reasons given")
    return ReviewReport(
        name=planned.name,
        task_id=task_id,
        created_at=now,
        files=planned.files,
        lines=planned.lines,
        seconds=round(max(0.0, parse_time(now) - parse_time(planned.started_at or now)), 3),
        cost_nusd=spent(parts, verified),
        assignments=len(planned.assignments),
        agents=agent_work(parts),
        stages=sum_stages(parts),
        roles=planned.roles,
        findings=tuple(found),
        not_reviewed=tuple(dict.fromkeys([*not_reviewed, *unanswered])),
        degraded=(*degraded, *failed_stages(parts), *shortfalls(planned, parts, verified)),
        version=version,
        models=model_work(parts),
        notes=(
            *nothing_to_review(planned),
            *notes(planned, parts, verified, unconfirmed),
            *dismissal_notes(found, planned.dismissed, planned.dismissed_in),
        ),
        refuted=merged.refuted
        if planned.changed is None
        else tuple(only_changed(merged.refuted, planned.changed)),
    )


def nothing_to_review(planned: ReviewPlanned) -> list[str]:
    """Core: that there was nothing, so that nobody takes it for a clean bill."""
    if planned.files or (planned.not_reviewed and planned.changed is None):
        return []
    which = "file" if planned.changed is None else "changed file"
    return [f"there was nothing to review: no {which} of a kind that is read"]


def missing_parts(
    planned: ReviewPlanned, gathered: Gathered[ReviewFindings]
) -> tuple[list[str], list[NotReviewed]]:
    """Core: why the review is not whole, and the assignments that nobody answered."""
    labels = dict(zip(planned.assignments, planned.labels, strict=False))
    unanswered = [
        NotReviewed(path=labels.get(step, step), reason=reason, stage="assignment")
        for step, reason in gathered.failed.items()
    ]
    unanswered += [
        NotReviewed(path=labels.get(step, step), reason="no answer before the deadline", stage="assignment")
        for step in gathered.missing
    ]
    total = len(planned.assignments)
    degraded = []
    if gathered.failed:
        degraded.append(f"{len(gathered.failed)} of {total} assignments failed")
    if gathered.missing:
        degraded.append(f"{len(gathered.missing)} of {total} assignments were not answered in time")
    return degraded, unanswered


def failed_stages(parts: Sequence[ReviewFindings]) -> list[str]:
    """Core: one line for each analyser that failed on some shard."""
    errors: dict[str, list[str]] = {}
    for part in parts:
        for stage in part.stages:
            if stage.error:
                errors.setdefault(stage.analyser, []).append(stage.error)
    return [f"{name} failed on {len(texts)} shards: {texts[0]}" for name, texts in errors.items()]


def sum_stages(parts: Sequence[ReviewFindings]) -> tuple[Stage, ...]:
    """Core: one stage for each analyser over all shards; the first error stands for all."""
    sums: dict[tuple[str, str], Stage] = {}
    for part in parts:
        for stage in part.stages:
            known = sums.get((stage.analyser, stage.version))
            sums[stage.analyser, stage.version] = Stage(
                analyser=stage.analyser,
                version=stage.version,
                files=stage.files + (known.files if known else 0),
                seconds=round(stage.seconds + (known.seconds if known else 0.0), 3),
                error=(known.error if known else "") or stage.error,
            )
    return tuple(sums[key] for key in sorted(sums))


def agent_work(parts: Sequence[ReviewFindings]) -> tuple[AgentWork, ...]:
    """Core: what each reviewer did."""
    by_agent: dict[str, list[ReviewFindings]] = {}
    for part in parts:
        by_agent.setdefault(part.agent, []).append(part)
    return tuple(
        AgentWork(
            agent=agent,
            assignments=len(done),
            hits=sum(len(part.hits) for part in done),
            seconds=round(sum(part.seconds for part in done), 3),
            cost_nusd=sum(part.cost_nusd for part in done),
        )
        for agent, done in sorted(by_agent.items())
    )
