"""The roster: which kinds of agents there are, and how each is put on the bus."""

import asyncio
import os
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
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
KINDS: Final = (*REVIEW_KINDS, *MODEL_KINDS, "librarian", "model-reviewer")
REPLICAS_MAX: Final = 100
WAITING_MAX: Final = 256
"""Searches that a librarian has open."""


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
    """
    count = replicas or settings.review.agents or cores()
    sources, passages = Sources(bus), Passages(bus)
    warmth = warmth or Warmth(min(count, cores()) if "reviewer" in kinds else 0)
    chores: list[asyncio.Task[None]] = []
    stack = AsyncExitStack()

    async def run(subscription: Subscription, agent: str = "") -> None:
        limits = settings.agents
        await bus.run(
            replace(subscription, ack_wait_s=limits.ack_wait_s, attempts_max=limits.attempts_max), agent=agent
        )

    try:
        for kind in kinds:
            if kind == "tracker":
                await tasks_bucket(bus).ensure()
                await run(Tracker(bus=bus).subscription())
                chores.append(start(Janitor(bus=bus).run(), "janitor"))
            elif kind == "review-planner":
                roots = tuple(Path(root) for root in settings.review.roots)
                planner = ReviewPlanner(bus=bus, roots=roots, limits=intake_limits(settings), sources=sources)
                await run(planner.subscription())
            elif kind == "review-merger":
                verifier = Verifier(complete=BusComplete(bus), sources=sources)
                merger = ReviewMerger(bus=bus, version=VERSION, verifier=verifier, passages=passages)
                await run(merger.subscription())
            elif kind == "reviewer":
                for number in range(1, count + 1):
                    name = f"reviewer-{number}"
                    reviewer = Reviewer(bus=bus, name=name, sources=sources, processes=warmth.limiter)
                    await run(reviewer.subscription(), agent=name)
            elif kind == "model-reviewer":
                evidence = Evidence(bus)
                stack.push_async_callback(evidence.close)
                model_reviewer = ModelReviewer(
                    bus=bus,
                    complete=BusComplete(bus),
                    sources=sources,
                    evidence=evidence,
                    passages=passages,
                )
                await run(model_reviewer.subscription())
            elif kind == "librarian":
                await stack.enter_async_context(_librarian(bus, settings))
            elif kind == "cost-guard":
                from orchestrator.routing import start_cost_guard  # loads much that reviews don't need

                chores.append(start_cost_guard(bus, settings))
            elif kind == "router":
                from orchestrator.routing import routing

                await stack.enter_async_context(routing(bus, settings, own_model=own_model))
            else:
                raise ValueError(f"no agent of kind {kind!r}: there are {', '.join(KINDS)}")
        yield
    finally:
        await bus.drain(grace_s)
        await stack.aclose()
        await end(chores)
        await warmth.close()
        sources.close()


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
