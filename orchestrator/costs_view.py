"""Costs on a terminal: the budget as a bar, what was spent by group, the days as a spark line, and advice."""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import TYPE_CHECKING, Final

import msgspec

from agents.cost_guard.advice import Advice
from agents.cost_guard.report import OTHERS, Report, Row, dollars
from orchestrator.clean import clean
from orchestrator.fitting import Column, print_table

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

    from schemas.cost import StateReply
    from schemas.llm import BudgetState

ROWS_SHOWN: Final = 25
"""Groups shown on a terminal; `--json` has them all."""
BAR_CELLS: Final = 48
BAR_CELLS_MIN: Final = 12
SHARE_CELLS: Final = 12
DAYS_SHOWN: Final = 60
SPARKS: Final = "▁▂▃▄▅▆▇█"
NO_SPARK: Final = "·"
DAYS_SHOWN_MIN: Final = 7
SPARK_WORDS_CELLS: Final = 55
"""What stands before and after the days, at most."""
LIMIT_CELLS: Final = 17
SPENT, RESERVED, FREE, STOP = "█", "▒", "░", "┃"

COLUMNS: Final = (
    Column("", "bar", rank=6),
    Column("cost"),
    Column("share", rank=1),
    Column("saved", rank=4),
    Column("calls"),
    Column("answered", rank=2),
    Column("failed"),
    Column("tokens in", rank=3),
    Column("out", rank=3, under="tokens out"),
    Column("p50", rank=5),
    Column("p95", rank=5),
)


class Costs(msgspec.Struct, frozen=True, kw_only=True):
    """All that is shown.

    Attributes:
        period: which time it is about, in words.
        budget: the limits as they stand now; None when no cost guard answers.
        advice: None when none was asked for.
    """

    period: str
    by: Report
    days: Report
    budget: "StateReply | None" = None
    advice: list[Advice] | None = None


def print_costs(console: "Console", costs: Costs) -> None:
    """Print it, in the width that `console` has."""
    from rich.text import Text

    _print_budget(console, costs.budget)
    total = costs.by.totals()
    if not total.calls:
        console.print(Text(f"no model calls {clean(costs.period)}: nothing was spent"))
        return
    console.print(_summary(total, costs.period))
    days = costs.days.rows()
    if len(days) > 1:
        room = console.width - SPARK_WORDS_CELLS
        console.print(spark_line(days, max(DAYS_SHOWN_MIN, min(DAYS_SHOWN, room))))
    console.print()
    _print_table(console, costs.by)
    if costs.advice is not None:
        console.print()
        _print_advice(console, costs.advice, total.calls)


def _print_budget(console: "Console", state: "StateReply | None") -> None:
    from rich.text import Text

    if state is None:
        console.print(Text("budget: no cost guard answers; `labverse up` runs one", style="dim"))
        return
    for budget in (state.month, state.tenant, state.task):
        if budget is not None:
            _print_bar(console, budget)
    if not state.leader:
        console.print(Text("as the books say: no cost guard leads now", style="dim"))
    if state.is_stopped:
        console.print(
            Text(" STOPPED ", style="bold white on red").append(
                " the month's money is spent or held: only free models are called until it resets",
                style="red",
            )
        )
    console.print()


def _print_bar(console: "Console", budget: "BudgetState") -> None:
    """In one line if there is room for bar and figures; else the figures stand under the bar."""
    from rich.padding import Padding

    figures = budget_figures(budget)
    cells = min(BAR_CELLS, console.width - LIMIT_CELLS - len(figures.plain) - 2)
    if cells >= BAR_CELLS_MIN:
        console.print(budget_bar(budget, cells).append("  ").append_text(figures))
        return
    console.print(budget_bar(budget, max(BAR_CELLS_MIN, min(BAR_CELLS, console.width - LIMIT_CELLS))))
    console.print(Padding(figures, (0, 0, 0, 2), expand=False))


def budget_figures(budget: "BudgetState") -> "Text":
    """`$1.20 spent + $0.30 held of $10.00, stops at $9.00, resets 2026-12-01`."""
    from rich.text import Text

    held = f" + {dollars(budget.reserved_nusd)} held" if budget.reserved_nusd else ""
    text = Text(f"{dollars(budget.spent_nusd)} spent{held} of {dollars(budget.limit_nusd)}")
    if budget.stop_nusd < budget.limit_nusd:
        text.append(f", stops at {dollars(budget.stop_nusd)}", style="dim")
    if budget.resets_at:
        text.append(f", resets {clean(budget.resets_at[:10])}", style="dim")
    return text


def budget_bar(budget: "BudgetState", cells: int = BAR_CELLS) -> "Text":
    """`month 2026-11  ████▒▒░░░░┃░`: spent, held, free, and where spending stops."""
    from rich.text import Text

    limit = max(1, budget.limit_nusd)
    spent = _cells(budget.spent_nusd, limit, cells)
    used = _cells(budget.spent_nusd + budget.reserved_nusd, limit, cells)
    used = min(cells, max(used, spent + (1 if budget.reserved_nusd and spent < cells else 0)))
    bar = [SPENT] * spent + [RESERVED] * (used - spent) + [FREE] * (cells - used)
    stop = min(cells - 1, budget.stop_nusd * cells // limit)
    bar[stop] = STOP
    share = (budget.spent_nusd + budget.reserved_nusd) / max(1, budget.stop_nusd)
    colour = "red" if share >= 1 else "yellow" if share >= 0.75 else "green"
    text = Text(f"{clean(budget.limit):<16} ")
    for position, cell in enumerate(bar):
        text.append(cell, style="bold" if position == stop else "dim" if cell == FREE else colour)
    return text


def _cells(part: int, whole: int, cells: int) -> int:
    """Cells for `part`; the least part that is not nothing gets one."""
    return min(cells, max(1, round(part * cells / whole))) if part > 0 else 0


def _summary(total: Row, period: str) -> "Text":
    from rich.text import Text

    text = Text(f"{dollars(total.cost_nusd)}", style="bold")
    text.append(f" for {_calls(total.calls)} {clean(period)}", style="not bold")
    remarks = [
        f"{number:,} {word}"
        for number, word in (
            (total.local_calls, "local"),
            (total.cached, "from the cache"),
            (total.failed, "failed"),
            (total.cancelled, "cancelled"),
            (total.hedges, "hedges"),
            (total.unknown, "of unknown charge"),
        )
        if number
    ]
    if total.saved_nusd:
        remarks.append(f"{dollars(total.saved_nusd)} saved by cache and local models")
    if total.wasted_nusd:
        remarks.append(f"{dollars(total.wasted_nusd)} without an answer")
    return text.append(f": {', '.join(remarks)}" if remarks else "", style="not bold")


def spark_line(days: Sequence[Row], days_max: int = DAYS_SHOWN) -> "Text":
    """A character a day, the last `days_max` days up to the last with calls; days without any are `·`."""
    from rich.text import Text

    costs = {row.name: row.cost_nusd for row in days if _is_day(row.name)}
    if not costs:
        return Text("")
    last = date.fromisoformat(max(costs))
    first = max(date.fromisoformat(min(costs)), last - timedelta(days=days_max - 1))
    names = [(first + timedelta(days=day)).isoformat() for day in range((last - first).days + 1)]
    highest = max(costs.get(name, 0) for name in names)
    text = Text(f"{first} ")
    for name in names:
        text.append(_spark(costs[name], highest) if name in costs else NO_SPARK, style="cyan")
    return text.append(f" {last}, the dearest day {dollars(highest)}")


def _spark(cost_nusd: int, highest: int) -> str:
    return SPARKS[cost_nusd * (len(SPARKS) - 1) // highest] if highest else SPARKS[0]


def _is_day(name: str) -> bool:
    try:
        date.fromisoformat(name)
    except ValueError:
        return False
    return True


def _print_table(console: "Console", report: Report) -> None:
    from rich.text import Text

    rows = report.rows()
    shown = rows[-ROWS_SHOWN:] if report.by == "day" else rows[:ROWS_SHOWN]
    title = f"by {report.by}"
    if len(rows) > len(shown):
        title += f" ({len(shown)} of {len(rows):,}; --json has them all)"
    print_table(
        console,
        title,
        (Column(report.by, "name"), *COLUMNS),
        [
            (
                Text(clean(row.name), style="dim" if row.name == OTHERS else ""),
                Text(
                    SPENT * _cells(row.cost_nusd, max(1, report.total.cost_nusd), SHARE_CELLS), style="cyan"
                ),
                dollars(row.cost_nusd),
                f"{row.cost_share:.0%}",
                dollars(row.saved_nusd) if row.saved_nusd else "-",
                f"{row.calls:,}",
                f"{row.answered + row.cached:,}",
                Text(f"{row.failed:,}", style="red" if row.failed else "dim"),
                f"{row.input_tokens:,}",
                f"{row.output_tokens:,}",
                _seconds(row.latency_p50_s),
                _seconds(row.latency_p95_s),
            )
            for row in shown
        ],
    )


def _calls(count: int) -> str:
    return "1 call" if count == 1 else f"{count:,} calls"


def _seconds(seconds: float) -> str:
    if not seconds:
        return "-"
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


def _print_advice(console: "Console", advice: Sequence[Advice], calls: int) -> None:
    from rich.padding import Padding
    from rich.text import Text

    useful = [one for one in advice if one.is_enough]
    if not useful:
        console.print(Text(f"advice: nothing to save was found in {_calls(calls)}", style="bold"))
    for one in useful:
        head = Text("→ ", style="green").append(clean(one.title), style="bold")
        if one.saving_nusd:
            most = "at most " if one.is_at_most else ""
            head.append(f", saves {most}{dollars(one.saving_nusd)}", style="green")
        console.print(head)
        console.print(Padding(Text(clean(one.text)), (0, 0, 0, 2)))
    if sum(one.saving_nusd > 0 for one in useful) > 1:
        console.print(Text("Savings overlap: they don't add up.", style="dim"))
    for one in advice:
        if not one.is_enough:
            rule = "" if one.title == "advice" else f"{clean(one.title)}: "
            console.print(Text(f"  {rule}{clean(one.text)}", style="dim"))
