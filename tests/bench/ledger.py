"""The cost guard's ledger: money held for each of many calls at once, with money for exactly half of them.

    uv run --group bench python tests/bench/ledger.py [--rounds 3] [--requests 6000] [--output FILE]

The guard, the callers and nats-server are a process each. A row asks `--requests` times for the same amount, and the
month's stop lies at half of that: the first half is granted, stored and answered, the second refused. The rate is
that of the granted half alone, since a refusal needs nothing stored. Checked, not assumed: the granted sum is the stop
to the last nano-dollar, and the guard's own books say the same.

The baseline does without a guard: every caller reads one key of a KV bucket, and writes it with the revision that it
read, until that succeeds.
"""

import argparse
import asyncio
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from harness import Row, median, rounds, table

# isort: split
import nats
from nats.js.errors import KeyWrongLastSequenceError
from natsserver import NatsServer

from agents.cost_guard.guard import CostGuard
from agents.cost_guard.ledger import OPEN_MAX, Limits
from bus import BusOptions, ConnectOptions, open_bus
from bus.budget import Budget
from schemas.cost import ReserveRequest

AMOUNT_NUSD: Final = 1_000
CALLERS: Final = (1, 64, 200)
CALLS_ALONE_MAX: Final = 1_500
"""One caller after the other takes long."""
CAS_REQUESTS: Final = 400
LEASE_S: Final = 120.0
READY_S_MAX: Final = 30.0
CAS_PAUSE_S_MAX: Final = 0.002

Ask = Callable[[int], Awaitable[int]]
"""Ask for `AMOUNT_NUSD` under a number; returns what was granted."""


@contextmanager
def role(script: str, *arguments: str) -> Generator[str]:
    """A process of another role, from its first line of output (which is given) until the context ends."""
    process = subprocess.Popen([sys.executable, script, *arguments], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        line = process.stdout.readline().strip()
        if not line:
            raise RuntimeError(f"{script} {' '.join(arguments)} did not start")
        yield line
    finally:
        process.kill()
        process.wait()


@contextmanager
def guard(url: str, month_nusd: int) -> Generator[None]:
    """A leading cost guard in a process of its own."""
    with role(__file__, "--guard", url, "--month", str(month_nusd)):
        yield


async def serve_guard(url: str, month_nusd: int) -> None:
    """Lead until killed; says so once."""
    async with open_bus(BusOptions(connect=ConnectOptions(url=url), source="guard")) as bus:
        cost_guard = CostGuard(bus=bus, limits=Limits(month_nusd=month_nusd, stop_percent=100))
        running = asyncio.create_task(cost_guard.run())
        async with asyncio.timeout(READY_S_MAX):
            await cost_guard.is_leading.wait()
        print("leading", flush=True)
        await running


async def drive(ask: Ask, callers: int, requests: int) -> Row:
    """`callers` ask one after another until there were `requests`; rates of the granted and of the refused."""
    granted: list[tuple[float, float]] = []
    refused: list[tuple[float, float]] = []
    total_nusd = 0

    async def caller(numbers: range) -> None:
        nonlocal total_nusd
        for number in numbers:
            started = time.perf_counter()
            amount = await ask(number)
            ended = time.perf_counter()
            (granted if amount else refused).append((ended - started, ended))
            total_nusd += amount

    started = time.perf_counter()
    await asyncio.gather(*(caller(range(first, requests, callers)) for first in range(callers)))
    turned = max(ended for _, ended in granted)
    took = sorted(seconds for seconds, _ in granted)
    if total_nusd != requests // 2 * AMOUNT_NUSD:
        raise AssertionError(f"granted {total_nusd} of {requests // 2 * AMOUNT_NUSD} nano-USD")
    return {
        "granted_s": len(granted) / (turned - started),
        "refused_s": len(refused) / max(1e-9, max(ended for _, ended in refused) - turned),
        "p50_ms": took[len(took) // 2] * 1e3,
        "p99_ms": took[len(took) * 99 // 100] * 1e3,
        "granted_nusd": total_nusd,
    }


async def by_guard(server: NatsServer, callers: int, requests: int) -> Row:
    if requests // 2 > OPEN_MAX:
        raise ValueError(f"the ledger holds at most {OPEN_MAX} reservations at once")
    stop_nusd = requests // 2 * AMOUNT_NUSD
    with guard(server.url, stop_nusd):
        async with open_bus(BusOptions(connect=server.options, source="callers")) as bus:
            budget = Budget(bus)

            async def ask(number: int) -> int:
                reply = await budget.reserve(
                    ReserveRequest(
                        call_id=f"call-{number}",
                        min_nusd=AMOUNT_NUSD,
                        want_nusd=AMOUNT_NUSD,
                        lease_s=LEASE_S,
                        provider="paid",
                        model="m",
                    ),
                    deadline_s=time.time() + 30.0,
                )
                return reply.granted_nusd or 0

            await budget.state()  # opens the inbox
            row = await drive(ask, callers, requests)
            state = await budget.state()
    assert state is not None
    if state.month.reserved_nusd != row["granted_nusd"] or state.month.reserved_nusd > stop_nusd:
        raise AssertionError(f"the books hold {state.month.reserved_nusd} nano-USD: {row}")
    return row


async def by_swap(server: NatsServer, callers: int, requests: int) -> Row:
    """Every caller swaps one key, with a short random pause when another was quicker."""
    client = await nats.connect(server.url)
    bucket = await client.jetstream().create_key_value(bucket="account", history=1)
    await bucket.put("account", b"0")
    stop_nusd = requests // 2 * AMOUNT_NUSD

    async def ask(number: int) -> int:
        while True:
            entry = await bucket.get("account")
            spent_nusd = int(entry.value or b"0")
            if spent_nusd + AMOUNT_NUSD > stop_nusd:
                return 0
            try:
                await bucket.update("account", str(spent_nusd + AMOUNT_NUSD).encode(), last=entry.revision)
            except KeyWrongLastSequenceError:
                await asyncio.sleep(random.random() * CAS_PAUSE_S_MAX)
            else:
                return AMOUNT_NUSD

    try:
        return await drive(ask, callers, requests)
    finally:
        await client.close()


WAYS: Final = {"Labverse": by_guard, "compare-and-swap": by_swap}


def measure(way: str, sync: str, callers: int, requests: int) -> Row:
    with tempfile.TemporaryDirectory() as folder:
        server = NatsServer(Path(folder), sync=sync).start()
        try:
            return asyncio.run(WAYS[way](server, callers, requests))
        finally:
            server.stop()


def arguments_of(way: str, sync: str, callers: int, requests: int) -> list[str]:
    if way == "compare-and-swap":
        requests = min(requests, CAS_REQUESTS)
    elif callers == 1:
        requests = min(requests, CALLS_ALONE_MAX)
    return ["--row", way, "--sync", sync, "--callers", str(callers), "--requests", str(requests)]


def lines_of(names: Sequence[tuple[str, str, int]], measured: dict[str, list[Row]]) -> list[list[str]]:
    lines = []
    for sync, way, callers in names:
        runs, base = measured[f"{sync} {way} {callers}"], measured[f"{sync} compare-and-swap {callers}"]
        rate = median(runs, "granted_s")
        lines.append(
            [
                "at every write" if sync == "always" else "now and then",
                way,
                str(callers),
                f"{rate:,.0f}",
                f"{rate / median(base, 'granted_s'):,.1f}",
                f"{median(runs, 'p50_ms'):.2f}",
                f"{median(runs, 'p99_ms'):.2f}",
                f"{median(runs, 'refused_s'):,.0f}",
            ]
        )
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--requests", type=int, default=6_000)
    parser.add_argument("--output", type=Path)
    parser.add_argument("--row", help=argparse.SUPPRESS)
    parser.add_argument("--sync", default="always", help=argparse.SUPPRESS)
    parser.add_argument("--callers", type=int, default=64, help=argparse.SUPPRESS)
    parser.add_argument("--guard", help=argparse.SUPPRESS)
    parser.add_argument("--month", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.guard:
        asyncio.run(serve_guard(args.guard, args.month))
        return
    if args.row:
        print(json.dumps(measure(args.row, args.sync, args.callers, args.requests)))
        return
    names = [(sync, way, callers) for sync in ("always", "2m") for callers in CALLERS for way in WAYS]
    rows = {
        f"{sync} {way} {callers}": arguments_of(way, sync, callers, args.requests)
        for sync, way, callers in names
    }
    measured = rounds(__file__, rows, args.rounds)
    head = ["files synced", "", "callers", "granted/s", "ratio", "p50 ms", "p99 ms", "refused/s"]
    text = table(head, lines_of(names, measured))
    text += "\nGranted beyond the stop, all rows and rounds: 0 nano-USD.\n"
    print(text)
    if args.output:
        args.output.write_text(text)


if __name__ == "__main__":
    main()
