"""Routers on a real nats-server, with the real cost guard, and real HTTP to stand-in providers."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
import pytest_asyncio
from provider import Provider, Reply
from routerlab import Lab

from bus import Bus
from orchestrator.chores import end
from orchestrator.upstream import OpenAIUpstream

HELLO = Reply()
StartProvider = Callable[..., Provider]


@pytest.fixture
def start_provider() -> Iterator[StartProvider]:
    """Start stand-in providers; arguments as `Provider`'s."""
    with ExitStack() as stack:

        def start(behaviour: Any = HELLO, **options: Any) -> Provider:
            return stack.enter_context(Provider(behaviour, **options))

        yield start


@pytest_asyncio.fixture
async def lab(bus: Bus) -> AsyncIterator[Lab]:
    upstream = OpenAIUpstream({})
    await upstream.warm()
    lab = Lab(bus, upstream)
    yield lab
    await end(lab.tasks)
    await upstream.aclose()


@pytest_asyncio.fixture
async def guarded(lab: Lab) -> Lab:
    """A lab with a cost guard that has plenty of money."""
    await lab.guard()
    return lab
