"""What follows from each way in which a request can fail: the failure table, as data."""

from dataclasses import dataclass
from typing import Final, Literal

from agents.router.upstream import FailureKind

Drops = Literal["nothing", "model", "provider"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What to do after a failure of one kind.

    Attributes:
        try_again_here: the same model may be asked again in this call, if `worth_trying` says so: after a
            pause, or (UNSUPPORTED) at once and in another form.
        try_elsewhere: another provider or model may do better. For CONTEXT_TOO_LONG only one that takes more.
        trips_breaker: it says something of the provider's health, for all calls.
        counts_as_overload: the provider had too much to do: fewer requests at once.
        drops: what this call must not try again.
    """

    try_again_here: bool = False
    try_elsewhere: bool = False
    trips_breaker: bool = False
    counts_as_overload: bool = False
    drops: Drops = "nothing"


RULES: Final[dict[FailureKind, Rule]] = {
    # Its Retry-After says when; asked again here only when that pause and a median answer still fit.
    FailureKind.RATE_LIMITED: Rule(
        try_again_here=True, try_elsewhere=True, trips_breaker=True, counts_as_overload=True
    ),
    FailureKind.OUT_OF_CREDIT: Rule(try_elsewhere=True, trips_breaker=True, drops="provider"),
    FailureKind.BAD_KEY: Rule(try_elsewhere=True, trips_breaker=True, drops="provider"),
    FailureKind.CONTEXT_TOO_LONG: Rule(try_elsewhere=True, drops="model"),
    FailureKind.NO_SUCH_MODEL: Rule(try_elsewhere=True, drops="model"),
    # The same model takes it in a plainer form: the next rung of the ladder, or without the parameter.
    FailureKind.UNSUPPORTED: Rule(try_again_here=True, try_elsewhere=True),
    # A prompt that one provider's filter refused isn't carried round until one takes it.
    FailureKind.CONTENT_REFUSED: Rule(drops="model"),
    FailureKind.BAD_REQUEST: Rule(drops="model"),
    # It will be there soon, nobody knows when: asked again and again while there is time (see `Progress`).
    FailureKind.LOADING: Rule(try_again_here=True, try_elsewhere=True, trips_breaker=True),
    FailureKind.SERVER_ERROR: Rule(try_again_here=True, try_elsewhere=True, trips_breaker=True),
    # It has eaten its share of the deadline here; not a second time.
    FailureKind.TIMEOUT: Rule(try_elsewhere=True, trips_breaker=True, counts_as_overload=True, drops="model"),
    FailureKind.UNREACHABLE: Rule(try_elsewhere=True, trips_breaker=True, drops="provider"),
    FailureKind.CONNECTION_LOST: Rule(try_again_here=True, try_elsewhere=True, trips_breaker=True),
    FailureKind.GARBAGE: Rule(try_elsewhere=True, trips_breaker=True, drops="model"),
}


def worth_trying(now_s: float, deadline_s: float, pause_s: float, median_s: float) -> bool:
    """Whether an answer of median duration would still come in time after the pause.

    Args:
        now_s, deadline_s: on one clock.
        pause_s: to wait first.
        median_s: 0 when nobody knows yet, which needs some time left at least.
    """
    left_s = deadline_s - now_s - max(pause_s, 0.0)
    return left_s > 0 and left_s >= median_s
