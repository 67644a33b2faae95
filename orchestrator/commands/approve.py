"""Approve what waits for people: shows what it is, asks, and says yes.

Exit codes: 0 it counts (or did before), 1 it doesn't (too late, expired, not allowed, changed, or you said no),
2 it could not be said.
"""

import argparse

HELP = "say yes to what waits for approval"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("id", help="the approval's id, or its unique beginning or end")
    parser.add_argument("--note", default="", help="why, for the records")
    parser.add_argument("--yes", "-y", action="store_true", help="don't ask")
    parser.add_argument("--json", action="store_true", help="answer in JSON (needs --yes)")


async def run(args: argparse.Namespace) -> int:
    from orchestrator.approving import say

    return await say(args, "approve")
