"""Programmes on a real bus: one negotiation for each cycle, whatever happens to the nodes."""

import asyncio
import hashlib
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import msgspec
import pytest
from cyclesnode import REQUEST
from natsserver import NatsServer
from until import until, until_async

from agents.negotiator import switch
from agents.negotiator.cycles import Patience, ProgrammeError, Runner, programmes, resume
from agents.negotiator.cycles.programme import cycle_task_id
from agents.negotiator.cycles.runner import lease_name
from bus import Bus, DuplicateTaskError, Envelope, Subscription
from bus.envelope import now_text
from schemas.negotiation import (
    CycleRecord,
    NegotiationAgreed,
    NegotiationNoDeal,
    NegotiationRequested,
    Programme,
)

PATIENT = Patience(identical=1_000)


@dataclass
class Responder:
    """Agrees on everything at once, unless it is told otherwise."""

    is_identical: bool = True
    has_deal: bool = True
    may_answer: asyncio.Event = field(default_factory=asyncio.Event)
    asked: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.may_answer.set()

    async def handle(
        self, event: NegotiationRequested, envelope: Envelope
    ) -> NegotiationAgreed | NegotiationNoDeal:
        self.asked.append(event.cycle)
        await self.may_answer.wait()
        if not self.has_deal:
            return NegotiationNoDeal(kind="no_deal", reason="tiktok wants too much", cycle=event.cycle)
        said = "same" if self.is_identical else event.cycle
        digest = hashlib.sha256(said.encode()).hexdigest()
        return NegotiationAgreed(
            goal=event.goal, deal={}, payments=(), amount_nusd=1, digest=digest, cycle=event.cycle
        )

    def subscription(self) -> Subscription:
        return Subscription(durable="negotiator", listens=(NegotiationRequested,), handle=self.handle)


@dataclass
class Told:
    cycles: list[CycleRecord] = field(default_factory=list)

    def __call__(self, record: CycleRecord, programme: Programme) -> None:
        self.cycles.append(record)

    def of(self, state: str) -> list[CycleRecord]:
        return [one for one in self.cycles if one.state == state]


@asynccontextmanager
async def running(
    bus: Bus,
    tell: Told,
    *,
    interval_s: float = 1.0,
    patience: Patience = PATIENT,
    clock: Callable[[], float] = time.time,
) -> AsyncIterator[Runner]:
    stop = asyncio.Event()
    programme = Programme(name="p", request=REQUEST, interval_s=interval_s)
    runner = Runner(bus=bus, programme=programme, tell=tell, patience=patience, clock=clock)
    task = asyncio.create_task(runner.run(stop))
    try:
        yield runner
    finally:
        stop.set()
        await asyncio.wait_for(task, 10)


async def known(bus: Bus) -> Programme:
    found = await programmes(bus).get("p")
    assert found is not None
    return found[0]


async def put(bus: Bus, *recent: CycleRecord, interval_s: float, **more: object) -> None:
    """The record as an earlier leader left it."""
    bucket = programmes(bus)
    await bucket.ensure()
    programme = Programme(name="p", request=REQUEST, interval_s=interval_s, recent=recent, **more)  # type: ignore[arg-type]
    await bucket.put("p", programme)


def cycle(number: int, state: str = "running") -> CycleRecord:
    return CycleRecord(
        number=number,
        task_id=cycle_task_id("p", number),
        at=now_text(),
        state=state,  # type: ignore[arg-type]
    )


async def test_each_cycle_has_one_negotiation_and_its_deal_is_recorded(bus: Bus) -> None:
    responder, told = Responder(), Told()
    await bus.run(responder.subscription())
    async with running(bus, told):
        await until(lambda: len(told.of("agreed")) >= 3, within_s=30)
    programme = await known(bus)
    agreed = [one for one in programme.recent if one.state == "agreed"]
    assert len({one.number for one in agreed}) == len(agreed) >= 3
    assert {one.amount_nusd for one in agreed} == {1}
    assert len(responder.asked) == len(set(responder.asked))
    assert responder.asked[0] == f"p {agreed[-1].number}"
    assert programme.identical >= 3


@pytest.mark.parametrize("at", ["running", "agreed", "skipped"])
async def test_whoever_hears_of_a_cycle_can_end_the_runner_right_there(bus: Bus, at: str) -> None:
    responder, stop = Responder(), asyncio.Event()
    await bus.run(responder.subscription())

    def tell(record: CycleRecord, programme: Programme) -> None:
        if record.state == "running" and at == "skipped":
            responder.may_answer.clear()
        if record.state == at:
            stop.set()

    programme = Programme(name="p", request=REQUEST, interval_s=1.0)
    await asyncio.wait_for(Runner(bus=bus, programme=programme, tell=tell).run(stop), 20)
    assert await bus.lease(lease_name("p")).holder() is None, "the lease was given back"
    responder.may_answer.set()


async def test_while_a_negotiation_is_not_over_cycles_are_skipped(bus: Bus) -> None:
    responder, told = Responder(), Told()
    responder.may_answer.clear()
    await bus.run(responder.subscription())
    async with running(bus, told):
        await until(lambda: len(told.of("skipped")) >= 2, within_s=30)
        assert len(responder.asked) == 1
        assert "is not over yet" in told.of("skipped")[0].why
        responder.may_answer.set()
        await until(lambda: len(told.of("agreed")) >= 2, within_s=30)
    assert (await known(bus)).missed >= 2


async def test_after_a_gap_only_the_latest_cycle_is_made_up_for(bus: Bus) -> None:
    number = int(time.time() // 3_600)
    await put(bus, cycle(number - 40, "agreed"), interval_s=3_600)
    responder, told = Responder(), Told()
    await bus.run(responder.subscription())
    late_s = 0.2 * 3_600  # behind every jitter
    start_s = time.time()
    async with running(
        bus, told, interval_s=3_600, clock=lambda: number * 3_600 + late_s + time.time() - start_s
    ):
        await until(lambda: told.of("agreed"), within_s=30)
    programme = await known(bus)
    assert [one.number for one in programme.recent] == [number, number - 40]
    assert programme.missed == 39
    assert told.cycles[0].why == "the 39 before it were missed"


async def test_a_clock_that_goes_back_begins_no_cycle_twice(bus: Bus) -> None:
    responder, told = Responder(), Told()
    await bus.run(responder.subscription())
    back_s = 0.0
    async with running(bus, told, clock=lambda: time.time() - back_s):
        await until(lambda: len(told.of("agreed")) >= 2, within_s=30)
        back_s = 3.0
        count = len(told.of("agreed"))
        await until(lambda: len(told.of("agreed")) > count, within_s=30)
    numbers = [one.number for one in told.of("running")]
    assert len(numbers) == len(set(numbers))
    assert max(Counter(responder.asked).values()) == 1


async def test_a_stopped_switch_skips_cycles_and_says_who_stopped_it(bus: Bus) -> None:
    responder, told = Responder(), Told()
    await bus.run(responder.subscription())
    await switch.set(bus, is_stopped=True, by="ada", reason="odd deals")
    async with running(bus, told):
        await until(lambda: len(told.of("skipped")) >= 2, within_s=30)
        assert responder.asked == []
        assert told.cycles[0].why.startswith("stopped by ada at ")
        assert told.cycles[0].why.endswith(": odd deals")
        await switch.set(bus, is_stopped=False, by="ada")
        await until(lambda: told.of("agreed"), within_s=30)


async def test_a_switch_that_is_gone_stops_cycles_until_it_is_there_again(bus: Bus) -> None:
    responder, told = Responder(), Told()
    await bus.run(responder.subscription())
    async with running(bus, told):
        await until(lambda: told.of("agreed"), within_s=30)
        await bus.connection.api("STREAM.DELETE.KV_SWITCHES")
        await until(lambda: any("can't be read" in one.why for one in told.cycles), within_s=30)
        count = len(responder.asked)
        await until(lambda: sum("can't be read" in one.why for one in told.cycles) >= 2, within_s=30)
        assert len(responder.asked) == count
        await switch.set(bus, is_stopped=False, by="ada")
        await until(lambda: len(responder.asked) > count, within_s=30)


async def test_identical_deals_in_a_row_pause_the_programme_until_somebody_resumes_it(bus: Bus) -> None:
    responder, told = Responder(), Told()
    await bus.run(responder.subscription())
    async with running(bus, told, patience=Patience(identical=2)):

        async def is_paused() -> bool:
            found = await programmes(bus).get("p")
            return found is not None and bool(found[0].paused_why)

        await until_async(is_paused, within_s=30)
        assert (await known(bus)).paused_why == "2 identical deals in a row"
        assert len(responder.asked) == 2
        await asyncio.sleep(1.5)  # a whole cycle
        assert len(responder.asked) == 2
        responder.is_identical = False
        bucket = programmes(bus)
        found = await bucket.get("p")
        assert found is not None
        await bucket.update("p", resume(found[0], time.time()), found[1])
        await until(lambda: len(responder.asked) >= 4, within_s=30)
    assert (await known(bus)).missed >= 1


async def test_a_negotiation_that_somebody_calls_off_is_a_veto(bus: Bus) -> None:
    responder, told = Responder(), Told()
    responder.may_answer.clear()
    await bus.run(responder.subscription())
    async with running(bus, told, interval_s=3_600):
        await until(lambda: responder.asked, within_s=30)
        await bus.cancel(told.cycles[0].task_id, by="ada", reason="no")
        await until(lambda: told.of("cancelled"), within_s=30)
    programme = await known(bus)
    assert (programme.vetoes, programme.recent[0].why) == (1, "by ada: no")


async def test_a_cycle_that_was_written_down_by_a_leader_who_died_begins_once(
    bus: Bus, second_bus: Bus
) -> None:
    responder = Responder()
    await bus.run(responder.subscription())
    number = int(time.time() // 3_600)
    await put(bus, cycle(number), interval_s=3_600, leader="elsewhere:1/1")
    told = Told()

    def clock() -> float:
        return number * 3_600 + 1.0

    async with (
        running(bus, told, interval_s=3_600, clock=clock),
        running(second_bus, told, interval_s=3_600, clock=clock),
    ):
        await until(lambda: told.of("agreed"), within_s=30)
    assert responder.asked == [f"p {number}"]
    with pytest.raises(DuplicateTaskError):  # what the former leader would still publish
        await bus.submit(REQUEST, task_id=cycle_task_id("p", number))


async def test_a_negotiation_that_ended_while_nobody_led_is_recorded_before_the_next_cycle(bus: Bus) -> None:
    responder, told = Responder(), Told()
    await bus.run(responder.subscription())
    old = int(time.time() // 3_600) - 1
    await bus.submit(msgspec.structs.replace(REQUEST, cycle=f"p {old}"), task_id=cycle_task_id("p", old))
    await until(lambda: responder.asked, within_s=30)
    await put(bus, cycle(old), interval_s=3_600, leader="elsewhere:1/1")
    start_s = (old + 1) * 3_600 + 0.2 * 3_600
    async with running(bus, told, interval_s=3_600, clock=lambda: start_s):
        await until(lambda: len(told.of("agreed")) == 2, within_s=30)
    assert [one.number for one in told.of("agreed")] == [old, old + 1]


async def test_what_a_frozen_leader_publishes_after_its_cycle_is_passed_over_has_no_effect(bus: Bus) -> None:
    responder, told = Responder(), Told()
    await bus.run(responder.subscription())
    old = int(time.time() // 3_600) - 1
    await put(bus, cycle(old), interval_s=3_600, leader="elsewhere:1/1")
    start_s = (old + 1) * 3_600 + 0.2 * 3_600
    async with running(bus, told, interval_s=3_600, clock=lambda: start_s):
        await until(lambda: told.of("skipped"), within_s=30)
        assert "its leader left before it began" in told.of("skipped")[0].why
        await until(lambda: told.of("agreed"), within_s=30)
        late = msgspec.structs.replace(REQUEST, cycle="late")
        await bus.submit(late, task_id=cycle_task_id("p", old))
        await bus.submit(msgspec.structs.replace(REQUEST, cycle="another"), task_id="another")
        await until(lambda: "another" in responder.asked, within_s=30)
    assert responder.asked == [f"p {old + 1}", "another"]
    assert [one.state for one in (await known(bus)).recent] == ["agreed", "skipped"]


async def test_a_leader_whose_place_was_taken_does_nothing_any_more(bus: Bus) -> None:
    responder, told = Responder(), Told()
    await bus.run(responder.subscription())
    async with running(bus, told, interval_s=3_600):
        await until(lambda: told.of("agreed"), within_s=30)
        found = await programmes(bus).get("p")
        assert found is not None
        lost = msgspec.structs.replace(found[0], leader="elsewhere:1/99", recent=())
        await programmes(bus).put("p", lost)

        async def is_back() -> bool:
            return (await known(bus)).leader != "elsewhere:1/99"

        await until_async(is_back, within_s=30)  # it stood by, and leads again
    assert max(Counter(responder.asked).values()) == 1


async def test_another_interval_under_the_same_name_is_refused(bus: Bus) -> None:
    await put(bus, interval_s=60)
    programme = Programme(name="p", request=REQUEST, interval_s=61)
    with pytest.raises(ProgrammeError, match="programme p has a cycle every 60 s"):
        await Runner(bus=bus, programme=programme).run(asyncio.Event())


async def test_of_too_many_programmes_the_oldest_that_does_not_pause_is_forgotten(
    bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agents.negotiator.cycles.runner.PROGRAMMES_MAX", 3)
    bucket = programmes(bus)
    await bucket.ensure()
    for name, why in (("first", "vetoed"), ("second", ""), ("third", "")):
        await bucket.put(name, Programme(name=name, request=REQUEST, interval_s=60, paused_why=why))
    await bus.run(Responder().subscription())
    told = Told()
    async with running(bus, told):
        await until(lambda: told.of("agreed"), within_s=30)
    assert sorted(await bucket.values()) == ["first", "p", "third"]


async def test_cycles_go_on_after_the_server_was_killed(bus: Bus, server: NatsServer) -> None:
    responder, told = Responder(), Told()
    await bus.run(responder.subscription())
    async with running(bus, told):
        await until(lambda: told.of("agreed"), within_s=30)
        await asyncio.to_thread(server.kill)
        await asyncio.sleep(1.0)
        await asyncio.to_thread(server.start)
        count = len(told.of("agreed"))
        await until(lambda: len(told.of("agreed")) > count + 1, within_s=60)
    agreed = Counter(one.number for one in told.of("agreed"))
    assert max(agreed.values()) == 1
