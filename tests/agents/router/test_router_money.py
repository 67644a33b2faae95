"""Money: what providers bill never passes the stop, and hardly any of it is left unused."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from provider import Provider, Reply
from routerlab import PRICE, Lab, ask, complete

from agents.cost_guard.ledger import Limits
from bus import Bus
from schemas.llm import CompletionReply, RefusalKind

CALLS_AFFORDED = 20
PROMPT = "Case {:06d}. " + "Explain in a few sentences why a message queue needs backpressure. " * 6
ANSWER = "A queue without backpressure hides overload until memory is gone. " * 12

StartProvider = Callable[..., Provider]


def cost_of_one(input_factor: float) -> int:
    counted = -(-len(PROMPT.format(0)) // 4)
    return PRICE.cost_nusd(-int(-counted * input_factor // 1), -(-len(ANSWER) // 4))


async def all_at_once(
    lab: Lab, second_bus: Bus, provider: Provider, callers: int, **options: Any
) -> list[CompletionReply]:
    offer = lab.paid(provider)
    routers = [lab.router(offer), lab.router(offer, bus=second_bus)]
    return await asyncio.gather(
        *(
            complete(routers[number % 2], ask(PROMPT.format(number), **options), 10.0)
            for number in range(callers)
        )
    )


async def assert_money_is_kept(lab: Lab, provider: Provider, stop_nusd: int) -> None:
    books = await lab.books()
    billed = provider.billed_nusd(PRICE)
    assert billed <= books.month.spent_nusd <= stop_nusd
    assert billed >= 0.95 * stop_nusd, f"{billed / stop_nusd:.1%} used, {len(provider.billed)} answered"
    assert books.month.reserved_nusd == 0
    assert books.open_reservations == 0
    lab.assert_idle()


@pytest.mark.parametrize("input_factor", [1.0, 1.3, 2.0])
@pytest.mark.parametrize("max_tokens", [None, -(-len(ANSWER) // 4)])
async def test_200_callers_at_once_spend_the_money_for_20_calls_and_not_a_nano_more(
    lab: Lab,
    second_bus: Bus,
    start_provider: StartProvider,
    input_factor: float,
    max_tokens: int | None,
) -> None:
    provider = start_provider(Reply(text=ANSWER, delay_s=0.01), input_factor=input_factor)
    stop_nusd = CALLS_AFFORDED * cost_of_one(input_factor)
    await lab.guard(Limits(month_nusd=stop_nusd, stop_percent=100))
    replies = await all_at_once(lab, second_bus, provider, 200, max_tokens=max_tokens)
    assert {reply.refusal.kind for reply in replies if reply.refusal} == {RefusalKind.BUDGET}
    await assert_money_is_kept(lab, provider, stop_nusd)


async def test_1000_callers_at_once_spend_the_money_for_20_calls_and_not_a_nano_more(
    lab: Lab, second_bus: Bus, start_provider: StartProvider
) -> None:
    provider = start_provider(Reply(text=ANSWER, delay_s=0.01))
    stop_nusd = CALLS_AFFORDED * cost_of_one(1.0)
    await lab.guard(Limits(month_nusd=stop_nusd, stop_percent=100))
    replies = await all_at_once(lab, second_bus, provider, 1_000)
    assert {reply.refusal.kind for reply in replies if reply.refusal} == {RefusalKind.BUDGET}
    await assert_money_is_kept(lab, provider, stop_nusd)
