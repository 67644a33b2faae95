"""Find the fair deal and prove it: in a file, between platforms once, or again and again unattended.

labverse negotiate --domain FILE                       issues, and what each of their values is worth to whom
labverse negotiate --mode single --goal "Cross-platform content syndication" --platforms tiktok spotify
labverse negotiate --mode autonomous --cycle-interval 3600 --goal "…" --platforms tiktok spotify

A file is YAML, JSON or a Genius domain in XML with its profiles. Platforms speak by their rate cards; the approval
policy says which deals a person must approve. No server, model or key is needed.
Exit codes: 0 a deal, 1 there is none (or it was vetoed, or expired), 2 it could not be found out, 3 it waits for
approval.
"""

import argparse
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Coroutine, Sequence
    from pathlib import Path

    from agents.negotiator.solve import Options
    from orchestrator.negotiation_picture import Picture
    from orchestrator.negotiation_solving import Answer

HELP = "find the fair deal between agents, with a proof"

CONCEPTS: Final = ("regret", "nash", "kalai_smorodinsky", "egalitarian", "utilitarian")
REGRETS: Final = ("relative", "absolute")
RISKS: Final = ("semideviation", "cvar", "cara")
DEADLINE_S: Final = 0.18
DEADLINE_MAX_S: Final = 3_600.0
RISK_AVERSION: Final = 0.2
WIDTH_IN_PIPES: Final = 160
ERROR_CHARS_MAX: Final = 500
EXIT_NO_DEAL: Final = 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--mode",
        choices=("single", "autonomous"),
        help="between platforms, on the bus: once, or a cycle every so often until it is stopped",
    )
    _add_platforms(parser.add_argument_group("between platforms"))
    _add_cycles(parser.add_argument_group("again and again, with --mode autonomous"))
    _add_file(parser.add_argument_group("from a file, without --mode"))
    _add_solving(parser)


def _add_platforms(group: "argparse._ArgumentGroup") -> None:
    group.add_argument("--goal", metavar="TEXT", help="what the deal between platforms is for")
    group.add_argument(
        "--platforms", metavar="NAME", nargs="+", default=[], help="who takes part, by their rate cards"
    )
    group.add_argument(
        "--budget", type=float, metavar="USD", help="most that we pay all platforms together (default: 1000)"
    )
    group.add_argument(
        "--on-silence",
        choices=("leave_out", "block"),
        default="leave_out",
        help="without a platform's position: go on without it, or agree on nothing (default: %(default)s)",
    )
    group.add_argument(
        "--models",
        choices=("none", "local", "any"),
        default="none",
        help="which models may word positions; numbers come from rate cards alone (default: %(default)s)",
    )
    group.add_argument(
        "--ask", action="store_true", help="put the deal before a person, whatever the policy says"
    )
    group.add_argument("--yes", action="store_true", help="approve the deal, if you are one who may")
    group.add_argument(
        "--no-wait", action="store_true", help="leave when the deal waits for approval (exit code 3)"
    )


def _add_cycles(group: "argparse._ArgumentGroup") -> None:
    group.add_argument(
        "--cycle-interval", type=float, metavar="S", help="seconds between autonomous cycles, 1 to 2678400"
    )
    group.add_argument(
        "--name", metavar="NAME", help="of the autonomous programme (default: made from goal and platforms)"
    )
    group.add_argument(
        "--cycles",
        type=int,
        metavar="N",
        help="end after so many cycles, or with exit code 1 when it pauses (default: never)",
    )
    group.add_argument(
        "--identical-max",
        type=int,
        metavar="N",
        help="pause after so many identical deals in a row; 0: never (default: 3)",
    )


def _add_file(group: "argparse._ArgumentGroup") -> None:
    group.add_argument(
        "--domain",
        metavar="FILE",
        help="what is negotiated: YAML, JSON, Genius XML, or its folder",
    )
    group.add_argument(
        "--profile",
        metavar="FILE",
        action="append",
        default=[],
        help="an agent's file of a Genius domain, once for each (default: all that lie beside it and fit)",
    )


def _add_solving(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--concept",
        choices=CONCEPTS,
        default="regret",
        help="what is fair (default: %(default)s, the largest small)",
    )
    parser.add_argument(
        "--regret",
        choices=REGRETS,
        default="relative",
        help="to what each could gain, or in its own unit times its weight (default: %(default)s)",
    )
    parser.add_argument(
        "--risk-aversion",
        type=float,
        default=RISK_AVERSION,
        metavar="X",
        help="how much agents with scenarios dislike bad surprises; 0: not at all (default: %(default)s)",
    )
    parser.add_argument(
        "--risk", choices=RISKS, default="semideviation", help="how risk is measured (default: %(default)s)"
    )
    parser.add_argument(
        "--deadline",
        type=float,
        default=DEADLINE_S,
        metavar="S",
        help="seconds to solve; then the best found so far, with its gap (default: %(default)s)",
    )
    parser.add_argument("--json", action="store_true", help="answer in JSON: the certificate, or who blocks")
    parser.add_argument("--picture", metavar="FILE.svg", help="draw the frontier and the deal into FILE.svg")


def run(args: argparse.Namespace) -> "int | Coroutine[Any, Any, int]":
    from orchestrator.shell import UserError

    if args.mode is None and args.domain is not None:
        _refuse(args, "--mode single", ("goal", "platforms", "budget", "ask", "yes", "no_wait"))
        _refuse(args, "--mode autonomous", ("cycle_interval", "name", "cycles", "identical_max"))
        return _run_domain(args)
    if args.domain is not None:
        raise UserError("--domain FILE goes without --mode: a file says all by itself")
    if args.mode is None:
        raise UserError("say what to negotiate: --domain FILE, or --mode single|autonomous; see --help")
    _refuse(args, "--domain", ("profile",))
    if args.mode == "autonomous":
        from orchestrator.negotiate_autonomous import run_autonomous

        _refuse(args, "--mode single", ("yes", "no_wait", "picture"))
        return run_autonomous(args)
    from orchestrator.negotiate_single import run_single

    _refuse(args, "--mode autonomous", ("cycle_interval", "name", "cycles", "identical_max"))
    return run_single(args)


def _refuse(args: argparse.Namespace, where: str, options: "Sequence[str]") -> None:
    """Options that have no meaning here are a mistake, not to be passed over."""
    from orchestrator.shell import UserError

    for option in options:
        if getattr(args, option):
            raise UserError(f"--{option.replace('_', '-')} goes with {where}")


def _run_domain(args: argparse.Namespace) -> int:
    from pathlib import Path

    from agents.negotiator.limits import RefusedError
    from orchestrator.clean import clean
    from orchestrator.negotiation_picture import picture_of
    from orchestrator.negotiation_solving import negotiated
    from orchestrator.shell import UserError
    from schemas.deal import NoDeal

    picture_path = None if args.picture is None else _picture_path(args.picture)
    try:
        _check(args)
        answer = negotiated(
            Path(args.domain),
            [Path(one) for one in args.profile],
            _options(args),
            deadline_s=args.deadline,
            with_points=picture_path is not None or not args.json,
        )
    except RefusedError as error:
        raise UserError(clean(str(error))[:ERROR_CHARS_MAX]) from None
    except OSError as error:
        where = clean(str(error.filename or args.domain))
        raise UserError(f"{where[:ERROR_CHARS_MAX]} can't be read: {error.strerror}") from None
    picture = picture_of(answer.domain, answer.outcome, answer.points)
    if args.json:
        _print_json(answer)
    else:
        _print(answer, picture)
    if picture_path is not None:
        _draw(picture, picture_path)
    return EXIT_NO_DEAL if isinstance(answer.outcome, NoDeal) else 0


def _check(args: argparse.Namespace) -> None:
    from pathlib import Path

    from orchestrator.shell import UserError

    if not 0 < args.deadline <= DEADLINE_MAX_S:
        raise UserError(f"--deadline is {args.deadline:g}; give seconds above 0, at most {DEADLINE_MAX_S:g}")
    domain = Path(args.domain)
    if args.profile and domain.suffix.lower() != ".xml" and not domain.is_dir():
        raise UserError(
            "--profile goes with a Genius domain in XML; YAML and JSON hold the agents themselves"
        )


def _options(args: argparse.Namespace) -> "Options":
    from agents.negotiator.risk import Risk
    from agents.negotiator.solve import Options

    return Options(
        concept=args.concept, regret=args.regret, risk=Risk(kind=args.risk, aversion=args.risk_aversion)
    )


def _picture_path(stated: str) -> "Path":
    """Where to draw; said before any work is done."""
    from pathlib import Path

    from orchestrator.clean import clean
    from orchestrator.shell import UserError

    path = Path(stated)
    if path.suffix.lower() != ".svg":
        raise UserError(f"--picture {clean(stated)[:ERROR_CHARS_MAX]}: only .svg can be drawn")
    return path


def _print(answer: "Answer", picture: "Picture") -> None:
    from rich.console import Console

    from orchestrator.negotiation_view import print_certificate, print_no_deal
    from schemas.deal import NoDeal

    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = WIDTH_IN_PIPES
    if isinstance(answer.outcome, NoDeal):
        print_no_deal(console, answer.domain, answer.outcome, picture, answer.took_s)
    else:
        print_certificate(console, answer.domain, answer.outcome, picture, answer.took_s)


def _print_json(answer: "Answer") -> None:
    import msgspec

    print(msgspec.json.format(msgspec.json.encode(answer.outcome)).decode())


def _draw(picture: "Picture", path: "Path") -> None:
    import sys

    from orchestrator.clean import clean
    from orchestrator.negotiation_svg import svg_of
    from orchestrator.shell import UserError

    try:
        path.write_text(svg_of(picture), encoding="utf-8")
    except OSError as error:
        raise UserError(f"{clean(str(path))} can't be written: {error.strerror}") from None
    print(f"picture: {clean(str(path))}", file=sys.stderr)
