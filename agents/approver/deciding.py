"""What becomes of a person's word: the core of the approver, without await, clock or randomness.

The order is always the same: has the time run out, may this person speak, was this very word heard before, is it
still open, was what the person saw what is to be approved; only then it counts.
"""

from typing import Final, NamedTuple

import msgspec

from agents.approver.people import People, is_identity
from agents.approver.words import CHANGED, STRANGER, ending, standing, vote_words
from bus.envelope import parse_time, time_text
from schemas.approval import (
    VOTES_MAX,
    Approval,
    ApprovalState,
    Ballot,
    DecideOutcome,
    DecideRequest,
    Delegation,
    Vote,
)

TICK_S: Final = 1e-6
"""Between two words on one approval, at least: their times say in which order they came."""


class Decision(NamedTuple):
    """The approval afterwards, what became of the word, and what its giver is told."""

    approval: Approval
    outcome: DecideOutcome
    message: str


class Right(NamedTuple):
    """To vote: `by` as on the list, or as delegate `on_behalf_of` somebody on it."""

    by: str
    on_behalf_of: str = ""


def decide(approval: Approval, request: DecideRequest, people: People, now_s: float) -> Decision:
    """A person's word on an approval.

    Args:
        now_s: seconds since 1970.
    """
    approval = lapsed(approval, now_s)
    right = right_of(approval, request.identity, people)
    if right is None:
        return Decision(approval, DecideOutcome.NOT_ALLOWED, STRANGER)
    for vote in approval.votes:
        if vote.vote_id == request.vote_id and vote.identity == request.identity:
            return Decision(approval, DecideOutcome.REPEATED, _counted(approval, now_s))
    if not approval.is_open:
        is_expired = approval.state is ApprovalState.EXPIRED
        outcome = DecideOutcome.EXPIRED if is_expired else DecideOutcome.TOO_LATE
        return Decision(approval, outcome, ending(approval, now_s))
    if approval.request.digest != request.digest:
        return Decision(approval, DecideOutcome.CHANGED, CHANGED)
    if request.action == "delegate":
        return _delegate(approval, request, right, people, now_s)
    return _vote(approval, request, right, people, now_s)


def lapsed(approval: Approval, now_s: float) -> Approval:
    """The approval at this time: expired at its deadline and after it, if nobody decided before."""
    if not approval.is_open or now_s < parse_time(approval.deadline):
        return approval
    why = standing(approval) if approval.approvers else "nobody was on the list of approvers"
    return msgspec.structs.replace(
        approval, state=ApprovalState.EXPIRED, decided_at=approval.deadline, why=why
    )


def withdrawn(approval: Approval, why: str, now_s: float) -> Approval:
    """The approval, not wanted any more; one that is decided stays as it is."""
    approval = lapsed(approval, now_s)
    if not approval.is_open:
        return approval
    return msgspec.structs.replace(
        approval, state=ApprovalState.WITHDRAWN, decided_at=_next_at(approval, now_s), why=why
    )


def right_of(approval: Approval, identity: str, people: People) -> Right | None:
    """By what right somebody may vote; None for a stranger, who is told nothing."""
    if not is_identity(identity):
        return None  # only services that have made sure who it is say an identity; a name says nothing
    for entry in approval.approvers:
        if people.are_same(entry, identity):
            return Right(entry)
    for who, to in _delegates(approval).items():
        if people.are_same(to, identity):
            return Right(to, who)
    return None


def _vote(approval: Approval, request: DecideRequest, right: Right, people: People, now_s: float) -> Decision:
    ballot = Ballot(request.action)
    for vote in approval.votes:
        if (vote.on_behalf_of or vote.by) != (right.on_behalf_of or right.by):
            continue
        if vote.by != right.by:
            return Decision(approval, DecideOutcome.TOO_LATE, f"the right is used: {vote_words(vote, now_s)}")
        if vote.ballot is ballot:
            return Decision(approval, DecideOutcome.REPEATED, _counted(approval, now_s))
        # A yes may still become a no: that is the safe way, and one no decides.
    vote = Vote(
        by=right.by,
        identity=request.identity,
        ballot=ballot,
        at=_next_at(approval, now_s),
        vote_id=request.vote_id,
        on_behalf_of=right.on_behalf_of,
        note=request.note,
        via=request.via,
    )
    approval = msgspec.structs.replace(approval, votes=(*approval.votes, vote))
    if ballot is Ballot.VETO:
        approval = msgspec.structs.replace(approval, state=ApprovalState.VETOED, decided_at=vote.at)
    elif _people_for(approval, people) >= approval.quorum:
        approval = msgspec.structs.replace(approval, state=ApprovalState.APPROVED, decided_at=vote.at)
    return Decision(approval, DecideOutcome.COUNTED, _counted(approval, now_s))


def _delegate(
    approval: Approval, request: DecideRequest, right: Right, people: People, now_s: float
) -> Decision:
    if _delegates(approval).get(right.by) == request.to and not right.on_behalf_of:
        return Decision(approval, DecideOutcome.REPEATED, f"{request.to} may vote for {right.by}")
    if refusal := _why_not(approval, request.to, right, people, now_s):
        return Decision(approval, DecideOutcome.NOT_ALLOWED, refusal)
    handed = Delegation(
        who=right.by,
        to=request.to,
        at=_next_at(approval, now_s),
        identity=request.identity,
        via=request.via,
    )
    approval = msgspec.structs.replace(approval, delegations=(*approval.delegations, handed))
    return Decision(
        approval,
        DecideOutcome.COUNTED,
        f"{handed.to} may vote for {handed.who} from now on: who of both speaks first counts",
    )


def _why_not(approval: Approval, to: str, right: Right, people: People, now_s: float) -> str:
    """Why a right can't be handed on to `to`; empty when it can."""
    if right.on_behalf_of:
        return f"{right.on_behalf_of} handed this right on to you: it can't be handed on once more"
    if used := next((vote for vote in approval.votes if right.by in (vote.by, vote.on_behalf_of)), None):
        return f"the right is used: {vote_words(used, now_s)}"
    if not people.knows(to):
        return f"nobody is called {to!r}: say a name of the approval policy, or an identity as cli:alice"
    if any(people.are_same(entry, to) for entry in approval.approvers):
        return f"{to} is on the list of approvers already, and has one vote"
    for who, other in _delegates(approval).items():
        if who != right.by and people.are_same(other, to):
            return f"{to} votes for {who} already, and has one vote"
    if len(approval.delegations) >= VOTES_MAX:
        return f"rights on this approval were handed on {VOTES_MAX} times: no more"
    return ""


def _delegates(approval: Approval) -> dict[str, str]:
    """Who handed the right on, and to whom last."""
    return {delegation.who: delegation.to for delegation in approval.delegations}


def _people_for(approval: Approval, people: People) -> int:
    """How many different people have said yes, whatever they are called."""
    return len({people.person(vote.identity) for vote in approval.votes if vote.ballot is Ballot.APPROVE})


def _counted(approval: Approval, now_s: float) -> str:
    return ending(approval, now_s) if not approval.is_open else f"counted: {standing(approval)}"


def _next_at(approval: Approval, now_s: float) -> str:
    """Now, and later than every word before it, whatever the clocks of several machines say."""
    words = [*(vote.at for vote in approval.votes), *(handed.at for handed in approval.delegations)]
    latest_s = max((parse_time(at) for at in words), default=0.0)
    return time_text(max(now_s, latest_s + TICK_S))
