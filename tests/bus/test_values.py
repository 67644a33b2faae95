"""Key-value buckets, objects, presence, gathers and letters of the server itself."""

import asyncio
import time

import msgspec
import pytest
from events import assigned, assigned_ids, findings, requested
from until import until_async

from bus import Bus, BusError, ConflictError, Envelope, ObjectError, Outputs, Subscription
from schemas.review import ReviewAssigned, ReviewFindings, ReviewRequested
from schemas.task import TaskStepFailed


class Value(msgspec.Struct, frozen=True):
    number: int


async def test_a_value_is_written_only_over_the_revision_that_was_read(bus: Bus, second_bus: Bus) -> None:
    one, two = bus.bucket("T", Value), second_bus.bucket("T", Value)
    await one.ensure()
    await two.ensure()
    assert await one.get("k") is None
    first = await one.update("k", Value(1), 0)
    with pytest.raises(ConflictError):
        await two.update("k", Value(2), 0)
    second = await two.update("k", Value(3), first)
    assert await one.get("k") == (Value(3), second)
    with pytest.raises(ConflictError):
        await one.update("k", Value(4), first)
    assert await one.values() == {"k": Value(3)}
    await one.delete("k")
    assert await two.get("k") is None
    assert await two.values() == {}


async def test_a_value_of_another_type_or_over_the_limit_is_refused(bus: Bus) -> None:
    class Other(msgspec.Struct):
        number: str

    bucket, other = bus.bucket("T", Value), bus.bucket("T", Other)
    await bucket.ensure()
    await other.put("k", Other("x" * 10))
    with pytest.raises(BusError, match=r"\$\.number"):
        await bucket.get("k")
    with pytest.raises(BusError, match="exceed the limit"):
        await other.put("k", Other("x" * 600_000))


async def test_an_object_is_what_its_digest_says(bus: Bus, second_bus: Bus) -> None:
    import hashlib

    data = bytes(range(256)) * 4_000
    await bus.objects.put("o", data)
    assert await second_bus.objects.get("o", sha256=hashlib.sha256(data).hexdigest()) == data
    assert await second_bus.objects.has("o")
    assert not await second_bus.objects.has("p")
    with pytest.raises(ObjectError, match="SHA-256 differs"):
        await bus.objects.get("o", sha256="0" * 64)
    with pytest.raises(ObjectError, match="none of this name"):
        await bus.objects.get("p")


async def test_a_gather_returns_what_there_is_at_the_deadline_and_names_the_rest(bus: Bus) -> None:
    async def plan(event: ReviewRequested, envelope: Envelope) -> Outputs:
        return [assigned(index, 4) for index in range(4)]

    async def review(event: ReviewAssigned, envelope: Envelope) -> Outputs:
        if event.index == 1:
            await asyncio.sleep(30)
        if event.index == 2:
            return TaskStepFailed(agent="r", event_type=envelope.tag, event_id=envelope.id, reason="no")
        return findings(event.index)

    await bus.run(Subscription(durable="planner", listens=(ReviewRequested,), handle=plan))
    await bus.run(Subscription(durable="reviewer", listens=(ReviewAssigned,), handle=review))
    task = await bus.submit(requested())
    expected = assigned_ids(task, 4)
    started = time.monotonic()
    gathered = await bus.gather(ReviewFindings, task_id=task, expected=expected, deadline_s=time.time() + 1.0)
    assert 0.9 < time.monotonic() - started < 2.5
    assert [part.index for part, _ in gathered.parts] == [0, 3]
    assert gathered.failed == {expected[2]: "no"}
    assert gathered.missing == [expected[1]]


async def test_a_quorum_is_enough(bus: Bus) -> None:
    for index in range(3):
        cause = Envelope(
            subject=f"lv.review.assigned.v1.t.e{index}", id=f"e{index}", tag="review.assigned.v1", task_id="t"
        )
        await bus.outbox.commit([findings(index)], cause=cause, durable="r")
    gathered = await bus.gather(
        ReviewFindings,
        task_id="t",
        expected=["e0", "e1", "e2", "e3"],
        deadline_s=time.time() + 20,
        quorum=3,
    )
    assert len(gathered.parts) == 3


async def test_an_event_that_kills_its_worker_every_time_becomes_a_letter(bus: Bus) -> None:
    """The worker never answers: after attempts_max deliveries the next one writes a letter without a call."""
    calls = 0

    async def hang(event: ReviewAssigned, envelope: Envelope) -> Outputs:
        nonlocal calls
        calls += 1
        await asyncio.Event().wait()
        return None

    subscription = Subscription(
        durable="reviewer", listens=(ReviewAssigned,), handle=hang, ack_wait_s=0.5, attempts_max=2
    )
    await bus.publish(assigned(0), task_id="t")
    for _ in range(3):
        worker = await bus.run(subscription)
        await asyncio.sleep(0.4)
        # As kill -9 would leave it: nothing is answered any more, nobody says that it works.
        assert worker._keeper is not None
        worker._keeper.cancel()
        for loop in worker._loops:
            await loop.stop()
        for hand in list(worker._in_hand):
            hand.reply = "nowhere"
            if hand.task:
                hand.task.cancel()
        await asyncio.sleep(0.5)
        bus._workers.clear()
    await until_async(bus.letters.list)
    (letter,) = await bus.letters.list()
    assert letter.reason == "its worker died or was stopped at every attempt"
    assert calls == 2


async def test_presence_tells_who_is_there(bus: Bus, second_bus: Bus) -> None:
    async def plan(event: ReviewRequested, envelope: Envelope) -> Outputs:
        return None

    await bus.run(Subscription(durable="planner", listens=(ReviewRequested,), handle=plan))
    await until_async(second_bus.presence.processes)
    (process,) = await second_bus.presence.processes()
    assert [agent.durable for agent in process.agents] == ["planner"]
    await bus.drain(0.1)
    assert await second_bus.presence.processes() == []


async def test_notes_reach_who_watches_now(bus: Bus, second_bus: Bus) -> None:
    async with second_bus.notes("t") as notes:
        for _ in range(2):  # the client's PING may overtake what it has not yet written
            await second_bus.connection.client.flush()
        await bus.note("t", "reviewer-1", "looking")
        assert await asyncio.wait_for(notes.get(), 30) == ("reviewer-1", "looking")
