"""The roster: which kinds of agents there are, and how each is put on the bus."""

import asyncio
import os
import sys
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import anyio
import anyio.to_process

from agents.review.examine import begin
from agents.review.intake import IntakeLimits
from agents.review.merger import ReviewMerger
from agents.review.models.evidence import Evidence
from agents.review.models.passages import Passages
from agents.review.models.reviewer import ModelReviewer
from agents.review.models.verifier import Verifier
from agents.review.planner import ReviewPlanner
from agents.review.reviewer import Reviewer
from agents.review.sources import Sources
from agents.tracker import Janitor, Tracker, tasks_bucket
from bus import Bus, Subscription
from bus.complete import BusComplete
from bus.presence import AgentRecord
from config.settings import Settings
from orchestrator.chores import end, start
from orchestrator.version import VERSION

REVIEW_KINDS: Final = ("tracker", "review-planner", "reviewer", "review-merger")
MODEL_KINDS: Final = ("cost-guard", "router")
NEGOTIATION_KINDS: Final = ("tracker", "cost-guard", "approver", "negotiator", "platform")
KINDS: Final = (
    *REVIEW_KINDS,
    *MODEL_KINDS,
    "librarian",
    "model-reviewer",
    "approver",
    "negotiator",
    "platform",
    "messenger",
    "gateway",
)
REPLICAS_MAX: Final = 100
WAITING_MAX: Final = 256
"""Searches that a librarian has open."""


def kinds_for(settings: Settings) -> tuple[str, ...]:
    """All kinds that these settings have a use for."""
    unused = set()
    if not settings.slack.bot_token:
        unused.add("messenger")
    if not settings.gateway.serve:
        unused.add("gateway")
    return tuple(kind for kind in KINDS if kind not in unused)


def cores() -> int:
    """Processor cores that we may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class Warmth:
    """Analyser processes, started while other things happen: their imports take a third of a second."""

    def __init__(self, processes: int) -> None:
        self.limiter = anyio.CapacityLimiter(max(1, processes))
        self._tasks = [
            asyncio.create_task(anyio.to_process.run_sync(begin, limiter=self.limiter))
            for _ in range(processes)
        ]

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


@asynccontextmanager
async def agents_on(
    bus: Bus,
    settings: Settings,
    kinds: tuple[str, ...],
    *,
    replicas: int = 0,
    warmth: Warmth | None = None,
    grace_s: float | None = None,
    own_model: Path | bool = False,
) -> AsyncGenerator[None]:
    """Run agents of these kinds in this process, for as long as the context lasts.

    Args:
        replicas: reviewers (of the others one is enough in a process); 0 means one for each core.
        grace_s: how long handlers may finish when the context ends; None means as the settings say.
        own_model: a GGUF file that the router serves from a child process; True takes the bundled one.

    Raises:
        ValueError: there is no such kind.
    """
    unknown = [kind for kind in kinds if kind not in KINDS]
    if unknown:
        raise ValueError(f"no agent of kind {unknown[0]!r}: there are {', '.join(KINDS)}")
    count = replicas or settings.review.agents or cores()
    warmth = warmth or Warmth(min(count, cores()) if "reviewer" in kinds else 0)
    starting = _Starting(bus=bus, settings=settings, reviewers=count, warmth=warmth, own_model=own_model)
    try:
        for kind in kinds:
            await starting.start(kind)
        yield
    finally:
        await starting.front.aclose()  # nobody comes in any more, before those who would answer leave
        await bus.drain(grace_s)
        await starting.stack.aclose()
        await end(starting.chores)
        await warmth.close()
        starting.sources.close()


@dataclass(eq=False, slots=True, kw_only=True)
class _Starting:
    """Puts agents on the bus; what they leave behind is ended by whoever had them started."""

    bus: Bus
    settings: Settings
    reviewers: int
    warmth: Warmth
    own_model: Path | bool
    sources: Sources = field(init=False)
    passages: Passages = field(init=False)
    chores: "list[asyncio.Task[None]]" = field(default_factory=list)
    stack: AsyncExitStack = field(default_factory=AsyncExitStack)
    front: AsyncExitStack = field(default_factory=AsyncExitStack)

    def __post_init__(self) -> None:
        self.sources, self.passages = Sources(self.bus), Passages(self.bus)

    async def start(self, kind: str) -> None:
        match kind:
            case "tracker":
                await tasks_bucket(self.bus).ensure()
                await self._run(Tracker(bus=self.bus).subscription())
                self.chores.append(start(Janitor(bus=self.bus).run(), "janitor"))
            case "review-planner":
                await self._run(self._planner().subscription())
            case "review-merger":
                await self._run(self._merger().subscription())
            case "reviewer":
                await self._run_reviewers()
            case "model-reviewer":
                await self._run(self._model_reviewer().subscription())
            case "librarian":
                await self.stack.enter_async_context(_librarian(self.bus, self.settings))
            case "negotiator":
                from orchestrator.negotiation_agents import run_negotiator

                self.chores.append(await run_negotiator(self.bus, self.settings, self._run))
            case "platform":
                from orchestrator.negotiation_agents import run_platforms

                await run_platforms(self.bus, self.settings, self._run)
            case "approver":
                from orchestrator.negotiation_agents import run_approver

                await run_approver(self.bus, self.settings, self._run, self.stack)
            case "messenger":
                await self._start_messenger()
            case "gateway":
                await self._start_gateway()
            case "cost-guard":
                from orchestrator.routing import start_cost_guard  # loads much that reviews don't need

                self.chores.append(start_cost_guard(self.bus, self.settings))
            case "router":
                from orchestrator.routing import routing

                router = routing(self.bus, self.settings, own_model=self.own_model)
                await self.stack.enter_async_context(router)

    async def _run(self, subscription: Subscription, agent: str = "") -> None:
        limits = self.settings.agents
        limited = replace(subscription, ack_wait_s=limits.ack_wait_s, attempts_max=limits.attempts_max)
        await self.bus.run(limited, agent=agent)

    async def _start_messenger(self) -> None:
        from orchestrator.negotiation_agents import run_messenger
        from orchestrator.shell import UserError

        if not self.settings.slack.bot_token:
            raise UserError("the messenger needs the token of your Slack app: set SLACK_BOT_TOKEN")
        await run_messenger(self.bus, self.settings, self.stack)

    async def _start_gateway(self) -> None:
        from orchestrator.gateway.serving import gateway_on

        url = await self.front.enter_async_context(gateway_on(self.bus, self.settings))
        print(f"the HTTP gateway listens at {url}", file=sys.stderr)

    def _planner(self) -> ReviewPlanner:
        return ReviewPlanner(
            bus=self.bus,
            roots=tuple(Path(root) for root in self.settings.review.roots),
            limits=intake_limits(self.settings),
            sources=self.sources,
        )

    def _merger(self) -> ReviewMerger:
        verifier = Verifier(complete=BusComplete(self.bus), sources=self.sources)
        return ReviewMerger(bus=self.bus, version=VERSION, verifier=verifier, passages=self.passages)

    async def _run_reviewers(self) -> None:
        for number in range(1, self.reviewers + 1):
            name = f"reviewer-{number}"
            reviewer = Reviewer(bus=self.bus, name=name, sources=self.sources, processes=self.warmth.limiter)
            await self._run(reviewer.subscription(), agent=name)

    def _model_reviewer(self) -> ModelReviewer:
        evidence = Evidence(self.bus)
        self.stack.push_async_callback(evidence.close)
        return ModelReviewer(
            bus=self.bus,
            complete=BusComplete(self.bus),
            sources=self.sources,
            evidence=evidence,
            passages=self.passages,
        )


@asynccontextmanager
async def _librarian(bus: Bus, settings: Settings) -> AsyncGenerator[None]:
    """The knowledge base on the bus.

    Raises:
        UserError: it can't be opened.
    """
    from agents.knowledge.indexing import KnowledgeError  # loads much that reviews don't need
    from agents.knowledge.librarian import Librarian
    from agents.knowledge.store import StoreError
    from orchestrator.knowledge.opening import AUTO, collection_of, options_from
    from orchestrator.shell import UserError

    embedder = os.environ.get("KNOWLEDGE_EMBEDDER", "") or AUTO
    try:
        options = options_from(settings.bus.data_dir, os.environ, embedder=embedder)
        librarian = Librarian(bus=bus, collection=await asyncio.to_thread(collection_of, options))
        async with librarian.serving():
            bus.present(lambda: AgentRecord(name="librarian", durable="librarian", concurrency=WAITING_MAX))
            yield
    except (KnowledgeError, StoreError) as error:
        raise UserError(f"knowledge: {error}") from None


def intake_limits(settings: Settings) -> IntakeLimits:
    return IntakeLimits(
        file_bytes_max=settings.review.file_bytes_max,
        files_max=settings.review.files_max,
        total_bytes_max=settings.review.total_bytes_max,
    )
