"""Gates on deals' money: one deal, each platform's day and the whole day, held in the cost guard's ledger.

The money of an agreed deal stays held to the end of its UTC day, which is what makes the limits of a day count; then
it comes back by itself. Who acts after midnight on a deal of yesterday holds it again, under the new day's limits.
"""

import asyncio
import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from bus import Bus, BusError, DeadlineError, NoResponderError
from bus.envelope import time_text
from bus.services import COST_RELEASE, COST_RESERVE
from schemas.cost import OVER, Gate, ReleaseRequest, ReserveReply, ReserveRequest
from schemas.llm import NUSD_PER_USD, BudgetState
from schemas.negotiation import PARTIES_MAX, Payment

DAY_S: Final = 86_400.0
HOLD_WITHIN_S: Final = 5.0
"""Longer than another cost guard takes to step in for one that died."""
TRY_S: Final = 1.0
PAUSE_S: Final = 0.05
LEASE_S_MIN: Final = 1.0
"""For what is held in the last second of a day."""
PAYMENTS_MAX: Final = PARTIES_MAX
ONE_DEAL: Final = "one deal"
CENT_NUSD: Final = NUSD_PER_USD // 100


class GateError(BusError):
    """Raised when nobody can tell whether the limits hold: nothing may be paid then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gates:
    """Most that is paid, in nano-USD: for one deal, to one platform in a UTC day, to all in a UTC day."""

    deal_nusd: int
    platform_day_nusd: int
    day_nusd: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """Money that is held for a deal; `until`: the end of the day, RFC 3339 in UTC."""

    call_id: str
    amount_nusd: int
    day: str
    until: str


async def hold(
    bus: Bus, *, task_id: str, payments: Sequence[Payment], now_s: float, gates: Gates
) -> Held | str:
    """Hold what a deal pays, all of it or nothing; a text says which limit stands in the way.

    The same task asks again on the same day for the same payments: the same answer, held once.

    Args:
        now_s: seconds since 1970; decides the day.

    Raises:
        GateError: no cost guard answers, or one that knows no gates. Nothing may be paid; asking again is safe.
    """
    request = reservation(task_id, payments, now_s, gates)
    held = Held(
        call_id=request.call_id,
        amount_nusd=request.want_nusd,
        day=day_of(now_s),
        until=time_text(day_end_s(now_s)),
    )
    if not held.amount_nusd:
        return held
    # Not by `bus.budget`: it gives a reservation back in the background when an answer is late, and this one may have
    # been asked for again and be relied on by then.
    reply = await _reserve(bus, request, task_id)
    if reply.refused is not None and reply.refused.limit == OVER:
        raise GateError(
            "the day ended while its money was asked for: it is asked for again, under the new day's limits"
        )
    if reply.refused is not None:
        wanted = {gate.name: gate.amount_nusd or 0 for gate in request.gates}
        return refusal(reply.refused, wanted.get(reply.refused.limit, held.amount_nusd))
    if not reply.is_gated or reply.granted_nusd != held.amount_nusd:
        raise GateError("the cost guard that leads knows no gates: stop the `labverse` of an older version")
    return held


async def release(bus: Bus, *, task_id: str, payments: Sequence[Payment], now_s: float) -> int:
    """Give back what is held for a deal that is off; returns how much, 0 when nothing was held (any more).

    Raises:
        BusError: no cost guard answers: it comes back at the end of the day.
    """
    call_id = _call_id(task_id, payments, day_of(now_s))
    reply = await bus.call(
        COST_RELEASE, ReleaseRequest(call_ids=(call_id,)), timeout_s=HOLD_WITHIN_S, task_id=task_id
    )
    return reply.held_nusd


def reservation(task_id: str, payments: Sequence[Payment], now_s: float, gates: Gates) -> ReserveRequest:
    """Core: what is asked of the cost guard for a deal.

    Raises:
        ValueError: more than `PAYMENTS_MAX` payments.
    """
    if len(payments) > PAYMENTS_MAX:
        raise ValueError(f"{len(payments)} payments are more than the {PAYMENTS_MAX} that one deal may have")
    day = day_of(now_s)
    amount = sum(payment.most_nusd for payment in payments)
    platforms: dict[str, int] = {}
    for payment in payments:
        platforms[payment.platform] = platforms.get(payment.platform, 0) + payment.most_nusd
    return ReserveRequest(
        call_id=_call_id(task_id, payments, day),
        min_nusd=amount,
        want_nusd=amount,
        lease_s=max(LEASE_S_MIN, day_end_s(now_s) - now_s),
        on_expiry="release",
        task_id=task_id,
        not_after=time_text(day_end_s(now_s)),
        gates=(
            Gate(name=f"deal {task_id} {day}", limit_nusd=gates.deal_nusd, amount_nusd=amount),
            *(
                Gate(name=f"deals {name} {day}", limit_nusd=gates.platform_day_nusd, amount_nusd=part)
                for name, part in platforms.items()
                if part
            ),
            Gate(name=f"deals {day}", limit_nusd=gates.day_nusd, amount_nusd=amount),
        ),
    )


def refusal(budget: BudgetState, wanted_nusd: int) -> str:
    """Core: in words, which limit stands in the way, with the figures."""
    used = budget.spent_nusd + budget.reserved_nusd
    free = max(0, budget.stop_nusd - used)
    what = limit_words(budget.limit)
    stands = f"the limit of {usd(budget.limit_nusd)} for {what} stands in the way"
    if what == ONE_DEAL:
        return f"{stands}: this one would cost up to {usd(wanted_nusd)}; ask for a smaller budget"
    return f"{stands}: {usd(wanted_nusd)} is more than the {usd(free - free % CENT_NUSD)} that is left"


def limit_words(name: str) -> str:
    """Core: `deals tiktok 2026-11-21` as people say it."""
    match name.split(" "):
        case ["deal", _, _]:
            return ONE_DEAL
        case ["deals", platform, day]:
            return f"deals with {platform} on {day}"
        case ["deals", day]:
            return f"all deals on {day}"
        case _:
            return name


def usd(nusd: int) -> str:
    """Core: `$1,250.00`; parts of a cent are rounded up."""
    cents = -(-nusd * 100 // NUSD_PER_USD)
    return f"${cents // 100:,}.{cents % 100:02d}"


def day_of(now_s: float) -> str:
    """The UTC day of a point in time, such as `2026-11-21`."""
    return datetime.fromtimestamp(now_s, UTC).strftime("%Y-%m-%d")


def day_end_s(now_s: float) -> float:
    """When the UTC day of `now_s` ends, seconds since 1970."""
    return (now_s // DAY_S + 1) * DAY_S


def _call_id(task_id: str, payments: Sequence[Payment], day: str) -> str:
    """Of the task, the day and the amounts: a deal that pays something else is another reservation."""
    amounts = ",".join(sorted(f"{payment.platform}={payment.most_nusd}" for payment in payments))
    digest = hashlib.blake2b(f"{task_id}\n{day}\n{amounts}".encode(), digest_size=10).hexdigest()
    return f"deal-{digest}"


async def _reserve(bus: Bus, request: ReserveRequest, task_id: str) -> ReserveReply:
    until_s = time.monotonic() + HOLD_WITHIN_S
    while True:
        left_s = until_s - time.monotonic()
        try:
            return await bus.call(
                COST_RESERVE, request, timeout_s=max(PAUSE_S, min(TRY_S, left_s)), task_id=task_id
            )
        except (NoResponderError, DeadlineError) as error:
            if left_s <= PAUSE_S:
                raise GateError(
                    f"no cost guard answered within {HOLD_WITHIN_S:g} s, so nothing is paid "
                    f"(`labverse up` runs one): {error}"
                ) from None
            await asyncio.sleep(PAUSE_S)
