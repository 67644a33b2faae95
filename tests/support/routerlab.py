"""Routers as they run, put together for tests from real parts, and what their books say."""

import asyncio
import time
from dataclasses import dataclass, field
from typing import Any, Final

from provider import Provider

from agents.cost_guard.guard import CostGuard
from agents.cost_guard.ledger import Limits
from agents.router.decide import Policy
from agents.router.offers import FREE, Offer, Price, PriceTier
from agents.router.parts import Money
from agents.router.router import Router
from bus import Bus
from bus.budget import Budget
from config.secret import Secret
from orchestrator.upstream import OpenAIUpstream
from orchestrator.upstream.endpoint import Endpoint
from schemas.cost import StateReply
from schemas.llm import CompletionReply, CompletionRequest, Message

PRICE: Final = Price(tiers=(PriceTier(input_nusd=150_000_000, output_nusd=600_000_000),))
"""$0.15 and $0.60 a million tokens."""
PLENTY: Final = Limits(month_nusd=10**12)
PATIENT: Final = Policy(target_s=30.0)


@dataclass
class Lab:
    """Puts routers together, and tells what the books say."""

    bus: Bus
    upstream: OpenAIUpstream
    tasks: list[asyncio.Task[None]] = field(default_factory=list)
    budgets: list[Budget] = field(default_factory=list)
    routers: list[Router] = field(default_factory=list)

    async def guard(self, limits: Limits = PLENTY) -> asyncio.Task[None]:
        """A cost guard that leads."""
        guard = CostGuard(bus=self.bus, limits=limits)
        task = self.start(guard.run())
        async with asyncio.timeout(10):
            await guard.is_leading.wait()
        return task

    def start(self, work: Any) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self.tasks.append(task)
        return task

    def paid(self, provider: Provider | str, name: str = "paid", *, key: str = "", **options: Any) -> Offer:
        """An offer of `provider` (or of an address), for money."""
        self._endpoint(name, provider, key=key, is_local=False)
        return Offer(**{"provider": name, "model": "m", "price": PRICE, "context_tokens": 32_768} | options)

    def local(self, provider: Provider | str, name: str = "local", **options: Any) -> Offer:
        """A free offer of `provider` on this machine."""
        self._endpoint(name, provider, is_local=True)
        return Offer(
            **{
                "provider": name,
                "model": "m",
                "price": FREE,
                "is_local": True,
                "context_tokens": 32_768,
            }
            | options
        )

    def _endpoint(self, name: str, provider: Provider | str, *, is_local: bool, key: str = "") -> None:
        url = provider if isinstance(provider, str) else provider.base_url
        self.upstream.add(name, Endpoint(base_url=url, is_local=is_local, key=Secret(key)))

    def router(
        self,
        *offers: Offer,
        bus: Bus | None = None,
        policy: Policy = PATIENT,
        money: Money | None = None,
        **options: Any,
    ) -> Router:
        if money is None:
            money = Budget(bus or self.bus)
            self.budgets.append(money)
        router = Router(
            upstream=self.upstream,
            money=money,
            offers=lambda: offers,
            policy=policy,
            bus=bus or self.bus,
            **options,
        )
        self.routers.append(router)
        return router

    async def books(self, *, task_id: str = "", tenant: str = "") -> StateReply:
        """What the cost guard says once everything is booked."""
        for budget in self.budgets:
            assert await budget.flush(10.0) == 0
        state = await Budget(self.bus).state(task_id=task_id, tenant=tenant)
        assert state is not None
        return state

    def assert_idle(self) -> None:
        """No router counts a request as out."""
        for router in self.routers:
            assert router.running == 0
            for offer in router.offers():
                assert router.learned.limit(offer).in_flight == 0, offer.name


def ask(text: str = "What is a breaker?", **options: Any) -> CompletionRequest:
    """A request, not to be answered from the cache."""
    return CompletionRequest(
        **{"messages": (Message(role="user", content=text),), "cache": False, "explain": True} | options
    )


async def complete(
    router: Router, request: CompletionRequest, within_s: float = 5.0, **options: Any
) -> CompletionReply:
    return await router.complete(request, deadline_s=time.time() + within_s, **options)
