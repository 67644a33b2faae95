"""Asking the cost guard: reserve money before it is spent, settle or release it afterwards.

Whoever leads may change at any moment, so every question is asked again until it is answered: all of them are
idempotent by call id.
"""

import asyncio
import logging
import time
from collections import deque
from typing import Final

from bus.bus import Bus
from bus.errors import BusError, DeadlineError, NoResponderError
from bus.rpc import Reply, Request, Service
from bus.services import COST_RELEASE, COST_RESERVE, COST_SETTLE, COST_STATE
from schemas.cost import (
    BOOKED_TOGETHER_MAX,
    CallRecord,
    ReleaseRequest,
    ReserveReply,
    ReserveRequest,
    SettleRequest,
    StateReply,
    StateRequest,
)

log = logging.getLogger("labverse.bus")

TRY_S: Final = 1.0
"""A question that isn't answered for so long is asked again: its guard may have died."""
PAUSE_S: Final = 0.05
LINGER_S: Final = 0.005
"""So long bookings wait for one another; else a reservation would queue behind each one's sync to disk."""
BOOK_WITHIN_S: Final = 60.0
BOOKINGS_MAX: Final = 50_000
"""Bookings that wait for a guard; some 30 MB."""


class Budget:
    """The cost guard, as others see it."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._to_book: deque[CallRecord | str] = deque()
        self._booking: asyncio.Task[None] | None = None
        self._in_hand = 0
        self._left_to_leases = 0

    async def reserve(self, request: ReserveRequest, *, deadline_s: float) -> ReserveReply:
        """Hold money; waits until `deadline_s` (seconds since 1970) for a guard, and for money that is only held.

        When the caller is cancelled, what was perhaps granted is given back.

        Raises:
            NoResponderError: there is no cost guard.
            DeadlineError: no answer in time.
        """
        try:
            return await self._ask(COST_RESERVE, request, deadline_s)
        except BaseException:
            self.release(request.call_id)
            raise

    def settle(self, record: CallRecord) -> None:
        """Book what a call cost, in the background: the answer to the caller doesn't wait for it."""
        self._book(record)

    def release(self, call_id: str) -> None:
        """Give back what a call holds, in the background: its request was never sent."""
        self._book(call_id)

    async def state(
        self, *, task_id: str = "", tenant: str = "", timeout_s: float = 2.0
    ) -> StateReply | None:
        """The limits as they stand; None when no guard answers."""
        try:
            return await self._ask(
                COST_STATE, StateRequest(task_id=task_id, tenant=tenant), time.time() + timeout_s
            )
        except BusError:
            return None

    async def flush(self, timeout_s: float) -> int:
        """Wait until everything is booked; returns how many bookings were not confirmed in time."""
        if self._booking is None:
            return 0
        await asyncio.wait({self._booking}, timeout=timeout_s)
        left = len(self._to_book) + self._in_hand
        if left:
            self._booking.cancel()
        return left

    def _book(self, booking: CallRecord | str) -> None:
        if len(self._to_book) >= BOOKINGS_MAX:
            # The reservation's lease charges the whole instead: never less than the truth.
            self._left_to_leases += 1
            if self._left_to_leases % 1_000 == 1:
                log.warning(
                    "%d bookings wait for a cost guard: further ones are left to leases", BOOKINGS_MAX
                )
            return
        self._to_book.append(booking)
        if self._booking is None or self._booking.done():
            self._booking = asyncio.create_task(self._book_all(), name="book costs")

    async def _book_all(self) -> None:
        """Send what waits, many together, in order, until nothing does."""
        while self._to_book:
            await asyncio.sleep(LINGER_S)
            batch = [self._to_book.popleft() for _ in range(min(BOOKED_TOGETHER_MAX, len(self._to_book)))]
            self._in_hand = len(batch)
            records = tuple(one for one in batch if isinstance(one, CallRecord))
            released = tuple(one for one in batch if isinstance(one, str))
            until_s = time.time() + BOOK_WITHIN_S
            try:
                if records:
                    await self._ask(COST_SETTLE, SettleRequest(records=records), until_s)
                if released:
                    await self._ask(COST_RELEASE, ReleaseRequest(call_ids=released), until_s)
            except BusError as error:
                log.warning("%d bookings were not confirmed by a cost guard: %s", len(batch), error)
            self._in_hand = 0

    async def _ask(self, service: Service[Request, Reply], request: Request, deadline_s: float) -> Reply:
        while True:
            left_s = deadline_s - time.time()
            try:
                return await self._bus.call(service, request, timeout_s=max(0.0, min(TRY_S, left_s)))
            except (NoResponderError, DeadlineError):
                if time.time() + PAUSE_S >= deadline_s:
                    raise
                await asyncio.sleep(PAUSE_S)
