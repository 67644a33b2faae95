"""What of a prompt may be told in traces: its size, and, for who wants them, its words without credentials. Pure."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Final

import msgspec

from bus.redact import redact
from schemas.llm import Message, TextPart

NAME_CHARS_MAX: Final = 128
TEXTS_CHARS_MAX: Final = 2_000
"""Of recorded prompts, and of recorded answers, as JSON: the SDK cuts attributes at 2,048 characters."""
TEXTS_MESSAGES_MAX: Final = 8
LINES_KEPT_MAX: Final = 1_024
"""Names come again and again, and looking through one for credentials costs 5 µs."""
TEXT_CHARS_LOOKED_AT: Final = 4 * TEXTS_CHARS_MAX


@lru_cache(maxsize=LINES_KEPT_MAX)
def one_line(text: str, chars_max: int = NAME_CHARS_MAX) -> str:
    """One line without what looks like a credential, cut to size."""
    return redact(" ".join(text[: 4 * chars_max].split()))[:chars_max]


def texts_of(messages: Sequence[Message]) -> str:
    """The last messages as the conventions' JSON, without credentials, in `TEXTS_CHARS_MAX` characters."""
    kept = messages[-TEXTS_MESSAGES_MAX:]
    texts = [redact(_text(message)[:TEXT_CHARS_LOOKED_AT]) for message in kept]
    share = TEXTS_CHARS_MAX // len(kept)
    while True:
        parts = [
            {
                "role": message.role,
                "parts": [{"type": "text", "content": text if len(text) <= share else f"{text[:share]}…"}],
            }
            for message, text in zip(kept, texts, strict=True)
        ]
        encoded = msgspec.json.encode(parts).decode()
        if len(encoded) <= TEXTS_CHARS_MAX or share == 0:
            return encoded
        share //= 2


def _text(message: Message) -> str:
    if isinstance(message.content, str):
        text = message.content
    else:
        text = "\n".join(part.text if isinstance(part, TextPart) else "[image]" for part in message.content)
    return text + "".join(f"\n[calls {call.name}({call.arguments})]" for call in message.tool_calls)


def chars_of(message: Message) -> int:
    """Characters of its text, images not counted."""
    if isinstance(message.content, str):
        return len(message.content)
    return sum(len(part.text) for part in message.content if isinstance(part, TextPart))


def images_of(message: Message) -> int:
    """How many images it holds."""
    if isinstance(message.content, str):
        return 0
    return sum(not isinstance(part, TextPart) for part in message.content)
