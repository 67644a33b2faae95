"""The approvals in KV, changed by compare-and-swap alone: of any number of writers exactly one wins."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar
from weakref import WeakValueDictionary

import msgspec

from bus import Bus, ConflictError, PermanentError
from bus.kv import Bucket
from schemas.approval import APPROVALS_BUCKET, Approval
from schemas.ids import derive_id

log = logging.getLogger("labverse.approver")

NEWEST_BUCKET: Final = "APPROVALS_NEWEST"
RECORDS_AGE_MAX_S: Final = 60 * 86_400.0
"""From the last write, which is after the end, and twice the longest deadline."""
NEWEST_BYTES_MAX: Final = 16 * 1024**2
CONFLICTS_MAX: Final = 200
PAUSE_S_MAX: Final = 0.01
"""After a lost write, at random, so that processes don't meet again at once."""

T = TypeVar("T")


class Newest(msgspec.Struct, frozen=True, kw_only=True):
    """Which approval about something is the newest."""

    approval_id: str
    requested_at: str

    @property
    def rank(self) -> tuple[str, str]:
        """Which of two counts; the same answer for everybody who asks."""
        return self.requested_at, self.approval_id


def approvals_bucket(bus: Bus) -> Bucket[Approval]:
    """The bucket that the approver writes; `ensure` it before first use."""
    return bus.bucket(APPROVALS_BUCKET, Approval, age_max_s=RECORDS_AGE_MAX_S)


class Records:
    """Reads and writes approvals. `seen` is called with every record that was read or written."""

    def __init__(self, bus: Bus, seen: Callable[[Approval], None]) -> None:
        self._bucket = approvals_bucket(bus)
        self._newest = Bucket(
            bus.connection,
            bus.publisher,
            NEWEST_BUCKET,
            Newest,
            age_max_s=RECORDS_AGE_MAX_S,
            bytes_max=NEWEST_BYTES_MAX,
            replicas=bus.options.limits.replicas,
        )
        self._seen = seen
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def ensure(self) -> None:
        """Make the buckets, where they are missing.

        Raises:
            BusError: the server refuses.
        """
        await self._bucket.ensure()
        await self._newest.ensure()

    async def all(self) -> dict[str, Approval]:
        """All records, as they stand.

        Raises:
            BusError: the server doesn't answer, or a record is none.
        """
        return await self._bucket.values()

    async def create(self, approval: Approval) -> Approval:
        """The record as it stands: this one, or what an earlier attempt left and people may have changed since.

        Raises:
            BusError: it can't be written.
            PermanentError: the id is taken by an approval of another task.
        """
        key = approval.approval_id
        try:
            await self._bucket.update(key, approval, 0)
        except ConflictError:
            stored = await self._bucket.get(key)
            if stored is None:
                raise
            if stored[0].task_id != approval.task_id:
                raise PermanentError(
                    f"approval {key} belongs to task {stored[0].task_id}: event ids must be unique"
                ) from None
            approval = stored[0]
        self._seen(approval)
        return approval

    async def change(self, approval_id: str, decide: Callable[[Approval], tuple[Approval, T]]) -> T | None:
        """What `decide` made of the record; None if there is no such record.

        Args:
            decide: gives the record afterwards; called again with what stands there when somebody else was
                first. A record that stays the same isn't written.

        Raises:
            BusError: it can't be read or written.
        """
        lock = self._locks.setdefault(approval_id, asyncio.Lock())
        async with lock:  # of this process one at a time: only other processes can be in the way
            for _ in range(CONFLICTS_MAX):
                stored = await self._bucket.get(approval_id)
                if stored is None:
                    return None
                approval, revision = stored
                changed, answer = decide(approval)
                if changed != approval:
                    try:
                        await self._bucket.update(approval_id, changed, revision)
                    except ConflictError:
                        await asyncio.sleep(random.uniform(0.0, PAUSE_S_MAX))
                        continue
                self._seen(changed)
                return answer
        raise ConflictError(f"approval {approval_id}: lost {CONFLICTS_MAX} times in a row against others")

    async def enter(self, approval: Approval, retire: Callable[[str], Awaitable[None]]) -> str:
        """Make the approval the newest about its matter; the id of a newer one, if there is one.

        The one before is retired first and replaced then, so whoever dies in between does both again.

        Args:
            retire: withdraws an older approval; awaited.

        Raises:
            BusError: it can't be read or written.
        """
        # Of one kind, by one source: nobody withdraws what somebody else has asked for.
        request = approval.request
        key = derive_id(f"{request.kind}\n{approval.requested_by}\n{request.about}", APPROVALS_BUCKET)
        mine = Newest(approval_id=approval.approval_id, requested_at=approval.requested_at)
        for _ in range(CONFLICTS_MAX):
            stored = await self._newest.get(key)
            current, revision = stored or (None, 0)
            if current == mine:
                return ""
            if current is not None:
                if current.rank > mine.rank:
                    return current.approval_id
                await retire(current.approval_id)
            try:
                await self._newest.update(key, mine, revision)
            except ConflictError:
                await asyncio.sleep(random.uniform(0.0, PAUSE_S_MAX))
            else:
                return ""
        raise ConflictError(f"{approval.request.about}: lost {CONFLICTS_MAX} times in a row against others")
