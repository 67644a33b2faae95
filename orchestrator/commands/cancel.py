"""Call a task off: what is queued is dropped on all machines, what runs is stopped."""

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bus import Bus

HELP = "call a task off"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("task", help="task id, or its unique beginning or end")
    parser.add_argument("--reason", default="", help="why, for the records")
    parser.add_argument("--json", action="store_true", help="answer in JSON")


async def run(args: argparse.Namespace) -> int:
    import msgspec

    from orchestrator.shell import UserError, bus_for, load_settings
    from orchestrator.tasks import find_task, known_tasks

    async with bus_for(load_settings(args), role="cli", source="labverse/cancel") as bus:
        task_id = await find_task(bus, args.task)
        record = next((task for task in await known_tasks(bus) if task.task_id == task_id), None)
        if record is None and not await _has_events(bus, task_id):
            raise UserError(f"no task {task_id}: `labverse status` shows them")
        if record is not None and record.state.is_final:
            raise UserError(f"task {task_id} has ended already: {record.state}")
        await bus.cancel(task_id, by=_user(), reason=args.reason)
        print(msgspec.json.encode({"cancelled": task_id}).decode() if args.json else f"cancelled {task_id}")
    return 0


async def _has_events(bus: "Bus", task_id: str) -> bool:
    async for _ in bus.events(task_id, only_stored=True):
        return True
    return False


def _user() -> str:
    import getpass

    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "the command line"  # a container may run under a number that has no name
