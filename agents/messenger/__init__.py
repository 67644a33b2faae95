"""Tells people in a chat what waits for them and what was decided, and keeps what is shown true."""

from agents.messenger.chat import Card, Chat, Found, MessageGoneError, Place, UnknownOutcomeError
from agents.messenger.messenger import Messenger

__all__ = ["Card", "Chat", "Found", "MessageGoneError", "Messenger", "Place", "UnknownOutcomeError"]
