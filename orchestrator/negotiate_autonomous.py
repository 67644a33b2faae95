"""`labverse negotiate --mode autonomous`: a negotiation every so often, unattended, on whichever node leads."""

import argparse
import asyncio
import sys
from typing import Final

import msgspec

from agents.negotiator.cycles.programme import (
    Patience,
    check_interval,
    check_name,
    programme_name,
    programmes,
)
from agents.negotiator.cycles.runner import Runner
from agents.negotiator.gates import usd
from bus import Bus
from bus.cancelling import end
from bus.envelope import now_text
from orchestrator.chores import start
from orchestrator.clean import clean
from orchestrator.dealing import cards_for
from orchestrator.negotiate_single import request_of
from orchestrator.negotiating import course_of, served
from orchestrator.shell import EXIT_OK, UserError, bus_for, load_settings, stop_signals
from schemas.negotiation import CycleRecord, NegotiationRequested, Programme

CYCLES_MAX: Final = 1_000_000
NEVER: Final = 10**9
IDENTICAL_MAX: Final = 3
EXIT_PAUSED: Final = 1
STANDBY_S: Final = 2.0
"""Without the lead for so long, somebody else has it."""


async def run_autonomous(args: argparse.Namespace) -> int:
    """Run until somebody stops it, or so many cycles are over.

    Raises:
        UserError, ProgrammeError: something asked for makes no sense.
    """
    loaded = load_settings(args)
    programme = _programme(args, request_of(args, cards_for(loaded.settings)))
    patience = Patience(identical=_identical_max(args.identical_max))
    cycles = _cycles(args.cycles)
    async with (
        stop_signals() as stop,
        bus_for(loaded, role="negotiate", source="labverse/negotiate") as bus,
        served(bus, loaded.settings, programme.request.models),
    ):
        known = await _known(bus, programme.name)
        if known is not None and known.paused_why:
            print(_paused(known), file=sys.stderr)
            if cycles != NEVER:
                return EXIT_PAUSED
        printer = _Printer(bus, stop, cycles, as_json=args.json)
        runner = Runner(bus=bus, programme=programme, tell=printer.tell, patience=patience)
        print(
            f"programme {programme.name}: a cycle every {programme.interval_s:g} s; Ctrl-C ends it here, "
            "`labverse negotiations stop` everywhere",
            file=sys.stderr,
        )
        standing_by = start(_say_standby(runner), "say who leads")
        try:
            await runner.run(stop)
        finally:
            await end((standing_by, *printer.watching))
    return EXIT_PAUSED if printer.is_paused else EXIT_OK


def _programme(args: argparse.Namespace, request: NegotiationRequested) -> Programme:
    if args.cycle_interval is None:
        raise UserError("--cycle-interval is missing: seconds between cycles, such as 3600")
    interval_s = check_interval(args.cycle_interval)
    name = check_name(args.name) if args.name else programme_name(request, interval_s)
    return Programme(name=name, request=request, interval_s=interval_s)


def _identical_max(stated: int | None) -> int:
    if stated is None:
        return IDENTICAL_MAX
    if stated < 0 or stated == 1:
        raise UserError(f"--identical-max is {stated}; give 0 for never, or 2 and more")
    return stated or NEVER


def _cycles(stated: int | None) -> int:
    if stated is None:
        return NEVER
    if not 1 <= stated <= CYCLES_MAX:
        raise UserError(f"--cycles is {stated}; give 1 to {CYCLES_MAX:,}")
    return stated


async def _known(bus: Bus, name: str) -> Programme | None:
    bucket = programmes(bus)
    await bucket.ensure()
    found = await bucket.get(name)
    return found[0] if found else None


def _paused(programme: Programme) -> str:
    return (
        f"labverse: it pauses: {clean(programme.paused_why)}; "
        f"labverse negotiations resume {programme.name} lets it go on"
    )


async def _say_standby(runner: Runner) -> None:
    """Say so when another node leads."""
    try:
        async with asyncio.timeout(STANDBY_S):
            await runner.is_leading.wait()
    except TimeoutError:
        known = await _known(runner.bus, runner.programme.name)
        who = f" ({clean(known.leader)})" if known and known.leader else ""
        print(f"another node{who} leads: this one stands by", file=sys.stderr)


class _Printer:
    """Prints a line a cycle and what it waits for, and ends the command after so many of them."""

    def __init__(self, bus: Bus, stop: asyncio.Event, cycles: int, *, as_json: bool) -> None:
        self._bus = bus
        self._stop = stop
        self._left = cycles
        self._waits = cycles == NEVER
        self._as_json = as_json
        self.is_paused = False
        self.watching: set[asyncio.Task[None]] = set()

    def tell(self, record: CycleRecord, programme: Programme) -> None:
        if self._as_json:
            answer = {"cycle": record, "programme": programme.name, "paused_why": programme.paused_why}
            print(msgspec.json.encode(answer).decode(), flush=True)
        else:
            print(clean(line_of(record)), flush=True)
        if record.state == "running":
            watching = start(self._say_waiting(record.task_id), f"watch {record.task_id}")
            self.watching.add(watching)
            watching.add_done_callback(self.watching.discard)
        if programme.paused_why:
            print(_paused(programme), file=sys.stderr)
            if not self._waits:  # for so many cycles: there won't be any more
                self.is_paused = True
                self._stop.set()
        if record.state != "running":
            self._left -= 1
            if self._left <= 0:
                self._stop.set()

    async def _say_waiting(self, task_id: str) -> None:
        """Say that a person must decide, and how."""
        course = await course_of(
            self._bus, task_id, until=lambda now: now.approval is not None, on_event=lambda *_: None
        )
        if course.approval is not None and not course.is_over:
            print(
                f"it waits for a person: labverse approve {course.approval.approval_id} (or veto); "
                f"cycles are skipped until then, or until {course.approval.deadline[:16]}Z",
                file=sys.stderr,
                flush=True,
            )


def line_of(record: CycleRecord) -> str:
    """One cycle in one line, with the time at which this is said."""
    amount = f" at most {usd(record.amount_nusd)}" if record.amount_nusd else ""
    why = f": {record.why}" if record.why else ""
    return f"{now_text()[:19]}Z  cycle {record.number}  {record.state}{amount}{why}  ({record.task_id})"
