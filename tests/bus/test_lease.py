"""One process leads at a time; when it goes, in whatever way, another one does."""

import asyncio

from until import until

from bus import Bus, BusError
from bus.lease import LEASE_AGE_S, Tenure


class Leader:
    def __init__(self, bus: Bus, log: list[tuple[str, str, int]], name: str) -> None:
        self.lease = bus.lease("test")
        self.log, self.name = log, name
        self.leading = asyncio.Event()
        self.task = asyncio.create_task(self.lease.run(self.lead))

    async def lead(self, tenure: Tenure) -> None:
        self.log.append((self.name, "begins", tenure.fencing_token))
        self.leading.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.leading.clear()
            self.log.append((self.name, "ends", tenure.fencing_token))

    async def stop(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


async def test_one_leads_and_the_other_follows_when_it_leaves(bus: Bus, second_bus: Bus) -> None:
    log: list[tuple[str, str, int]] = []
    first = Leader(bus, log, "first")
    await asyncio.wait_for(first.leading.wait(), 5)
    second = Leader(second_bus, log, "second")
    await asyncio.sleep(LEASE_AGE_S * 1.5)
    assert not second.leading.is_set(), "a lease that is renewed is not lost"
    await first.stop()
    await asyncio.wait_for(second.leading.wait(), LEASE_AGE_S)
    await second.stop()
    assert [(name, what) for name, what, _ in log] == [
        ("first", "begins"),
        ("first", "ends"),
        ("second", "begins"),
        ("second", "ends"),
    ]
    assert log[2][2] > log[0][2], "the fencing token grows"


async def test_a_leader_that_falls_silent_is_replaced_and_stops_when_it_learns_of_it(
    bus: Bus, second_bus: Bus
) -> None:
    log: list[tuple[str, str, int]] = []
    first = Leader(bus, log, "first")
    await asyncio.wait_for(first.leading.wait(), 5)
    # As after a freeze: the key ran out and somebody else has it before the next renewal.
    stored = await first.lease.bucket.get("test")
    assert stored is not None
    await first.lease.bucket.purge("test")
    second = Leader(second_bus, log, "second")
    await asyncio.wait_for(second.leading.wait(), 5)
    await until(lambda: not first.leading.is_set(), within_s=3)
    await asyncio.gather(first.stop(), second.stop())


async def test_a_leader_that_fails_gives_the_lease_back(bus: Bus, second_bus: Bus) -> None:
    tries = []

    async def fail(tenure: Tenure) -> None:
        tries.append(tenure.fencing_token)
        raise BusError("the journal can't be read")

    failing = asyncio.create_task(bus.lease("test").run(fail))
    await until(lambda: len(tries) >= 2)
    log: list[tuple[str, str, int]] = []
    good = Leader(second_bus, log, "good")
    await asyncio.wait_for(good.leading.wait(), 5)
    failing.cancel()
    await asyncio.gather(failing, return_exceptions=True)
    assert tries == sorted(set(tries))
    await good.stop()


async def test_people_can_see_who_leads(bus: Bus) -> None:
    import os

    leader = Leader(bus, [], "me")
    await asyncio.wait_for(leader.leading.wait(), 5)
    holder = await leader.lease.holder()
    assert holder is not None
    assert holder.pid == os.getpid()
    await leader.stop()
    assert await leader.lease.holder() is None
