"""What goes out to a provider and what comes back, over real HTTP."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncGenerator, Callable
from typing import Any

import pytest
from provider import Call, Provider, Reply

from agents.router.offers import Capability
from agents.router.upstream import FailureKind, UpstreamAnswer, UpstreamCall, UpstreamError
from config.secret import Secret
from orchestrator.upstream import Endpoint, OpenAIUpstream
from schemas.llm import ImagePart, Message, TextPart, Tool, ToolCall, Usage

MakeCall = Callable[..., UpstreamCall]
BOTH = pytest.mark.parametrize("is_stream", [False, True], ids=["whole", "stream"])


async def collect(pieces: AsyncGenerator[str | UpstreamAnswer]) -> tuple[list[str], UpstreamAnswer]:
    *texts, answer = [piece async for piece in pieces]
    assert isinstance(answer, UpstreamAnswer)
    return [text for text in texts if isinstance(text, str)], answer


async def ask(upstream: OpenAIUpstream, call: UpstreamCall, *, is_stream: bool) -> UpstreamAnswer:
    if is_stream:
        return (await collect(upstream.stream(call)))[1]
    return await upstream.complete(call)


@BOTH
async def test_an_answer_comes_with_its_text_usage_and_model(
    provider: Provider, upstream: OpenAIUpstream, call: MakeCall, is_stream: bool
) -> None:
    provider.behaviour = Reply(text="Hello, world.", response_model="stand-in-0613", cached_tokens=1)
    answer = await ask(upstream, call("12345678"), is_stream=is_stream)
    assert answer == UpstreamAnswer(
        text="Hello, world.",
        usage=Usage(input_tokens=2, output_tokens=4, cached_tokens=1),
        response_model="stand-in-0613",
    )
    assert provider.billed == [(2, 4)]


@BOTH
async def test_a_text_cut_at_max_tokens_says_so(
    provider: Provider, upstream: OpenAIUpstream, call: MakeCall, is_stream: bool
) -> None:
    provider.behaviour = Reply(text="Hello, world.")
    answer = await ask(upstream, call(max_tokens=2), is_stream=is_stream)
    assert (answer.text, answer.finish_reason) == ("Hello, w", "length")


@BOTH
async def test_tool_calls_are_whole(
    provider: Provider, upstream: OpenAIUpstream, call: MakeCall, is_stream: bool
) -> None:
    provider.behaviour = Reply(
        tool_calls=[Call(name="weather", arguments='{"city": "Zürich"}', id="a"), Call(name="now", id="b")]
    )
    answer = await ask(upstream, call(tools=(Tool(name="weather"), Tool(name="now"))), is_stream=is_stream)
    assert answer.tool_calls == (
        ToolCall(id="a", name="weather", arguments='{"city": "Zürich"}'),
        ToolCall(id="b", name="now"),
    )
    assert answer.finish_reason == "tool_calls"


@BOTH
async def test_a_refusal_is_kept_apart_from_the_text_and_thoughts_are_left_out(
    provider: Provider, upstream: OpenAIUpstream, call: MakeCall, is_stream: bool
) -> None:
    provider.behaviour = Reply(text="", refusal="I can't.", reasoning="They want me to …")
    answer = await ask(upstream, call(), is_stream=is_stream)
    assert (answer.text, answer.refusal) == ("", "I can't.")


@BOTH
async def test_usage_that_nobody_told_is_none(
    provider: Provider, upstream: OpenAIUpstream, call: MakeCall, is_stream: bool
) -> None:
    provider.behaviour = Reply(tells_usage=False)
    assert (await ask(upstream, call(), is_stream=is_stream)).usage is None


async def test_pieces_come_while_the_provider_is_still_writing(
    provider: Provider, upstream: OpenAIUpstream, call: MakeCall
) -> None:
    provider.behaviour = Reply(text="Hello, world.", hangs_after=2)
    stream = upstream.stream(call())
    assert [await anext(stream), await anext(stream)] == ["Hell", "o, w"]
    assert provider.running == 1
    await stream.aclose()


async def test_a_stream_without_its_done_line_is_whole_once_it_has_a_finish_reason(
    provider: Provider, upstream: OpenAIUpstream, call: MakeCall
) -> None:
    provider.behaviour = Reply(text="Hello, world.", sends_done=False)
    assert (await collect(upstream.stream(call())))[1].text == "Hello, world."


async def test_a_server_that_does_not_stream_answers_a_stream_in_one_piece(
    provider: Provider, upstream: OpenAIUpstream, call: MakeCall
) -> None:
    whole = b'{"choices": [{"message": {"content": "All of it."}, "finish_reason": "stop"}]}'
    provider.behaviour = Reply(body=whole)
    assert await collect(upstream.stream(call())) == (["All of it."], UpstreamAnswer(text="All of it."))


async def test_usage_is_not_asked_of_a_stream_whose_server_cannot_tell(
    provider: Provider, upstream: OpenAIUpstream, call: MakeCall
) -> None:
    await collect(upstream.stream(call()))
    _, answer = await collect(upstream.stream(call(offer={"can": {Capability.STREAM_USAGE: False}})))
    first, second = (received.body for received in provider.requests)
    assert first["stream_options"] == {"include_usage": True}
    assert "stream_options" not in second
    assert answer.usage is None


async def test_images_tools_and_their_results_go_out_in_the_protocols_shape(
    provider: Provider, upstream: OpenAIUpstream, call: MakeCall
) -> None:
    messages = (
        Message(role="system", content="Be brief."),
        Message(
            role="user", content=(TextPart(text="What is it?"), ImagePart(url="data:image/png;base64,AA=="))
        ),
        Message(role="assistant", tool_calls=(ToolCall(id="a", name="zoom", arguments='{"by":2}'),)),
        Message(role="tool", tool_call_id="a", content="done"),
        Message(role="user", content=(TextPart(text="And"), TextPart(text="now?"))),
    )
    schema = {"type": "object", "properties": {"by": {"type": "integer"}}}
    tools = (Tool(name="zoom", description="Look closer", parameters=schema), Tool(name="stop"))
    await upstream.complete(call(messages=messages, tools=tools, format="json_schema", schema=schema))
    assert provider.requests[0].body == {
        "model": "stand-in",
        "max_tokens": 100,
        "temperature": 0.6,
        "messages": [
            {"role": "system", "content": "Be brief."},
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "What is it?"},
                    {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}},
                ],
            },
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [
                    {"id": "a", "type": "function", "function": {"name": "zoom", "arguments": '{"by":2}'}}
                ],
            },
            {"role": "tool", "tool_call_id": "a", "content": "done"},
            {"role": "user", "content": "And\nnow?"},
        ],
        "tools": [
            {
                "type": "function",
                "function": {"name": "zoom", "description": "Look closer", "parameters": schema},
            },
            {
                "type": "function",
                "function": {"name": "stop", "parameters": {"type": "object", "properties": {}}},
            },
        ],
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "answer", "strict": False, "schema": schema},
        },
    }


async def test_the_limit_on_tokens_goes_out_under_the_name_that_the_provider_takes(
    provider: Provider, upstream: OpenAIUpstream, call: MakeCall
) -> None:
    await upstream.complete(
        call(offer={"max_tokens_field": "max_completion_tokens"}, format="json_object", max_tokens=7)
    )
    body = provider.requests[0].body
    assert body["max_completion_tokens"] == 7
    assert "max_tokens" not in body
    assert body["response_format"] == {"type": "json_object"}


async def test_only_the_endpoints_own_key_is_sent(
    provider: Provider, call: MakeCall, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_ADMIN_KEY", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID"):
        monkeypatch.setenv(name, "sk-of-somebody-else")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "X-Extra: sk-of-somebody-else")
    upstream = OpenAIUpstream(
        {
            "test": Endpoint(base_url=provider.base_url, is_local=True),
            "keyed": Endpoint(base_url=provider.base_url, key=Secret("sk-own\n"), is_local=True),
        }
    )
    await upstream.complete(call())
    await upstream.complete(call(offer={"provider": "keyed"}))
    await upstream.aclose()
    assert [received.authorization for received in provider.requests] == ["", "Bearer sk-own"]
    assert "somebody" not in str(provider.requests)


async def test_connections_are_used_again(
    provider: Provider, upstream: OpenAIUpstream, call: MakeCall
) -> None:
    for _ in range(10):
        await upstream.complete(call())
        await collect(upstream.stream(call()))
    assert (provider.calls, provider.connections) == (20, 1)


async def test_an_endpoint_can_be_added_and_changed_later(provider: Provider, call: MakeCall) -> None:
    upstream = OpenAIUpstream({})
    with pytest.raises(UpstreamError, match="no endpoint for provider test; there are: none") as caught:
        await upstream.complete(call())
    assert (caught.value.kind, caught.value.was_sent) == (FailureKind.UNREACHABLE, False)
    upstream.add("test", Endpoint(base_url=provider.base_url, is_local=True))
    await upstream.complete(call())
    upstream.add("test", Endpoint(base_url=provider.base_url, key=Secret("sk-new"), is_local=True))
    await upstream.complete(call())
    await upstream.aclose()
    assert [received.authorization for received in provider.requests] == ["", "Bearer sk-new"]


async def test_many_calls_at_once_each_get_their_own_answer(
    provider: Provider, upstream: OpenAIUpstream, call: MakeCall
) -> None:
    def echo(body: dict[str, Any], _: int) -> Reply:
        return Reply(text=body["messages"][0]["content"], delay_s=0.02)

    provider.behaviour = echo
    answers = await asyncio.gather(
        *(ask(upstream, call(f"call {number}"), is_stream=bool(number % 2)) for number in range(60))
    )
    assert [answer.text for answer in answers] == [f"call {number}" for number in range(60)]
    assert provider.running_max > 30


def test_importing_the_package_does_not_load_the_heavy_clients() -> None:
    code = "import sys, orchestrator.upstream; print({'openai', 'aiohttp', 'httpx2'} & set(sys.modules))"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout == "set()\n"


def test_an_endpoint_does_not_show_its_key() -> None:
    endpoint = Endpoint(base_url="https://me:hidden@llm.example/v1?token=hidden", key=Secret("hidden"))
    assert repr(endpoint) == (
        "Endpoint(base_url='https://me:***@llm.example/v1?***', key=Secret('***'), is_local=False)"
    )
