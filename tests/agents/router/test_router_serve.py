"""Model calls over the bus: any number of routers share them, and the caller's deadline holds there too."""

import asyncio
import time
from collections.abc import Callable
from contextlib import aclosing

import pytest
from provider import Provider, Reply
from routerlab import Lab, ask
from until import until

from agents.router.router import Router
from bus import Bus
from bus.services import LLM_COMPLETE, LLM_STREAM
from schemas.llm import RefusalKind

StartProvider = Callable[..., Provider]


async def serving(lab: Lab, *routers: Router) -> None:
    for router in routers:
        ready = asyncio.Event()
        lab.start(router.serve(ready))
        await ready.wait()


async def test_two_routers_share_the_calls(
    guarded: Lab, second_bus: Bus, start_provider: StartProvider
) -> None:
    offer = guarded.paid(start_provider())
    routers = guarded.router(offer), guarded.router(offer, bus=second_bus)
    await serving(guarded, *routers)
    replies = await asyncio.gather(
        *(guarded.bus.call(LLM_COMPLETE, ask(f"question {n}"), timeout_s=5.0) for n in range(40))
    )
    assert all(reply.completion is not None for reply in replies)
    assert sum(router.handled for router in routers) == 40
    assert all(router.handled for router in routers)


async def test_a_refusal_reaches_the_caller_before_its_deadline(
    guarded: Lab, start_provider: StartProvider
) -> None:
    provider = start_provider(Reply(hangs=True))
    await serving(guarded, guarded.router(guarded.paid(provider)))
    started_s = time.monotonic()
    reply = await guarded.bus.call(LLM_COMPLETE, ask(), timeout_s=0.4)
    assert time.monotonic() - started_s < 0.4
    assert reply.refusal is not None
    assert reply.refusal.kind is RefusalKind.DEADLINE


@pytest.mark.parametrize("is_stream", [False, True], ids=["whole", "stream"])
async def test_a_caller_who_leaves_the_bus_stops_the_request_upstream(
    guarded: Lab, start_provider: StartProvider, is_stream: bool
) -> None:
    provider = start_provider(
        Reply(text="word " * 100, delay_s=0.0 if is_stream else 5.0, token_delay_s=0.02)
    )
    await serving(guarded, guarded.router(guarded.paid(provider)))

    async def call() -> None:
        if not is_stream:
            await guarded.bus.call(LLM_COMPLETE, ask(), timeout_s=5.0)
            return
        async with aclosing(guarded.bus.stream(LLM_STREAM, ask(), timeout_s=5.0)) as pieces:
            async for _ in pieces:
                pass

    caller = asyncio.create_task(call())
    await until(lambda: provider.running == 1, within_s=2.0)
    await asyncio.sleep(0.05)
    caller.cancel()
    await until(lambda: provider.disconnected == 1, within_s=1.0)
    await until(lambda: not guarded.routers[0].running, within_s=1.0)
    assert (await guarded.books()).open_reservations == 0
    guarded.assert_idle()
