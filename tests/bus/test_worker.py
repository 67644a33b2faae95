"""How an event is handled: once, in time, by whoever lives."""

import asyncio
import time

import pytest
from events import assigned, assigned_ids, findings, requested
from nats.aio.client import Client
from natsserver import NatsServer
from until import until, until_async

from bus import Bus, BusOptions, Envelope, Outputs, PermanentError, RetryableError, Subscription, open_bus
from bus.streams import EVENTS
from schemas.event import Event
from schemas.review import ReviewAssigned, ReviewFindings, ReviewRequested
from schemas.task import TaskExpired, TaskStepFailed


async def planner(event: ReviewRequested, envelope: Envelope) -> Outputs:
    return [assigned(index, 10) for index in range(10)]


def subscribe(durable: str, listens: type[Event], handle: object, **kwargs: object) -> Subscription:
    return Subscription(durable=durable, listens=(listens,), handle=handle, **kwargs)  # type: ignore[arg-type]


async def stored(bus: Bus, task_id: str, kind: type[Event]) -> list[Event]:
    return [event async for event, _ in bus.events(task_id, only_stored=True) if isinstance(event, kind)]


async def consumer(bus: Bus, durable: str) -> dict[str, int]:
    return await bus.connection.api(f"CONSUMER.INFO.{EVENTS}.{durable}")


async def test_outputs_travel_from_agent_to_agent(bus: Bus) -> None:
    async def review(event: ReviewAssigned, envelope: Envelope) -> Outputs:
        return findings(event.index)

    await bus.run(subscribe("planner", ReviewRequested, planner))
    await bus.run(subscribe("reviewer", ReviewAssigned, review))
    task = await bus.submit(requested())
    gathered = await bus.gather(
        ReviewFindings, task_id=task, expected=assigned_ids(task, 10), deadline_s=time.time() + 5
    )
    assert [part.index for part, _ in gathered.parts] == list(range(10))
    assert not gathered.failed
    assert not gathered.missing


async def test_an_envelope_names_task_cause_and_source(bus: Bus) -> None:
    seen: list[Envelope] = []

    async def review(event: ReviewAssigned, envelope: Envelope) -> Outputs:
        seen.append(envelope)
        return None

    await bus.run(subscribe("planner", ReviewRequested, planner))
    await bus.run(subscribe("reviewer", ReviewAssigned, review))
    deadline = time.time() + 60
    task = await bus.submit(requested(), deadline_s=deadline)
    await until(lambda: len(seen) == 10)
    envelope = seen[0]
    assert envelope.task_id == task
    assert envelope.causation_id == task
    assert envelope.source == "test/planner"
    assert envelope.subject == f"lv.review.assigned.v1.{task}.{envelope.id}"
    assert envelope.deadline.startswith(time.strftime("%Y-%m-%dT%H", time.gmtime(deadline)))


async def test_a_poison_message_is_called_attempts_max_times_and_buried(bus: Bus) -> None:
    calls = 0

    async def fail(event: ReviewRequested, envelope: Envelope) -> Outputs:
        nonlocal calls
        calls += 1
        raise RetryableError("boom", delay_s=0.02)

    await bus.run(subscribe("planner", ReviewRequested, fail, attempts_max=4))
    task = await bus.submit(requested())

    async def buried() -> bool:
        return bool(await bus.letters.list())

    await until_async(buried)
    await asyncio.sleep(0.3)
    assert calls == 4
    (letter,) = await bus.letters.list()
    assert (letter.durable, letter.task_id, letter.attempts) == ("planner", task, 4)
    assert letter.reason == "failed 4 times"
    assert len(letter.history) == 3
    assert all("boom" in line for line in letter.history)
    (failed,) = await stored(bus, task, TaskStepFailed)
    assert isinstance(failed, TaskStepFailed)
    assert failed.agent == "planner"


async def test_a_bug_in_a_handler_is_retried_and_others_go_on(bus: Bus) -> None:
    handled: list[str] = []

    async def sometimes(event: ReviewRequested, envelope: Envelope) -> Outputs:
        if event.name == "bad" and envelope.attempt == 1:
            raise KeyError("a bug")
        handled.append(event.name)
        return None

    await bus.run(subscribe("planner", ReviewRequested, sometimes, concurrency=1))
    await bus.submit(requested("bad"))
    await bus.submit(requested("good"))
    await until(lambda: len(handled) == 2)
    assert handled == ["good", "bad"]


async def test_a_permanent_error_is_buried_at_once_without_its_secret(bus: Bus) -> None:
    async def refuse(event: ReviewRequested, envelope: Envelope) -> Outputs:
        raise PermanentError("login failed with password=hunter2 at https://me:topsecret@host/")

    await bus.run(subscribe("planner", ReviewRequested, refuse))
    task = await bus.submit(requested())
    await until_async(lambda: bus.letters.list())
    (letter,) = await bus.letters.list()
    assert letter.attempts == 1
    assert "hunter2" not in letter.error
    assert "topsecret" not in letter.error
    (failed,) = await stored(bus, task, TaskStepFailed)
    assert "hunter2" not in failed.reason  # type: ignore[attr-defined]


async def test_a_handler_longer_than_ack_wait_runs_once(bus: Bus) -> None:
    calls = 0

    async def slow(event: ReviewRequested, envelope: Envelope) -> Outputs:
        nonlocal calls
        calls += 1
        await asyncio.sleep(2.5)
        return assigned(0)

    await bus.run(subscribe("planner", ReviewRequested, slow, ack_wait_s=0.6))
    task = await bus.submit(requested())
    await until_async(lambda: stored(bus, task, ReviewAssigned))
    assert calls == 1


async def test_a_handler_that_blocks_the_loop_beyond_ack_wait_runs_once(bus: Bus) -> None:
    calls = 0

    async def blocking(event: ReviewRequested, envelope: Envelope) -> Outputs:
        nonlocal calls
        calls += 1
        time.sleep(1.5)
        await asyncio.sleep(0.2)
        return assigned(0)

    await bus.run(subscribe("planner", ReviewRequested, blocking, ack_wait_s=0.6))
    task = await bus.submit(requested())
    await until_async(lambda: stored(bus, task, ReviewAssigned))
    await asyncio.sleep(1.0)
    assert calls == 1
    assert (await consumer(bus, "planner"))["num_ack_pending"] == 0


async def test_one_slow_handler_blocks_nobody(bus: Bus) -> None:
    done: list[int] = []

    async def review(event: ReviewAssigned, envelope: Envelope) -> Outputs:
        if event.index == 0:
            await asyncio.sleep(1.5)
        done.append(event.index)
        return None

    await bus.run(subscribe("reviewer", ReviewAssigned, review, concurrency=4))
    started = time.monotonic()
    for index in range(40):
        await bus.publish(assigned(index), task_id="t")
    await until(lambda: len(done) == 39)
    assert time.monotonic() - started < 1.2
    assert 0 not in done


async def test_a_retry_with_delay_does_not_block_others(bus: Bus) -> None:
    done: list[int] = []
    failing = 5

    async def review(event: ReviewAssigned, envelope: Envelope) -> Outputs:
        if event.index < failing and envelope.attempt == 1:
            raise RetryableError("later", delay_s=2.0)
        done.append(event.index)
        return None

    # As many failing events as the server may have in hand: waiting naks would stop the consumer.
    await bus.run(subscribe("reviewer", ReviewAssigned, review, concurrency=5, max_ack_pending=5))
    started = time.monotonic()
    for index in range(failing + 20):
        await bus.publish(assigned(index), task_id="t")
    await until(lambda: len(done) == 20)
    assert time.monotonic() - started < 1.5
    await until(lambda: len(done) == 25)
    assert sorted(done) == list(range(25))


async def test_two_workers_that_race_on_one_event_commit_once(bus: Bus, second_bus: Bus) -> None:
    """Both get the event (the first is too slow for ack_wait and can't say so); one of the commits holds."""
    both = asyncio.Barrier(2)
    refused = 0

    async def racer(event: ReviewRequested, envelope: Envelope) -> Outputs:
        await asyncio.wait_for(both.wait(), 10)
        # Different types and numbers of outputs: they exclude one another all the same.
        return (
            [assigned(0), assigned(1)]
            if envelope.received == 1
            else TaskExpired(agent="x", event_type="", event_id="", deadline="")
        )

    first = await bus.run(subscribe("planner", ReviewRequested, racer, ack_wait_s=0.5))
    assert first._keeper is not None
    first._keeper.cancel()
    task = await bus.submit(requested())
    await asyncio.sleep(0.2)
    await second_bus.run(subscribe("planner", ReviewRequested, racer, ack_wait_s=0.5))
    await until(lambda: both.n_waiting == 0 and not first._running, within_s=10)
    await asyncio.sleep(0.5)
    events = [event async for event, _ in bus.events(task, only_stored=True)]
    kinds = [type(event).__name__ for event in events]
    assert kinds in (
        ["ReviewRequested", "ReviewAssigned", "ReviewAssigned"],
        ["ReviewRequested", "TaskExpired"],
    )
    assert refused == 0


async def test_300_raced_events_have_300_outputs(bus: Bus, second_bus: Bus) -> None:
    """Each event's outputs are committed by two workers at once."""
    from bus.errors import AlreadyHandledError

    outcomes = {"stored": 0, "refused": 0}

    async def commit(side: Bus, index: int) -> None:
        cause = Envelope(
            subject=f"lv.review.assigned.v1.race.e{index}",
            id=f"e{index}",
            tag="review.assigned.v1",
            task_id="race",
        )
        outputs = [findings(index)] if side is bus else [findings(index), findings(index)]
        try:
            await side.outbox.commit(outputs[: 1 + index % 2], cause=cause, durable="reviewer")
            outcomes["stored"] += 1
        except AlreadyHandledError:
            outcomes["refused"] += 1

    await asyncio.gather(*(commit(side, index) for index in range(300) for side in (bus, second_bus)))
    assert outcomes == {"stored": 300, "refused": 300}


async def test_a_malformed_payload_is_buried_and_others_go_on(bus: Bus, server: NatsServer) -> None:
    handled: list[str] = []

    async def plan(event: ReviewRequested, envelope: Envelope) -> Outputs:
        handled.append(event.name)
        return None

    await bus.run(subscribe("planner", ReviewRequested, plan, concurrency=1))
    foreign = Client()
    await foreign.connect(server.url)
    await foreign.publish("lv.review.requested.v1.t1", b"{not json")
    await foreign.publish("lv.review.requested.v1.t2", b'{"name": 7}')
    await foreign.publish("lv.review.requested.v1.t3.e1.extra", b"{}")
    await foreign.publish("lv.review.requested.v1.t4", b'{"name": "good", "from_the_future": 1}')
    await foreign.close()
    await until(lambda: handled == ["good"])

    async def three() -> bool:
        return len(await bus.letters.list()) == 3

    await until_async(three)
    errors = {letter.subject: letter.error for letter in await bus.letters.list()}
    assert "$.name" in errors["lv.review.requested.v1.t2"]
    assert "malformed" in errors["lv.review.requested.v1.t1"]
    assert "lv.review.requested.v1.t3.e1.extra" in errors


async def test_an_expired_event_is_dropped_with_a_fact(bus: Bus) -> None:
    calls = 0

    async def plan(event: ReviewRequested, envelope: Envelope) -> Outputs:
        nonlocal calls
        calls += 1
        return None

    task = await bus.submit(requested(), deadline_s=time.time() - 1)
    await bus.run(subscribe("planner", ReviewRequested, plan))
    await until_async(lambda: stored(bus, task, TaskExpired))
    assert calls == 0
    (expired,) = await stored(bus, task, TaskExpired)
    assert isinstance(expired, TaskExpired)
    assert expired.agent == "planner"
    assert 1 <= expired.late_s < 10


async def test_a_handler_is_stopped_at_the_deadline(bus: Bus) -> None:
    stopped = asyncio.Event()

    async def plan(event: ReviewRequested, envelope: Envelope) -> Outputs:
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            stopped.set()
            raise
        return None

    await bus.run(subscribe("planner", ReviewRequested, plan))
    task = await bus.submit(requested(), deadline_s=time.time() + 0.4)
    await asyncio.wait_for(stopped.wait(), 5)
    await until_async(lambda: stored(bus, task, TaskExpired))


async def test_what_belongs_to_a_cancelled_task_is_dropped_and_what_runs_is_stopped(bus: Bus) -> None:
    started, stopped, handled = asyncio.Event(), asyncio.Event(), []

    async def review(event: ReviewAssigned, envelope: Envelope) -> Outputs:
        handled.append(event.index)
        started.set()
        try:
            await asyncio.sleep(30 if envelope.task_id == "doomed" else 0)
        except asyncio.CancelledError:
            stopped.set()
            raise
        return None

    await bus.run(subscribe("reviewer", ReviewAssigned, review, concurrency=1))
    for index in range(5):
        await bus.publish(assigned(index), task_id="doomed")
    await bus.publish(assigned(99), task_id="other")
    await asyncio.wait_for(started.wait(), 5)
    await bus.cancel("doomed", by="test")
    await asyncio.wait_for(stopped.wait(), 5)
    await until(lambda: handled == [0, 99])
    await until_async(lambda: _none_pending(bus, "reviewer"))


async def _none_pending(bus: Bus, durable: str) -> bool:
    info = await consumer(bus, durable)
    return info["num_ack_pending"] == 0 and info["num_pending"] == 0


async def test_a_worker_that_starts_later_knows_earlier_cancellations(bus: Bus) -> None:
    handled: list[str] = []

    async def plan(event: ReviewRequested, envelope: Envelope) -> Outputs:
        handled.append(envelope.task_id)
        return None

    await bus.submit(requested(), task_id="doomed")
    await bus.cancel("doomed", by="test")
    await bus.submit(requested(), task_id="other")
    await bus.run(subscribe("planner", ReviewRequested, plan))
    await until_async(lambda: _none_pending(bus, "planner"))
    assert handled == ["other"]


async def test_a_foreign_publisher_may_repeat_itself(bus: Bus, server: NatsServer) -> None:
    """At-least-once publishers in other languages send no expectation: the address is the identity."""
    await bus.run(subscribe("planner", ReviewRequested, planner))
    foreign = Client()
    await foreign.connect(server.url)
    for _ in range(3):
        await foreign.publish("lv.review.requested.v1.order-66", b'{"name":"x"}')
        await foreign.flush()
        await asyncio.sleep(0.05)
    await foreign.close()
    await until_async(lambda: _none_pending(bus, "planner"))
    assert len(await stored(bus, "order-66", ReviewAssigned)) == 10


async def test_drain_finishes_what_runs_and_hands_back_the_rest(options: BusOptions) -> None:
    finished: list[int] = []

    async def review(event: ReviewAssigned, envelope: Envelope) -> Outputs:
        await asyncio.sleep(0.3)
        finished.append(event.index)
        return None

    subscription = subscribe("reviewer", ReviewAssigned, review, concurrency=16, ack_wait_s=30.0)
    async with open_bus(options) as bus:
        await bus.run(subscription)
        for index in range(30):
            await bus.publish(assigned(index), task_id="t")
        await until(lambda: len(bus._workers[0]._in_hand) >= 20)
        started = time.monotonic()
        await bus.drain(5.0)
        assert time.monotonic() - started < 1.5
        assert 16 <= len(finished) < 30
        first = len(finished)
        await bus.run(subscription)
        # ack_wait is 30 s: what comes at once was handed back.
        await until(lambda: len(finished) == 30, within_s=5)
        assert len(set(finished)) == 30
        assert first < 30


async def test_drain_hands_back_what_outlasts_the_grace_period(options: BusOptions) -> None:
    attempts: list[int] = []

    async def review(event: ReviewAssigned, envelope: Envelope) -> Outputs:
        attempts.append(envelope.received)
        if len(attempts) == 1:
            await asyncio.sleep(60)
        return None

    subscription = subscribe("reviewer", ReviewAssigned, review, ack_wait_s=30.0)
    async with open_bus(options) as bus:
        await bus.run(subscription)
        await bus.publish(assigned(0), task_id="t")
        await until(lambda: len(attempts) == 1)
        await bus.drain(0.2)
        await bus.run(subscription)
        await until(lambda: attempts == [1, 2], within_s=5)


async def test_a_dead_letter_can_be_replayed(bus: Bus) -> None:
    is_mended = False
    seen: list[tuple[str, int]] = []

    async def plan(event: ReviewRequested, envelope: Envelope) -> Outputs:
        seen.append(("planner", envelope.replay))
        if not is_mended:
            raise PermanentError("not yet")
        return assigned(0)

    async def other(event: ReviewRequested, envelope: Envelope) -> Outputs:
        seen.append(("other", envelope.replay))
        return None

    await bus.run(subscribe("planner", ReviewRequested, plan))
    await bus.run(subscribe("other", ReviewRequested, other))
    task = await bus.submit(requested())
    await until_async(lambda: bus.letters.list())
    (letter,) = await bus.letters.list()
    is_mended = True
    await bus.letters.replay(letter.id)
    await until_async(lambda: stored(bus, task, ReviewAssigned))
    assert await bus.letters.list() == []
    assert sorted(seen) == [("other", 0), ("planner", 0), ("planner", 1)]


async def test_misuse_of_a_subscription_is_refused() -> None:
    with pytest.raises(ValueError, match="durable"):
        subscribe("No Good", ReviewRequested, planner)
    with pytest.raises(ValueError, match="listens to nothing"):
        Subscription(durable="x", listens=(), handle=planner)
    with pytest.raises(ValueError, match="concurrency"):
        subscribe("x", ReviewRequested, planner, concurrency=0)


async def test_what_follows_tasks_from_outside_is_tried_again_past_their_deadline(bus: Bus) -> None:
    tried: list[int] = []

    async def follow(event: ReviewRequested, envelope: Envelope) -> None:
        tried.append(envelope.attempt)
        if len(tried) == 1:
            raise RetryableError("away", delay_s=1.0)

    await bus.run(
        Subscription(durable="follower", listens=(ReviewRequested,), handle=follow, is_projection=True)
    )
    await bus.submit(requested(), deadline_s=time.time() + 0.5)
    await until(lambda: len(tried) == 2, within_s=30)
    assert await bus.letters.list() == []
