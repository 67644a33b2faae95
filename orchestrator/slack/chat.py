"""The messenger's port to a chat, kept by Slack."""

from collections.abc import AsyncGenerator, Mapping
from typing import Any, Final

from agents.messenger import Card, Found, MessageGoneError, Place, UnknownOutcomeError
from bus import PermanentError
from orchestrator.slack.channels import channel_id
from orchestrator.slack.client import SlackClient

METADATA: Final = "labverse_card"
PAGE_MESSAGES: Final = 200
PAGES_MAX: Final = 25
"""Of a channel's history that are looked through: 5,000 messages."""


class SlackChat:
    """Posts, changes and finds messages with the rights of our app.

    A message carries its key as metadata, which people don't see and other apps can't change; only messages of our
    own bot are taken for ours.
    """

    def __init__(self, client: SlackClient) -> None:
        self._client = client
        self._bot_id = ""
        self._channel_ids: dict[str, str] = {}

    def __repr__(self) -> str:
        return f"SlackChat({self._client!r})"

    async def close(self) -> None:
        await self._client.close()

    async def post(self, channel: str, card: Card, *, key: str, thread_ts: str = "") -> Place:
        arguments = {
            **_content(card, key),
            "channel": self._channel_ids.get(channel, channel),
            "unfurl_links": False,
            "unfurl_media": False,
        }
        if thread_ts:
            arguments["thread_ts"] = thread_ts
        answer, _ = await self._client.call("chat.postMessage", arguments)
        place = Place(channel=str(answer.get("channel") or ""), ts=str(answer.get("ts") or ""))
        if not (place.channel and place.ts):
            raise UnknownOutcomeError("Slack did not say where the message stands")
        return place

    async def update(self, place: Place, card: Card, *, key: str) -> None:
        arguments = {**_content(card, key), "channel": place.channel, "ts": place.ts}
        await self._client.call("chat.update", arguments)

    async def find(self, channel: str, *, key: str, since_s: float, thread_ts: str = "") -> Found | None:
        channel = await self._id_of(channel)
        bot_id = await self._own_bot_id()
        method = "conversations.replies" if thread_ts else "conversations.history"
        arguments = {
            "channel": channel,
            "oldest": f"{max(0.0, since_s):.6f}",
            "include_all_metadata": True,
            "limit": PAGE_MESSAGES,
        }
        if thread_ts:
            arguments["ts"] = thread_ts
        found = [
            Found(place=Place(channel=channel, ts=message["ts"]), shown=str(payload.get("shown") or ""))
            async for message in self._messages(method, arguments)
            if message.get("bot_id") == bot_id and (payload := _payload(message)).get("key") == key
        ]
        return min(found, key=lambda one: float(one.place.ts)) if found else None

    async def remove(self, place: Place) -> None:
        try:
            await self._client.call("chat.delete", {"channel": place.channel, "ts": place.ts})
        except MessageGoneError:
            pass

    async def _messages(self, method: str, arguments: dict[str, Any]) -> AsyncGenerator[dict[str, Any]]:
        cursor = ""
        for _ in range(PAGES_MAX):
            more = {"cursor": cursor} if cursor else {}
            answer, _ = await self._client.call(method, {**arguments, **more}, reads=True)
            for message in answer.get("messages") or ():
                if isinstance(message, dict) and isinstance(message.get("ts"), str):
                    yield message
            cursor = str((answer.get("response_metadata") or {}).get("next_cursor") or "")
            if not cursor:
                return
        raise PermanentError(
            f"more than {PAGE_MESSAGES * PAGES_MAX} messages came since: whether ours is among them can't be told; "
            "look in the channel, then replay or drop this letter"
        )

    async def _id_of(self, channel: str) -> str:
        if channel not in self._channel_ids:
            self._channel_ids[channel] = await channel_id(self._client, channel)
        return self._channel_ids[channel]

    async def _own_bot_id(self) -> str:
        if not self._bot_id:
            answer, _ = await self._client.call("auth.test", {})
            self._bot_id = str(answer.get("bot_id") or "")
        if not self._bot_id:
            raise PermanentError("SLACK_BOT_TOKEN is not a bot's: take the Bot User OAuth Token (xoxb-…)")
        return self._bot_id


def _content(card: Card, key: str) -> dict[str, Any]:
    return {
        "text": card.text,
        "blocks": list(card.blocks),
        "parse": "none",
        "link_names": False,
        "metadata": {"event_type": METADATA, "event_payload": {"key": key, "shown": card.fingerprint}},
    }


def _payload(message: Mapping[str, Any]) -> Mapping[str, Any]:
    metadata = message.get("metadata")
    if isinstance(metadata, Mapping) and metadata.get("event_type") == METADATA:
        payload = metadata.get("event_payload")
        if isinstance(payload, Mapping):
            return payload
    return {}
