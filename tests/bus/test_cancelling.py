"""Tasks that are told to end do end, even when a cancellation comes at a moment at which it is swallowed."""

import asyncio

import pytest

from bus import Bus
from bus.cancelling import cancellations, end, raise_swallowed


async def test_a_task_that_swallows_a_cancellation_is_cancelled_again() -> None:
    swallowed = 0

    async def deaf() -> None:
        nonlocal swallowed
        while True:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                swallowed += 1
                if swallowed == 2:
                    raise

    task = asyncio.create_task(deaf())
    await asyncio.sleep(0)
    await end((task,), again_s=0.05)
    assert task.cancelled()
    assert swallowed == 2


async def test_a_task_that_never_ends_does_not_keep_others_for_ever() -> None:
    async def stubborn() -> None:
        for _ in range(6):
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                pass

    task = asyncio.create_task(stubborn())
    await asyncio.sleep(0)
    await end((task,), again_s=0.02)
    assert not task.done()
    await end((task,), again_s=0.02)
    assert task.done()


async def test_how_tasks_ended_is_nobodys_business() -> None:
    async def fails() -> None:
        raise ValueError("told when it happened")

    task = asyncio.create_task(fails())
    await asyncio.sleep(0)
    await end((task,))
    await end(())


async def test_a_cancellation_that_was_passed_over_is_raised_afterwards() -> None:
    async def asked() -> str:
        before = cancellations()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            pass  # as asyncio.wait_for does when its answer comes at the same moment
        raise_swallowed(before)
        return "went on"

    task = asyncio.create_task(asked())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_requests_never_pass_over_a_cancellation(bus: Bus) -> None:
    """Cancelled a hundred times at every stage of a request, the task ends each time."""
    for number in range(100):
        going = asyncio.Event()

        async def asks(going: asyncio.Event = going) -> None:
            while True:
                going.set()
                await bus.connection.api("INFO")

        task = asyncio.create_task(asks())
        await going.wait()
        for _ in range(number % 7):
            await asyncio.sleep(0)
        await asyncio.sleep(number * 3e-5)
        task.cancel()
        async with asyncio.timeout(10):
            await asyncio.wait((task,))
        assert task.cancelled()


async def test_what_a_cancelled_task_does_to_leave_in_good_order_is_not_disturbed(bus: Bus) -> None:
    answered = asyncio.Event()

    async def leaves() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            await bus.connection.api("INFO")
            answered.set()

    task = asyncio.create_task(leaves())
    await asyncio.sleep(0)
    await end((task,))
    assert answered.is_set()
