"""Following a task from its events until it has ended."""

from collections.abc import AsyncGenerator

from bus import Bus, Envelope
from schemas.approval import ApprovalDecided, ApprovalExpired, ApprovalWithdrawn
from schemas.event import Event
from schemas.negotiation import (
    NegotiationAgreed,
    NegotiationExpired,
    NegotiationNoDeal,
    NegotiationVetoed,
)
from schemas.registry import SCATTERED
from schemas.review import ReviewCompleted
from schemas.task import TaskCancelled, TaskExpired, TaskState, TaskStepFailed


def ended(event: Event, task_id: str = "") -> tuple[TaskState, str] | None:
    """The state in which this event leaves its task, with the reason; None when the task goes on.

    Args:
        task_id: of the task, for one that is nothing but an approval.
    """
    match event:
        case (
            ReviewCompleted()
            | NegotiationAgreed()
            | NegotiationNoDeal()
            | NegotiationVetoed()
            | NegotiationExpired()
        ):
            return TaskState.COMPLETED, ""
        case ApprovalDecided() | ApprovalExpired() | ApprovalWithdrawn() if event.approval_id == task_id:
            return TaskState.COMPLETED, ""
        case TaskCancelled(by=by, reason=reason):
            return TaskState.CANCELLED, f"cancelled by {by or 'somebody'}{': ' + reason if reason else ''}"
        case TaskExpired(event_type=tag, agent=agent) if tag not in SCATTERED:
            return TaskState.EXPIRED, f"{agent} had no time left before the deadline"
        case TaskStepFailed(event_type=tag, agent=agent, reason=reason) if tag not in SCATTERED:
            return TaskState.FAILED, f"{agent}: {reason}"
        case _:
            return None


async def follow(bus: Bus, task_id: str) -> AsyncGenerator[tuple[Event, Envelope]]:
    """Everything of the task up to the event that ends it."""
    events = bus.events(task_id)
    try:
        async for event, envelope in events:
            yield event, envelope
            if ended(event, task_id):
                return
    finally:
        await events.aclose()
