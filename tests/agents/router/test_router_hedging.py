"""Hedges: a request that is slower than usual is overtaken by a second one, seldom, and never without money."""

import asyncio
import time
from collections.abc import Callable

from provider import Provider, Reply
from routerlab import PRICE, Lab, ask, complete

from agents.cost_guard.ledger import Limits
from agents.router.offers import Offer
from agents.router.router import Router
from schemas.llm import RefusalKind

StartProvider = Callable[..., Provider]


def teach(router: Router, offer: Offer, latency_s: float = 0.02) -> None:
    """As if it had answered often, in about `latency_s`."""
    learned = router.learned.model(offer)
    for number in range(30):
        learned.answered(latency_s + number * 1e-5, latency_s / 2, 2, time.time())


def earn(router: Router, calls: int = 20) -> None:
    """Room in the hedge budget as after so many calls."""
    for _ in range(calls):
        router._hedges.called(time.time())


async def test_a_slow_request_is_overtaken_by_one_to_another_model(
    guarded: Lab, start_provider: StartProvider
) -> None:
    slow, quick = start_provider(Reply(delay_s=3.0)), start_provider(Reply(text="First!"))
    offers = guarded.paid(slow, "slow"), guarded.paid(quick, "quick", rank=1)
    router = guarded.router(*offers)
    for offer in offers:
        teach(router, offer)
    earn(router)
    started_s = time.monotonic()
    reply = await complete(router, ask(max_tokens=50))
    assert time.monotonic() - started_s < 1.0
    assert reply.completion is not None
    assert reply.completion.provider == "quick"
    assert not reply.completion.fallback
    assert await slow.until_idle()
    assert slow.disconnected == 1
    assert reply.explanation is not None
    lost, won = reply.explanation.attempts
    assert (lost.outcome, lost.is_hedge) == ("hedge_lost", False)
    assert (won.outcome, won.is_hedge) == ("answered", True)
    # The slow one may have billed everything; that is on the books, and told.
    books = await guarded.books()
    assert books.month.spent_nusd == reply.completion.cost_nusd == lost.cost_nusd + won.cost_nusd
    assert lost.cost_nusd > 0
    assert books.open_reservations == 0
    guarded.assert_idle()


async def test_a_slow_stream_is_overtaken_before_its_first_piece(
    guarded: Lab, start_provider: StartProvider
) -> None:
    slow, quick = start_provider(Reply(delay_s=3.0)), start_provider(Reply(text="First!"))
    offers = guarded.paid(slow, "slow"), guarded.paid(quick, "quick", rank=1)
    router = guarded.router(*offers)
    for offer in offers:
        teach(router, offer)
    earn(router)
    text = ""
    async for piece in router.stream(ask(max_tokens=50), deadline_s=time.time() + 5):
        text += piece.text
    assert text == "First!"
    assert await slow.until_idle()
    guarded.assert_idle()


async def test_of_400_calls_at_most_one_in_twenty_is_hedged(
    guarded: Lab, start_provider: StartProvider
) -> None:
    slow, second = start_provider(Reply(delay_s=0.05)), start_provider(Reply(delay_s=0.05))
    offers = guarded.paid(slow, "slow"), guarded.paid(second, "second", rank=1)
    router = guarded.router(*offers)

    async def caller(count: int) -> None:
        for _ in range(count):
            for offer in offers:  # everything is much slower than it was: the worst time for hedges
                teach(router, offer, 0.002)
            assert (await complete(router, ask(max_tokens=50))).completion is not None

    await asyncio.gather(*(caller(25) for _ in range(16)))
    extra = slow.calls + second.calls - 400
    assert 0 < extra <= 20


async def test_there_is_no_hedge_without_money_for_it(lab: Lab, start_provider: StartProvider) -> None:
    slow, quick = start_provider(Reply(text="Slowly.", delay_s=0.3)), start_provider()
    dear = lab.paid(slow, "slow"), lab.paid(quick, "quick", rank=1)
    router = lab.router(*dear)
    request = ask(max_tokens=100)
    await lab.guard(Limits(month_nusd=PRICE.cost_nusd(150, 100), stop_percent=100))
    for offer in dear:
        teach(router, offer)
    earn(router)
    reply = await complete(router, request)
    assert reply.completion is not None
    assert reply.completion.text == "Slowly."
    assert quick.calls == 0
    assert reply.explanation is not None
    assert [one.outcome for one in reply.explanation.attempts] == ["answered", "no_money"]


async def test_a_hedge_without_money_does_not_make_a_failed_call_look_like_an_empty_purse(
    lab: Lab, start_provider: StartProvider
) -> None:
    slow, quick = start_provider(Reply(status=400, error="no", delay_s=0.2)), start_provider()
    offers = lab.paid(slow, "slow"), lab.paid(quick, "quick", rank=1)
    router = lab.router(*offers)
    await lab.guard(Limits(month_nusd=PRICE.cost_nusd(150, 100), stop_percent=100))
    for offer in offers:
        teach(router, offer)
    earn(router)
    reply = await complete(router, ask(max_tokens=100))
    assert reply.refusal is not None
    assert reply.refusal.kind is RefusalKind.BAD_REQUEST


async def test_a_model_that_keeps_losing_to_its_hedge_is_known_to_be_slow(
    guarded: Lab, start_provider: StartProvider
) -> None:
    slow, quick = start_provider(Reply(delay_s=3.0)), start_provider()
    offers = guarded.paid(slow, "slow"), guarded.paid(quick, "quick", rank=1)
    router = guarded.router(*offers)
    for offer in offers:
        teach(router, offer)
    before_s = router.learned.model(offers[0]).latency.quantile(0.99, time.time())
    earn(router)
    await complete(router, ask(max_tokens=50))
    assert router.learned.model(offers[0]).latency.quantile(0.99, time.time()) > 1.2 * before_s


async def test_a_call_is_rescued_from_a_hanging_provider_while_there_is_time(
    guarded: Lab, start_provider: StartProvider
) -> None:
    hanging, other = start_provider(Reply(hangs=True)), start_provider(Reply(text="Saved.", delay_s=0.02))
    offers = guarded.paid(hanging, "hanging"), guarded.paid(other, "other", rank=1)
    router = guarded.router(*offers, hedge_ratio_max=0.0)
    for is_stream in (False, True):
        started_s = time.monotonic()
        pieces = router._pieces(ask(max_tokens=50), time.time() + 1.5, "", is_stream=is_stream)
        replies = [piece.reply async for piece in pieces if piece.reply is not None]
        assert time.monotonic() - started_s < 1.5
        completion = replies[0].completion
        assert completion is not None, replies[0].refusal
        assert (completion.provider, completion.text) == ("other", "Saved.")
    assert await hanging.until_idle()
    guarded.assert_idle()


async def test_a_provider_that_hangs_under_load_costs_no_answer_and_is_soon_left_alone(
    guarded: Lab, start_provider: StartProvider
) -> None:
    hanging, other = start_provider(Reply(delay_s=0.01)), start_provider(Reply(delay_s=0.02))
    offers = guarded.paid(hanging, "hanging"), guarded.paid(other, "other", rank=1)
    router = guarded.router(*offers, hedge_ratio_max=0.0)
    for offer in offers:
        teach(router, offer)

    async def caller(number: int) -> str:
        await asyncio.sleep(number * 0.01)
        reply = await complete(router, ask(f"question {number}", max_tokens=20), within_s=2.0)
        assert reply.completion is not None, reply.refusal
        return reply.completion.provider

    calls = [asyncio.create_task(caller(number)) for number in range(150)]
    await asyncio.sleep(0.3)
    hanging.behaviour = Reply(hangs=True)
    answered_by = await asyncio.gather(*calls)
    assert answered_by[-1] == "other"
    late = [await complete(router, ask(f"later {number}"), within_s=1.0) for number in range(5)]
    assert all(reply.completion is not None for reply in late)
    guarded.assert_idle()
