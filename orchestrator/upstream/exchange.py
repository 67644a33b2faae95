"""Exchange: requests to one endpoint, their answers, and their failures as `UpstreamError`.

Loaded with the first request (see client.py).
"""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Final
from weakref import WeakSet

import httpx2

from agents.router.upstream import FailureKind, UpstreamAnswer, UpstreamCall, UpstreamError
from orchestrator.upstream.answer import Assembly, NotAnAnswerError, answer_of
from orchestrator.upstream.client import (
    TRANSPORT_ERRORS,
    StatusError,
    TooLargeError,
    close,
    kind_of,
    make_client,
    pieces_of,
    send,
    send_models,
)
from orchestrator.upstream.endpoint import Endpoint
from orchestrator.upstream.failures import failure_of, shown
from orchestrator.upstream.request import body_of
from orchestrator.upstream.sse import DONE, EventLines, TooLongError

DRAIN_S_MAX: Final = 0.02
"""After a stream's `[DONE]`, how long to wait for the body's end, without which its connection isn't used again."""

WHOLE_TYPES: Final = ("application/json", "text/html")
"""What a server answers with that doesn't stream (no harm), or that is none (`answer` tells)."""


class CutError(Exception):
    """Raised when a stream ends in order, but in the middle of the answer."""


FAILURES: Final = (*TRANSPORT_ERRORS, StatusError, TooLargeError, TooLongError, NotAnAnswerError, CutError)
"""What becomes an UpstreamError; TimeoutError is among them, as an OSError."""


class Exchange:
    """Requests to `endpoint`.

    Raises:
        UpstreamError: the endpoint can't be used as it is configured.
    """

    def __init__(self, provider: str, endpoint: Endpoint) -> None:
        self._client = make_client(provider, endpoint)
        self._is_kept = endpoint.is_kept
        self._secrets = (endpoint.key.reveal().strip(),)
        self._limits: WeakSet[asyncio.Timeout] = WeakSet()
        self._is_closed = False

    async def aclose(self) -> None:
        """Close the connections. Requests that are out fail with CONNECTION_LOST."""
        self._is_closed = True
        now_s = asyncio.get_running_loop().time()
        for limit in tuple(
            self._limits
        ):  # aiohttp doesn't wake who reads a body when it closes their connection
            try:
                limit.reschedule(now_s)
            except RuntimeError:
                pass  # over already
        await self._client.close()

    async def complete(self, call: UpstreamCall, until_s: float) -> UpstreamAnswer:
        """The whole answer. `until_s` is of the loop's clock.

        Raises:
            UpstreamError: it failed, or `until_s` has come.
        """
        limit = self._limit(until_s)
        response = None
        try:
            async with limit:
                response = await send(self._client, body_of(call, is_stream=False), until_s=until_s)
                try:
                    body = await _all(response)
                finally:
                    await close(response)
            return answer_of(body)
        except FAILURES as error:
            failure = self._failure(call, error, is_late=limit.expired(), is_answered=response is not None)
        raise failure  # out here it has no causes: they know the request, and with it the key

    async def stream(self, call: UpstreamCall, until_s: float) -> AsyncGenerator[str | UpstreamAnswer]:
        """Pieces of text, and at the end the whole answer.

        Raises:
            UpstreamError: it failed, or `until_s` has come; with `text` when pieces had come.
        """
        assembly = Assembly()
        response = None
        try:
            try:
                async with self._limit(until_s):
                    # llama.cpp closes it after every stream without saying so, and the next request would be lost.
                    body = body_of(call, is_stream=True)
                    response = await send(self._client, body, until_s=until_s, closes=call.offer.is_local)
                async with aclosing(self._texts(response, assembly, until_s)) as texts:
                    async for text in texts:
                        yield text
                answer = assembly.answer()
            finally:
                if response is not None:
                    await close(response)
        except FAILURES as error:
            is_late = asyncio.get_running_loop().time() >= until_s
            failure = self._failure(call, error, is_late=is_late, is_answered=response is not None)
            failure.text = assembly.text
        else:
            yield answer
            return
        raise failure

    async def check(self, call: UpstreamCall, until_s: float) -> None:
        """Ask for the list of models, which costs nothing, and leave it unread.

        Args:
            call: stands for the request in an error.

        Raises:
            UpstreamError: the endpoint can't be reached, or doesn't take the key.
        """
        limit = self._limit(until_s)
        try:
            async with limit:
                await close(await send_models(self._client, until_s=until_s))
            return
        except FAILURES as error:
            failure = self._failure(call, error, is_late=limit.expired(), is_answered=False)
        if failure.kind is not FailureKind.NO_SUCH_MODEL:  # a provider may have no such list
            raise failure

    async def _texts(
        self, response: httpx2.Response, assembly: Assembly, until_s: float
    ) -> AsyncGenerator[str]:
        """Pieces of text as they come, put into `assembly` too.

        The limit stands around each read alone, never around a `yield`: there it would cancel the caller.
        """
        if response.headers.get("content-type", "").startswith(WHOLE_TYPES):
            async with self._limit(until_s):
                body = await _all(response)
            yield assembly.add(body)
            return
        events = EventLines()
        async with aclosing(pieces_of(response)) as pieces:
            while True:
                async with self._limit(until_s):
                    piece = await anext(pieces, None)
                for data in events.end() if piece is None else events.feed(piece):
                    if data == DONE:
                        await _drain(pieces)
                        return
                    if text := assembly.add(data):
                        yield text
                if piece is None:
                    break
        if not assembly.is_finished and assembly.has_choice:
            raise CutError("the stream ended before the answer did")

    def _limit(self, until_s: float) -> asyncio.Timeout:
        limit = asyncio.timeout_at(until_s)
        self._limits.add(limit)
        return limit

    def _failure(
        self, call: UpstreamCall, error: Exception, *, is_late: bool, is_answered: bool
    ) -> UpstreamError:
        if isinstance(error, StatusError):
            return failure_of(
                call, error.status, error.headers, error.body, now_s=time.time(), secrets=self._secrets
            )
        status = 200 if is_answered else 0
        if self._is_closed:
            message = f"{call.offer.name}: the connections were closed while the request was out"
            return UpstreamError(FailureKind.CONNECTION_LOST, message, status=status)
        if is_late or isinstance(error, TimeoutError):
            message = f"{call.offer.name}: no whole answer within {call.timeout_s:g} s"
            return UpstreamError(FailureKind.TIMEOUT, message, status=status)
        if isinstance(error, CutError):
            kind, was_sent, what = FailureKind.CONNECTION_LOST, True, str(error)
        elif isinstance(error, TRANSPORT_ERRORS):
            kind, was_sent, what = kind_of(error)
            if kind is FailureKind.UNREACHABLE and self._is_kept():
                kind, what = FailureKind.LOADING, "it ended, and is started again"
        else:
            kind, was_sent, what = FailureKind.GARBAGE, True, str(error)
        message = shown(f"{call.offer.name}: {kind.replace('_', ' ')}: {what}", self._secrets)
        return UpstreamError(kind, message, status=status, was_sent=was_sent)


async def _all(response: httpx2.Response) -> bytes:
    return b"".join([piece async for piece in pieces_of(response)])


async def _drain(pieces: AsyncGenerator[bytes]) -> None:
    try:
        async with asyncio.timeout(DRAIN_S_MAX):
            await anext(pieces, None)
    except FAILURES:
        pass  # the answer is whole; the connection is closed instead of used again
