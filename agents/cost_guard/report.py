"""What was spent, by whatever one asks for: call records added up as they come, in bounded memory.

Pure: records go in one at a time, sums come out. A million records need no more memory than their groups.
"""

import math
from typing import Final, Literal, get_args

import msgspec

from schemas.cost import CallRecord, Outcome

By = Literal["provider", "model", "task", "agent", "tenant", "day", "purpose"]
BYS: Final[tuple[By, ...]] = get_args(By)

GROUPS_MAX: Final = 10_000
"""More groups than these are added up in one called `OTHERS`."""
OTHERS: Final = "(others)"
NAMELESS: Final = "(none)"

STEPS_PER_DOUBLING: Final = 8
"""Buckets of a histogram between a value and its double: a quantile is off by less than 5 %."""
BUCKET_MAX: Final = 512
"""Values above 2 ** (BUCKET_MAX / STEPS_PER_DOUBLING) times the smallest count as that."""
LATENCY_MIN_S: Final = 0.001
DAY_CHARS: Final = 10

CAME_WHOLE: Final = frozenset(
    {Outcome.ANSWERED, Outcome.OFF_SCHEMA, Outcome.EMPTY, Outcome.REFUSED, Outcome.TRUNCATED}
)
"""Outcomes after a provider's whole answer: their latencies are comparable."""
FAILURES: Final = frozenset(
    {
        Outcome.OFF_SCHEMA,
        Outcome.EMPTY,
        Outcome.REFUSED,
        Outcome.TRUNCATED,
        Outcome.FAILED,
        Outcome.CUT,
    }
)
"""Outcomes that no caller could use, through no wish of ours (a lost hedge and a cancelled call were wished)."""


class Histogram(msgspec.Struct, kw_only=True):
    """Counts of positive values in buckets that grow by a fixed factor; at most `BUCKET_MAX` + 1 of them.

    Attributes:
        smallest: values up to this share the first bucket.
    """

    smallest: float
    counts: dict[int, int] = {}
    total: int = 0

    def add(self, value: float) -> None:
        bucket = 0
        if value > self.smallest:
            bucket = min(BUCKET_MAX, math.ceil(math.log2(value / self.smallest) * STEPS_PER_DOUBLING))
        self.counts[bucket] = self.counts.get(bucket, 0) + 1
        self.total += 1

    def quantile(self, share: float) -> float:
        """The middle of the bucket in which the value at `share` (0 to 1) lies; 0 when nothing was added."""
        if not self.total:
            return 0.0
        rank = max(1, math.ceil(share * self.total))
        seen = 0
        for bucket in sorted(self.counts):
            seen += self.counts[bucket]
            if seen >= rank:
                break
        return float(self.smallest * 2 ** (max(0.0, bucket - 0.5) / STEPS_PER_DOUBLING))


def latencies() -> Histogram:
    return Histogram(smallest=LATENCY_MIN_S)


class Tally(msgspec.Struct, kw_only=True):
    """Sums over records.

    Attributes:
        calls: all of them: requests to providers, and answers from the cache.
        answered: requests that gave an answer which was used (those from the cache are in `cached` alone).
        local_calls: requests to models on this machine or network.
        failed: requests whose answer nobody could use, or that had none.
        hedges: second requests that were sent because the first was slow.
        unknown: requests whose charge nobody knows; their whole reservation counts as cost.
        cost_nusd: everything that was charged, failures included; `wasted_nusd` is the part without an answer.
        saved_nusd: what answers from the cache and from free local models would have cost.
    """

    calls: int = 0
    answered: int = 0
    local_calls: int = 0
    cached: int = 0
    failed: int = 0
    cancelled: int = 0
    hedges: int = 0
    unknown: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost_nusd: int = 0
    wasted_nusd: int = 0
    saved_nusd: int = 0
    latency: Histogram = msgspec.field(default_factory=latencies)

    def add(self, record: CallRecord) -> None:
        """Count one record in."""
        outcome = record.outcome
        self.calls += 1
        self.answered += outcome is Outcome.ANSWERED
        self.cached += outcome is Outcome.CACHED
        self.failed += outcome in FAILURES
        self.cancelled += outcome is Outcome.CANCELLED
        self.unknown += outcome is Outcome.UNKNOWN
        self.hedges += record.is_hedge
        self.cost_nusd += record.cost_nusd
        if outcome is not Outcome.CACHED:
            self.local_calls += record.is_local
            self.input_tokens += record.usage.input_tokens
            self.output_tokens += record.usage.output_tokens
        if outcome not in (Outcome.ANSWERED, Outcome.CACHED):
            self.wasted_nusd += record.cost_nusd
        elif record.is_local or outcome is Outcome.CACHED:
            self.saved_nusd += record.price_nusd_if_cloud
        if outcome in CAME_WHOLE and record.latency_s > 0:
            self.latency.add(record.latency_s)


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """A tally under its name, as people and programs read it; `cost_share` is of the whole cost, 0 to 1."""

    name: str
    calls: int
    answered: int
    local_calls: int
    cached: int
    failed: int
    cancelled: int
    hedges: int
    unknown: int
    input_tokens: int
    output_tokens: int
    cost_nusd: int
    wasted_nusd: int
    saved_nusd: int
    cost_share: float
    latency_p50_s: float
    latency_p95_s: float


class Report:
    """Tallies by one property of the records, and of all of them.

    Attributes:
        by: what the records are grouped by.
        total: over all records.
    """

    def __init__(self, by: By, *, groups_max: int = GROUPS_MAX) -> None:
        self.by = by
        self.total = Tally()
        self._groups_max = groups_max
        self._groups: dict[str, Tally] = {}

    def add(self, record: CallRecord) -> None:
        """Count one record in."""
        name = group_of(record, self.by)
        tally = self._groups.get(name)
        if tally is None:
            if len(self._groups) >= self._groups_max:
                name = OTHERS
            tally = self._groups.setdefault(name, Tally())
        tally.add(record)
        self.total.add(record)

    def rows(self) -> list[Row]:
        """One row a group: days in their order, everything else the dearest first; `OTHERS` last."""
        rows = [_row(name, tally, self.total.cost_nusd) for name, tally in self._groups.items()]
        if self.by == "day":
            return sorted(rows, key=lambda row: (row.name == OTHERS, row.name))
        return sorted(rows, key=lambda row: (row.name == OTHERS, -row.cost_nusd, -row.calls, row.name))

    def totals(self) -> Row:
        return _row("total", self.total, self.total.cost_nusd)


def group_of(record: CallRecord, by: By) -> str:
    """The name of the group that `record` belongs to; days are those of UTC."""
    match by:
        case "model":
            name = model_name(record)
        case "task":
            name = record.task_id
        case "day":
            name = record.at[:DAY_CHARS]
        case "provider":
            name = record.provider
        case "agent":
            name = record.agent
        case "tenant":
            name = record.tenant
        case "purpose":
            name = record.purpose
    return name or NAMELESS


def model_name(record: CallRecord) -> str:
    """`provider/model`, whether or not the record's model says its provider."""
    prefix = f"{record.provider}/"
    if not record.provider or record.model.startswith(prefix):
        return record.model
    return prefix + record.model if record.model else record.provider


def dollars(nusd: int) -> str:
    """An amount with as many digits as it needs to be seen: `$12.30`, `$0.0042`, `$0.000069`, `$0.00`."""
    usd = abs(nusd) / 1e9
    sign = "-" if nusd < 0 else ""
    if nusd == 0 or usd >= 1:
        return f"{sign}${usd:,.2f}"
    if usd >= 0.01:
        return f"{sign}${usd:.4f}".removesuffix("00")
    decimals = 9
    while decimals > 4 and usd >= 10.0 ** (2 - decimals):
        decimals -= 1
    return f"{sign}${usd:.{decimals}f}"


def _row(name: str, tally: Tally, total_nusd: int) -> Row:
    sums = {
        field: getattr(tally, field)
        for field in Tally.__struct_fields__
        if field != "latency"
    }  # fmt: skip
    return Row(
        name=name,
        cost_share=tally.cost_nusd / total_nusd if total_nusd else 0.0,
        latency_p50_s=tally.latency.quantile(0.5),
        latency_p95_s=tally.latency.quantile(0.95),
        **sums,
    )
