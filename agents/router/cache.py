"""Answers given again: a cache of whole answers, and one flight for callers who ask the same at the same time."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Final, Generic, TypeVar

import msgspec

from schemas.llm import Completion, CompletionRequest

AGE_S: Final = 3_600.0
ENTRIES_MAX: Final = 10_000
BYTES_MAX: Final = 64 * 1024 * 1024
KEY_BYTES: Final = 20

T = TypeVar("T")

_encode = msgspec.json.Encoder(order="deterministic").encode
_decode = msgspec.json.Decoder(Completion).decode


def key_of(request: CompletionRequest, *, salt: str = "") -> str:
    """What two requests share exactly when the answer to one may be given for the other, as hex.

    Who asks, under which id, for how much money and with how much explanation doesn't matter; the tenant does:
    no tenant learns from the time an answer takes what another one asked.

    Args:
        salt: further things that answers depend on, such as the version of the catalogue.
    """
    matters = (
        request.messages,
        request.tools,
        request.schema,
        request.schema_name,
        request.purpose,
        request.temperature,
        request.max_tokens,
        request.tier,
        request.privacy,
        request.model,
        request.prefer,
        request.tenant,
        salt,
    )
    return blake2b(_encode(matters), digest_size=KEY_BYTES).hexdigest()


@dataclass(frozen=True, slots=True)
class _Entry:
    body: bytes
    put_s: float


class ResponseCache:
    """The least recently used answers make room for new ones.

    Answers are kept encoded: their size is known, and nobody can change what others will be given.

    Args:
        age_s: after which an answer is not given again.
        entries_max, bytes_max: most that is kept.
    """

    def __init__(
        self, age_s: float = AGE_S, entries_max: int = ENTRIES_MAX, bytes_max: int = BYTES_MAX
    ) -> None:
        self._age_s = age_s
        self._entries_max = entries_max
        self._bytes_max = bytes_max
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def size_bytes(self) -> int:
        return self._bytes

    def get(self, key: str, now_s: float) -> Completion | None:
        """The answer as it was put, a copy of its own; None when there is none that is young enough."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        if now_s - entry.put_s >= self._age_s:
            self._drop(key)
            return None
        self._entries.move_to_end(key)
        return _decode(entry.body)

    def put(self, key: str, completion: Completion, now_s: float) -> None:
        """Keep an answer, in place of one under the same key; one larger than the whole cache is not kept."""
        self._drop(key)
        try:
            body = _encode(completion)
        except UnicodeEncodeError:
            # Half a surrogate pair, out of an escape in the answer's JSON. It can be given once, not stored.
            return
        if len(body) > self._bytes_max or self._entries_max < 1:
            return
        self._entries[key] = _Entry(body, now_s)
        self._bytes += len(body)
        while len(self._entries) > self._entries_max or self._bytes > self._bytes_max:
            self._drop(next(iter(self._entries)))

    def _drop(self, key: str) -> None:
        entry = self._entries.pop(key, None)
        if entry is not None:
            self._bytes -= len(entry.body)


class _Flight(Generic[T]):
    __slots__ = ("task", "waiting")

    def __init__(self, task: asyncio.Task[T]) -> None:
        self.task = task
        self.waiting = 0


class Flights:
    """One piece of work for each key at a time, whoever asks for it meanwhile."""

    def __init__(self) -> None:
        self._flights: dict[str, _Flight[Any]] = {}

    def __len__(self) -> int:
        return len(self._flights)

    async def run(self, key: str, start: Callable[[], Awaitable[T]]) -> tuple[T, bool]:
        """The result of `start`, or of another caller's that is under way under the same key.

        The work belongs to all who wait: it goes on while one of them is left, and is cancelled (and waited for)
        with the last. An error reaches only the caller who led; the others begin anew, so that one caller's
        deadline or empty budget doesn't fail the rest.

        Returns:
            The result, and whether this caller led.

        Raises:
            Exception: what this caller's `start` raised.
        """
        while True:
            flight = self._flights.get(key)
            is_leader = flight is None
            if flight is None:
                flight = self._begin(key, start)
            await self._wait(key, flight)
            task = flight.task
            if is_leader or not (task.cancelled() or task.exception()):
                return task.result(), is_leader

    def _begin(self, key: str, start: Callable[[], Awaitable[T]]) -> _Flight[T]:
        async def work() -> T:
            return await start()

        flight = _Flight(asyncio.ensure_future(work()))
        self._flights[key] = flight
        flight.task.add_done_callback(lambda _: self._end(key, flight))
        return flight

    async def _wait(self, key: str, flight: _Flight[T]) -> None:
        flight.waiting += 1
        try:
            await asyncio.wait({flight.task})
        except asyncio.CancelledError:
            if flight.waiting == 1 and not flight.task.done():
                # Who comes now must not join work that is being torn down.
                self._end(key, flight)
                flight.task.cancel()
                await asyncio.wait({flight.task})
            raise
        finally:
            flight.waiting -= 1

    def _end(self, key: str, flight: _Flight[Any]) -> None:
        if self._flights.get(key) is flight:
            del self._flights[key]
        if flight.task.done() and not flight.task.cancelled():
            # Looked at, so that an error in work that nobody waits for any more isn't logged as forgotten.
            flight.task.exception()
