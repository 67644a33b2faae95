"""Leadership: one process at a time does what only one may do, and others stand by.

The lease is a key that disappears when it is not renewed; its revision at acquisition is the fencing token,
which only ever grows. A lease makes double leadership rare, not impossible (a process can be frozen between a
look and an act), so what must not happen twice is fenced where it is written: see `bus.journal`.
"""

import asyncio
import logging
import os
import socket
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

import msgspec

from bus.cancelling import end
from bus.envelope import now_text
from bus.errors import BusError, ConflictError
from bus.kv import Bucket
from schemas.ids import new_id

log = logging.getLogger("labverse.bus")

LEASE_AGE_S: Final = 2.0
"""Without renewal for so long, the lease is free."""
RENEW_S: Final = 0.5
STANDBY_POLL_S: Final = 0.25
BUCKET: Final = "LEASES"


class LeaseRecord(msgspec.Struct, frozen=True, kw_only=True):
    """Who leads. `nonce` tells this tenure's writes from everybody else's."""

    nonce: str
    host: str
    pid: int
    since: str
    renewals: int = 0


@dataclass(frozen=True, slots=True)
class Tenure:
    """A time of leadership; `fencing_token` is greater than that of every earlier one."""

    fencing_token: int
    record: LeaseRecord


Lead = Callable[[Tenure], Awaitable[None]]


@dataclass(eq=False, slots=True, kw_only=True)
class Lease:
    """Leadership under `name` (a KV key)."""

    bucket: Bucket[LeaseRecord]
    name: str
    _left: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self, lead: Lead) -> None:
        """Stand by until the lease is free, then `lead` until it ends or the lease is lost; again and again.

        `lead` is cancelled when the lease is lost. When it returns or fails by a BusError, the lease is given
        back and this process stands by again, behind the others. Runs until it is cancelled.
        """
        await self.bucket.ensure()
        while True:
            # nats-py can swallow a cancellation in the middle of a write; who was cancelled must not lead.
            if (task := asyncio.current_task()) is not None and task.cancelling():
                raise asyncio.CancelledError
            tenure = await self._acquired()
            if tenure is None:
                await asyncio.sleep(STANDBY_POLL_S)
                continue
            log.info("%s: this process leads now (token %d)", self.name, tenure.fencing_token)
            await self._lead(lead, tenure)
            await asyncio.sleep(STANDBY_POLL_S)

    async def holder(self) -> LeaseRecord | None:
        """Who leads now, None if nobody."""
        found = await self.bucket.get(self.name)
        return found[0] if found else None

    async def _acquired(self) -> Tenure | None:
        record = LeaseRecord(nonce=new_id(), host=socket.gethostname(), pid=os.getpid(), since=now_text())
        try:
            if await self.bucket.get(self.name) is not None:
                return None
            return Tenure(await self.bucket.update(self.name, record, 0), record)
        except ConflictError:
            return None
        except BusError as error:
            log.debug("%s: the lease can't be asked for: %s", self.name, error)
            return None

    async def _lead(self, lead: Lead, tenure: Tenure) -> None:
        leading = asyncio.ensure_future(lead(tenure))
        renewing = asyncio.create_task(self._renew(tenure), name=f"renew {self.name}")
        try:
            await asyncio.wait((leading, renewing), return_when=asyncio.FIRST_COMPLETED)
            if leading.done() and not leading.cancelled() and (error := leading.exception()):
                if not isinstance(error, BusError):
                    raise error
                log.warning("%s: leadership ends: %s", self.name, error)
        finally:
            await end((leading, renewing), again_s=LEASE_AGE_S / 2)
            await self._give_back(tenure)

    async def _renew(self, tenure: Tenure) -> None:
        """Returns when the lease is lost."""
        record, revision = tenure.record, tenure.fencing_token
        renewed_at = time.monotonic()
        while True:
            await asyncio.sleep(RENEW_S)
            record = msgspec.structs.replace(record, renewals=record.renewals + 1)
            try:
                async with asyncio.timeout(LEASE_AGE_S):
                    revision = await self.bucket.update(self.name, record, revision)
                renewed_at = time.monotonic()
            except ConflictError:
                log.warning("%s: the lease was lost to another process", self.name)
                return
            except (BusError, TimeoutError) as error:
                if time.monotonic() - renewed_at > LEASE_AGE_S:
                    log.warning("%s: the lease can't be renewed: %s", self.name, error)
                    return

    async def _give_back(self, tenure: Tenure) -> None:
        try:
            async with asyncio.timeout(1.0):
                found = await self.bucket.get(self.name)
                if found and found[0].nonce == tenure.record.nonce:
                    await self.bucket.purge(self.name)
        except (BusError, TimeoutError):
            pass  # it runs out by itself
