"""What the bus and the audit log are to know of an approval, in the order in which it happened.

The list only ever grows, so a number (`Approval.told`) says how far it was told; and every line has an id of its
own that follows from the approval, so telling it twice tells it once.
"""

from dataclasses import dataclass
from typing import Final

from schemas.approval import (
    Approval,
    ApprovalDecided,
    ApprovalExpired,
    ApprovalExpiring,
    ApprovalState,
    ApprovalVoted,
    ApprovalWithdrawn,
    AuditEntry,
    Ballot,
    DecideOutcome,
    Delegation,
    Vote,
)
from schemas.event import Event
from schemas.ids import derive_id

OURSELVES: Final = "approver"
DONE: Final = "done"


@dataclass(frozen=True, slots=True, kw_only=True)
class Telling:
    """One thing to tell: a line of the audit log under `audit_id`, and perhaps an event under `event_id`."""

    entry: AuditEntry
    audit_id: str
    event: Event | None = None
    event_id: str = ""


def tellings(approval: Approval) -> tuple[Telling, ...]:
    """Core: everything that happened to the approval up to now."""
    said: list[Vote | Delegation] = [*approval.votes, *approval.delegations]
    said.sort(key=lambda one: one.at)
    out = [_opening(approval)]
    yes = 0
    for index, one in enumerate(said):
        is_last = index == len(said) - 1
        yes += isinstance(one, Vote) and one.ballot is Ballot.APPROVE
        decides = is_last and approval.state in (ApprovalState.APPROVED, ApprovalState.VETOED)
        out.append(_word(approval, one, index, missing=max(0, approval.quorum - yes), decides=decides))
    if not approval.is_open:
        out.append(_ending(approval))
    return tuple(out)


def expiring(approval: Approval, left_s: float) -> tuple[ApprovalExpiring, str]:
    """Core: the reminder and its id."""
    event = ApprovalExpiring(
        approval_id=approval.approval_id, deadline=approval.deadline, left_s=round(max(0.0, left_s), 3)
    )
    return event, f"{_root(approval)}-expiring"


def _opening(approval: Approval) -> Telling:
    request = approval.request
    entry = AuditEntry(
        at=approval.opened_at,
        what="approval.open",
        identity=approval.requested_by or OURSELVES,
        outcome=DONE,
        subject=approval.approval_id,
        task_id=approval.task_id,
        digest=request.digest,
        detail=f"{request.kind}: {request.title}; {approval.quorum} of {len(approval.approvers)} until "
        f"{approval.deadline}, policy {approval.policy_version or '-'}",
    )
    return Telling(entry=entry, audit_id=f"{_root(approval)}-opened")


def _word(approval: Approval, said: Vote | Delegation, index: int, *, missing: int, decides: bool) -> Telling:
    if isinstance(said, Vote):
        by, action = said.by, str(said.ballot)
        behalf = f"for {said.on_behalf_of}" if said.on_behalf_of else ""
        detail = ": ".join(filter(None, (f"{by} {behalf}".strip(), said.note)))
    else:
        by, action, detail = said.who, "delegate", f"{said.who} to {said.to}"
    entry = AuditEntry(
        at=said.at,
        what=f"approval.{action}",
        identity=said.identity,
        outcome=DecideOutcome.COUNTED,
        subject=approval.approval_id,
        task_id=approval.task_id,
        via=said.via,
        digest=approval.request.digest,
        detail=detail,
    )
    audit_id = f"{_root(approval)}-said-{index}"
    if decides:  # the ending says it
        return Telling(entry=entry, audit_id=audit_id)
    event = ApprovalVoted(approval_id=approval.approval_id, by=by, missing=missing)
    return Telling(entry=entry, audit_id=audit_id, event=event, event_id=f"{_root(approval)}-voted-{index}")


def _ending(approval: Approval) -> Telling:
    entry = AuditEntry(
        at=approval.decided_at,
        what=f"approval.{approval.state}",
        identity=OURSELVES,
        outcome=DONE,
        subject=approval.approval_id,
        task_id=approval.task_id,
        digest=approval.request.digest,
        detail=approval.why or ", ".join(vote.identity for vote in approval.votes),
    )
    return Telling(
        entry=entry,
        audit_id=f"{_root(approval)}-ended",
        event=_final(approval),
        event_id=f"{_root(approval)}-final",  # of whatever type: there is room for one on the bus
    )


def _final(approval: Approval) -> Event:
    request = approval.request
    match approval.state:
        case ApprovalState.EXPIRED:
            return ApprovalExpired(
                approval_id=approval.approval_id,
                kind=request.kind,
                digest=request.digest,
                deadline=approval.deadline,
                about=request.about,
            )
        case ApprovalState.WITHDRAWN:
            return ApprovalWithdrawn(
                approval_id=approval.approval_id,
                kind=request.kind,
                digest=request.digest,
                why=approval.why,
                about=request.about,
            )
        case _:
            return ApprovalDecided(
                approval_id=approval.approval_id,
                kind=request.kind,
                digest=request.digest,
                state=approval.state,
                votes=approval.votes,
                policy_version=approval.policy_version,
                about=request.about,
            )


def _root(approval: Approval) -> str:
    return derive_id(f"{approval.task_id}.{approval.approval_id}", OURSELVES)
