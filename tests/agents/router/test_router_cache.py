"""Answers given again: once for who asks later, and one flight for all who ask at the same time."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest
from provider import Provider, Reply
from routerlab import Lab, ask, complete

from schemas.llm import CompletionRequest, Purpose, RefusalKind, Source

StartProvider = Callable[..., Provider]
SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}


def again(text: str = "What is a cache?", **options: Any) -> CompletionRequest:
    return ask(text, cache=True, **options)


async def test_the_same_question_is_answered_once_and_then_for_nothing(
    guarded: Lab, start_provider: StartProvider
) -> None:
    provider = start_provider()
    router = guarded.router(guarded.paid(provider))
    first, second = await complete(router, again()), await complete(router, again())
    assert first.completion is not None
    assert second.completion is not None
    assert provider.calls == 1
    assert first.completion.source is Source.MODEL
    assert second.completion.source is Source.CACHE
    assert second.completion.cost_nusd == 0
    assert second.completion.text == first.completion.text
    assert second.completion.call_id != first.completion.call_id
    assert (await guarded.books()).month.spent_nusd == first.completion.cost_nusd
    pieces = [piece async for piece in router.stream(again(), deadline_s=time.time() + 5)]
    assert "".join(piece.text for piece in pieces) == first.completion.text
    assert provider.calls == 1


async def test_an_answer_that_came_in_pieces_is_given_again_too(
    guarded: Lab, start_provider: StartProvider
) -> None:
    provider = start_provider()
    router = guarded.router(guarded.paid(provider))
    async for _ in router.stream(again(), deadline_s=time.time() + 5):
        pass
    reply = await complete(router, again())
    assert reply.completion is not None
    assert reply.completion.source is Source.CACHE


async def test_who_does_not_want_a_known_answer_gets_a_new_one(
    guarded: Lab, start_provider: StartProvider
) -> None:
    provider = start_provider()
    router = guarded.router(guarded.paid(provider))
    await complete(router, again())
    await complete(router, ask("What is a cache?"))
    assert provider.calls == 2


@pytest.mark.parametrize(
    "bad",
    [
        Reply(status=500, error="down"),
        Reply(text=""),
        Reply(text="", refusal="No."),
        Reply(text="long " * 1_000, finish_reason="length"),
    ],
    ids=["500", "empty", "refused", "cut"],
)
async def test_what_is_no_whole_answer_is_never_given_again(
    guarded: Lab, start_provider: StartProvider, bad: Reply
) -> None:
    provider = start_provider(bad)
    router = guarded.router(guarded.paid(provider))
    await complete(router, again(), 0.3)
    calls = provider.calls
    provider.behaviour = Reply(text="Fine.")
    await asyncio.sleep(0.6 if bad.status == 500 else 0)  # its breaker
    reply = await complete(router, again())
    assert reply.completion is not None
    assert reply.completion.text == "Fine."
    assert provider.calls > calls


async def test_fifty_who_ask_the_same_at_once_cost_one_request(
    guarded: Lab, start_provider: StartProvider
) -> None:
    provider = start_provider(Reply(text="Once.", delay_s=0.05))
    router = guarded.router(guarded.paid(provider))
    replies = await asyncio.gather(*(complete(router, again()) for _ in range(50)))
    assert provider.calls == 1
    sources = [reply.completion.source for reply in replies if reply.completion is not None]
    assert sorted(sources) == [Source.CACHE] * 49 + [Source.MODEL]
    assert len({reply.completion.call_id for reply in replies if reply.completion is not None}) == 50


async def test_a_leader_who_leaves_does_not_fail_those_who_wait_with_it(
    guarded: Lab, start_provider: StartProvider
) -> None:
    provider = start_provider(Reply(text="Still.", delay_s=0.1))
    router = guarded.router(guarded.paid(provider))
    leader = asyncio.create_task(complete(router, again()))
    await asyncio.sleep(0.02)
    followers = [asyncio.create_task(complete(router, again())) for _ in range(5)]
    await asyncio.sleep(0.02)
    leader.cancel()
    for reply in await asyncio.gather(*followers):
        assert reply.completion is not None
    assert provider.calls == 1
    assert leader.cancelled()
    guarded.assert_idle()


async def test_when_all_who_wait_leave_the_request_is_stopped(
    guarded: Lab, start_provider: StartProvider
) -> None:
    provider = start_provider(Reply(hangs=True))
    router = guarded.router(guarded.paid(provider))
    callers = [asyncio.create_task(complete(router, again())) for _ in range(5)]
    await asyncio.sleep(0.1)
    for caller in callers:
        caller.cancel()
    await asyncio.gather(*callers, return_exceptions=True)
    assert await provider.until_idle()
    guarded.assert_idle()


async def test_a_leader_in_a_hurry_does_not_pass_its_deadline_on(
    guarded: Lab, start_provider: StartProvider
) -> None:
    provider = start_provider(Reply(text="Late.", delay_s=0.3))
    router = guarded.router(guarded.paid(provider))
    leader = asyncio.create_task(complete(router, again(), 0.1))
    await asyncio.sleep(0.02)
    follower = await complete(router, again(), 5.0)
    assert follower.completion is not None
    hurried = await leader
    assert hurried.refusal is not None
    assert hurried.refusal.kind is RefusalKind.DEADLINE
    assert "paid/m" in hurried.refusal.message


async def test_a_follower_leaves_at_its_own_deadline(guarded: Lab, start_provider: StartProvider) -> None:
    provider = start_provider(Reply(text="Late.", delay_s=0.5))
    router = guarded.router(guarded.paid(provider))
    leader = asyncio.create_task(complete(router, again(), 5.0))
    await asyncio.sleep(0.02)
    started_s = time.monotonic()
    follower = await complete(router, again(), 0.1)
    assert time.monotonic() - started_s < 0.15
    assert follower.refusal is not None
    assert follower.refusal.kind is RefusalKind.DEADLINE
    assert (await leader).completion is not None


@pytest.mark.parametrize(
    "other",
    [
        {"tenant": "acme"},
        {"schema": SCHEMA},
        {"purpose": Purpose.CREATIVE},
        {"max_tokens": 77},
        {"model": "paid/m"},
    ],
    ids=["tenant", "schema", "purpose", "max_tokens", "model"],
)
async def test_what_matters_to_an_answer_keeps_questions_apart(
    guarded: Lab, start_provider: StartProvider, other: dict[str, Any]
) -> None:
    provider = start_provider(Reply(text='{"n": 1}'))
    router = guarded.router(guarded.paid(provider))
    await complete(router, again())
    reply = await complete(router, again(**other))
    assert reply.completion is not None
    assert reply.completion.source is Source.MODEL
    assert provider.calls == 2
