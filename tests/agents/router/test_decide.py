"""Decisions keep their order and their limits, whatever models, histories and requests there are."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from agents.router.breaker import BreakerState
from agents.router.decide import Decision, Dropped, Facts, Policy, View, decide, usd
from agents.router.learned import Learned, ModelLearned
from agents.router.offers import FREE, RANK_UNLISTED, Capability, Offer, Price, PriceTier
from schemas.llm import CompletionRequest, Message, Privacy, Purpose, Tier, Tool, Usage

NOW_S = 1_000_000.0


@st.composite
def views(draw: st.DrawFn) -> tuple[View, ...]:
    learned = Learned()
    out = []
    for number in range(draw(st.integers(0, 8))):
        is_local = draw(st.booleans())
        paid = Price(
            tiers=(
                PriceTier(input_nusd=draw(st.integers(1, 10**10)), output_nusd=draw(st.integers(0, 10**11))),
            ),
            per_request_nusd=draw(st.sampled_from([0, 1, 10**6])),
        )
        offer = Offer(
            provider=f"p{number % 4}",
            model=f"m{number}",
            tier=draw(st.sampled_from(Tier)),
            is_local=is_local,
            price=draw(st.sampled_from([None, FREE] if is_local else [None, paid, paid, paid])),
            context_tokens=draw(st.sampled_from([64, 2_048, 128_000])),
            output_tokens_max=draw(st.sampled_from([1, 100, 4_096])),
            can={Capability.TOOLS: draw(st.booleans())} if draw(st.booleans()) else {},
            rank=draw(st.sampled_from([0, 1, 2, RANK_UNLISTED])),
            has_key=draw(st.sampled_from([True, True, True, False])),
            key_variable="KEY",
        )
        model = learned.model(offer)
        teach(draw, model)
        is_open = draw(st.sampled_from([False, False, True]))
        out.append(
            View(
                offer=offer,
                learned=model,
                breakers=(BreakerState(open_until_s=NOW_S + 5, failures=3, reason="timeout"),)
                if is_open
                else (),
                is_full=draw(st.booleans()),
                room_wanted=draw(st.sampled_from([0, 0, 4_096])),
            )
        )
    return tuple(out)


def teach(draw: st.DrawFn, model: ModelLearned) -> None:
    latency_s = draw(st.sampled_from([0.05, 0.5, 3.0]))
    for _ in range(draw(st.sampled_from([0, 3, 40]))):
        model.answered(latency_s, 0.0, 100, NOW_S)
        model.billed(
            Purpose.DEFAULT, 20, Usage(input_tokens=30, output_tokens=100), was_cut=False, now_s=NOW_S
        )


REQUESTS = st.builds(
    CompletionRequest,
    messages=st.sampled_from(["hi", "word " * 100, "word " * 3_000]).map(
        lambda text: (Message(role="user", content=text),)
    ),
    max_cost_nusd=st.sampled_from([None, 0, 10_000, 10**9]),
    max_tokens=st.sampled_from([None, 1, 50, 100_000]),
    privacy=st.sampled_from(Privacy),
    tier=st.sampled_from(Tier),
    model=st.sampled_from(["", "", "", "p0/m0", "m1"]),
    tools=st.sampled_from([(), (Tool(name="find"),)]),
)
POLICIES = st.builds(
    Policy, target_s=st.sampled_from([0.1, 1.2]), call_limit_nusd=st.sampled_from([None, 1_000, 10**8])
)


def decided(request: CompletionRequest, all_views: tuple[View, ...], policy: Policy, **more: Any) -> Decision:
    return decide(Facts.of(request), all_views, policy, left_s=2.0, now_s=NOW_S, **more)


@given(REQUESTS, views(), POLICIES)
@settings(max_examples=100, deadline=None)
def test_the_first_choice_is_the_cheapest_of_those_in_time(
    request: CompletionRequest, all_views: tuple[View, ...], policy: Policy
) -> None:
    choices = [choice for choice in decided(request, all_views, policy).choices if not choice.is_full]
    in_time = [
        choice for choice in choices if choice.p_in_time is None or choice.p_in_time >= policy.probability
    ]
    if in_time:
        assert choices[0] in in_time
        assert choices[0].expected_nusd == min(choice.expected_nusd for choice in in_time)
        if any(choice.is_free for choice in in_time):
            assert choices[0].expected_nusd == 0
    elif choices:
        likeliest = max(choice.p_in_time or 0.0 for choice in choices)
        assert (choices[0].p_in_time or 0.0) >= likeliest - 0.01


@given(REQUESTS, views(), POLICIES)
@settings(max_examples=100, deadline=None)
def test_full_models_come_after_those_with_room(
    request: CompletionRequest, all_views: tuple[View, ...], policy: Policy
) -> None:
    full = [choice.is_full for choice in decided(request, all_views, policy).choices]
    assert full == sorted(full)


@given(REQUESTS, views(), POLICIES, st.sampled_from([0, 5_000]), st.sampled_from([None, 0, 50_000]))
@settings(max_examples=100, deadline=None)
def test_what_is_reserved_is_ordered_and_within_every_limit(
    request: CompletionRequest,
    all_views: tuple[View, ...],
    policy: Policy,
    spent_nusd: int,
    month_left_nusd: int | None,
) -> None:
    decision = decided(request, all_views, policy, spent_nusd=spent_nusd, month_left_nusd=month_left_nusd)
    limits = [limit for limit in (request.max_cost_nusd, policy.call_limit_nusd) if limit is not None]
    for choice in decision.choices:
        assert 1 <= choice.min_tokens <= choice.max_tokens <= choice.offer.output_tokens_max
        assert request.max_tokens is None or choice.max_tokens <= request.max_tokens
        assert choice.expected_tokens <= choice.max_tokens or not choice.is_free
        if choice.is_free:
            assert choice.want_nusd == choice.min_nusd == choice.expected_nusd == 0
            continue
        assert choice.offer.price is not None
        assert choice.want_nusd >= choice.min_nusd > 0
        assert choice.want_nusd == choice.offer.price.cost_nusd(choice.input_tokens, choice.max_tokens)
        assert not limits or choice.want_nusd <= min(limits) - spent_nusd
        assert month_left_nusd is None or choice.min_nusd <= month_left_nusd


@given(REQUESTS, views(), POLICIES)
@settings(max_examples=100, deadline=None)
def test_every_model_is_chosen_or_dropped_for_a_reason_that_holds(
    request: CompletionRequest, all_views: tuple[View, ...], policy: Policy
) -> None:
    decision = decided(request, all_views, policy)
    seen = [one.offer.name for one in (*decision.choices, *decision.dropped)]
    assert sorted(seen) == sorted(view.offer.name for view in all_views)
    by_name = {view.offer.name: view for view in all_views}
    for dropped in decision.dropped:
        assert holds(dropped, by_name[dropped.offer.name], request), dropped.reason
    for choice in decision.choices:
        offer = choice.offer
        assert offer.has_key
        assert offer.is_local or (offer.price is not None and request.privacy is Privacy.ANY)
        assert offer.tier >= request.tier
        assert not by_name[offer.name].breakers
        assert request.model in ("", offer.name, offer.model)
        assert not (request.tools and offer.can.get(Capability.TOOLS) is False)
        assert request.model or offer.rank < RANK_UNLISTED


def holds(dropped: Dropped, view: View, request: CompletionRequest) -> bool:
    offer = dropped.offer
    reasons = {
        "another model": request.model not in ("", offer.name, offer.model),
        "not listed": offer.rank >= RANK_UNLISTED and not request.model,
        "no key": not offer.has_key,
        "not local": request.privacy is Privacy.LOCAL_ONLY and not offer.is_local,
        "tier": offer.tier < request.tier,
        "can't call tools": bool(request.tools) and offer.can.get(Capability.TOOLS) is False,
        "its price is unknown": offer.price is None and not offer.is_local,
        "its context": Facts.of(request).counted_tokens * 2 > offer.context_tokens // 2,
        "breaker open": bool(view.breakers),
        "costs at least": dropped.obstacle == "call_limit",
    }
    return next(is_so for start, is_so in reasons.items() if dropped.reason.startswith(start))


def test_money_is_shown_to_the_last_nano_and_with_two_digits_at_least() -> None:
    assert [usd(nusd) for nusd in (0, 10**9, 1_500_000_000, 1)] == ["$0.00", "$1.00", "$1.50", "$0.000000001"]


def test_the_month_without_money_leaves_free_models_alone() -> None:
    learned = Learned()
    price = Price(tiers=(PriceTier(input_nusd=10**8, output_nusd=10**8),))
    offers = Offer(provider="p", model="m", price=price), Offer(provider="l", model="m", is_local=True)
    request = CompletionRequest(messages=(Message(role="user", content="hi"),))
    decision = decided(
        request,
        tuple(View(offer=offer, learned=learned.model(offer)) for offer in offers),
        Policy(),
        month_left_nusd=0,
    )
    assert [choice.offer.name for choice in decision.choices] == ["l/m"]
    assert [(one.offer.name, one.obstacle) for one in decision.dropped] == [("p/m", "month")]
