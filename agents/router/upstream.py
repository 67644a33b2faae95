"""The port through which the router reaches providers, and what can go wrong behind it.

The orchestrator implements it with the `openai` client. An implementation makes exactly one HTTP request a
call, never retries, and closes the connection when it is cancelled, so that the provider stops working.
"""

import enum
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from agents.router.offers import Offer
from schemas.llm import Message, Tool, ToolCall, Usage

Format = Literal["text", "json_object", "json_schema"]


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamCall:
    """One request to a provider.

    Attributes:
        max_tokens: always sent.
        format: how structure is asked for; `schema` goes along with `json_schema` alone.
        timeout_s: until the whole answer must be there.
    """

    offer: Offer
    messages: tuple[Message, ...]
    max_tokens: int
    temperature: float
    timeout_s: float
    format: Format = "text"
    schema: dict[str, Any] | None = None
    schema_name: str = "answer"
    tools: tuple[Tool, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamAnswer:
    """A whole answer. `usage` is None when the provider told none.

    Attributes:
        refusal: the model's own words when it declined by the protocol's field for that.
    """

    text: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    finish_reason: str = "stop"
    usage: Usage | None = None
    response_model: str = ""
    refusal: str = ""


class FailureKind(enum.StrEnum):
    """Why a request failed; the failure table says what follows from it."""

    RATE_LIMITED = "rate_limited"
    """429, or a 503 that says when to come back."""
    OUT_OF_CREDIT = "out_of_credit"
    """402, or 429 with `insufficient_quota`: no retry helps."""
    CONTEXT_TOO_LONG = "context_too_long"
    BAD_KEY = "bad_key"
    """401, 403."""
    NO_SUCH_MODEL = "no_such_model"
    UNSUPPORTED = "unsupported"
    """400 that names a feature: response_format, tools, images, a parameter."""
    CONTENT_REFUSED = "content_refused"
    """400 of a content filter."""
    BAD_REQUEST = "bad_request"
    """Other 4xx: the same request fails everywhere or always here."""
    LOADING = "loading"
    """503 while the server reads its model from disk, or nobody there while it is being started again."""
    SERVER_ERROR = "server_error"
    """5xx."""
    TIMEOUT = "timeout"
    UNREACHABLE = "unreachable"
    """Refused, no such host, TLS: nothing was sent."""
    CONNECTION_LOST = "connection_lost"
    """Reset or closed after the request was sent."""
    GARBAGE = "garbage"
    """200 with a body that is no answer: not JSON, too large, or an error object."""


class UpstreamError(Exception):
    """Raised when a request to a provider failed.

    Attributes:
        status: HTTP status; 0 when there was none.
        retry_after_s: what the provider asked for; None when it said nothing.
        was_sent: False when the request can't have reached the provider, so nothing can be billed.
        text: what had come of a streamed answer.
        feature: for UNSUPPORTED, what it is about: a `Capability` value, `temperature`, `max_tokens`, or "".
    """

    def __init__(
        self,
        kind: FailureKind,
        message: str,
        *,
        status: int = 0,
        retry_after_s: float | None = None,
        was_sent: bool = True,
        text: str = "",
        feature: str = "",
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.status = status
        self.retry_after_s = retry_after_s
        self.was_sent = was_sent
        self.text = text
        self.feature = feature


class Upstream(Protocol):
    """Requests to providers."""

    async def complete(self, call: UpstreamCall) -> UpstreamAnswer:
        """The whole answer of one request.

        Raises:
            UpstreamError: it failed, or `call.timeout_s` was over.
        """

    def stream(self, call: UpstreamCall) -> AsyncGenerator[str | UpstreamAnswer]:
        """Pieces of text as they come, and at the end the whole answer. Closing it early stops the request.

        Raises:
            UpstreamError: as `complete`; with `text` when pieces had come.
        """
