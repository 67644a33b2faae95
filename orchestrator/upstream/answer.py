"""Answer: the body of a completion, or the chunks of a stream, as an `UpstreamAnswer`.

Tolerant of what servers leave out or add: unknown fields, null content, content in parts, no usage, tool calls
without id or index, arguments as an object. Pure core: no await, no clock, no randomness.
"""

from typing import Any, Final

import msgspec

from agents.router.upstream import UpstreamAnswer
from schemas.llm import ToolCall, Usage

TOOL_CALLS_MAX: Final = 128
SHOWN_CHARS_MAX: Final = 200
FINISH_REASONS: Final = {
    "max_tokens": "length",
    "model_length": "length",
    "end_turn": "stop",
    "eos": "stop",
    "function_call": "tool_calls",
}
"""What some servers say, in the protocol's words."""


class NotAnAnswerError(ValueError):
    """Raised when a body with status 200 is no answer; the message says what it is instead."""


class _Struct(msgspec.Struct, frozen=True, kw_only=True):
    """Unknown fields are ignored."""


class _CachedTokens(_Struct, frozen=True, kw_only=True):
    cached_tokens: int | None = None


class _Usage(_Struct, frozen=True, kw_only=True):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: _CachedTokens | None = None
    prompt_cache_hit_tokens: int | None = None


class _Function(_Struct, frozen=True, kw_only=True):
    name: str | None = None
    arguments: str | dict[str, Any] | None = None


class _ToolCall(_Struct, frozen=True, kw_only=True):
    index: int | None = None
    id: str | None = None
    function: _Function = _Function()


class _Part(_Struct, frozen=True, kw_only=True):
    text: str | None = None


class _Message(_Struct, frozen=True, kw_only=True):
    """A whole message, or what a chunk adds to it."""

    content: str | list[_Part] | None = None
    tool_calls: list[_ToolCall] | None = None
    refusal: str | None = None


class _Choice(_Struct, frozen=True, kw_only=True):
    index: int | None = None
    message: _Message | None = None
    delta: _Message | None = None
    finish_reason: str | None = None


class _Body(_Struct, frozen=True, kw_only=True):
    """A whole answer or one chunk of a stream."""

    choices: list[_Choice] | None = None
    usage: _Usage | None = None
    model: str | None = None
    error: Any = None


_decoder = msgspec.json.Decoder(_Body, strict=False)


def answer_of(body: bytes) -> UpstreamAnswer:
    """The answer in a whole body.

    Raises:
        NotAnAnswerError: it isn't JSON, isn't of the protocol's shape, carries an error object, or no choice.
    """
    assembly = Assembly()
    assembly.add(body)
    return assembly.answer()


class Assembly:
    """An answer put together from the chunks of a stream, or from one whole body.

    Attributes:
        text: what has come so far.
        has_choice: whether anything of an answer has come.
        is_finished: whether a finish reason has come.
    """

    def __init__(self) -> None:
        self.is_finished = False
        self._texts: list[str] = []
        self._refusals: list[str] = []
        self._calls: list[_Call] = []
        self._finish_reason = ""
        self._usage: Usage | None = None
        self._model = ""
        self.has_choice = False

    @property
    def text(self) -> str:
        return "".join(self._texts)

    def add(self, data: bytes) -> str:
        """Take in a chunk; returns the text that it adds.

        Raises:
            NotAnAnswerError: as `answer_of`, or there are more tool calls than TOOL_CALLS_MAX.
        """
        body = _decoded(data)
        self._model = body.model or self._model
        self._usage = _usage(body.usage) or self._usage
        for choice in body.choices or ():
            if not choice.index:  # we never ask for a second one
                return self._add_choice(choice)
        return ""

    def answer(self) -> UpstreamAnswer:
        """What was put together.

        Raises:
            NotAnAnswerError: there was no choice in it.
        """
        if not self.has_choice:
            raise NotAnAnswerError("an answer without choices")
        calls = tuple(call.whole(number) for number, call in enumerate(self._calls))
        return UpstreamAnswer(
            text=self.text,
            tool_calls=calls,
            finish_reason="tool_calls"
            if calls and self._finish_reason in ("", "stop")
            else self._finish_reason or "stop",
            usage=self._usage,
            response_model=self._model,
            refusal="".join(self._refusals),
        )

    def _add_choice(self, choice: _Choice) -> str:
        self.has_choice = True
        if choice.finish_reason:
            reason = choice.finish_reason.lower()
            self._finish_reason, self.is_finished = FINISH_REASONS.get(reason, reason), True
        message = choice.delta or choice.message or _Message()
        if message.refusal:
            self._refusals.append(message.refusal)
        for call in message.tool_calls or ():
            self._add_call(call)
        text = _text(message.content)
        if text:
            self._texts.append(text)
        return text

    def _add_call(self, part: _ToolCall) -> None:
        call = self._call_of(part)
        call.id = call.id or part.id or ""
        call.name = call.name or part.function.name or ""
        match part.function.arguments:
            case str(piece):
                call.arguments.append(piece)
            case dict(whole):
                call.arguments.append(msgspec.json.encode(whole).decode())

    def _call_of(self, part: _ToolCall) -> "_Call":
        """The call that `part` belongs to: by index, or the last one when it brings neither index nor id."""
        for call in self._calls:
            if part.index is not None and call.index == part.index:
                return call
        if part.index is None and not part.id and not part.function.name and self._calls:
            return self._calls[-1]
        if len(self._calls) == TOOL_CALLS_MAX:
            raise NotAnAnswerError(f"more than {TOOL_CALLS_MAX} tool calls")
        self._calls.append(_Call(part.index))
        return self._calls[-1]


class _Call:
    """A tool call that is being put together."""

    def __init__(self, index: int | None) -> None:
        self.index = index
        self.id = ""
        self.name = ""
        self.arguments: list[str] = []

    def whole(self, number: int) -> ToolCall:
        # Some servers give no ids; the tool's result must name one all the same.
        arguments = "".join(self.arguments)
        return ToolCall(id=self.id or f"call_{number}", name=self.name, arguments=arguments or "{}")


def _decoded(data: bytes) -> _Body:
    try:
        body = _decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise NotAnAnswerError(f"{_kind(data)} instead of an answer ({error})") from None
    if body.error:
        raise NotAnAnswerError(f"an error object with status 200: {_shown(body.error)}")
    return body


def _kind(data: bytes) -> str:
    start = data[:SHOWN_CHARS_MAX].lstrip().lower()
    if not start:
        return "an empty body"
    return "HTML" if start.startswith((b"<!doctype", b"<html")) else "something"


def _shown(error: Any) -> str:
    message = error.get("message") if isinstance(error, dict) else error
    return str(message or error)[:SHOWN_CHARS_MAX]


def _text(content: str | list[_Part] | None) -> str:
    if isinstance(content, list):
        return "".join(part.text or "" for part in content)
    return content or ""


def _usage(usage: _Usage | None) -> Usage | None:
    """None for a usage that counts nothing: some servers send such before the real one."""
    if usage is None or not (usage.prompt_tokens or usage.completion_tokens):
        return None
    details = usage.prompt_tokens_details
    cached = (details.cached_tokens if details is not None else None) or usage.prompt_cache_hit_tokens or 0
    return Usage(
        input_tokens=max(0, usage.prompt_tokens or 0),
        output_tokens=max(0, usage.completion_tokens or 0),
        cached_tokens=max(0, cached),
    )
