"""A node that runs a programme, as a process of its own: `python cyclesnode.py URL NAME INTERVAL NODE`."""

import asyncio
import sys

from agents.negotiator.cycles import Runner
from bus import BusOptions, ConnectOptions, open_bus
from schemas.negotiation import CycleRecord, NegotiationRequested, Programme

REQUEST = NegotiationRequested(goal="syndication", platforms=("tiktok", "spotify"))


async def main(url: str, name: str, interval_s: str, node: str) -> None:
    def tell(record: CycleRecord, programme: Programme) -> None:
        print(node, record.number, record.state, flush=True)

    async with open_bus(BusOptions(connect=ConnectOptions(url=url), source=node)) as bus:
        programme = Programme(name=name, request=REQUEST, interval_s=float(interval_s))
        await Runner(bus=bus, programme=programme, tell=tell, node=node).run(asyncio.Event())


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
