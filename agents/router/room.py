"""Waiting for room at providers: who waits is woken when one that it could use has a place free, first come first.

Woken callers look for themselves; the place isn't kept for them. So a wake-up that comes too often does no harm,
and one that gets lost costs `LOOK_AGAIN_S`.
"""

import asyncio
from collections import deque
from collections.abc import Iterable
from typing import Final

LOOK_AGAIN_S: Final = 1.0
"""Who waits looks again at least this often."""


class Room:
    """Callers that wait, by provider."""

    def __init__(self) -> None:
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}

    async def wait(self, providers: Iterable[str], timeout_s: float) -> None:
        """Until one of `providers` has room, `timeout_s`, or `LOOK_AGAIN_S`."""
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        lines = [self._waiting.setdefault(provider, deque()) for provider in set(providers)]
        for line in lines:
            line.append(woken)
        try:
            async with asyncio.timeout(max(0.0, min(timeout_s, LOOK_AGAIN_S))):
                await woken
        except TimeoutError:
            pass
        except asyncio.CancelledError:
            if woken.done() and not woken.cancelled():
                for line in lines:  # it was woken and leaves: the next one takes its turn
                    _wake(line, 1)
            raise
        finally:
            for line in lines:
                if woken in line:
                    line.remove(woken)

    def freed(self, provider: str, places: int) -> None:
        """Wake so many of those who wait for `provider`."""
        if line := self._waiting.get(provider):
            _wake(line, places)


def _wake(line: deque[asyncio.Future[None]], places: int) -> None:
    while line and places > 0:
        woken = line.popleft()
        if not woken.done():
            woken.set_result(None)
            places -= 1
