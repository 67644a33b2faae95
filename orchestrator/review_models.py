"""Models for a review by the command line: whether it is worth starting a router, and what they would take."""

import asyncio
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Final
from urllib.parse import urlsplit

from agents.review.intake import Intake
from agents.review.languages import is_code
from agents.review.models.passes import ANSWER_S_UNKNOWN
from agents.review.models.planning import ModelPlan, Offered, offered, plan_models, under_limit
from agents.review.report.wording import counted, money_text, seconds_text
from bus import Bus, BusError
from config.settings import Settings
from schemas.llm import BudgetState, ModelOffered, ModelsRequest, Privacy, Tier
from schemas.review import Models, PassEstimate, ReviewRequested

CONNECT_S_MAX: Final = 0.3
PORTS: Final = {"http": 80, "https": 443}
ANALYSERS_S_PER_KLOC: Final = 0.15
"""Rough: 0.06 to 0.7 s were measured (tests/bench/results.md), the more the smaller the review is."""
ANALYSERS_S_LEAST: Final = 1.0


async def can_be_called(settings: Settings, wanted: Models) -> bool:
    """Whether some model of the wanted kind may be there: a key is set, or a local server takes connections.

    Says no in a fraction of a second where there is none, so that nobody waits for models who has none.

    Raises:
        ConfigError: the providers file can't be used.
    """
    if wanted is Models.NONE:
        return False
    if settings.llm.local_model:
        return True
    from config.providers import find_providers_file, load_providers
    from orchestrator.models import environment

    env = environment()
    rows = load_providers(find_providers_file(settings.llm, env)).rows.values()
    clouds = [row for row in rows if not row.local]
    if wanted is Models.ANY and any(not row.key_variable or env.get(row.key_variable) for row in clouds):
        return True
    urls = {row.base_url for row in rows if row.local}
    return any(await asyncio.gather(*map(_listens, sorted(urls))))


async def _listens(url: str) -> bool:
    parts = urlsplit(url)
    try:
        async with asyncio.timeout(CONNECT_S_MAX):
            port = parts.port or PORTS.get(parts.scheme, 80)
            _, writer = await asyncio.open_connection(parts.hostname, port)
    except (OSError, TimeoutError, ValueError):
        return False
    writer.close()
    return True


async def estimate(bus: Bus, settings: Settings, request: ReviewRequested, intake: Intake) -> ModelPlan:
    """What models would do: those of the routers that run, else those that this command would call."""
    known = await offered(bus, request.models)
    if not known.models and await can_be_called(settings, request.models):
        known = await _own_models(settings, request.models)
    if not known.models:
        return ModelPlan(why_none=known.why_none if request.needs_models else "")
    models, stopped = await _affordable(bus, settings, known.models)
    if not models:
        return ModelPlan(why_none=stopped, stopped=stopped)
    request = under_limit(request, known.task_limit_nusd)
    sources = {file.path: file.data.decode("utf-8", "replace") for file in intake.files if is_code(file.path)}
    if request.changed is not None:
        changed = {entry.path for entry in request.changed}
        sources = {path: text for path, text in sources.items() if path in changed}
    left_s = min(request.deadline_s, request.models_s)
    plan = await asyncio.to_thread(plan_models, [sources], models, request, left_s=left_s)
    return replace(plan, stopped=stopped)


async def _affordable(
    bus: Bus, settings: Settings, models: Sequence[ModelOffered]
) -> tuple[list[ModelOffered], str]:
    """The models that may be called while the month's money stands as it does, and why the others may not."""
    free = [one for one in models if not (one.input_nusd or one.output_nusd or one.per_request_nusd)]
    if len(free) == len(models):
        return free, ""
    from orchestrator.limits_now import limits_now

    try:
        state = await limits_now(bus, settings)
    except BusError:  # what can't be found out isn't told; the calls themselves are refused if they must be
        return list(models), ""
    return (free, stopped_text(state.month)) if state.is_stopped else (list(models), "")


def stopped_text(month: BudgetState) -> str:
    """That no paid call is made any more, and from when on there is money again. Pure."""
    again = f"; there is money again from {month.resets_at[:10]} on" if month.resets_at else ""
    return (
        f"paid models are stopped: {money_text(month.spent_nusd)} spent and {money_text(month.reserved_nusd)} held "
        f"of the {money_text(month.limit_nusd)} for {month.limit}, and paid calls stop at "
        f"{money_text(month.stop_nusd)}{again}"
    )


async def _own_models(settings: Settings, wanted: Models) -> Offered:
    import time

    from agents.review.models.planning import MODELS_USED_MAX
    from agents.router.figures import is_callable, told
    from agents.router.learned import Learned
    from orchestrator.models import environment, models_for

    privacy = Privacy.ANY if wanted is Models.ANY else Privacy.LOCAL_ONLY
    request = ModelsRequest(privacy=privacy, tier=Tier.MEDIUM)
    async with models_for(settings, environment()) as models:
        learned = Learned()
        fit = [told(offer, learned, time.time()) for offer in models.offers() if is_callable(offer, request)]
        limit = models.providers.task_limit_nusd
    return Offered(models=tuple(fit[:MODELS_USED_MAX]), task_limit_nusd=limit)


def print_estimate(plan: ModelPlan, request: ReviewRequested, intake: Intake, *, as_json: bool) -> None:
    """What the review would take, for people or as JSON."""
    lines = sum(file.lines for file in intake.files)
    analysers_s = max(ANALYSERS_S_LEAST, lines / 1000 * ANALYSERS_S_PER_KLOC)
    passes = plan.plan.estimates
    if as_json:
        import msgspec

        print(
            msgspec.json.format(
                msgspec.json.encode(
                    {
                        "files": len(intake.files),
                        "lines": lines,
                        "analysers_s": round(analysers_s, 1),
                        "models": passes,
                        "calls": sum(one.calls for one in passes),
                        "cost_nusd": sum(one.cost_nusd for one in passes),
                        "cost_limit_nusd": plan.max_cost_nusd,
                        "seconds": round(max([analysers_s, *(one.seconds for one in passes)]), 1),
                        "left_out": plan.plan.left_out or {},
                        "no_models": plan.why_none,
                        "paid_stopped": plan.stopped,
                    }
                )
            ).decode()
        )
        return
    print(f"{counted(len(intake.files), 'file')}, {counted(lines, 'line')}")
    print(f"analysers: about {seconds_text(analysers_s)}, no cost, nothing leaves this machine")
    if not passes:
        print(f"models: none{': ' + plan.why_none if plan.why_none else ''}")
        return
    if plan.stopped:
        print(plan.stopped)
    _print_passes(passes)
    limit = ""
    if plan.max_cost_nusd is not None:
        limit = f", never over {money_text(plan.max_cost_nusd)}"
        if request.max_cost_nusd is None or plan.max_cost_nusd < request.max_cost_nusd:
            limit += " (the limit for a task in the providers file)"
    total = sum(one.cost_nusd for one in passes)
    print(f"together about {money_text(total)}{limit}, {_minutes(max(one.seconds for one in passes))}")
    for why, number in (plan.plan.left_out or {}).items():
        print(
            f"{counted(number, 'further pass', 'further passes')} would pay, but for {why}", file=sys.stderr
        )


def _print_passes(passes: Sequence[PassEstimate]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("model", overflow="fold")
    for head in ("calls", "tokens in", "out", "expected", "at most", "time"):
        table.add_column(head, justify="right", no_wrap=True)
    for one in passes:
        table.add_row(
            one.model,
            f"{one.calls:,}",
            f"{one.input_tokens:,}",
            f"{one.output_tokens:,}",
            money_text(one.cost_nusd),
            money_text(one.cost_max_nusd),
            _minutes(one.seconds) + ("" if one.is_speed_known else " ?"),
        )
    Console(highlight=False).print(table)
    if not all(one.is_speed_known for one in passes):
        usual = f"{ANSWER_S_UNKNOWN[True]:g} s for an answer of a local model, {ANSWER_S_UNKNOWN[False]:g} s elsewhere"
        print(f"? its speed isn't known yet: {usual} are assumed")


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.1f} min"
