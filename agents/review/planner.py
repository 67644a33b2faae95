"""Review planner: splits a request into assignments of one shard of files and one role each.

Listens  review.requested.v1
Emits    review.planned.v1, review.assigned.v1 × N (one atomic batch)
Effects  stores the files of the request as bundles in the object store
Without an LLM  the same
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
from agents.review.roles import Role, pick_roles
from agents.review.shards import ShardsError, plan_shards
from bus import Bus, Envelope, PayloadTooLargeError, PermanentError, Subscription
from bus.envelope import now_text, parse_time, time_text
from schemas.event import Event
from schemas.ids import derive_id, output_id
from schemas.review import Bundle, ReviewAssigned, ReviewPlanned, ReviewRequested

DURABLE: Final = "review-planner"
MERGE_MARGIN_S: Final = 5.0
"""Kept from the task's deadline for merging what came in."""
DEADLINE_MAX_S: Final = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewPlanner:
    """`roots` are the folders that a request may name by path; everything else must be sent along."""

    bus: Bus
    roots: tuple[Path, ...] = ()
    limits: IntakeLimits = DEFAULT_LIMITS

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
        try:
            return plan(planned, envelope, roles, now_s=time.time())
        except ShardsError as error:
            raise PermanentError(str(error)) from None

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


def plan(event: ReviewRequested, envelope: Envelope, roles: Sequence[Role], *, now_s: float) -> list[Event]:
    """Core: the plan, then its assignments."""
    shards = plan_shards(event.bundles, roles)
    deadline_s = now_s + min(event.deadline_s, DEADLINE_MAX_S)
    if envelope.deadline:
        deadline_s = min(deadline_s, parse_time(envelope.deadline) - MERGE_MARGIN_S)
    derived = derive_id(envelope.subject, DURABLE, envelope.replay)
    assigned = [
        ReviewAssigned(index=index, of=len(shards), role=shard.role, bundle=shard.bundle, paths=shard.paths)
        for index, shard in enumerate(shards)
    ]
    planned = ReviewPlanned(
        name=event.name,
        assignments=tuple(output_id(derived, index + 1) for index in range(len(shards))),
        labels=tuple(_label(shard.role, shard.paths) for shard in shards),
        roles=tuple(dict.fromkeys(shard.role for shard in shards)),
        files=sum(len(bundle.paths) for bundle in event.bundles),
        lines=sum(bundle.lines for bundle in event.bundles),
        source_bytes=sum(bundle.source_bytes for bundle in event.bundles),
        deadline=time_text(deadline_s),
        changed=event.changed,
        baseline=event.baseline,
        not_reviewed=event.not_reviewed,
        started_at=envelope.time or now_text(),
    )
    return [planned, *assigned]


def _label(role: str, paths: Sequence[str]) -> str:
    more = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
    return f"{role}: {paths[0]}{more}"
