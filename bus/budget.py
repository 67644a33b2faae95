"""Asking the cost guard: reserve money before it is spent, settle or release it afterwards.

Whoever leads may change at any moment, so every question is asked again until it is answered: all of them are
idempotent by call id.
"""

import asyncio
import logging
import time
from typing import Final

from bus.bus import Bus
from bus.errors import BusError, DeadlineError, NoResponderError
from bus.rpc import Reply, Request, Service
from bus.services import COST_RELEASE, COST_RESERVE, COST_SETTLE, COST_STATE
from schemas.cost import (
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
SETTLE_WITHIN_S: Final = 60.0
SETTLING_MAX: Final = 5_000


class Budget:
    """The cost guard, as others see it."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._settling: set[asyncio.Task[None]] = set()

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
            self._in_background(COST_RELEASE, ReleaseRequest(call_id=request.call_id))
            raise

    def settle(self, record: CallRecord) -> None:
        """Book what a call cost, in the background: the answer to the caller doesn't wait for it."""
        self._in_background(COST_SETTLE, SettleRequest(record=record))

    def release(self, call_id: str) -> None:
        """Give back what a call holds, in the background: its request was never sent."""
        self._in_background(COST_RELEASE, ReleaseRequest(call_id=call_id))

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
        """Wait for what is being settled; returns how many were not confirmed in time."""
        if not self._settling:
            return 0
        _, late = await asyncio.wait(set(self._settling), timeout=timeout_s)
        for task in late:
            task.cancel()
        return len(late)

    def _in_background(self, service: Service[Request, Reply], request: Request) -> None:
        if len(self._settling) >= SETTLING_MAX:
            # The reservation's lease charges the whole instead: never less than the truth.
            log.warning(
                "%d bookings wait for the cost guard already: one more is left to its lease", SETTLING_MAX
            )
            return
        task = asyncio.create_task(self._surely(service, request))
        self._settling.add(task)
        task.add_done_callback(self._settling.discard)

    async def _surely(self, service: Service[Request, Reply], request: Request) -> None:
        try:
            await self._ask(service, request, time.time() + SETTLE_WITHIN_S)
        except BusError as error:
            log.warning("%s was not confirmed: %s", service.name, error)

    async def _ask(self, service: Service[Request, Reply], request: Request, deadline_s: float) -> Reply:
        while True:
            now_s = time.time()
            try:
                return await self._bus.call(
                    service, request, timeout_s=max(0.0, min(TRY_S, deadline_s - now_s))
                )
            except (NoResponderError, DeadlineError):
                if time.time() + PAUSE_S >= deadline_s:
                    raise
                await asyncio.sleep(PAUSE_S)
