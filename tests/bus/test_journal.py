"""A journal has one writer at a time, whatever happens to it, and gives back what was written."""

import asyncio

import pytest
from natsserver import NatsServer

from bus import Bus, BusError, BusOptions, FencedError, open_bus
from bus.journal import ENTRY_BYTES_MAX, Journal
from bus.streams import LEDGER


def journal(bus: Bus) -> Journal[list[int], dict[str, int]]:
    return bus.journal(LEDGER, "ledger", list[int], dict[str, int])


async def test_what_was_written_is_read_again_in_order(bus: Bus, second_bus: Bus) -> None:
    writer = journal(bus)
    assert await writer.open() == (None, [])
    for number in range(5):
        await writer.append([number])
    state, entries = await journal(second_bus).open()
    assert state is None
    assert [entry for _, entry in entries] == [[0], [1], [2], [3], [4]]


async def test_a_snapshot_spares_what_lies_before_it(bus: Bus, second_bus: Bus) -> None:
    writer = journal(bus)
    await writer.open()
    await writer.append([1])
    await writer.append_snapshot({"sum": 1})
    await writer.append([2])
    reader = journal(second_bus)
    state, entries = await reader.open()
    assert state == {"sum": 1}
    assert [entry for _, entry in entries] == [[2]]
    await reader.append([3])  # it knows where the stream ends
    assert [entry async for _, entry in journal(bus).read()] == [[1], [2], [3]]


async def test_of_two_writers_the_one_who_does_not_know_the_others_entry_is_refused(
    bus: Bus, second_bus: Bus
) -> None:
    first, second = journal(bus), journal(second_bus)
    await first.open()
    await second.open()
    await first.append([1])
    with pytest.raises(FencedError, match="somebody else wrote behind 0"):
        await second.append([2])
    with pytest.raises(FencedError):
        await second.append_snapshot({})
    await second.open()
    await second.append([2])
    with pytest.raises(FencedError):
        await first.append([3])


async def test_writers_in_a_race_never_both_write_behind_the_same_entry(bus: Bus, second_bus: Bus) -> None:
    async def write(one: Bus, name: int) -> int:
        written = 0
        for _ in range(30):
            mine = journal(one)
            await mine.open()
            try:
                for _ in range(3):
                    await mine.append([name])
                    written += 1
            except FencedError:
                pass
        return written

    written = await asyncio.gather(write(bus, 1), write(second_bus, 2))
    entries = [entry async for _, entry in journal(bus).read()]
    assert [entries.count([1]), entries.count([2])] == written


async def test_an_entry_whose_confirmation_was_lost_is_written_once(
    server: NatsServer, options: BusOptions
) -> None:
    async with open_bus(options) as bus:
        writer = journal(bus)
        await writer.open()
        for number in range(20):
            append = asyncio.create_task(writer.append([number]))
            if number in (5, 12):
                await asyncio.sleep(0)
                server.kill()
                server.start()
            await append
        assert [entry async for _, entry in journal(bus).read()] == [[number] for number in range(20)]


async def test_only_what_was_written_since_a_moment_is_read(bus: Bus) -> None:
    import time

    writer = journal(bus)
    await writer.open()
    await writer.append([1])
    await asyncio.sleep(0.05)
    since_s = time.time()
    await asyncio.sleep(0.05)
    await writer.append([2])
    assert [entry async for _, entry in journal(bus).read(since_s=since_s)] == [[2]]
    assert [entry async for _, entry in journal(bus).read(since_s=time.time() + 60)] == []


async def test_an_entry_that_is_too_large_is_refused_and_harms_nothing(bus: Bus) -> None:
    writer = journal(bus)
    await writer.open()
    with pytest.raises(BusError, match=f"exceed the limit of {ENTRY_BYTES_MAX} bytes"):
        await writer.append([0] * ENTRY_BYTES_MAX)
    await writer.append([1])
