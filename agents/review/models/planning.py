"""Planning with models: which there are, and what they are to read, as events beside those for analysers."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import anyio.to_thread
import msgspec

from agents.review.dismissals import counts
from agents.review.languages import is_code
from agents.review.models.passes import Pass, Plan, plan_passes, unit_chars
from agents.review.models.roles import ModelRole, model_roles
from agents.review.models.units import Unit, shown, units_of
from agents.review.sources import Sources
from bus import Bus, BusError
from bus.services import LLM_MODELS
from schemas.llm import ModelOffered, ModelsRequest, Privacy, Tier
from schemas.review import Bundle, Dismissal, Models, ReviewPassAssigned, ReviewRequested

log = logging.getLogger("labverse.review")

MODELS_S_MAX: Final = 3.0
READER: Final = "model-reviewer"
READER_LOOKS: Final = 4
READER_LOOK_S: Final = 0.5
MODELS_USED_MAX: Final = 8
"""Distinct models that are asked: the operator's first ones."""
DISMISSED_SHOWN_MAX: Final = 5
UNIT_FILES_MAX: Final = 4_000
"""Files that are considered for models; a review has 100 passes at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelPlan:
    """What models are to do; `why_none` when models were asked for and can't do anything.

    Attributes:
        max_cost_nusd: the limit that it was made under.
        stopped: why models that cost money were left out; empty when they were not.
    """

    plan: Plan = field(default_factory=lambda: Plan(()))
    units: tuple[Unit, ...] = ()
    models: tuple[ModelOffered, ...] = ()
    why_none: str = ""
    max_cost_nusd: int | None = None
    stopped: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Offered:
    """The models that may read code, in the operator's order; without any, why.

    Attributes:
        task_limit_nusd: most that the operator lets a task cost; None for no limit.
    """

    models: tuple[ModelOffered, ...] = ()
    why_none: str = ""
    task_limit_nusd: int | None = None


async def offered(bus: Bus, wanted: Models) -> Offered:
    """What the routers on the bus can call."""
    if wanted is Models.NONE:
        return Offered()
    privacy = Privacy.ANY if wanted is Models.ANY else Privacy.LOCAL_ONLY
    request = ModelsRequest(privacy=privacy, tier=Tier.MEDIUM)
    try:
        reply = await bus.call(LLM_MODELS, request, timeout_s=MODELS_S_MAX)
    except BusError as error:
        log.info("no models: %s", error)
        return Offered(
            why_none="models were asked for, and none can be called: `labverse providers` says why (a key that isn't "
            "set, a local server that isn't there), or no router runs on this bus"
        )
    if reply.models and not await _is_read_for(bus):
        why = f"models were asked for, and nobody has them read code: start `labverse agent {READER}`"
        return Offered(why_none=why)
    if reply.models:
        return Offered(models=reply.models[:MODELS_USED_MAX], task_limit_nusd=reply.task_limit_nusd)
    where = "on this network" if wanted is Models.LOCAL else "here"
    return Offered(
        why_none=f"models were asked for, and none of medium size or larger can be called {where}: "
        "`labverse providers` shows what there is"
    )


def under_limit(event: ReviewRequested, task_limit_nusd: int | None) -> ReviewRequested:
    """Core: the request with the smaller of its own limit on money and the operator's for a task."""
    limits = [limit for limit in (event.max_cost_nusd, task_limit_nusd) if limit is not None]
    return msgspec.structs.replace(event, max_cost_nusd=min(limits, default=None))


async def _is_read_for(bus: Bus) -> bool:
    """Whether somebody takes passes. Whoever has just started may not be heard of yet."""
    for _ in range(READER_LOOKS):
        for process in await bus.presence.processes():
            if any(agent.durable == READER for agent in process.agents):
                return True
        await asyncio.sleep(READER_LOOK_S)
    return False


def plan_models(
    sources: Sequence[Mapping[str, str]],
    models: Sequence[ModelOffered],
    event: ReviewRequested,
    *,
    left_s: float,
    roles: Sequence[ModelRole] = (),
) -> ModelPlan:
    """Core: the passes over the programs of all bundles.

    Args:
        sources: of each bundle, text by path.
        left_s: until the review must be answered.
    """
    chars = unit_chars(models)
    units = [unit for index, texts in enumerate(sources) for unit in units_of(index, texts, chars)]
    texts = [shown(unit.parts, sources[unit.bundle]) for unit in units]
    plan = plan_passes(
        units,
        texts,
        roles or roles_for(event.roles),
        models,
        passes_max=event.passes_max,
        max_cost_nusd=event.max_cost_nusd,
        left_s=left_s,
    )
    return ModelPlan(plan=plan, units=tuple(units), models=tuple(models), max_cost_nusd=event.max_cost_nusd)


def roles_for(names: Sequence[str]) -> list[ModelRole]:
    """The roles for models that belong to these roles of the review: all for none."""
    return [role for role in model_roles().values() if not names or {role.name, *role.tags} & set(names)]


async def read_sources(
    sources: Sources, bundles: Sequence[Bundle], changed: Sequence[str] | None
) -> list[dict[str, str]]:
    """The programs of each bundle, text by path; of a diff only those that changed.

    Raises:
        PermanentError: the sources are gone.
    """
    out = []
    left = UNIT_FILES_MAX
    for bundle in bundles:
        paths = [path for path in bundle.paths if is_code(path) and (changed is None or path in changed)][
            :left
        ]
        left -= len(paths)
        async with sources.folder(bundle) as folder:
            out.append(await anyio.to_thread.run_sync(_read, folder, paths))
    return out


def _read(folder: Path, paths: Sequence[str]) -> dict[str, str]:
    return {path: (folder / path).read_text(encoding="utf-8", errors="replace") for path in paths}


def pass_events(
    planned: ModelPlan,
    event: ReviewRequested,
    evidence: Mapping[str, Sequence[str]],
    *,
    first: int,
    of: int,
    deadline: str,
) -> list[ReviewPassAssigned]:
    """Core: the assignments.

    Args:
        evidence: by path, the event ids of the analysers' assignments that look at it.
        first: index of the first pass among all assignments of the review.
    """
    return [
        _pass_event(one, planned, event, evidence, first + number, of, deadline)
        for number, one in enumerate(planned.plan.passes)
    ]


def _pass_event(
    one: Pass,
    planned: ModelPlan,
    event: ReviewRequested,
    evidence: Mapping[str, Sequence[str]],
    index: int,
    of: int,
    deadline: str,
) -> ReviewPassAssigned:
    unit = planned.units[one.unit]
    return ReviewPassAssigned(
        index=index,
        of=of,
        role=one.role,
        number=one.number,
        bundle=event.bundles[unit.bundle],
        parts=unit.parts,
        model=one.model,
        models=event.models,
        max_cost_nusd=event.max_cost_nusd,
        evidence=tuple(sorted({step for path in unit.paths for step in evidence.get(path, ())})),
        dismissed=dismissed_in(event.dismissed, unit.paths),
        deadline=deadline,
    )


def dismissed_in(dismissed: Sequence[Dismissal], paths: Sequence[str]) -> tuple[str, ...]:
    """Core: what a model is told of earlier findings in these files, the latest first."""
    own = [one for one in reversed(dismissed) if one.path in paths and counts(one)]
    return tuple(f"- {one.path}: {one.title}: {one.reason}" for one in own[:DISMISSED_SHOWN_MAX])
