"""Show tasks, agents, streams, the month's money and open breakers as they are now."""

import argparse
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agents.router.breakers import BreakerRecord
    from bus.bus import StreamState
    from bus.presence import ProcessRecord
    from schemas.llm import BudgetState
    from schemas.task import TaskRecord

HELP = "show tasks, agents, streams, money and breakers"

TASKS_SHOWN = 10
WIDTH_IN_PIPES = 160
GUARD_TIMEOUT_S = 1.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("task", nargs="?", help="only this task")
    parser.add_argument("--detailed", action="store_true", help="all tasks, every agent, ids in full")
    parser.add_argument("--json", action="store_true", help="answer in JSON")


async def run(args: argparse.Namespace) -> int:
    import msgspec

    from bus.budget import Budget
    from orchestrator.breaker_list import open_breakers
    from orchestrator.shell import UserError, bus_for, load_settings
    from orchestrator.task_costs import task_costs
    from orchestrator.tasks import find_task, known_tasks

    async with bus_for(load_settings(args), role="cli", source="labverse/status") as bus:
        tasks = await known_tasks(bus)
        if args.task:
            task_id = await find_task(bus, args.task)
            tasks = [task for task in tasks if task.task_id == task_id]
            if not tasks:
                costs = await task_costs(bus, task_id)
                under = f"; {costs} under it: `labverse costs --task {task_id}` shows them" if costs else ""
                raise UserError(f"no task {task_id} is known: `labverse status` shows those that are{under}")
        processes = await bus.presence.processes()
        streams = await bus.streams()
        dead = len(await bus.letters.list())
        breakers = await open_breakers(bus)
        has_guard = any(agent.durable == "cost-guard" for one in processes for agent in one.agents)
        state = await Budget(bus).state(timeout_s=GUARD_TIMEOUT_S) if has_guard else None
        budget = state.month if state else None
    if args.json:
        answer = {
            "tasks": tasks,
            "processes": processes,
            "streams": streams,
            "dead_letters": dead,
            "budget": budget,
            "breakers": breakers,
        }
        print(msgspec.json.format(msgspec.json.encode(answer)).decode())
        return 0
    _print(tasks, processes, streams, dead, detailed=args.detailed or bool(args.task))
    _print_models(budget, breakers)
    return 0


def _print(
    tasks: "list[TaskRecord]",
    processes: "list[ProcessRecord]",
    streams: "list[StreamState]",
    dead: int,
    *,
    detailed: bool,
) -> None:
    from rich.console import Console

    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = WIDTH_IN_PIPES
    shown = tasks if detailed else tasks[-TASKS_SHOWN:]
    console.print(_tasks_table(shown, len(tasks), detailed=detailed))
    console.print(_agents_table(processes, detailed=detailed))
    for stream in streams:
        limit = f" of {stream.messages_max:,}" if stream.messages_max > 0 else ""
        size = f"{stream.bytes / 1e6:,.1f} MB"
        size += f" of {stream.bytes_max / 1e6:,.0f} MB" if stream.bytes_max > 0 else ""
        console.print(f"stream {stream.name:<9} {stream.messages:,}{limit} messages, {size}")
    if dead:
        console.print(f"[bold red]{dead} dead letters[/]: `labverse dead list` shows them")


def _print_models(budget: "BudgetState | None", breakers: "list[BreakerRecord]") -> None:
    import time

    from rich.console import Console

    from agents.cost_guard.report import dollars
    from orchestrator.clean import clean

    console = Console(highlight=False)
    if budget is not None:
        console.print(
            f"{budget.limit}: {dollars(budget.spent_nusd)} spent, {dollars(budget.reserved_nusd)} held; "
            f"paid calls stop at {dollars(budget.stop_nusd)} of {dollars(budget.limit_nusd)}"
        )
    for breaker in breakers:
        left_s = breaker.open_until_s - time.time()
        console.print(
            f"breaker of {clean(breaker.name)} open for {left_s:.0f} s: {breaker.reason}", style="red"
        )


def _tasks_table(tasks: "list[TaskRecord]", total: int, *, detailed: bool) -> Any:
    from rich.table import Table
    from rich.text import Text

    from agents.cost_guard.report import dollars
    from orchestrator.clean import clean

    title = "tasks" if len(tasks) == total else f"tasks (the newest {len(tasks)} of {total})"
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="dim")
    for heading in ("task", "what", "state", "done", "findings", "cost", "started", "remarks"):
        uncut = {"task": 26 if detailed else 8, "state": 9}.get(heading)
        table.add_column(heading, no_wrap=heading != "remarks", min_width=uncut)
    colours = {
        "completed": "green",
        "running": "cyan",
        "failed": "red",
        "expired": "red",
        "cancelled": "yellow",
    }
    for task in tasks:
        steps = f"{task.steps_done}/{task.steps}" if task.steps else "-"
        table.add_row(
            task.task_id if detailed else task.task_id[-8:],
            Text(clean(task.name or task.kind)),
            Text(task.state, style=colours.get(task.state, "")),
            f"{steps} {task.percent} %",
            str(task.findings) if task.result_subject else "-",
            dollars(task.cost_nusd),
            task.created_at[:19].replace("T", " "),
            Text(clean(task.reason if detailed else task.reason[:60])),
        )
    if not tasks:
        table.add_row("none yet", *[""] * 7)
    return table


def _agents_table(processes: "list[ProcessRecord]", *, detailed: bool) -> Any:
    from collections import Counter

    from rich.table import Table

    table = Table(title="agents", title_justify="left", box=None, pad_edge=False, header_style="dim")
    for heading in ("process", "role", "agent", "busy", "handled", "failed"):
        table.add_column(heading)
    for process in processes:
        where = f"{process.host}:{process.pid}"
        if detailed:
            for agent in process.agents:
                table.add_row(
                    where, process.role, agent.name, str(agent.running), str(agent.handled), str(agent.failed)
                )
            continue
        for durable, count in Counter(agent.durable for agent in process.agents).items():
            same = [agent for agent in process.agents if agent.durable == durable]
            table.add_row(
                where,
                process.role,
                f"{durable} × {count}" if count > 1 else durable,
                str(sum(agent.running for agent in same)),
                str(sum(agent.handled for agent in same)),
                str(sum(agent.failed for agent in same)),
            )
    if not processes:
        table.add_row("none: `labverse up` starts them", *[""] * 5)
    return table
