"""Pace: so many messages a second to one channel, and no more."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

CHANNELS_MAX: Final = 1_000
"""Channels that are remembered; of the longest unused one it is forgotten when it was written to."""


@dataclass(eq=False, slots=True, kw_only=True)
class Pace:
    """Lets callers through one after the other, in the order in which they came.

    Args:
        every_s: between two of one channel. Slack allows about one a second, bursts aside.
        clock: seconds that never go back.
    """

    every_s: float = 1.0
    clock: Callable[[], float] = time.monotonic
    _free_at: OrderedDict[str, float] = field(default_factory=OrderedDict)

    async def wait(self, channel: str) -> None:
        """Return when it is the caller's turn to write to `channel`."""
        await asyncio.sleep(self.turn(channel, self.clock()))

    def turn(self, channel: str, now_s: float) -> float:
        """Core: take the next free turn; seconds until then."""
        free_at = max(now_s, self._free_at.get(channel, now_s))
        self._free_at[channel] = free_at + self.every_s
        self._free_at.move_to_end(channel)
        while len(self._free_at) > CHANNELS_MAX:
            self._free_at.popitem(last=False)
        return free_at - now_s
