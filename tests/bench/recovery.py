"""kill -9 of the server, back after one second: when is the next event handled?

    uv run --group bench python tests/bench/recovery.py [--rounds 3] [--output FILE]

An event is stored by an independent client as soon as the server is back; measured is the time from the server's
return until a handler that ran before the kill has it.
"""

import argparse
import asyncio
import json
import logging
import tempfile
import time
import warnings
from collections.abc import Awaitable, Callable
from pathlib import Path

from harness import Row, median, rounds, table

# isort: split
import msgspec
import nats
from bus_hop import BATCH, event
from nats.js.api import ConsumerConfig, StreamConfig
from natsserver import NatsServer

from bus import BusOptions, Envelope, Outputs, Subscription, open_bus
from schemas.review import ReviewAssigned

AWAY_S = 1.0
GIVE_UP_S = 45.0
RECONNECT = {"reconnect_time_wait": 0.05, "max_reconnect_attempts": -1}

Start = Callable[[NatsServer, asyncio.Event], Awaitable[tuple[str, bytes, dict[str, str]]]]


async def _quiet(error: Exception) -> None:
    pass


async def labverse(server: NatsServer, hit: asyncio.Event) -> tuple[str, bytes, dict[str, str]]:
    async def review(event: ReviewAssigned, envelope: Envelope) -> Outputs:
        hit.set()
        return None

    opening = open_bus(BusOptions(connect=server.options, grace_s=0.1))
    hit.opening = opening  # type: ignore[attr-defined] # kept open as long as the event
    bus = await opening.__aenter__()
    await bus.run(Subscription(durable="reviewer", listens=(ReviewAssigned,), handle=review))
    return "lv.review.assigned.v1.bench.e1", msgspec.json.encode(event(1)), {}


async def raw(server: NatsServer, hit: asyncio.Event) -> tuple[str, bytes, dict[str, str]]:
    client = await nats.connect(server.url, error_cb=_quiet, **RECONNECT)
    js = client.jetstream()
    await js.add_stream(StreamConfig(name="RAW", subjects=["raw.>"]))
    await js.add_consumer("RAW", ConsumerConfig(durable_name="reviewer", filter_subject="raw.in"))
    subscription = await js.pull_subscribe("raw.in", durable="reviewer", stream="RAW")

    async def work() -> None:
        while True:
            try:
                for message in await subscription.fetch(BATCH, timeout=5):
                    await message.ack()
                    hit.set()
            except Exception:  # as a loop written by hand goes on
                await asyncio.sleep(0)

    work_task = asyncio.create_task(work())
    hit.work = work_task  # type: ignore[attr-defined] # kept alive as long as the event
    return "raw.in", b"{}", {}


async def faststream(server: NatsServer, hit: asyncio.Event) -> tuple[str, bytes, dict[str, str]]:
    from fast_depends.msgspec import MsgSpecSerializer
    from faststream.nats import JStream, NatsBroker, PullSub

    client = await nats.connect(server.url, error_cb=_quiet)
    await client.jetstream().add_stream(StreamConfig(name="F", subjects=["F.>"]))
    await client.close()
    broker = NatsBroker(server.url, logger=None, serializer=MsgSpecSerializer(), **RECONNECT)

    @broker.subscriber(
        "F.in", stream=JStream("F", declare=False), durable="reviewer", pull_sub=PullSub(batch_size=BATCH)
    )
    async def handle(event: ReviewAssigned) -> None:
        hit.set()

    await broker.start()
    return "F.in", msgspec.json.encode(event(1)), {"content-type": "application/json"}


async def taskiq(server: NatsServer, hit: asyncio.Event) -> tuple[str, bytes, dict[str, str]]:
    from taskiq.api import run_receiver_task
    from taskiq_nats import PullBasedJetStreamBroker

    broker = PullBasedJetStreamBroker(
        [server.url], subject="T.in", stream_name="T", durable="reviewer", error_cb=_quiet, **RECONNECT
    )

    @broker.task(task_name="handle")
    async def handle(body: dict[str, object]) -> None:
        hit.set()

    await broker.startup()
    hit.work = asyncio.create_task(run_receiver_task(broker, max_async_tasks=BATCH))  # type: ignore[attr-defined]
    body = {
        "task_id": "1",
        "task_name": "handle",
        "labels": {},
        "labels_types": {},
        "args": [{}],
        "kwargs": {},
    }
    return "T.in", json.dumps(body).encode(), {"task_id": "1"}


ROWS: dict[str, Start] = {
    "Labverse": labverse,
    "raw nats-py": raw,
    "FastStream": faststream,
    "taskiq-nats": taskiq,
}


async def recover(name: str, server: NatsServer) -> Row:
    hit = asyncio.Event()
    subject, payload, headers = await ROWS[name](server, hit)
    await asyncio.sleep(1.0)
    server.kill()
    await asyncio.sleep(AWAY_S)
    server.start()
    back = time.perf_counter()
    publisher = await nats.connect(server.url, error_cb=_quiet)
    js = publisher.jetstream()
    while True:
        try:
            await js.publish(subject, payload, headers=headers or None, timeout=1)
            break
        except Exception:  # JetStream is not ready in the first milliseconds
            await asyncio.sleep(0.005)
    stored = time.perf_counter()
    try:
        await asyncio.wait_for(hit.wait(), GIVE_UP_S)
    except TimeoutError:
        pass
    return {"recovered_s": time.perf_counter() - back, "stored_s": stored - back}


def measure(name: str) -> Row:
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as folder:
        server = NatsServer(Path(folder)).start()
        try:
            with asyncio.Runner() as runner:
                row = runner.run(recover(name, server))
                print(json.dumps(row), flush=True)
                server.stop()
                import os

                os._exit(0)  # the peers' brokers don't close in time when their server is gone
        finally:
            server.stop()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rows", default=",".join(ROWS))
    parser.add_argument("--output", type=Path)
    parser.add_argument("--row", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.row:
        measure(args.row)
        return
    measured = rounds(__file__, {name: ["--row", name] for name in args.rows.split(",")}, args.rounds)
    lines = []
    for name, runs in measured.items():
        worst = max(run["recovered_s"] for run in runs)
        stored = f"{median(runs, 'stored_s'):.3f}"
        if worst >= GIVE_UP_S:
            lines.append([name, stored, f"not in {GIVE_UP_S:.0f} s", f"not in {GIVE_UP_S:.0f} s"])
        else:
            lines.append([name, stored, f"{median(runs, 'recovered_s'):.3f}", f"{worst:.3f}"])
    text = table(["", "stored after s", "handled after s (median)", "worst"], lines)
    print(text)
    if args.output:
        args.output.write_text(text)


if __name__ == "__main__":
    main()
