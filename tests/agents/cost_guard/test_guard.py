"""The cost guard on a real bus: groups, waiting, takeover, and what it tells others."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from until import until_async

from agents.cost_guard.books import Batch, books, read_records
from agents.cost_guard.guard import CostGuard
from agents.cost_guard.ledger import Limits
from bus import Bus, FencedError
from bus.budget import Budget
from bus.envelope import time_text
from schemas.cost import CallRecord, CostRecorded, CostThresholdCrossed, Outcome, ReserveReply, ReserveRequest
from schemas.ids import new_id

LIMITS = Limits(month_nusd=1_000, stop_percent=90)


@asynccontextmanager
async def guarding(bus: Bus, limits: Limits = LIMITS) -> AsyncIterator[CostGuard]:
    guard = CostGuard(bus=bus, limits=limits, channel="#cost-alerts")
    running = asyncio.create_task(guard.run())
    try:
        yield guard
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def reserve(
    budget: Budget, call_id: str, money: int, *, wait_s: float = 0.0, **more: object
) -> ReserveReply:
    request = ReserveRequest(
        call_id=call_id,
        min_nusd=money,
        want_nusd=money,
        lease_s=more.pop("lease_s", 30.0),  # type: ignore[arg-type]
        wait_until=time_text(time.time() + wait_s) if wait_s else "",
        **more,  # type: ignore[arg-type]
    )
    return await budget.reserve(request, deadline_s=time.time() + 10)


async def test_of_200_callers_at_once_exactly_those_with_money_are_granted(bus: Bus, second_bus: Bus) -> None:
    async with guarding(bus):
        budgets = (Budget(bus), Budget(second_bus))
        answers = await asyncio.gather(*(reserve(budgets[n % 2], f"c{n}", 45) for n in range(200)))
    granted = [answer for answer in answers if answer.granted_nusd]
    assert len(granted) == 20
    refused = next(answer.refused for answer in answers if answer.refused)
    assert (refused.stop_nusd, refused.reserved_nusd, refused.limit_nusd) == (900, 900, 1_000)


async def test_callers_that_may_wait_get_the_money_that_others_give_back(bus: Bus) -> None:
    budget = Budget(bus)
    async with guarding(bus):

        async def call(number: int) -> bool:
            answer = await reserve(budget, f"c{number}", 450, wait_s=8)
            if answer.granted_nusd is None:
                return False
            await asyncio.sleep(0.01)
            budget.settle(CallRecord(call_id=f"c{number}", cost_nusd=45))
            return True

        served = sum(await asyncio.gather(*(call(n) for n in range(40))))
        await budget.flush(5)
        state = await budget.state()
    # Each holds ten times what it costs, and still nearly all of the money is used.
    assert state is not None
    assert state.month.spent_nusd == served * 45
    assert served >= 10


async def test_a_caller_that_leaves_gives_back_what_it_held_or_waited_for(bus: Bus) -> None:
    budget = Budget(bus)
    async with guarding(bus):
        await reserve(budget, "a", 900)
        waiting = asyncio.create_task(reserve(budget, "b", 900, wait_s=20))
        await asyncio.sleep(0.2)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        budget.release("a")
        await budget.flush(5)
        assert (await reserve(budget, "c", 900)).granted_nusd == 900


async def test_a_lease_that_runs_out_frees_or_charges_as_was_asked(bus: Bus) -> None:
    budget = Budget(bus)
    async with guarding(bus):
        await reserve(budget, "sent", 400, lease_s=0.5)
        await reserve(budget, "never-sent", 500, lease_s=0.5, on_expiry="release")

        async def swept() -> bool:
            state = await budget.state()
            return state is not None and state.open_reservations == 0

        await until_async(swept)
        state = await budget.state()
        assert state is not None
        assert (state.month.spent_nusd, state.month.reserved_nusd) == (400, 0)
    records = [record async for record in read_records(bus)]
    assert [(record.call_id, record.outcome, record.cost_nusd) for record in records] == [
        ("sent", Outcome.UNKNOWN, 400)
    ]


async def test_whoever_takes_over_knows_what_is_held_and_spent(bus: Bus, second_bus: Bus) -> None:
    budget = Budget(bus)
    async with guarding(bus):
        await reserve(budget, "a", 300, task_id="t1")
        await reserve(budget, "b", 300, task_id="t1")
        budget.settle(CallRecord(call_id="a", task_id="t1", cost_nusd=200))
        await budget.flush(5)
    async with guarding(second_bus):
        state = await budget.state(timeout_s=8)
        assert state is not None
        assert (state.month.spent_nusd, state.month.reserved_nusd) == (200, 300)
        assert (await reserve(budget, "b", 300)).granted_nusd == 300, "the same call asks again"
        assert (await reserve(budget, "c", 401)).granted_nusd is None
        assert (await reserve(budget, "d", 400)).granted_nusd == 400


async def test_a_standby_leads_within_seconds_and_callers_only_wait(bus: Bus, second_bus: Bus) -> None:
    budget = Budget(bus)
    async with guarding(second_bus) as standby:
        async with guarding(bus):
            await reserve(budget, "a", 100)
        # The first has left; asking goes on as if nothing had happened.
        assert (await reserve(budget, "b", 800)).granted_nusd == 800
        assert standby.is_leading.is_set()


async def test_a_leader_that_was_replaced_cannot_write(bus: Bus, second_bus: Bus) -> None:
    first, second = books(bus), books(second_bus)
    await first.open()
    await first.append(Batch(epoch=1))
    await second.open()
    await second.append(Batch(epoch=2))
    try:
        await first.append(Batch(epoch=1))
    except FencedError:
        pass
    else:
        raise AssertionError("the old leader wrote")


async def test_a_guard_whose_journal_was_written_by_another_steps_down_without_answering(
    bus: Bus, second_bus: Bus
) -> None:
    budget = Budget(bus)
    async with guarding(bus):
        await reserve(budget, "a", 500)
        intruder = books(second_bus)
        await intruder.open()
        await intruder.append(Batch(epoch=99))
        # Its grant can't be stored, so it isn't given; it reads again, leads again, and then grants.
        assert (await reserve(budget, "b", 400)).granted_nusd == 400
        assert (await reserve(budget, "c", 1)).granted_nusd is None


async def test_calls_of_a_task_and_thresholds_are_told_once(bus: Bus, second_bus: Bus) -> None:
    budget, task_id = Budget(bus), new_id()
    for source in (bus, second_bus):  # the second tells again what the first may not have told
        async with guarding(source):
            for number in range(3):
                call_id = f"{task_id}-{number}"
                await reserve(budget, call_id, 300, task_id=task_id)
                budget.settle(CallRecord(call_id=call_id, task_id=task_id, cost_nusd=300))
                await budget.flush(5)
            await reserve(budget, "too-much", 10)

            async def told() -> bool:
                return len([1 async for _ in bus.events(task_id, only_stored=True)]) >= 3

            await until_async(told)
    events = [event async for event, _ in bus.events(task_id, only_stored=True)]
    assert [event.task_spent_nusd for event in events if isinstance(event, CostRecorded)][-1] == 900
    assert len(events) == 3
    month = f"cost-{time.strftime('%Y-%m', time.gmtime())}"
    alerts = [event async for event, _ in bus.events(month, only_stored=True)]
    said = sorted(
        (alert.percent, alert.is_stop, alert.channel)
        for alert in alerts
        if isinstance(alert, CostThresholdCrossed)
    )
    assert said == [(50, False, "#cost-alerts"), (75, False, "#cost-alerts"), (90, True, "#cost-alerts")]


async def test_state_survives_snapshots(bus: Bus, second_bus: Bus, monkeypatch) -> None:
    monkeypatch.setattr("agents.cost_guard.guard.SNAPSHOT_ENTRIES", 5)
    budget = Budget(bus)
    async with guarding(bus, Limits(month_nusd=10_000, stop_percent=100)):
        for number in range(17):
            await reserve(budget, f"c{number}", 100)
            budget.settle(CallRecord(call_id=f"c{number}", cost_nusd=90))
        await budget.flush(5)
    snapshot, entries = await books(second_bus).open()
    assert snapshot is not None
    assert len(entries) < 17
    async with guarding(second_bus, Limits(month_nusd=10_000, stop_percent=100)):
        state = await budget.state(timeout_s=8)
        assert state is not None
        assert state.month.spent_nusd == 17 * 90
        budget.settle(CallRecord(call_id="c3", cost_nusd=90))  # settled long ago
        await budget.flush(5)
        state = await budget.state()
        assert state is not None
        assert state.month.spent_nusd == 17 * 90
    assert len([record async for record in read_records(bus)]) == 17
