"""Client: one `AsyncOpenAI` for each endpoint, and one HTTP request through it.

Loaded by `OpenAIUpstream.warm` or the first request, since the imports take 0.8 s. Of the openai client we use
the way to the wire (addresses, authorization, connection pool over aiohttp), not its models: msgspec reads the
answers, which is several times faster.
"""

import asyncio
import ssl
from collections.abc import AsyncGenerator, Mapping
from typing import Any, Final, cast

import aiohttp
import httpx2
import openai
from aiohttp import http_exceptions

from agents.router.upstream import FailureKind, UpstreamError
from config.secret import Url
from orchestrator.upstream.endpoint import Endpoint

CONNECTIONS_MAX: Final = 1_000
CONNECT_S_MAX: Final = 5.0
CONNECT_SHARE: Final = 0.8
"""Of a request's time, the most that may pass until it is connected: so it is known that nothing was sent."""
KEEPALIVE_S: Final = 30.0
KEEPALIVE_LOCAL_S: Final = 4.0
"""Less than the 5 s after which local servers (uvicorn, llama.cpp) close a connection that has nothing to do."""
CLOSE_S_MAX: Final = 0.5
BODY_BYTES_MAX: Final = 32 * 1024 * 1024
ERROR_BYTES_MAX: Final = 64 * 1024
KEYLESS: Final = "none"

TRANSPORT_ERRORS: Final = (
    openai.OpenAIError,
    httpx2.HTTPError,
    httpx2.InvalidURL,
    aiohttp.ClientError,
    http_exceptions.HttpProcessingError,
    OSError,
)
"""What a request fails with before there is a status, or while the body comes."""

_UNSENT: Final = (
    aiohttp.ClientConnectorError,
    aiohttp.ConnectionTimeoutError,
    aiohttp.ClientHttpProxyError,
    aiohttp.InvalidURL,
    httpx2.ConnectError,
    httpx2.UnsupportedProtocol,
    httpx2.InvalidURL,
)
_GARBAGE: Final = (aiohttp.ClientResponseError, http_exceptions.HttpProcessingError, httpx2.DecodingError)


class StatusError(Exception):
    """Raised when the status isn't 200, with as much of the body as an error can be."""

    def __init__(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        super().__init__(f"HTTP {status}")
        self.status = status
        self.headers = headers
        self.body = body


class TooLargeError(Exception):
    """Raised when a body is larger than BODY_BYTES_MAX."""


class Client(openai.AsyncOpenAI):
    """The client of one endpoint.

    It sends its own headers alone: OPENAI_ORG_ID, OPENAI_CUSTOM_HEADERS and the like of the environment are
    meant for one provider and must not reach the others.
    """

    @property
    def default_headers(self) -> dict[str, str | openai.Omit]:
        return {"Accept": "*/*", "Content-Type": "application/json", "User-Agent": "labverse"}


def make_client(provider: str, endpoint: Endpoint) -> Client:
    """A client that connects with its first request.

    Raises:
        UpstreamError: the key can't stand in a header (BAD_KEY), or the address is none (UNREACHABLE).
    """
    key = endpoint.key.reveal().strip()
    if not (key.isascii() and key.isprintable()):
        message = f"{provider}: its key has characters that no header can carry; copy it again"
        raise UpstreamError(FailureKind.BAD_KEY, message, was_sent=False)
    if not Url(endpoint.base_url).is_valid("http", "https"):
        message = f"{provider}: base_url is no http address: {Url(endpoint.base_url)}"
        raise UpstreamError(FailureKind.UNREACHABLE, message, was_sent=False)
    http = openai.DefaultAioHttpClient(
        limits=httpx2.Limits(
            max_connections=CONNECTIONS_MAX,
            max_keepalive_connections=CONNECTIONS_MAX,
            keepalive_expiry=KEEPALIVE_LOCAL_S if endpoint.is_local else KEEPALIVE_S,
        ),
        timeout=None,
        trust_env=not endpoint.is_local,
        follow_redirects=False,
        verify=_tls(endpoint),
        event_hooks={"response": [_refuse]},
    )
    return Client(base_url=endpoint.base_url, api_key=key or KEYLESS, http_client=http, max_retries=0)


async def send(client: Client, body: bytes, *, until_s: float, closes: bool = False) -> httpx2.Response:
    """Send a request; returns when the headers of a 200 are there. The caller closes the response.

    Args:
        closes: ask the server to close the connection afterwards.
        until_s: on the loop's clock; of the time until then CONNECT_SHARE may go by before it is connected. The
            caller enforces the whole.

    Raises:
        StatusError: another status.
    """
    response = await client.post(
        "/chat/completions",
        cast_to=httpx2.Response,
        content=body,
        options=_options(client, until_s, closes=closes),
        stream=True,  # so that nothing of the body is read before us
        stream_cls=openai.AsyncStream[Any],
    )
    return cast(httpx2.Response, response)


async def send_models(client: Client, *, until_s: float) -> httpx2.Response:
    """As `send`, for the list of models."""
    response = await client.get(
        "/models",
        cast_to=httpx2.Response,
        options=_options(client, until_s),
        stream=True,
        stream_cls=openai.AsyncStream[Any],
    )
    return cast(httpx2.Response, response)


def _options(client: Client, until_s: float, *, closes: bool = False) -> openai.RequestOptions:
    left_s = max(0.001, until_s - asyncio.get_running_loop().time())
    connect_s = min(CONNECT_S_MAX, left_s * CONNECT_SHARE)
    headers: dict[str, str | openai.Omit] = {}
    if client.api_key == KEYLESS:
        headers["Authorization"] = openai.Omit()
    if closes:
        headers["Connection"] = "close"
    return {"headers": headers, "timeout": httpx2.Timeout(None, connect=connect_s, pool=connect_s)}


async def pieces_of(response: httpx2.Response, bytes_max: int | None = None) -> AsyncGenerator[bytes]:
    """The body as it comes.

    Args:
        bytes_max: of the body, unpacked; None takes BODY_BYTES_MAX.

    Raises:
        TooLargeError: it is larger.
    """
    bytes_max = BODY_BYTES_MAX if bytes_max is None else bytes_max
    size = 0
    async for piece in response.aiter_bytes():
        size += len(piece)
        if size > bytes_max:
            raise TooLargeError(f"a body of more than {bytes_max} bytes")
        yield piece


async def close(response: httpx2.Response) -> None:
    """Give the connection back, or close it when the body wasn't read to its end."""
    try:
        async with asyncio.timeout(CLOSE_S_MAX):
            await response.aclose()
    except (*TRANSPORT_ERRORS, TimeoutError):
        pass  # the connection is gone already, or goes without us


def kind_of(error: Exception) -> tuple[FailureKind, bool, str]:
    """What a transport error means: (kind, whether the request may have been sent, what happened).

    The wrappers of openai and httpx2 blur it (a server that hangs up becomes a connect timeout), so all causes
    count.
    """
    chain = _chain(error)
    what = str(chain[-1]) or type(chain[-1]).__name__
    if any(isinstance(link, _UNSENT) for link in chain):
        return FailureKind.UNREACHABLE, False, what
    if any(isinstance(link, aiohttp.ClientPayloadError) for link in chain):
        return FailureKind.CONNECTION_LOST, True, "closed before the end of the body"
    if any(isinstance(link, _GARBAGE) for link in chain):
        return FailureKind.GARBAGE, True, f"no HTTP: {what}"
    return FailureKind.CONNECTION_LOST, True, what


def _chain(error: BaseException) -> list[BaseException]:
    chain = [error]
    while (cause := chain[-1].__cause__) is not None:
        chain.append(cause)
    return chain


def _tls(endpoint: Endpoint) -> ssl.SSLContext:
    """For plain http an empty one, which trusts nobody: reading the certificates takes 20 ms of the loop."""
    if endpoint.base_url.lower().startswith("https:"):
        return httpx2.create_ssl_context()
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


async def _refuse(response: httpx2.Response) -> None:
    """Hook that sees each response before the openai client, which would read all of an error's body."""
    if response.status_code == 200:
        return
    body = bytearray()
    try:
        async for piece in pieces_of(response, ERROR_BYTES_MAX):
            body += piece
    except (*TRANSPORT_ERRORS, TooLargeError):
        pass  # the status is what counts; what came of the body is shown
    await close(response)
    headers = {name.lower(): value for name, value in response.headers.items()}
    raise StatusError(response.status_code, headers, bytes(body[:ERROR_BYTES_MAX]))
