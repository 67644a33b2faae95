"""Request and reply: deadlines, nobody there, errors, pieces, callers that leave."""

import asyncio
import time
from collections.abc import AsyncIterator

import msgspec
import pytest

from bus import Bus, Caller, DeadlineError, NoResponderError, PayloadTooLargeError, RemoteError, Service


class Ask(msgspec.Struct, frozen=True):
    text: str
    count: int = 1


class Told(msgspec.Struct, frozen=True):
    text: str


ECHO = Service("test.echo", Ask, Told)


async def echo(request: Ask, caller: Caller) -> Told:
    if request.text == "fail":
        raise RuntimeError("broken with token=abc123secret")
    if request.text == "sleep":
        await asyncio.sleep(30)
    return Told(text=f"{request.text} {caller.task_id}".strip())


async def count(request: Ask, caller: Caller) -> AsyncIterator[Told]:
    for number in range(request.count):
        yield Told(text=str(number))
        await asyncio.sleep(0)
    if request.text == "fail":
        raise RuntimeError("cut off")


async def test_an_answer_comes_back_with_the_task(bus: Bus, second_bus: Bus) -> None:
    await second_bus.serve(ECHO, echo)
    assert await bus.call(ECHO, Ask("hello"), timeout_s=5, task_id="t1") == Told("hello t1")


async def test_nobody_there_is_known_at_once(bus: Bus) -> None:
    started = time.monotonic()
    with pytest.raises(NoResponderError, match=r"nobody serves test\.echo"):
        await bus.call(ECHO, Ask("hello"), timeout_s=5)
    assert time.monotonic() - started < 1


async def test_the_deadline_ends_the_wait_and_the_work(bus: Bus, second_bus: Bus) -> None:
    ended = asyncio.Event()

    async def slow(request: Ask, caller: Caller) -> Told:
        try:
            await asyncio.sleep(30)
        finally:
            ended.set()
        return Told("never")

    await second_bus.serve(ECHO, slow)
    started = time.monotonic()
    with pytest.raises((DeadlineError, RemoteError)):
        await bus.call(ECHO, Ask("sleep"), timeout_s=0.4)
    assert time.monotonic() - started < 1.0
    await asyncio.wait_for(ended.wait(), 2)


async def test_an_error_of_the_server_reaches_the_caller_without_secrets(bus: Bus, second_bus: Bus) -> None:
    await second_bus.serve(ECHO, echo)
    with pytest.raises(RemoteError) as caught:
        await bus.call(ECHO, Ask("fail"), timeout_s=5)
    assert caught.value.kind == "RuntimeError"
    assert "broken" in str(caught.value)
    assert "abc123secret" not in str(caught.value)


async def test_an_answer_may_come_in_pieces(bus: Bus, second_bus: Bus) -> None:
    await second_bus.serve(ECHO, pieces=count)
    pieces = [told.text async for told in bus.stream(ECHO, Ask("x", 500), timeout_s=10)]
    assert pieces == [str(number) for number in range(500)]


async def test_pieces_before_an_error_are_kept(bus: Bus, second_bus: Bus) -> None:
    await second_bus.serve(ECHO, pieces=count)
    stream = bus.stream(ECHO, Ask("fail", 3), timeout_s=5)
    assert [(await anext(stream)).text for _ in range(3)] == ["0", "1", "2"]
    with pytest.raises(RemoteError, match="cut off"):
        await anext(stream)


async def test_a_caller_that_leaves_stops_the_work(bus: Bus, second_bus: Bus) -> None:
    stopped = asyncio.Event()

    async def endless(request: Ask, caller: Caller) -> AsyncIterator[Told]:
        try:
            while True:
                yield Told("again")
                await asyncio.sleep(0.01)
        finally:
            stopped.set()

    await second_bus.serve(ECHO, pieces=endless)
    stream = bus.stream(ECHO, Ask("x"), timeout_s=30)
    assert (await anext(stream)).text == "again"
    await stream.aclose()
    await asyncio.wait_for(stopped.wait(), 2)


async def test_servers_share_the_requests(bus: Bus, second_bus: Bus) -> None:
    served = {"one": 0, "two": 0}

    async def one(request: Ask, caller: Caller) -> Told:
        served["one"] += 1
        return Told("one")

    async def two(request: Ask, caller: Caller) -> Told:
        served["two"] += 1
        return Told("two")

    await bus.serve(ECHO, one)
    await second_bus.serve(ECHO, two)
    await asyncio.gather(*(bus.call(ECHO, Ask("x"), timeout_s=5) for _ in range(100)))
    assert served["one"] + served["two"] == 100
    assert min(served.values()) > 10


async def test_more_requests_than_a_server_takes_are_refused_at_once(bus: Bus, second_bus: Bus) -> None:
    await second_bus.serve(ECHO, echo, concurrency=2)
    calls = [asyncio.create_task(bus.call(ECHO, Ask("sleep"), timeout_s=1.0)) for _ in range(2)]
    await asyncio.sleep(0.1)
    with pytest.raises(RemoteError, match="works on 2 requests"):
        await bus.call(ECHO, Ask("hello"), timeout_s=5)
    await asyncio.gather(*calls, return_exceptions=True)


async def test_a_request_of_another_shape_is_refused_with_its_path(bus: Bus, second_bus: Bus) -> None:
    class Wrong(msgspec.Struct):
        text: int

    await second_bus.serve(ECHO, echo)
    with pytest.raises(RemoteError, match=r"\$\.text"):
        await bus.call(Service("test.echo", Wrong, Told), Wrong(text=1), timeout_s=5)


async def test_a_request_over_the_servers_limit_is_said_with_numbers(bus: Bus, second_bus: Bus) -> None:
    await second_bus.serve(ECHO, echo)
    with pytest.raises(PayloadTooLargeError, match="exceeds the server's limit of 1048576 bytes"):
        await bus.call(ECHO, Ask("x" * 2_000_000), timeout_s=5)
