"""Review a code base: agents on an embedded bus look at it in parallel and write one report.

Exit codes: 0 nothing at or above --fail-on, 1 findings, 2 the review failed or is not whole.
"""

import argparse
import asyncio
import re
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agents.review.intake import Intake
    from config.load import Loaded
    from orchestrator.roster import Warmth
    from schemas.review import ReviewReport, ReviewRequested

HELP = "review a folder or file and print a report"

FORMATS = ("terminal", "markdown", "json", "sarif", "github")
SEVERITIES = ("critical", "high", "medium", "low", "info", "never")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    _add_actions(parser)
    parser.add_argument("--format", choices=FORMATS, help="default: terminal on a terminal, else markdown")
    parser.add_argument("--json", action="store_true", help="the same as --format json")
    parser.add_argument("--output", "-o", metavar="FILE", help="write the report to FILE")
    parser.add_argument(
        "--fail-on",
        choices=SEVERITIES,
        metavar="LEVEL",
        help=f"exit 1 from this severity on: {', '.join(SEVERITIES)}",
    )
    parser.add_argument(
        "--agents", type=int, metavar="N", help="reviewers that share the work (default: one a core)"
    )
    parser.add_argument("--roles", metavar="A,B", help="only these roles, e.g. security,secrets")
    parser.add_argument(
        "--include", action="append", default=[], metavar="GLOB", help="only files that match"
    )
    parser.add_argument(
        "--exclude", action="append", default=[], metavar="GLOB", help="leave out files that match"
    )
    parser.add_argument("--diff", metavar="BASE", help="only what changed since git revision BASE")
    parser.add_argument(
        "--staged", action="store_true", help="what is staged for the next commit, and only its changed lines"
    )
    parser.add_argument(
        "--watch",
        action="store_true",
        help="review again whenever files change, and tell what is new and what went",
    )
    parser.add_argument("--baseline", metavar="FILE", help="mark the findings of this file as known")
    parser.add_argument(
        "--write-baseline", metavar="FILE", help="write all findings to FILE as the new baseline"
    )
    parser.add_argument(
        "--deadline", type=float, metavar="S", help="seconds the review may take (default: 600)"
    )
    parser.add_argument(
        "--models",
        choices=("none", "local", "any"),
        help="which models may read the code besides the analysers (default: local ones, if there are any)",
    )
    parser.add_argument(
        "--max-cost",
        type=float,
        metavar="USD",
        help="most that models may cost for this review (default: 1.00)",
    )
    parser.add_argument(
        "--passes",
        type=int,
        default=100,
        metavar="N",
        help="most assignments for models (default: %(default)s)",
    )
    parser.add_argument(
        "--estimate",
        action="store_true",
        help="say what models would take, and stop: calls, tokens, money, time",
    )
    parser.add_argument("--quiet", "-q", action="store_true", help="no progress on stderr")


def _add_actions(parser: argparse.ArgumentParser) -> None:
    """What is reviewed; or what to do with findings, which the place of the path names."""
    parser.add_argument(
        "path",
        nargs="?",
        default=".",
        help="folder or file to review (default: this folder); or what to do: dismiss, dismissals, undismiss",
    )
    parser.add_argument("ids", nargs="*", metavar="ID", help="of the findings to dismiss: their fingerprints")
    parser.add_argument("--reason", metavar="TEXT", help="why they are dismissed")
    parser.add_argument(
        "--path", dest="top", metavar="DIR", help="of whose repository (default: the one here)"
    )


async def run(args: argparse.Namespace) -> int:
    from orchestrator.review_actions import act, is_action
    from orchestrator.shell import UserError, load_settings, stop_signals
    from schemas.review import PASSES_MAX

    loaded = load_settings(
        args,
        review__fail_on=args.fail_on,
        review__agents=args.agents,
        review__deadline_s=args.deadline,
        review__models=args.models,
        review__max_cost_usd=args.max_cost,
    )
    if is_action(args):
        return await asyncio.to_thread(act, args, loaded)
    if args.ids or args.reason is not None or args.top is not None:
        raise UserError(
            "one folder or file can be reviewed; ids, --reason and --path belong to `review dismiss`"
        )
    if not 0 <= args.passes <= PASSES_MAX:
        raise UserError(f"--passes must be 0 to {PASSES_MAX}, not {args.passes}")
    if args.estimate:
        return await _estimate(args, loaded)
    if args.staged and args.diff is not None:
        raise UserError("--staged and --diff are two different reviews: choose one")
    if args.watch and (args.staged or args.output or args.write_baseline):
        raise UserError(
            "--watch prints what changes in the files: leave --staged, --output and --write-baseline out"
        )
    if args.watch and args.format not in (None, "terminal", "json"):
        raise UserError(f"--watch prints lines, or with --json JSON: it can't print {args.format}")
    if args.write_baseline and args.write_baseline == args.output:
        raise UserError("--write-baseline and --output name the same file")
    from orchestrator.roster import REPLICAS_MAX, Warmth, cores

    wanted = loaded.settings.review.agents or cores()
    if not 1 <= wanted <= REPLICAS_MAX:
        raise UserError(f"--agents must be 1 to {REPLICAS_MAX}, not {wanted}")
    # Analyser processes load their libraries while we read files and the bus starts.
    warmth = Warmth(min(wanted, cores()))
    try:
        async with stop_signals() as stop:
            if args.watch:
                return await _again_and_again(args, loaded, warmth, stop)
            report = await _once(args, loaded, warmth, stop)
    finally:
        await warmth.close()
    from orchestrator.review_delivery import deliver

    return await asyncio.to_thread(deliver, args, loaded, report)


async def _once(
    args: argparse.Namespace, loaded: "Loaded", warmth: "Warmth", stop: asyncio.Event
) -> "ReviewReport":
    from orchestrator.orphans import review_source
    from orchestrator.reviewing import Crew
    from orchestrator.shell import bus_for, unless

    request, intake = await unless(stop, asyncio.to_thread(_prepare, args, loaded))
    async with (
        bus_for(loaded, role="review", source=review_source()) as bus,
        Crew(bus, loaded.settings, replicas=args.agents or 0, warmth=warmth) as crew,
    ):
        return await crew.review(request, intake, stop=stop, show=_shows(args))


async def _again_and_again(
    args: argparse.Namespace, loaded: "Loaded", warmth: "Warmth", stop: asyncio.Event
) -> int:
    from orchestrator.orphans import review_source
    from orchestrator.review_actions import remember
    from orchestrator.reviewing import Crew
    from orchestrator.shell import bus_for, unless
    from orchestrator.watching import watch

    async with (
        bus_for(loaded, role="review", source=review_source()) as bus,
        Crew(bus, loaded.settings, replicas=args.agents or 0, warmth=warmth) as crew,
    ):

        async def review() -> "ReviewReport":
            request, intake = await unless(stop, asyncio.to_thread(_prepare, args, loaded))
            report = await crew.review(request, intake, stop=stop, show=False)
            await asyncio.to_thread(remember, report, Path(args.path), loaded)
            return report

        as_json = args.json or args.format == "json"
        await watch(Path(args.path), review, stop, own=loaded.settings.bus.data_dir, as_json=as_json)
    raise KeyboardInterrupt  # nothing else ends it


def _shows(args: argparse.Namespace) -> bool:
    """Whether the live view is drawn."""
    return sys.stderr.isatty() and not args.quiet


async def _estimate(args: argparse.Namespace, loaded: "Loaded") -> int:
    from orchestrator.review_models import estimate, print_estimate
    from orchestrator.shell import bus_for

    request, intake = await asyncio.to_thread(_prepare, args, loaded)
    async with bus_for(loaded, role="review", source="labverse/review") as bus:
        plan = await estimate(bus, loaded.settings, request, intake)
    print_estimate(plan, request, intake, as_json=args.json)
    return 0


def _prepare(args: argparse.Namespace, loaded: "Loaded") -> tuple["ReviewRequested", "Intake"]:
    """What is to be reviewed, before anything is started for it."""
    from agents.review.baseline import BaselineError, read_baseline
    from agents.review.diff import DiffError, changed_lines
    from agents.review.dismissal_file import FILE, DismissalError, read_dismissals, top_of
    from agents.review.intake import IntakeError, collect
    from agents.review.roles import pick_roles
    from agents.review.staged import staged_lines, write_staged
    from orchestrator.roster import intake_limits
    from orchestrator.shell import UserError
    from schemas.review import Models, ReviewRequested

    path = Path(args.path)
    roles = tuple(role.strip() for role in (args.roles or "").split(",") if role.strip())
    try:
        pick_roles(roles)
        limits = intake_limits(loaded.settings)
        changed = None
        if args.staged:
            changed = staged_lines(path)
            with tempfile.TemporaryDirectory(prefix="labverse-staged-") as folder:
                names = [entry.path for entry in changed]
                write_staged(path, names, Path(folder), file_bytes_max=limits.file_bytes_max)
                intake = collect(Path(folder), include=args.include, exclude=args.exclude, limits=limits)
        else:
            exclude = [*args.exclude, *_ours(path, loaded.settings.bus.data_dir)]
            intake = collect(path, include=args.include, exclude=exclude, limits=limits)
        if args.diff is not None:
            changed = changed_lines(path if path.is_dir() else path.parent, args.diff)
            intake = _only_files(intake, {entry.path for entry in changed})
        baseline = tuple(read_baseline(Path(args.baseline))) if args.baseline else ()
        dismissed = read_dismissals(top_of(path))
    except (IntakeError, DiffError, BaselineError, DismissalError, ValueError) as error:
        raise UserError(str(error)) from None
    return (
        ReviewRequested(
            name=str(path.resolve().name or path),
            roles=roles,
            changed=changed,
            baseline=baseline,
            dismissed=dismissed,
            dismissed_in=FILE if dismissed else "",
            not_reviewed=intake.not_reviewed,
            deadline_s=loaded.settings.review.deadline_s,
            models=Models(loaded.settings.review.models),
            needs_models=args.models not in (None, "none"),
            max_cost_nusd=round(loaded.settings.review.max_cost_usd * 1e9),
            passes_max=args.passes,
            models_s=loaded.settings.review.models_s,
        ),
        intake,
    )


def _ours(path: Path, data_dir: Path) -> list[str]:
    """A glob for our own data folder, where it lies below the reviewed one: it holds the keys of the bus."""
    root, own = path.resolve(), data_dir.resolve()
    if own == root or not own.is_relative_to(root):
        return []
    glob = re.sub(r"([^/\w.-])", r"\\\1", own.relative_to(root).as_posix())
    return [f"/{glob}/"]


def _only_files(intake: "Intake", paths: set[str]) -> "Intake":
    from agents.review.intake import Intake
    from schemas.review import NotReviewed

    kept = tuple(file for file in intake.files if file.path in paths)
    left = len(intake.files) - len(kept)
    note = (NotReviewed(path="(unchanged)", reason=f"{left} files did not change"),) if left else ()
    return Intake(files=kept, not_reviewed=(*intake.not_reviewed, *note))
