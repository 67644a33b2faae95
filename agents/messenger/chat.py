"""The port to a chat: what the messenger needs of one, whoever runs it."""

import hashlib
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec


class UnknownOutcomeError(Exception):
    """Raised when a call may or may not have had its effect: the chat must be asked before it is made again."""


class MessageGoneError(Exception):
    """Raised when the message to change is not there any more, or may not be changed any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """One message: `text` for notifications and screen readers, `blocks` (Block Kit) for everybody else."""

    text: str
    blocks: tuple[dict[str, Any], ...]

    @property
    def fingerprint(self) -> str:
        """32 hex characters; equal for cards that look the same."""
        data = msgspec.json.encode((self.text, self.blocks), order="sorted")
        return hashlib.blake2b(data, digest_size=16).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a message stands: the channel's id, and its time stamp, which is its name in the channel."""

    channel: str
    ts: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A message of ours that was found by its key; `shown` is the fingerprint of the card it was posted with."""

    place: Place
    shown: str


class Chat(Protocol):
    """A chat with channels, in which our own messages can be changed and found again by a key.

    Every method may raise:
        RetryableError: nothing was done; trying again later may help.
        PermanentError: nothing was done, and a person must mend something first: the message says what.
        UnknownOutcomeError: see there; never of `find`.
    """

    async def post(self, channel: str, card: Card, *, key: str, thread_ts: str = "") -> Place:
        """Post a message that carries `key`; with `thread_ts` as an answer to that message.

        Args:
            channel: an id, or `#name`.
        """
        ...

    async def update(self, place: Place, card: Card, *, key: str) -> None:
        """Show `card` instead.

        Raises:
            MessageGoneError: somebody deleted it.
        """
        ...

    async def find(self, channel: str, *, key: str, since_s: float, thread_ts: str = "") -> Found | None:
        """The first message with `key` that we posted after `since_s` (seconds since 1970)."""
        ...

    async def remove(self, place: Place) -> None:
        """Delete a message of ours; it is no error if it is gone already."""
        ...
