"""Channels by name: most of Slack's API knows them only by their ids."""

import re
from typing import Final

from bus import PermanentError
from orchestrator.slack.client import SlackClient

PAGE_CHANNELS: Final = 200
PAGES_MAX: Final = 50
_ID: Final = re.compile(r"[CGD][A-Z0-9]{6,20}")


def is_channel_id(channel: str) -> bool:
    return _ID.fullmatch(channel) is not None


async def joined_channel(client: SlackClient, name: str) -> str:
    """The id of the channel `#name` that our app is in; empty when it is in none of that name.

    Raises:
        RetryableError, PermanentError: see `SlackClient.call`; scopes channels:read and groups:read are needed.
    """
    wanted, cursor = name.removeprefix("#").lower(), ""
    for _ in range(PAGES_MAX):
        arguments = {
            "types": "public_channel,private_channel",
            "exclude_archived": True,
            "limit": PAGE_CHANNELS,
            "cursor": cursor,
        }
        answer, _ = await client.call("users.conversations", arguments, reads=True)
        for channel in answer.get("channels") or ():
            if isinstance(channel, dict) and str(channel.get("name", "")).lower() == wanted:
                return str(channel.get("id") or "")
        cursor = str((answer.get("response_metadata") or {}).get("next_cursor") or "")
        if not cursor:
            break
    return ""


async def channel_id(client: SlackClient, channel: str) -> str:
    """The id of `channel`, which is an id already or `#name`.

    Raises:
        RetryableError: see `SlackClient.call`.
        PermanentError: our app is in no channel of that name, or may not look.
    """
    if is_channel_id(channel):
        return channel
    if found := await joined_channel(client, channel):
        return found
    raise PermanentError(f"the Slack app is in no channel {channel[:80]}: invite it there: /invite @labverse")
