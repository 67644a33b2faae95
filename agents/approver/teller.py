"""Tells the bus and the audit log what happened to approvals, in the background, each thing once.

A record is written first and told then. Whoever dies in between leaves a record whose `told` is behind; the next
sweep of any approver goes on from there, and what was told already is refused as a repetition.
"""

import asyncio
import logging
from dataclasses import dataclass, field
from typing import Final

import msgspec

from agents.approver.records import Records
from agents.approver.tellings import Telling, tellings
from bus import AlreadyHandledError, Bus, BusError
from bus.cancelling import end
from schemas.approval import Approval

log = logging.getLogger("labverse.approver")

TOGETHER_MAX: Final = 32
"""Approvals that are told at the same time."""
TELL_TIMEOUT_S: Final = 20.0


@dataclass(eq=False, slots=True, kw_only=True)
class Teller:
    bus: Bus
    records: Records
    _telling: "dict[str, asyncio.Task[None]]" = field(default_factory=dict)
    _more: dict[str, Approval] = field(default_factory=dict)
    _places: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(TOGETHER_MAX))

    def soon(self, approval: Approval) -> None:
        """Tell what is not told yet. What can't be told is left to the next call for this approval."""
        key = approval.approval_id
        if approval.told >= len(tellings(approval)):
            return
        if key in self._telling:
            self._more[key] = approval
            return
        task = asyncio.create_task(self._tell(approval), name=f"tell of approval {key}")
        self._telling[key] = task
        task.add_done_callback(lambda _: self._on_told(key))

    async def close(self, grace_s: float) -> None:
        """Finish what is being told within the grace period; the rest is told by whoever sweeps next."""
        try:
            async with asyncio.timeout(grace_s):
                while self._telling:
                    await asyncio.wait(list(self._telling.values()))
        except TimeoutError:
            self._more.clear()
            left = list(self._telling.values())
            await end(left)

    def _on_told(self, key: str) -> None:
        del self._telling[key]
        if (more := self._more.pop(key, None)) is not None:
            self.soon(more)

    async def _tell(self, approval: Approval) -> None:
        async with self._places:
            try:
                await self.tell(approval)
            except BusError as error:
                log.warning("approval %s can't be told yet: %s", approval.approval_id, error)

    async def tell(self, approval: Approval) -> None:
        """Tell what is not told yet, then note in the record that it is.

        Raises:
            BusError: it can't be told now.
        """
        every = tellings(approval)
        for telling in every[approval.told :]:
            await self._publish(approval, telling)
        for telling in every[approval.told :]:  # last: a full audit log must not hold up who waits
            await self.bus.audit(telling.entry, telling.audit_id, timeout_s=TELL_TIMEOUT_S)
        told = len(every)

        def advance(stored: Approval) -> tuple[Approval, None]:
            return msgspec.structs.replace(stored, told=max(stored.told, told)), None

        await self.records.change(approval.approval_id, advance)

    async def _publish(self, approval: Approval, telling: Telling) -> None:
        if telling.event is None:
            return
        try:
            await self.bus.outbox.publish(
                telling.event,
                task_id=approval.task_id,
                event_id=telling.event_id,
                causation_id=approval.approval_id,
                timeout_s=TELL_TIMEOUT_S,
            )
        except AlreadyHandledError:
            pass  # told by somebody who could not note it any more
