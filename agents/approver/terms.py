"""Terms: under which conditions an approval is given, and the approval that is opened under them."""

from dataclasses import dataclass
from typing import Final

from agents.approver.people import People
from bus import DecodeError
from bus.envelope import Envelope, parse_time, time_text
from schemas.approval import APPROVERS_MAX, Approval, ApprovalRequested

DEADLINE_S_MAX: Final = 31 * 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What the policy says of one kind of side effect.

    Attributes:
        approvers: names of people or identities; empty: nobody may approve.
        quorum: how many must say yes.
        deadline_s: seconds from the opening; at most `DEADLINE_S_MAX`.
        warn_before_s: seconds before the deadline; 0: nobody is reminded.
    """

    approvers: tuple[str, ...]
    quorum: int = 1
    deadline_s: float = 86_400.0
    warn_before_s: float = 0.0
    policy_version: str = ""


def opened(
    request: ApprovalRequested, envelope: Envelope, terms: Terms, people: People, now_s: float
) -> Approval:
    """Core: the approval, open. A request may ask for more people and less time than the policy, never otherwise.

    Raises:
        ValueError: under these terms nobody could ever approve it, or its deadline is none.
    """
    quorum = max(1, terms.quorum, request.quorum)
    persons = {people.person(entry) for entry in terms.approvers}
    if len(terms.approvers) > APPROVERS_MAX:
        raise ValueError(
            f"{len(terms.approvers)} approvers of {request.kind!r} are more than the {APPROVERS_MAX} allowed"
        )
    if persons and quorum > len(persons):
        raise ValueError(
            f"{quorum} people must approve {request.kind!r}, and the policy lists {len(persons)}: "
            "list more approvers, or ask for fewer"
        )
    deadline_s = now_s + min(max(0.0, terms.deadline_s), DEADLINE_S_MAX)
    for asked in (request.deadline, envelope.deadline):  # what comes after the task's is heard by nobody
        if asked:
            deadline_s = min(deadline_s, parse_time(asked))
    warn_s = deadline_s - terms.warn_before_s
    return Approval(
        approval_id=envelope.id,
        task_id=envelope.task_id,
        request=request,
        requested_by=envelope.source,
        requested_at=_asked_at(envelope, now_s),
        policy_version=terms.policy_version,
        approvers=tuple(dict.fromkeys(terms.approvers)),
        quorum=quorum,
        opened_at=time_text(now_s),
        deadline=time_text(deadline_s),
        warn_at=time_text(warn_s) if terms.warn_before_s > 0 and warn_s > now_s else "",
        why="" if persons else "nobody is on the list of approvers: nobody can approve this",
    )


def _asked_at(envelope: Envelope, now_s: float) -> str:
    """In our own notation, in which texts sort like times; a foreign publisher may say nothing, or anything."""
    try:
        return time_text(min(now_s, parse_time(envelope.time)))
    except (DecodeError, ValueError, OverflowError):
        return time_text(now_s)
