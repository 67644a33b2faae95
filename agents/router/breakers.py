"""Breakers that all routers share: each tells what it saw, and reads what others saw, through a KV bucket.

A model has one for itself, and one for its provider, for failures that concern all its models (a bad key, no
credit, nobody there). States only ever merge (`breaker.merge`), so order and repetition do no harm.
"""

import asyncio
import hashlib
import logging
from collections.abc import Callable
from dataclasses import asdict
from typing import Final

import msgspec

from agents.router.breaker import (
    UNLIMITED,
    BreakerState,
    after_failure,
    after_success,
    believable,
    is_half_open,
    is_open,
    merge,
    probes_allowed,
)
from agents.router.learned import Learned
from agents.router.offers import Offer
from agents.router.upstream import FailureKind, UpstreamError
from bus import Bus, BusError, ConflictError
from bus.kv import Bucket
from bus.reader import StreamReader

log = logging.getLogger("labverse.router")

BUCKET: Final = "BREAKERS"
AGE_MAX_S: Final = 3_700.0
TELL_TRIES_MAX: Final = 60
RETRY_S: Final = 1.0
STATES_MAX: Final = 10_000
OF_PROVIDER: Final = frozenset({FailureKind.BAD_KEY, FailureKind.OUT_OF_CREDIT, FailureKind.UNREACHABLE})


class BreakerRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A breaker as it stands in the bucket; `name` is `provider` or `provider/model`."""

    name: str
    open_until_s: float = 0.0
    failures: int = 0
    reason: str = ""
    opened_by: str = ""
    failed_s: float = 0.0
    succeeded_s: float = 0.0

    def state(self) -> BreakerState:
        return BreakerState(
            open_until_s=self.open_until_s,
            failures=self.failures,
            reason=self.reason,
            opened_by=self.opened_by,
            failed_s=self.failed_s,
            succeeded_s=self.succeeded_s,
        )


def breakers_bucket(bus: Bus) -> Bucket[BreakerRecord]:
    return bus.bucket(BUCKET, BreakerRecord, age_max_s=AGE_MAX_S)


class Breakers:
    """This router's view of all breakers.

    Args:
        bus: None keeps them to this router alone.
    """

    def __init__(self, bus: Bus | None, learned: Learned, router_id: str, clock: Callable[[], float]) -> None:
        self._bus = bus
        self._learned = learned
        self._router_id = router_id
        self._clock = clock
        self._states: dict[str, BreakerState] = {}
        self._telling: dict[str, asyncio.Task[None]] = {}
        self._decoder = msgspec.json.Decoder(BreakerRecord)
        self._is_made = False

    def of(self, offer: Offer) -> tuple[BreakerState, ...]:
        """The states that a request to this offer depends on; empty when nothing ever went wrong."""
        states = self._states
        if not states:
            return ()
        return tuple(
            state for name in (offer.name, offer.provider) if (state := states.get(name)) is not None
        )

    def is_probing(self, offer: Offer) -> bool:
        """Whether it is just coming back, and as many requests as may try are out already."""
        now_s, in_flight = self._clock(), self._learned.limit(offer).in_flight
        return any(
            not is_open(state, now_s) and in_flight >= probes_allowed(state, now_s)
            for state in self.of(offer)
        )

    def opens_at(self, offer: Offer) -> float:
        """When requests may go again; 0 when they may now."""
        now_s = self._clock()
        return max((state.open_until_s for state in self.of(offer) if is_open(state, now_s)), default=0.0)

    def failed(self, offer: Offer, error: UpstreamError) -> None:
        name = offer.provider if error.kind in OF_PROVIDER else offer.name
        before, now_s = self._states.get(name, BreakerState()), self._clock()
        after = after_failure(
            before, error.kind, now_s, retry_after_s=error.retry_after_s, router_id=self._router_id
        )
        if after != before:
            self._states[name] = after
            if after.open_until_s != before.open_until_s:
                if not is_open(before, now_s):
                    pause_s = after.open_until_s - now_s
                    log.warning("%s: breaker open for %.1f s: %s", name, pause_s, error.kind.value)
                self._tell(name)

    def succeeded(self, offer: Offer, started_s: float) -> None:
        now_s = self._clock()
        for name in (offer.name, offer.provider):
            before = self._states.get(name)
            if before is None:
                continue
            after = after_success(before, started_s, now_s)
            if after != before:
                self._states[name] = after
                if is_half_open(before, now_s):
                    # Whoever waited comes back by and by, not all at once.
                    self._learned.limit(offer).restart()
                    log.info("%s: breaker closed", name)
                    self._tell(name)

    def _tell(self, name: str) -> None:
        if self._bus is not None and name not in self._telling:
            task = asyncio.create_task(self._keep_telling(name), name=f"tell breaker {name}")
            self._telling[name] = task
            task.add_done_callback(lambda _: self._telling.pop(name, None))

    async def _keep_telling(self, name: str) -> None:
        """Until the bucket holds what is known here: it may change while it is being written."""
        for _ in range(TELL_TRIES_MAX):
            try:
                if await self._write(name):
                    return
            except ConflictError:
                continue
            except BusError as error:
                log.debug("breaker %s can't be told yet: %s", name, error)
                await asyncio.sleep(RETRY_S)

    async def _write(self, name: str) -> bool:
        """Merge what the bucket holds with what is known here, both ways; whether they agree now.

        Raises:
            ConflictError: another router wrote at the same time.
        """
        assert self._bus is not None
        bucket, key = breakers_bucket(self._bus), key_of(name)
        await self._made(bucket)
        stored = await bucket.get(key)
        if stored:
            self._merge(stored[0])
        record = BreakerRecord(name=name, **asdict(self._states[name]))
        if not stored or stored[0] != record:
            await bucket.update(key, record, stored[1] if stored else 0)
        return BreakerRecord(name=name, **asdict(self._states[name])) == record

    def _merge(self, record: BreakerRecord) -> None:
        now_s = self._clock()
        theirs = believable(record.state(), now_s)
        before = self._states.get(record.name, BreakerState())
        after = merge(before, theirs)
        if after == BreakerState():
            return
        self._states[record.name] = after
        if probes_allowed(before, now_s) < UNLIMITED <= probes_allowed(after, now_s):
            # Another router found it well again: those who waited here don't come back all at once either.
            self._learned.restart(record.name.partition("/")[0])

    async def _made(self, bucket: Bucket[BreakerRecord]) -> None:
        if not self._is_made:
            await bucket.ensure()
            self._is_made = True

    async def listen(self) -> None:
        """Take over what other routers tell, until cancelled."""
        assert self._bus is not None
        bucket = breakers_bucket(self._bus)
        while True:
            try:
                await self._made(bucket)
                async with StreamReader(
                    self._bus.connection, f"KV_{BUCKET}", (f"$KV.{BUCKET}.>",), start="last"
                ) as reader:
                    while True:
                        message = await reader.read()
                        if message.data:
                            await self._hear(bucket, message.subject, message.data)
            except BusError as error:
                log.debug("breakers of other routers can't be read: %s", error)
                await asyncio.sleep(RETRY_S)

    async def _hear(self, bucket: Bucket[BreakerRecord], subject: str, data: bytes) -> None:
        try:
            record = self._decoder.decode(data)
        except msgspec.DecodeError as error:
            # Left there it would keep every router from telling anything under this key.
            log.warning("a breaker's record is unreadable and is removed: %s", error)
            await bucket.purge(subject.rpartition(".")[2])
            return
        if len(self._states) < STATES_MAX or record.name in self._states:
            self._merge(record)


def key_of(name: str) -> str:
    """A bucket key for a name that may hold any character."""
    return hashlib.blake2b(name.encode(), digest_size=12).hexdigest()
