"""Approvals: from the request to the decision that everybody reads, with 1 and with 40 people who click at once.

    uv run --group bench python tests/bench/approvals.py [--rounds 3] [--approvals 200] [--output FILE]

The approver, the people and nats-server are a process each. An approval counts from when its request is published to
when its decision is read from the stream; between the two lie the record in KV, the event that it is open, the clicks
(half of them vetoes), the audit log and the decision. `at once` is how many approvals are under way at the same time.
Checked, not assumed: of each approval's clicks exactly one counts, and each is decided by exactly one event.

The baseline does only what can't be left out, with nats-py alone: a key is created, and every clicker reads it and
writes it with the revision that it read, until somebody has won. It keeps no log, tells nobody and checks nothing.
"""

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from harness import Row, median, rounds, table

# isort: split
import nats
from approving import DIGEST, approving, terms, wanted
from nats.js.errors import KeyWrongLastSequenceError
from natsserver import NatsServer

from bus import Bus, BusOptions, ConnectOptions, open_bus
from bus.reader import StreamReader
from bus.services import APPROVAL_DECIDE
from bus.streams import EVENTS
from schemas.approval import DecideOutcome, DecideRequest
from schemas.ids import new_id

PEOPLE: Final = {f"p{number}": (f"slack:P{number}",) for number in range(40)}
CLICKS: Final = (1, 40)
AT_ONCE: Final = (1, 16)
WAIT_S_MAX: Final = 60.0

One = Callable[[], Awaitable[None]]
"""One approval from request to decision."""


async def serve(url: str) -> None:
    """An approver, until killed; says so once."""
    async with open_bus(BusOptions(connect=ConnectOptions(url=url), source="approver")) as bus:
        everybody = terms(approvers=tuple(PEOPLE))
        async with approving(bus, people=PEOPLE, settings=everybody, sweep_s=1.0, rescan_s=30.0):
            print("ready", flush=True)
            await asyncio.Event().wait()


@contextmanager
def approver(url: str) -> Generator[None]:
    process = subprocess.Popen([sys.executable, __file__, "--serve", url], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        if not process.stdout.readline():
            raise RuntimeError("the approver did not start")
        yield
    finally:
        process.kill()
        process.wait()


class News:
    """What was opened and what was decided, as the stream tells it."""

    def __init__(self) -> None:
        self.opened: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)
        self.decided: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)
        self.decisions: defaultdict[str, int] = defaultdict(int)

    async def read(self, reader: StreamReader) -> None:
        while True:
            _, _, what, _, task_id, *_ = (await reader.read()).subject.split(".")
            if what == "opened":
                self.opened[task_id].set()
            else:
                self.decisions[task_id] += 1
                self.decided[task_id].set()


async def drive(one: One, count: int, at_once: int) -> Row:
    took: list[float] = []
    left = iter(range(count))

    async def work() -> None:
        for _ in left:
            started = time.perf_counter()
            async with asyncio.timeout(WAIT_S_MAX):
                await one()
            took.append(time.perf_counter() - started)

    started = time.perf_counter()
    await asyncio.gather(*(work() for _ in range(at_once)))
    whole_s = time.perf_counter() - started
    took.sort()
    return {
        "rate": count / whole_s,
        "p50_ms": took[len(took) // 2] * 1e3,
        "p99_ms": took[len(took) * 99 // 100] * 1e3,
    }


async def by_approver(server: NatsServer, clicks: int, at_once: int, count: int) -> Row:
    options = BusOptions(connect=server.options, source="people")
    with approver(server.url):
        async with (
            open_bus(options) as bus,
            StreamReader(
                bus.connection, EVENTS, ("lv.approval.opened.v1.>", "lv.approval.decided.v1.>")
            ) as reader,
        ):
            news = News()
            reading = asyncio.create_task(news.read(reader))
            try:
                await _approve(bus, news, clicks)  # opens connections and inboxes
                return await drive(lambda: _approve(bus, news, clicks), count, at_once)
            finally:
                reading.cancel()
                if any(number != 1 for number in news.decisions.values()):
                    raise AssertionError("an approval was decided more than once")


async def _approve(bus: Bus, news: News, clicks: int) -> None:
    approval_id = await bus.submit(wanted())
    await news.opened[approval_id].wait()
    replies = await asyncio.gather(
        *(bus.call(APPROVAL_DECIDE, _click(approval_id, at), timeout_s=30.0) for at in range(clicks))
    )
    if sum(reply.outcome is DecideOutcome.COUNTED for reply in replies) != 1:
        raise AssertionError(f"not one winner: {[reply.outcome for reply in replies]}")
    await news.decided[approval_id].wait()


def _click(approval_id: str, at: int) -> DecideRequest:
    return DecideRequest(
        approval_id=approval_id,
        digest=DIGEST,
        identity=f"slack:P{at}",
        action="veto" if at % 2 else "approve",
        vote_id=new_id(),
        via="slack",
    )


async def by_swap(server: NatsServer, clicks: int, at_once: int, count: int) -> Row:
    client = await nats.connect(server.url)
    bucket = await client.jetstream().create_key_value(bucket="approvals", history=1)

    async def click(key: str, at: int) -> bool:
        while True:
            entry = await bucket.get(key)
            if entry.value != b"pending":
                return False
            try:
                await bucket.update(key, b"p%d" % at, last=entry.revision)
            except KeyWrongLastSequenceError:
                continue
            return True

    async def one() -> None:
        key = new_id()
        await bucket.create(key, b"pending")
        won = await asyncio.gather(*(click(key, at) for at in range(clicks)))
        if won.count(True) != 1:
            raise AssertionError("not one winner")

    try:
        await one()
        return await drive(one, count, at_once)
    finally:
        await client.close()


WAYS: Final = {"Labverse": by_approver, "compare-and-swap": by_swap}


def measure(way: str, clicks: int, at_once: int, count: int) -> Row:
    with tempfile.TemporaryDirectory() as folder:
        server = NatsServer(Path(folder), sync="2m").start()
        try:
            return asyncio.run(WAYS[way](server, clicks, at_once, count))
        finally:
            server.stop()


def lines_of(names: Sequence[tuple[str, int, int]], measured: dict[str, list[Row]]) -> list[list[str]]:
    lines = []
    for way, clicks, at_once in names:
        runs = measured[f"{way} {clicks} {at_once}"]
        rate, base = median(runs, "rate"), median(measured[f"compare-and-swap {clicks} {at_once}"], "rate")
        lines.append(
            [
                way,
                str(clicks),
                str(at_once),
                f"{rate:,.0f}",
                f"{rate / base:.2f}",
                f"{median(runs, 'p50_ms'):.1f}",
                f"{median(runs, 'p99_ms'):.1f}",
            ]
        )
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--approvals", type=int, default=200)
    parser.add_argument("--output", type=Path)
    parser.add_argument("--row", help=argparse.SUPPRESS)
    parser.add_argument("--clicks", type=int, default=1, help=argparse.SUPPRESS)
    parser.add_argument("--at-once", type=int, default=1, help=argparse.SUPPRESS)
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.serve:
        asyncio.run(serve(args.serve))
        return
    if args.row:
        print(json.dumps(measure(args.row, args.clicks, args.at_once, args.approvals)))
        return
    names = [(way, clicks, at_once) for clicks in CLICKS for at_once in AT_ONCE for way in WAYS]
    rows = {
        f"{way} {clicks} {at_once}": [
            *("--row", way, "--clicks", str(clicks), "--at-once", str(at_once)),
            *("--approvals", str(args.approvals)),
        ]
        for way, clicks, at_once in names
    }
    measured = rounds(__file__, rows, args.rounds)
    head = ["", "clicks", "at once", "approvals/s", "ratio", "p50 ms", "p99 ms"]
    text = table(head, lines_of(names, measured))
    text += "\nApprovals that were decided twice, all rows and rounds: 0.\n"
    print(text)
    if args.output:
        args.output.write_text(text)


if __name__ == "__main__":
    main()
