"""Time and cancelling: one absolute limit, and a provider that stops when nobody waits any more."""

import asyncio
import random
import time
from collections.abc import Callable

import pytest
from provider import Provider, Reply

from agents.router.upstream import FailureKind, UpstreamAnswer, UpstreamCall, UpstreamError
from orchestrator.upstream import OpenAIUpstream

MakeCall = Callable[..., UpstreamCall]
TIMEOUT_S = 0.3
OVER_S = 0.05
TRIES = 3
"""The machine may be busy: once in so many tries the limit must hold."""


async def consume(upstream: OpenAIUpstream, call: UpstreamCall, *, is_stream: bool) -> None:
    if not is_stream:
        await upstream.complete(call)
        return
    async for _ in upstream.stream(call):
        pass


@pytest.mark.parametrize("is_stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize(
    "reply",
    [
        Reply(hangs=True),
        Reply(delay_s=5),
        Reply(text="x" * 4_000, token_delay_s=0.02, byte_delay_s=0.02),
        Reply(text="x" * 4_000, hangs_after=3, byte_delay_s=0.02),
        Reply(status=429, byte_delay_s=0.02),
        Reply(status=429, delay_s=0.1),
        Reply(resets=True, delay_s=0.1),
        Reply(body=b"garbage", delay_s=0.1),
        Reply(body=b"garbage " * 100, byte_delay_s=0.02),
    ],
    ids=["hang", "late", "trickle", "stop", "trickled-429", "429", "reset", "garbage", "trickled-garbage"],
)
async def test_whatever_a_provider_does_the_call_ends_in_time(
    provider: Provider, upstream: OpenAIUpstream, call: MakeCall, is_stream: bool, reply: Reply
) -> None:
    provider.behaviour = reply
    took: list[float] = []
    for _ in range(TRIES):
        start_s = time.monotonic()
        with pytest.raises(UpstreamError):
            await consume(upstream, call(timeout_s=TIMEOUT_S), is_stream=is_stream)
        took.append(time.monotonic() - start_s)
        if took[-1] <= TIMEOUT_S + OVER_S:
            break
    assert min(took) <= TIMEOUT_S + OVER_S
    assert await provider.until_idle()


@pytest.mark.parametrize("timeout_s", [0.0, -1.0])
async def test_a_call_whose_time_is_over_fails_at_once(
    provider: Provider, upstream: OpenAIUpstream, call: MakeCall, timeout_s: float
) -> None:
    with pytest.raises(UpstreamError) as caught:
        await upstream.complete(call(timeout_s=timeout_s))
    assert caught.value.kind is FailureKind.TIMEOUT
    assert not caught.value.was_sent
    assert provider.calls == 0


@pytest.mark.parametrize(
    ("reply", "is_stream"),
    [
        (Reply(hangs=True), False),
        (Reply(hangs=True), True),
        (Reply(byte_delay_s=0.05), False),
        (Reply(text="x" * 400, token_delay_s=0.05), True),
        (Reply(status=500, byte_delay_s=0.05), False),
    ],
    ids=["whole-waiting", "stream-waiting", "whole-coming", "stream-coming", "error-coming"],
)
async def test_a_cancelled_call_stops_the_provider(
    provider: Provider, upstream: OpenAIUpstream, call: MakeCall, reply: Reply, is_stream: bool
) -> None:
    provider.behaviour = reply
    task = asyncio.create_task(consume(upstream, call(), is_stream=is_stream))
    await asyncio.sleep(0.2)
    assert provider.running == 1
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await provider.until_idle(1.0)
    assert (provider.disconnected, provider.completed) == (1, 0)


async def test_a_stream_closed_early_stops_the_provider_and_pays_for_what_came(
    provider: Provider, upstream: OpenAIUpstream, call: MakeCall
) -> None:
    provider.behaviour = Reply(text="x" * 400, token_delay_s=0.05)
    stream = upstream.stream(call("12345678"))
    assert [await anext(stream), await anext(stream)] == ["xxxx", "xxxx"]
    await stream.aclose()
    assert await provider.until_idle(1.0)
    assert provider.disconnected == 1
    assert provider.billed in ([(2, 2)], [(2, 3)])


async def test_a_slow_reader_of_a_stream_is_not_cancelled_but_told_at_its_next_piece(
    provider: Provider, upstream: OpenAIUpstream, call: MakeCall
) -> None:
    provider.behaviour = Reply(text="x" * 40, token_delay_s=0.15)
    stream = upstream.stream(call(timeout_s=0.2))
    assert await anext(stream) == "xxxx"
    await asyncio.sleep(0.4)  # outlasts the limit, undisturbed
    with pytest.raises(UpstreamError) as caught:
        async for _ in stream:
            pass
    assert caught.value.kind is FailureKind.TIMEOUT
    assert await provider.until_idle(1.0)


async def test_calls_cancelled_at_any_moment_leave_nothing_behind(
    provider: Provider, upstream: OpenAIUpstream, call: MakeCall
) -> None:
    provider.behaviour = Reply(text="x" * 40, delay_s=0.01, token_delay_s=0.003)
    moments = random.Random(7)

    async def one(number: int) -> str:
        task = asyncio.create_task(consume(upstream, call(), is_stream=bool(number % 2)))
        await asyncio.sleep(moments.uniform(0, 0.2))
        task.cancel()
        try:
            await task
        except asyncio.CancelledError:
            return "cancelled"
        return "answered"

    outcomes = await asyncio.gather(*(one(number) for number in range(100)))
    assert "cancelled" in outcomes
    assert await provider.until_idle()
    provider.behaviour = Reply(text="Still here.")
    answer = await upstream.complete(call())
    assert isinstance(answer, UpstreamAnswer)
    assert answer.text == "Still here."


async def test_closing_fails_what_is_out_and_a_later_call_connects_anew(
    provider: Provider, upstream: OpenAIUpstream, call: MakeCall
) -> None:
    provider.behaviour = [Reply(hangs=True), Reply(hangs_after=1), Reply(text="Again.")]
    tasks = [
        asyncio.create_task(consume(upstream, call(), is_stream=is_stream)) for is_stream in (False, True)
    ]
    await asyncio.sleep(0.2)
    await upstream.aclose()
    errors = await asyncio.gather(*tasks, return_exceptions=True)
    assert [getattr(error, "kind", error) for error in errors] == [FailureKind.CONNECTION_LOST] * 2
    assert await provider.until_idle(1.0)
    assert (await upstream.complete(call())).text == "Again."
