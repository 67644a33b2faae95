"""Two nodes as processes of their own, the leader killed and frozen: one negotiation for each cycle."""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import cyclesnode
import pytest
from natsserver import NatsServer
from until import until, until_async

from agents.negotiator import switch
from agents.negotiator.cycles import programmes
from agents.negotiator.cycles.runner import lease_name
from bus import Bus, Envelope, Subscription
from bus.envelope import parse_time
from bus.lease import LEASE_AGE_S
from schemas.negotiation import CycleRecord, NegotiationAgreed, NegotiationRequested

INTERVAL_S = 1.0


class Nodes:
    def __init__(self, server: NatsServer) -> None:
        self._url = server.url
        self.running: dict[int, subprocess.Popen[bytes]] = {}

    def start(self, name: str) -> int:
        arguments = (str(Path(cyclesnode.__file__)), self._url, "p", str(INTERVAL_S), name)
        process = subprocess.Popen((sys.executable, *arguments), stdout=subprocess.DEVNULL)
        self.running[process.pid] = process
        return process.pid

    def kill(self, pid: int) -> None:
        os.kill(pid, signal.SIGKILL)
        os.kill(pid, signal.SIGCONT)
        self.running.pop(pid).wait(10)


@pytest.fixture
def nodes(server: NatsServer) -> Iterator[Nodes]:
    nodes = Nodes(server)
    yield nodes
    for pid in list(nodes.running):
        nodes.kill(pid)


async def leader(bus: Bus) -> int:
    holder = await bus.lease(lease_name("p")).holder()
    return holder.pid if holder else 0


async def leads(bus: Bus, but: int = 0) -> int:
    """Process id of who leads, as soon as it is another one than `but`."""
    pid = 0

    async def is_other() -> bool:
        nonlocal pid
        pid = await leader(bus)
        return pid not in (0, but)

    await until_async(is_other, within_s=40)
    return pid


async def test_the_leader_killed_or_frozen_for_longer_than_its_lease_leaves_one_negotiation_for_each_cycle(
    bus: Bus, nodes: Nodes
) -> None:
    asked: list[tuple[str, float]] = []

    async def agree(event: NegotiationRequested, envelope: Envelope) -> NegotiationAgreed:
        asked.append((event.cycle, parse_time(envelope.time)))
        digest = f"{len(asked):064x}"  # never twice the same, or the programme would pause
        return NegotiationAgreed(
            goal=event.goal, deal={}, payments=(), amount_nusd=1, digest=digest, cycle=event.cycle
        )

    await bus.run(Subscription(durable="negotiator", listens=(NegotiationRequested,), handle=agree))
    await bus.lease("warm").bucket.ensure()
    nodes.start("a")
    nodes.start("b")
    first = await leads(bus)
    await until(lambda: len(asked) >= 2, within_s=40)

    nodes.kill(first)
    count = len(asked)
    second = await leads(bus, but=first)
    await until(lambda: len(asked) >= count + 2, within_s=40)

    nodes.start("c")
    for _ in range(2):
        os.kill(second, signal.SIGSTOP)
        stopped_at = time.monotonic()
        third = await leads(bus, but=second)
        count = len(asked)
        await until(
            lambda: len(asked) >= count + 2 and time.monotonic() > stopped_at + 2 * LEASE_AGE_S,  # noqa: B023
            within_s=40,
        )
        os.kill(second, signal.SIGCONT)
        count = len(asked)
        await until(lambda: len(asked) >= count + 2, within_s=40)  # noqa: B023
        second = await leads(bus)
        assert second in nodes.running
        assert third in nodes.running

    assert max(Counter(cycle for cycle, _ in asked).values()) == 1
    for cycle, at_s in asked:
        number = int(cycle.split(" ")[1])
        assert number * INTERVAL_S <= at_s, "no cycle before its time"
    stored = Counter([cycle async for cycle in _agreed(bus, asked)])
    assert stored == Counter(cycle for cycle, _ in asked)
    found = await programmes(bus).get("p")
    assert found is not None
    numbers = [one.number for one in found[0].recent]
    assert numbers == sorted(set(numbers), reverse=True)


async def _agreed(bus: Bus, asked: list[tuple[str, float]]) -> AsyncIterator[str]:
    """Every deal of these cycles, as the stream has it."""
    for cycle, _ in asked:
        task_id = f"cycle-{cycle.replace(' ', '-')}"

        async def is_over(task_id: str = task_id) -> bool:
            kinds = [type(event) async for event, _ in bus.events(task_id, only_stored=True)]
            return NegotiationAgreed in kinds

        await until_async(is_over)
        async for event, _ in bus.events(task_id, only_stored=True):
            if isinstance(event, NegotiationAgreed):
                yield event.cycle


async def test_a_switch_that_is_stopped_from_here_stops_nodes_elsewhere(bus: Bus, nodes: Nodes) -> None:
    asked: list[str] = []

    async def note(event: NegotiationRequested, envelope: Envelope) -> None:
        asked.append(event.cycle)

    await bus.run(Subscription(durable="negotiator", listens=(NegotiationRequested,), handle=note))
    await switch.set(bus, is_stopped=True, by="ada")
    await programmes(bus).ensure()
    nodes.start("a")

    async def recent() -> tuple[CycleRecord, ...]:
        found = await programmes(bus).get("p")
        return found[0].recent if found else ()

    async def has_skipped() -> bool:
        return len(await recent()) >= 2

    await until_async(has_skipped, within_s=40)
    assert {one.state for one in await recent()} == {"skipped"}
    assert asked == []
