"""Negotiations: platforms state positions, the solver finds the deal, policy or a person lets it through.

`negotiation.requested` → `negotiation.opened` and one `negotiation.position_asked` for each party →
`negotiation.position_stated` by each → `negotiation.proposed` → perhaps an approval → `negotiation.agreed`, `.vetoed`
or `.expired`; or `negotiation.no_deal`.

Money is integer nano-USD where it is reserved or paid; utilities are US dollars that a party expects.
"""

from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from schemas.approval import Digest, Note
from schemas.cost import Nusd
from schemas.deal import Certificate, Deal, NoDeal
from schemas.event import Event
from schemas.llm import NUSD_PER_USD
from schemas.review import Models

GOAL_CHARS_MAX: Final = 500
PARTIES_MAX: Final = 12
ISSUES_MAX: Final = 16
ISSUE_VALUES_MAX: Final = 2_000
SCENARIOS_MAX: Final = 64
WORDS_CHARS_MAX: Final = 4_000
BUDGET_NUSD: Final = 1_000 * NUSD_PER_USD
HOUSE: Final = "house"
"""The party whose content it is and who pays: ourselves."""

NoDealKind = Literal["no_deal", "silent", "gate", "stopped", "refused"]
PartyName = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_-]{0,31}$")]
Share = Annotated[float, Meta(ge=0, le=1)]


class IssueStated(msgspec.Struct, frozen=True, kw_only=True):
    """One thing to agree on; `divisible`: parties can share it out or take turns."""

    name: Annotated[str, Meta(min_length=1, max_length=64)]
    values: Annotated[
        tuple[Annotated[str, Meta(min_length=1, max_length=200)], ...],
        Meta(min_length=1, max_length=ISSUE_VALUES_MAX),
    ]
    divisible: bool = False


class NegotiationRequested(Event, frozen=True, kw_only=True, tag="negotiation.requested.v1"):
    """Find a deal between platforms and ourselves.

    Attributes:
        budget_nusd: most that we pay all platforms together.
        concept, regret, risk_aversion: as `labverse negotiate` explains them.
        position_s: seconds that parties have to state their positions.
        on_silence: without a party's position: go on without it, or agree on nothing.
        models: which models may word positions and propose; numbers come from rate cards alone.
        cycle: which cycle of which programme this is; empty for a single negotiation.
        needs_approval: always ask a person, whatever the policy says.
    """

    goal: Annotated[str, Meta(min_length=1, max_length=GOAL_CHARS_MAX)]
    platforms: Annotated[tuple[PartyName, ...], Meta(min_length=1, max_length=PARTIES_MAX - 1)]
    budget_nusd: Annotated[int, Meta(ge=1, le=10**18)] = BUDGET_NUSD
    concept: Literal["regret", "nash", "kalai_smorodinsky", "egalitarian", "utilitarian"] = "regret"
    regret: Literal["relative", "absolute"] = "relative"
    risk_aversion: Share = 0.2
    position_s: Annotated[float, Meta(gt=0, le=600)] = 2.0
    on_silence: Literal["leave_out", "block"] = "leave_out"
    models: Models = Models.NONE
    cycle: Annotated[str, Meta(max_length=128)] = ""
    needs_approval: bool = False


class NegotiationOpened(Event, frozen=True, kw_only=True, tag="negotiation.opened.v1"):
    """Positions are asked for.

    Attributes:
        asked: event ids of the questions, in the order of `parties`.
        deadline: for positions; RFC 3339 in UTC.
        started_at: when the request was published.
    """

    request: NegotiationRequested
    parties: tuple[PartyName, ...]
    issues: tuple[IssueStated, ...]
    asked: tuple[str, ...]
    deadline: str
    started_at: str = ""


class PositionAsked(Event, frozen=True, kw_only=True, tag="negotiation.position_asked.v1"):
    """`party` is asked what every value of every issue is worth to it.

    Attributes:
        platforms: all that may take part, in the order in which splits name them.
        deadline: RFC 3339 in UTC; a position after it counts as none.
    """

    party: PartyName
    index: int
    of: int
    goal: str
    platforms: tuple[PartyName, ...]
    budget_nusd: int
    issues: tuple[IssueStated, ...]
    deadline: str
    models: Models = Models.NONE


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """What a platform's rates are judged by: what was counted so far."""

    impressions: Annotated[int, Meta(ge=0)] = 0
    clicks: Annotated[int, Meta(ge=0)] = 0
    conversions: Annotated[int, Meta(ge=0)] = 0


class PositionScenario(msgspec.Struct, frozen=True, kw_only=True):
    """One way in which things may turn out for a party.

    Attributes:
        utilities: by issue, in US dollars, in the order of the issue's values.
    """

    probability: Share
    utilities: dict[str, tuple[float, ...]]


class Proposal(msgspec.Struct, frozen=True, kw_only=True):
    """A deal that a party would like: one of the values of each issue, checked against its card."""

    deal: Deal
    source: Literal["rules", "model"] = "rules"


class PositionStated(Event, frozen=True, kw_only=True, tag="negotiation.position_stated.v1"):
    """What everything is worth to one party.

    Attributes:
        agent: who spoke for it.
        disagreement: what it has without a deal, in US dollars; `threshold`: the least that it accepts.
        words: its position for people, of which nothing is calculated.
        words_by: `template`, or the model's name.
        refused: what a model proposed and the rate card does not bear out, with the reason.
        card: which version of its rate card it spoke from.
    """

    party: PartyName
    agent: str
    scenarios: Annotated[tuple[PositionScenario, ...], Meta(min_length=1, max_length=SCENARIOS_MAX)]
    disagreement: float = 0.0
    threshold: float | None = None
    weight: Annotated[float, Meta(ge=0, le=1_000)] = 1.0
    words: Annotated[str, Meta(max_length=WORDS_CHARS_MAX)] = ""
    words_by: str = "template"
    proposals: Annotated[tuple[Proposal, ...], Meta(max_length=16)] = ()
    refused: Annotated[tuple[Note, ...], Meta(max_length=64)] = ()
    evidence: Evidence | None = None
    card: str = ""
    cost_nusd: Nusd = 0


class Interval(msgspec.Struct, frozen=True, kw_only=True):
    """Of US dollars: `mean`, and the range that holds the value with probability `level`."""

    mean: float
    low: float
    high: float
    level: float = 0.95


class Revenue(msgspec.Struct, frozen=True, kw_only=True):
    """What a party gains by a deal.

    Attributes:
        expected: how uncertain the expected value is, for want of evidence.
        realised: between which values what really comes will lie.
        p_gain: how likely it is to be more than without a deal.
    """

    expected: Interval
    realised: Interval
    p_gain: Share


class Option(msgspec.Struct, frozen=True, kw_only=True):
    """A deal beside the one that was chosen.

    Attributes:
        name: a concept such as `nash`, or `runner_up`.
        difference: what we would gain more (or less) than by the chosen one, drawn in the same worlds.
        p_better: how likely it is to be more.
    """

    name: str
    deal: Deal
    revenue: Revenue
    difference: Interval
    p_better: Share


class Payment(msgspec.Struct, frozen=True, kw_only=True):
    """Most that one platform is paid, and how: such as `CPM $6.50 less 5 %`."""

    platform: PartyName
    terms: str
    most_nusd: Nusd
    volume: str = ""


class NegotiationProposed(Event, frozen=True, kw_only=True, tag="negotiation.proposed.v1"):
    """The deal, with its certificate; not yet anybody's promise.

    Attributes:
        parties: who took part; `silent`: who did not, and why.
        amount_nusd: most that we pay.
        digest: SHA-256 of deal, payments and policy version; what an approval is bound to.
        confidence: how likely every party is to gain by it.
        approval_reasons: why the policy wants a person; empty: none is wanted.
        revenue: by party; of ourselves also `options`.
        machine_s: seconds from the request to this.
    """

    goal: str
    deal: Deal
    certificate: Certificate
    parties: tuple[PartyName, ...]
    payments: tuple[Payment, ...]
    amount_nusd: Nusd
    digest: Digest
    confidence: Share
    silent: dict[str, str] = msgspec.field(default_factory=dict)
    revenue: dict[str, Revenue] = msgspec.field(default_factory=dict)
    options: tuple[Option, ...] = ()
    approval_reasons: tuple[Note, ...] = ()
    policy_version: str = ""
    cycle: str = ""
    machine_s: float = 0.0
    warnings: tuple[str, ...] = ()


class NegotiationAgreed(Event, frozen=True, kw_only=True, tag="negotiation.agreed.v1"):
    """The deal holds, once.

    Attributes:
        approval_id: of the approval that let it through; empty: policy did.
        by: who approved.
    """

    goal: str
    deal: Deal
    payments: tuple[Payment, ...]
    amount_nusd: Nusd
    digest: Digest
    parties: tuple[PartyName, ...] = ()
    approval_id: str = ""
    by: tuple[str, ...] = ()
    cycle: str = ""
    silent: dict[str, str] = msgspec.field(default_factory=dict)


class NegotiationVetoed(Event, frozen=True, kw_only=True, tag="negotiation.vetoed.v1"):
    """A person said no; the deal is off and what was held for it is given back."""

    deal: Deal
    digest: Digest
    approval_id: str
    by: str
    note: str = ""
    cycle: str = ""


class NegotiationExpired(Event, frozen=True, kw_only=True, tag="negotiation.expired.v1"):
    """Nobody decided in time, or the approval was withdrawn; the deal is off."""

    deal: Deal
    digest: Digest
    approval_id: str
    why: str
    cycle: str = ""


class NegotiationNoDeal(Event, frozen=True, kw_only=True, tag="negotiation.no_deal.v1"):
    """Nothing was agreed on.

    Attributes:
        kind: `no_deal`: nobody could agree; `silent`: a party said nothing; `gate`: a money limit stands in the
            way; `stopped`: the kill switch; `refused`: what was asked or stated can't be negotiated.
        blockers: who stands in the way.
        outcome: what the solver found out, if it was asked.
    """

    kind: NoDealKind
    reason: str
    blockers: tuple[str, ...] = ()
    silent: dict[str, str] = msgspec.field(default_factory=dict)
    outcome: NoDeal | None = None
    cycle: str = ""
    machine_s: float = 0.0


class SwitchState(msgspec.Struct, frozen=True, kw_only=True):
    """The kill switch of unattended work, in the KV bucket `SWITCHES`; where it can't be read, work stops."""

    is_stopped: bool
    by: str = ""
    reason: str = ""
    at: str = ""


class CycleRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One cycle of a programme.

    Attributes:
        number: the whole part of the time since 1970 divided by the interval.
        task_id: of its negotiation; the number is part of it, so that a cycle happens once.
        state: `running`, an ending of a negotiation, or `skipped`, with the reason in `why`.
    """

    number: int
    task_id: str
    at: str
    state: Literal["running", "agreed", "no_deal", "vetoed", "expired", "failed", "cancelled", "skipped"] = (
        "running"
    )
    why: str = ""
    digest: str = ""
    amount_nusd: int = 0


class Programme(msgspec.Struct, frozen=True, kw_only=True):
    """A negotiation that is repeated unattended; in the KV bucket `PROGRAMMES` under its name.

    Attributes:
        interval_s: between cycles.
        recent: the last cycles, newest first.
        missed: how many cycles were passed over because nobody ran, or the last one was not over.
        failures, vetoes, identical: in a row, up to now.
        paused_why: why it pauses until somebody resumes it; empty: it does not.
        leader: who runs it.
    """

    name: str
    request: NegotiationRequested
    interval_s: float
    recent: tuple[CycleRecord, ...] = ()
    missed: int = 0
    failures: int = 0
    vetoes: int = 0
    identical: int = 0
    paused_why: str = ""
    leader: str = ""
