"""Calls of Slack's Web API: bounded in time, without hidden repetitions, with errors that say what to do."""

import asyncio
import logging
from collections.abc import Mapping
from typing import Any, Final

import aiohttp
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.web.async_client import AsyncWebClient

from agents.messenger import UnknownOutcomeError
from bus import PermanentError, RetryableError
from config.secret import Secret, Url
from orchestrator.slack.failures import refusal

CALL_S_MAX: Final = 15.0
CONNECT_S_MAX: Final = 5.0
CONNECTIONS_MAX: Final = 16

# Nothing was sent: there was no connection yet.
NOT_SENT: Final = (
    aiohttp.ClientConnectorError,
    aiohttp.ConnectionTimeoutError,
    aiohttp.ClientProxyConnectionError,
    aiohttp.ClientHttpProxyError,
)

# Its own level, so that no switch for all logs makes the SDK write requests and answers down.
_sdk_log = logging.getLogger("labverse.slack.sdk")
_sdk_log.setLevel(logging.WARNING)


class SlackClient:
    """The API of one workspace, with one token. It connects with its first call; close it.

    Args:
        api_url: such as `https://slack.com/api/`.
        call_s_max: for one call, connecting included.

    Raises:
        PermanentError: token or address can't be used.
    """

    def __init__(self, token: Secret, api_url: str, *, call_s_max: float = CALL_S_MAX) -> None:
        text = token.reveal().strip()
        if not (text and text.isascii() and text.isprintable() and " " not in text):
            raise PermanentError("the Slack bot token is empty or can't stand in a header; copy it again")
        if "://" not in api_url or not Url(api_url).is_valid("https", "http"):
            raise PermanentError(f"slack.api_url is no http address: {Url(api_url)}")
        self.api_url = api_url if api_url.endswith("/") else f"{api_url}/"
        self._token = token
        self._call_s_max = call_s_max
        self._not_before: dict[
            str, float
        ] = {}  # by method, on the loop's clock: Slack wants to be left alone
        self._session: aiohttp.ClientSession | None = None
        self._web: AsyncWebClient | None = None

    def __repr__(self) -> str:
        return f"SlackClient({str(Url(self.api_url))!r})"

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = self._web = None

    async def call(
        self, method: str, arguments: Mapping[str, Any], *, reads: bool = False
    ) -> tuple[dict[str, Any], Mapping[str, str]]:
        """Slack's answer to `method`, and its headers.

        Args:
            reads: it changes nothing, so that no outcome of it is unknown.

        Raises:
            RetryableError, PermanentError, MessageGoneError: see `agents.messenger.Chat`.
            UnknownOutcomeError: it may have been done; not if `reads`.
        """
        try:
            return await self._call(method, arguments, reads=reads)
        except UnknownOutcomeError as error:
            if reads:
                raise RetryableError(str(error)) from None
            raise

    async def _call(
        self, method: str, arguments: Mapping[str, Any], *, reads: bool
    ) -> tuple[dict[str, Any], Mapping[str, str]]:
        wait_s = self._not_before.get(method, 0.0) - asyncio.get_running_loop().time()
        if wait_s > 0:
            raise RetryableError(f"Slack wants fewer calls of {method}", delay_s=wait_s)
        web = self._web or self._open()
        try:
            async with asyncio.timeout(self._call_s_max):
                if reads:
                    answer = await web.api_call(method, http_verb="GET", params=dict(arguments))
                else:
                    answer = await web.api_call(method, json=dict(arguments))
        except SlackApiError as error:
            refused = _refused(method, error)
            if isinstance(refused, RetryableError) and refused.delay_s is not None:
                self._not_before[method] = asyncio.get_running_loop().time() + refused.delay_s
            raise refused from None
        except NOT_SENT as error:
            raise RetryableError(f"Slack can't be reached: {type(error).__name__}") from None
        except (
            aiohttp.ClientError,
            SlackClientError,
            TimeoutError,
            OSError,
            ValueError,
            AttributeError,
        ) as error:
            # The last two: the SDK met an answer that is no text or no object. None is chained: requests hold the
            # token.
            raise UnknownOutcomeError(f"no answer from Slack to {method}: {type(error).__name__}") from None
        if not isinstance(answer.data, dict):
            raise UnknownOutcomeError(f"Slack answered {method} with something else than JSON")
        return answer.data, answer.headers

    def _open(self) -> AsyncWebClient:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=CONNECTIONS_MAX),
            timeout=aiohttp.ClientTimeout(total=self._call_s_max, sock_connect=CONNECT_S_MAX),
            # Of the environment the way out (HTTPS_PROXY, NO_PROXY), except to a server on this machine.
            trust_env=self.api_url.startswith("https://"),
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        self._web = AsyncWebClient(
            token=self._token.reveal(),
            base_url=self.api_url,
            session=self._session,
            retry_handlers=[],
            logger=_sdk_log,
        )
        self._web.proxy = None  # the SDK takes HTTPS_PROXY for every address, whatever NO_PROXY says
        return self._web


def _refused(method: str, error: SlackApiError) -> Exception:
    """`SlackApiError.response` is an answer of the SDK, or aiohttp's when its body was no JSON."""
    response = error.response
    status: int = getattr(response, "status_code", 0) or getattr(response, "status", 0)
    return refusal(method, status, getattr(response, "headers", {}), getattr(response, "data", None))
