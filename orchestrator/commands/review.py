"""Review a code base: agents on an embedded bus look at it in parallel and write one report.

Exit codes: 0 nothing at or above --fail-on, 1 findings, 2 the review failed or is not whole.
"""

import argparse
import asyncio
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from agents.review.intake import Intake
    from bus import Bus
    from config.load import Loaded
    from schemas.review import Bundle, ReviewReport, ReviewRequested

HELP = "review a folder or file and print a report"

FORMATS = ("terminal", "markdown", "json", "sarif")
SEVERITIES = ("critical", "high", "medium", "low", "info", "never")
GRACE_S = 0.5
"""Our own agents leave at once when the report is there; what they hold goes to the other agents."""
TASK_MARGIN_S = 15.0
LOOK_AGAIN_S = 3.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "path", nargs="?", default=".", help="folder or file to review (default: this folder)"
    )
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


async def run(args: argparse.Namespace) -> int:
    from orchestrator.shell import UserError, bus_for, load_settings, stop_signals, unless
    from schemas.review import PASSES_MAX

    loaded = load_settings(
        args,
        review__fail_on=args.fail_on,
        review__agents=args.agents,
        review__deadline_s=args.deadline,
        review__models=args.models,
        review__max_cost_usd=args.max_cost,
    )
    if not 0 <= args.passes <= PASSES_MAX:
        raise UserError(f"--passes must be 0 to {PASSES_MAX}, not {args.passes}")
    if args.estimate:
        return await _estimate(args, loaded)
    if args.write_baseline and args.write_baseline == args.output:
        raise UserError("--write-baseline and --output name the same file")
    from orchestrator.orphans import review_source
    from orchestrator.roster import REPLICAS_MAX, Warmth, cores

    wanted = loaded.settings.review.agents or cores()
    if not 1 <= wanted <= REPLICAS_MAX:
        raise UserError(f"--agents must be 1 to {REPLICAS_MAX}, not {wanted}")
    # Analyser processes load their libraries while we read files and the bus starts.
    warmth = Warmth(min(wanted, cores()))
    try:
        async with stop_signals() as stop:
            request, intake = await unless(stop, asyncio.to_thread(_prepare, args, loaded))
            async with bus_for(loaded, role="review", source=review_source()) as bus:
                report = await _review(args, loaded, bus, request, intake, warmth, stop)
    finally:
        await warmth.close()
    return await asyncio.to_thread(_deliver, args, loaded, report)


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
    from agents.review.intake import IntakeError, collect
    from agents.review.roles import pick_roles
    from orchestrator.roster import intake_limits
    from orchestrator.shell import UserError
    from schemas.review import Models, ReviewRequested

    path = Path(args.path)
    roles = tuple(role.strip() for role in (args.roles or "").split(",") if role.strip())
    try:
        pick_roles(roles)
        intake = collect(
            path, include=args.include, exclude=args.exclude, limits=intake_limits(loaded.settings)
        )
        changed = None
        if args.diff is not None:
            folder = path if path.is_dir() else path.parent
            changed = changed_lines(folder, args.diff)
            intake = _only_files(intake, {entry.path for entry in changed})
        baseline = tuple(read_baseline(Path(args.baseline))) if args.baseline else ()
    except (IntakeError, DiffError, BaselineError, ValueError) as error:
        raise UserError(str(error)) from None
    return (
        ReviewRequested(
            name=str(path.resolve().name or path),
            roles=roles,
            changed=changed,
            baseline=baseline,
            not_reviewed=intake.not_reviewed,
            deadline_s=loaded.settings.review.deadline_s,
            models=Models(loaded.settings.review.models),
            max_cost_nusd=round(loaded.settings.review.max_cost_usd * 1e9),
            passes_max=args.passes,
            models_s=loaded.settings.review.models_s,
        ),
        intake,
    )


def _only_files(intake: "Intake", paths: set[str]) -> "Intake":
    from agents.review.intake import Intake
    from schemas.review import NotReviewed

    kept = tuple(file for file in intake.files if file.path in paths)
    left = len(intake.files) - len(kept)
    note = (NotReviewed(path="(unchanged)", reason=f"{left} files did not change"),) if left else ()
    return Intake(files=kept, not_reviewed=(*intake.not_reviewed, *note))


async def _review(
    args: argparse.Namespace,
    loaded: "Loaded",
    bus: "Bus",
    request: "ReviewRequested",
    intake: "Intake",
    warmth: object,
    stop: asyncio.Event,
) -> "ReviewReport":
    """Submit, watch, and take our own agents along unless others already serve this bus."""
    from contextlib import AsyncExitStack

    import msgspec

    from agents.review.planner import store_files
    from orchestrator.orphans import cancel_orphans
    from orchestrator.review_models import can_be_called
    from orchestrator.roster import MODEL_KINDS, REVIEW_KINDS, Warmth, agents_on
    from orchestrator.shell import unless
    from schemas.ids import new_id
    from schemas.review import Models

    assert isinstance(warmth, Warmth)
    task_id = new_id()
    async with AsyncExitStack() as stack:

        async def work_ourselves() -> None:
            agents = agents_on(
                bus, loaded.settings, kinds, replicas=args.agents or 0, warmth=warmth, grace_s=GRACE_S
            )
            await stack.enter_async_context(agents)

        await cancel_orphans(bus)
        is_served = await _is_served(bus)
        kinds: tuple[str, ...] = REVIEW_KINDS
        if not is_served:
            if await can_be_called(loaded.settings, request.models):
                kinds = (*REVIEW_KINDS, *MODEL_KINDS, "librarian", "model-reviewer")
            elif request.models is not Models.NONE and not args.models:
                # Nobody asked for models: that there are none is nothing to complain of.
                request = msgspec.structs.replace(request, models=Models.NONE)
            await work_ourselves()
        with bus.tracing.span(
            "labverse review", {"labverse.task_id": task_id, "labverse.files": len(intake.files)}
        ):
            bundles: list[Bundle] = await unless(stop, store_files(bus, intake.files))
            command = msgspec.structs.replace(request, bundles=tuple(bundles))
            deadline_s = time.time() + request.deadline_s + TASK_MARGIN_S
            await bus.submit(command, task_id=task_id, deadline_s=deadline_s)
            stand_in = asyncio.create_task(_stand_in(bus, work_ourselves)) if is_served else None
            try:
                report: ReviewReport = await unless(stop, _watch(args, bus, task_id))
                return report
            except KeyboardInterrupt:
                await bus.cancel(task_id, by="the command line", reason="interrupted")
                raise
            finally:
                if stand_in is not None:
                    stand_in.cancel()


async def _stand_in(bus: "Bus", work_ourselves: "Callable[[], Awaitable[None]]") -> None:
    """Do the work when those that were to do it have left."""
    while await _is_served(bus):  # noqa: ASYNC110 - nobody tells when an agent is killed
        await asyncio.sleep(LOOK_AGAIN_S)
    print("labverse: the agents that ran have left: this command goes on by itself", file=sys.stderr)
    await work_ourselves()


async def _is_served(bus: "Bus") -> bool:
    """Whether lasting agents (not those of another command, which leave with it) do all kinds of our work."""
    from orchestrator.roster import REVIEW_KINDS

    lasting = [process for process in await bus.presence.processes() if process.role in ("up", "agent")]
    return {agent.durable for process in lasting for agent in process.agents} >= set(REVIEW_KINDS)


async def _watch(args: argparse.Namespace, bus: "Bus", task_id: str) -> "ReviewReport":
    from orchestrator.follow import ended, follow
    from orchestrator.live import live_view
    from orchestrator.shell import UserError
    from schemas.review import ReviewCompleted

    show = sys.stderr.isatty() and not args.quiet
    async with bus.notes(task_id) as notes, live_view(notes, enabled=show) as view:
        async for event, envelope in follow(bus, task_id):
            view.on_event(event, envelope)
            if isinstance(event, ReviewCompleted):
                return event.report
            if end := ended(event):
                state, reason = end
                raise UserError(f"the review {state}: {reason} (task {task_id})")
    raise UserError(f"task {task_id} ended without a report")


def _deliver(args: argparse.Namespace, loaded: "Loaded", report: "ReviewReport") -> int:
    """Write the report where it is wanted; returns the exit code."""
    from agents.review.baseline import BaselineError, write_baseline
    from agents.review.report import exit_code, render, summary_line
    from orchestrator.clean import clean
    from orchestrator.shell import UserError
    from schemas.review import Severity

    form = "json" if args.json else args.format
    form = form or ("terminal" if sys.stdout.isatty() and not args.output else "markdown")
    try:
        if args.write_baseline:
            write_baseline(Path(args.write_baseline), report.findings, created=report.created_at)
        if form == "terminal":
            from orchestrator.terminal_report import print_report

            print_report(report, Path(args.output) if args.output else None)
        elif args.output:
            Path(args.output).write_text(render(report, form), encoding="utf-8")
        else:
            sys.stdout.write(render(report, form))
    except BaselineError as error:
        raise UserError(str(error)) from None
    except OSError as error:
        raise UserError(
            f"{error.filename or args.output or 'standard output'} can't be written: {error.strerror}"
        ) from None
    if args.output and not args.quiet:
        print(f"{clean(summary_line(report))} · {args.output}", file=sys.stderr)
    fail_on = loaded.settings.review.fail_on
    return exit_code(report, None if fail_on == "never" else Severity(fail_on))
