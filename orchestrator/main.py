"""The `labverse` command: one module of `orchestrator.commands` for each subcommand.

Modules are light to import; what is heavy is loaded where it is used, so that `--help` answers at once.

Exit codes: 0 all is well, 1 findings, 2 it failed or is less than it should be, 130 interrupted.
"""

import argparse
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Any, NoReturn

from orchestrator.commands import (
    agent,
    approvals,
    approve,
    ask,
    cancel,
    config,
    costs,
    dead,
    doctor,
    key,
    knowledge,
    negotiate,
    negotiations,
    providers,
    review,
    schema,
    status,
    submit,
    up,
    veto,
    watch,
)
from orchestrator.version import VERSION

COMMANDS: tuple[ModuleType, ...] = (
    review,
    ask,
    up,
    agent,
    providers,
    costs,
    knowledge,
    negotiate,
    negotiations,
    approvals,
    approve,
    veto,
    submit,
    watch,
    status,
    cancel,
    dead,
    key,
    schema,
    config,
    doctor,
)

WITH_ACTIONS = frozenset({"approvals", "config", "dead", "key", "knowledge", "negotiations"})

EXAMPLES = """\
examples:
  labverse review .                     review this folder: no server, model or key needed
  labverse review src --diff main       only what changed since main
  labverse review . --format sarif --output review.sarif
  labverse ask "why is the sky blue?"   by the cheapest model that is quick enough
  labverse costs --advice               what models cost, and where to save
  labverse knowledge search "…"         what the expert documents say about it
  labverse negotiate --domain FILE      the deal that is fairest to all, with its proof
  labverse negotiate --mode single --goal "…" --platforms tiktok spotify
  labverse approvals                    what waits for a person's yes
  labverse up                           keep agents running for services that publish tasks
  labverse status                       tasks, agents and streams
"""


class Parser(argparse.ArgumentParser):
    """Errors in one line that say what to do."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"labverse: {message}; see `{self.prog} --help`\n")


def _common_options(**kwargs: Any) -> Parser:
    common = Parser(add_help=False)
    common.add_argument(
        "--config", metavar="FILE", help="settings file (default: ./labverse.yaml, if there is one)", **kwargs
    )
    common.add_argument("--data-dir", metavar="DIR", help="data folder of the embedded bus", **kwargs)
    common.add_argument(
        "--verbose",
        "-v",
        action="count",
        help="say more on stderr; twice: everything",
        **{"default": 0, **kwargs},
    )
    return common


def build_parser() -> Parser:
    common = _common_options()
    parser = Parser(
        prog="labverse",
        description="Event-driven agents on NATS JetStream: code review with no model or key, model calls in limits.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"labverse {VERSION}")
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND", dest="command")
    for module in COMMANDS:
        name = module.__name__.rsplit(".", 1)[1]
        child = subparsers.add_parser(
            name,
            parents=[common],
            help=module.HELP,
            description=module.__doc__,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        if name in WITH_ACTIONS:
            # An action takes the common options too, and says nothing of those that stand before it.
            module.add_arguments(child, _common_options(default=argparse.SUPPRESS))
        else:
            module.add_arguments(child)
        child.set_defaults(run=module.run)
    return parser


def _in_order(arguments: Sequence[str]) -> list[str]:
    """`review dismiss --reason x ID` as `review dismiss ID --reason x`: argparse takes a command's positional
    arguments all at once, where the first stands."""
    words = list(arguments)
    if words[:2] != ["review", "dismiss"] or "--reason" not in words[2:-1]:
        return words
    place = words.index("--reason")
    option = words[place : place + 2]
    return [*words[:place], *words[place + 2 :], *option]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns its exit code."""
    parser = build_parser()
    args = parser.parse_args(_in_order(sys.argv[1:] if arguments is None else arguments))
    if args.command is None:
        parser.print_help()
        return 2
    try:
        from orchestrator.shell import run_command

        return run_command(args)
    except KeyboardInterrupt:  # so early that nothing is there yet to be left in order
        print("labverse: interrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
