"""Which models a router says it can call, and a model that a request prefers."""

import asyncio
from collections.abc import Callable

from provider import Provider, Reply
from routerlab import Lab, ask, complete

from bus.services import LLM_MODELS
from schemas.llm import ModelsRequest, Privacy, Tier

StartProvider = Callable[..., Provider]


async def test_those_that_can_be_called_are_told_with_their_prices(
    guarded: Lab, start_provider: StartProvider
) -> None:
    provider = start_provider()
    router = guarded.router(
        guarded.local(provider, "home", tier=Tier.MEDIUM, concurrency_max=3),
        guarded.paid(provider, "cloud", tier=Tier.LARGE),
        guarded.paid(provider, "keyless", has_key=False, tier=Tier.LARGE),
        guarded.paid(provider, "unpriced", price=None, tier=Tier.LARGE),
        guarded.local(provider, "tiny"),
        guarded.paid(provider, "unlisted", rank=1_000, tier=Tier.LARGE),
    )
    ready = asyncio.Event()
    guarded.start(router.serve(ready))
    await ready.wait()
    reply = await guarded.bus.call(LLM_MODELS, ModelsRequest(tier=Tier.MEDIUM), timeout_s=5)
    home, cloud = reply.models
    assert (home.model, home.is_local, home.concurrency, home.input_nusd) == ("home/m", True, 3, 0)
    assert (cloud.model, cloud.input_nusd, cloud.output_nusd) == ("cloud/m", 150_000_000, 600_000_000)
    at_home = ModelsRequest(privacy=Privacy.LOCAL_ONLY)
    reply = await guarded.bus.call(LLM_MODELS, at_home, timeout_s=5)
    assert [one.model for one in reply.models] == ["home/m", "tiny/m"]


async def test_a_preferred_model_is_waited_for_though_another_one_is_free(
    guarded: Lab, start_provider: StartProvider
) -> None:
    slow, quick = start_provider(Reply(delay_s=0.2)), start_provider()
    router = guarded.router(
        guarded.local(quick, "quick"), guarded.local(slow, "slow", concurrency_max=1, concurrency_start=1)
    )
    requests = (ask(f"question {n}", prefer="slow/m") for n in range(3))
    replies = await asyncio.gather(*(complete(router, request) for request in requests))
    assert {reply.completion.model for reply in replies if reply.completion} == {"slow/m"}
    assert quick.calls == 0


async def test_without_the_preferred_model_another_one_answers(
    guarded: Lab, start_provider: StartProvider
) -> None:
    broken, quick = start_provider(Reply(status=500, error="gone")), start_provider()
    router = guarded.router(guarded.local(broken, "broken"), guarded.local(quick, "quick"))
    for name in ("broken/m", "unheard/of"):
        reply = await complete(router, ask(prefer=name))
        assert reply.completion is not None
        assert reply.completion.model == "quick/m"
