"""Gates: money of deals is held against its own limits alone, and never more than they allow."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from until import until_async

from agents.cost_guard.books import Batch, Snapshot, books
from agents.cost_guard.guard import CostGuard
from agents.cost_guard.ledger import GATED_MAX, Granted, Ledger, LedgerState, Limits, Refused, Reservation
from bus import Bus
from bus.budget import Budget
from bus.envelope import time_text
from schemas.cost import OVER, CallRecord, Gate, ReserveReply, ReserveRequest

NOVEMBER = 1_795_000_000.0
LIMITS = Limits(month_nusd=1_000, stop_percent=90, task_nusd=300)
DAY = "deals 2026-11-21"


def ask(call_id: str, money: int, *gates: Gate, lease_s: float = 10.0, **more: object) -> ReserveRequest:
    return ReserveRequest(
        call_id=call_id,
        min_nusd=money,
        want_nusd=money,
        lease_s=lease_s,
        gates=gates or (Gate(name=DAY, limit_nusd=500),),
        **more,  # type: ignore[arg-type]
    )


def test_a_deals_money_is_held_against_its_gates_and_not_against_the_models_month_or_task() -> None:
    ledger = Ledger(LIMITS)
    gate = Gate(name=DAY, limit_nusd=10_000)
    assert ledger.reserve(ask("a", 5_000, gate, task_id="t"), NOVEMBER) == Granted(5_000)
    assert ledger.state.gates[DAY].held_nusd == 5_000
    [month, task] = ledger.budgets("t", "")
    assert (month.reserved_nusd, task.reserved_nusd) == (0, 0)


def test_what_is_decided_after_its_day_has_ended_is_refused_whole() -> None:
    """Yesterday's gates are empty again the moment their day ends: they must let nothing through."""
    ledger = Ledger(LIMITS)
    end = time_text(NOVEMBER + 5)
    assert ledger.reserve(ask("a", 400, lease_s=5.0, not_after=end), NOVEMBER) == Granted(400)
    ledger.sweep(NOVEMBER + 5, end)
    late = ledger.reserve(ask("b", 400, lease_s=2.0, not_after=end), NOVEMBER + 5.5)
    assert isinstance(late, Refused)
    assert (late.budget.limit, late.may_fit_later) == (OVER, False)
    assert "b" not in ledger.state.open


def test_a_refusal_names_the_gate_and_holds_nothing_against_the_others() -> None:
    ledger = Ledger(LIMITS)
    wide, narrow = Gate(name=DAY, limit_nusd=500), Gate(name="deals tiktok 2026-11-21", limit_nusd=99)
    refused = ledger.reserve(ask("a", 100, wide, narrow), NOVEMBER)
    assert isinstance(refused, Refused)
    assert refused.budget.limit == "deals tiktok 2026-11-21"
    assert not refused.may_fit_later
    assert ledger.state.gates == {}


def test_each_gate_counts_its_own_part_and_a_name_that_comes_twice_counts_twice() -> None:
    ledger = Ledger(LIMITS)
    parts = (
        Gate(name="tiktok", limit_nusd=200, amount_nusd=120),
        Gate(name="spotify", limit_nusd=200, amount_nusd=80),
        Gate(name="spotify", limit_nusd=200, amount_nusd=100),
    )
    assert ledger.reserve(ask("a", 300, *parts), NOVEMBER) == Granted(300)
    assert {name: one.held_nusd for name, one in ledger.state.gates.items()} == {
        "tiktok": 120,
        "spotify": 180,
    }
    assert isinstance(ledger.reserve(ask("b", 21, Gate(name="spotify", limit_nusd=200)), NOVEMBER), Refused)


def test_the_same_deal_asks_twice_and_is_held_once() -> None:
    ledger = Ledger(LIMITS)
    assert ledger.reserve(ask("a", 400), NOVEMBER) == Granted(400)
    assert ledger.reserve(ask("a", 400), NOVEMBER) == Granted(400)
    assert ledger.state.gates[DAY].held_nusd == 400


def test_a_gate_that_asks_to_be_charged_at_the_end_gives_its_money_back_all_the_same() -> None:
    ledger = Ledger(LIMITS)
    ledger.reserve(ask("a", 400, on_expiry="charge"), NOVEMBER)
    ledger.sweep(NOVEMBER + 10, "")
    assert ledger.state.gates == {}, "an account without anything is not kept"
    assert ledger.state.months.get("2026-11") is None
    assert ledger.reserve(ask("b", 500), NOVEMBER) == Granted(500)


def test_release_gives_a_gate_its_money_back() -> None:
    ledger = Ledger(LIMITS)
    ledger.reserve(ask("a", 400), NOVEMBER)
    assert ledger.release("a") == 400
    assert ledger.release("a") == 0
    assert ledger.state.gates == {}


def test_what_was_settled_under_a_gate_stays_spent() -> None:
    ledger = Ledger(LIMITS)
    ledger.reserve(ask("a", 400), NOVEMBER)
    ledger.settle(CallRecord(call_id="a", cost_nusd=300), NOVEMBER)
    assert (ledger.state.gates[DAY].held_nusd, ledger.state.gates[DAY].spent_nusd) == (0, 300)
    assert isinstance(ledger.reserve(ask("b", 201), NOVEMBER), Refused)


def test_deals_that_last_all_day_leave_room_for_models_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agents.cost_guard.ledger.GATED_MAX", 3)
    assert GATED_MAX < 10_000
    ledger = Ledger(LIMITS)
    answers = [ledger.reserve(ask(f"d{n}", 1), NOVEMBER) for n in range(4)]
    assert [type(answer) for answer in answers] == [Granted] * 3 + [Refused]
    call = ReserveRequest(call_id="c", min_nusd=1, want_nusd=1, lease_s=10)
    assert ledger.reserve(call, NOVEMBER) == Granted(1)


def test_journals_and_snapshots_from_before_gates_are_read() -> None:
    batch = b'{"epoch":1,"entries":[["reserved",["a",100,1795000010.0,"2026-11","t","","","","","charge"]]]}'
    state = LedgerState()
    ledger = Ledger(LIMITS, state)
    ledger.replay(msgspec.json.decode(batch, type=Batch).entries)
    assert state.open["a"] == Reservation(
        call_id="a", amount_nusd=100, until_s=1_795_000_010.0, month="2026-11", task_id="t"
    )
    snapshot = msgspec.json.decode(
        b'{"epoch":1,"state":{"month":"2026-11","months":{"2026-11":[5,7]}}}', type=Snapshot
    )
    assert (snapshot.state.months["2026-11"].held_nusd, snapshot.state.gates) == (7, {})


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["gated", "gated", "call", "settle", "release", "sweep", "restart"]),
        st.integers(0, 9),
        st.integers(0, 300),
        st.lists(
            st.tuples(st.sampled_from("abc"), st.one_of(st.none(), st.integers(0, 200))),
            min_size=1,
            max_size=3,
        ),
    ),
    max_size=60,
)
LIMIT_OF = {"a": 100, "b": 250, "c": 400}


@settings(max_examples=200, deadline=None)
@given(STEPS)
def test_no_gate_is_ever_passed_and_replay_and_snapshots_give_the_same_state(steps: list[tuple]) -> None:
    ledger, entries, now = Ledger(LIMITS), [], NOVEMBER
    for kind, number, money, names in steps:
        now += 1
        call_id = f"c{number}"
        if kind == "gated":
            gates = (Gate(name=name, limit_nusd=LIMIT_OF[name], amount_nusd=part) for name, part in names)
            ledger.reserve(ask(call_id, money, *gates, task_id="t"), now)
        elif kind == "call":
            ledger.reserve(ReserveRequest(call_id=call_id, min_nusd=0, want_nusd=money, lease_s=10), now)
        elif kind == "settle" and (held := ledger.state.open.get(call_id)):
            ledger.settle(CallRecord(call_id=call_id, cost_nusd=min(money, held.amount_nusd)), now)
        elif kind == "release":
            ledger.release(call_id)
        elif kind == "sweep":
            now += 8
            ledger.sweep(now, "")
        elif kind == "restart":
            snapshot = Snapshot(epoch=2, state=ledger.state)
            stored = msgspec.json.decode(msgspec.json.encode(snapshot), type=Snapshot)
            assert stored.state == ledger.state
            entries += ledger.entries
            ledger = Ledger(LIMITS, stored.state)
        for name, account in ledger.state.gates.items():
            assert 0 <= account.held_nusd + account.spent_nusd <= LIMIT_OF[name], name
            assert account.held_nusd == sum(
                part for held in ledger.state.open.values() for gate, part in held.gates if gate == name
            )
        for month in ledger.state.months.values():
            assert 0 <= month.spent_nusd + month.held_nusd <= 900
    again = Ledger(LIMITS)
    batch = Batch(epoch=1, entries=(*entries, *ledger.entries))
    again.replay(msgspec.json.decode(msgspec.json.encode(batch), type=Batch).entries)
    again.state.month = ledger.state.month
    assert again.state == ledger.state


@asynccontextmanager
async def guarding(bus: Bus) -> AsyncIterator[CostGuard]:
    guard = CostGuard(bus=bus, limits=LIMITS)
    task = asyncio.create_task(guard.run())
    try:
        yield guard
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def reserve(bus: Bus, call_id: str, money: int, *gates: Gate, lease_s: float = 60.0) -> ReserveReply:
    return await Budget(bus).reserve(
        ask(call_id, money, *gates, lease_s=lease_s), deadline_s=time.time() + 20
    )


async def highest_held(bus: Bus, name: str) -> int:
    """The most that was ever held and spent under a gate, as a second accountant reads it."""
    ledger, highest = Ledger(LIMITS), 0
    async for _, batch in books(bus).read():
        for entry in batch.entries:
            ledger.apply(entry)
            if account := ledger.state.gates.get(name):
                highest = max(highest, account.held_nusd + account.spent_nusd)
    return highest


async def test_of_50_deals_at_once_through_a_change_of_leader_no_more_than_the_gate_are_let_through(
    bus: Bus, second_bus: Bus
) -> None:
    async with AsyncExitStack() as leading:
        first = await leading.enter_async_context(guarding(bus))
        await asyncio.wait_for(first.is_leading.wait(), 10)
        async with guarding(second_bus) as standby:
            early = await asyncio.gather(*(reserve(bus, f"d{n}", 45) for n in range(25)))
            late = [asyncio.create_task(reserve(bus, f"d{n}", 45)) for n in range(50)]
            await asyncio.sleep(0)
            await leading.aclose()
            answers = await asyncio.gather(*late)
            assert standby.is_leading.is_set()
    assert [one.granted_nusd for one in answers[:25]] == [one.granted_nusd for one in early], (
        "the same answers"
    )
    assert sum(one.granted_nusd == 45 for one in answers) == 11
    assert all(one.is_gated for one in answers)
    assert await highest_held(bus, DAY) == 11 * 45 <= 500


async def test_a_gates_lease_ends_by_itself(bus: Bus) -> None:
    async with guarding(bus):
        assert (await reserve(bus, "a", 500, lease_s=0.5)).granted_nusd == 500

        async def is_free() -> bool:
            return (await reserve(bus, "b", 500)).granted_nusd == 500

        await until_async(is_free)


async def test_a_full_group_of_the_longest_gates_fits_into_one_entry(bus: Bus) -> None:
    gates = tuple(Gate(name=f"{number:->96}", limit_nusd=10**18) for number in range(16))
    async with guarding(bus):
        answers = await asyncio.gather(
            *(reserve(bus, f"{number:->128}", 10**12, *gates) for number in range(300))
        )
    assert all(answer.granted_nusd == 10**12 for answer in answers)
