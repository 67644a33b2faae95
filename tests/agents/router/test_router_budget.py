"""Limits on money: of the month, of a tenant, of a task, of one call; and what is said when one is reached."""

import asyncio
import time
from collections.abc import Callable

from provider import Provider, Reply
from routerlab import PATIENT, PRICE, Lab, ask, complete

from agents.cost_guard.ledger import Limits
from agents.router.decide import Policy
from bus.budget import Budget
from schemas.llm import RefusalKind, Source

StartProvider = Callable[..., Provider]
DOLLAR = 10**9
ANSWER = "word " * 80  # 100 tokens: 60,000 nano-USD


async def test_a_spent_month_is_refused_with_limit_spent_reserved_stop_and_reset(
    lab: Lab, start_provider: StartProvider
) -> None:
    await lab.guard(Limits(month_nusd=100_000, stop_percent=90))
    provider = start_provider(Reply(text=ANSWER))
    router = lab.router(lab.paid(provider))
    assert (await complete(router, ask(max_tokens=120))).completion is not None
    for _ in range(2):  # the second time without asking the guard
        refusal = (await complete(router, ask(max_tokens=120))).refusal
        assert refusal is not None
        assert refusal.kind is RefusalKind.BUDGET
        assert refusal.budget is not None
        assert refusal.budget.limit.startswith("month ")
        assert refusal.budget.limit_nusd == 100_000
        assert refusal.budget.stop_nusd == 90_000
        assert refusal.budget.spent_nusd == provider.billed_nusd(PRICE)
        assert refusal.budget.resets_at.endswith("-01T00:00:00Z")
        for part in ("month 20", "$0.00006", "of $0.0001", "stops at $0.00009", "resets at"):
            assert part in refusal.message
    assert provider.calls == 1


async def test_a_small_call_still_goes_after_a_large_one_found_too_little_money(
    lab: Lab, start_provider: StartProvider
) -> None:
    await lab.guard(Limits(month_nusd=200_000, stop_percent=100))
    router = lab.router(lab.paid(start_provider()))
    large = await complete(router, ask("word " * 5_000))
    assert large.refusal is not None
    assert large.refusal.kind is RefusalKind.BUDGET
    assert (await complete(router, ask(max_tokens=20))).completion is not None


async def test_a_spent_month_leaves_local_models(lab: Lab, start_provider: StartProvider) -> None:
    await lab.guard(Limits(month_nusd=10, stop_percent=90))
    local = start_provider(Reply(text="From here."))
    offers = lab.paid(start_provider()), lab.local(local)
    router = lab.router(*offers, policy=Policy(target_s=0.1))
    for _ in range(30):  # the local one is known to be slow: the paid one is preferred
        router.learned.model(offers[1]).answered(1.0, 0.0, 100, time.time())
    reply = await complete(router, ask())
    assert reply.completion is not None
    assert reply.completion.is_local
    assert reply.completion.fallback
    assert reply.completion.cost_nusd == 0


async def test_a_spent_month_stops_local_models_too_where_the_operator_wants_that(
    lab: Lab, start_provider: StartProvider
) -> None:
    await lab.guard(Limits(month_nusd=10, stop_percent=90))
    local = start_provider()
    offers = lab.paid(start_provider()), lab.local(local)
    router = lab.router(*offers, policy=Policy(target_s=0.1, local_when_stopped=False))
    for _ in range(30):
        router.learned.model(offers[1]).answered(1.0, 0.0, 100, time.time())
    for _ in range(2):
        reply = await complete(router, ask())
        assert reply.refusal is not None
        assert reply.refusal.kind is RefusalKind.BUDGET
    assert local.calls == 0


async def test_a_call_never_costs_more_than_it_may(guarded: Lab, start_provider: StartProvider) -> None:
    provider = start_provider(Reply(text="word " * 4_000))
    router = guarded.router(guarded.paid(provider))
    reply = await complete(router, ask(max_cost_nusd=200_000))
    assert reply.completion is not None
    assert reply.completion.finish_reason == "length"
    assert 100_000 < reply.completion.cost_nusd <= 200_000
    refused = await complete(router, ask(max_cost_nusd=1_000))
    assert refused.refusal is not None
    assert refused.refusal.kind is RefusalKind.BUDGET
    assert refused.refusal.budget is not None
    assert refused.refusal.budget.limit == "call"
    assert "over the limit of $0.000001" in refused.refusal.message


async def test_all_attempts_of_a_call_together_cost_no_more_than_it_may(
    guarded: Lab, start_provider: StartProvider
) -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    provider = start_provider(Reply(text="nonsense " * 100))
    router = guarded.router(*(guarded.paid(provider, f"p{n}") for n in range(6)))
    reply = await complete(router, ask(schema=schema, max_cost_nusd=700_000))
    assert reply.refusal is not None
    assert 0 < provider.billed_nusd(PRICE) <= 700_000
    assert provider.calls < 12
    assert reply.refusal.cost_nusd == provider.billed_nusd(PRICE)


async def test_a_task_has_a_limit_of_its_own(lab: Lab, start_provider: StartProvider) -> None:
    await lab.guard(Limits(month_nusd=DOLLAR, task_nusd=100_000))
    router = lab.router(lab.paid(start_provider(Reply(text=ANSWER))))
    assert (await complete(router, ask(max_tokens=120), task_id="t1")).completion is not None
    refused = await complete(router, ask(max_tokens=120), task_id="t1")
    assert refused.refusal is not None
    assert refused.refusal.budget is not None
    assert refused.refusal.budget.limit == "task t1"
    assert (await complete(router, ask(max_tokens=120), task_id="t2")).completion is not None


async def test_one_tenant_waiting_for_its_money_does_not_hold_up_another(
    lab: Lab, start_provider: StartProvider
) -> None:
    await lab.guard(Limits(month_nusd=DOLLAR, tenants={"poor": 120_000}, stop_percent=100))

    def slow_for_the_poor(body: dict[str, object], number: int) -> Reply:
        return Reply(text=ANSWER, delay_s=0.6 if "poor" in str(body) else 0.0)

    provider = start_provider(slow_for_the_poor)
    router = lab.router(lab.paid(provider))
    poor = [
        asyncio.create_task(complete(router, ask(f"poor {n}", tenant="poor", max_tokens=120), 5.0))
        for n in range(40)
    ]
    await asyncio.sleep(0.1)
    started_s = time.monotonic()
    rich = await complete(router, ask("rich", tenant="rich"), 5.0)
    assert rich.completion is not None
    assert time.monotonic() - started_s < 0.4
    for task in poor:
        task.cancel()
    await asyncio.gather(*poor, return_exceptions=True)
    assert (await lab.books()).open_reservations == 0
    lab.assert_idle()


async def test_an_over_estimated_reservation_comes_back(guarded: Lab, start_provider: StartProvider) -> None:
    provider = start_provider(Reply(text="Yes."))
    router = guarded.router(guarded.paid(provider))
    reply = await complete(router, ask(max_tokens=4_000))
    assert reply.explanation is not None
    assert reply.explanation.candidates[0].reserve_nusd > 2_000_000
    books = await guarded.books()
    assert books.month.spent_nusd == provider.billed_nusd(PRICE) < 10_000
    assert books.month.reserved_nusd == 0


async def test_without_a_cost_guard_paid_calls_are_refused_in_time_and_say_why(
    lab: Lab, start_provider: StartProvider
) -> None:
    provider = start_provider()
    router = lab.router(lab.paid(provider))
    started_s = time.monotonic()
    reply = await complete(router, ask(), 0.4)
    assert time.monotonic() - started_s < 0.45
    assert reply.refusal is not None
    assert reply.refusal.kind is RefusalKind.NO_MODEL
    assert "no cost guard answers" in reply.refusal.message
    assert "labverse up" in reply.refusal.message
    assert provider.calls == 0


async def test_without_a_cost_guard_local_models_answer(lab: Lab, start_provider: StartProvider) -> None:
    paid, local = start_provider(), start_provider(Reply(text="From here."))
    offers = lab.paid(paid), lab.local(local)
    router = lab.router(*offers, policy=PATIENT)
    free = await complete(router, ask())
    assert free.completion is not None
    assert free.completion.is_local

    slow = lab.router(*offers, policy=Policy(target_s=0.1))
    for _ in range(30):
        slow.learned.model(offers[1]).answered(1.0, 0.0, 100, time.time())
    durations = []
    for _ in range(3):  # the paid one is preferred, and can't be paid
        started_s = time.monotonic()
        reply = await complete(slow, ask())
        durations.append(time.monotonic() - started_s)
        assert reply.completion is not None
        assert reply.completion.source is Source.MODEL
        assert reply.completion.is_local
    assert durations[0] < 1.5
    assert max(durations[1:]) < 0.3
    assert paid.calls == 0


async def test_paid_calls_go_through_as_soon_as_a_cost_guard_is_there(
    lab: Lab, start_provider: StartProvider
) -> None:
    router = lab.router(lab.paid(start_provider()))
    waiting = asyncio.create_task(complete(router, ask(), 8.0))
    await asyncio.sleep(0.2)
    await lab.guard()
    assert (await waiting).completion is not None
    assert await Budget(lab.bus).state() is not None


async def test_who_finds_the_money_merely_held_waits_for_it(lab: Lab, start_provider: StartProvider) -> None:
    await lab.guard(Limits(month_nusd=100_000, stop_percent=100))
    provider = start_provider([Reply(delay_s=0.3), Reply(text="After all.")])
    router = lab.router(lab.paid(provider))
    holder = asyncio.create_task(complete(router, ask(max_tokens=120)))
    await asyncio.sleep(0.05)
    waiting = await complete(router, ask(max_tokens=120))
    assert waiting.completion is not None
    assert waiting.completion.text == "After all."
    assert (await holder).completion is not None


async def test_who_waits_for_held_money_in_vain_is_told_so(lab: Lab, start_provider: StartProvider) -> None:
    await lab.guard(Limits(month_nusd=100_000, stop_percent=100))
    router = lab.router(lab.paid(start_provider(Reply(delay_s=0.6))))
    holder = asyncio.create_task(complete(router, ask(max_tokens=120)))
    await asyncio.sleep(0.05)
    started_s = time.monotonic()
    in_vain = await complete(router, ask(max_tokens=120), 0.3)
    assert time.monotonic() - started_s < 0.35
    assert in_vain.refusal is not None
    assert in_vain.refusal.kind is RefusalKind.BUDGET
    assert in_vain.refusal.budget is not None
    assert in_vain.refusal.budget.reserved_nusd > 50_000
    assert (await holder).completion is not None
