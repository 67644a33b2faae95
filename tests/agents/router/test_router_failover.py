"""A provider that dies costs no answer while another one can give it, and comes back without a stampede."""

import asyncio
import time
from collections.abc import Callable

from provider import Provider, Reply
from routerlab import PRICE, Lab, ask, complete
from until import until

from agents.router.offers import Offer, Price, PriceTier

StartProvider = Callable[..., Provider]
DEAR = Price(tiers=(PriceTier(input_nusd=1_500_000_000, output_nusd=6_000_000_000),))


def pair(lab: Lab, first: Provider, second: Provider) -> tuple[Offer, Offer]:
    return lab.paid(first, "cheap"), lab.paid(second, "dear", price=DEAR, rank=1)


async def test_no_call_fails_when_the_primary_dies_under_load(
    guarded: Lab, start_provider: StartProvider
) -> None:
    primary, fallback = start_provider(Reply(delay_s=0.01)), start_provider(Reply(delay_s=0.01))
    router = guarded.router(*pair(guarded, primary, fallback))

    async def caller(number: int) -> str:
        await asyncio.sleep(number * 0.002)
        reply = await complete(router, ask(f"question {number}"))
        assert reply.completion is not None, reply.refusal
        return reply.completion.provider

    calls = [asyncio.create_task(caller(number)) for number in range(200)]
    await until(lambda: len(primary.billed) >= 5)
    await asyncio.to_thread(primary.stop)
    answered_by = await asyncio.gather(*calls)
    assert "cheap" in answered_by
    assert answered_by[-20:] == ["dear"] * 20
    guarded.assert_idle()


async def test_no_call_fails_when_the_primary_answers_500(
    guarded: Lab, start_provider: StartProvider
) -> None:
    primary, fallback = start_provider(Reply(status=500, error="down")), start_provider()
    router = guarded.router(*pair(guarded, primary, fallback))
    replies = await asyncio.gather(*(complete(router, ask(f"question {n}")) for n in range(60)))
    assert all(reply.completion is not None for reply in replies)
    # Those that were out when the breaker opened, and hardly any after.
    assert primary.calls <= 20


async def test_traffic_comes_back_after_an_outage_one_probe_first_and_then_by_and_by(
    guarded: Lab, start_provider: StartProvider
) -> None:
    primary, fallback = start_provider(Reply(status=500, error="down")), start_provider(Reply(delay_s=0.005))
    router = guarded.router(*pair(guarded, primary, fallback))
    for _ in range(4):
        await complete(router, ask())
    assert router.breakers.opens_at(router.offers()[0]) > time.time()

    delay_s = 0.1
    primary.behaviour = Reply(delay_s=delay_s)
    requests_before = len(primary.requests)
    started_s = time.monotonic()

    async def caller() -> None:
        # However slow the machine is, it comes back within ten seconds.
        while len(primary.requests) - requests_before <= 15 and time.monotonic() < started_s + 10:
            reply = await complete(router, ask())
            assert reply.completion is not None

    await asyncio.gather(*(caller() for _ in range(30)))
    arrivals = sorted(received.at_s for received in primary.requests[requests_before:])
    assert len(arrivals) > 10, "traffic did not come back"
    first_round = [at_s for at_s in arrivals if at_s < arrivals[0] + delay_s]
    assert len(first_round) == 1, "more than one probe"
    second_round = [at_s for at_s in arrivals if arrivals[0] + delay_s <= at_s < arrivals[0] + 2 * delay_s]
    assert len(second_round) <= 3
    guarded.assert_idle()


async def test_an_only_provider_that_hiccups_is_asked_again(
    guarded: Lab, start_provider: StartProvider
) -> None:
    provider = start_provider(
        [Reply(status=503, error="warming up"), Reply(resets=True), Reply(text="Here.")]
    )
    reply = await complete(guarded.router(guarded.paid(provider)), ask())
    assert reply.completion is not None
    assert reply.completion.text == "Here."
    assert provider.calls == 3


async def test_callers_wait_for_an_only_provider_that_says_when_to_come_back(
    guarded: Lab, start_provider: StartProvider
) -> None:
    limited = Reply(status=429, headers={"retry-after-ms": "200"}, error="Rate limit reached")
    provider = start_provider([limited, Reply(text="Here.")])
    started_s = time.monotonic()
    reply = await complete(guarded.router(guarded.paid(provider)), ask())
    assert reply.completion is not None
    assert 0.2 <= time.monotonic() - started_s < 1.0


async def test_a_bad_key_drops_the_provider_and_its_other_models(
    guarded: Lab, start_provider: StartProvider
) -> None:
    locked, fallback = start_provider(key="right"), start_provider()
    offers = [guarded.paid(locked, "locked", key="wrong", model=model) for model in ("m", "other")]
    router = guarded.router(*offers, guarded.paid(fallback, "dear", price=DEAR))
    reply = await complete(router, ask())
    assert reply.completion is not None
    assert reply.completion.provider == "dear"
    assert locked.calls == 1
    assert (await complete(router, ask())).completion is not None
    assert locked.calls == 1


async def test_a_prompt_that_is_too_long_goes_only_to_models_with_a_larger_context(
    guarded: Lab, start_provider: StartProvider
) -> None:
    too_long = Reply(
        status=400, code="context_length_exceeded", error="This model's maximum context length is 100 tokens"
    )
    first, same, larger = start_provider(too_long), start_provider(too_long), start_provider()
    router = guarded.router(
        guarded.paid(first, "a"),
        guarded.paid(same, "b", rank=1),
        guarded.paid(larger, "c", price=DEAR, context_tokens=1_000_000),
    )
    reply = await complete(router, ask())
    assert reply.completion is not None
    assert reply.completion.provider == "c"
    assert (first.calls, same.calls) == (1, 0)
    assert PRICE is not DEAR


LOADING = Reply(status=503, error="Loading model", error_type="unavailable_error", code="503")


async def test_a_model_that_is_being_loaded_is_waited_for(
    guarded: Lab, start_provider: StartProvider
) -> None:
    provider = start_provider(LOADING)
    router = guarded.router(guarded.local(provider))
    calls = [asyncio.create_task(complete(router, ask(f"question {n}"), within_s=10)) for n in range(5)]
    await asyncio.sleep(2.5)  # more looks than tries that a failing model gets
    assert provider.calls <= 5 + 5, "the breaker lets one call look at a time"
    assert not any(call.done() for call in calls)
    provider.behaviour = Reply(text="Ready.")
    for reply in await asyncio.gather(*calls):
        assert reply.completion is not None, reply.refusal
        assert reply.completion.text == "Ready."
    assert (await guarded.books()).month.spent_nusd == 0
    guarded.assert_idle()


async def test_looks_at_a_model_that_is_being_loaded_are_told_once(
    guarded: Lab, start_provider: StartProvider
) -> None:
    provider = start_provider(LOADING)
    router = guarded.router(guarded.local(provider))
    call = asyncio.create_task(complete(router, ask(), within_s=10))
    await until(lambda: provider.calls >= 4)
    provider.behaviour = Reply(text="Ready.")
    explained = (await call).explanation
    assert explained is not None
    assert [attempt.outcome for attempt in explained.attempts] == ["failed", "answered"]
    assert "Loading model" in explained.attempts[0].detail
    assert "local/m is being loaded" in explained.notes[0]


async def test_a_model_that_is_never_loaded_fails_at_the_deadline_and_says_so(
    guarded: Lab, start_provider: StartProvider
) -> None:
    router = guarded.router(guarded.local(start_provider(LOADING)))
    began_s = time.monotonic()
    reply = await complete(router, ask(), within_s=3)
    assert 1.5 < time.monotonic() - began_s < 3.5
    assert reply.refusal is not None
    assert "Loading model" in reply.refusal.message
    guarded.assert_idle()


async def test_another_model_answers_at_once_while_one_is_being_loaded(
    guarded: Lab, start_provider: StartProvider
) -> None:
    loading, ready = start_provider(LOADING), start_provider(Reply(text="Instead."))
    router = guarded.router(guarded.local(loading), guarded.paid(ready))
    began_s = time.monotonic()
    reply = await complete(router, ask())
    assert reply.completion is not None
    assert reply.completion.text == "Instead."
    assert time.monotonic() - began_s < 1
    assert loading.calls == 1
