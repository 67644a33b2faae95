"""Evidence: what analysers found in the code that models are about to read, gathered once for all passes over it."""

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from bus import Bus
from schemas.review import Hit, ReviewFindings

KEPT_MAX: Final = 256
WAIT_S_MAX: Final = 60.0
"""Analysers that take longer are read without."""


@dataclass(eq=False, slots=True)
class Evidence:
    """Hits by assignments; the passes over the same code share them."""

    bus: Bus
    _known: "OrderedDict[tuple[str, tuple[str, ...]], asyncio.Task[tuple[Hit, ...]]]" = field(
        default_factory=OrderedDict
    )

    async def of(self, task_id: str, assignments: Sequence[str], deadline_s: float) -> tuple[Hit, ...]:
        """All hits of these assignments, as far as they are answered by `deadline_s` (absolute)."""
        if not assignments:
            return ()
        key = (task_id, tuple(assignments))
        if key not in self._known:
            self._known[key] = asyncio.create_task(self._gather(task_id, assignments, deadline_s))
            while len(self._known) > KEPT_MAX:
                self._known.popitem(last=False)
        # A pass that is cancelled must not take the evidence of the others along.
        return await asyncio.shield(self._known[key])

    async def _gather(self, task_id: str, assignments: Sequence[str], deadline_s: float) -> tuple[Hit, ...]:
        gathered = await self.bus.gather(
            ReviewFindings, task_id=task_id, expected=assignments, deadline_s=deadline_s
        )
        return tuple(hit for part, _ in gathered.parts for hit in part.hits)

    async def close(self) -> None:
        """End what still waits."""
        for task in self._known.values():
            task.cancel()
        await asyncio.gather(*self._known.values(), return_exceptions=True)
        self._known.clear()
