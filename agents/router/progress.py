"""What one completion has tried, and what follows for its next attempt.

Failures and answers that weren't good enough are noted here; nothing is awaited and no clock is read.
"""

from dataclasses import dataclass, field
from typing import Final

from agents.router.attempt import Attempt
from agents.router.checks import strip_thinking
from agents.router.failures import RULES
from agents.router.judging import Verdict
from agents.router.learned import ModelLearned
from agents.router.offers import Capability, Offer
from agents.router.parts import BudgetRefusedError
from agents.router.structured import OffSchemaError, complaint
from agents.router.tokens import bound_input, count_input
from agents.router.upstream import FailureKind, UpstreamAnswer, UpstreamError
from bus import BusError
from schemas.cost import Outcome
from schemas.llm import BudgetState, Message, RefusalKind

TRIES_A_MODEL: Final = 3
LOOKS_MAX: Final = 1_000
"""At a model that is being loaded, by one completion."""
PAUSE_S: Final = 0.05
"""Before a model that has just failed is asked again; doubled each time."""
GROWTH: Final = 4
"""An answer that was cut gets so many times the room."""
QUOTED_CHARS_MAX: Final = 20_000
WORDS_CHARS_MAX: Final = 200
DISPENSABLE: Final = frozenset(
    {Capability.JSON_SCHEMA, Capability.JSON_OBJECT, Capability.STREAM_USAGE, Capability.TEMPERATURE}
)
"""A model that lacks one of these can be asked in another form."""


@dataclass(frozen=True, slots=True)
class Repair:
    """What a model is told about its own answer, and how many tokens that is: about, and at most."""

    messages: tuple[Message, ...]
    counted_tokens: int
    bound_tokens: int


@dataclass(eq=False, slots=True)
class Progress:
    """Notes on the attempts of one completion.

    Attributes:
        excluded: models and providers that are not tried again, with the reason.
        tries: failed requests, by model.
        not_before_s: when a model that failed may be asked again, seconds since 1970.
        short_of_money: models whose money is only held by others: it pays to wait for it.
        budget: the limit that stood in the way last.
        repairs: by model, while it may still put its answer right.
        room_wanted: tokens for the next answer of a model whose last one was cut.
        context_min: only models with a larger context are left.
        loading: how often a model was found still being loaded.
    """

    excluded: dict[str, str] = field(default_factory=dict)
    tries: dict[str, int] = field(default_factory=dict)
    not_before_s: dict[str, float] = field(default_factory=dict)
    short_of_money: set[str] = field(default_factory=set)
    budget: BudgetState | None = None
    repairs: dict[str, Repair] = field(default_factory=dict)
    room_wanted: dict[str, int] = field(default_factory=dict)
    context_min: int = 0
    loading: dict[str, int] = field(default_factory=dict)
    off_schema: str = ""
    last_failure: str = ""
    has_no_guard: bool = False
    notes: list[str] = field(default_factory=list)

    def reason_against(self, offer: Offer) -> str:
        """Why this call must not go there again; empty when it may."""
        reason = self.excluded.get(offer.name) or self.excluded.get(offer.provider)
        if reason:
            return reason
        if offer.context_tokens <= self.context_min:
            return f"its context of {offer.context_tokens:,} tokens is too small: a larger one was"
        return ""

    def failed(
        self, attempt: Attempt, error: BaseException, learned: ModelLearned, now_s: float
    ) -> RefusalKind | None:
        """Note a failure; the kind of refusal when nothing else may be tried.

        Raises:
            BaseException: `error` itself, when it is none that requests fail with.
        """
        name = attempt.choice.offer.name
        match error:
            case BudgetRefusedError(budget=budget):
                self._refused_money(attempt, budget)
            case UpstreamError(kind=FailureKind.UNSUPPORTED, feature=feature):
                self._lacks(attempt, error, feature, learned)
            case UpstreamError():
                return self._failed_upstream(attempt, error, now_s)
            case BusError():
                self.has_no_guard = True
                self.excluded[name] = "no cost guard answers"
            case _:
                raise error
        return None

    def _refused_money(self, attempt: Attempt, budget: BudgetState) -> None:
        name = attempt.choice.offer.name
        if attempt.is_hedge:
            return  # it was an extra; the call itself isn't short of money
        self.budget = budget
        if budget.stop_nusd - budget.spent_nusd < attempt.choice.min_nusd or attempt.waits_for_money:
            self.excluded[name] = f"no money: {budget.limit}"
        self.short_of_money.add(name)

    def _lacks(self, attempt: Attempt, error: UpstreamError, feature: str, learned: ModelLearned) -> None:
        """Learn what a model lacks; it is asked in another form if there is one."""
        name = attempt.choice.offer.name
        self.last_failure = str(error)
        known = feature in Capability.__members__.values()
        if known:
            learned.can[Capability(feature)] = False
        self.tries[name] = self.tries.get(name, 0) + 1
        if known and Capability(feature) in DISPENSABLE and self.tries[name] <= len(DISPENSABLE):
            self.notes.append(f"{name} does not support {feature}: asked in another form")
        else:
            self.excluded[name] = f"does not support {feature or 'something in this request'}"

    def _failed_upstream(self, attempt: Attempt, error: UpstreamError, now_s: float) -> RefusalKind | None:
        offer, rule = attempt.choice.offer, RULES[error.kind]
        name = offer.name
        self.last_failure = str(error)
        if name in self.short_of_money:  # it got its money after all
            self.short_of_money.discard(name)
            self.budget = None
        if error.kind is FailureKind.LOADING:
            self._is_loading(name)
            return None
        self.tries[name] = tries = self.tries.get(name, 0) + 1
        if not rule.try_elsewhere:
            is_refused = error.kind is FailureKind.CONTENT_REFUSED
            return RefusalKind.REFUSED if is_refused else RefusalKind.BAD_REQUEST
        if error.kind is FailureKind.CONTEXT_TOO_LONG:
            self.context_min = max(self.context_min, offer.context_tokens)
        if rule.drops == "provider":
            self.excluded[offer.provider] = error.kind.value
        elif rule.drops == "model" or not rule.try_again_here or tries >= TRIES_A_MODEL:
            self.excluded[name] = error.kind.value
        else:
            self.not_before_s[name] = now_s + PAUSE_S * 2.0 ** (tries - 1)
        return None

    def _is_loading(self, name: str) -> None:
        """Its breaker says when to look again; that costs nothing, so it doesn't count as a try."""
        self.loading[name] = looks = self.loading.get(name, 0) + 1
        if looks == 1:
            self.notes.append(f"{name} is being loaded: waited for, while there was time and no other model")
        if looks >= LOOKS_MAX:
            self.excluded[name] = FailureKind.LOADING.value

    def rejected(self, attempt: Attempt, answer: UpstreamAnswer, verdict: Verdict) -> RefusalKind | None:
        """Note an answer that the caller doesn't get; the kind of refusal when nothing else may be tried."""
        name = attempt.choice.offer.name
        self.last_failure = f"{name}: the answer is {verdict.outcome.replace('_', ' ')}"
        if verdict.off_schema is not None:
            self.off_schema = str(verdict.off_schema)
        if verdict.outcome is Outcome.REFUSED:
            words = " ".join((answer.refusal or strip_thinking(answer.text)).split())[:WORDS_CHARS_MAX]
            self.last_failure = f"{name} declined: {words or 'its content filter'}"
            return RefusalKind.REFUSED
        self.tries[name] = self.tries.get(name, 0) + 1
        may_grow = attempt.shared.facts.request.max_tokens is None
        if verdict.outcome is Outcome.TRUNCATED and may_grow and name not in self.room_wanted:
            self.room_wanted[name] = attempt.max_tokens * GROWTH
        elif verdict.off_schema is not None and name not in self.repairs:
            self.repairs[name] = _repair(answer, verdict.off_schema)
        else:
            self.excluded[name] = verdict.outcome.replace("_", " ")
        return None

    def gets_second_try(self, name: str) -> bool:
        """Whether the model's last answer can be put right by itself: that goes before other models."""
        return name not in self.excluded and (name in self.repairs or name in self.room_wanted)


def _repair(answer: UpstreamAnswer, error: OffSchemaError) -> Repair:
    said = strip_thinking(answer.text)[:QUOTED_CHARS_MAX] or "(nothing)"
    messages = (
        Message(role="assistant", content=said),
        Message(role="user", content=complaint(error)),
    )
    return Repair(messages, count_input(messages), bound_input(messages))
