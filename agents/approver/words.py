"""What people are told, in one line."""

from datetime import UTC, datetime
from typing import Final

from bus.envelope import parse_time
from schemas.approval import Approval, ApprovalState, Ballot, Vote

STRANGER: Final = "you are not on the list of people who may decide this; the approval policy says who may"
UNKNOWN: Final = "there is no such approval; perhaps it was decided long ago"
CHANGED: Final = "what is to be approved is not what you were shown: look at it again and decide then"

_WAYS: Final = {"slack": "by Slack", "cli": "at the command line", "http": "over HTTP", "key": "over HTTP"}


def ending(approval: Approval, now_s: float) -> str:
    """How it ended: by whom, when, and by which way, or why."""
    at = moment(approval.decided_at, now_s)
    match approval.state:
        case ApprovalState.APPROVED | ApprovalState.VETOED:
            wanted = Ballot.APPROVE if approval.state is ApprovalState.APPROVED else Ballot.VETO
            votes = [vote for vote in approval.votes if vote.ballot is wanted]
            names = _and([name_of(vote) for vote in votes])
            return f"{names} {approval.state} this at {at} {_way(votes[-1])}".rstrip()
        case ApprovalState.EXPIRED:
            return f"this expired at {at}: {approval.why}"
        case ApprovalState.WITHDRAWN:
            return f"this was withdrawn at {at}: {approval.why}"
        case _:
            return standing(approval)


def standing(approval: Approval) -> str:
    """How far an open approval is."""
    said_yes = approval.quorum - approval.missing
    return f"{said_yes} of {approval.quorum} needed have said yes"


def name_of(vote: Vote) -> str:
    return f"{vote.by} (for {vote.on_behalf_of})" if vote.on_behalf_of else vote.by


def vote_words(vote: Vote, now_s: float) -> str:
    """Such as `alice approved this at 12:03 UTC by Slack`."""
    said = "approved" if vote.ballot is Ballot.APPROVE else "vetoed"
    return f"{name_of(vote)} {said} this at {moment(vote.at, now_s)} {_way(vote)}".rstrip()


def moment(at: str, now_s: float) -> str:
    """`12:03 UTC`, with the day if it is another one than today's."""
    if not at:
        return "an unknown time"
    when, now = datetime.fromtimestamp(parse_time(at), UTC), datetime.fromtimestamp(now_s, UTC)
    day = "" if when.date() == now.date() else f"{when:%Y-%m-%d} "
    return f"{day}{when:%H:%M} UTC"


def _way(vote: Vote) -> str:
    return _WAYS.get(vote.via) or _WAYS.get(vote.identity.partition(":")[0], "")


def _and(names: list[str]) -> str:
    return " and ".join(filter(None, (", ".join(names[:-1]), *names[-1:])))
