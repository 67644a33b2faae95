"""Run all agents on the bus and keep them running, for services that publish tasks.

Without NATS_URL the embedded bus is started (or found) in the data folder.
"""

import argparse
import sys

from orchestrator.local_flag import add_local_model, own_model

HELP = "run all agents and keep them running"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--port", type=int, help="port of the embedded bus (default: any free one)")
    parser.add_argument(
        "--http-port", type=int, metavar="PORT", help="of the HTTP gateway (default: 8084; 0: any free one)"
    )
    parser.add_argument(
        "--agents", type=int, metavar="N", help="reviewers in this process (default: one a core)"
    )
    add_local_model(parser)


async def run(args: argparse.Namespace) -> int:
    from orchestrator.roster import agents_on, kinds_for
    from orchestrator.shell import bus_for, load_settings, stop_signals

    loaded = load_settings(
        args, bus__port=args.port, review__agents=args.agents, gateway__port=args.http_port
    )
    kinds = kinds_for(loaded.settings)
    async with (
        stop_signals() as stop,
        bus_for(loaded, role="up", source="labverse/up") as bus,
        agents_on(bus, loaded.settings, kinds, own_model=own_model(args)),
    ):
        where = bus.address.url if bus.address else "the NATS server of bus.url"
        print(f"labverse is up at {where} with {', '.join(kinds)}; Ctrl-C stops it", file=sys.stderr)
        if bus.address:
            print("connect from any language with: export NATS_URL=$(labverse config url)", file=sys.stderr)
        await stop.wait()
        print("finishing what is in flight …", file=sys.stderr)
    return 0
