"""Answers in pieces: what came is the caller's, a break is told, and who leaves stops the work."""

import time
from collections.abc import Callable
from contextlib import aclosing

from provider import Provider, Reply
from routerlab import PRICE, Lab, ask
from until import until

from agents.router.router import Router
from schemas.llm import CompletionReply, RefusalKind

StartProvider = Callable[..., Provider]
LONG = "".join(f"{number:03} " for number in range(100))


async def read(router: Router, within_s: float = 5.0) -> tuple[str, CompletionReply]:
    text, reply = "", None
    async for piece in router.stream(ask(), deadline_s=time.time() + within_s):
        assert reply is None, "something came after the reply"
        text += piece.text
        reply = piece.reply
    assert reply is not None
    return text, reply


async def test_pieces_make_up_the_answer(guarded: Lab, start_provider: StartProvider) -> None:
    router = guarded.router(guarded.paid(start_provider(Reply(text=LONG))))
    text, reply = await read(router)
    assert reply.completion is not None
    assert text == LONG
    assert reply.completion.text == LONG
    assert 0 < reply.completion.time_to_first_s <= reply.completion.latency_s
    assert (await guarded.books()).month.spent_nusd == reply.completion.cost_nusd > 0


async def test_a_stream_that_breaks_off_gives_what_came_and_says_so_and_is_paid(
    guarded: Lab, start_provider: StartProvider
) -> None:
    provider, fallback = start_provider(Reply(text=LONG, resets_after=5)), start_provider()
    router = guarded.router(guarded.paid(provider), guarded.paid(fallback, "fallback", rank=1))
    text, reply = await read(router)
    assert text == LONG[:20]
    assert reply.refusal is not None
    assert reply.refusal.kind is RefusalKind.STREAM_CUT
    assert "paid/m broke off" in reply.refusal.message
    assert fallback.calls == 0
    books = await guarded.books()
    assert provider.billed_nusd(PRICE) <= books.month.spent_nusd == reply.refusal.cost_nusd
    assert books.month.reserved_nusd == 0


async def test_a_stream_that_stalls_gives_what_came_and_ends_at_the_deadline(
    guarded: Lab, start_provider: StartProvider
) -> None:
    provider = start_provider(Reply(text=LONG, hangs_after=5))
    started_s = time.monotonic()
    text, reply = await read(guarded.router(guarded.paid(provider)), 0.3)
    assert time.monotonic() - started_s < 0.35
    assert text == LONG[:20]
    assert reply.refusal is not None
    assert reply.refusal.kind is RefusalKind.STREAM_CUT
    assert await provider.until_idle()


async def test_a_stream_that_fails_before_its_first_piece_goes_on_with_the_next_model_unseen(
    guarded: Lab, start_provider: StartProvider
) -> None:
    for bad in (Reply(status=500, error="down"), Reply(text=LONG, resets_after=0), Reply(text="")):
        router = guarded.router(
            guarded.paid(start_provider(bad), "bad"),
            guarded.paid(start_provider(Reply(text="Fine.")), "good", rank=1),
        )
        text, reply = await read(router)
        assert text == "Fine."
        assert reply.completion is not None
        assert reply.completion.fallback


async def test_who_leaves_a_stream_stops_it_and_pays_for_input_and_what_came(
    guarded: Lab, start_provider: StartProvider
) -> None:
    provider = start_provider(Reply(text=LONG, token_delay_s=0.01))
    router = guarded.router(guarded.paid(provider))
    request = ask(max_tokens=1_000)
    seen = 0
    async with aclosing(router.stream(request, deadline_s=time.time() + 5)) as pieces:
        async for _ in pieces:
            seen += 1
            if seen == 5:
                break
    await until(lambda: provider.disconnected == 1, within_s=1.0)
    assert await provider.until_idle()
    books = await guarded.books()
    assert provider.billed_nusd(PRICE) <= books.month.spent_nusd < PRICE.cost_nusd(1_000, 100)
    assert books.month.reserved_nusd == 0
    guarded.assert_idle()


async def test_a_slow_reader_holds_the_provider_back_and_loses_nothing(
    guarded: Lab, start_provider: StartProvider
) -> None:
    text = "".join(f"{number:04}" for number in range(3_000))
    provider = start_provider(Reply(text=text))
    router = guarded.router(guarded.paid(provider, output_tokens_max=100_000))
    got = ""
    request = ask(max_tokens=5_000)
    async for piece in router.stream(request, deadline_s=time.time() + 10):
        got += piece.text
    assert got == text
