"""Show what happens in a task, from its beginning until it ends."""

import argparse
import asyncio
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bus import Envelope
    from schemas.event import Event

HELP = "show what happens in a task until it ends"

UNKNOWN_AFTER_S = 2.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("task", help="task id, or its unique beginning or end")
    parser.add_argument("--json", action="store_true", help="one event a line, in JSON, with its envelope")


async def run(args: argparse.Namespace) -> int:
    from orchestrator.follow import ended, follow
    from orchestrator.shell import (
        EXIT_FAILED,
        EXIT_OK,
        UserError,
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

        async def watch() -> TaskState:
            seen = asyncio.Event()

            async def nobody() -> None:
                await asyncio.sleep(UNKNOWN_AFTER_S)
                if not seen.is_set():
                    print(f"nothing yet of task {task_id}: waiting for it", file=sys.stderr)

            hint = asyncio.create_task(nobody())
            try:
                async for event, envelope in follow(bus, task_id):
                    seen.set()
                    print(_as_json(event, envelope) if args.json else _line(event, envelope), flush=True)
                    if end := ended(event):
                        return end[0]
            finally:
                hint.cancel()
            raise UserError(f"task {task_id} can't be followed any further")

        state = await unless(stop, watch())
    return EXIT_OK if state is TaskState.COMPLETED else EXIT_FAILED


def _as_json(event: "Event", envelope: "Envelope") -> str:
    import msgspec

    return msgspec.json.encode({"envelope": envelope, "event": event}).decode()


def _line(event: "Event", envelope: "Envelope") -> str:
    from orchestrator.clean import clean

    return clean(f"{envelope.time[11:23]}  {envelope.tag:<22} {_what(event)}")


def _what(event: "Event") -> str:
    from agents.cost_guard.report import dollars
    from agents.review.report import summary_line
    from schemas.cost import CostRecorded, CostThresholdCrossed
    from schemas.review import ReviewAssigned, ReviewCompleted, ReviewFindings, ReviewPlanned, ReviewRequested
    from schemas.task import TaskCancelled, TaskExpired, TaskStepFailed

    match event:
        case ReviewRequested(name=name):
            return name
        case ReviewPlanned(files=files, lines=lines, assignments=steps):
            return f"{files} files, {lines} lines, {len(steps)} assignments"
        case ReviewAssigned(index=index, of=of, role=role, paths=paths):
            return f"{index + 1}/{of} {role}: {', '.join(paths[:2])}{' …' if len(paths) > 2 else ''}"
        case ReviewFindings(index=index, agent=agent, role=role, hits=hits, seconds=seconds):
            return f"{index + 1} {role} by {agent}: {len(hits)} hits in {seconds:.2f} s"
        case ReviewCompleted(report=report):
            return summary_line(report)
        case TaskCancelled(by=by, reason=reason):
            return f"by {by} {reason}"
        case TaskExpired(agent=agent, event_type=tag, event_id=step):
            return f"{agent} had no time left for {tag} {step}"
        case TaskStepFailed(agent=agent, event_type=tag, reason=reason):
            return f"{agent} gave up {tag}: {reason}"
        case CostRecorded(record=record, task_spent_nusd=spent):
            tokens = f"{record.usage.input_tokens} + {record.usage.output_tokens} tokens"
            cost = f"{dollars(record.cost_nusd)}, {dollars(spent)} so far"
            return f"{record.provider}/{record.model} {record.outcome} in {record.latency_s:.2f} s: {tokens}, {cost}"
        case CostThresholdCrossed(budget=budget, percent=percent, is_stop=is_stop):
            stop = ": paid calls stop" if is_stop else ""
            return f"{percent} % of {budget.limit} ({dollars(budget.limit_nusd)}) is used{stop}"
        case _:
            return ""
