"""The bus against others: publish → handle → result published → input acknowledged, 1 KB events.

    uv run --group bench python tests/bench/bus_hop.py [--rounds 3] [--events 6000] [--output FILE]

Every row is a process that publishes and handles, with a fresh nats-server of its own. Each stores the input,
decodes it, encodes and stores the result, waits until the result is stored, and acknowledges the input. An event
counts as done when its result is stored and its handler has returned.
"""

import argparse
import asyncio
import json
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from harness import Row, median, rounds, table

# isort: split
import msgspec
import nats
from nats.js.api import ConsumerConfig, StreamConfig
from natsserver import NatsServer

from bus import BusOptions, Envelope, Outputs, StreamLimits, Subscription, open_bus
from schemas.review import Bundle, ReviewAssigned, ReviewFindings

IN_FLIGHT = 256
BATCH = 100
BODY = "x" * 780
BUNDLE = Bundle(object_name=BODY, sha256="0" * 64, paths=())

Publish = Callable[[int], Awaitable[None]]
Waiting = dict[int, "asyncio.Future[None]"]


def event(index: int) -> ReviewAssigned:
    return ReviewAssigned(index=index, of=1, role="security", bundle=BUNDLE, paths=())


def result(index: int) -> ReviewFindings:
    return ReviewFindings(index=index, role="security", agent=BODY)


async def drive(publish: Publish, waiting: Waiting, events: int) -> Row:
    """Throughput with `IN_FLIGHT` events under way, then the latency of one at a time."""
    loop = asyncio.get_running_loop()

    async def one(index: int) -> float:
        done = waiting[index] = loop.create_future()
        started = time.perf_counter()
        await publish(index)
        await done
        return time.perf_counter() - started

    async def lane(indexes: range) -> None:
        for index in indexes:
            await one(index)

    warm, alone = 100, max(50, events // 10)
    for index in range(warm):
        await one(index)
    started = time.perf_counter()
    await asyncio.gather(*(lane(range(warm + first, warm + events, IN_FLIGHT)) for first in range(IN_FLIGHT)))
    throughput = events / (time.perf_counter() - started)
    took = sorted([await one(warm + events + index) for index in range(alone)])
    return {
        "events_s": throughput,
        "p50_us": took[len(took) // 2] * 1e6,
        "p99_us": took[len(took) * 99 // 100] * 1e6,
    }


async def labverse(server: NatsServer, events: int) -> Row:
    waiting: Waiting = {}

    async def review(event: ReviewAssigned, envelope: Envelope) -> Outputs:
        return result(event.index)

    options = BusOptions(connect=server.options, limits=StreamLimits(), grace_s=1.0)
    async with open_bus(options) as bus:
        worker = await bus.run(
            Subscription(durable="reviewer", listens=(ReviewAssigned,), handle=review, concurrency=IN_FLIGHT)
        )
        handling = worker.handling
        answer = handling.answer

        async def answered(hand: object, text: bytes) -> None:
            await answer(hand, text)  # type: ignore[arg-type]
            waiting.pop(int(hand.message.subject.rsplit(".e", 1)[1])).set_result(None)  # type: ignore[attr-defined]

        handling.answer = answered  # type: ignore[method-assign] # how the benchmark learns of each acknowledgement

        async def publish(index: int) -> None:
            await bus.publish(event(index), task_id="bench", event_id=f"e{index}")

        return await drive(publish, waiting, events)


async def raw(server: NatsServer, events: int) -> Row:
    """What one writes by hand: fetch a batch, handle it concurrently, publish, wait, acknowledge."""
    encode, decode = msgspec.json.Encoder().encode, msgspec.json.Decoder(ReviewAssigned).decode
    waiting: Waiting = {}
    client = await nats.connect(server.url, pending_size=64 << 20)
    js = client.jetstream(publish_async_max_pending=4000)
    await js.add_stream(StreamConfig(name="RAW", subjects=["raw.>"], duplicate_window=120))
    await js.add_consumer(
        "RAW", ConsumerConfig(durable_name="reviewer", filter_subject="raw.in", max_ack_pending=2000)
    )
    subscription = await js.pull_subscribe("raw.in", durable="reviewer", stream="RAW")

    async def handle(message: nats.aio.msg.Msg) -> None:
        index = decode(message.data).index
        await js.publish("raw.out", encode(result(index)), headers={"Nats-Msg-Id": f"out-{index}"})
        await message.ack()
        waiting.pop(index).set_result(None)

    async def work() -> None:
        while True:
            try:
                batch = await subscription.fetch(BATCH, timeout=5)
            except TimeoutError:
                continue
            await asyncio.gather(*(handle(message) for message in batch))

    worker = asyncio.create_task(work())

    async def publish(index: int) -> None:
        await js.publish("raw.in", encode(event(index)), headers={"Nats-Msg-Id": f"in-{index}"})

    try:
        return await drive(publish, waiting, events)
    finally:
        worker.cancel()
        await asyncio.gather(worker, return_exceptions=True)
        await client.close()


async def faststream(server: NatsServer, events: int) -> Row:
    """FastStream with its msgspec serializer, pulling batches with as many workers as a batch has messages."""
    from fast_depends.msgspec import MsgSpecSerializer
    from faststream.nats import JStream, NatsBroker, PullSub

    waiting: Waiting = {}
    client = await nats.connect(server.url)
    await client.jetstream().add_stream(StreamConfig(name="F", subjects=["F.>"], duplicate_window=120))
    broker = NatsBroker(server.url, logger=None, serializer=MsgSpecSerializer(), pending_size=64 << 20)

    @broker.subscriber(
        "F.in",
        stream=JStream("F", declare=False),
        durable="reviewer",
        pull_sub=PullSub(batch_size=BATCH),
        max_workers=BATCH,
    )
    async def handle(event: ReviewAssigned) -> None:
        await broker.publish(
            result(event.index), "F.out", stream="F", headers={"Nats-Msg-Id": f"out-{event.index}"}
        )
        waiting.pop(event.index).set_result(None)

    await broker.start()

    async def publish(index: int) -> None:
        await broker.publish(event(index), "F.in", stream="F", headers={"Nats-Msg-Id": f"in-{index}"})

    try:
        return await drive(publish, waiting, events)
    finally:
        await broker.stop()
        await client.close()


async def taskiq(server: NatsServer, events: int) -> Row:
    """taskiq-nats, pulling; the result is stored by the task itself, since its backend polls for results."""
    from taskiq.api import run_receiver_task
    from taskiq_nats import PullBasedJetStreamBroker

    waiting: Waiting = {}
    client = await nats.connect(server.url)
    js = client.jetstream()
    await js.add_stream(StreamConfig(name="OUT", subjects=["out.>"], duplicate_window=120))
    broker = PullBasedJetStreamBroker(
        [server.url],
        subject="T.in",
        stream_name="T",
        durable="reviewer",
        pull_consume_batch=BATCH,
        pull_consume_timeout=5,
    )
    encode = msgspec.json.Encoder().encode

    @broker.task(task_name="handle")
    async def handle(body: dict[str, object]) -> None:
        index = msgspec.convert(body, ReviewAssigned).index
        await js.publish("out.x", encode(result(index)), headers={"Nats-Msg-Id": f"out-{index}"})
        waiting.pop(index).set_result(None)

    await broker.startup()
    receiver = asyncio.create_task(run_receiver_task(broker, max_async_tasks=IN_FLIGHT))

    async def publish(index: int) -> None:
        await handle.kiq(msgspec.to_builtins(event(index)))

    try:
        return await drive(publish, waiting, events)
    finally:
        receiver.cancel()
        await asyncio.gather(receiver, return_exceptions=True)
        await client.close()


ROWS = {"raw nats-py": raw, "Labverse": labverse, "FastStream": faststream, "taskiq-nats": taskiq}


def measure(name: str, sync: str, events: int) -> Row:
    with tempfile.TemporaryDirectory() as folder:
        server = NatsServer(Path(folder), sync=sync).start()
        try:
            return asyncio.run(ROWS[name](server, events))
        finally:
            server.stop()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--events", type=int, default=6_000)
    parser.add_argument("--rows", default=",".join(ROWS))
    parser.add_argument("--output", type=Path)
    parser.add_argument("--row", help=argparse.SUPPRESS)
    parser.add_argument("--sync", default="2m", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.row:
        print(json.dumps(measure(args.row, args.sync, args.events)))
        return
    lines = []
    for sync, words in (("2m", "now and then"), ("always", "at every write")):
        rows = {
            name: ["--row", name, "--sync", sync, "--events", str(args.events)]
            for name in args.rows.split(",")
        }
        measured = rounds(__file__, rows, args.rounds)
        base = median(measured["raw nats-py"], "events_s")
        for name, runs in measured.items():
            rate = median(runs, "events_s")
            latency = [f"{median(runs, key):,.0f}" for key in ("p50_us", "p99_us")]
            lines.append([words, name, f"{rate:,.0f}", f"{rate / base:.2f}", *latency])
    text = table(["files synced", "", "events/s", "ratio", "p50 µs", "p99 µs"], lines)
    print(text)
    if args.output:
        args.output.write_text(text)


if __name__ == "__main__":
    main()
