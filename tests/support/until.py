"""Waiting in tests for something to become true, with a limit."""

import asyncio
import time
from collections.abc import Awaitable, Callable


async def until(condition: Callable[[], object], *, within_s: float = 10.0, what: str = "") -> None:
    """Return as soon as `condition()` holds; fail the test after `within_s`."""
    end = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < end, f"not within {within_s:g} s: {what or condition}"
        await asyncio.sleep(0.005)


async def until_async(
    condition: Callable[[], Awaitable[object]], *, within_s: float = 10.0, what: str = ""
) -> None:
    """The same for a condition that has to be awaited."""
    end = time.monotonic() + within_s
    while not await condition():
        assert time.monotonic() < end, f"not within {within_s:g} s: {what or condition}"
        await asyncio.sleep(0.02)
