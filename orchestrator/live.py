"""The live view of a review: a row for each reviewer, progress, and findings as they come."""

import asyncio
import time
from collections import Counter, deque
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from agents.review.report.wording import money_text
from bus import Envelope
from orchestrator.clean import clean
from schemas.event import Event
from schemas.review import Hit, ReviewFindings, ReviewPlanned, Severity
from schemas.task import TaskStepFailed

if TYPE_CHECKING:
    from rich.console import RenderableType

REFRESHES_PER_S: Final = 8
ROWS_MAX: Final = 12
NEWEST_SHOWN: Final = 5
COLOURS: Final = {
    Severity.CRITICAL: "bold red",
    Severity.HIGH: "red",
    Severity.MEDIUM: "yellow",
    Severity.LOW: "cyan",
    Severity.INFO: "dim",
}


@dataclass(slots=True)
class Row:
    """One reviewer."""

    doing: str = ""
    done: int = 0
    hits: int = 0


@dataclass(slots=True)
class View:
    """What is known of the review so far. Pure state: `on_event` and `on_note` change it, `draw` shows it."""

    started: float = field(default_factory=time.monotonic)
    steps: int = 0
    done: int = 0
    failed: int = 0
    files: int = 0
    lines: int = 0
    rows: dict[str, Row] = field(default_factory=dict)
    severities: Counter[Severity] = field(default_factory=Counter)
    newest: deque[Hit] = field(default_factory=lambda: deque(maxlen=NEWEST_SHOWN))
    places: set[tuple[str, int, int]] = field(default_factory=set)
    cost_nusd: int = 0

    def on_event(self, event: Event, _envelope: Envelope) -> None:
        match event:
            case ReviewPlanned():
                self.steps, self.files, self.lines = len(event.assignments), event.files, event.lines
            case ReviewFindings():
                self.done += 1
                row = self.rows.setdefault(event.agent, Row())
                row.done += 1
                row.hits += len(event.hits)
                self.cost_nusd += event.cost_nusd
                for hit in event.hits:
                    self._on_hit(hit)
            case TaskStepFailed():
                self.failed += 1
            case _:
                pass

    def _on_hit(self, hit: Hit) -> None:
        place = (hit.path, hit.line, hit.cwe)  # two analysers on one place are one finding to come
        if hit.suppressed or place in self.places:
            return
        self.places.add(place)
        self.severities[hit.severity] += 1
        if hit.severity.rank <= Severity.MEDIUM.rank:
            self.newest.append(hit)

    def on_note(self, agent: str, text: str) -> None:
        self.rows.setdefault(clean(agent), Row()).doing = clean(text)

    def draw(self) -> "RenderableType":
        """The view as a rich renderable."""
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        head = Table.grid(padding=(0, 1))
        elapsed = time.monotonic() - self.started
        if self.steps:
            counted = f"{self.done + self.failed}/{self.steps} assignments"
            what = f"{self.files} files, {self.lines:,} lines"
            if self.cost_nusd:
                what += f", {money_text(self.cost_nusd)}"
        else:
            counted, what = "planning …", ""
        bar = ProgressBar(
            total=self.steps or None, completed=self.done + self.failed, width=30, pulse=not self.steps
        )
        head.add_row(bar, Text(counted), Text(what, style="dim"), Text(f"{elapsed:.1f} s", style="dim"))
        agents = Table.grid(padding=(0, 2))
        for name, row in sorted(self.rows.items(), key=_natural)[:ROWS_MAX]:
            doing = Text(
                row.doing or "waiting", style="" if row.doing else "dim", overflow="ellipsis", no_wrap=True
            )
            agents.add_row(Text(name, style="bold"), f"{row.done} done", f"{row.hits} hits", doing)
        if len(self.rows) > ROWS_MAX:
            agents.add_row(Text(f"and {len(self.rows) - ROWS_MAX} more", style="dim"))
        found = Text()
        for severity in Severity:
            if count := self.severities[severity]:
                found.append(f"{count} {severity}  ", style=COLOURS[severity])
        newest = [
            Text(
                f"  {hit.severity:<8} {clean(hit.path)}:{hit.line} {clean(hit.title)}",
                style=COLOURS[hit.severity],
            )
            for hit in self.newest
        ]
        return Group(head, agents, found, *newest)


def _natural(item: tuple[str, Any]) -> tuple[str, int]:
    stem, _, number = item[0].rpartition("-")
    return (stem, int(number)) if number.isdecimal() else (item[0], 0)


@asynccontextmanager
async def live_view(notes: "asyncio.Queue[tuple[str, str]]", *, enabled: bool) -> AsyncGenerator[View]:
    """A view that draws itself on stderr while the context lasts, if `enabled`."""
    view = View()
    if not enabled:
        yield view
        return
    from rich.console import Console
    from rich.live import Live

    async def take_notes() -> None:
        while True:
            view.on_note(*await notes.get())

    taker = asyncio.create_task(take_notes())
    live = Live(
        console=Console(stderr=True),
        refresh_per_second=REFRESHES_PER_S,
        transient=True,
        get_renderable=view.draw,
    )
    try:
        with live:
            yield view
    finally:
        taker.cancel()
