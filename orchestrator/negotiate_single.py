"""`labverse negotiate --mode single`: one negotiation between platforms, watched to its end."""

import argparse
import asyncio
import sys
from typing import TYPE_CHECKING, Final

import msgspec

from agents.negotiator.flow.stored import proposed_in
from agents.negotiator.platforms.card import Card
from bus import Bus
from bus.cancelling import end
from config.errors import did_you_mean
from orchestrator.clean import clean
from orchestrator.dealing import cards_for
from orchestrator.negotiating import Answers, Course, course_of, served
from orchestrator.negotiation_report import (
    domain_of_course,
    print_ending,
    print_money,
    print_step,
    print_waiting,
)
from orchestrator.shell import EXIT_FAILED, EXIT_OK, UserError, bus_for, load_settings, stop_signals, unless
from schemas.event import Event
from schemas.llm import NUSD_PER_USD
from schemas.negotiation import GOAL_CHARS_MAX, HOUSE, NegotiationProposed, NegotiationRequested
from schemas.review import Models

if TYPE_CHECKING:
    from rich.console import Console

EXIT_NO_DEAL: Final = 1
EXIT_WAITS: Final = 3
BUDGET_USD_DEFAULT: Final = 1_000.0
BUDGET_USD_MAX: Final = 1e9
POSITION_S: Final = 2.0
POSITION_WITH_MODELS_S: Final = 30.0
WIDTH_IN_PIPES: Final = 160


async def run_single(args: argparse.Namespace) -> int:
    """Run it; returns the exit code.

    Raises:
        UserError: something asked for makes no sense, or the negotiation can't be followed.
    """
    loaded = load_settings(args)
    request = request_of(args, cards_for(loaded.settings))
    async with (
        stop_signals() as stop,
        bus_for(loaded, role="negotiate", source="labverse/negotiate") as bus,
        served(bus, loaded.settings, request.models),
    ):
        task_id = await bus.submit(request)
        try:
            course: Course = await unless(stop, _follow(bus, task_id, args))
        except KeyboardInterrupt:
            await _on_interrupt(bus, task_id)
            raise
    if args.json:
        print(as_json(course))
    return exit_code(course)


def request_of(args: argparse.Namespace, cards: dict[str, Card]) -> NegotiationRequested:
    """What is asked for.

    Raises:
        UserError: one line that says what is wrong.
    """
    goal = (args.goal or "").strip()
    if not goal:
        raise UserError('--goal is missing: say what the deal is for, such as "Cross-platform syndication"')
    if len(goal) > GOAL_CHARS_MAX:
        raise UserError(f"--goal has {len(goal)} characters; at most {GOAL_CHARS_MAX}")
    known = sorted(name for name in cards if name != HOUSE)
    if not args.platforms:
        raise UserError(f"--platforms is missing: name some of {', '.join(known)}")
    for name in args.platforms:
        if name not in known:
            hint = did_you_mean(name.lower(), known)
            raise UserError(
                f"no rate card for {clean(name)!r}{hint or ': there are cards for ' + ', '.join(known)}"
            )
        if args.platforms.count(name) > 1:
            raise UserError(f"platform {name} is named twice; name each once")
    budget = BUDGET_USD_DEFAULT if args.budget is None else args.budget
    if not 0.01 <= budget <= BUDGET_USD_MAX:
        raise UserError(f"--budget is {budget:g}; give US dollars from 0.01 to {BUDGET_USD_MAX:,.0f}")
    if args.risk != "semideviation" or not 0 <= args.risk_aversion <= 1:
        raise UserError("between platforms risk is --risk semideviation, with --risk-aversion from 0 to 1")
    models = Models(args.models)
    return NegotiationRequested(
        goal=goal,
        platforms=tuple(args.platforms),
        budget_nusd=round(budget * NUSD_PER_USD),
        concept=args.concept,
        regret=args.regret,
        risk_aversion=args.risk_aversion,
        position_s=POSITION_S if models is Models.NONE else POSITION_WITH_MODELS_S,
        on_silence=args.on_silence,
        models=models,
        needs_approval=args.ask,
    )


async def _follow(bus: Bus, task_id: str, args: argparse.Namespace) -> Course:
    from rich.console import Console

    console = Console(highlight=False, stderr=args.json)
    if not console.is_terminal:
        console.width = WIDTH_IN_PIPES

    def show(event: Event, course: Course) -> None:
        print_step(console, event)
        if isinstance(event, NegotiationProposed):
            _print_deal(console, course, args)

    course = await course_of(bus, task_id, until=lambda now: now.approval is not None, on_event=show)
    if course.approval is not None and not course.is_over:
        print_waiting(console, course.approval)
        if args.no_wait and not args.yes:
            return course
        course = await _decided(bus, course, args)
    print_ending(console, course)
    return course


def _print_deal(console: "Console", course: Course, args: argparse.Namespace) -> None:
    from pathlib import Path

    from agents.negotiator.points import points_of
    from agents.negotiator.risk import Risk
    from orchestrator.negotiation_picture import picture_of
    from orchestrator.negotiation_solving import quiet_stdout
    from orchestrator.negotiation_svg import svg_of
    from orchestrator.negotiation_view import print_certificate

    assert course.proposed is not None
    domain = domain_of_course(course)
    with quiet_stdout():
        points = points_of(domain, lambda: 1.0, Risk(aversion=args.risk_aversion))
    picture = picture_of(domain, course.proposed.certificate, points)
    console.print()
    print_certificate(console, domain, course.proposed.certificate, picture, course.proposed.machine_s)
    print_money(console, course.proposed)
    if args.picture:
        path = Path(args.picture)
        try:
            path.write_text(svg_of(picture), encoding="utf-8")
        except OSError as error:
            raise UserError(f"{clean(args.picture)} can't be written: {error.strerror}") from None
        print(f"picture: {clean(args.picture)}", file=sys.stderr)


async def _decided(bus: Bus, course: Course, args: argparse.Namespace) -> Course:
    """Wait for whoever decides; on a terminal the one who sits there may."""
    ending = asyncio.create_task(
        course_of(bus, course.task_id, until=lambda _: False, on_event=lambda *_: None)
    )
    asking = None
    if args.yes:
        asking = asyncio.create_task(_say(bus, course, "approve"))
    elif sys.stdin.isatty() and sys.stderr.isatty():
        asking = asyncio.create_task(_ask(bus, course))
    try:
        while True:
            waiting = {task for task in (ending, asking) if task is not None}
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            if ending.done():
                return ending.result()
            assert asking is not None
            if not asking.result():  # whoever sits here has nothing (more) to say
                return course
            asking = None
    finally:
        await end(task for task in (ending, asking) if task is not None)


async def _ask(bus: Bus, course: Course) -> bool:
    """Whether the answer is worth waiting for what comes of it."""
    with Answers() as answers:
        while True:
            print("approve it? [y]es, [n]o (veto), [l]ater: ", end="", file=sys.stderr, flush=True)
            line = (await answers.line()).strip().lower()
            match line[:1]:
                case "y":
                    return await _say(bus, course, "approve")
                case "n":
                    return await _say(bus, course, "veto")
                case "l" | "":
                    return False


async def _say(bus: Bus, course: Course, action: str) -> bool:
    from orchestrator.approving import counted, send

    assert course.approval is not None
    reply = await send(bus, course.approval, action)
    print(clean(reply.message), file=sys.stderr)
    return counted(reply)


async def _on_interrupt(bus: Bus, task_id: str) -> None:
    """A negotiation that waits for people goes on waiting; one that doesn't is called off."""
    proposed = await proposed_in(bus, task_id)
    if proposed is not None and proposed.approval_reasons:
        print(
            f"the deal still waits for approval: labverse negotiations show {task_id}; "
            f"labverse negotiations stop --task {task_id} calls it off",
            file=sys.stderr,
        )
    else:
        await bus.cancel(task_id, by="the command line", reason="interrupted")


def as_json(course: Course) -> str:
    """The whole course, for scripts."""
    answer = {
        "task_id": course.task_id,
        "state": course.state,
        "positions": course.positions,
        "proposed": course.proposed,
        "approval": course.approval,
        "ending": course.ending,
        "failed": course.failed,
    }
    return msgspec.json.format(msgspec.json.encode(answer)).decode()


def exit_code(course: Course) -> int:
    """0 agreed, 1 no deal, 2 it failed, 3 it waits for people."""
    match course.state:
        case "agreed":
            return EXIT_OK
        case "vetoed" | "expired" | "no_deal":
            return EXIT_NO_DEAL
        case "waiting" | "running":
            return EXIT_WAITS
        case _:
            return EXIT_FAILED
