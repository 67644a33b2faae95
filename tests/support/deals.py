"""A negotiation's agents on a real bus, in this process: all that `labverse up` runs of them, and short ways to use them."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from agents.approver import Approver, Terms, approvals_bucket
from agents.cost_guard.guard import CostGuard
from agents.cost_guard.ledger import Limits
from agents.negotiator import switch
from agents.negotiator.flow.asking import DealPolicy
from agents.negotiator.flow.called_off import CalledOff
from agents.negotiator.flow.closing import Closer
from agents.negotiator.flow.known import Known, deals_bucket
from agents.negotiator.flow.opening import Negotiator
from agents.negotiator.flow.table import Table
from agents.negotiator.gates import Gates
from agents.negotiator.platforms.agent import PlatformAgent
from agents.negotiator.platforms.card import Card
from agents.negotiator.platforms.cards import load_cards
from bus import Bus
from bus.services import APPROVAL_DECIDE
from orchestrator.follow import follow
from schemas.approval import ApprovalOpened, DecideReply, DecideRequest
from schemas.event import Event
from schemas.ids import new_id
from schemas.llm import NUSD_PER_USD
from schemas.negotiation import NegotiationRequested

GATES = Gates(
    deal_nusd=10_000 * NUSD_PER_USD, platform_day_nusd=50_000 * NUSD_PER_USD, day_nusd=90_000 * NUSD_PER_USD
)
FREELY = DealPolicy(version="1", gates=GATES)
ASKING = DealPolicy(version="1", gates=GATES, ask_always=True)
PEOPLE = {"alice": ("cli:alice", "slack:U1"), "bob": ("cli:bob",)}
TERMS = Terms(approvers=("alice", "bob"), quorum=1, deadline_s=60.0, policy_version="1")
REQUEST = NegotiationRequested(goal="syndication", platforms=("tiktok", "spotify"))


@dataclass(slots=True, kw_only=True)
class Deals:
    """What runs, and the bus that it runs on."""

    bus: Bus
    table: Table

    async def negotiate(self, request: NegotiationRequested = REQUEST, *, task_id: str = "") -> list[Event]:
        """Everything of one negotiation, up to its end or to where it waits for people."""
        task_id = await self.bus.submit(request, task_id=task_id)
        return await self.events(task_id)

    async def events(self, task_id: str, *, past_approval: bool = False) -> list[Event]:
        """Everything of a task up to its end; by default also up to an approval that is open."""
        out: list[Event] = []
        async with asyncio.timeout(60):
            stream = follow(self.bus, task_id)
            try:
                async for event, _ in stream:
                    out.append(event)
                    if isinstance(event, ApprovalOpened) and not past_approval:
                        break
            finally:
                await stream.aclose()
        return out

    async def say(self, opened: ApprovalOpened, action: str, *, who: str = "cli:alice") -> DecideReply:
        """A person's word on an approval."""
        request = DecideRequest(
            approval_id=opened.approval.approval_id,
            digest=opened.approval.request.digest,
            identity=who,
            action=action,  # type: ignore[arg-type]
            vote_id=new_id(),
            via="cli",
        )
        return await self.bus.call(APPROVAL_DECIDE, request, timeout_s=20)


@asynccontextmanager
async def dealing(
    bus: Bus,
    *,
    policy: DealPolicy = FREELY,
    terms: Terms = TERMS,
    cards: Mapping[str, Card] | None = None,
    kinds: Sequence[str] = ("guard", "negotiator", "table", "closer", "platform", "approver"),
) -> AsyncIterator[Deals]:
    """Run them as long as the context lasts."""
    cards = load_cards() if cards is None else cards
    table = Table(bus=bus, policy=policy, cards=cards)
    guard = CostGuard(bus=bus, limits=Limits(month_nusd=1))
    approver = Approver(bus=bus, people=PEOPLE, policy=lambda _: terms, sweep_s=0.05)
    await deals_bucket(bus).ensure()
    await approvals_bucket(bus).ensure()
    await switch.ensure(bus)
    guarding = asyncio.create_task(guard.run()) if "guard" in kinds else None
    subscriptions = {
        "negotiator": Negotiator(cards=cards).subscription(),
        "table": table.subscription(),
        "closer": Closer(bus=bus, policy=policy).subscription(),
        "platform": PlatformAgent(cards=cards).subscription(),
        "approver": approver.subscription(),
    }
    for kind in kinds:
        if kind in subscriptions:
            await bus.run(subscriptions[kind])
    await bus.run(Known(bus=bus).subscription())
    await bus.run(CalledOff(bus=bus).subscription())
    try:
        if "approver" in kinds:
            async with approver.serving():
                yield Deals(bus=bus, table=table)
        else:
            yield Deals(bus=bus, table=table)
    finally:
        await bus.drain(2)
        if guarding is not None:
            guarding.cancel()
            await asyncio.gather(guarding, return_exceptions=True)


def within_ms(began_s: float) -> float:
    """Milliseconds since `began_s` (of `time.perf_counter`)."""
    return (time.perf_counter() - began_s) * 1e3
