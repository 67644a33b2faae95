"""Run one kind of agent; as many processes and machines as you like share its work."""

import argparse
import sys

from orchestrator.local_flag import add_local_model, own_model

HELP = "run one kind of agent, any number of times"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "kind",
        help="tracker, review-planner, reviewer, review-merger, model-reviewer, librarian, cost-guard, router, "
        "approver, negotiator, platform, messenger or gateway",
    )
    parser.add_argument("--replicas", type=int, default=0, metavar="N", help="reviewers in this process")
    add_local_model(parser)


async def run(args: argparse.Namespace) -> int:
    from orchestrator.roster import KINDS, REPLICAS_MAX, agents_on
    from orchestrator.shell import UserError, bus_for, load_settings, stop_signals

    if args.kind not in KINDS:
        raise UserError(f"no agent of kind {args.kind!r}: there are {', '.join(KINDS)}")
    if not 0 <= args.replicas <= REPLICAS_MAX:
        raise UserError(f"--replicas must be 1 to {REPLICAS_MAX}, not {args.replicas}")
    loaded = load_settings(args)
    async with (
        stop_signals() as stop,
        bus_for(loaded, role="agent", source=f"labverse/{args.kind}") as bus,
        agents_on(bus, loaded.settings, (args.kind,), replicas=args.replicas, own_model=own_model(args)),
    ):
        print(f"{args.kind} is ready; Ctrl-C stops it", file=sys.stderr)
        await stop.wait()
        print("finishing what is in flight …", file=sys.stderr)
    return 0
