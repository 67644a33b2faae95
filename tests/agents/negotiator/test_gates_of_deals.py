"""The money of a deal: held whole or not at all, once for task and day, and never without a cost guard."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.cost_guard.guard import CostGuard
from agents.cost_guard.ledger import Limits
from agents.negotiator.gates import (
    GateError,
    Gates,
    Held,
    day_end_s,
    day_of,
    hold,
    release,
    reservation,
    usd,
)
from bus import Bus, Caller
from bus.services import COST_RESERVE
from schemas.cost import ReserveReply, ReserveRequest
from schemas.llm import NUSD_PER_USD
from schemas.negotiation import Payment

GATES = Gates(
    deal_nusd=500 * NUSD_PER_USD, platform_day_nusd=600 * NUSD_PER_USD, day_nusd=1_000 * NUSD_PER_USD
)
NOON = 1_795_262_400.0  # 2026-11-21T12:00:00Z


def pays(**dollars: float) -> list[Payment]:
    return [
        Payment(platform=name, terms="CPM", most_nusd=int(amount * NUSD_PER_USD))
        for name, amount in dollars.items()
    ]


@asynccontextmanager
async def guarding(bus: Bus) -> AsyncIterator[CostGuard]:
    guard = CostGuard(bus=bus, limits=Limits(month_nusd=0))
    running = asyncio.create_task(guard.run())
    try:
        yield guard
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_a_deals_money_is_held_to_the_end_of_the_utc_day_even_without_any_money_for_models(
    bus: Bus,
) -> None:
    async with guarding(bus):
        held = await hold(bus, task_id="t1", payments=pays(tiktok=120, spotify=80), now_s=NOON, gates=GATES)
    assert isinstance(held, Held)
    assert (held.amount_nusd, held.day, held.until) == (
        200 * NUSD_PER_USD,
        "2026-11-21",
        "2026-11-22T00:00:00.000000Z",
    )


@pytest.mark.parametrize(
    ("payments", "refused"),
    [
        (pays(tiktok=300, spotify=201), "the limit of $500.00 for one deal"),
        (pays(tiktok=250), "the limit of $600.00 for deals with tiktok on 2026-11-21"),
        (pays(spotify=301, youtube=150), "the limit of $1,000.00 for all deals on 2026-11-21"),
    ],
)
async def test_a_refusal_says_which_limit_stands_in_the_way_and_nothing_is_held(
    bus: Bus, payments: list[Payment], refused: str
) -> None:
    async with guarding(bus):
        for number, earlier in enumerate((pays(tiktok=200, spotify=150), pays(tiktok=200))):
            ok = await hold(bus, task_id=f"e{number}", payments=earlier, now_s=NOON, gates=GATES)
            assert isinstance(ok, Held)
        said = await hold(bus, task_id="t", payments=payments, now_s=NOON, gates=GATES)
        assert isinstance(said, str)
        assert said.startswith(refused)
        assert await release(bus, task_id="t", payments=payments, now_s=NOON) == 0
        rest = await hold(bus, task_id="r", payments=pays(youtube=450), now_s=NOON, gates=GATES)
        assert isinstance(rest, Held)


async def test_asking_again_holds_once_and_giving_back_makes_room(bus: Bus) -> None:
    payments = pays(tiktok=400)
    async with guarding(bus):
        first = await hold(bus, task_id="t", payments=payments, now_s=NOON, gates=GATES)
        again = await hold(bus, task_id="t", payments=payments, now_s=NOON + 60, gates=GATES)
        assert first == again
        assert isinstance(
            await hold(bus, task_id="u", payments=pays(tiktok=201), now_s=NOON, gates=GATES), str
        )
        assert await release(bus, task_id="t", payments=payments, now_s=NOON) == 400 * NUSD_PER_USD
        assert await release(bus, task_id="t", payments=payments, now_s=NOON) == 0
        assert isinstance(
            await hold(bus, task_id="u", payments=pays(tiktok=500), now_s=NOON, gates=GATES), Held
        )


async def test_a_new_day_has_its_own_limits_and_the_same_deal_is_held_again_there(bus: Bus) -> None:
    async with guarding(bus):
        for day in range(3):
            now_s = NOON + day * 86_400
            held = await hold(bus, task_id="t", payments=pays(tiktok=500), now_s=now_s, gates=GATES)
            assert isinstance(held, Held)


async def test_50_deals_at_once_through_a_change_of_cost_guards_never_pass_the_day(
    bus: Bus, second_bus: Bus
) -> None:
    async def ask(number: int) -> Held | str:
        where = (bus, second_bus)[number % 2]
        name = ("tiktok", "spotify", "youtube")[number % 3]
        return await hold(where, task_id=f"t{number}", payments=pays(**{name: 90}), now_s=NOON, gates=GATES)

    leading = guarding(bus)
    first = await leading.__aenter__()
    await asyncio.wait_for(first.is_leading.wait(), 10)
    async with guarding(second_bus) as standby:
        asking = [asyncio.create_task(ask(number)) for number in range(50)]
        await asyncio.sleep(0)
        await leading.__aexit__(None, None, None)
        answers = await asyncio.gather(*asking)
        assert standby.is_leading.is_set()
        assert await asyncio.gather(*map(ask, range(50))) == answers, "what was held is known"
    held = [number for number, answer in enumerate(answers) if isinstance(answer, Held)]
    assert len(held) == 11, "11 times $90 is what fits into $1,000"
    for remainder in range(3):
        assert sum(number % 3 == remainder for number in held) * 90 <= 600


async def test_without_a_cost_guard_nothing_goes_on(bus: Bus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agents.negotiator.gates.HOLD_WITHIN_S", 0.3)
    with pytest.raises(GateError, match=r"no cost guard answered within 0\.3 s, so nothing is paid"):
        await hold(bus, task_id="t", payments=pays(tiktok=1), now_s=NOON, gates=GATES)


async def test_a_cost_guard_that_comes_late_is_waited_for(bus: Bus) -> None:
    asking = asyncio.create_task(hold(bus, task_id="t", payments=pays(tiktok=1), now_s=NOON, gates=GATES))
    await asyncio.sleep(0.3)
    async with guarding(bus):
        assert isinstance(await asking, Held)


async def test_an_older_cost_guard_that_knows_no_gates_is_not_believed(bus: Bus) -> None:
    async def grant(request: ReserveRequest, caller: Caller) -> ReserveReply:
        return ReserveReply(granted_nusd=request.want_nusd)

    await bus.serve(COST_RESERVE, grant)
    with pytest.raises(GateError, match="knows no gates"):
        await hold(bus, task_id="t", payments=pays(tiktok=1), now_s=NOON, gates=GATES)


async def test_a_deal_that_pays_nothing_needs_no_cost_guard(bus: Bus) -> None:
    assert isinstance(await hold(bus, task_id="t", payments=[], now_s=NOON, gates=GATES), Held)


@given(
    st.floats(0, 4e9),
    st.lists(st.tuples(st.sampled_from(["tiktok", "spotify"]), st.integers(0, 10**18 // 12))),
)
def test_every_part_of_a_deal_counts_at_its_platform_and_all_of_it_at_the_day(
    now_s: float, amounts: list[tuple[str, int]]
) -> None:
    payments = [Payment(platform=name, terms="", most_nusd=amount) for name, amount in amounts[:12]]
    request = reservation("t" * 64, payments, now_s, GATES)
    total = sum(payment.most_nusd for payment in payments)
    deal, *platforms, day = request.gates
    assert deal.amount_nusd == day.amount_nusd == request.want_nusd == total
    assert sum(gate.amount_nusd or 0 for gate in platforms) == total
    assert 0 < request.lease_s <= 86_400
    assert day_of(now_s) == day_of(day_end_s(now_s) - 1) != day_of(day_end_s(now_s))
    assert len({gate.name for gate in request.gates}) == len(request.gates)


def test_a_deal_of_too_many_payments_is_refused() -> None:
    with pytest.raises(ValueError, match="13 payments are more than the 12"):
        reservation("t", pays(tiktok=1) * 13, time.time(), GATES)


def test_dollars_are_rounded_up() -> None:
    assert [usd(0), usd(1), usd(1_250 * NUSD_PER_USD)] == ["$0.00", "$0.01", "$1,250.00"]
