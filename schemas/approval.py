"""Approvals: a person's yes or no before a side effect, whatever agent it is that waits for it.

Somebody asks (`approval.requested`); the approver opens the approval under the policy's terms (`approval.opened`);
people vote by `approval.decide`, from Slack, HTTP or the command line; one outcome wins, once
(`approval.decided`, or `approval.expired`, or `approval.withdrawn`). What is approved is bound by its digest: who
acts on a decision compares it with the digest of what it is about to do.

An approval's id is the event id of its request. The record stands in the KV bucket `APPROVALS` under that id.
"""

import enum
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from schemas.cost import Nusd
from schemas.event import Event
from schemas.llm import Token

TITLE_CHARS_MAX: Final = 150
TEXT_CHARS_MAX: Final = 2_000
NOTE_CHARS_MAX: Final = 500
FACTS_MAX: Final = 20
APPROVERS_MAX: Final = 50
APPROVALS_BUCKET: Final = "APPROVALS"
"""Where the records stand, for who reads them beside the approver."""
VOTES_MAX: Final = 100

Digest = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$")]
"""SHA-256, in hexadecimal."""
Title = Annotated[str, Meta(min_length=1, max_length=TITLE_CHARS_MAX)]
Note = Annotated[str, Meta(max_length=NOTE_CHARS_MAX)]


class Fact(msgspec.Struct, frozen=True, kw_only=True):
    """One line of what is approved, such as `Pays` and `$120.00 to TikTok`."""

    label: Title
    value: Annotated[str, Meta(max_length=NOTE_CHARS_MAX)]


class ApprovalRequested(Event, frozen=True, kw_only=True, tag="approval.requested.v1"):
    """An agent or a service wants a yes before it acts.

    Attributes:
        kind: of side effect, such as `deal` or `post`: names the rule of the policy.
        digest: of what is approved, exactly as it will be done.
        cost_nusd: most that saying yes may cost; None when it costs nothing.
        about: what the approval is about; a newer request about the same withdraws the open one. Empty: nothing.
        quorum: how many must say yes, if more than the policy wants.
        deadline: RFC 3339 in UTC, if sooner than the policy's.
        reasons: why the policy wants a person here.
    """

    kind: Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_-]{0,31}$")]
    title: Title
    digest: Digest
    facts: Annotated[tuple[Fact, ...], Meta(max_length=FACTS_MAX)] = ()
    text: Annotated[str, Meta(max_length=TEXT_CHARS_MAX)] = ""
    cost_nusd: Nusd | None = None
    about: Token = ""
    quorum: Annotated[int, Meta(ge=0, le=APPROVERS_MAX)] = 0
    deadline: str = ""
    reasons: Annotated[tuple[Note, ...], Meta(max_length=FACTS_MAX)] = ()


class ApprovalState(enum.StrEnum):
    """Where an approval stands; all but the first are final."""

    PENDING = "pending"
    APPROVED = "approved"
    VETOED = "vetoed"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"


class Ballot(enum.StrEnum):
    """What a person says."""

    APPROVE = "approve"
    VETO = "veto"


class Vote(msgspec.Struct, frozen=True, kw_only=True):
    """One person's word, counted.

    Attributes:
        by: whose word it is: the name on the list of approvers.
        identity: who gave it, such as `slack:U024BE7LH`, `cli:alice` or `key:ops`.
        on_behalf_of: whose right was used, when it had been handed on; then `by` is the delegate.
        vote_id: the same id is the same vote, sent again.
        at: RFC 3339 in UTC; grows from vote to vote of one approval.
        via: `slack`, `cli` or `http`.
    """

    by: str
    identity: str
    ballot: Ballot
    at: str
    vote_id: str
    on_behalf_of: str = ""
    note: Note = ""
    via: str = ""


class Delegation(msgspec.Struct, frozen=True, kw_only=True):
    """`who` handed the right to vote on this approval to `to` (a name of the policy, or an identity)."""

    who: str
    to: str
    at: str
    identity: str = ""
    via: str = ""


class Approval(msgspec.Struct, frozen=True, kw_only=True):
    """All that is known of one approval.

    Attributes:
        request: as it was asked.
        requested_by: the source of the request, such as `labverse/negotiator`.
        requested_at: by the clock of whoever asked; of two about the same, the later one counts.
        policy_version: under which the terms were set.
        approvers: names or identities who may decide; nobody when empty.
        quorum: how many must say yes; one veto is enough for a no.
        deadline, warn_at, opened_at, decided_at: RFC 3339 in UTC; `warn_at` empty: nobody is reminded.
        warned: whether people were reminded of the deadline.
        why: in words, for what was neither approved nor vetoed.
        told: how far the bus and the audit log know of it; for the approver alone.
    """

    approval_id: str
    task_id: str
    request: ApprovalRequested
    requested_by: str = ""
    requested_at: str = ""
    policy_version: str = ""
    approvers: tuple[str, ...] = ()
    quorum: int = 1
    opened_at: str = ""
    deadline: str = ""
    warn_at: str = ""
    state: ApprovalState = ApprovalState.PENDING
    votes: tuple[Vote, ...] = ()
    delegations: tuple[Delegation, ...] = ()
    decided_at: str = ""
    why: str = ""
    warned: bool = False
    told: int = 0

    @property
    def is_open(self) -> bool:
        return self.state is ApprovalState.PENDING

    @property
    def missing(self) -> int:
        """How many must still say yes."""
        said_yes = sum(vote.ballot is Ballot.APPROVE for vote in self.votes)
        return max(0, self.quorum - said_yes)


class ApprovalOpened(Event, frozen=True, kw_only=True, tag="approval.opened.v1"):
    """People may decide from now on."""

    approval: Approval


class ApprovalVoted(Event, frozen=True, kw_only=True, tag="approval.voted.v1"):
    """Somebody said yes, and more must; or handed the right on."""

    approval_id: str
    by: str
    missing: int = 0


class ApprovalExpiring(Event, frozen=True, kw_only=True, tag="approval.expiring.v1"):
    """The deadline is near and nobody has decided."""

    approval_id: str
    deadline: str
    left_s: float = 0.0


class ApprovalDecided(Event, frozen=True, kw_only=True, tag="approval.decided.v1"):
    """People have decided; said once.

    Attributes:
        state: `approved` or `vetoed`.
    """

    approval_id: str
    kind: str
    digest: Digest
    state: ApprovalState
    votes: tuple[Vote, ...] = ()
    policy_version: str = ""
    about: str = ""

    @property
    def is_approved(self) -> bool:
        return self.state is ApprovalState.APPROVED


class ApprovalExpired(Event, frozen=True, kw_only=True, tag="approval.expired.v1"):
    """The deadline passed before enough had said yes."""

    approval_id: str
    kind: str
    digest: Digest
    deadline: str
    about: str = ""


class ApprovalWithdrawn(Event, frozen=True, kw_only=True, tag="approval.withdrawn.v1"):
    """What was asked is not wanted any more: a newer request took its place, or its task was cancelled."""

    approval_id: str
    kind: str
    digest: Digest
    why: str
    about: str = ""


class DecideRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A person's word (service `approval.decide`).

    Attributes:
        digest: of what the person saw.
        identity: who it is, as whoever asks has made sure: `slack:…`, `cli:…` or `key:…`.
        action: `approve`, `veto`, or `delegate` to hand one's right on to `to`.
        to: of `delegate`: a name of the policy, or an identity.
        via: `slack`, `cli` or `http`.
        vote_id: of this click or call; sent again it counts once.
    """

    approval_id: Token
    digest: Digest
    identity: Annotated[str, Meta(min_length=1, max_length=128)]
    action: Literal["approve", "veto", "delegate"]
    vote_id: Annotated[str, Meta(min_length=1, max_length=128)]
    via: Token = ""
    to: Annotated[str, Meta(max_length=128)] = ""
    note: Note = ""


class DecideOutcome(enum.StrEnum):
    """What became of a person's word."""

    COUNTED = "counted"
    """And with it the approval may be decided: see its state."""
    REPEATED = "repeated"
    """The same word again: it had been counted."""
    TOO_LATE = "too_late"
    """Somebody else decided first, or it was withdrawn."""
    EXPIRED = "expired"
    NOT_ALLOWED = "not_allowed"
    CHANGED = "changed"
    """The digest is not that of what is to be approved: it changed since it was shown."""
    UNKNOWN = "unknown"
    """There is no such approval."""


class DecideReply(msgspec.Struct, frozen=True, kw_only=True):
    """`message`: for the person, in one line, with who decided; `approval` only for those who may know of it."""

    outcome: DecideOutcome
    message: str
    approval: Approval | None = None


class AuditEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the audit log (stream `AUDIT`): who tried or did what, and what came of it.

    Attributes:
        at: RFC 3339 in UTC.
        what: such as `approval.approve` or `negotiations.stop`.
        subject: on what: an approval's id, a switch's name.
        outcome: as `DecideOutcome`, or `done`.
    """

    at: str
    what: str
    identity: str
    outcome: str
    subject: str = ""
    task_id: str = ""
    via: str = ""
    digest: str = ""
    detail: str = ""
