"""Reads a request's body before its endpoint sees it: so many bytes, within so many seconds, or not at all."""

import asyncio
from typing import Final

from starlette.types import Message, Receive, Scope

from orchestrator.gateway.endpoint import ApiError

BODY_S: Final = 20.0
"""For the whole of a body to arrive."""
DRAIN_S: Final = 1.0
DRAIN_BYTES_MAX: Final = 4 * 1024 * 1024
"""Of a body that nobody wants, read so that its sender gets to our answer."""


class GoneError(Exception):
    """Raised when the client left before its request was complete."""


async def read_body(scope: Scope, receive: Receive, bytes_max: int, within_s: float = BODY_S) -> bytes:
    """The whole body.

    Raises:
        ApiError: 413 it is too large, 408 it is too slow, 400 its length is none.
        GoneError: there is nobody to answer any more.
    """
    told = header(scope, b"content-length")
    if told and not told.isdigit():
        raise ApiError(400, "bad_request", "Content-Length is no number")
    if told and int(told[:20]) > bytes_max:
        if header(scope, b"expect").lower() != b"100-continue":  # who waits for a word has not begun to send
            await drain(receive)
        raise _too_large(bytes_max)
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(within_s):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise GoneError
                parts.append(message.get("body", b""))
                size += len(parts[-1])
                if size > bytes_max:
                    break
                if not message.get("more_body", False):
                    return b"".join(parts)
    except TimeoutError:
        raise ApiError(408, "too_slow", f"the body did not arrive within {within_s:g} s") from None
    parts.clear()
    await drain(receive)
    raise _too_large(bytes_max)


def _too_large(bytes_max: int) -> ApiError:
    return ApiError(413, "too_large", f"the body is larger than {bytes_max} bytes (gateway.body_bytes_max)")


async def drain(receive: Receive) -> None:
    """Throw away what the client is still sending, within limits. Closing at once would take our answer from it."""
    size = 0
    try:
        async with asyncio.timeout(DRAIN_S):
            while size < DRAIN_BYTES_MAX:
                message = await receive()
                size += len(message.get("body", b""))
                if not message.get("more_body", False):
                    return
    except TimeoutError:
        return


def replay(body: bytes, receive: Receive) -> Receive:
    """`receive` for an endpoint: the body in one piece, then what comes."""
    first: Message | None = {"type": "http.request", "body": body, "more_body": False}

    async def again() -> Message:
        nonlocal first
        if first is None:
            return await receive()
        message, first = first, None
        return message

    return again


def has_body(scope: Scope) -> bool:
    """Whether the client sends one."""
    return header(scope, b"content-length") not in (b"", b"0") or bool(header(scope, b"transfer-encoding"))


def header(scope: Scope, name: bytes) -> bytes:
    """The first header of that name (in lower case), empty if there is none."""
    return next((value for known, value in scope["headers"] if known == name), b"")
