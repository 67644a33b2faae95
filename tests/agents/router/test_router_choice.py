"""Which models a call may reach at all, and what is said when there is none; all decisions can be looked at."""

import time
from collections.abc import Callable

import pytest
from provider import Provider, Reply
from routerlab import PRICE, Lab, ask, complete

from agents.router.offers import RANK_UNLISTED, Capability
from schemas.llm import ImagePart, Message, Privacy, RefusalKind, TextPart, Tier

StartProvider = Callable[..., Provider]


@pytest.mark.parametrize(
    "bad",
    [
        Reply(),
        Reply(status=500, error="down"),
        Reply(hangs=True),
        Reply(resets=True),
        Reply(text=""),
        Reply(status=400, code="context_length_exceeded", error="maximum context length is 10"),
        Reply(status=429, error="Rate limit reached"),
        Reply(text="not JSON"),
    ],
    ids=["fine", "500", "hangs", "resets", "empty", "too long", "429", "off schema"],
)
async def test_a_local_only_prompt_never_reaches_a_cloud_provider(
    guarded: Lab, start_provider: StartProvider, bad: Reply
) -> None:
    cloud, local = start_provider(Reply(text='{"n": 1}')), start_provider(bad)
    router = guarded.router(
        guarded.paid(cloud, context_tokens=1_000_000),
        guarded.local(local),
        guarded.paid(cloud, "b", price=None),
    )
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    for _ in range(3):
        await complete(router, ask(privacy=Privacy.LOCAL_ONLY, schema=schema), 0.25)
    pieces = router.stream(ask(privacy=Privacy.LOCAL_ONLY), deadline_s=time.time() + 0.25)
    assert [piece async for piece in pieces]
    assert local.calls > 0
    assert cloud.connections == 0


async def test_a_local_model_down_and_privacy_is_a_refusal_that_says_both(
    guarded: Lab, start_provider: StartProvider
) -> None:
    cloud = start_provider()
    router = guarded.router(guarded.paid(cloud), guarded.local("http://127.0.0.1:9/v1"))
    reply = await complete(router, ask(privacy=Privacy.LOCAL_ONLY), 1.0)
    assert reply.refusal is not None
    assert "local/m" in reply.refusal.message
    assert reply.explanation is not None
    assert {one.model: one.dropped for one in reply.explanation.candidates}["paid/m"] == "not local"
    assert cloud.calls == 0


async def test_a_model_of_too_low_a_tier_is_not_asked(guarded: Lab, start_provider: StartProvider) -> None:
    small, large = start_provider(), start_provider()
    router = guarded.router(guarded.local(small), guarded.paid(large, "large", model="big", tier=Tier.LARGE))
    reply = await complete(router, ask(tier=Tier.LARGE))
    assert reply.completion is not None
    assert reply.completion.model == "large/big"
    assert reply.explanation is not None
    assert reply.explanation.candidates[1].dropped == "tier small, large is asked for"
    assert small.calls == 0


async def test_a_model_that_is_named_is_asked_alone(guarded: Lab, start_provider: StartProvider) -> None:
    named, other = start_provider(Reply(status=500, error="down")), start_provider()
    router = guarded.router(guarded.paid(named, "named", rank=RANK_UNLISTED), guarded.paid(other, "other"))
    reply = await complete(router, ask(model="named/m"), 1.0)
    assert reply.refusal is not None
    assert reply.refusal.kind is RefusalKind.UPSTREAM
    assert other.calls == 0
    assert (await complete(router, ask())).completion is not None
    calls = named.calls
    assert calls == 3


async def test_a_model_of_unknown_price_is_not_taken_for_free(
    guarded: Lab, start_provider: StartProvider
) -> None:
    provider = start_provider()
    reply = await complete(guarded.router(guarded.paid(provider, price=None)), ask())
    assert reply.refusal is not None
    assert reply.refusal.kind is RefusalKind.NO_MODEL
    assert "paid/m: its price is unknown" in reply.refusal.message
    assert provider.calls == 0


async def test_a_missing_key_is_named_by_its_variable(guarded: Lab, start_provider: StartProvider) -> None:
    provider = start_provider()
    offer = guarded.paid(provider, has_key=False, key_variable="DASHSCOPE_API_KEY")
    reply = await complete(guarded.router(offer), ask())
    assert reply.refusal is not None
    assert "set DASHSCOPE_API_KEY" in reply.refusal.message


async def test_no_model_at_all_is_told_with_what_to_do(guarded: Lab) -> None:
    reply = await complete(guarded.router(), ask())
    assert reply.refusal is not None
    assert reply.refusal.kind is RefusalKind.NO_MODEL
    assert "labverse up --local-model" in reply.refusal.message


async def test_free_models_come_before_paid_ones(guarded: Lab, start_provider: StartProvider) -> None:
    paid, local = start_provider(), start_provider()
    reply = await complete(guarded.router(guarded.paid(paid), guarded.local(local, rank=9)), ask())
    assert reply.completion is not None
    assert reply.completion.is_local
    assert paid.calls == 0


async def test_the_explanation_tells_candidates_estimates_and_what_happened(
    guarded: Lab, start_provider: StartProvider
) -> None:
    down, up = start_provider(Reply(status=500, error="it is down")), start_provider()
    router = guarded.router(
        guarded.paid(down, "down"),
        guarded.paid(up, "up", rank=1),
        guarded.paid(up, "keyless", has_key=False, key_variable="SOME_KEY"),
    )
    reply = await complete(router, ask())
    explained = reply.explanation
    assert reply.completion is not None
    assert explained is not None
    first, second, keyless = explained.candidates
    assert (first.model, first.rank, second.model, second.rank) == ("down/m", 1, "up/m", 2)
    assert first.p_in_time == -1.0
    assert first.reserve_nusd >= first.estimate_nusd > 0
    assert first.reserve_nusd == PRICE.cost_nusd(first.input_tokens, first.max_tokens)
    assert keyless.dropped == "no key: set SOME_KEY"
    failed, answered = explained.attempts
    assert (failed.model, failed.outcome) == ("down/m", "failed")
    assert "it is down" in failed.detail
    assert (answered.model, answered.outcome) == ("up/m", "answered")
    assert answered.cost_nusd == reply.completion.cost_nusd
    assert 0 < explained.decision_s < 0.05
    assert 4 < explained.deadline_left_s < 5


async def test_no_explanation_is_made_for_who_wants_none(guarded: Lab, start_provider: StartProvider) -> None:
    reply = await complete(guarded.router(guarded.paid(start_provider())), ask(explain=False))
    assert reply.completion is not None
    assert reply.explanation is None


IMAGE = ImagePart(url="data:image/png;base64,iVBORw0KGgo=")


async def test_images_go_to_a_model_known_to_see_though_it_is_dearer(
    guarded: Lab, start_provider: StartProvider
) -> None:
    unknown, seeing = start_provider(Reply(text="A guess.")), start_provider(Reply(text="A cat."))
    router = guarded.router(
        guarded.local(unknown), guarded.paid(seeing, "sees", can={Capability.VISION: True})
    )
    look = (Message(role="user", content=(TextPart(text="What is this?"), IMAGE)),)
    reply = await complete(router, ask(messages=look))
    assert reply.completion is not None, reply.refusal
    assert reply.completion.model == "sees/m"
    assert unknown.calls == 0
    assert reply.explanation is not None
    assert not reply.explanation.notes
    without = await complete(router, ask())
    assert without.completion is not None
    assert without.completion.model == "local/m"


async def test_images_that_were_shown_on_a_guess_are_told(
    guarded: Lab, start_provider: StartProvider
) -> None:
    router = guarded.router(guarded.local(start_provider()))
    look = (Message(role="user", content=(TextPart(text="What is this?"), IMAGE)),)
    reply = await complete(router, ask(messages=look))
    assert reply.completion is not None, reply.refusal
    assert reply.explanation is not None
    assert reply.explanation.notes == ("local/m was shown images, and whether it sees any is unknown",)
