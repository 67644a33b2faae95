"""Review planner: splits a request into assignments of one shard of files and one role each.

Listens  review.requested.v1
Emits    review.planned.v1, review.assigned.v1 × N, review.pass_assigned.v1 × M (one atomic batch)
Effects  stores the files of the request as bundles in the object store; asks which models there are
Without an LLM  the same, with no assignments for models
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from agents.review.bundle import BundleError, pack
from agents.review.intake import (
    DEFAULT_LIMITS,
    Collected,
    Intake,
    IntakeError,
    IntakeLimits,
    collect,
    collect_sent,
)
from agents.review.models.planning import (
    ModelPlan,
    offered,
    pass_events,
    plan_models,
    read_sources,
    under_limit,
)
from agents.review.roles import Role, pick_roles
from agents.review.shards import ShardsError, plan_shards
from agents.review.sources import Sources
from bus import Bus, Envelope, PayloadTooLargeError, PermanentError, Subscription
from bus.envelope import now_text, parse_time, time_text
from schemas.event import Event
from schemas.ids import derive_id, output_id
from schemas.review import Bundle, NotReviewed, ReviewAssigned, ReviewPlanned, ReviewRequested

DURABLE: Final = "review-planner"
MERGE_MARGIN_S: Final = 5.0
"""Kept from the task's deadline for merging what came in."""
DEADLINE_MAX_S: Final = 86_400.0
PASSES_TIME_SHARE: Final = 0.85
"""Of the time for a review; the rest is for what is contested after all have answered."""
NO_MODELS: Final = ModelPlan()


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewPlanner:
    """`roots` are the folders that a request may name by path; everything else must be sent along. Without `sources`
    no models are planned for."""

    bus: Bus
    roots: tuple[Path, ...] = ()
    limits: IntakeLimits = DEFAULT_LIMITS
    sources: Sources | None = None

    def subscription(self) -> Subscription:
        return Subscription(durable=DURABLE, listens=(ReviewRequested,), handle=self.handle, concurrency=2)

    async def handle(self, event: ReviewRequested, envelope: Envelope) -> Sequence[Event]:
        """Gather the files, decide on shards, emit plan and assignments.

        Raises:
            PermanentError: the request can't be served; the reason is in the dead letter.
        """
        try:
            roles = pick_roles(event.roles)
        except ValueError as error:
            raise PermanentError(str(error)) from None
        bundles = list(event.bundles)
        not_reviewed = list(event.not_reviewed)
        for intake in await self._intakes(event):
            bundles += await store_files(self.bus, intake.files)
            not_reviewed += intake.not_reviewed
        planned = msgspec.structs.replace(event, bundles=tuple(bundles), not_reviewed=tuple(not_reviewed))
        now_s = time.time()
        models = await self._for_models(planned, deadline_of(planned, envelope, now_s) - now_s)
        try:
            return plan(planned, envelope, roles, models, now_s=now_s)
        except ShardsError as error:
            raise PermanentError(str(error)) from None

    async def _for_models(self, event: ReviewRequested, left_s: float) -> ModelPlan:
        if self.sources is None or not event.bundles:
            return ModelPlan()
        known = await offered(self.bus, event.models)
        if not known.models:
            return ModelPlan(why_none=known.why_none)
        event = under_limit(event, known.task_limit_nusd)
        changed = None if event.changed is None else [entry.path for entry in event.changed]
        sources = await read_sources(self.sources, event.bundles, changed)
        left_s = min(left_s * PASSES_TIME_SHARE, event.models_s)
        return await asyncio.to_thread(plan_models, sources, known.models, event, left_s=left_s)

    async def _intakes(self, event: ReviewRequested) -> list[Intake]:
        intakes = []
        if event.files:
            intakes.append(await asyncio.to_thread(collect_sent, event.files, limits=self.limits))
        if event.root:
            folder = self._allowed(event.root)
            try:
                intake = await asyncio.to_thread(
                    collect, folder, include=event.include, exclude=event.exclude, limits=self.limits
                )
            except IntakeError as error:
                raise PermanentError(str(error)) from None
            intakes.append(intake)
        return intakes

    def _allowed(self, root: str) -> Path:
        folder = Path(root).resolve()
        if not any(folder.is_relative_to(allowed.resolve()) for allowed in self.roots):
            allowed = ", ".join(map(str, self.roots)) or "none"
            raise PermanentError(
                f"review.roots ({allowed}) doesn't allow {root} to be reviewed by path; "
                "send the files along, or allow the folder where `labverse up` runs"
            )
        return folder


async def store_files(bus: Bus, files: Sequence[Collected]) -> list[Bundle]:
    """Put files into the object store as bundles.

    Raises:
        PermanentError: a path is unsafe, or a file too large for the object store.
    """
    bundles = []
    try:
        for bundle, data in pack(files):
            await bus.objects.put(bundle.object_name, data)
            bundles.append(bundle)
    except (BundleError, PayloadTooLargeError) as error:
        raise PermanentError(str(error)) from None
    return bundles


def deadline_of(event: ReviewRequested, envelope: Envelope, now_s: float) -> float:
    """Core: when the review must be merged, in seconds since 1970."""
    deadline_s = now_s + min(event.deadline_s, DEADLINE_MAX_S)
    if envelope.deadline:
        deadline_s = min(deadline_s, parse_time(envelope.deadline) - MERGE_MARGIN_S)
    return deadline_s


def plan(
    event: ReviewRequested,
    envelope: Envelope,
    roles: Sequence[Role],
    models: ModelPlan = NO_MODELS,
    *,
    now_s: float,
) -> list[Event]:
    """Core: the plan, then its assignments: those for analysers, then those for models."""
    shards = plan_shards(event.bundles, roles)
    deadline_s = deadline_of(event, envelope, now_s)
    derived = derive_id(envelope.subject, DURABLE, envelope.replay)
    total = len(shards) + len(models.plan.passes)
    ids = tuple(output_id(derived, index + 1) for index in range(total))
    assigned = [
        ReviewAssigned(index=index, of=total, role=shard.role, bundle=shard.bundle, paths=shard.paths)
        for index, shard in enumerate(shards)
    ]
    evidence: dict[str, list[str]] = {}
    for step, shard in zip(ids, shards, strict=False):
        for path in shard.paths:
            evidence.setdefault(path, []).append(step)
    passes_until_s = now_s + (deadline_s - now_s) * PASSES_TIME_SHARE
    passes = pass_events(
        models, event, evidence, first=len(shards), of=total, deadline=time_text(passes_until_s)
    )
    planned = ReviewPlanned(
        name=event.name,
        assignments=ids,
        labels=(
            *(_label(shard.role, shard.paths) for shard in shards),
            *(_label(f"{one.role} by {one.model}", [part.path for part in one.parts]) for one in passes),
        ),
        roles=tuple(dict.fromkeys([*(shard.role for shard in shards), *(one.role for one in passes)])),
        files=sum(len(bundle.paths) for bundle in event.bundles),
        lines=sum(bundle.lines for bundle in event.bundles),
        source_bytes=sum(bundle.source_bytes for bundle in event.bundles),
        deadline=time_text(deadline_s),
        changed=event.changed,
        baseline=event.baseline,
        dismissed=event.dismissed,
        dismissed_in=event.dismissed_in,
        not_reviewed=(*event.not_reviewed, *not_planned(models)),
        started_at=envelope.time or now_text(),
        passes=len(passes),
        estimates=models.plan.estimates,
        models=event.models,
        no_models=models.why_none if event.needs_models else "",
        bundles=event.bundles if passes else (),
        verify=tuple(model.model for model in models.models) if passes else (),
        verify_max_nusd=event.max_cost_nusd,
    )
    return [planned, *assigned, *passes]


def not_planned(models: ModelPlan) -> list[NotReviewed]:
    """Core: the passes that would have paid too."""
    return [
        NotReviewed(
            path="(models)", reason=f"{number:,} further passes of models not made: {why}", stage="models"
        )
        for why, number in (models.plan.left_out or {}).items()
    ]


def _label(role: str, paths: Sequence[str]) -> str:
    more = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
    return f"{role}: {paths[0]}{more}"
