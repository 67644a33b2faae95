"""The ledger: what was spent and what is held, and whether more may be. The cost guard's pure core.

State follows from entries alone: `apply` is the only way to change it, so that a reader of the journal comes to
the same state as the leader who wrote it. Deciding (`reserve`, `settle`, …) yields entries and applies them; the
guard answers nobody before they are stored, and forgets the whole ledger when they can't be.

All amounts are integer nano-USD. Of every account: spent + held ≤ its stop, whatever comes, unless a provider
bills more than was held for a call: then the truth is recorded, and nothing more is granted.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final, Literal, TypeVar

import msgspec

from bus.envelope import parse_time
from schemas.cost import OVER, CallRecord, Gate, Outcome, ReserveRequest
from schemas.llm import BudgetState

OPEN_MAX: Final = 10_000
"""Reservations held at once; more are refused until some are settled."""
REMEMBERED_MAX: Final = 10_000
"""Settled paid calls that are remembered, so that settling again counts nothing."""
SWEEP_S: Final = 0.25
MONTHS_KEPT: Final = 2
"""This month and the last: a call may be settled after midnight."""
TASKS_MAX: Final = 5_000
"""Task accounts kept; the longest untouched without a reservation go first."""
GATED_MAX: Final = 5_000
"""Reservations with gates held at once: they may last a day, and models' calls need the rest of `OPEN_MAX`."""
GATES_SPENT_MAX: Final = 5_000
"""Accounts of gates kept under which something was spent and nothing is held; the longest untouched go first."""

T = TypeVar("T")


class Reservation(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """Money held for one call until it is settled, released, or `until_s` (seconds since 1970).

    `gates`: the accounts that hold it instead of month, tenant and task, with how much; empty for a model's call.
    """

    call_id: str
    amount_nusd: int
    until_s: float
    month: str
    task_id: str = ""
    tenant: str = ""
    agent: str = ""
    provider: str = ""
    model: str = ""
    on_expiry: Literal["charge", "release"] = "charge"
    gates: tuple[tuple[str, int], ...] = ()


class Reserved(msgspec.Struct, frozen=True, array_like=True, tag="reserved"):
    reservation: Reservation


class Settled(msgspec.Struct, frozen=True, array_like=True, tag="settled"):
    """`month`: the account that pays; that of the reservation if there was one."""

    record: CallRecord
    month: str


class Released(msgspec.Struct, frozen=True, array_like=True, tag="released"):
    call_id: str


class Expired(msgspec.Struct, frozen=True, array_like=True, tag="expired"):
    """Nobody settled in time. For what may have been billed, `record` charges the whole as UNKNOWN."""

    call_id: str
    record: CallRecord | None = None


class Alerted(msgspec.Struct, frozen=True, array_like=True, tag="alerted"):
    """People are told that a share of a limit was reached; `is_stop` when spending stops there."""

    budget: BudgetState
    percent: int
    is_stop: bool

    @property
    def key(self) -> str:
        return f"{self.budget.limit} {self.percent}"


Entry = Reserved | Settled | Released | Expired | Alerted


class Account(msgspec.Struct, kw_only=True, array_like=True):
    spent_nusd: int = 0
    held_nusd: int = 0


class LedgerState(msgspec.Struct, kw_only=True):
    """Everything that the ledger knows; what a snapshot holds.

    Attributes:
        months, tenants: by `2026-11`, by `acme 2026-11`.
        gates: by name of a gate; one without anything held or spent is not kept.
        settled: paid calls that were settled, oldest first (a dict for its order).
        charged: reservation by call id, of those that expired and were charged whole.
    """

    month: str = ""
    months: dict[str, Account] = {}
    tenants: dict[str, Account] = {}
    tasks: dict[str, Account] = {}
    open: dict[str, Reservation] = {}
    charged: dict[str, Reservation] = {}
    settled: dict[str, None] = {}
    alerted: dict[str, None] = {}
    gates: dict[str, Account] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What may be spent.

    Attributes:
        stop_percent: share of the month's limit at which spending stops (90, or 100).
        tenants: by tenant, for a month; who isn't named has no limit of its own.
        alert_percents: shares of a limit at which people are told.
    """

    month_nusd: int
    stop_percent: int = 90
    task_nusd: int | None = None
    tenants: Mapping[str, int] = field(default_factory=dict)
    alert_percents: tuple[int, ...] = (50, 75, 90)


@dataclass(frozen=True, slots=True)
class Granted:
    amount_nusd: int


@dataclass(frozen=True, slots=True)
class Refused:
    """It doesn't fit; `may_fit_later` when it would if everything held came back."""

    budget: BudgetState
    may_fit_later: bool


class Ledger:
    """Decides by its limits on its state."""

    def __init__(self, limits: Limits, state: LedgerState | None = None) -> None:
        self.limits = limits
        self.state = state or LedgerState()
        self._month_until_s = 0.0
        self._sweep_at_s = 0.0
        self.entries: list[Entry] = []
        """Decided and applied, not yet stored; the guard takes them."""

    # -- decisions ----------------------------------------------------------------------------------------

    def reserve(self, request: ReserveRequest, now_s: float) -> Granted | Refused:
        """Hold between `min_nusd` and `want_nusd`, under gates the whole. The same call asks twice: the same answer."""
        state = self.state
        self._roll_month(now_s)
        if held := state.open.get(request.call_id):
            return Granted(held.amount_nusd)
        if request.gates:
            return self._reserve_gated(request, now_s)
        budgets = self.budgets(request.task_id, request.tenant, request.task_limit_nusd)
        room = min(budget.stop_nusd - budget.spent_nusd - budget.reserved_nusd for budget in budgets)
        if room < request.min_nusd or len(state.open) >= OPEN_MAX:
            tightest = min(budgets, key=lambda b: b.stop_nusd - b.spent_nusd - b.reserved_nusd)
            hopeless = any(budget.stop_nusd - budget.spent_nusd < request.min_nusd for budget in budgets)
            if hopeless:
                tightest = min(budgets, key=lambda budget: budget.stop_nusd - budget.spent_nusd)
            return Refused(tightest, may_fit_later=not hopeless)
        amount = min(max(request.want_nusd, request.min_nusd), room)
        self._write(
            Reserved(
                Reservation(
                    call_id=request.call_id,
                    amount_nusd=amount,
                    until_s=now_s + request.lease_s,
                    month=state.month,
                    task_id=request.task_id,
                    tenant=request.tenant,
                    agent=request.agent,
                    provider=request.provider,
                    model=request.model,
                    on_expiry=request.on_expiry,
                )
            )
        )
        return Granted(amount)

    def _reserve_gated(self, request: ReserveRequest, now_s: float) -> Granted | Refused:
        state = self.state
        parts: dict[str, int] = {}
        for gate in request.gates:
            part = request.want_nusd if gate.amount_nusd is None else gate.amount_nusd
            parts[gate.name] = parts.get(gate.name, 0) + part
        if not request.want_nusd:
            return Granted(0)
        if request.not_after and now_s >= parse_time(request.not_after):
            return Refused(_over(), may_fit_later=False)
        is_full = sum(bool(held.gates) for held in state.open.values()) >= GATED_MAX
        blocking: BudgetState | None = None
        for gate in request.gates:
            budget = self._gate_budget(gate)
            room = budget.stop_nusd - budget.spent_nusd
            if room < parts[gate.name]:
                return Refused(budget, may_fit_later=False)
            if is_full or room - budget.reserved_nusd < parts[gate.name]:
                blocking = blocking or budget
        if blocking is not None:
            return Refused(blocking, may_fit_later=True)
        self._write(Reserved(_gated(request, tuple(parts.items()), state.month, now_s)))
        return Granted(request.want_nusd)

    def settle(self, record: CallRecord, now_s: float) -> bool:
        """Turn what is held for the call into what it cost; False if that was done before."""
        if record.call_id in self.state.settled:
            return False
        self._roll_month(now_s)
        held = self.state.open.get(record.call_id) or self.state.charged.get(record.call_id)
        if held is not None and record.reserved_nusd != held.amount_nusd:
            record = msgspec.structs.replace(record, reserved_nusd=held.amount_nusd)
        self._write(Settled(record, held.month if held else self.state.month))
        return True

    def release(self, call_id: str) -> int:
        """Give back what is held; returns how much."""
        held = self.state.open.get(call_id)
        if held is None:
            return 0
        self._write(Released(call_id))
        return held.amount_nusd

    def sweep(self, now_s: float, at: str) -> int:
        """End the reservations whose time is over; returns how many. Looks four times a second at most."""
        if self._sweep_at_s - SWEEP_S < now_s < self._sweep_at_s:
            return 0
        self._sweep_at_s = now_s + SWEEP_S
        due = [held for held in self.state.open.values() if held.until_s <= now_s]
        for held in due:
            record = None
            if held.on_expiry == "charge":
                record = CallRecord(
                    call_id=held.call_id,
                    completion_id=held.call_id.rsplit("-", 1)[0],
                    at=at,
                    task_id=held.task_id,
                    tenant=held.tenant,
                    agent=held.agent,
                    provider=held.provider,
                    model=held.model,
                    outcome=Outcome.UNKNOWN,
                    reserved_nusd=held.amount_nusd,
                    cost_nusd=held.amount_nusd,
                )
            self._write(Expired(held.call_id, record))
        return len(due)

    def alert(self, refused: Iterable[BudgetState]) -> None:
        """Note thresholds that were crossed and not yet told.

        Args:
            refused: budgets that have just refused somebody for good: their stop is reached, even if some
                money is left that fits no call.
        """
        stopped = {budget.limit for budget in refused}
        for budget in self._month_budgets():
            used = budget.spent_nusd + budget.reserved_nusd
            for percent in {*self.limits.alert_percents, self.limits.stop_percent}:
                is_stop = percent == self.limits.stop_percent
                reached = used * 100 >= budget.limit_nusd * percent or (is_stop and budget.limit in stopped)
                alerted = Alerted(budget, percent, is_stop)
                if reached and budget.limit_nusd and alerted.key not in self.state.alerted:
                    self._write(alerted)

    def look(self, now_s: float) -> None:
        """Make sure that the month is the present one, before limits are shown."""
        self._roll_month(now_s)

    # -- what stands --------------------------------------------------------------------------------------

    def budgets(self, task_id: str, tenant: str, task_limit_nusd: int | None = None) -> list[BudgetState]:
        """The limits that a call of this task and tenant is under: month, tenant, task."""
        state, limits = self.state, self.limits
        out = [self._month_budget()]
        if tenant in limits.tenants:
            out.append(self._tenant_budget(tenant))
        caps = [cap for cap in (limits.task_nusd, task_limit_nusd) if cap is not None]
        if task_id and caps:
            account = state.tasks.get(task_id, Account())
            out.append(
                BudgetState(
                    limit=f"task {task_id}",
                    limit_nusd=min(caps),
                    stop_nusd=min(caps),
                    spent_nusd=account.spent_nusd,
                    reserved_nusd=account.held_nusd,
                )
            )
        return out

    def _gate_budget(self, gate: Gate) -> BudgetState:
        account = self.state.gates.get(gate.name, Account())
        return BudgetState(
            limit=gate.name,
            limit_nusd=gate.limit_nusd,
            stop_nusd=gate.limit_nusd,
            spent_nusd=account.spent_nusd,
            reserved_nusd=account.held_nusd,
        )

    def _month_budgets(self) -> list[BudgetState]:
        return [self._month_budget(), *map(self._tenant_budget, self.limits.tenants)]

    def _month_budget(self) -> BudgetState:
        month = self.state.month
        return self._monthly(f"month {month}", self.limits.month_nusd, self.state.months.get(month))

    def _tenant_budget(self, tenant: str) -> BudgetState:
        name = f"{tenant} {self.state.month}"
        return self._monthly(f"tenant {name}", self.limits.tenants[tenant], self.state.tenants.get(name))

    def _monthly(self, label: str, limit_nusd: int, account: Account | None) -> BudgetState:
        account = account or Account()
        return BudgetState(
            limit=label,
            limit_nusd=limit_nusd,
            stop_nusd=limit_nusd * self.limits.stop_percent // 100,
            spent_nusd=account.spent_nusd,
            reserved_nusd=account.held_nusd,
            resets_at=next_month(self.state.month),
        )

    # -- entries ------------------------------------------------------------------------------------------

    def replay(self, entries: Iterable[Entry]) -> None:
        """Apply stored entries."""
        for entry in entries:
            self.apply(entry)

    def _write(self, entry: Entry) -> None:
        self.apply(entry)
        self.entries.append(entry)

    def apply(self, entry: Entry) -> None:
        """The one way in which state changes."""
        state = self.state
        match entry:
            case Reserved(held):
                state.month = max(state.month, held.month)
                state.open[held.call_id] = held
                self._book(held, held.month, held_nusd=held.amount_nusd)
            case Settled(record, month):
                state.month = max(state.month, month)
                self._settled(record, month)
            case Released(call_id):
                if held_ := state.open.pop(call_id, None):
                    self._book(held_, held_.month, held_nusd=-held_.amount_nusd)
            case Expired(call_id, record_):
                if held_ := state.open.pop(call_id, None):
                    charge = record_.cost_nusd if record_ else 0
                    self._book(held_, held_.month, held_nusd=-held_.amount_nusd, spent_nusd=charge)
                    if record_:
                        _remember(state.charged, call_id, held_)
            case Alerted():
                _remember(state.alerted, entry.key, None)

    def _settled(self, record: CallRecord, month: str) -> None:
        state = self.state
        if held := state.open.pop(record.call_id, None):
            self._book(held, held.month, held_nusd=-held.amount_nusd, spent_nusd=record.cost_nusd)
        elif charged := state.charged.pop(record.call_id, None):
            # It was given up and charged whole; now the truth is known.
            self._book(charged, charged.month, spent_nusd=record.cost_nusd - charged.amount_nusd)
        elif record.cost_nusd:
            self._book(record, month, spent_nusd=record.cost_nusd)
        if held or record.cost_nusd:
            _remember(state.settled, record.call_id, None)

    def _book(
        self, who: Reservation | CallRecord, month: str, *, held_nusd: int = 0, spent_nusd: int = 0
    ) -> None:
        state = self.state
        if isinstance(who, Reservation) and who.gates:
            self._book_gates(who.gates, (held_nusd > 0) - (held_nusd < 0), spent_nusd)
            return
        accounts = [state.months.setdefault(month, Account())]
        if who.tenant:
            accounts.append(state.tenants.setdefault(f"{who.tenant} {month}", Account()))
        if who.task_id:
            account = state.tasks.pop(who.task_id, None) or Account()
            state.tasks[who.task_id] = account  # now the last touched
            accounts.append(account)
        for account in accounts:
            account.held_nusd += held_nusd
            account.spent_nusd += spent_nusd
        self._forget()

    def _book_gates(self, parts: Iterable[tuple[str, int]], sign: int, spent_nusd: int) -> None:
        """`sign`: 1 when the parts begin to be held, -1 when they end."""
        gates = self.state.gates
        for name, part in parts:
            account = gates.pop(name, None) or Account()
            account.held_nusd += sign * part
            # Whose part it was that cost less is not known: no less than the truth, no more than was let through.
            account.spent_nusd += min(spent_nusd, part)
            if account.held_nusd or account.spent_nusd:
                gates[name] = account  # now the last touched
        # Those that hold something are bounded by the open reservations.
        if len(gates) > GATES_SPENT_MAX:
            idle = [name for name, account in gates.items() if not account.held_nusd]
            for name in idle[: len(idle) - GATES_SPENT_MAX]:
                del gates[name]

    def _forget(self) -> None:
        state = self.state
        if len(state.tasks) > TASKS_MAX:
            idle = (name for name, account in state.tasks.items() if not account.held_nusd)
            if (oldest := next(idle, None)) is not None:
                del state.tasks[oldest]
        if len(state.months) > MONTHS_KEPT:
            kept = sorted(state.months)[-MONTHS_KEPT:]
            state.months = {month: account for month, account in state.months.items() if month in kept}
            state.tenants = {name: account for name, account in state.tenants.items() if name[-7:] in kept}

    def _roll_month(self, now_s: float) -> None:
        # A clock that jumps back doesn't bring last month's money back.
        if now_s >= self._month_until_s:
            self.state.month = max(self.state.month, month_of(now_s))
            end = datetime.fromisoformat(next_month(month_of(now_s)))
            self._month_until_s = end.timestamp()


def _gated(
    request: ReserveRequest, parts: tuple[tuple[str, int], ...], month: str, now_s: float
) -> Reservation:
    # Nobody's model call: no provider, no agent, nothing that anybody could have billed.
    return Reservation(
        call_id=request.call_id,
        amount_nusd=request.want_nusd,
        until_s=now_s + request.lease_s,
        month=month,
        task_id=request.task_id,
        on_expiry="release",
        gates=parts,
    )


def _over() -> BudgetState:
    return BudgetState(limit=OVER, limit_nusd=0, stop_nusd=0, spent_nusd=0, reserved_nusd=0)


def month_of(now_s: float) -> str:
    """The month of a point in time, such as `2026-11` (UTC)."""
    return datetime.fromtimestamp(now_s, UTC).strftime("%Y-%m")


@lru_cache(maxsize=16)
def next_month(month: str) -> str:
    """When the month after `month` begins, RFC 3339 in UTC; empty for an empty month."""
    if not month:
        return ""
    year, number = int(month[:4]), int(month[5:])
    year, number = (year + 1, 1) if number == 12 else (year, number + 1)
    return f"{year:04d}-{number:02d}-01T00:00:00Z"


def _remember(what: dict[str, T], key: str, value: T) -> None:
    what[key] = value
    if len(what) > REMEMBERED_MAX:
        del what[next(iter(what))]
