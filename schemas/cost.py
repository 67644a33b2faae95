"""Money: reservations asked of the cost guard, what is recorded of every call, and the alerts.

All amounts are integer nano-USD, rounded up. `cost.reserve` holds money over task, tenant and month at once;
`cost.settle` turns it into spend, once for a call however often it is sent; `cost.release` gives it back.
"""

import enum
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from schemas.event import Event
from schemas.llm import BudgetState, Token, Usage

BOOKED_TOGETHER_MAX: Final = 200
GATES_MAX: Final = 16
OVER: Final = "over"
GATE_CHARS_MAX: Final = 96

Nusd = Annotated[int, Meta(ge=0, le=10**18)]


class Outcome(enum.StrEnum):
    """How a paid or free call ended, for the books."""

    ANSWERED = "answered"
    CACHED = "cached"
    OFF_SCHEMA = "off_schema"
    EMPTY = "empty"
    REFUSED = "refused"
    TRUNCATED = "truncated"
    FAILED = "failed"
    CANCELLED = "cancelled"
    HEDGE_LOST = "hedge_lost"
    CUT = "cut"
    UNKNOWN = "unknown"
    """Its router died while the request was out: the reservation is charged whole, since it may have been billed."""


class CallRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one request to a provider (or of one answer from the cache).

    Attributes:
        call_id: of this request; several requests (retries, hedges) may serve one `completion_id`.
        at: when it ended, RFC 3339 in UTC.
        max_tokens: what was sent as limit; beside `usage.output_tokens` it shows oversized limits.
        counted_tokens: our own count of the input before correction.
        price_nusd_if_cloud: for a free or cached answer: what the cheapest paid candidate would have cost.
    """

    call_id: Token
    completion_id: Token = ""
    at: str = ""
    task_id: Token = ""
    tenant: Token = ""
    agent: Token = ""
    purpose: Token = ""
    provider: Token = ""
    model: Token = ""
    is_local: bool = False
    outcome: Outcome = Outcome.ANSWERED
    usage: Usage = Usage()
    counted_tokens: int = 0
    max_tokens: int = 0
    reserved_nusd: Nusd = 0
    cost_nusd: Nusd = 0
    price_nusd_if_cloud: Nusd = 0
    latency_s: float = 0.0
    time_to_first_s: float = 0.0
    is_hedge: bool = False


class Gate(msgspec.Struct, frozen=True, kw_only=True):
    """A limit that a reservation brings along, such as `deals 2026-11-21`.

    Attributes:
        limit_nusd: most that is ever held and spent under this name.
        amount_nusd: how much of the reservation counts here; None: all of it.
    """

    name: Annotated[str, Meta(min_length=1, max_length=GATE_CHARS_MAX)]
    limit_nusd: Nusd
    amount_nusd: Nusd | None = None


class ReserveRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Hold money for one request to a provider.

    Attributes:
        want_nusd: what it would like; `min_nusd` is the least that makes sense. The answer lies between.
        lease_s: how long the money is held when nobody settles.
        on_expiry: what happens then. `charge`: the holder has sent a request that may have been billed, so the
            whole is counted as spent until somebody settles after all; `release`: it comes back.
        wait_until: RFC 3339; until then the guard may wait for other reservations to settle when the money is
            held but not spent. Empty: answer at once.
        gates: the money is no model's: `want_nusd` is held whole or not at all, against these accounts alone (never
            month, tenant and task), and comes back when the lease ends, whatever `on_expiry` says.
    """

    call_id: Token
    min_nusd: Nusd
    want_nusd: Nusd
    lease_s: Annotated[float, Meta(gt=0, le=86_400)]
    on_expiry: Literal["charge", "release"] = "charge"
    task_id: Token = ""
    tenant: Token = ""
    agent: Token = ""
    provider: Token = ""
    model: Token = ""
    task_limit_nusd: Nusd | None = None
    wait_until: str = ""
    gates: Annotated[tuple[Gate, ...], Meta(max_length=GATES_MAX)] = ()
    not_after: str = ""


class ReserveReply(msgspec.Struct, frozen=True, kw_only=True):
    """`granted_nusd` held, or `refused` with the limit that stands in the way.

    `is_gated`: the guard looked at the gates of the request; an older one knows none.
    """

    granted_nusd: Nusd | None = None
    refused: BudgetState | None = None
    is_gated: bool = False


class SettleRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Turn reservations into spend. Calls without one (free ones) are only recorded."""

    records: Annotated[tuple[CallRecord, ...], Meta(min_length=1, max_length=BOOKED_TOGETHER_MAX)]


class SettleReply(msgspec.Struct, frozen=True, kw_only=True):
    """`settled`: how many of the calls were settled now; the others had been before, and count once."""

    settled: int = 0


class ReleaseRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Give reservations back: their requests were never sent."""

    call_ids: Annotated[tuple[Token, ...], Meta(min_length=1, max_length=BOOKED_TOGETHER_MAX)]


class Release(msgspec.Struct, frozen=True, kw_only=True):
    """`held_nusd` that came back; 0 when nothing was held any more."""

    held_nusd: Nusd = 0


class StateRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Ask for the limits as they stand, optionally those of a task and a tenant."""

    task_id: Token = ""
    tenant: Token = ""


class StateReply(msgspec.Struct, frozen=True, kw_only=True):
    """`is_stopped`: the month's stop is reached, only free models are left."""

    month: BudgetState
    tenant: BudgetState | None = None
    task: BudgetState | None = None
    is_stopped: bool = False
    open_reservations: int = 0
    leader: str = ""
    epoch: int = 0


class CostRecorded(Event, frozen=True, kw_only=True, tag="cost.recorded.v1"):
    """A call was settled on this task; `task_spent_nusd` is the task's sum so far."""

    record: CallRecord
    task_spent_nusd: Nusd = 0


class CostThresholdCrossed(Event, frozen=True, kw_only=True, tag="cost.threshold_crossed.v1"):
    """Spent and reserved money passed a share of a limit; said once for each month, limit and share.

    Attributes:
        channel: where people want to hear of it (`cost_control.alert_slack_channel`).
        is_stop: from here on no more money is spent; only free models are left.
    """

    budget: BudgetState
    percent: int
    is_stop: bool = False
    channel: str = ""
