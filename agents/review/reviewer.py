"""Reviewer: looks at one shard of files in one role. Many compete for the assignments.

Listens  review.assigned.v1
Emits    review.findings.v1
Effects  reads the bundle from the object store into a temporary folder
Without an LLM  analysers and rules find, and explain
"""

import time
from dataclasses import dataclass
from typing import Final

import anyio
import anyio.to_process

from agents.review.analysers import Analysis
from agents.review.examine import examine, read_analysis
from agents.review.sources import Sources
from bus import Bus, Envelope, RetryableError, Subscription
from schemas.review import NotReviewed, ReviewAssigned, ReviewFindings, Stage

DURABLE: Final = "reviewer"
SHARD_TIMEOUT_S: Final = 120.0
HITS_MAX: Final = 5_000
"""Of one assignment. A generated file can have any number; the report says when some were cut."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reviewer:
    """`processes` bounds the analyser processes that all reviewers of this process share."""

    bus: Bus
    name: str
    sources: Sources
    processes: anyio.CapacityLimiter

    def subscription(self) -> Subscription:
        return Subscription(durable=DURABLE, listens=(ReviewAssigned,), handle=self.handle, concurrency=1)

    async def handle(self, event: ReviewAssigned, envelope: Envelope) -> ReviewFindings:
        """Fetch, examine, report.

        Raises:
            RetryableError: the analyser process died; another attempt may go better.
            PermanentError: the sources are gone.
        """
        await self.bus.note(envelope.task_id, self.name, f"{event.role} · {_where(event.paths)}")
        started = time.monotonic()
        async with self.sources.folder(event.bundle) as folder:
            with self.bus.tracing.span(
                f"execute_tool analysers {event.role}", {"labverse.files": len(event.paths)}
            ):
                analysis = await self._examine(event, str(folder))
        await self.bus.note(envelope.task_id, self.name, "")
        return findings(event, self.name, analysis, seconds=time.monotonic() - started)

    async def _examine(self, event: ReviewAssigned, folder: str) -> Analysis:
        try:
            with anyio.fail_after(SHARD_TIMEOUT_S):
                data = await anyio.to_process.run_sync(
                    examine, event.role, folder, event.paths, cancellable=True, limiter=self.processes
                )
        except TimeoutError:
            return timed_out(event)
        except anyio.BrokenWorkerProcess as error:
            raise RetryableError(f"the analyser process died on {_where(event.paths)}: {error}") from None
        return read_analysis(data)


def findings(event: ReviewAssigned, agent: str, analysis: Analysis, *, seconds: float) -> ReviewFindings:
    """Core: the answer to an assignment; at most `HITS_MAX` hits, worst first when cut."""
    hits, not_reviewed = analysis.hits, analysis.not_reviewed
    if len(hits) > HITS_MAX:
        hits = tuple(sorted(hits, key=lambda hit: hit.severity.rank)[:HITS_MAX])
        cut = NotReviewed(
            path="(findings)",
            reason=f"{len(analysis.hits) - HITS_MAX} of {len(analysis.hits)} hits of one shard were cut",
            stage=event.role,
        )
        not_reviewed = (*not_reviewed, cut)
    return ReviewFindings(
        index=event.index,
        role=event.role,
        agent=agent,
        hits=hits,
        stages=analysis.stages,
        not_reviewed=not_reviewed,
        files=len(event.paths),
        seconds=round(seconds, 3),
    )


def timed_out(event: ReviewAssigned) -> Analysis:
    """Core: what is said of a shard whose analysers had to be stopped."""
    reason = f"the analysers were stopped after {SHARD_TIMEOUT_S:g} s"
    return Analysis(
        stages=(Stage(analyser=event.role, files=len(event.paths), seconds=SHARD_TIMEOUT_S, error=reason),),
        not_reviewed=tuple(NotReviewed(path=path, reason=reason, stage=event.role) for path in event.paths),
    )


def _where(paths: tuple[str, ...]) -> str:
    first = paths[0] if paths else "nothing"
    return first if len(paths) <= 1 else f"{first} +{len(paths) - 1}"
