"""kill -9 and SIGSTOP of cost guards, routers and the server while 200 callers share the money for 20 calls.

Whatever dies: the provider never bills more than the stop, the books never hold more, nobody waits beyond the
deadline, and what the money was for is used.
"""

import asyncio
import os
import signal
import subprocess
import time
from collections import Counter
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
from labverse import Labverse
from ledgerbooks import Audit, audit
from provider import Provider, Reply, tokens
from providerfile import KEY, KEY_VARIABLE, use
from until import until, until_async

from agents.router.offers import Price, PriceTier
from bus import Bus, BusOptions, open_bus
from bus.budget import Budget
from bus.complete import ask
from bus.embedded import read_address
from schemas.llm import CompletionReply, CompletionRequest, Message

CALLERS = 200
AFFORDABLE = 20
PROMPT = "What is the root of {:03d}?"
REPLY = "A long answer that says nothing much, and not more than that."
MAX_TOKENS = 16
PER_REQUEST_NUSD = 1_000_000
PRICE = Price(
    tiers=(PriceTier(input_nusd=150_000_000, output_nusd=600_000_000),), per_request_nusd=PER_REQUEST_NUSD
)
DEADLINE_S = 9.0
LEASE_BEYOND_S = 15.0
LATE_S = 1.0
"""What a loaded machine may add to a deadline."""
COST_NUSD = PRICE.cost_nusd(tokens(PROMPT.format(0)), tokens(REPLY))
"""Of one call."""
STOP_NUSD = AFFORDABLE * COST_NUSD + 40_000
"""Exactly 20 calls, and for the last one what is held beyond its price, since tokens are counted on the safe side."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Two guards, two routers, a server that neither of them hosts, and the callers' bus."""

    labverse: Labverse
    provider: Provider
    bus: Bus
    guards: "tuple[subprocess.Popen[str], ...]"
    routers: "tuple[subprocess.Popen[str], ...]"

    async def leading(self) -> "subprocess.Popen[str]":
        """The guard that leads now."""
        state = await Budget(self.bus).state(timeout_s=5)
        assert state is not None
        return next(guard for guard in self.guards if state.leader.endswith(f":{guard.pid}"))

    async def books(self) -> Audit:
        return await audit(self.bus, STOP_NUSD)


@pytest.fixture
def provider() -> Iterator[Provider]:
    with Provider(Reply(text=REPLY, delay_s=0.15), key=KEY) as provider:
        yield provider


@asynccontextmanager
async def stage(labverse: Labverse, provider: Provider) -> AsyncGenerator[Stage]:
    price = {"input": 0.15, "output": 0.6, "per_request": PER_REQUEST_NUSD / 1e9}
    row = {
        "base_url": provider.base_url,
        "key_variable": KEY_VARIABLE,
        "concurrency_max": 3,
        "models": [{"name": "m", "price": price}],
    }
    control = {"monthly_ai_budget_usd": STOP_NUSD / 1e9, "hard_stop_at_90_percent": False}
    use(labverse, {"mine": row}, cost_control=control)
    labverse.start("agent", "tracker", ready="is ready")  # hosts the server, and lives on
    guards = tuple(labverse.start("agent", "cost-guard", ready="is ready") for _ in range(2))
    routers = tuple(labverse.start("agent", "router", ready="is ready") for _ in range(2))
    async with open_bus(BusOptions(data_dir=labverse.data)) as bus:
        yield Stage(labverse=labverse, provider=provider, bus=bus, guards=guards, routers=routers)


async def call(bus: Bus, number: int, deadline_s: float = DEADLINE_S) -> tuple[CompletionReply, float]:
    """One caller's reply, and after how many seconds it came."""
    request = CompletionRequest(
        messages=(Message(role="user", content=PROMPT.format(number)),), max_tokens=MAX_TOKENS
    )
    started = time.monotonic()
    reply = await ask(bus, request, deadline_s=time.time() + deadline_s)
    return reply, time.monotonic() - started


def all_call(bus: Bus) -> "list[asyncio.Task[tuple[CompletionReply, float]]]":
    return [asyncio.create_task(call(bus, number)) for number in range(CALLERS)]


def check_callers(answers: list[tuple[CompletionReply, float]]) -> int:
    """Everybody was answered in time, with an answer or a reason; returns how many answers there were."""
    assert len(answers) == CALLERS
    assert max(took_s for _, took_s in answers) < DEADLINE_S + LATE_S
    kinds = Counter(reply.refusal.kind for reply, _ in answers if reply.refusal)
    answered = [reply.completion for reply, _ in answers if reply.completion]
    assert len(answered) + kinds.total() == CALLERS
    assert set(kinds) <= {"BudgetExhausted", "DeadlineExceeded"}, kinds
    assert all(one.text == REPLY and one.cost_nusd == COST_NUSD for one in answered)
    return len(answered)


def check_money(audited: Audit, provider: Provider) -> None:
    assert provider.billed_nusd(PRICE) <= STOP_NUSD
    assert audited.highest_nusd <= STOP_NUSD
    assert audited.spent_nusd >= provider.billed_nusd(PRICE)


@pytest.mark.timeout(120)
async def test_kill_9_of_the_leading_guard_and_of_a_router_in_the_middle(
    labverse: Labverse, provider: Provider
) -> None:
    async with stage(labverse, provider) as on:
        leader = await on.leading()
        callers = all_call(on.bus)
        await until(lambda: provider.calls >= 4, what="calls")
        leader.send_signal(signal.SIGKILL)
        await until(lambda: provider.calls >= 13, what="calls under the second guard")
        on.routers[0].send_signal(signal.SIGKILL)
        killed_at = time.monotonic()
        answered = check_callers(await asyncio.gather(*callers))
        assert answered >= 8
        assert await on.leading() is not leader
        # What the dead router held is charged when its leases end; what nobody sent comes back.
        left_s = killed_at + DEADLINE_S + LEASE_BEYOND_S + 3 - time.monotonic()

        async def nothing_is_held() -> bool:
            return (await on.books()).held_nusd == 0

        await until_async(nothing_is_held, within_s=left_s, what="leases end")
        audited = await on.books()
        check_money(audited, provider)
        assert len(audited.epochs) == 2
        # What is left may be spent by those who come later, to the last call that fits.
        more = [(await call(on.bus, CALLERS + number))[0] for number in range(AFFORDABLE)]
        assert more[-1].refusal is not None
        audited = await on.books()
        check_money(audited, provider)
        assert audited.spent_nusd + audited.held_nusd >= 0.95 * STOP_NUSD


@pytest.mark.timeout(120)
async def test_a_frozen_guard_is_replaced_and_its_grants_count_for_nothing(
    labverse: Labverse, provider: Provider
) -> None:
    async with stage(labverse, provider) as on:
        leader = await on.leading()
        callers = all_call(on.bus)
        await until(lambda: provider.calls >= 4, what="calls")
        leader.send_signal(signal.SIGSTOP)
        stopped_at, calls = time.monotonic(), provider.calls
        await asyncio.sleep(0.5)  # what was granted before has been sent by now
        calls = provider.calls
        await asyncio.sleep(stopped_at + 4 - time.monotonic())
        served_meanwhile = provider.calls - calls
        leader.send_signal(signal.SIGCONT)
        answered = check_callers(await asyncio.gather(*callers))
        await asyncio.sleep(1)
        audited = await on.books()
        check_money(audited, provider)
        assert served_meanwhile >= 1
        assert answered >= 0.95 * AFFORDABLE
        assert audited.spent_nusd >= 0.95 * STOP_NUSD
        assert audited.held_nusd == 0
        assert len(audited.epochs) == 2
        assert await on.leading() is not leader
        assert leader.poll() is None  # it stands by again


@pytest.mark.timeout(120)
async def test_kill_9_of_the_server_in_the_middle(labverse: Labverse, provider: Provider) -> None:
    async with stage(labverse, provider) as on:
        callers = all_call(on.bus)
        await until(lambda: provider.calls >= 6, what="calls")
        address = read_address(labverse.data)
        assert address is not None
        os.kill(address.server_pid, signal.SIGKILL)
        check_callers(await asyncio.gather(*callers))
        more = [await call(on.bus, CALLERS + number) for number in range(AFFORDABLE)]
        assert all(took_s < DEADLINE_S + LATE_S for _, took_s in more)
        assert more[-1][0].refusal is not None
        assert more[-1][0].refusal.kind == "BudgetExhausted"
        await asyncio.sleep(1)
        audited = await on.books()
        check_money(audited, provider)
        assert audited.spent_nusd + audited.held_nusd >= 0.95 * STOP_NUSD
