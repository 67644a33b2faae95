"""A negotiation on the bus, as the command line has it done: by the agents that run already, else by its own."""

import asyncio
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

from agents.negotiator.flow.rehearsal import rehearse
from bus import Bus
from bus.budget import Budget
from config.settings import Settings
from orchestrator.dealing import cards_for
from orchestrator.follow import follow
from orchestrator.roster import NEGOTIATION_KINDS, agents_on
from orchestrator.shell import UserError
from schemas.approval import Approval, ApprovalOpened
from schemas.event import Event
from schemas.negotiation import (
    NegotiationAgreed,
    NegotiationExpired,
    NegotiationNoDeal,
    NegotiationOpened,
    NegotiationProposed,
    NegotiationRequested,
    NegotiationVetoed,
    PositionStated,
)
from schemas.review import Models
from schemas.task import TaskCancelled, TaskExpired, TaskStepFailed

GRACE_S: Final = 0.5
READY_S: Final = 5.0
"""For the cost guard to lead."""
DURABLES: Final = frozenset(
    {"negotiator", "negotiation-table", "negotiation-closer", "platform", "approver", "cost-guard"}
)
"""What must be on the bus for a negotiation to come to its end."""

Ending = NegotiationAgreed | NegotiationVetoed | NegotiationExpired | NegotiationNoDeal


@dataclass(slots=True, kw_only=True)
class Course:
    """What is known of a negotiation so far.

    Attributes:
        failed: why it will not end as it should.
    """

    task_id: str
    request: NegotiationRequested | None = None
    opened: NegotiationOpened | None = None
    positions: dict[str, PositionStated] = field(default_factory=dict)
    proposed: NegotiationProposed | None = None
    approval: Approval | None = None
    ending: Ending | None = None
    failed: str = ""

    def take(self, event: Event) -> None:
        """Note what happened."""
        match event:
            case NegotiationRequested():
                self.request = event
            case NegotiationOpened():
                self.opened = event
            case PositionStated():
                self.positions[event.party] = event
            case NegotiationProposed():
                self.proposed = event
            case ApprovalOpened(approval=approval):
                self.approval = approval
            case NegotiationAgreed() | NegotiationVetoed() | NegotiationExpired() | NegotiationNoDeal():
                self.ending = event
            case TaskCancelled(by=by, reason=reason):
                self.failed = f"cancelled by {by or 'somebody'}{': ' + reason if reason else ''}"
            case TaskStepFailed(agent=agent, reason=reason) if agent in DURABLES - {"platform"}:
                self.failed = f"{agent}: {reason}"
            case TaskExpired(agent=agent) if agent != "platform":
                self.failed = f"{agent} had no time left before the deadline"

    @property
    def state(self) -> str:
        """`agreed`, `vetoed`, `expired`, `no_deal`, `failed`, `waiting` for people, or `running`."""
        match self.ending:
            case NegotiationAgreed():
                return "agreed"
            case NegotiationVetoed():
                return "vetoed"
            case NegotiationExpired():
                return "expired"
            case NegotiationNoDeal():
                return "no_deal"
        if self.failed:
            return "failed"
        return "waiting" if self.approval is not None else "running"

    @property
    def is_over(self) -> bool:
        return self.ending is not None or bool(self.failed)


async def course_of(
    bus: Bus, task_id: str, *, until: Callable[[Course], bool], on_event: Callable[[Event, Course], None]
) -> Course:
    """Follow the task until it is over or `until` says enough."""
    course = Course(task_id=task_id)
    events = follow(bus, task_id)
    try:
        async for event, _ in events:
            course.take(event)
            on_event(event, course)
            if course.is_over or until(course):
                return course
    finally:
        await events.aclose()
    raise UserError(f"task {task_id} can't be followed any further")


@asynccontextmanager
async def served(bus: Bus, settings: Settings, models: Models = Models.NONE) -> AsyncGenerator[bool]:
    """Agents for negotiations, those that run already or our own while the context lasts; whether they are ours."""
    present = {
        agent.durable
        for process in await bus.presence.processes()
        if process.role in ("up", "agent")
        for agent in process.agents
    }
    async with AsyncExitStack() as stack:
        ours = not present >= DURABLES
        if ours:
            kinds = NEGOTIATION_KINDS if models is Models.NONE else (*NEGOTIATION_KINDS, "router")
            if bus.address is None:
                print(
                    "labverse: not all agents for negotiations run on this bus: this command runs them itself",
                    file=sys.stderr,
                )
            await stack.enter_async_context(agents_on(bus, settings, kinds, grace_s=GRACE_S))
            # A negotiation's time counts from its request: what starts slowly is ready before.
            await asyncio.gather(
                asyncio.to_thread(rehearse, cards_for(settings)), Budget(bus).state(timeout_s=READY_S)
            )
        yield ours


class Answers:
    """Lines that a person types, awaited without a thread that would outlive the command."""

    def __init__(self) -> None:
        self._lines: asyncio.Queue[str] = asyncio.Queue()

    def __enter__(self) -> "Answers":
        asyncio.get_running_loop().add_reader(sys.stdin.fileno(), self._read)
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.get_running_loop().remove_reader(sys.stdin.fileno())

    def _read(self) -> None:
        line = sys.stdin.readline()
        if not line:  # closed: nobody will answer any more
            asyncio.get_running_loop().remove_reader(sys.stdin.fileno())
        self._lines.put_nowait(line)

    async def line(self) -> str:
        """The next line; empty when there will be none."""
        return await self._lines.get()
