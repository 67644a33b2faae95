"""Whole negotiations on the bus: how long from the request to the agreed deal, and how many at once.

    uv run python tests/bench/negotiation_bus.py [--rounds 3] [--count 60] [--output FILE]

All agents run in one process on one nats-server that syncs every write; positions come from rate cards, deals by
policy alone. The baseline is the same work with no bus in between: positions drafted one after the other, solver and
certificate with the same time limit, revenue drawn. `machine` is the proposal's own figure, from the request's time.
"""

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from pathlib import Path

from harness import Row, median, rounds, table

# isort: split
from deals import FREELY, dealing
from natsserver import NatsServer

from agents.negotiator.flow.settling import settle
from agents.negotiator.flow.table import SOLVE_S_MAX
from agents.negotiator.highs import warm
from agents.negotiator.platforms.cards import load_cards
from agents.negotiator.platforms.issues import issues_of
from agents.negotiator.platforms.positions import position_of
from bus import BusOptions, open_bus
from schemas.negotiation import (
    HOUSE,
    NegotiationAgreed,
    NegotiationOpened,
    NegotiationProposed,
    NegotiationRequested,
)

CASES = (("tiktok", "spotify"), ("tiktok", "spotify", "youtube"))
AT_ONCE = 8
WARM_UP = 5


def without_bus(request: NegotiationRequested) -> float:
    """Seconds of the same work in this thread."""
    cards = load_cards()
    began = time.perf_counter()
    issues = issues_of(request.platforms, cards)
    parties = (HOUSE, *request.platforms)
    positions = {
        party: position_of(
            party, cards=cards, issues=issues, platforms=request.platforms, budget_nusd=request.budget_nusd
        )
        for party in parties
    }
    opened = NegotiationOpened(request=request, parties=parties, issues=issues, asked=parties, deadline="")
    settle(opened, positions, cards, time_s=SOLVE_S_MAX)
    return time.perf_counter() - began


async def measured(server: NatsServer, request: NegotiationRequested, count: int) -> Row:
    warm()
    bare = [without_bus(request) for _ in range(count // 2 + WARM_UP)][WARM_UP:]
    walls, machine = [], []
    async with (
        open_bus(BusOptions(connect=server.options, grace_s=0.5)) as bus,
        dealing(bus, policy=FREELY) as deals,
    ):
        for number in range(count + WARM_UP):
            began = time.perf_counter()
            events = await deals.negotiate(request)
            wall = time.perf_counter() - began
            assert isinstance(events[-1], NegotiationAgreed)
            if number >= WARM_UP:
                walls.append(wall)
                machine += [event.machine_s for event in events if isinstance(event, NegotiationProposed)]
        began = time.perf_counter()
        for _ in range(count // AT_ONCE):
            await asyncio.gather(*(deals.negotiate(request) for _ in range(AT_ONCE)))
        at_once_s = (time.perf_counter() - began) / (count // AT_ONCE * AT_ONCE)
    return {
        "bare_ms": statistics.median(bare) * 1e3,
        "p50_ms": statistics.median(walls) * 1e3,
        "p99_ms": sorted(walls)[min(len(walls) - 1, round(0.99 * len(walls)))] * 1e3,
        "machine_p50_ms": statistics.median(machine) * 1e3,
        "machine_p99_ms": sorted(machine)[min(len(machine) - 1, round(0.99 * len(machine)))] * 1e3,
        "ratio": statistics.median(walls) / statistics.median(bare),
        "per_s": 1 / at_once_s,
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--count", type=int, default=60)
    parser.add_argument("--output", type=Path)
    parser.add_argument("--row", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.row:
        request = NegotiationRequested(
            goal="bench", platforms=tuple(args.row.split(",")), budget_nusd=10_000_000_000
        )
        with tempfile.TemporaryDirectory() as folder:
            server = NatsServer(Path(folder)).start()
            try:
                print(json.dumps(asyncio.run(measured(server, request, args.count))))
            finally:
                server.stop()
        return
    names = {",".join(case): ["--row", ",".join(case), "--count", str(args.count)] for case in CASES}
    runs = rounds(__file__, names, args.rounds)
    keys = ("bare_ms", "p50_ms", "p99_ms", "ratio", "machine_p50_ms", "machine_p99_ms", "per_s")
    lines = [
        [name.replace(",", ", "), *(f"{median(found, key):.{2 if key == 'ratio' else 1}f}" for key in keys)]
        for name, found in runs.items()
    ]
    head = (
        "platforms",
        "no bus, ms",
        "p50, ms",
        "p99, ms",
        "p50 / no bus",
        "machine p50, ms",
        "machine p99, ms",
        f"deals/s, {AT_ONCE} at once",
    )
    text = table(head, lines)
    print(text)
    if args.output:
        args.output.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
