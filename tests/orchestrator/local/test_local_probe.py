"""Probing: real llama.cpp's abilities through the real adapter, and what follows from every kind of answer."""

import asyncio
import struct
import time
import zlib
from collections.abc import AsyncGenerator, Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from llamacpp import LlamaCpp

from agents.router.offers import Capability, Offer
from agents.router.upstream import FailureKind, UpstreamAnswer, UpstreamCall, UpstreamError
from orchestrator.local.probe import (
    MAGENTA,
    PICTURE_PIXELS,
    QUESTIONS,
    STREAM_TOKENS_MAX,
    TOKENS_MAX,
    Probes,
    calls_weather,
    holds_object,
    holds_stone,
    is_refusal,
    names_colour,
    plain_png,
    probe,
)
from orchestrator.upstream import Endpoint, OpenAIUpstream
from schemas.llm import ToolCall, Usage

OFFER = Offer(provider="llamacpp", model="m", is_local=True)


def test_real_llama_cpp_is_found_to_do_what_it_does() -> None:
    async def ask(base_url: str) -> dict[Capability, bool]:
        upstream = OpenAIUpstream({OFFER.provider: Endpoint(base_url=base_url, is_local=True)})
        try:
            return await probe(upstream, OFFER)
        finally:
            await upstream.aclose()

    with LlamaCpp() as server:
        can = asyncio.run(ask(server.base_url))
    assert can[Capability.STREAM_USAGE]
    assert can[Capability.JSON_SCHEMA]
    assert can[Capability.JSON_OBJECT]
    assert not can[Capability.TOOLS]  # 135 million parameters don't make a tool call
    assert not can[Capability.VISION]  # refused, with status 500


Answer = UpstreamAnswer | UpstreamError | float


class Scripted:
    """Answers by a function of the call: an answer, an error to raise, or seconds to stay silent."""

    def __init__(self, script: Callable[[UpstreamCall], Answer]) -> None:
        self._script = script
        self.calls: list[UpstreamCall] = []

    async def complete(self, call: UpstreamCall) -> UpstreamAnswer:
        self.calls.append(call)
        match self._script(call):
            case UpstreamAnswer() as answer:
                return answer
            case UpstreamError() as error:
                raise error
            case silent_s:
                await asyncio.sleep(silent_s)
                raise AssertionError("nobody stopped us")

    async def stream(self, call: UpstreamCall) -> AsyncGenerator[str | UpstreamAnswer]:
        answer = await self.complete(call)
        yield answer.text
        yield answer


def fails(kind: FailureKind, message: str = "no") -> UpstreamError:
    return UpstreamError(kind, message, status=400)


def able(call: UpstreamCall) -> Answer:
    if call.tools:
        return UpstreamAnswer(
            tool_calls=(ToolCall(id="1", name="get_weather", arguments='{"city":"Lisbon"}'),)
        )
    if call.format == "json_schema":
        assert call.schema is not None
        return UpstreamAnswer(text='{"stone": "quartz-43"}')
    if call.format == "json_object":
        return UpstreamAnswer(text='{"greeting": "hello"}')
    return UpstreamAnswer(text="Magenta.", usage=Usage(output_tokens=1))


async def test_a_model_that_can_everything_is_believed_after_five_small_requests() -> None:
    upstream = Scripted(able)
    assert await probe(upstream, OFFER) == dict.fromkeys(QUESTIONS, True)
    assert [call.max_tokens for call in upstream.calls] == [STREAM_TOKENS_MAX] + [TOKENS_MAX] * 4


async def test_a_server_that_ignores_what_is_asked_can_nothing() -> None:
    """As many do: status 200 and prose, whatever response_format, tools or picture were sent."""
    upstream = Scripted(lambda call: UpstreamAnswer(text="Hello! The sea is blue, and so is the sky."))
    assert await probe(upstream, OFFER) == dict.fromkeys(QUESTIONS, False)


async def test_refusals_are_a_no_and_passing_failures_leave_it_open() -> None:
    def moody(call: UpstreamCall) -> Answer:
        if call.format == "json_schema":
            return fails(FailureKind.UNSUPPORTED)
        if call.tools:
            return fails(FailureKind.BAD_REQUEST)
        if call.format == "json_object":
            return fails(FailureKind.RATE_LIMITED)
        return fails(FailureKind.SERVER_ERROR, "image input is not supported")

    assert await probe(Scripted(moody), OFFER) == {
        Capability.JSON_SCHEMA: False,
        Capability.TOOLS: False,
        Capability.VISION: False,
    }


@pytest.mark.parametrize("kind", [FailureKind.UNREACHABLE, FailureKind.BAD_KEY, FailureKind.NO_SUCH_MODEL])
async def test_a_model_that_is_not_there_is_asked_once(kind: FailureKind) -> None:
    upstream = Scripted(lambda call: fails(kind))
    assert await probe(upstream, OFFER) == {}
    assert len(upstream.calls) == 1


async def test_a_connection_that_was_lost_is_tried_once_more() -> None:
    lost: set[str] = set()

    def flaky(call: UpstreamCall) -> Answer:
        if call.format in lost or call.format == "text":
            return able(call)
        lost.add(call.format)
        return fails(FailureKind.CONNECTION_LOST)

    upstream = Scripted(flaky)
    assert await probe(upstream, OFFER) == dict.fromkeys(QUESTIONS, True)
    assert len(upstream.calls) == 7
    upstream = Scripted(lambda call: fails(FailureKind.CONNECTION_LOST))
    assert await probe(upstream, OFFER) == {}
    assert len(upstream.calls) == 2 * len(QUESTIONS)


async def test_all_requests_together_are_bound_in_time() -> None:
    def slow(call: UpstreamCall) -> Answer:
        return 30.0 if call.format == "json_schema" else able(call)

    before_s = time.monotonic()
    assert await probe(Scripted(slow), OFFER, timeout_s=0.2) == {Capability.STREAM_USAGE: True}
    assert time.monotonic() - before_s < 1.5


async def test_what_is_believed_so_far_does_not_change_what_is_asked() -> None:
    upstream = Scripted(able)
    await probe(upstream, Offer(provider="p", model="m", can={Capability.TOOLS: False}))
    assert all(call.offer.can == {} for call in upstream.calls)


async def test_each_model_of_a_server_is_asked_once_however_many_want_to_know() -> None:
    upstream = Scripted(able)
    probes = Probes(upstream)
    answers = await asyncio.gather(*(probes.can("http://h/v1", OFFER) for _ in range(8)))
    assert answers == [dict.fromkeys(QUESTIONS, True)] * 8
    await probes.can("http://h/v1", OFFER)
    assert len(upstream.calls) == 5
    await probes.can("http://other/v1", OFFER)
    assert len(upstream.calls) == 10


async def test_a_server_that_was_down_is_asked_again() -> None:
    is_up = False
    upstream = Scripted(lambda call: able(call) if is_up else fails(FailureKind.UNREACHABLE))
    probes = Probes(upstream)
    assert await probes.can("http://h/v1", OFFER) == {}
    is_up = True
    assert await probes.can("http://h/v1", OFFER) == dict.fromkeys(QUESTIONS, True)


async def test_one_that_stops_waiting_does_not_stop_the_asking_for_others() -> None:
    gate = asyncio.Event()

    class Gated(Scripted):
        async def complete(self, call: UpstreamCall) -> UpstreamAnswer:
            await gate.wait()
            return await super().complete(call)

    upstream = Gated(able)
    probes = Probes(upstream)
    first = asyncio.create_task(probes.can("http://h/v1", OFFER))
    second = asyncio.create_task(probes.can("http://h/v1", OFFER))
    await asyncio.sleep(0)
    first.cancel()
    gate.set()
    assert await second == dict.fromkeys(QUESTIONS, True)
    assert len(upstream.calls) == 5


async def test_closing_stops_what_is_being_asked() -> None:
    probes = Probes(Scripted(lambda call: 30.0))
    waiting = asyncio.create_task(probes.can("http://h/v1", OFFER))
    await asyncio.sleep(0.01)
    await probes.aclose()
    with pytest.raises(asyncio.CancelledError):
        await waiting


@pytest.mark.parametrize(
    ("text", "finish_reason", "said"),
    [
        ('{"stone": "quartz-41"}', "stop", True),
        (' {"stone":"quartz-43"}\n', "length", True),
        ('{"stone": "granite"}', "stop", False),
        ('{"stone": ["quartz-41"]}', "stop", False),
        ('{"stone": "quartz-41", "more": 1}', "stop", False),
        ('```json\n{"stone": "quartz-41"}\n```', "stop", False),
        ("The sea is", "length", False),
        ("", "length", None),
        ("<think>A stone", "length", None),
        ('{"stone": "quar', "length", None),
        ('{"stone": "quar', "stop", False),
        ("[" * 100_000, "stop", False),
    ],
)
def test_only_an_answer_that_satisfies_the_schema_proves_it(
    text: str, finish_reason: str, said: bool | None
) -> None:
    assert holds_stone(UpstreamAnswer(text=text, finish_reason=finish_reason)) is said


@given(st.text(max_size=40), st.sampled_from(["stop", "length", "content_filter"]))
def test_no_text_breaks_the_judges(text: str, finish_reason: str) -> None:
    answer = UpstreamAnswer(
        text=text,
        finish_reason=finish_reason,
        tool_calls=(ToolCall(id="", name="get_weather", arguments=text),),
    )
    assert holds_stone(answer) is not True
    assert holds_object(answer) in (True, False, None)
    assert names_colour(answer, ("magenta",)) in (True, False, None)
    assert not calls_weather(answer)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("get_weather", "Lisbon"),
        ("get_weather", "{}"),
        ("get_weather", '{"city": 1}'),
        ("other", '{"city": "L"}'),
    ],
)
def test_a_tool_call_that_cannot_be_made_does_not_count(name: str, arguments: str) -> None:
    call = ToolCall(id="1", name=name, arguments=arguments)
    assert not calls_weather(UpstreamAnswer(tool_calls=(call,)))


def test_a_picture_accepted_but_not_seen_is_a_no_unless_the_model_was_cut() -> None:
    assert names_colour(UpstreamAnswer(text="It is blue."), MAGENTA[1]) is False
    assert names_colour(UpstreamAnswer(text="Hot PINK"), MAGENTA[1]) is True
    assert names_colour(UpstreamAnswer(text="<think>", finish_reason="length"), MAGENTA[1]) is None


@pytest.mark.parametrize(
    ("capability", "kind", "feature", "message", "said"),
    [
        (Capability.VISION, FailureKind.SERVER_ERROR, "", "image input is not supported", True),
        (Capability.VISION, FailureKind.SERVER_ERROR, "", "out of memory", False),
        (Capability.TOOLS, FailureKind.SERVER_ERROR, "", "image input is not supported", False),
        (Capability.TOOLS, FailureKind.UNSUPPORTED, "", "no", True),
        (Capability.TOOLS, FailureKind.UNSUPPORTED, "tools", "no", True),
        (Capability.TOOLS, FailureKind.UNSUPPORTED, "temperature", "only 1 is supported", False),
        (Capability.JSON_SCHEMA, FailureKind.BAD_REQUEST, "", "no", True),
        (Capability.JSON_SCHEMA, FailureKind.TIMEOUT, "", "no", False),
    ],
)
def test_an_error_is_a_refusal_only_when_it_is_about_the_capability(
    capability: Capability, kind: FailureKind, feature: str, message: str, said: bool
) -> None:
    assert is_refusal(capability, UpstreamError(kind, message, feature=feature)) is said


def test_the_picture_is_a_png_of_its_colour() -> None:
    png = plain_png(b"\xff\x00\xff")
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    chunks, at = {}, 8
    while at < len(png):
        size, kind = struct.unpack(">I4s", png[at : at + 8])
        data = png[at + 8 : at + 8 + size]
        assert struct.unpack(">I", png[at + 8 + size : at + 12 + size])[0] == zlib.crc32(kind + data)
        chunks[kind] = data
        at += 12 + size
    assert struct.unpack(">II", chunks[b"IHDR"][:8]) == (PICTURE_PIXELS, PICTURE_PIXELS)
    assert zlib.decompress(chunks[b"IDAT"]) == (b"\x00" + b"\xff\x00\xff" * PICTURE_PIXELS) * PICTURE_PIXELS
