"""The decision: which model gets a call, in which order others follow, and why not the rest. Pure.

The cheapest model whose answer comes in time with the wanted probability; free local ones are the cheapest.
Models that are too slow by what is known follow, the likeliest first: a late answer is better than none.
"""

from dataclasses import dataclass, field
from typing import Final

from agents.router.breaker import BreakerState, is_open
from agents.router.learned import ModelLearned
from agents.router.offers import RANK_UNLISTED, Capability, Offer
from agents.router.tokens import bound_input, count_input
from schemas.llm import Candidate, CompletionRequest, ImagePart, Privacy

ANSWER_TOKENS_LEAST: Final = 16


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
    """What a request needs, counted once."""

    request: CompletionRequest
    counted_tokens: int
    bound_tokens: int
    has_images: bool

    @classmethod
    def of(cls, request: CompletionRequest) -> "Facts":
        has_images = any(
            isinstance(part, ImagePart)
            for message in request.messages
            if not isinstance(message.content, str)
            for part in message.content
        )
        return cls(
            request=request,
            counted_tokens=count_input(request.messages, request.tools, request.schema),
            bound_tokens=bound_input(request.messages, request.tools, request.schema),
            has_images=has_images,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """One offer as it stands: what was learned, whether its breakers are open, whether it has room."""

    offer: Offer
    learned: ModelLearned
    breakers: tuple[BreakerState, ...] = ()
    is_full: bool = False
    is_excluded: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A model that may be called, with the numbers for calling it.

    Attributes:
        input_tokens: to reserve for, corrected or bounded.
        max_tokens, min_tokens: limit on the answer; the least that makes sense when money is short.
        want_nusd, min_nusd: to reserve.
        expected_nusd: what it will probably cost.
        p_in_time: None when nothing is known.
    """

    offer: Offer
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """Choices, best first; and all candidates with reasons, for people."""

    choices: tuple[Choice, ...]
    candidates: tuple[Candidate, ...]


def decide(
    facts: Facts,
    views: tuple[View, ...],
    policy: Policy,
    *,
    left_s: float,
    now_s: float,
    is_stopped: bool = False,
) -> Decision:
    """Choose.

    Args:
        left_s: until the caller's deadline.
        now_s: seconds since 1970, as breakers use them.
        is_stopped: the month's money is spent: paid models are out.
    """
    choices: list[Choice] = []
    dropped: list[Candidate] = []
    within_s = min(left_s, policy.target_s)
    for view in views:
        outcome = _weigh(facts, view, policy, within_s=within_s, now_s=now_s, is_stopped=is_stopped)
        if isinstance(outcome, Choice):
            choices.append(outcome)
        else:
            dropped.append(Candidate(model=view.offer.name, is_local=view.offer.is_local, dropped=outcome))
    choices.sort(key=lambda choice: _order(choice, policy))
    return Decision(
        choices=tuple(choices),
        candidates=(*(_shown(choice, rank) for rank, choice in enumerate(choices, 1)), *dropped),
    )


def _order(choice: Choice, policy: Policy) -> tuple[object, ...]:
    # What nobody knows yet counts as in time: otherwise it would never be tried.
    p = policy.probability if choice.p_in_time is None else choice.p_in_time
    if p >= policy.probability:
        return (choice.is_full, 0, choice.expected_nusd, choice.offer.rank, choice.median_s)
    return (choice.is_full, 1, round(-p, 2), choice.expected_nusd, choice.offer.rank)


def _weigh(
    facts: Facts, view: View, policy: Policy, *, within_s: float, now_s: float, is_stopped: bool
) -> Choice | str:
    offer, learned, request = view.offer, view.learned, facts.request
    if reason := _unfit(facts, view, now_s=now_s):
        return reason
    if not offer.is_local and offer.price is None:
        return "its price is unknown: add one to the providers file"
    price = offer.price
    is_free = price is None or price.is_free
    if is_stopped and not is_free:
        return "the month's money is spent"
    tokens = learned.correction.corrected(facts.counted_tokens, facts.bound_tokens, now_s)
    room = offer.context_tokens - min(tokens, facts.counted_tokens * 2)
    if room < ANSWER_TOKENS_LEAST:
        return (
            f"its context of {offer.context_tokens:,} tokens is too small for about {facts.counted_tokens:,}"
        )
    max_tokens = request.max_tokens or learned.usual_max_tokens(request.purpose, now_s)
    max_tokens = max(1, min(max_tokens, offer.output_tokens_max, room))
    min_tokens = min(max_tokens, learned.least_max_tokens(request.purpose, now_s))
    want = least = expected = 0
    expected_tokens = learned.expected_output(request.purpose, max_tokens, now_s)
    if price is not None and not is_free:
        limits = [limit for limit in (request.max_cost_nusd, policy.call_limit_nusd) if limit is not None]
        least = price.cost_nusd(tokens, min_tokens)
        if limits and least > min(limits):
            return f"costs at least ${least / 1e9:.6f}, over the limit of ${min(limits) / 1e9:.6f}"
        if limits:
            max_tokens = min(max_tokens, price.output_tokens_for(min(limits), tokens))
        want = price.cost_nusd(tokens, max_tokens)
        factor = learned.correction.factor(now_s)
        likely = round(facts.counted_tokens * factor) if factor else facts.counted_tokens
        expected = price.cost_nusd(likely, expected_tokens)
    return Choice(
        offer=offer,
        input_tokens=tokens,
        max_tokens=max_tokens,
        min_tokens=min_tokens,
        want_nusd=want,
        min_nusd=least,
        expected_nusd=expected,
        expected_tokens=expected_tokens,
        p_in_time=learned.p_in_time(within_s, expected_tokens, now_s),
        median_s=learned.median_s(expected_tokens, now_s),
        is_full=view.is_full,
    )


def _unfit(facts: Facts, view: View, *, now_s: float) -> str:
    """Why this model can't take this request at all; empty when it can."""
    offer, request, can = view.offer, facts.request, view.learned.can
    if request.model and request.model not in (offer.name, offer.model):
        return "another model was asked for"
    if offer.rank >= RANK_UNLISTED and not request.model:
        return "not listed in the providers file: only called by name"
    if view.is_excluded:
        return view.is_excluded
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
    for breaker in view.breakers:
        if is_open(breaker, now_s):
            return f"breaker open for {breaker.open_until_s - now_s:.1f} s: {breaker.reason}"
    return ""


def _shown(choice: Choice, rank: int) -> Candidate:
    return Candidate(
        model=choice.offer.name,
        is_local=choice.offer.is_local,
        estimate_nusd=choice.expected_nusd,
        reserve_nusd=choice.want_nusd,
        p_in_time=-1.0 if choice.p_in_time is None else round(choice.p_in_time, 4),
        latency_p50_s=round(choice.median_s, 4),
        input_tokens=choice.input_tokens,
        max_tokens=choice.max_tokens,
        rank=rank,
    )
