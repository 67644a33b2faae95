"""A caller may leave at any moment: nothing goes on upstream, no place and no money stays taken."""

import asyncio
import random
import time
from collections.abc import Callable

import pytest
from provider import Provider, Reply
from routerlab import PRICE, Lab, ask, complete
from until import until, until_async

from agents.cost_guard.ledger import Limits
from agents.router.router import Router
from bus.budget import Budget

StartProvider = Callable[..., Provider]


async def stream(router: Router) -> None:
    async for _ in router.stream(ask("word " * 50), deadline_s=time.time() + 5):
        pass


@pytest.mark.parametrize("is_stream", [False, True], ids=["whole", "stream"])
async def test_callers_who_leave_at_any_moment_leave_nothing_behind(
    lab: Lab, start_provider: StartProvider, is_stream: bool
) -> None:
    moments = random.Random(7)
    await lab.guard(Limits(month_nusd=10**9))
    provider = start_provider(Reply(text="word " * 20, delay_s=0.004, token_delay_s=0.001))
    router = lab.router(lab.paid(provider, concurrency_max=8))
    callers = []
    for _ in range(100):
        work = stream(router) if is_stream else complete(router, ask("word " * 50))
        callers.append(asyncio.create_task(work))

        async def leave(caller: "asyncio.Task[object]", after_s: float) -> None:
            await asyncio.sleep(after_s)
            caller.cancel()

        callers.append(asyncio.create_task(leave(callers[-1], moments.uniform(0.0, 0.06))))
        if moments.random() < 0.3:
            await asyncio.sleep(0)
    await asyncio.gather(*callers, return_exceptions=True)
    assert await provider.until_idle(2.0)
    books = await lab.books()
    lab.assert_idle()
    assert books.open_reservations == 0
    assert books.month.reserved_nusd == 0
    assert books.month.spent_nusd >= provider.billed_nusd(PRICE)
    assert (await complete(router, ask())).completion is not None


async def test_a_caller_who_leaves_at_once_leaves_nothing_behind(
    guarded: Lab, start_provider: StartProvider
) -> None:
    provider = start_provider()
    router = guarded.router(guarded.paid(provider))
    for steps in range(12):
        caller = asyncio.create_task(complete(router, ask()))
        for _ in range(steps):
            await asyncio.sleep(0)
        caller.cancel()
        await asyncio.gather(caller, return_exceptions=True)
    assert await provider.until_idle()
    assert (await guarded.books()).open_reservations == 0
    guarded.assert_idle()


async def test_a_caller_who_leaves_while_waiting_for_money_takes_none(
    lab: Lab, start_provider: StartProvider
) -> None:
    await lab.guard(Limits(month_nusd=100_000, stop_percent=100))
    provider = start_provider(Reply(delay_s=0.4))
    router = lab.router(lab.paid(provider))
    holder = asyncio.create_task(complete(router, ask(max_tokens=120)))
    await asyncio.sleep(0.05)
    waiting = [asyncio.create_task(complete(router, ask(max_tokens=120))) for _ in range(20)]
    await asyncio.sleep(0.1)
    for caller in waiting:
        caller.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    assert (await holder).completion is not None
    books = await lab.books()
    assert books.open_reservations == 0
    assert books.month.spent_nusd == provider.billed_nusd(PRICE)
    assert provider.calls == 1
    lab.assert_idle()


async def test_a_caller_who_leaves_with_money_but_without_a_place_gives_it_back(
    lab: Lab, start_provider: StartProvider
) -> None:
    await lab.guard(Limits(month_nusd=140_000, stop_percent=100))
    provider = start_provider([Reply(delay_s=0.6), Reply(hangs=True)])
    router = lab.router(lab.paid(provider, concurrency_max=1))
    holder = asyncio.create_task(complete(router, ask(max_tokens=150)))
    await until(lambda: provider.running == 1)
    waiting = [asyncio.create_task(complete(router, ask(max_tokens=64))) for _ in range(2)]
    assert (await holder).completion is not None

    async def held() -> int:
        state = await Budget(lab.bus).state()
        assert state is not None
        return state.open_reservations

    async def both_hold_money() -> bool:
        return await held() == 2

    await until_async(both_hold_money, within_s=2.0)
    assert provider.running == 1
    for caller in waiting:
        caller.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    assert (await lab.books()).open_reservations == 0
    assert provider.calls == 2
    lab.assert_idle()
