"""Scatter and gather of 100 assignments whose handlers take a fixed time: how much does the bus add?

    uv run python tests/bench/fan_out.py [--rounds 3] [--output FILE]

Workers compete, one assignment at a time each. The ideal is ⌈100 / workers⌉ × the handler's time.
"""

import argparse
import asyncio
import json
import math
import tempfile
import time
from pathlib import Path

from harness import Row, median, rounds, table

# isort: split
from events import assigned, assigned_ids, findings, requested
from natsserver import NatsServer

from bus import BusOptions, Envelope, Outputs, Subscription, open_bus
from schemas.review import ReviewAssigned, ReviewFindings, ReviewRequested

ASSIGNMENTS = 100
CASES = ((0.05, 4), (0.05, 10), (0.2, 10), (0.2, 25), (1.0, 25))


async def scatter(server: NatsServer, work_s: float, workers: int) -> Row:
    async def plan(event: ReviewRequested, envelope: Envelope) -> Outputs:
        return [assigned(index, ASSIGNMENTS) for index in range(ASSIGNMENTS)]

    async def review(event: ReviewAssigned, envelope: Envelope) -> Outputs:
        await asyncio.sleep(work_s)
        return findings(event.index)

    async with open_bus(BusOptions(connect=server.options, grace_s=0.5)) as bus:
        await bus.run(Subscription(durable="planner", listens=(ReviewRequested,), handle=plan))
        for number in range(workers):
            subscription = Subscription(
                durable="reviewer", listens=(ReviewAssigned,), handle=review, concurrency=1
            )
            await bus.run(subscription, agent=f"reviewer-{number + 1}")
        await asyncio.sleep(0.3)
        started = time.perf_counter()
        task = await bus.submit(requested())
        gathered = await bus.gather(
            ReviewFindings,
            task_id=task,
            expected=assigned_ids(task, ASSIGNMENTS),
            deadline_s=time.time() + 60,
        )
        wall_s = time.perf_counter() - started
    assert len(gathered.parts) == ASSIGNMENTS
    ideal_s = math.ceil(ASSIGNMENTS / workers) * work_s
    return {"wall_s": wall_s, "ratio": wall_s / ideal_s}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--output", type=Path)
    parser.add_argument("--row", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.row:
        work_s, workers = args.row.split("x")
        with tempfile.TemporaryDirectory() as folder:
            server = NatsServer(Path(folder)).start()
            try:
                print(json.dumps(asyncio.run(scatter(server, float(work_s), int(workers)))))
            finally:
                server.stop()
        return
    names = {f"{work_s:g}x{workers}": ["--row", f"{work_s}x{workers}"] for work_s, workers in CASES}
    measured = rounds(__file__, names, args.rounds)
    lines = [
        [work_s, workers, f"{median(measured[f'{work_s:g}x{workers}'], 'wall_s'):.3f}",
         f"{median(measured[f'{work_s:g}x{workers}'], 'ratio'):.3f}"]
        for work_s, workers in CASES
    ]  # fmt: skip
    text = table(["handler s", "workers", "wall s", "wall ÷ ideal"], lines)
    print(text)
    if args.output:
        args.output.write_text(text)


if __name__ == "__main__":
    main()
