"""Brings messages to the chat, each once, and keeps them showing what they should.

State    the bucket `SLACK_OUTBOX`: one `OutboxEntry` a message, written by compare-and-swap
Effects  posts, changes, and (its own, posted twice) removes messages in the chat
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

import msgspec

from agents.messenger.chat import Card, Chat, MessageGoneError, Place, UnknownOutcomeError
from agents.messenger.entry import (
    SEND_WITHIN_S,
    SETTLING_S,
    Ask,
    Nothing,
    OutboxEntry,
    Post,
    Update,
    Wait,
    next_step,
)
from agents.messenger.pace import Pace
from bus import Bus, ConflictError, PermanentError, RetryableError
from bus.envelope import parse_time, time_text
from bus.kv import Bucket
from bus.redact import error_text
from schemas.ids import new_id

log = logging.getLogger("labverse.messenger")

BUCKET: Final = "SLACK_OUTBOX"
ENTRIES_AGE_MAX_S: Final = 60 * 86_400.0
STEPS_MAX: Final = 20
"""For one message in one go; then it is tried again later."""
CONTENDED_S: Final = 2.0

Wanted = Callable[[], Awaitable[Card | None]]
"""Makes the card as it should be now; None: nothing is to be shown any more, or nothing yet."""


def outbox_bucket(bus: Bus) -> Bucket[OutboxEntry]:
    """The bucket of all entries; `ensure` it before first use."""
    return bus.bucket(BUCKET, OutboxEntry, age_max_s=ENTRIES_AGE_MAX_S)


@dataclass(eq=False, slots=True, kw_only=True)
class Outbox:
    """Converges messages: `show` may be called for the same message by many at once, here and elsewhere.

    Args:
        settling_s: after a call of unknown outcome, before the chat is asked what came of it.
        clock: seconds since 1970.
    """

    bucket: Bucket[OutboxEntry]
    chat: Chat
    pace: Pace = field(default_factory=Pace)
    settling_s: float = SETTLING_S
    clock: Callable[[], float] = time.time
    _at_work: dict[str, tuple[asyncio.Lock, int]] = field(default_factory=dict)

    async def show(
        self, key: str, wanted: Wanted, *, channel: str, thread_ts: str = "", may_change: bool = True
    ) -> Place | None:
        """Make the message `key` show the card that `wanted` makes; where it stands, None when nowhere.

        Args:
            channel: for its first posting.
            may_change: False leaves it alone once it stands there.

        Raises:
            RetryableError: not yet; see its `delay_s`.
            PermanentError: never, unless a person mends what the message says.
        """
        async with self._alone(key):
            message = _Message(self, key, wanted, channel, thread_ts)
            return await message.converge(may_change=may_change)

    @asynccontextmanager
    async def _alone(self, key: str) -> AsyncIterator[None]:
        """Within this process nobody else is at this message: a burst of votes becomes one change."""
        lock, users = self._at_work.get(key, (asyncio.Lock(), 0))
        self._at_work[key] = (lock, users + 1)
        try:
            async with lock:
                yield
        finally:
            lock, users = self._at_work[key]
            if users > 1:
                self._at_work[key] = (lock, users - 1)
            else:
                del self._at_work[key]


class _Message:
    """One go at one message."""

    def __init__(self, outbox: Outbox, key: str, wanted: Wanted, channel: str, thread_ts: str) -> None:
        self._bucket = outbox.bucket
        self._chat = outbox.chat
        self._pace = outbox.pace
        self._clock = outbox.clock
        self._settling_s = outbox.settling_s
        self._key = key
        self._wanted = wanted
        self._channel = channel
        self._thread_ts = thread_ts
        self._has_turn = False
        self._must_update = False
        self._doubles: list[Place] = []  # what we posted and could not settle, since another took over

    async def converge(self, *, may_change: bool) -> Place | None:
        for _ in range(STEPS_MAX):
            stored = await self._bucket.get(self._key)
            entry, revision = stored if stored is not None else (OutboxEntry(), 0)
            card = await self._wanted()
            if card is None or (entry.state == "sent" and not may_change):
                return await self._done(entry)
            step = next_step(
                entry,
                card.fingerprint,
                self._clock(),
                settling_s=self._settling_s,
                must_update=self._must_update,
            )
            if isinstance(step, Nothing):
                return await self._done(entry)
            if isinstance(step, Wait):
                await self._wait(step)
                continue
            if not self._has_turn:  # and then look again: much may happen until it comes
                await self._pace.wait(entry.channel or self._channel)
                self._has_turn = True
                continue
            self._has_turn = False
            try:
                await self._take(step, entry, revision, card)
            except ConflictError:
                log.debug("another messenger was first on %s", self._key)
        raise RetryableError(f"message {self._key} is contended", delay_s=CONTENDED_S)

    async def _take(self, step: Post | Update | Ask, entry: OutboxEntry, revision: int, card: Card) -> None:
        if isinstance(step, Ask):
            await self._ask(entry, revision, step.since_s)
            return
        armed = self._armed(entry)
        revision = await self._bucket.update(self._key, armed, revision)
        if self._clock() - parse_time(armed.armed_at) > SEND_WITHIN_S:
            raise RetryableError(f"message {self._key}: stood still before sending", delay_s=CONTENDED_S)
        place = await self._call_settling_failures(armed, revision, card)
        if place is None:
            return
        sent = msgspec.structs.replace(
            armed, state="sent", channel=place.channel, ts=place.ts, shown=card.fingerprint
        )
        if await self._settle(sent, revision):
            self._must_update = False
        elif entry.ts:
            self._must_update = True
        else:
            self._doubles.append(place)

    def _armed(self, entry: OutboxEntry) -> OutboxEntry:
        now = time_text(self._clock())
        return msgspec.structs.replace(
            entry,
            state="armed",
            channel=entry.channel if entry.ts else self._channel,  # it may have been corrected since
            armed_at=now,
            first_armed_at=entry.first_armed_at or now,
            owner=new_id(),
            attempts=entry.attempts + 1,
        )

    async def _call_settling_failures(self, armed: OutboxEntry, revision: int, card: Card) -> Place | None:
        """Where the message stands now; None when it is gone."""
        try:
            return await self._call(armed, card)
        except (RetryableError, PermanentError):  # nothing was done
            before = "sent" if armed.ts else "free"
            await self._settle(msgspec.structs.replace(armed, state=before), revision)
            raise
        except UnknownOutcomeError as error:
            log.info("message %s: %s; the chat will be asked", self._key, error_text(error))
            ended = time_text(self._clock())
            await self._settle(msgspec.structs.replace(armed, state="unknown", armed_at=ended), revision)
            raise RetryableError(f"message {self._key}: {error}", delay_s=self._settling_s) from None
        except MessageGoneError:
            log.warning("message %s was deleted in the chat; it is left so", self._key)
            await self._settle(msgspec.structs.replace(armed, state="gone"), revision)
            return None

    async def _call(self, armed: OutboxEntry, card: Card) -> Place:
        if not armed.ts:
            return await self._chat.post(armed.channel, card, key=self._key, thread_ts=self._thread_ts)
        place = Place(channel=armed.channel, ts=armed.ts)
        await self._chat.update(place, card, key=self._key)
        return place

    async def _ask(self, entry: OutboxEntry, revision: int, since_s: float) -> None:
        """Whose outcome is unknown: it stands in the chat, or it never came there and may be posted again."""
        found = await self._chat.find(
            entry.channel, key=self._key, since_s=since_s, thread_ts=self._thread_ts
        )
        if found is None:
            settled = msgspec.structs.replace(entry, state="free", owner=new_id())
        else:
            log.info("message %s stands in the chat already", self._key)
            settled = msgspec.structs.replace(
                entry,
                state="sent",
                channel=found.place.channel,
                ts=found.place.ts,
                shown=found.shown,
                owner=new_id(),
            )
        await self._bucket.update(self._key, settled, revision)

    async def _settle(self, entry: OutboxEntry, revision: int) -> bool:
        """Whether it was still ours."""
        try:
            await self._bucket.update(self._key, entry, revision)
        except ConflictError:
            log.warning("message %s was taken over while it was sent", self._key)
            return False
        return True

    async def _wait(self, step: Wait) -> None:
        if not self._doubles:
            raise RetryableError(f"message {self._key}: another messenger is at it", delay_s=step.delay_s)
        await asyncio.sleep(min(step.delay_s, CONTENDED_S))

    async def _done(self, entry: OutboxEntry) -> Place | None:
        place = Place(channel=entry.channel, ts=entry.ts) if entry.ts else None
        for double in self._doubles:
            if place is not None and double != place:
                log.warning("message %s was posted twice; one is removed", self._key)
                await self._chat.remove(double)
        return place
