"""OpenAIUpstream: the router's port to providers, over the OpenAI protocol.

Each call is one HTTP request. Its `timeout_s` is one absolute limit over connecting, waiting, and the last byte
of the body; who is cancelled closes the connection, so that the provider stops working (and billing).
"""

import asyncio
import importlib
import sys
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import TYPE_CHECKING, Final

from agents.router.offers import Offer
from agents.router.upstream import FailureKind, UpstreamAnswer, UpstreamCall, UpstreamError
from orchestrator.upstream.endpoint import Endpoint

if TYPE_CHECKING:
    from orchestrator.upstream.exchange import Exchange

ENDPOINTS_MAX: Final = 1_000
CHECK_S_MAX: Final = 5.0
_EXCHANGE: Final = "orchestrator.upstream.exchange"


class OpenAIUpstream:
    """Requests to the providers of `endpoints`, by provider's name. Close it with `aclose`."""

    def __init__(self, endpoints: Mapping[str, Endpoint]) -> None:
        self._endpoints = dict(endpoints)
        self._exchanges: dict[str, Exchange] = {}
        self._retired: list[Exchange] = []

    def __repr__(self) -> str:
        return f"OpenAIUpstream({', '.join(sorted(self._endpoints))})"

    def add(self, provider: str, endpoint: Endpoint) -> None:
        """Take in an endpoint that was found later, or another address or key of a known one.

        Requests that are out finish where they went.

        Raises:
            ValueError: there are ENDPOINTS_MAX already.
        """
        if self._endpoints.get(provider) == endpoint:
            return
        if provider not in self._endpoints and len(self._endpoints) == ENDPOINTS_MAX:
            raise ValueError(f"no endpoint for {provider}: there are {ENDPOINTS_MAX} already")
        self._endpoints[provider] = endpoint
        if (exchange := self._exchanges.pop(provider, None)) is not None:
            self._retired.append(exchange)

    async def warm(self) -> None:
        """Load what the first request would load; a second's work, in a thread."""
        if _EXCHANGE not in sys.modules:
            await asyncio.to_thread(importlib.import_module, _EXCHANGE)

    async def aclose(self) -> None:
        """Close all connections. Requests that are out fail; a later one connects anew."""
        exchanges = [*self._exchanges.values(), *self._retired]
        self._exchanges.clear()
        self._retired.clear()
        for exchange in exchanges:
            await exchange.aclose()

    async def complete(self, call: UpstreamCall) -> UpstreamAnswer:
        """The whole answer of one request.

        Raises:
            UpstreamError: it failed, or `call.timeout_s` was over.
        """
        until_s = _until_s(call)
        exchange = self._exchanges.get(call.offer.provider) or await self._open(call, until_s)
        return await exchange.complete(call, until_s)

    async def stream(self, call: UpstreamCall) -> AsyncGenerator[str | UpstreamAnswer]:
        """Pieces of text as they come, and at the end the whole answer. Closing it early stops the request.

        Time that the caller takes between pieces counts towards `call.timeout_s`.

        Raises:
            UpstreamError: as `complete`; with `text` when pieces had come.
        """
        until_s = _until_s(call)
        exchange = self._exchanges.get(call.offer.provider) or await self._open(call, until_s)
        async with aclosing(exchange.stream(call, until_s)) as pieces:
            async for piece in pieces:
                yield piece

    async def check(self, provider: str, *, timeout_s: float = CHECK_S_MAX) -> str:
        """Why `provider` can't be used, in one line; empty when it is there and takes its key. Costs nothing."""
        offer = Offer(provider=provider, model="models")
        call = UpstreamCall(offer=offer, messages=(), max_tokens=0, temperature=0.0, timeout_s=timeout_s)
        try:
            until_s = _until_s(call)
            exchange = self._exchanges.get(provider) or await self._open(call, until_s)
            await exchange.check(call, until_s)
        except UpstreamError as error:
            return str(error)
        return ""

    async def _open(self, call: UpstreamCall, until_s: float) -> "Exchange":
        """The exchange with the call's provider, whose first call this is."""
        provider = call.offer.provider
        if (endpoint := self._endpoints.get(provider)) is None:
            known = ", ".join(sorted(self._endpoints)) or "none"
            message = f"no endpoint for provider {provider}; there are: {known}"
            raise UpstreamError(FailureKind.UNREACHABLE, message, was_sent=False)
        try:
            async with asyncio.timeout_at(until_s):
                await self.warm()
        except TimeoutError:
            raise _too_late(call) from None
        from orchestrator.upstream.exchange import Exchange

        if (exchange := self._exchanges.get(provider)) is None:  # another call may have been here meanwhile
            exchange = self._exchanges[provider] = Exchange(provider, endpoint)
        return exchange


def _until_s(call: UpstreamCall) -> float:
    """When the call's time is over, on the loop's clock."""
    if call.timeout_s <= 0:
        raise _too_late(call)
    return asyncio.get_running_loop().time() + call.timeout_s


def _too_late(call: UpstreamCall) -> UpstreamError:
    message = f"{call.offer.name}: the time was over before the request could be sent"
    return UpstreamError(FailureKind.TIMEOUT, message, was_sent=False)
