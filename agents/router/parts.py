"""What all work of a router shares: the ports to money and providers, what was learned, and who waits for room."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Protocol

from agents.router.breakers import Breakers
from agents.router.decide import Facts
from agents.router.learned import Learned
from agents.router.room import Room
from agents.router.upstream import Upstream
from schemas.cost import CallRecord, ReserveReply, ReserveRequest
from schemas.llm import BudgetState

GIVE_UP_BEFORE_S: Final = 0.005
"""So long before the caller's deadline a request is given up, so that its end is booked and told in time."""


class Money(Protocol):
    """The cost guard, as far as calls need it (`bus.budget.Budget`)."""

    async def reserve(self, request: ReserveRequest, *, deadline_s: float) -> ReserveReply: ...

    def settle(self, record: CallRecord) -> None: ...

    def release(self, call_id: str) -> None: ...


class BudgetRefusedError(Exception):
    """Raised when the cost guard holds no money for an attempt; `budget` says which limit stands in the way."""

    def __init__(self, budget: BudgetState) -> None:
        super().__init__(f"no money: {budget.limit}")
        self.budget = budget


@dataclass(eq=False, slots=True, kw_only=True)
class Parts:
    """What attempts work with. `clock` gives seconds since 1970."""

    upstream: Upstream
    money: Money
    learned: Learned
    breakers: Breakers
    clock: Callable[[], float] = time.time
    room: Room = field(default_factory=Room)
    guard_missing_until_s: float = 0.0
    """No cost guard answered just now: who can do without waits hardly for one until then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Purposed:
    """What all attempts of one completion share. `woken` is set whenever one of them has something new."""

    facts: Facts
    completion_id: str
    task_id: str
    temperature: float
    is_stream: bool
    deadline_s: float
    woken: asyncio.Event = field(default_factory=asyncio.Event)
