"""Fixtures for all tests: a fresh real nats-server for each test that asks for one, and buses on it."""

import logging
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from pathlib import Path

import pytest
import pytest_asyncio
from natsserver import NatsServer

from bus import Bus, BusOptions, StreamLimits, open_bus

OpenBus = Callable[..., AbstractAsyncContextManager[Bus]]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[NatsServer]:
    """A nats-server with JetStream, started in tens of milliseconds, gone after the test."""
    server = NatsServer(tmp_path / "nats").start()
    yield server
    server.stop()


@pytest.fixture
def options(server: NatsServer) -> BusOptions:
    return BusOptions(
        connect=server.options, source="test", grace_s=1.0, limits=StreamLimits(messages_max=100_000)
    )


@pytest_asyncio.fixture
async def bus(options: BusOptions) -> AsyncIterator[Bus]:
    async with open_bus(options) as bus:
        yield bus


@pytest_asyncio.fixture
async def second_bus(options: BusOptions) -> AsyncIterator[Bus]:
    """Another connection to the same server, as another process would have it."""
    async with open_bus(options) as bus:
        yield bus


@pytest_asyncio.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as stack:
        yield stack


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger="labverse")
