"""Tracker: keeps one record for every task, so that anybody can ask where it stands.

Listens  every event type of every task; types that nobody knows become dead letters
Emits    nothing
State    the bucket `TASKS`: one `TaskRecord` a task, written by compare-and-swap
Without an LLM  the same

Events come in any order and more than once; the record only ever grows towards the truth (sets of answered
steps, the later of two stages), so replays, redeliveries and several trackers at once do no harm.
"""

import asyncio
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final

import msgspec

from bus import Bus, ConflictError, Envelope, Subscription
from bus.kv import Bucket
from schemas.approval import (
    ApprovalDecided,
    ApprovalExpired,
    ApprovalExpiring,
    ApprovalRequested,
    ApprovalVoted,
    ApprovalWithdrawn,
)
from schemas.cost import CostRecorded, CostThresholdCrossed
from schemas.event import Event, tag_of
from schemas.negotiation import (
    NegotiationAgreed,
    NegotiationExpired,
    NegotiationNoDeal,
    NegotiationOpened,
    NegotiationProposed,
    NegotiationRequested,
    NegotiationVetoed,
    PositionAsked,
    PositionStated,
)
from schemas.registry import EVENTS, SCATTERED
from schemas.review import ReviewAssigned, ReviewCompleted, ReviewFindings, ReviewPlanned, ReviewRequested
from schemas.task import HandledMark, TaskCancelled, TaskExpired, TaskRecord, TaskState, TaskStepFailed

BUCKET: Final = "TASKS"
TASKS_AGE_MAX_S: Final = 14 * 86_400.0
CACHED_MAX: Final = 2_000
CONFLICTS_MAX: Final = 50
STEP_IDS_MAX: Final = 2_000

NOT_OF_TASKS: Final = (
    HandledMark,
    ReviewAssigned,
    PositionAsked,
    ApprovalVoted,
    ApprovalExpiring,
    CostThresholdCrossed,
)

_STAGES: Final = {
    TaskState.QUEUED: 0,
    TaskState.RUNNING: 1,
    TaskState.EXPIRED: 2,
    TaskState.FAILED: 3,
    TaskState.CANCELLED: 4,
    TaskState.COMPLETED: 5,
}


def tasks_bucket(bus: Bus) -> Bucket[TaskRecord]:
    """The bucket that the tracker writes; `ensure` it before first use."""
    return bus.bucket(BUCKET, TaskRecord, age_max_s=TASKS_AGE_MAX_S)


@dataclass(eq=False, slots=True)
class _Open:
    """A task that we keep at hand: events that wait to be written, and what stands in the bucket."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    waiting: list[tuple[Event, Envelope]] = field(default_factory=list)
    known: tuple[TaskRecord, int] | None = None


@dataclass(eq=False, slots=True, kw_only=True)
class Tracker:
    bus: Bus
    _open: OrderedDict[str, _Open] = field(default_factory=OrderedDict)

    def subscription(self) -> Subscription:
        return Subscription(
            durable="tracker",
            listens=tuple(cls for cls in EVENTS if cls not in NOT_OF_TASKS),
            handle=self.handle,
            concurrency=128,
            is_projection=True,
            sees_unknown=True,
        )

    async def handle(self, event: Event, envelope: Envelope) -> None:
        """Write the event into its task's record; events that wait at the same time go in one write.

        Raises:
            BusError: the bucket can't be read or written; the event is tried again.
        """
        task = self._open.setdefault(envelope.task_id, _Open())
        self._open.move_to_end(envelope.task_id)
        task.waiting.append((event, envelope))
        async with task.lock:
            if task.waiting:
                batch, task.waiting = task.waiting, []
                await self._write(envelope.task_id, task, batch)
        while len(self._open) > CACHED_MAX:
            self._open.popitem(last=False)

    async def _write(self, task_id: str, task: _Open, batch: list[tuple[Event, Envelope]]) -> None:
        bucket = tasks_bucket(self.bus)
        for _ in range(CONFLICTS_MAX):
            if task.known is None:
                task.known = await bucket.get(task_id) or (TaskRecord(task_id=task_id), 0)
            record, revision = task.known
            if not revision and all(isinstance(event, CostRecorded) for event, _ in batch):
                return  # somebody's account, no task of ours; the sum comes again with the task's next call
            for event, envelope in batch:
                record = apply(record, event, envelope)
            if record == task.known[0]:
                return
            try:
                task.known = record, await bucket.update(task_id, record, revision)
                return
            except ConflictError:
                task.known = None  # another tracker wrote; read what it knows and add ours
        raise ConflictError(f"task {task_id}: lost {CONFLICTS_MAX} times in a row against other trackers")


def apply(record: TaskRecord, event: Event, envelope: Envelope) -> TaskRecord:
    """Core: the record with one event more. Idempotent and independent of the order of events."""
    changes: dict[str, object] = {"updated_seq": max(record.updated_seq, envelope.seq)}
    state = TaskState.RUNNING
    match event:
        case ReviewRequested(name=name):
            state = TaskState.QUEUED
            changes |= {"kind": tag_of(event), "name": name or record.name}
            changes |= {"created_at": envelope.time, "owner": envelope.source}
        case ReviewPlanned(assignments=assignments, name=name):
            changes |= {"steps": len(assignments), "name": name or record.name}
        case ReviewFindings():
            changes |= _step_done(record, envelope.causation_id, event.agent)
        case ReviewCompleted(report=report):
            state = TaskState.COMPLETED
            changes |= {
                "finished_at": envelope.time,
                "result_subject": envelope.subject,
                "findings": len(report.findings),
                "cost_nusd": max(record.cost_nusd, report.cost_nusd),
            }
        case NegotiationRequested() | NegotiationOpened() | PositionStated() | NegotiationProposed():
            state, more = _negotiating(record, event, envelope)
            changes |= more
        case NegotiationAgreed() | NegotiationNoDeal() | NegotiationVetoed() | NegotiationExpired():
            state = TaskState.COMPLETED
            changes |= {
                "finished_at": envelope.time,
                "result_subject": envelope.subject,
                "reason": _ending(event),
            }
        case ApprovalRequested() if envelope.id == envelope.task_id:
            changes |= {"kind": tag_of(event), "name": event.title}
            changes |= {"created_at": envelope.time, "owner": envelope.source}
        case ApprovalDecided() | ApprovalExpired() | ApprovalWithdrawn() if _is_own_task(event, envelope):
            state = TaskState.COMPLETED
            changes |= {
                "finished_at": envelope.time,
                "result_subject": envelope.subject,
                "reason": _ending(event),
            }
        case CostRecorded(task_spent_nusd=spent):
            state = TaskState.QUEUED  # money says nothing about where the task stands
            changes |= {"cost_nusd": max(record.cost_nusd, spent)}
        case TaskCancelled(by=by, reason=reason):
            state = TaskState.CANCELLED
            changes |= _ended(
                record, envelope, f"cancelled by {by or 'somebody'}{': ' + reason if reason else ''}"
            )
        case TaskExpired(event_type=tag, agent=agent, event_id=step):
            if tag not in SCATTERED:
                state = TaskState.EXPIRED
                changes |= _ended(record, envelope, f"{agent} had no time left before the deadline")
            else:
                changes |= _step_failed(record, step)
        case TaskStepFailed(event_type=tag, agent=agent, reason=reason, event_id=step):
            if tag not in SCATTERED:
                state = TaskState.FAILED
                changes |= _ended(record, envelope, f"{agent}: {reason}")
            else:
                changes |= _step_failed(record, step)
        case _:
            pass
    if _STAGES[state] > _STAGES[record.state]:
        changes["state"] = state
    return msgspec.structs.replace(record, **changes)


def _negotiating(
    record: TaskRecord,
    event: NegotiationRequested | NegotiationOpened | PositionStated | NegotiationProposed,
    envelope: Envelope,
) -> tuple[TaskState, dict[str, object]]:
    match event:
        case NegotiationRequested(goal=goal):
            started: dict[str, object] = {"kind": tag_of(event), "name": goal}
            return TaskState.QUEUED, started | {"created_at": envelope.time, "owner": envelope.source}
        case NegotiationOpened(asked=asked):
            return TaskState.RUNNING, {"steps": len(asked)}
        case PositionStated(agent=agent):
            return TaskState.RUNNING, _step_done(record, envelope.causation_id, agent)
        case NegotiationProposed(approval_reasons=reasons):
            waits = reasons and not record.state.is_final
            return TaskState.RUNNING, {"reason": "waits for approval"} if waits else {}


def _is_own_task(event: ApprovalDecided | ApprovalExpired | ApprovalWithdrawn, envelope: Envelope) -> bool:
    """Whether the approval is all that the task is about: asked for by the command that started it."""
    return event.approval_id == envelope.task_id


def _ending(event: Event) -> str:
    match event:
        case NegotiationAgreed(by=by):
            return f"agreed, approved by {', '.join(by)}" if by else "agreed"
        case NegotiationVetoed(by=by):
            return f"vetoed by {by}"
        case NegotiationExpired(why=why) | ApprovalWithdrawn(why=why):
            return why
        case NegotiationNoDeal(reason=reason):
            return f"no deal: {reason}"
        case ApprovalDecided(state=state, votes=votes):
            return f"{state} by {', '.join(vote.by for vote in votes)}"
        case ApprovalExpired(deadline=deadline):
            return f"nobody decided by {deadline}"
        case _:
            return ""


def _step_done(record: TaskRecord, step: str, agent: str) -> dict[str, object]:
    done = _with(record.done_ids, step)
    failed = tuple(known for known in record.failed_ids if known != step)
    return {
        "done_ids": done,
        "failed_ids": failed,
        "steps_done": len(done),
        "steps_failed": len(failed),
        "agents": tuple(sorted({*record.agents, agent})),
    }


def _step_failed(record: TaskRecord, step: str) -> dict[str, object]:
    if step in record.done_ids:
        return {}
    failed = _with(record.failed_ids, step)
    return {"failed_ids": failed, "steps_failed": len(failed)}


def _with(ids: tuple[str, ...], step: str) -> tuple[str, ...]:
    return ids if step in ids or len(ids) >= STEP_IDS_MAX else tuple(sorted((*ids, step)))


def _ended(record: TaskRecord, envelope: Envelope, reason: str) -> dict[str, object]:
    return {} if record.state.is_final else {"finished_at": envelope.time, "reason": reason}
