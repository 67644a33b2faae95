"""A stand-in provider, an upstream to it, and calls to make."""

from collections.abc import AsyncGenerator, Callable, Iterator
from typing import Any

import pytest
from provider import Provider

from agents.router.offers import Offer
from agents.router.upstream import UpstreamCall
from config.secret import Secret
from orchestrator.upstream import Endpoint, OpenAIUpstream
from schemas.llm import Message

KEY = "sk-test-0123456789abcdef"


@pytest.fixture
def key() -> str:
    return KEY


@pytest.fixture
def provider() -> Iterator[Provider]:
    with Provider() as running:
        yield running


@pytest.fixture
async def upstream(provider: Provider) -> AsyncGenerator[OpenAIUpstream]:
    upstream = OpenAIUpstream({"test": Endpoint(base_url=provider.base_url, key=Secret(KEY), is_local=True)})
    await upstream.warm()
    yield upstream
    await upstream.aclose()


@pytest.fixture
def call() -> Callable[..., UpstreamCall]:
    """A call with what a test doesn't care about filled in; `offer` takes fields of the offer."""

    def make(text: str = "Say hello", *, offer: dict[str, Any] | None = None, **fields: Any) -> UpstreamCall:
        usual = {
            "offer": Offer(**{"provider": "test", "model": "stand-in"} | (offer or {})),
            "messages": (Message(role="user", content=text),),
            "max_tokens": 100,
            "temperature": 0.6,
            "timeout_s": 10.0,
        }
        return UpstreamCall(**usual | fields)

    return make
