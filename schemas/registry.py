"""Every event type that this version knows, by tag."""

from typing import Final

from schemas.approval import (
    ApprovalDecided,
    ApprovalExpired,
    ApprovalExpiring,
    ApprovalOpened,
    ApprovalRequested,
    ApprovalVoted,
    ApprovalWithdrawn,
)
from schemas.cost import CostRecorded, CostThresholdCrossed
from schemas.event import Event, is_tag, tag_of
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
from schemas.review import (
    ReviewAssigned,
    ReviewCompleted,
    ReviewFindings,
    ReviewPassAssigned,
    ReviewPlanned,
    ReviewRequested,
)
from schemas.task import HandledMark, TaskCancelled, TaskExpired, TaskStepFailed

EVENTS: Final[tuple[type[Event], ...]] = (
    ReviewRequested,
    ReviewPlanned,
    ReviewAssigned,
    ReviewPassAssigned,
    ReviewFindings,
    ReviewCompleted,
    NegotiationRequested,
    NegotiationOpened,
    PositionAsked,
    PositionStated,
    NegotiationProposed,
    NegotiationAgreed,
    NegotiationVetoed,
    NegotiationExpired,
    NegotiationNoDeal,
    ApprovalRequested,
    ApprovalOpened,
    ApprovalVoted,
    ApprovalExpiring,
    ApprovalDecided,
    ApprovalExpired,
    ApprovalWithdrawn,
    TaskCancelled,
    TaskExpired,
    TaskStepFailed,
    CostRecorded,
    CostThresholdCrossed,
    HandledMark,
)

BY_TAG: Final[dict[str, type[Event]]] = {tag_of(cls): cls for cls in EVENTS}

if len(BY_TAG) != len(EVENTS) or not all(map(is_tag, BY_TAG)):
    raise TypeError(f"event tags must be unique and of the form domain.fact.vN: {sorted(BY_TAG)}")

STARTS_TASK: Final[frozenset[str]] = frozenset(
    tag_of(command) for command in (ReviewRequested, NegotiationRequested, ApprovalRequested)
)
"""Commands that people and services send to start a task; everything else follows from one of them."""

SCATTERED: Final[frozenset[str]] = frozenset(
    tag_of(step) for step in (ReviewAssigned, ReviewPassAssigned, PositionAsked)
)
"""Steps of a scatter: a task goes on without one of them, and says so at its end. When any other step is given
up, the task has failed."""
