"""Start any task from JSON, as a service would do it over NATS.

labverse submit review.requested.v1 '{"files": [{"path": "a.py", "text": "eval(input())"}]}' --wait
labverse submit review.requested.v1 @request.json
"""

import argparse
import asyncio
import sys
import time
from pathlib import Path

HELP = "start any task from JSON"

LATE_S = 2.0
"""After the deadline, for the word that it has passed."""
COMMAND_BYTES_MAX = 64 * 1024 * 1024


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("type", help="event type that starts a task, e.g. review.requested.v1")
    parser.add_argument("body", nargs="?", default="{}", help="JSON, @FILE, or - for standard input")
    parser.add_argument(
        "--task-id", default="", metavar="ID", help="choose the task's id (default: a new one)"
    )
    parser.add_argument(
        "--deadline", type=float, metavar="S", help="drop what is not done in so many seconds"
    )
    parser.add_argument(
        "--wait", action="store_true", help="wait for the task's end and print its last event"
    )
    parser.add_argument("--json", action="store_true", help="answer in JSON")


async def run(args: argparse.Namespace) -> int:
    import msgspec

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
    from orchestrator.starting import CommandError, command_from
    from schemas.event import is_token
    from schemas.task import TaskState

    if args.task_id and not is_token(args.task_id):
        raise UserError(f"task id {args.task_id[:80]!r}: use 1 to 64 characters of A-Z a-z 0-9 _ -")
    try:
        command = command_from(args.type, _read_body(args.body))
    except CommandError as error:
        raise UserError(str(error)) from None
    loaded = load_settings(args)
    async with stop_signals() as stop, bus_for(loaded, role="cli", source="labverse/submit") as bus:
        deadline_s = time.time() + args.deadline if args.deadline is not None else None
        task_id = await bus.submit(command, task_id=args.task_id, deadline_s=deadline_s, timeout_s=10.0)
        if not args.wait:
            print(msgspec.json.encode({"task_id": task_id}).decode() if args.json else task_id)
            return EXIT_OK

        async def wait() -> TaskState:
            async for event, _ in follow(bus, task_id):
                if end := ended(event, task_id):
                    sys.stdout.write(msgspec.json.format(msgspec.json.encode(event)).decode() + "\n")
                    return end[0]
            return TaskState.FAILED

        try:
            async with asyncio.timeout(args.deadline and args.deadline + LATE_S):
                state: TaskState = await unless(stop, wait())
        except TimeoutError:
            raise UserError(
                f"task {task_id} did not end by its deadline: does an agent for it run? `labverse status` tells"
            ) from None
        return EXIT_OK if state is TaskState.COMPLETED else EXIT_FAILED


def _read_body(body: str) -> bytes:
    from orchestrator.shell import UserError

    try:
        if body == "-":
            data = sys.stdin.buffer.read(COMMAND_BYTES_MAX + 1)
        elif body.startswith("@"):
            with Path(body[1:]).open("rb") as file:
                data = file.read(COMMAND_BYTES_MAX + 1)
        else:
            data = body.encode()
    except OSError as error:
        raise UserError(f"{body[1:]} can't be read: {error.strerror}") from None
    if len(data) > COMMAND_BYTES_MAX:
        raise UserError(f"the JSON is larger than {COMMAND_BYTES_MAX} bytes")
    return data
