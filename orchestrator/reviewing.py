"""A review on the bus, as the command line has it done: by the agents that run already, else by a crew of its own."""

import asyncio
import sys
import time
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Final

import msgspec

from agents.review.intake import Intake
from agents.review.planner import store_files
from bus import Bus
from config.settings import Settings
from orchestrator.follow import ended, follow
from orchestrator.live import live_view
from orchestrator.orphans import cancel_orphans
from orchestrator.review_models import can_be_called
from orchestrator.roster import MODEL_KINDS, REVIEW_KINDS, Warmth, agents_on
from orchestrator.shell import UserError, unless
from schemas.ids import new_id
from schemas.review import Models, ReviewCompleted, ReviewReport, ReviewRequested

GRACE_S: Final = 0.5
"""Our own agents leave at once when the report is there; what they hold goes to the other agents."""
TASK_MARGIN_S: Final = 15.0
LOOK_AGAIN_S: Final = 3.0


class Crew:
    """Those who do reviews for one command. Agents of its own start when they are first needed, and then stay."""

    def __init__(self, bus: Bus, settings: Settings, *, replicas: int, warmth: Warmth) -> None:
        self._bus = bus
        self._settings = settings
        self._replicas = replicas
        self._warmth = warmth
        self._stack = AsyncExitStack()
        self._works = False
        self._with_models = False

    async def __aenter__(self) -> "Crew":
        await cancel_orphans(self._bus)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    async def review(
        self, request: ReviewRequested, intake: Intake, *, stop: asyncio.Event, show: bool
    ) -> ReviewReport:
        """Submit, watch, and work along unless others already serve this bus.

        Args:
            stop: set when the command is to end.
            show: draw the live view.

        Raises:
            UserError: the review failed.
            KeyboardInterrupt: `stop` was set; the review is cancelled.
        """
        bus = self._bus
        is_served = not self._works and await _is_served(bus)
        if not is_served:
            await self._work(request.models)
        task_id = new_id()
        with bus.tracing.span(
            "labverse review", {"labverse.task_id": task_id, "labverse.files": len(intake.files)}
        ):
            bundles = await unless(stop, store_files(bus, intake.files))
            command = msgspec.structs.replace(request, bundles=tuple(bundles))
            deadline_s = time.time() + request.deadline_s + TASK_MARGIN_S
            await bus.submit(command, task_id=task_id, deadline_s=deadline_s)
            stand_in = asyncio.create_task(self._stand_in(request.models)) if is_served else None
            try:
                report: ReviewReport = await unless(stop, self._follow(task_id, show=show))
                return report
            except KeyboardInterrupt:
                await bus.cancel(task_id, by="the command line", reason="interrupted")
                raise
            finally:
                if stand_in is not None:
                    stand_in.cancel()

    async def _work(self, models: Models) -> None:
        """Start agents of our own, those for models too as soon as there may be some."""
        kinds: tuple[str, ...] = () if self._works else REVIEW_KINDS
        if not self._with_models and await can_be_called(self._settings, models):
            kinds = (*MODEL_KINDS, "librarian", "model-reviewer", *kinds)
            self._with_models = True
        self._works = True
        if kinds:
            agents = agents_on(
                self._bus,
                self._settings,
                kinds,
                replicas=self._replicas,
                warmth=self._warmth,
                grace_s=GRACE_S,
            )
            await self._stack.enter_async_context(agents)

    async def _stand_in(self, models: Models) -> None:
        """Do the work when those that were to do it have left."""
        while await _is_served(self._bus):  # noqa: ASYNC110 - nobody tells when an agent is killed
            await asyncio.sleep(LOOK_AGAIN_S)
        print("labverse: the agents that ran have left: this command goes on by itself", file=sys.stderr)
        await self._work(models)

    async def _follow(self, task_id: str, *, show: bool) -> ReviewReport:
        bus = self._bus
        async with bus.notes(task_id) as notes, live_view(notes, enabled=show) as view:
            async for event, envelope in follow(bus, task_id):
                view.on_event(event, envelope)
                if isinstance(event, ReviewCompleted):
                    return event.report
                if end := ended(event):
                    state, reason = end
                    raise UserError(f"the review {state}: {reason} (task {task_id})")
        raise UserError(f"task {task_id} ended without a report")


async def _is_served(bus: Bus) -> bool:
    """Whether lasting agents (not those of another command, which leave with it) do all kinds of our work."""
    lasting = [process for process in await bus.presence.processes() if process.role in ("up", "agent")]
    return {agent.durable for process in lasting for agent in process.agents} >= set(REVIEW_KINDS)
