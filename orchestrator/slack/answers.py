"""Tells the one person who clicked something that nobody else sees, through the address Slack sent along."""

import asyncio
import logging
import re
from typing import Final

import aiohttp

from agents.messenger.mrkdwn import escape
from orchestrator.slack.clicks import may_answer
from orchestrator.slack.failures import retry_after_s

log = logging.getLogger("labverse.slack")

ANSWER_S_MAX: Final = 10.0
TRY_S_MAX: Final = 4.0
TRIES_MAX: Final = 3
PAUSE_S: Final = 0.5
TEXT_CHARS_MAX: Final = 1_000
_IDENTITY: Final = re.compile(r"\bslack:([UW][A-Z0-9]{1,30})\b")


async def tell(response_url: str, text: str, *, api_url: str) -> bool:
    """Whether Slack took it; within `ANSWER_S_MAX`. What got no reply is not sent again: it may have arrived.

    Args:
        text: one line; markup in it stays text, and who is named as `slack:U…` is shown by name.
        api_url: of the Slack we work with; only its addresses are called.
    """
    if not may_answer(response_url, api_url):
        log.warning("a click came with an address for answers that isn't Slack's; it is not called")
        return False
    body = {
        "response_type": "ephemeral",
        "replace_original": False,
        "text": _IDENTITY.sub(r"<@\1>", escape(text, TEXT_CHARS_MAX)),
    }
    try:
        async with asyncio.timeout(ANSWER_S_MAX):
            return await _send(response_url, body)
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        log.warning("an answer to a click was not delivered: %s", type(error).__name__)
        return False


async def _send(url: str, body: dict[str, object]) -> bool:
    timeout = aiohttp.ClientTimeout(total=TRY_S_MAX)
    async with aiohttp.ClientSession(
        timeout=timeout, trust_env=url.startswith("https://"), cookie_jar=aiohttp.DummyCookieJar()
    ) as session:
        for attempt in range(1, TRIES_MAX + 1):
            pause_s = PAUSE_S * attempt
            try:
                async with session.post(url, json=body, allow_redirects=False) as answer:
                    if answer.status < 300:
                        return True
                    if answer.status != 429 and answer.status < 500:
                        log.warning("Slack refused an answer to a click: HTTP %d", answer.status)
                        return False
                    if answer.status == 429:
                        pause_s = retry_after_s(answer.headers)
            except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError):
                pass  # nothing was sent
            if attempt < TRIES_MAX:
                await asyncio.sleep(pause_s)
    log.warning("an answer to a click was not delivered in %d attempts", TRIES_MAX)
    return False
