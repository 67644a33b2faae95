"""The caller's deadline holds whatever a provider does, and nothing goes on behind it."""

import time
from collections.abc import Callable
from typing import Any

import pytest
from provider import Provider, Reply
from routerlab import Lab, ask, complete

from agents.router.router import Router
from schemas.llm import CompletionReply, RefusalKind

StartProvider = Callable[..., Provider]
DEADLINE_S = 0.4
LATE_S = 0.05
LONG = "word " * 400

BAD = {
    "hangs": Reply(hangs=True),
    "trickles": Reply(text=LONG, byte_delay_s=0.01, token_delay_s=0.01),
    "429 for an hour": Reply(status=429, headers={"Retry-After": "3600"}, error="Rate limit reached"),
    "500": Reply(status=500, error="internal"),
    "resets": Reply(resets=True),
    "closes": Reply(closes=True),
    "resets in mid-stream": Reply(text=LONG, resets_after=3),
    "hangs in mid-stream": Reply(text=LONG, hangs_after=3),
    "garbage": Reply(body=b"\x00\xff{[[", content_type="application/json"),
    "200 with an error": Reply(error="we are sorry"),
    "huge": Reply(huge_bytes=40 * 1024 * 1024),
    "nothing": Reply(text=""),
    "no choices": Reply(choices=False),
    "slow after a pause": Reply(delay_s=5.0),
}

HARMLESS = {("resets in mid-stream", False), ("hangs in mid-stream", False), ("no choices", True)}


async def streamed(router: Router, deadline_s: float) -> CompletionReply:
    async for piece in router.stream(ask(), deadline_s=deadline_s):
        if piece.reply is not None:
            return piece.reply
    raise AssertionError("no reply")


@pytest.mark.parametrize("is_stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("what", BAD)
async def test_no_provider_keeps_a_caller_beyond_the_deadline(
    guarded: Lab, start_provider: StartProvider, what: str, is_stream: bool
) -> None:
    provider = start_provider(BAD[what])
    router = guarded.router(guarded.paid(provider))
    deadline_s = time.time() + DEADLINE_S
    reply = await (
        streamed(router, deadline_s) if is_stream else router.complete(ask(), deadline_s=deadline_s)
    )
    late_s = time.time() - deadline_s
    # Reading 32 MB of it takes the loop's time on a busy machine.
    assert late_s <= (0.5 if what == "huge" else LATE_S), f"{late_s * 1000:.0f} ms late"
    if reply.refusal is None:
        # What concerns only streams, or only whole answers.
        assert (what, is_stream) in HARMLESS
    assert await provider.until_idle()
    books = await guarded.books()
    assert books.open_reservations == 0
    assert books.month.reserved_nusd == 0
    guarded.assert_idle()


async def test_a_provider_that_asks_for_an_hour_is_given_up_at_once(
    guarded: Lab, start_provider: StartProvider
) -> None:
    provider = start_provider(BAD["429 for an hour"])
    router = guarded.router(guarded.paid(provider))
    started_s = time.monotonic()
    reply = await complete(router, ask(), 30.0)
    assert time.monotonic() - started_s < 1.0
    assert reply.refusal is not None
    assert reply.refusal.kind is RefusalKind.UPSTREAM
    assert "Rate limit reached" in reply.refusal.message
    assert provider.calls == 1
    again = await complete(router, ask(), 30.0)
    assert again.refusal is not None
    assert "breaker open for 3" in again.refusal.message
    assert provider.calls == 1


async def test_a_deadline_that_is_over_calls_nobody(guarded: Lab, start_provider: StartProvider) -> None:
    provider = start_provider()
    reply = await complete(guarded.router(guarded.paid(provider)), ask(), -1.0)
    assert reply.refusal is not None
    assert reply.refusal.kind is RefusalKind.DEADLINE
    assert provider.calls == 0


async def test_what_may_have_been_billed_at_the_deadline_is_counted_as_spent(
    guarded: Lab, start_provider: StartProvider
) -> None:
    provider = start_provider(BAD["hangs"])
    reply = await complete(guarded.router(guarded.paid(provider)), ask(max_tokens=100), 0.2)
    assert reply.refusal is not None
    assert reply.refusal.kind is RefusalKind.DEADLINE
    books = await guarded.books()
    assert books.month.spent_nusd == reply.refusal.cost_nusd > 0


async def test_callers_in_too_great_a_hurry_do_not_open_a_breaker_for_others(
    guarded: Lab, start_provider: StartProvider
) -> None:
    provider = start_provider(Reply(delay_s=0.15))
    router = guarded.router(guarded.paid(provider))
    hurried: list[Any] = [await complete(router, ask(), 0.05) for _ in range(6)]
    assert {reply.refusal.kind for reply in hurried} == {RefusalKind.DEADLINE}
    patient = await complete(router, ask(), 5.0)
    assert patient.completion is not None
