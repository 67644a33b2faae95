"""Show what happens in a task, from its beginning until it ends."""

import argparse
import asyncio
import sys
from contextlib import aclosing
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bus import Bus, Envelope
    from schemas.event import Event
    from schemas.task import TaskState

HELP = "show what happens in a task until it ends"

UNKNOWN_AFTER_S = 2.0
"""Without any event; what is stored comes within milliseconds."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("task", help="task id, or its unique beginning or end")
    parser.add_argument("--wait", action="store_true", help="for a task of which nothing is known yet, too")
    parser.add_argument("--json", action="store_true", help="one event a line, in JSON, with its envelope")


async def run(args: argparse.Namespace) -> int:
    from orchestrator.shell import (
        EXIT_FAILED,
        EXIT_OK,
        bus_for,
        load_settings,
        stop_signals,
        unless,
    )
    from orchestrator.tasks import find_task
    from schemas.task import TaskState

    loaded = load_settings(args)
    async with stop_signals() as stop, bus_for(loaded, role="cli", source="labverse/watch") as bus:
        task_id = await find_task(bus, args.task)
        state = await unless(stop, _watch(bus, task_id, args))
        if state is None:
            return await _unknown(bus, task_id)
    return EXIT_OK if state is TaskState.COMPLETED else EXIT_FAILED


async def _watch(bus: "Bus", task_id: str, args: argparse.Namespace) -> "TaskState | None":
    """The state that the task ends in; None when nothing is known of it but what models cost."""
    from bus.cancelling import end
    from orchestrator.follow import ended, follow
    from orchestrator.shell import UserError
    from schemas.cost import CostRecorded, CostThresholdCrossed

    is_known = asyncio.Event()
    unknown = asyncio.create_task(_silence(is_known, UNKNOWN_AFTER_S))

    async def tell() -> "TaskState | None":
        async with aclosing(follow(bus, task_id)) as events:
            async for event, envelope in events:
                if not isinstance(event, (CostRecorded, CostThresholdCrossed)):
                    is_known.set()  # what models cost goes on about no end of anything
                print(_as_json(event, envelope) if args.json else _line(event, envelope), flush=True)
                if end := ended(event, task_id):
                    return end[0]
        raise UserError(f"task {task_id} can't be followed any further")

    telling = asyncio.create_task(tell())
    try:
        await asyncio.wait((telling, unknown), return_when=asyncio.FIRST_COMPLETED)
        if not telling.done() and not is_known.is_set():
            if not args.wait:
                return None
            print(f"nothing yet of task {task_id}: waiting for it", file=sys.stderr)
        return await telling
    finally:
        await end((telling, unknown))


async def _silence(is_known: asyncio.Event, seconds: float) -> None:
    """Return after so many seconds; never once the task is known."""
    try:
        async with asyncio.timeout(seconds):
            await is_known.wait()
    except TimeoutError:
        return
    await asyncio.Event().wait()


async def _unknown(bus: "Bus", task_id: str) -> int:
    from orchestrator.shell import EXIT_FAILED, EXIT_OK
    from orchestrator.task_costs import task_costs

    costs = await task_costs(bus, task_id)
    under = f"; {costs} under it: `labverse costs --task {task_id}` shows them" if costs else ""
    print(f"no events of task {task_id} are known{under} (--wait waits for it)", file=sys.stderr)
    return EXIT_OK if costs else EXIT_FAILED


def _as_json(event: "Event", envelope: "Envelope") -> str:
    import msgspec

    return msgspec.json.encode({"envelope": envelope, "event": event}).decode()


def _line(event: "Event", envelope: "Envelope") -> str:
    from orchestrator.clean import clean
    from orchestrator.event_words import told

    return clean(f"{envelope.time[11:23]}  {envelope.tag:<22} {told(event)}")
