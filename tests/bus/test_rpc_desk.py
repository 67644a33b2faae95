"""A desk takes requests for one leader: answered later, together, or never."""

import asyncio
import time

import msgspec
import pytest
from nats.aio.client import Client
from natsserver import NatsServer
from until import until

from bus import Bus, DeadlineError, NoResponderError, RemoteError, Service
from bus.rpc_desk import PendingRequest


class Question(msgspec.Struct):
    number: int


class Reply(msgspec.Struct):
    number: int


SERVICE = Service("test.desk", Question, Reply)
Pending = PendingRequest[Question, Reply]


async def test_requests_are_answered_when_the_leader_is_ready_in_any_order(bus: Bus, second_bus: Bus) -> None:
    taken: list[Pending] = []
    desk = bus.desk(SERVICE, taken.append)
    await desk.open()
    calls = [
        asyncio.create_task(second_bus.call(SERVICE, Question(number=n), timeout_s=5)) for n in range(10)
    ]
    await until(lambda: len(taken) == 10)
    for pending in reversed(taken):
        await pending.answer(Reply(number=pending.request.number * 2))
    assert [reply.number for reply in await asyncio.gather(*calls)] == [n * 2 for n in range(10)]
    await desk.close()
    with pytest.raises(NoResponderError):
        await second_bus.call(SERVICE, Question(number=1), timeout_s=5)


async def test_a_silent_former_leader_does_not_hide_the_one_who_answers(bus: Bus, second_bus: Bus) -> None:
    silent: list[Pending] = []
    former = bus.desk(SERVICE, silent.append)
    await former.open()

    async def answer(pending: Pending) -> None:
        await pending.answer(Reply(number=7))

    answers: list[asyncio.Task[None]] = []
    leader = second_bus.desk(SERVICE, lambda pending: answers.append(asyncio.create_task(answer(pending))))
    await leader.open()
    for _ in range(5):
        assert (await bus.call(SERVICE, Question(number=1), timeout_s=5)).number == 7
    assert len(silent) == 5
    await former.close()
    await leader.close()


async def test_a_request_can_be_refused_once(bus: Bus, second_bus: Bus) -> None:
    async def refuse(pending: Pending) -> None:
        await pending.refuse("Nope", "not\ntoday")
        await pending.answer(Reply(number=1))  # too late: it was refused

    tasks: list[asyncio.Task[None]] = []
    desk = bus.desk(SERVICE, lambda pending: tasks.append(asyncio.create_task(refuse(pending))))
    await desk.open()
    with pytest.raises(RemoteError, match="not today") as caught:
        await second_bus.call(SERVICE, Question(number=1), timeout_s=5)
    assert caught.value.kind == "Nope"
    await desk.close()


async def test_a_caller_that_gives_up_is_told_of(bus: Bus, second_bus: Bus) -> None:
    taken: list[Pending] = []
    left: list[str] = []
    desk = bus.desk(SERVICE, taken.append, on_cancel=left.append)
    await desk.open()
    with pytest.raises(DeadlineError):
        await second_bus.call(SERVICE, Question(number=1), timeout_s=0.1)
    await until(lambda: left == [taken[0].request_id])
    await desk.close()


async def test_nonsense_and_late_requests_never_reach_the_leader(bus: Bus, server: NatsServer) -> None:
    taken: list[Pending] = []
    desk = bus.desk(SERVICE, taken.append)
    await desk.open()
    client = Client()
    await client.connect(server.url)
    answer = await client.request("rpc.test.desk", b"{", timeout=2)
    assert answer.headers is not None
    assert answer.headers["lv-error"] == "DecodeError"
    await client.publish("rpc.test.desk", b'{"number": 1}', headers={"ce-deadline": "2020-01-01T00:00:00Z"})
    answer = await client.request("rpc.test.desk", b"{}", timeout=2, headers={"ce-deadline": "soon"})
    assert answer.headers is not None
    assert "RFC 3339" in answer.headers["lv-message"]
    await client.publish("rpc.test.desk", b'{"number": 2}')
    await until(lambda: len(taken) == 1)
    assert taken[0].request.number == 2
    assert taken[0].deadline_s > time.time()
    await taken[0].answer(Reply(number=1))  # nobody waits for it
    await client.close()
    await desk.close()
