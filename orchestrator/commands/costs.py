"""Show what model calls cost: the budget, where the money went, day by day, and where to save.

Exit codes: 0 it was shown (nothing spent is fine too), 2 it could not be found out.
"""

import argparse
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from agents.cost_guard.advice import Advice
    from agents.cost_guard.evidence import Evidence
    from agents.cost_guard.report import Report
    from orchestrator.costs_view import Costs
    from orchestrator.period import Period
    from schemas.cost import CallRecord

HELP = "show what model calls cost, and where to save"

GROUPS = ("provider", "model", "task", "agent", "tenant", "day", "purpose")
PROGRESS_EVERY = 2_000
"""Records between two signs of life."""
WIDTH_IN_PIPES = 160


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--by", choices=GROUPS, default="model", help="what to add up by (default: %(default)s)"
    )
    parser.add_argument(
        "--since",
        default="month",
        metavar="WHEN",
        help="from when: 7d, 24h, 2026-11-01, or month (default: %(default)s, the current one)",
    )
    parser.add_argument(
        "--until", default="", metavar="WHEN", help="up to and with this day, or 2d for two days ago"
    )
    parser.add_argument("--task", metavar="ID", help="only this task's calls")
    parser.add_argument("--tenant", metavar="TENANT", help="only this tenant's calls")
    parser.add_argument("--advice", action="store_true", help="say where money could be saved")
    parser.add_argument("--json", action="store_true", help="answer in JSON; money is in nano-USD")


async def run(args: argparse.Namespace) -> int:
    from contextlib import aclosing

    from agents.cost_guard.books import read_records
    from agents.cost_guard.evidence import Evidence
    from agents.cost_guard.report import Report
    from orchestrator.costs_view import Costs
    from orchestrator.limits_now import limits_now
    from orchestrator.period import period_of
    from orchestrator.shell import bus_for, load_settings
    from orchestrator.tasks import find_task

    period = period_of(args.since, args.until, now_s=time.time())
    by, days = Report(args.by), Report("day")
    evidence = Evidence() if args.advice else None
    loaded = load_settings(args)
    async with bus_for(loaded, role="cli", source="labverse/costs") as bus:
        task_id = await find_task(bus, args.task) if args.task else ""
        state = await limits_now(bus, loaded.settings, task_id=task_id, tenant=args.tenant or "")
        async with aclosing(read_records(bus, period.since_s)) as records:
            wanted = _wanted(records, period, task_id, args.tenant or "")
            await _add_up(wanted, by, days, evidence)
    costs = Costs(
        period=_about(period, task_id, args.tenant or ""),
        by=by,
        days=days,
        budget=state,
        advice=_advice(evidence),
    )
    if args.json:
        _print_json(costs, period)
    else:
        _print(costs)
    return 0


def _about(period: "Period", task_id: str, tenant: str) -> str:
    task = f" of task {task_id}" if task_id else ""
    return f"{period.words}{task}{f' of tenant {tenant}' if tenant else ''}"


async def _wanted(
    records: "AsyncIterator[CallRecord]", period: "Period", task_id: str, tenant: str
) -> "AsyncIterator[CallRecord]":
    async for record in records:
        if (
            period.holds(record.at)
            and (not task_id or record.task_id == task_id)
            and (not tenant or record.tenant == tenant)
        ):
            yield record


async def _add_up(
    records: "AsyncIterator[CallRecord]", by: "Report", days: "Report", evidence: "Evidence | None"
) -> None:
    """Read all of them, with a sign of life on stderr when somebody looks."""
    from rich.console import Console

    with Console(stderr=True).status("reading the books …") as status:
        async for record in records:
            by.add(record)
            days.add(record)
            if evidence is not None:
                evidence.add(record)
            if by.total.calls % PROGRESS_EVERY == 0:
                status.update(f"reading the books: {by.total.calls:,} calls …")


def _advice(evidence: "Evidence | None") -> "list[Advice] | None":
    from agents.cost_guard.advice import advise

    return None if evidence is None else advise(evidence)


def _print(costs: "Costs") -> None:
    from rich.console import Console

    from orchestrator.costs_view import print_costs

    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = WIDTH_IN_PIPES
    print_costs(console, costs)


def _print_json(costs: "Costs", period: "Period") -> None:
    import msgspec

    answer = {
        "since": period.since,
        "until": period.until,
        "by": costs.by.by,
        "budget": costs.budget,
        "total": costs.by.totals(),
        "rows": costs.by.rows(),
        "days": costs.days.rows(),
        "advice": costs.advice,
    }
    print(msgspec.json.format(msgspec.json.encode(answer)).decode())
