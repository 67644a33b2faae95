"""The tracker's record grows towards the truth, whatever the order of events."""

import asyncio
import itertools

from events import assigned, assigned_ids, findings, requested
from hypothesis import given
from hypothesis import strategies as st
from nats.aio.client import Client
from natsserver import NatsServer
from until import until_async

from agents.tracker import Janitor, Tracker, tasks_bucket
from agents.tracker.janitor import fullness, oldest_finished
from agents.tracker.tracker import apply
from bus import Bus, BusOptions, Envelope, Outputs, StreamLimits, StreamState, Subscription, open_bus
from schemas.cost import CallRecord, CostRecorded, CostThresholdCrossed
from schemas.event import Event, tag_of
from schemas.llm import BudgetState
from schemas.review import ReviewAssigned, ReviewCompleted, ReviewPlanned, ReviewReport, ReviewRequested
from schemas.task import TaskCancelled, TaskExpired, TaskRecord, TaskState, TaskStepFailed

REPORT = ReviewReport(name="x", task_id="t", created_at="", files=1, lines=1, seconds=1.0, cost_nusd=7)


def envelope(event: Event, seq: int, cause: str = "") -> Envelope:
    tag = tag_of(event)
    return Envelope(
        subject=f"lv.{tag}.t.e{seq}",
        id=f"e{seq}",
        tag=tag,
        task_id="t",
        seq=seq,
        causation_id=cause,
        time=f"time {seq}",
    )


HISTORY: list[tuple[Event, Envelope]] = [
    (event, envelope(event, seq, cause))
    for seq, (event, cause) in enumerate(
        [
            (requested("name"), ""),
            (ReviewPlanned(assignments=("a", "b", "c"), name="name"), "t"),
            (findings(0, "reviewer-1"), "a"),
            (findings(1, "reviewer-2"), "b"),
            (
                TaskStepFailed(agent="reviewer", event_type="review.assigned.v1", event_id="c", reason="no"),
                "c",
            ),
            (CostRecorded(record=CallRecord(call_id="c"), task_spent_nusd=5), ""),
            (ReviewCompleted(report=REPORT), "p"),
        ],
        1,
    )
]


def record_of(history: list[tuple[Event, Envelope]]) -> TaskRecord:
    record = TaskRecord(task_id="t")
    for event, one in history:
        record = apply(record, event, one)
    return record


def test_a_finished_review_in_its_record() -> None:
    record = record_of(HISTORY)
    assert record.state is TaskState.COMPLETED
    assert (record.name, record.kind, record.steps, record.steps_done, record.steps_failed) == (
        "name",
        "review.requested.v1",
        3,
        2,
        1,
    )
    assert record.agents == ("reviewer-1", "reviewer-2")
    assert record.cost_nusd == 7
    assert record.percent == 100
    assert record.result_subject == "lv.review.completed.v1.t.e7"


@given(st.permutations(HISTORY), st.lists(st.sampled_from(HISTORY), max_size=10))
def test_order_and_repetition_do_not_matter(
    history: list[tuple[Event, Envelope]], again: list[tuple[Event, Envelope]]
) -> None:
    assert record_of([*history, *again]) == record_of(HISTORY)


def test_ends_of_a_task() -> None:
    ends: dict[TaskState, Event] = {
        TaskState.CANCELLED: TaskCancelled(by="me", reason="enough"),
        TaskState.EXPIRED: TaskExpired(
            agent="p", event_type="review.requested.v1", event_id="t", deadline=""
        ),
        TaskState.FAILED: TaskStepFailed(
            agent="p", event_type="review.requested.v1", event_id="t", reason="no"
        ),
    }
    for state, event in ends.items():
        for order in itertools.permutations([HISTORY[0], (event, envelope(event, 9))]):
            record = record_of(list(order))
            assert record.state is state
            assert record.reason


async def test_a_task_is_tracked_from_request_to_report(bus: Bus, second_bus: Bus) -> None:
    """Two trackers share the work."""

    async def plan(event: ReviewRequested, envelope: Envelope) -> Outputs:
        ids = assigned_ids(envelope.task_id, 21)
        return [ReviewPlanned(assignments=tuple(ids[1:])), *(assigned(index, 20) for index in range(20))]

    async def review(event: ReviewAssigned, envelope: Envelope) -> Outputs:
        return findings(event.index, f"reviewer-{event.index % 3}")

    bucket = tasks_bucket(bus)
    await bucket.ensure()
    for one in (bus, second_bus):
        await one.run(Tracker(bus=one).subscription())
    await bus.run(Subscription(durable="planner", listens=(ReviewRequested,), handle=plan))
    await bus.run(Subscription(durable="reviewer", listens=(ReviewAssigned,), handle=review))
    task = await bus.submit(requested("tracked"))

    async def done() -> bool:
        known = await bucket.get(task)
        return known is not None and known[0].steps_done == 20

    await until_async(done)
    known = await bucket.get(task)
    assert known is not None
    assert known[0].steps == 20
    assert known[0].name == "tracked"
    assert known[0].agents == ("reviewer-0", "reviewer-1", "reviewer-2")


async def test_what_a_task_spends_is_in_its_record_and_other_spending_makes_none(bus: Bus) -> None:
    bucket = tasks_bucket(bus)
    await bucket.ensure()
    await bus.run(Tracker(bus=bus).subscription())
    budget = BudgetState(limit="month 2026-11", limit_nusd=2, stop_nusd=1, spent_nusd=1, reserved_nusd=0)
    await bus.publish(CostThresholdCrossed(budget=budget, percent=90), task_id="cost-2026-11")
    await bus.publish(CostRecorded(record=CallRecord(call_id="c0"), task_spent_nusd=9), task_id="mine")
    task_id = await bus.submit(requested("name"))
    for number, spent in enumerate((30, 50, 40)):
        record = CallRecord(call_id=f"{task_id}-{number}")
        await bus.publish(CostRecorded(record=record, task_spent_nusd=spent), task_id=task_id)

    async def is_told() -> bool:
        found = await bucket.get(task_id)
        return found is not None and found[0].cost_nusd == 50

    await until_async(is_told)
    assert list(await bucket.values()) == [task_id]
    assert (await letters(bus)) == []


async def letters(bus: Bus) -> list[object]:
    return list(await bus.letters.list())


async def test_an_event_type_that_nobody_knows_becomes_a_dead_letter_and_others_go_on(
    bus: Bus, server: NatsServer
) -> None:
    await tasks_bucket(bus).ensure()
    await bus.run(Tracker(bus=bus).subscription())
    foreign = Client()
    await foreign.connect(server.url)
    await foreign.publish("lv.review.dreamt.v1.t1", b'{"name": "from the future"}')
    await foreign.close()
    await bus.submit(requested("known"), task_id="t2")
    await until_async(bus.letters.list)
    (letter,) = await bus.letters.list()
    assert (letter.durable, letter.tag, letter.task_id) == ("tracker", "review.dreamt.v1", "t1")
    assert "doesn't know" in letter.reason
    assert "review.requested.v1" in letter.error

    async def tracked() -> bool:
        return set(await tasks_bucket(bus).values()) == {"t2"}

    await until_async(tracked)


async def test_the_janitor_forgets_what_is_finished_and_nothing_else(server: NatsServer) -> None:
    options = BusOptions(connect=server.options, limits=StreamLimits(messages_max=100), grace_s=0.5)
    async with open_bus(options) as bus:
        await tasks_bucket(bus).ensure()
        await bus.run(Tracker(bus=bus).subscription())
        for number in range(8):
            task = f"task-{number}"
            await bus.submit(requested(), task_id=task)
            for index in range(8):
                await bus.publish(assigned(index), task_id=task)
            if number < 6:
                await bus.publish(ReviewCompleted(report=REPORT), task_id=task)

        async def tracked() -> bool:
            records = await tasks_bucket(bus).values()
            return sum(record.state.is_final for record in records.values()) == 6

        await until_async(tracked)
        assert await Janitor(bus=bus).clean() == 0  # 78 of 100
        for index in range(4):
            await bus.publish(assigned(index), task_id="task-7")
        assert await Janitor(bus=bus).clean() > 0
        left = {f"task-{number}" for number in (6, 7)}
        for task in left:
            assert [event async for event, _ in bus.events(task, only_stored=True)]
        assert [event async for event, _ in bus.events("task-0", only_stored=True)] == []
        await asyncio.wait_for(bus.publish(assigned(9), task_id="task-7"), 5)


def test_fullness_is_that_of_the_tightest_limit() -> None:
    assert fullness(StreamState("s", 50, 10, 100, 1000)) == 0.5
    assert fullness(StreamState("s", 50, 990, 100, 1000)) == 0.99
    assert fullness(StreamState("s", 50, 990, -1, -1)) == 0.0


def test_the_first_to_finish_is_the_first_to_be_forgotten() -> None:
    records = [
        TaskRecord(task_id="b", state=TaskState.FAILED, finished_at="2026-02"),
        TaskRecord(task_id="a", state=TaskState.COMPLETED, finished_at="2026-01"),
        TaskRecord(task_id="c", state=TaskState.RUNNING),
    ]
    assert oldest_finished(records) == ["a", "b"]
