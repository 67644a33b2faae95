"""What an agent declares to the bus: what it listens to, how it handles it, and its limits."""

import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from bus.envelope import Envelope
from schemas.event import Event, tag_of

E = TypeVar("E", bound=Event)

Outputs = Event | Sequence[Event] | None
"""What a handler returns: its outputs, which commit together with the mark that the input is done."""

Handler = Callable[[Any, Envelope], Awaitable[Outputs]]

ACK_WAIT_S: Final = 8.0
ATTEMPTS_MAX: Final = 5
CONCURRENCY_MAX: Final = 10_000
_DURABLE = re.compile(r"[a-z][a-z0-9_-]{0,31}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """One agent's subscription. All that run under the same `durable`, anywhere, share the work.

    Attributes:
        durable: the agent's name and the consumer's.
        listens: event types; the handler gets each with its envelope.
        concurrency: handlers at once in this process.
        ack_wait_s: how soon a dead worker's event goes to another one; kept alive while the handler works,
            so a handler may take longer.
        attempts_max: calls of the handler for one event before it becomes a dead letter.
        max_ack_pending: events in hand over all processes; None means four times `concurrency`, at least 256.
        is_projection: the handler keeps derived state that may be written twice without harm; it emits
            nothing, so no mark is left that an event is done.
        sees_unknown: also receives events whose type this version doesn't know, and makes them dead letters;
            one kind of agent must, or nobody would ever hear of them.
    """

    durable: str
    listens: tuple[type[Event], ...]
    handle: Handler
    concurrency: int = 8
    ack_wait_s: float = ACK_WAIT_S
    attempts_max: int = ATTEMPTS_MAX
    max_ack_pending: int | None = None
    is_projection: bool = False
    sees_unknown: bool = False

    def __post_init__(self) -> None:
        if not _DURABLE.fullmatch(self.durable):
            raise ValueError(f"durable {self.durable!r} must be 1 to 32 characters of a-z 0-9 _ -")
        if not self.listens:
            raise ValueError(f"{self.durable} listens to nothing")
        if not 1 <= self.concurrency <= CONCURRENCY_MAX:
            raise ValueError(f"{self.durable}: concurrency must be 1 to {CONCURRENCY_MAX}")
        if self.ack_wait_s < 0.5 or self.attempts_max < 1:
            raise ValueError(f"{self.durable}: ack_wait_s must be 0.5 or more, attempts_max 1 or more")

    @property
    def tags(self) -> tuple[str, ...]:
        return tuple(tag_of(cls) for cls in self.listens)

    @property
    def in_hand_max(self) -> int:
        """`max_ack_pending` as the server gets it."""
        return self.max_ack_pending or max(256, 4 * self.concurrency)
