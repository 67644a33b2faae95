"""Tasks: what any task can meet on its way, and the record that the tracker keeps of it."""

import enum
from typing import Final

import msgspec

from schemas.event import Event

PERCENT_DONE: Final = 100


class TaskCancelled(Event, frozen=True, kw_only=True, tag="task.cancelled.v1"):
    """Somebody called the task off: what is queued is dropped, what runs is stopped."""

    by: str = ""
    reason: str = ""


class TaskExpired(Event, frozen=True, kw_only=True, tag="task.expired.v1"):
    """A step was dropped because its deadline had passed, before or while it ran."""

    agent: str
    event_type: str
    event_id: str
    deadline: str
    late_s: float = 0.0


class TaskStepFailed(Event, frozen=True, kw_only=True, tag="task.step_failed.v1"):
    """A step was given up; its event lies among the dead letters and can be replayed."""

    agent: str
    event_type: str
    event_id: str
    reason: str
    attempts: int = 1


class HandledMark(Event, frozen=True, kw_only=True, tag="bus.handled.v1"):
    """The small mark left by a handler that emits nothing; it expires by itself."""


class TaskState(enum.StrEnum):
    """Where a task stands. Of two reports the later stage wins; the last four are final."""

    QUEUED = "queued"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    EXPIRED = "expired"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        return self not in (TaskState.QUEUED, TaskState.RUNNING)


class TaskRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What `labverse status` knows of one task; kept in the KV bucket `TASKS` under the task id.

    Attributes:
        steps: assignments planned; 0 until the plan is known.
        steps_done, steps_failed: assignments answered; given up.
        cost_nusd: money settled on the task, in nano-USD.
        result_subject: the address of the event that completed the task, empty until then.
        owner: who asked for it, as its command's source says.
        updated_seq: stream sequence of the newest event in this record.
    """

    task_id: str
    kind: str = ""
    name: str = ""
    state: TaskState = TaskState.QUEUED
    steps: int = 0
    steps_done: int = 0
    steps_failed: int = 0
    findings: int = 0
    cost_nusd: int = 0
    created_at: str = ""
    finished_at: str = ""
    reason: str = ""
    result_subject: str = ""
    owner: str = ""
    agents: tuple[str, ...] = ()
    done_ids: tuple[str, ...] = ()
    failed_ids: tuple[str, ...] = ()
    updated_seq: int = 0

    @property
    def percent(self) -> int:
        if self.state is TaskState.COMPLETED:
            return PERCENT_DONE
        return PERCENT_DONE * (self.steps_done + self.steps_failed) // self.steps if self.steps else 0
