"""`labverse negotiate --mode autonomous`: a negotiation every so often, unattended, on whichever node leads."""

import argparse
import asyncio
import sys
from typing import Final

import msgspec

from agents.negotiator.cycles.programme import Patience, check_interval, check_name, programme_name
from agents.negotiator.cycles.runner import Runner
from agents.negotiator.gates import usd
from orchestrator.clean import clean
from orchestrator.dealing import cards_for
from orchestrator.negotiate_single import request_of
from orchestrator.negotiating import served
from orchestrator.shell import EXIT_OK, UserError, bus_for, load_settings, stop_signals
from schemas.negotiation import CycleRecord, NegotiationRequested, Programme

CYCLES_MAX: Final = 1_000_000
NEVER: Final = 10**9
IDENTICAL_MAX: Final = 3
EXIT_PAUSED: Final = 1


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
        printer = _Printer(stop, cycles, as_json=args.json)
        runner = Runner(bus=bus, programme=programme, tell=printer.tell, patience=patience)
        print(
            f"programme {programme.name}: a cycle every {programme.interval_s:g} s; Ctrl-C ends it here, "
            "`labverse negotiations stop` everywhere",
            file=sys.stderr,
        )
        await runner.run(stop)
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


class _Printer:
    """Prints a line a cycle, and ends the command after so many of them."""

    def __init__(self, stop: asyncio.Event, cycles: int, *, as_json: bool) -> None:
        self._stop = stop
        self._left = cycles
        self._waits = cycles == NEVER
        self._as_json = as_json
        self.is_paused = False

    def tell(self, record: CycleRecord, programme: Programme) -> None:
        if self._as_json:
            answer = {"cycle": record, "programme": programme.name, "paused_why": programme.paused_why}
            print(msgspec.json.encode(answer).decode(), flush=True)
        else:
            print(clean(line_of(record)), flush=True)
        if programme.paused_why:
            print(
                f"labverse: it pauses: {clean(programme.paused_why)}; "
                f"labverse negotiations resume {programme.name} lets it go on",
                file=sys.stderr,
            )
            if not self._waits:  # for so many cycles: there won't be any more
                self.is_paused = True
                self._stop.set()
        if record.state != "running":
            self._left -= 1
            if self._left <= 0:
                self._stop.set()


def line_of(record: CycleRecord) -> str:
    """One cycle in one line."""
    amount = f" at most {usd(record.amount_nusd)}" if record.amount_nusd else ""
    why = f": {record.why}" if record.why else ""
    return f"{record.at[:19]}Z  cycle {record.number}  {record.state}{amount}{why}  ({record.task_id})"
