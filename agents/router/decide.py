"""The decision: which model gets a call, in which order others follow, and why not the rest. Pure.

The cheapest model whose answer comes in time with the wanted probability; free local ones are the cheapest.
Models that are too slow by what is known follow, the likeliest first: a late answer is better than none.
"""

from dataclasses import dataclass, field
from typing import Final, Literal

from agents.router.breaker import BreakerState, is_open
from agents.router.learned import ModelLearned
from agents.router.offers import RANK_UNLISTED, Capability, Offer
from agents.router.structured import schema_prompt
from agents.router.tokens import bound_input, count_input
from schemas.llm import CompletionRequest, ImagePart, Message, Privacy

ANSWER_TOKENS_LEAST: Final = 16

Obstacle = Literal["", "call_limit", "month"]
"""What about money stands in the way of a model; empty when it is something else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The operator's choices.

    Attributes:
        target_s: an answer should come within so many seconds (`routing.max_latency_ms`).
        probability: how surely.
        temperatures: by purpose.
        call_limit_nusd: most that a task may cost, and so a call.
        local_when_stopped: whether local models go on answering when the month's money is spent.
    """

    target_s: float = 1.2
    probability: float = 0.9
    temperatures: dict[str, float] = field(
        default_factory=lambda: {"critical": 0.3, "default": 0.6, "creative": 0.9}
    )
    call_limit_nusd: int | None = None
    local_when_stopped: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a request needs, counted once.

    Attributes:
        messages: what is sent: those of the request, after what is said about its schema.
        counted_tokens, bound_tokens: of the input: about, and at most.
    """

    request: CompletionRequest
    messages: tuple[Message, ...]
    counted_tokens: int
    bound_tokens: int
    has_images: bool

    @classmethod
    def of(cls, request: CompletionRequest) -> "Facts":
        messages = request.messages
        if request.schema is not None:
            wanted = schema_prompt(request.schema, request.schema_name)
            messages = (Message(role="system", content=wanted), *messages)
        has_images = any(
            isinstance(part, ImagePart)
            for message in messages
            if not isinstance(message.content, str)
            for part in message.content
        )
        return cls(
            request=request,
            messages=messages,
            counted_tokens=count_input(messages, request.tools, request.schema),
            bound_tokens=bound_input(messages, request.tools, request.schema),
            has_images=has_images,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """One offer as it stands.

    Attributes:
        breakers: those that it depends on.
        is_full: no request more may go to its provider now.
        excluded: why this call must not go there; empty when it may.
        room_wanted: tokens for the answer, where one was cut before; 0 for what is usual.
        more_counted, more_bound: tokens of messages that go to this model alone, beside the facts'.
    """

    offer: Offer
    learned: ModelLearned
    breakers: tuple[BreakerState, ...] = ()
    is_full: bool = False
    excluded: str = ""
    room_wanted: int = 0
    more_counted: int = 0
    more_bound: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A model that may be called, with the numbers for calling it.

    Attributes:
        counted_tokens: of the input, before correction.
        input_tokens: to reserve for, corrected or bounded.
        max_tokens, min_tokens: limit on the answer; the least that makes sense when money is short.
        want_nusd, min_nusd: to reserve.
        expected_nusd: what it will probably cost.
        p_in_time: None when nothing is known.
        is_free: costs nothing, so nothing is reserved.
        is_guess: the request has images, and nobody knows whether it sees any: those known to come first.
    """

    offer: Offer
    counted_tokens: int
    input_tokens: int
    max_tokens: int
    min_tokens: int
    want_nusd: int
    min_nusd: int
    expected_nusd: int
    expected_tokens: int
    p_in_time: float | None
    median_s: float
    is_full: bool
    is_free: bool
    is_guess: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Dropped:
    """A model that can't be called, and why; `least_nusd` is what it would have cost at least, when money is why."""

    offer: Offer
    reason: str
    obstacle: Obstacle = ""
    least_nusd: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """Choices, best first, and the rest."""

    choices: tuple[Choice, ...]
    dropped: tuple[Dropped, ...]


def decide(
    facts: Facts,
    views: tuple[View, ...],
    policy: Policy,
    *,
    left_s: float,
    now_s: float,
    spent_nusd: int = 0,
    month_left_nusd: int | None = None,
) -> Decision:
    """Choose.

    Args:
        left_s: until the caller's deadline.
        now_s: seconds since 1970, as breakers use them.
        spent_nusd: what this call has cost already.
        month_left_nusd: the month's money that isn't spent, held or not; None when that isn't known.
    """
    limits = [limit for limit in (facts.request.max_cost_nusd, policy.call_limit_nusd) if limit is not None]
    limit_nusd = max(0, min(limits) - spent_nusd) if limits else None
    within_s = min(left_s, policy.target_s)
    choices: list[Choice] = []
    dropped: list[Dropped] = []
    for view in views:
        outcome: Choice | Dropped
        if reason := _unfit(facts, view, now_s=now_s):
            outcome = Dropped(offer=view.offer, reason=reason)
        else:
            outcome = _weigh(
                facts,
                view,
                limit_nusd=limit_nusd,
                month_left_nusd=month_left_nusd,
                within_s=within_s,
                now_s=now_s,
            )
        if isinstance(outcome, Choice):
            choices.append(outcome)
        else:
            dropped.append(outcome)
    if len(choices) > 1:
        choices.sort(key=lambda choice: _order(choice, policy.probability))
    return Decision(choices=tuple(choices), dropped=tuple(dropped))


def _order(choice: Choice, probability: float) -> tuple[object, ...]:
    # What nobody knows yet counts as in time: otherwise it would never be tried.
    p = probability if choice.p_in_time is None else choice.p_in_time
    if p >= probability:
        return (choice.is_guess, choice.is_full, 0, choice.expected_nusd, choice.offer.rank, choice.median_s)
    return (choice.is_guess, choice.is_full, 1, round(-p, 2), choice.expected_nusd, choice.offer.rank)


def _weigh(
    facts: Facts,
    view: View,
    *,
    limit_nusd: int | None,
    month_left_nusd: int | None,
    within_s: float,
    now_s: float,
) -> Choice | Dropped:
    offer, learned, request, price = view.offer, view.learned, facts.request, view.offer.price
    counted, bound = facts.counted_tokens + view.more_counted, facts.bound_tokens + view.more_bound
    factor = learned.correction.factor(now_s, counted)
    tokens = learned.correction.corrected_by(factor, counted, bound)
    room = offer.context_tokens - min(tokens, counted * 2)
    if room < ANSWER_TOKENS_LEAST:
        reason = f"its context of {offer.context_tokens:,} tokens is too small for about {counted:,}"
        return Dropped(offer=offer, reason=reason)
    lengths = learned.lengths_of(request.purpose, now_s)
    max_tokens = request.max_tokens or max(lengths.usual_max, view.room_wanted)
    max_tokens = max(1, min(max_tokens, offer.output_tokens_max, room))
    min_tokens = min(max_tokens, lengths.least_max)
    expected_tokens = min(max_tokens, lengths.expected)
    want = least = expected = 0
    is_free = price is None or price.is_free
    if price is not None and not is_free:
        least = price.cost_nusd(tokens, min_tokens)
        if limit_nusd is not None and least > limit_nusd:
            reason = f"costs at least {usd(least)}, over the limit of {usd(limit_nusd)}"
            return Dropped(offer=offer, reason=reason, obstacle="call_limit", least_nusd=least)
        if month_left_nusd is not None and least > month_left_nusd:
            return Dropped(
                offer=offer, reason="the month's money is spent", obstacle="month", least_nusd=least
            )
        if limit_nusd is not None:
            max_tokens = min(max_tokens, price.output_tokens_for(limit_nusd, tokens))
        want = price.cost_nusd(tokens, max_tokens)
        likely = round(counted * factor) if factor else counted
        expected = price.cost_nusd(likely, min(max_tokens, expected_tokens))
    p_in_time, median_s = learned.timing(within_s, expected_tokens, now_s)
    return Choice(
        offer=offer,
        counted_tokens=counted,
        input_tokens=tokens,
        max_tokens=max_tokens,
        min_tokens=min_tokens,
        want_nusd=want,
        min_nusd=least,
        expected_nusd=expected,
        expected_tokens=expected_tokens,
        p_in_time=p_in_time,
        median_s=median_s,
        is_full=view.is_full,
        is_free=is_free,
        is_guess=facts.has_images and learned.can.get(Capability.VISION) is not True,
    )


def _unfit(facts: Facts, view: View, *, now_s: float) -> str:
    """Why this model can't take this request at all; empty when it can."""
    offer, request, can = view.offer, facts.request, view.learned.can
    if request.model and request.model not in (offer.name, offer.model):
        return "another model was asked for"
    if offer.rank >= RANK_UNLISTED and not request.model:
        return "not listed in the providers file: only called by name"
    if view.excluded:
        return view.excluded
    if not offer.has_key:
        return f"no key: set {offer.key_variable}"
    if request.privacy is Privacy.LOCAL_ONLY and not offer.is_local:
        return "not local"
    if offer.tier < request.tier:
        return f"tier {offer.tier.name.lower()}, {request.tier.name.lower()} is asked for"
    if facts.has_images and can.get(Capability.VISION) is False:
        return "can't see images"
    if request.tools and can.get(Capability.TOOLS) is False:
        return "can't call tools"
    if offer.price is None and not offer.is_local:
        return "its price is unknown: add one to the providers file"
    for breaker in view.breakers:
        if is_open(breaker, now_s):
            return f"breaker open for {breaker.open_until_s - now_s:.1f} s: {breaker.reason}"
    return ""


def usd(nusd: int) -> str:
    """Money for people: dollars with at least two digits behind the point."""
    text = f"{nusd / 1e9:.9f}".rstrip("0")
    return "$" + text + "0" * max(0, 2 - len(text.split(".")[1]))
