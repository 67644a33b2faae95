"""What advice is drawn from: call records added up by purpose, agent and model, in bounded memory. Pure."""

from datetime import datetime
from typing import Final, TypeVar

import msgspec

from agents.cost_guard.report import CAME_WHOLE, FAILURES, Histogram, Tally, model_name
from schemas.cost import CallRecord, Outcome

KEYS_MAX: Final = 1_000
"""More pairs of purpose and agent (or model) than these are not looked at one by one."""
REPEAT_INPUT_TOKENS_MIN: Final = 200
"""Shorter inputs have the same length by chance."""
REPEATS_KEPT_MAX: Final = 20_000
REPEAT_WITHIN_S: Final = 3_600.0
"""As long as the cache keeps an answer."""
DISTINCT_MIN: Final = 0.01
"""How far inputs and outputs must vary apart before prices are told apart by them."""

Key = tuple[str, ...]
_V = TypeVar("_V", "Side", "Limits")


class Fit(msgspec.Struct, kw_only=True):
    """Sums for the least-squares prices of input and output tokens: cost = input * a + output * b."""

    calls: int = 0
    ii: int = 0
    io: int = 0
    oo: int = 0
    ci: int = 0
    co: int = 0
    tokens: int = 0
    cost_nusd: int = 0

    def add(self, input_tokens: int, output_tokens: int, cost_nusd: int) -> None:
        self.calls += 1
        self.ii += input_tokens * input_tokens
        self.io += input_tokens * output_tokens
        self.oo += output_tokens * output_tokens
        self.ci += cost_nusd * input_tokens
        self.co += cost_nusd * output_tokens
        self.tokens += input_tokens + output_tokens
        self.cost_nusd += cost_nusd

    def price(self, input_tokens: int, output_tokens: int) -> int:
        """What this model would charge for so many tokens, in nano-USD, as far as its own calls tell."""
        determinant = self.ii * self.oo - self.io * self.io
        if determinant > DISTINCT_MIN * self.ii * self.oo:
            a = (self.ci * self.oo - self.co * self.io) / determinant
            b = (self.co * self.ii - self.ci * self.io) / determinant
            if a >= 0 and b >= 0:
                return round(a * input_tokens + b * output_tokens)
        if not self.tokens:
            return 0
        return round(self.cost_nusd / self.tokens * (input_tokens + output_tokens))


class Side(msgspec.Struct, kw_only=True):
    """Calls of one kind that were asked the same sort of thing."""

    tally: Tally = msgspec.field(default_factory=Tally)
    fit: Fit = msgspec.field(default_factory=Fit)
    off_schema: int = 0
    off_schema_nusd: int = 0
    failed_nusd: int = 0

    @property
    def tried(self) -> int:
        """Requests that came to an end of their own: lost hedges, cancelled and unknown ones did not."""
        return self.tally.answered + self.tally.failed

    @property
    def answered_rate(self) -> float:
        return self.tally.answered / self.tried if self.tried else 0.0

    def add(self, record: CallRecord) -> None:
        self.tally.add(record)
        if record.outcome in FAILURES:
            self.failed_nusd += record.cost_nusd
        if record.outcome is Outcome.OFF_SCHEMA:
            self.off_schema += 1
            self.off_schema_nusd += record.cost_nusd
        if record.outcome is Outcome.ANSWERED and not record.usage.is_estimated:
            self.fit.add(record.usage.input_tokens, record.usage.output_tokens, record.cost_nusd)


class Limits(msgspec.Struct, kw_only=True):
    """What was held for answers, beside what they took."""

    calls: int = 0
    max_tokens: int = 0
    reserved_nusd: int = 0
    cost_nusd: int = 0
    outputs: Histogram = msgspec.field(default_factory=lambda: Histogram(smallest=1.0))


class Hedges(msgspec.Struct, kw_only=True):
    """Second requests: how many answered first, and what all the losers cost."""

    sent: int = 0
    won: int = 0
    lost_nusd: int = 0


class Evidence:
    """What `advise` looks at, added up from records as they come; bounded, however many there are."""

    def __init__(self) -> None:
        self.total = Tally()
        self.local: dict[Key, Side] = {}
        """By purpose and agent."""
        self.paid: dict[Key, Side] = {}
        """By purpose and agent."""
        self.models: dict[Key, Side] = {}
        """Paid ones, by purpose and model."""
        self.limits: dict[Key, Limits] = {}
        """By purpose and agent."""
        self.hedges = Hedges()
        self.unknown_nusd = 0
        self.paid_answered = 0
        self.paid_answered_nusd = 0
        self.look_alikes = 0
        self.look_alikes_nusd = 0
        self._seen: dict[Key, float] = {}

    def add(self, record: CallRecord) -> None:
        """Count one record in."""
        self.total.add(record)
        if record.outcome is Outcome.UNKNOWN:
            self.unknown_nusd += record.cost_nusd
        if record.is_hedge:
            self.hedges.sent += 1
            self.hedges.won += record.outcome is Outcome.ANSWERED
        if record.outcome is Outcome.HEDGE_LOST:
            self.hedges.lost_nusd += record.cost_nusd
        if record.outcome is Outcome.CACHED:
            return
        asked_for = (record.purpose, record.agent)
        side = _at(self.local if record.is_local else self.paid, asked_for, Side)
        if side is not None:
            side.add(record)
        if not record.is_local:
            model = _at(self.models, (record.purpose, model_name(record)), Side)
            if model is not None:
                model.add(record)
            self._add_paid(record, asked_for)

    def _add_paid(self, record: CallRecord, asked_for: Key) -> None:
        if record.outcome in CAME_WHOLE and record.max_tokens:
            limits = _at(self.limits, asked_for, Limits)
            if limits is not None:
                limits.calls += 1
                limits.max_tokens += record.max_tokens
                limits.reserved_nusd += record.reserved_nusd
                limits.cost_nusd += record.cost_nusd
                limits.outputs.add(max(1, record.usage.output_tokens))
        if record.outcome is not Outcome.ANSWERED:
            return
        self.paid_answered += 1
        self.paid_answered_nusd += record.cost_nusd
        if record.counted_tokens >= REPEAT_INPUT_TOKENS_MIN:
            self._look_for_repeat(record, (*asked_for, str(record.counted_tokens), str(record.max_tokens)))

    def _look_for_repeat(self, record: CallRecord, key: Key) -> None:
        at_s = _seconds(record.at)
        if abs(at_s - self._seen.get(key, -REPEAT_WITHIN_S)) < REPEAT_WITHIN_S:
            self.look_alikes += 1
            self.look_alikes_nusd += record.cost_nusd
            return
        self._seen.pop(key, None)
        self._seen[key] = at_s
        if len(self._seen) > REPEATS_KEPT_MAX:
            del self._seen[next(iter(self._seen))]


def _seconds(at: str) -> float:
    """Seconds since 1970; 0 when `at` is no time."""
    try:
        return datetime.fromisoformat(at).timestamp()
    except ValueError:
        return 0.0


def _at(table: dict[Key, _V], key: Key, make: type[_V]) -> _V | None:
    """The entry of `key`, made when there is room for it."""
    entry = table.get(key)
    if entry is None and len(table) < KEYS_MAX:
        entry = table[key] = make()
    return entry
