"""Router and cost guard, put together from the settings and put on the bus."""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from agents.cost_guard.guard import CostGuard
from agents.cost_guard.ledger import Limits
from agents.router.decide import Policy
from agents.router.figures import routers_bucket, tell
from agents.router.genai import ModelCallTelemetry
from agents.router.router import CONCURRENCY, Router
from bus import Bus, BusError
from bus.budget import Budget
from bus.presence import AgentRecord
from config.providers import Providers, find_providers_file, load_providers
from config.settings import Settings
from orchestrator.chores import end, start
from orchestrator.models import Models, environment, models_for

SETTLE_AT_END_S: Final = 3.0
"""For bookings that are on their way when a router stops; what isn't confirmed then is left to its lease."""
STOP_PERCENT: Final = 90


def limits_of(providers: Providers) -> Limits:
    """The limits that the cost guard keeps."""
    control = providers.cost_control
    return Limits(
        month_nusd=control.monthly_ai_budget_usd.limit_nusd,
        stop_percent=STOP_PERCENT if control.hard_stop_at_90_percent else 100,
        task_nusd=providers.task_limit_nusd,
        tenants={name: dollars.limit_nusd for name, dollars in control.tenants.items()},
        alert_percents=tuple(control.alert_percents),
    )


def policy_of(providers: Providers, settings: Settings) -> Policy:
    """How the router decides."""
    routing = providers.routing
    return Policy(
        target_s=routing.max_latency_ms / 1000,
        probability=settings.llm.in_time_probability,
        temperatures={
            "critical": routing.temperature.critical,
            "default": routing.temperature.default,
            "creative": routing.temperature.creative,
        },
        call_limit_nusd=providers.task_limit_nusd,
        local_when_stopped=providers.cost_control.auto_fallback_to_local,
    )


def start_cost_guard(bus: Bus, settings: Settings) -> "asyncio.Task[None]":
    """Lead or stand by, until the task is cancelled.

    Raises:
        ConfigError: the providers file can't be used.
    """
    providers = load_providers(find_providers_file(settings.llm, environment()))
    guard = CostGuard(
        bus=bus, limits=limits_of(providers), channel=providers.cost_control.alert_slack_channel
    )
    bus.present(lambda: AgentRecord(name="cost-guard", durable="cost-guard", concurrency=1))
    return start(guard.run(), "cost guard")


@asynccontextmanager
async def routing(
    bus: Bus, settings: Settings, *, own_model: Path | bool = False, serve: bool = True
) -> AsyncGenerator[Router]:
    """A router for as long as the context lasts.

    Args:
        own_model: a GGUF file to serve from a child process; True takes the bundled one.
        serve: answer requests on the bus; otherwise the router is for this process alone, and for a short time.

    Raises:
        ConfigError: the providers file can't be used.
        UserError: the local model can't be served.
    """
    async with models_for(settings, environment(), own_model=own_model) as models:
        await models.upstream.warm()  # else the first call's latency would be that of our imports
        budget = Budget(bus)
        router = Router(
            upstream=models.upstream,
            money=budget,
            offers=models.offers,
            policy=policy_of(models.providers, settings),
            bus=bus,
            cache_age_s=settings.llm.cache_age_s,
            hedge_ratio_max=settings.llm.hedge_ratio_max,
            telemetry=ModelCallTelemetry(bus.tracing.tracer, bus.tracing.meter, settings.llm.record_prompts),
        )
        ready = asyncio.Event()
        chores = _chores(bus, router, models, ready) if serve else []
        try:
            if serve:
                await _first(chores[0], ready)
                bus.present(lambda: _presence(router))
            yield router
        finally:
            await end(chores)
            await budget.flush(SETTLE_AT_END_S)
            if serve:
                await _withdraw(bus, router)


def _chores(bus: Bus, router: Router, models: Models, ready: asyncio.Event) -> "list[asyncio.Task[None]]":
    return [
        start(router.serve(ready), "router"),
        start(models.keep_current(router.learned), "models"),
        start(models.keep_warm(router.learned), "warm models"),
        start(tell(bus, router.router_id, router.learned, models.offers, time.time), "router figures"),
    ]


def _presence(router: Router) -> AgentRecord:
    return AgentRecord(
        name="router",
        durable="router",
        concurrency=CONCURRENCY,
        running=router.running,
        handled=router.handled,
    )


async def _withdraw(bus: Bus, router: Router) -> None:
    try:
        await routers_bucket(bus).delete(router.router_id)
    except BusError:
        pass  # the record ages out


async def _first(serving: "asyncio.Task[None]", ready: asyncio.Event) -> None:
    """Wait until the router serves, or raise what kept it from that."""
    waiting = asyncio.create_task(ready.wait())
    await asyncio.wait((serving, waiting), return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if serving.done():
        serving.result()
