"""The server goes away and comes back: nothing is lost, nothing is done twice, work flows again at once."""

import asyncio
import time

from events import assigned, assigned_ids, findings, requested
from natsserver import NatsServer
from until import until

from bus import Bus, Envelope, Outputs, Subscription
from bus.reader import StreamReader
from bus.streams import EVENTS
from schemas.review import ReviewAssigned, ReviewFindings, ReviewRequested


def reviewer(handled: list[int], work_s: float = 0.0) -> Subscription:
    async def review(event: ReviewAssigned, envelope: Envelope) -> Outputs:
        await asyncio.sleep(work_s)
        handled.append(event.index)
        return findings(event.index)

    return Subscription(
        durable="reviewer", listens=(ReviewAssigned,), handle=review, concurrency=32, ack_wait_s=2.0
    )


async def test_work_flows_again_within_a_fifth_of_a_second_of_the_servers_return(
    bus: Bus, server: NatsServer
) -> None:
    handled: list[int] = []
    await bus.run(reviewer(handled))
    await bus.publish(assigned(0), task_id="t")
    await until(lambda: handled == [0])
    server.kill()
    await asyncio.sleep(1.0)
    waiting = asyncio.create_task(bus.publish(assigned(1), task_id="t"))
    await asyncio.sleep(0.1)
    server.start()  # returns when the server has written its port, which is when it listens
    back = time.monotonic()
    await until(lambda: handled == [0, 1])
    took_s = time.monotonic() - back
    await waiting
    print(f"handled {took_s * 1000:.0f} ms after the server's return")
    assert took_s < 1.0  # the goal of 0.2 s is measured in tests/bench; a busy machine may take longer


async def test_publishes_under_way_when_the_server_is_killed_are_stored_once(
    bus: Bus, server: NatsServer
) -> None:
    publishing = [asyncio.create_task(bus.publish(assigned(index), task_id="t")) for index in range(2_000)]
    await asyncio.sleep(0.02)
    server.kill()
    await asyncio.sleep(0.5)
    server.start()
    await asyncio.gather(*publishing)
    indexes = [
        event.index
        async for event, _ in bus.events("t", only_stored=True)
        if isinstance(event, ReviewAssigned)
    ]
    assert sorted(indexes) == list(range(2_000))


async def test_a_killed_server_loses_and_doubles_nothing_of_a_running_task(
    bus: Bus, server: NatsServer
) -> None:
    handled: list[int] = []

    async def plan(event: ReviewRequested, envelope: Envelope) -> Outputs:
        return [assigned(index, 200) for index in range(200)]

    await bus.run(Subscription(durable="planner", listens=(ReviewRequested,), handle=plan))
    await bus.run(reviewer(handled, work_s=0.05))
    task = await bus.submit(requested())
    gathering = asyncio.create_task(
        bus.gather(
            ReviewFindings, task_id=task, expected=assigned_ids(task, 200), deadline_s=time.time() + 40
        )
    )
    for _ in range(3):
        await until(lambda: len(handled) > 5)
        server.kill()
        await asyncio.sleep(0.3)
        server.start()
        await asyncio.sleep(0.1)
    gathered = await gathering
    assert [part.index for part, _ in gathered.parts] == list(range(200))
    stored = [
        event.index
        async for event, _ in bus.events(task, only_stored=True)
        if isinstance(event, ReviewFindings)
    ]
    assert sorted(stored) == list(range(200))


async def test_a_submit_while_the_server_is_away_is_stored_when_it_is_back(
    bus: Bus, server: NatsServer
) -> None:
    server.kill()
    await asyncio.sleep(0.3)
    submitting = asyncio.create_task(bus.submit(requested(), task_id="patient"))
    await asyncio.sleep(0.5)
    assert not submitting.done()
    server.start()
    assert await asyncio.wait_for(submitting, 5) == "patient"


async def test_a_frozen_server_is_not_a_lost_one(bus: Bus, server: NatsServer) -> None:
    handled: list[int] = []
    await bus.run(reviewer(handled))
    server.freeze()
    publishing = [asyncio.create_task(bus.publish(assigned(index), task_id="t")) for index in range(50)]
    await asyncio.sleep(4.0)  # longer than the heartbeat's patience and than the first resend
    server.thaw()
    await asyncio.gather(*publishing)
    await until(lambda: len(handled) >= 50)
    assert sorted(handled) == list(range(50))


async def test_a_reader_goes_on_where_it_was(bus: Bus, server: NatsServer) -> None:
    async with StreamReader(bus.connection, EVENTS, ("lv.review.assigned.v1.t.>",)) as reader:
        await bus.publish(assigned(0), task_id="t", event_id="e0")
        assert (await reader.read()).subject.endswith("e0")
        server.kill()
        await asyncio.sleep(0.3)
        server.start()
        for index in range(1, 4):
            await bus.publish(assigned(index), task_id="t", event_id=f"e{index}")
        subjects = [(await asyncio.wait_for(reader.read(), 5)).subject[-2:] for _ in range(3)]
        assert subjects == ["e1", "e2", "e3"]


async def test_a_deleted_consumer_is_made_again(bus: Bus) -> None:
    handled: list[int] = []
    await bus.run(reviewer(handled))
    await bus.publish(assigned(0), task_id="t")
    await until(lambda: handled == [0])
    await bus.connection.api(f"CONSUMER.DELETE.{EVENTS}.reviewer")
    await bus.publish(assigned(1), task_id="t")
    await until(lambda: 1 in handled)
    # The new consumer starts from the beginning; what is done already leaves no second effect.
    stored = [
        event async for event, _ in bus.events("t", only_stored=True) if isinstance(event, ReviewFindings)
    ]
    assert len(stored) == 2
