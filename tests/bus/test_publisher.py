"""Publishing: limits, duplicates, full streams, large payloads."""

import asyncio
import time

import pytest
from events import assigned, findings, requested
from nats.aio.client import Client
from natsserver import NatsServer
from until import until, until_async

from bus import (
    AlreadyHandledError,
    Bus,
    BusOptions,
    ConnectError,
    ConnectOptions,
    DuplicateTaskError,
    Envelope,
    Outputs,
    PayloadTooLargeError,
    StreamFullError,
    StreamLimits,
    Subscription,
    open_bus,
)
from schemas.review import NotReviewed, ReviewAssigned, ReviewFindings, ReviewRequested, SourceFile


async def test_a_task_id_is_taken_once(bus: Bus, second_bus: Bus) -> None:
    assert await bus.submit(requested("a"), task_id="t1") == "t1"
    with pytest.raises(DuplicateTaskError, match="t1 is taken"):
        await second_bus.submit(requested("b"), task_id="t1")
    names = [
        event.name
        async for event, _ in bus.events("t1", only_stored=True)
        if isinstance(event, ReviewRequested)
    ]
    assert names == ["a"]


async def test_an_event_id_is_stored_once(bus: Bus) -> None:
    await bus.publish(assigned(0), task_id="t", event_id="e")
    with pytest.raises(AlreadyHandledError):
        await bus.publish(findings(0), task_id="t", event_id="e")


@pytest.mark.parametrize("task_id", ["", "a.b", "a b", "*", ">", "x" * 65, "é", "a\nb"])
async def test_a_task_id_that_cannot_stand_in_a_subject_is_refused(bus: Bus, task_id: str) -> None:
    with pytest.raises(ValueError, match="can't stand in a subject"):
        await bus.publish(assigned(0), task_id=task_id)


async def test_a_full_stream_is_an_error_to_the_publisher_and_drops_nothing(server: NatsServer) -> None:
    options = BusOptions(connect=server.options, limits=StreamLimits(messages_max=10), grace_s=0.5)
    async with open_bus(options) as bus:
        for index in range(10):
            await bus.publish(assigned(index), task_id="t")
        started = time.monotonic()
        with pytest.raises(StreamFullError, match=r"bus\.stream_bytes_max"):
            await bus.publish(assigned(10), task_id="t", timeout_s=1.0)
        assert time.monotonic() - started >= 1.0
        stored = [event async for event, _ in bus.events("t", only_stored=True)]
        assert len(stored) == 10


async def test_publishing_to_a_full_stream_goes_on_when_there_is_room(server: NatsServer) -> None:
    options = BusOptions(connect=server.options, limits=StreamLimits(messages_max=10), grace_s=0.5)
    async with open_bus(options) as bus:
        for index in range(10):
            await bus.publish(assigned(index), task_id="done")
        waiting = asyncio.create_task(bus.publish(assigned(10), task_id="new"))
        await asyncio.sleep(0.3)
        assert not waiting.done()
        assert await bus.forget("done") == 10
        await asyncio.wait_for(waiting, 5)


async def test_a_handler_waits_for_room_and_commits_then(server: NatsServer) -> None:
    options = BusOptions(connect=server.options, limits=StreamLimits(messages_max=10), grace_s=0.5)

    async def review(event: ReviewAssigned, envelope: Envelope) -> Outputs:
        return [findings(event.index), findings(event.index)]

    async with open_bus(options) as bus:
        for index in range(9):
            await bus.publish(findings(index), task_id="done")
        await bus.run(Subscription(durable="reviewer", listens=(ReviewAssigned,), handle=review))
        await bus.publish(assigned(1), task_id="new")
        await asyncio.sleep(0.4)
        await bus.forget("done")

        async def committed() -> bool:
            found = [event async for event, _ in bus.events("new", only_stored=True)]
            return sum(isinstance(event, ReviewFindings) for event in found) == 2

        await until_async(committed)


async def test_a_payload_of_10_megabytes_travels_by_reference(bus: Bus) -> None:
    texts: list[str] = []

    async def plan(event: ReviewRequested, envelope: Envelope) -> Outputs:
        assert envelope.dataref
        texts.append(event.files[0].text)
        return None

    await bus.run(Subscription(durable="planner", listens=(ReviewRequested,), handle=plan))
    text = "x = 1\n" * 1_700_000
    await bus.submit(ReviewRequested(files=(SourceFile(path="a.py", text=text),)))
    await until(lambda: len(texts) == 1)
    assert texts == [text]


async def test_a_large_output_travels_by_reference(bus: Bus) -> None:
    async def review(event: ReviewAssigned, envelope: Envelope) -> Outputs:
        big = NotReviewed(path="p" * 600_000, reason="r")
        return [ReviewFindings(index=0, role="r", agent="a", not_reviewed=(big,)), findings(1)]

    await bus.run(Subscription(durable="reviewer", listens=(ReviewAssigned,), handle=review))
    await bus.publish(assigned(0), task_id="t")

    async def sizes() -> list[int]:
        return [
            len(event.not_reviewed)
            async for event, _ in bus.events("t", only_stored=True)
            if isinstance(event, ReviewFindings)
        ]

    await until_async(sizes)
    assert await sizes() == [1, 0]


async def test_a_payload_over_the_limit_is_refused_with_numbers(server: NatsServer) -> None:
    async with open_bus(BusOptions(connect=server.options, object_bytes_max=1_000_000)) as bus:
        huge = ReviewRequested(files=(SourceFile(path="a.py", text="x" * 1_100_000),))
        with pytest.raises(PayloadTooLargeError, match=r"exceeds the limit of 1000000 bytes"):
            await bus.submit(huge)


async def test_a_foreign_payload_over_the_servers_limit_harms_nobody_else(
    bus: Bus, server: NatsServer
) -> None:
    """The server itself closes the connection of whoever sends more than max_payload."""
    foreign = Client()
    await foreign.connect(server.url, allow_reconnect=False, error_cb=_ignore)
    foreign._max_payload = 100_000_000
    await foreign.publish("lv.review.requested.v1.big", b"x" * 10_000_000)
    await until(lambda: foreign.is_closed)
    await bus.publish(assigned(0), task_id="t")
    assert [event async for event, _ in bus.events("big", only_stored=True)] == []


async def _ignore(error: Exception) -> None:
    pass


async def test_no_server_is_said_in_one_line_without_the_password() -> None:
    options = ConnectOptions(url="nats://me:hunter2@127.0.0.1:1", connect_timeout_s=0.5)
    with pytest.raises(ConnectError) as caught:
        async with open_bus(BusOptions(connect=options)):
            pass
    assert "hunter2" not in str(caught.value)
    assert "127.0.0.1:1" in str(caught.value)
    assert "\n" not in str(caught.value)


async def test_wrong_credentials_are_said_in_one_line(tmp_path: object) -> None:
    from pathlib import Path

    assert isinstance(tmp_path, Path)
    server = NatsServer(tmp_path / "auth", extra='authorization { user: "a", password: "right" }').start()
    try:
        options = ConnectOptions(url=server.url, user="a", password="wrong", connect_timeout_s=2)
        with pytest.raises(ConnectError, match="refused us") as caught:
            async with open_bus(BusOptions(connect=options)):
                pass
        assert "wrong" not in str(caught.value)
        right = ConnectOptions(url=server.url, user="a", password="right")
        async with open_bus(BusOptions(connect=right)) as bus:
            assert await bus.submit(requested())
    finally:
        server.stop()
