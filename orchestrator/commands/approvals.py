"""Approvals: what waits for people, what became of the rest, and who tried what.

Exit codes: 0 it was shown or it counts, 1 the delegation doesn't count, 2 it failed.
"""

import argparse
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from bus import Bus
    from schemas.approval import AuditEntry

HELP = "what waits for a person's yes or no; who said what"

LINES_DEFAULT: Final = 100
LINES_MAX: Final = 100_000


def add_arguments(parser: argparse.ArgumentParser, common: argparse.ArgumentParser) -> None:
    # Without an action it is `list`; what stands before an action counts for it too.
    parser.add_argument("--all", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--json", action="store_true", help="answer in JSON")
    actions = parser.add_subparsers(dest="action", metavar="ACTION")
    listing = actions.add_parser("list", parents=[common], help="what waits for people, most urgent first")
    listing.add_argument(
        "--all",
        action="store_true",
        default=argparse.SUPPRESS,
        help="what was decided, too; newest first",
    )
    show = actions.add_parser("show", parents=[common], help="one approval with votes and terms")
    show.add_argument("id", help="its id, or its unique beginning or end")
    lines = actions.add_parser("log", parents=[common], help="the audit log, oldest first")
    lines.add_argument("id", nargs="?", default="", help="only of this approval")
    lines.add_argument(
        "--last",
        type=int,
        default=LINES_DEFAULT,
        metavar="N",
        help=f"the last N lines, at most {LINES_MAX} (default: %(default)s)",
    )
    delegate = actions.add_parser(
        "delegate", parents=[common], help="hand your right to vote on one approval on to somebody else"
    )
    delegate.add_argument("id", help="its id, or its unique beginning or end")
    delegate.add_argument(
        "--to", required=True, metavar="NAME", help="a name of the policy, or an identity such as cli:alice"
    )
    delegate.add_argument("--yes", "-y", action="store_true", help="don't ask")
    for action in (listing, show, lines, delegate):
        action.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="answer in JSON")


async def run(args: argparse.Namespace) -> int:
    from orchestrator.approving import say
    from orchestrator.shell import UserError, bus_for, load_settings

    if args.action == "delegate":
        return await say(args, "delegate", to=args.to)
    if args.action == "log" and not 1 <= args.last <= LINES_MAX:
        raise UserError(f"--last is {args.last}: say 1 to {LINES_MAX}")
    async with bus_for(load_settings(args), role="cli", source="labverse/approvals") as bus:
        match args.action:
            case "list" | None:
                await _list(bus, with_all=args.all, as_json=args.json)
            case "show":
                await _show(bus, args.id, as_json=args.json)
            case _:
                await _log(bus, args.id, args.last, as_json=args.json)
    return 0


async def _list(bus: "Bus", *, with_all: bool, as_json: bool) -> None:
    from agents.approver.records import approvals_bucket
    from orchestrator.approvals_view import print_approvals, terminal

    bucket = approvals_bucket(bus)
    await bucket.ensure()
    approvals = list((await bucket.values()).values())
    if with_all:
        approvals.sort(key=lambda one: one.opened_at, reverse=True)
    else:
        approvals = sorted((one for one in approvals if one.is_open), key=lambda one: one.deadline)
    if as_json:
        _print_json(approvals)
    else:
        print_approvals(terminal(), approvals, now_s=time.time(), with_all=with_all)


async def _show(bus: "Bus", text: str, *, as_json: bool) -> None:
    from orchestrator.approvals_view import print_approval, terminal
    from orchestrator.approving import find_approval

    approval = await find_approval(bus, text)
    if as_json:
        _print_json(approval)
    else:
        print_approval(terminal(), approval, now_s=time.time())


async def _log(bus: "Bus", text: str, last: int, *, as_json: bool) -> None:
    from collections import deque

    from orchestrator.approvals_view import print_audit, terminal
    from orchestrator.approving import find_approval
    from orchestrator.shell import UserError

    subject = text
    if text:
        try:
            subject = (await find_approval(bus, text)).approval_id
        except UserError:
            pass  # the log keeps lines longer than the bucket keeps approvals, and has some on ids that never were
    lines: deque[AuditEntry] = deque(maxlen=last)
    async for line in bus.audits(subject=subject):
        lines.append(line)
    if as_json:
        _print_json(list(lines))
    else:
        print_audit(terminal(), list(lines))


def _print_json(answer: object) -> None:
    import msgspec

    print(msgspec.json.format(msgspec.json.encode(answer)).decode())
