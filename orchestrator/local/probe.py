"""What a model on a server can do, found out by asking: the list of models doesn't say, and HTTP 200 is no proof.

Each capability costs one tiny request, made so that only a model that has it gives the answer looked for: a
schema whose value is named nowhere in the prompt, a picture whose colour must be said.
"""

import asyncio
import base64
import dataclasses
import struct
import time
import zlib
from collections.abc import Awaitable, Callable, Mapping
from contextlib import aclosing
from typing import Any, Final

import msgspec

from agents.router.offers import Capability, Offer
from agents.router.upstream import FailureKind, Format, Upstream, UpstreamAnswer, UpstreamCall, UpstreamError
from schemas.llm import ImagePart, Message, TextPart, Tool

TIMEOUT_S: Final = 60.0
"""For all requests of one model together."""
TRIES_MAX: Final = 2
"""Of a question whose connection is lost: llama.cpp closes it after each stream, without saying so."""
TOKENS_MAX: Final = 64
STREAM_TOKENS_MAX: Final = 8
PICTURE_PIXELS: Final = 64
"""A side of the picture; some vision models refuse less than 28."""

STONES: Final = ("quartz-41", "quartz-43")
STONE_SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {"stone": {"type": "string", "enum": list(STONES)}},
    "required": ["stone"],
    "additionalProperties": False,
}
WEATHER: Final = Tool(
    name="get_weather",
    description="The weather in a city, now.",
    parameters={
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    },
)
MAGENTA: Final = (b"\xff\x00\xff", ("magenta", "fuchsia", "pink", "purple", "violet"))

GONE: Final = frozenset(
    {FailureKind.UNREACHABLE, FailureKind.BAD_KEY, FailureKind.OUT_OF_CREDIT, FailureKind.NO_SUCH_MODEL}
)
"""No further question is worth asking."""


async def probe(upstream: Upstream, offer: Offer, *, timeout_s: float = TIMEOUT_S) -> dict[Capability, bool]:
    """Ask, one after the other, whether the model has each capability; what stays unknown is left out.

    Args:
        timeout_s: for all requests together; what wasn't asked by then stays unknown.
    """
    until_s = time.monotonic() + timeout_s
    # The upstream must send what we ask for, whatever is believed about this model so far.
    asker = _Asker(upstream, dataclasses.replace(offer, can={}), until_s)
    can: dict[Capability, bool] = {}
    for capability, ask in QUESTIONS.items():
        try:
            async with asyncio.timeout(asker.left_s):
                answer = await _ask_again(ask, asker)
        except TimeoutError:
            break
        except UpstreamError as error:
            if error.kind in GONE:
                break
            answer = False if is_refusal(capability, error) else None
        if answer is not None:
            can[capability] = answer
    return can


async def _ask_again(ask: "Question", asker: "_Asker") -> bool | None:
    for _ in range(TRIES_MAX - 1):
        try:
            return await ask(asker)
        except UpstreamError as error:
            if error.kind is not FailureKind.CONNECTION_LOST:
                raise
    return await ask(asker)


class Probes:
    """What was found out, so that each model of a server is asked once, however many want to know."""

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream
        self._asked: dict[tuple[str, str], asyncio.Task[dict[Capability, bool]]] = {}

    async def can(
        self, base_url: str, offer: Offer, *, timeout_s: float = TIMEOUT_S
    ) -> dict[Capability, bool]:
        """As `probe`; asks again only after nothing at all could be found out."""
        key = (base_url, offer.model)
        asked = self._asked.get(key)
        if asked is None:
            asked = asyncio.create_task(probe(self._upstream, offer, timeout_s=timeout_s))
            self._asked[key] = asked
        found: dict[Capability, bool] = {}
        try:
            found = dict(await asyncio.shield(asked))
        finally:
            if asked.done() and not found and self._asked.get(key) is asked:
                del self._asked[key]
        return found

    async def aclose(self) -> None:
        """Stop asking."""
        running = [asked for asked in self._asked.values() if not asked.done()]
        for asked in running:
            asked.cancel()
        if running:
            await asyncio.wait(running)


@dataclasses.dataclass(frozen=True, slots=True)
class _Asker:
    """Tiny requests to one model."""

    upstream: Upstream
    offer: Offer
    until_s: float

    @property
    def left_s(self) -> float:
        return self.until_s - time.monotonic()

    def call(
        self,
        content: str | tuple[TextPart | ImagePart, ...],
        *,
        max_tokens: int = TOKENS_MAX,
        format: Format = "text",
        schema: dict[str, Any] | None = None,
        tools: tuple[Tool, ...] = (),
    ) -> UpstreamCall:
        return UpstreamCall(
            offer=self.offer,
            messages=(Message(role="user", content=content),),
            max_tokens=max_tokens,
            temperature=0.0,
            timeout_s=max(0.001, self.left_s),
            format=format,
            schema=schema,
            schema_name="stone",
            tools=tools,
        )


async def _stream_usage(asker: _Asker) -> bool | None:
    call = asker.call("Say hello.", max_tokens=STREAM_TOKENS_MAX)
    async with aclosing(asker.upstream.stream(call)) as pieces:
        async for piece in pieces:
            if isinstance(piece, UpstreamAnswer):
                return piece.usage is not None and not piece.usage.is_estimated
    return None


async def _json_schema(asker: _Asker) -> bool | None:
    call = asker.call("Tell me about the sea.", format="json_schema", schema=STONE_SCHEMA)
    return holds_stone(await asker.upstream.complete(call))


async def _json_object(asker: _Asker) -> bool | None:
    call = asker.call('Greet the user as JSON, such as {"greeting": "..."}', format="json_object")
    return holds_object(await asker.upstream.complete(call))


async def _tools(asker: _Asker) -> bool | None:
    call = asker.call("What is the weather in Lisbon? Call the tool get_weather.", tools=(WEATHER,))
    return calls_weather(await asker.upstream.complete(call))


async def _vision(asker: _Asker) -> bool | None:
    colour, names = MAGENTA
    text = TextPart(text="What colour is this picture? Answer with one word.")
    image = ImagePart(url=f"data:image/png;base64,{base64.b64encode(plain_png(colour)).decode()}")
    return names_colour(await asker.upstream.complete(asker.call((text, image))), names)


Question = Callable[[_Asker], Awaitable[bool | None]]

QUESTIONS: Final[Mapping[Capability, Question]] = {
    Capability.STREAM_USAGE: _stream_usage,
    Capability.JSON_SCHEMA: _json_schema,
    Capability.JSON_OBJECT: _json_object,
    Capability.TOOLS: _tools,
    Capability.VISION: _vision,
}
"""The cheapest first; it also tells whether the model answers at all."""


def holds_stone(answer: UpstreamAnswer) -> bool | None:
    """Whether the answer satisfies the schema; None when it was cut before one could tell. Pure."""
    value = _json(answer.text)
    if isinstance(value, dict):
        return set(value) == {"stone"} and value["stone"] in STONES
    return None if _may_be_cut_json(answer) else False


def holds_object(answer: UpstreamAnswer) -> bool | None:
    """Whether the answer is a JSON object and nothing else; None when it was cut. Pure."""
    if isinstance(_json(answer.text), dict):
        return True
    return None if _may_be_cut_json(answer) else False


def calls_weather(answer: UpstreamAnswer) -> bool:
    """Whether the tool is called as its schema wants; a model that merely talks about it can't be used. Pure."""
    arguments = (_json(call.arguments) for call in answer.tool_calls if call.name == WEATHER.name)
    return any(isinstance(value, dict) and isinstance(value.get("city"), str) for value in arguments)


def names_colour(answer: UpstreamAnswer, names: tuple[str, ...]) -> bool | None:
    """Whether the picture was seen, not merely accepted; None when the model was still thinking. Pure."""
    if any(name in answer.text.lower() for name in names):
        return True
    return None if answer.finish_reason == "length" else False


def is_refusal(capability: Capability, error: UpstreamError) -> bool:
    """Whether an error says that the model or server lacks the capability, and not something else. Pure."""
    if error.kind is FailureKind.UNSUPPORTED:
        return error.feature in ("", capability.value)  # it may be the temperature that it doesn't take
    if error.kind is FailureKind.BAD_REQUEST:
        return True
    # llama.cpp refuses pictures with status 500, "image input is not supported".
    is_failure = error.kind is FailureKind.SERVER_ERROR
    return is_failure and capability is Capability.VISION and "image" in str(error).lower()


def plain_png(colour: bytes) -> bytes:
    """A square of one RGB colour as PNG. Pure."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", PICTURE_PIXELS, PICTURE_PIXELS, 8, 2, 0, 0, 0)
    rows = (b"\x00" + colour * PICTURE_PIXELS) * PICTURE_PIXELS
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


def _may_be_cut_json(answer: UpstreamAnswer) -> bool:
    """Cut at the limit of tokens, in the middle of an object or while still thinking."""
    return answer.finish_reason == "length" and answer.text.lstrip()[:1] in ("", "{", "<")


def _json(text: str) -> Any:
    """The decoded text; None when it is no JSON."""
    try:
        return msgspec.json.decode(text)
    except (ValueError, RecursionError):
        return None
