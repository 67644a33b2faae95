"""Circuit breaker of one provider: values and pure functions, so that routers can share what they learn.

Closed, a provider gets whatever the concurrency limit lets through. Failures open it: at once when the provider
says that nothing will work (key, credit) or when to come back, else after three in a row, for a pause that
doubles. When that is over one probe at a time goes through until a success closes it.

States merge: `open_until_s` is the larger of both, a success forgets the failures before it, and order doesn't
matter. So every router may write what it saw and read what others saw, in any order, any number of times.
"""

from dataclasses import dataclass, replace
from typing import Final

from agents.router.failures import RULES
from agents.router.upstream import FailureKind

OPEN_S_MAX: Final = 3_600.0
"""No breaker opens for longer, whatever a Retry-After says."""
CLOCK_SKEW_S_MAX: Final = 60.0
PAUSE_LONG_S: Final = 60.0
"""For a key or credit that is wanting: soon enough after somebody mended it."""
PAUSE_RATE_LIMITED_S: Final = 1.0
PAUSE_S: Final = 0.5
PAUSE_S_MAX: Final = 60.0
PAUSE_LOADING_S: Final = 0.25
FAILURES_LOADING_MAX: Final = 3
"""The pause between looks at a model that is being loaded doubles up to this many: to 1 s."""
FAILURES_TO_OPEN: Final = 3
FAILURES_MAX: Final = 64
PROBES_MAX: Final = 1
UNLIMITED: Final = 1 << 30

_HOPELESS: Final = frozenset({FailureKind.BAD_KEY, FailureKind.OUT_OF_CREDIT})


@dataclass(frozen=True, slots=True)
class BreakerState:
    """What is known of one provider's health; times are seconds of a clock that all routers share.

    Attributes:
        open_until_s: nothing is sent before; may lie in the past.
        failures: in a row, each later than the last success.
        reason: kind of the failure that opened it.
        opened_by: id of the router that saw it.
        failed_s: when the last failure counted.
        succeeded_s: failures before this moment are forgotten.
    """

    open_until_s: float = 0.0
    failures: int = 0
    reason: str = ""
    opened_by: str = ""
    failed_s: float = 0.0
    succeeded_s: float = 0.0


def is_open(state: BreakerState, now_s: float) -> bool:
    """Whether nothing may be sent now. An opening too far ahead to be true is not believed."""
    return now_s < state.open_until_s and _is_believable(state, now_s)


def is_half_open(state: BreakerState, now_s: float) -> bool:
    """Whether it was open, the pause is over, and no success has closed it yet."""
    return state.failures > 0 and state.open_until_s > state.failed_s and not is_open(state, now_s)


def probes_allowed(state: BreakerState, now_s: float) -> int:
    """How many requests may be in flight: none while open, 1 while half-open, else any number."""
    if is_open(state, now_s):
        return 0
    return PROBES_MAX if is_half_open(state, now_s) else UNLIMITED


def after_failure(
    state: BreakerState,
    kind: FailureKind,
    now_s: float,
    *,
    retry_after_s: float | None = None,
    router_id: str = "",
) -> BreakerState:
    """The state after a request failed; unchanged for kinds that say nothing of the provider's health.

    Failures that come in while it is open belong to requests sent before: they may lengthen the pause by what
    they say themselves, but don't count, or one outage under load would double it to its maximum at once.

    Args:
        retry_after_s: what the provider asked for; None or negative when it said nothing.
    """
    if not RULES[kind].trips_breaker:
        return state
    state = believable(state, now_s)
    was_open = is_open(state, now_s)
    was_probe = is_half_open(state, now_s)
    most = max(state.failures, FAILURES_LOADING_MAX) if kind is FailureKind.LOADING else FAILURES_MAX
    failures = state.failures if was_open else min(state.failures + 1, most)
    pause_s = _pause_s(kind, failures, was_probe, retry_after_s)
    # While open, the time of the failure that opened it stands: closing it takes a request sent after that.
    failed_s = state.failed_s if was_open else max(state.failed_s, state.succeeded_s, now_s)
    counted = replace(state, failures=failures, failed_s=failed_s)
    until_s = now_s + min(pause_s, OPEN_S_MAX)
    if until_s <= max(state.open_until_s, now_s):
        return counted
    return replace(counted, open_until_s=until_s, reason=kind.value, opened_by=router_id)


def after_success(state: BreakerState, started_s: float, now_s: float) -> BreakerState:
    """The state after a request that started at `started_s` succeeded at `now_s`.

    A breaker that has opened is closed only by a request sent after the failure that opened it: an answer that
    was long under way says nothing about now.
    """
    state = believable(state, now_s)
    if not state.failures and not is_open(state, now_s):
        return state
    if state.open_until_s > state.failed_s and started_s <= state.failed_s:
        return state
    return BreakerState(
        open_until_s=min(state.open_until_s, now_s), succeeded_s=max(state.succeeded_s, now_s)
    )


def merge(mine: BreakerState, theirs: BreakerState) -> BreakerState:
    """What both know together: commutative, associative and idempotent.

    The later opening wins, whole; a success anywhere forgets the failures before it everywhere, so that a
    provider that recovered is not probed one by one by those who merely read of it.
    """
    opening = max(mine, theirs, key=lambda state: (state.open_until_s, state.reason, state.opened_by))
    failing = max(mine, theirs, key=lambda state: (state.failed_s, state.failures))
    succeeded_s = max(mine.succeeded_s, theirs.succeeded_s)
    return BreakerState(
        open_until_s=opening.open_until_s,
        failures=failing.failures if failing.failed_s >= succeeded_s else 0,
        reason=opening.reason,
        opened_by=opening.opened_by,
        failed_s=failing.failed_s,
        succeeded_s=succeeded_s,
    )


def believable(state: BreakerState, now_s: float) -> BreakerState:
    """The state, or a closed one when its times lie too far ahead: then the clock of who wrote it is wrong.

    What comes from elsewhere goes through this before `merge`, or its `open_until_s` would outweigh all others.
    """
    return state if _is_believable(state, now_s) else BreakerState()


def _is_believable(state: BreakerState, now_s: float) -> bool:
    return state.open_until_s <= now_s + OPEN_S_MAX + CLOCK_SKEW_S_MAX and (
        max(state.failed_s, state.succeeded_s) <= now_s + CLOCK_SKEW_S_MAX
    )


def _pause_s(kind: FailureKind, failures: int, was_probe: bool, retry_after_s: float | None) -> float:
    """How long this failure opens it for; 0 when it doesn't."""
    asked_s = retry_after_s if retry_after_s is not None and retry_after_s > 0 else 0.0
    if kind in _HOPELESS:
        return max(PAUSE_LONG_S, asked_s)
    if kind is FailureKind.RATE_LIMITED:
        return asked_s or min(PAUSE_RATE_LIMITED_S * 2.0 ** max(0, failures - 1), PAUSE_S_MAX)
    if kind is FailureKind.LOADING:
        return asked_s or PAUSE_LOADING_S * 2.0 ** min(max(0, failures - 1), FAILURES_LOADING_MAX - 1)
    # One failed probe opens it again, whatever opened it first.
    if failures < FAILURES_TO_OPEN and not was_probe:
        return asked_s
    return max(asked_s, min(PAUSE_S * 2.0 ** max(0, failures - FAILURES_TO_OPEN), PAUSE_S_MAX))
