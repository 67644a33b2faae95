"""What models cost under one task, by the books; also of tasks that nothing but `labverse ask --task` made."""

from contextlib import aclosing

from agents.cost_guard.books import read_records
from agents.cost_guard.report import Report, dollars
from bus import Bus


async def task_costs(bus: Bus, task_id: str) -> str:
    """`3 model calls cost $0.0042`; empty when there were none.

    Raises:
        BusError: the books can't be read.
    """
    report = Report("task")
    async with aclosing(read_records(bus)) as records:
        async for record in records:
            if record.task_id == task_id:
                report.add(record)
    total = report.totals()
    if not total.calls:
        return ""
    calls = "1 model call" if total.calls == 1 else f"{total.calls:,} model calls"
    return f"{calls} cost {dollars(total.cost_nusd)}"
