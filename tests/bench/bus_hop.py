"""The bus against hand-written nats-py: publish → handle → result published → input acknowledged, 1 KB events.

    uv run --group bench python tests/bench/bus_hop.py [--rounds 3] [--events 10000] [--output FILE]

Every row is a process of its own that publishes and handles, with a fresh nats-server; rounds are interleaved and
medians compared, so that a busy machine disturbs all rows alike. Both sides store the input, decode it, encode and
store the result, wait until the result is on disk, and acknowledge the input.
"""

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import msgspec
import nats
from nats.js.api import ConsumerConfig, StreamConfig
from natsserver import NatsServer

from bus import BusOptions, Envelope, Outputs, StreamLimits, Subscription, open_bus
from schemas.review import Bundle, ReviewAssigned, ReviewFindings

IN_FLIGHT = 256
BATCH = 100
LATENCY_EVENTS = 1_000
BODY = "x" * 780
BUNDLE = Bundle(object_name=BODY, sha256="0" * 64, paths=())

Publish = Callable[[int], Awaitable[None]]


def event(index: int) -> ReviewAssigned:
    return ReviewAssigned(index=index, of=1, role="security", bundle=BUNDLE, paths=())


def result(index: int) -> ReviewFindings:
    return ReviewFindings(index=index, role="security", agent=BODY)


async def drive(publish: Publish, handled: dict[int, asyncio.Future[None]], events: int) -> dict[str, float]:
    """Throughput with `IN_FLIGHT` events under way, then the latency of one at a time."""
    loop = asyncio.get_running_loop()

    async def one(index: int) -> float:
        done = handled[index] = loop.create_future()
        started = time.perf_counter()
        await publish(index)
        await done
        return time.perf_counter() - started

    async def lane(indexes: range) -> None:
        for index in indexes:
            await one(index)

    for index in range(200):
        await one(-1 - index)
    started = time.perf_counter()
    await asyncio.gather(*(lane(range(first, events, IN_FLIGHT)) for first in range(IN_FLIGHT)))
    throughput = events / (time.perf_counter() - started)
    took = sorted([await one(events + index) for index in range(LATENCY_EVENTS)])
    return {
        "events_s": throughput,
        "p50_us": took[len(took) // 2] * 1e6,
        "p99_us": took[len(took) * 99 // 100] * 1e6,
    }


async def labverse(server: NatsServer, events: int) -> dict[str, float]:
    handled: dict[int, asyncio.Future[None]] = {}

    async def review(event: ReviewAssigned, envelope: Envelope) -> Outputs:
        return result(event.index)

    async def done(event: ReviewFindings, envelope: Envelope) -> Outputs:
        raise AssertionError("only used to learn when a result is stored")

    options = BusOptions(connect=server.options, limits=StreamLimits(), grace_s=1.0)
    async with open_bus(options) as bus:
        worker = await bus.run(
            Subscription(durable="reviewer", listens=(ReviewAssigned,), handle=review, concurrency=IN_FLIGHT)
        )
        answer = worker._answer

        async def answered(hand: object, text: bytes) -> None:
            await answer(hand, text)  # type: ignore[arg-type]
            index = int(hand.message.subject.rsplit(".e", 1)[1])  # type: ignore[attr-defined]
            handled.pop(index if index < 10_000_000 else 9_999_999 - index).set_result(None)

        worker._answer = answered  # type: ignore[method-assign]

        async def publish(index: int) -> None:
            name = index if index >= 0 else 9_999_999 - index
            await bus.publish(event(index), task_id="bench", event_id=f"e{name}")

        return await drive(publish, handled, events)


async def raw(server: NatsServer, events: int) -> dict[str, float]:
    """What one writes by hand: fetch a batch, handle it concurrently, publish, wait, acknowledge."""
    encode = msgspec.json.Encoder().encode
    decode = msgspec.json.Decoder(ReviewAssigned).decode
    handled: dict[int, asyncio.Future[None]] = {}
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
        handled.pop(index).set_result(None)

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
        return await drive(publish, handled, events)
    finally:
        worker.cancel()
        await asyncio.gather(worker, return_exceptions=True)
        await client.close()


ROWS = {"raw nats-py": raw, "Labverse": labverse}


def run_row(name: str, sync: str, events: int) -> dict[str, float]:
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
    parser.add_argument("--events", type=int, default=10_000)
    parser.add_argument("--output", type=Path)
    parser.add_argument("--row", help=argparse.SUPPRESS)
    parser.add_argument("--sync", default="2m", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.row:
        print(json.dumps(run_row(args.row, args.sync, args.events)))
        return
    lines = ["| files synced | | events/s | ratio | p50 µs | p99 µs |", "|---|---|---|---|---|---|"]
    for sync, words in (("2m", "now and then"), ("always", "at every write")):
        rounds: dict[str, list[dict[str, float]]] = {name: [] for name in ROWS}
        for _ in range(args.rounds):
            for name in ROWS:
                command = [
                    sys.executable,
                    __file__,
                    "--row",
                    name,
                    "--sync",
                    sync,
                    "--events",
                    str(args.events),
                ]
                out = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
                rounds[name].append(json.loads(out.stdout.splitlines()[-1]))
        medians = {
            name: {key: statistics.median(one[key] for one in runs) for key in runs[0]}
            for name, runs in rounds.items()
        }
        base = medians["raw nats-py"]["events_s"]
        for name, row in medians.items():
            lines.append(
                f"| {words} | {name} | {row['events_s']:,.0f} | {row['events_s'] / base:.2f} "
                f"| {row['p50_us']:.0f} | {row['p99_us']:.0f} |"
            )
    table = "\n".join(lines) + "\n"
    print(table)
    if args.output:
        args.output.write_text(table)


if __name__ == "__main__":
    main()
