"""How requests fail: each failure as the router wants to know it, and never with a key."""

import gzip
import logging
import socket
from collections.abc import Callable
from typing import Any

import pytest
from provider import Provider, Reply

from agents.router.upstream import FailureKind, UpstreamCall, UpstreamError
from config.secret import Secret
from orchestrator.upstream import Endpoint, OpenAIUpstream
from schemas.llm import ImagePart, Message, Tool

MakeCall = Callable[..., UpstreamCall]
BOTH = pytest.mark.parametrize("is_stream", [False, True], ids=["whole", "stream"])

USES_ALL: dict[str, Any] = {
    "messages": (Message(role="user", content=(ImagePart(url="https://pictures.example/1.png"),)),),
    "tools": (Tool(name="zoom"),),
    "format": "json_schema",
    "schema": {"type": "object"},
}


async def failure(upstream: OpenAIUpstream, call: UpstreamCall, *, is_stream: bool) -> UpstreamError:
    """The error of a call; its `text` must be what had come of the stream."""
    texts: list[str] = []
    try:
        if not is_stream:
            await upstream.complete(call)
        else:
            async for piece in upstream.stream(call):
                texts.append(str(piece))  # noqa: PERF401 - what came before the error counts
    except UpstreamError as caught:
        error = caught
    else:
        raise AssertionError("an answer instead of an error")
    assert error.text == "".join(texts)
    assert error.__cause__ is error.__context__ is None
    return error


@BOTH
@pytest.mark.parametrize(
    ("reply", "kind", "retry_after_s", "feature"),
    [
        (Reply(status=429), "rate_limited", None, ""),
        (Reply(status=429, headers={"Retry-After": "7"}), "rate_limited", 7.0, ""),
        (Reply(status=429, headers={"retry-after-ms": "1500", "Retry-After": "7"}), "rate_limited", 1.5, ""),
        (Reply(status=429, error="Please try again in 20s."), "rate_limited", 20.0, ""),
        (Reply(status=429, code="insufficient_quota"), "out_of_credit", None, ""),
        (Reply(status=402), "out_of_credit", None, ""),
        (Reply(status=503, headers={"Retry-After": "3"}), "rate_limited", 3.0, ""),
        (Reply(status=503), "server_error", None, ""),
        (Reply(status=503, error="Loading model", error_type="unavailable_error"), "loading", None, ""),
        (Reply(status=503, error="The model is currently loading."), "loading", None, ""),
        (Reply(status=503, error="Overloaded: loading too many models"), "server_error", None, ""),
        (Reply(status=500), "server_error", None, ""),
        (Reply(status=529), "server_error", None, ""),
        (Reply(status=504), "timeout", None, ""),
        (Reply(status=401), "bad_key", None, ""),
        (Reply(status=403), "bad_key", None, ""),
        (Reply(status=404), "no_such_model", None, ""),
        (Reply(status=413), "context_too_long", None, ""),
        (Reply(status=400, code="context_length_exceeded", param="messages"), "context_too_long", None, ""),
        (Reply(status=400, code="content_filter"), "content_refused", None, ""),
        (Reply(status=400, error="You sent nonsense."), "bad_request", None, ""),
        (Reply(status=422), "bad_request", None, ""),
        (Reply(status=400, param="response_format"), "unsupported", None, "json_schema"),
        (Reply(status=400, error="x does not support tools"), "unsupported", None, "tools"),
        (
            Reply(status=400, error="unknown variant `image_url`, expected `text`"),
            "unsupported",
            None,
            "vision",
        ),
        (Reply(status=400, param="temperature"), "unsupported", None, "temperature"),
        (Reply(status=400, param="max_tokens"), "unsupported", None, "max_tokens"),
        (Reply(status=400, error="unknown field: stream_options"), "unsupported", None, "stream_usage"),
        (
            Reply(status=500, error="image input is not supported - hint: mmproj"),
            "unsupported",
            None,
            "vision",
        ),
        (Reply(status=307, headers={"Location": "http://127.0.0.1:9/"}), "unreachable", None, ""),
    ],
    ids=str,
)
async def test_a_status_says_what_went_wrong(
    provider: Provider,
    upstream: OpenAIUpstream,
    call: MakeCall,
    is_stream: bool,
    reply: Reply,
    kind: str,
    retry_after_s: float | None,
    feature: str,
) -> None:
    provider.behaviour = reply
    error = await failure(upstream, call(**USES_ALL), is_stream=is_stream)
    assert (error.kind, error.retry_after_s, error.feature) == (kind, retry_after_s, feature)
    assert error.status == reply.status
    assert str(error).startswith(f"test/stand-in: HTTP {reply.status}: ")
    assert provider.calls == 1, "one request a call, whatever comes"


@BOTH
@pytest.mark.parametrize(
    ("reply", "says"),
    [
        (Reply(body=b"\x00\xff\xfe"), "something instead of an answer"),
        (Reply(body=b""), "an empty body instead of an answer"),
        (Reply(body=b"<html>Sign in</html>", content_type="text/html"), "HTML instead of an answer"),
        (Reply(error="Boom."), "an error object with status 200: Boom."),
        (Reply(body=b'{"choices": []}'), "without choices"),
        (Reply(body=b'{"choices": 5}'), "something instead of an answer"),
        (Reply(body=b'["nothing"]'), "something instead of an answer"),
        (Reply(body=b"[" * 100_000), "something instead of an answer"),
        (Reply(body=b"no gzip", headers={"Content-Encoding": "gzip"}), "decompressing"),
        (Reply(headers={"Not a header": "\x00"}, body=b""), "no HTTP"),
        (Reply(choices=False, body=b'{"usage": {"prompt_tokens": 3}}'), "without choices"),
    ],
    ids=str,
)
async def test_what_is_no_answer_is_garbage(
    provider: Provider, upstream: OpenAIUpstream, call: MakeCall, is_stream: bool, reply: Reply, says: str
) -> None:
    provider.behaviour = reply
    error = await failure(upstream, call(), is_stream=is_stream)
    assert (error.kind, error.was_sent) == (FailureKind.GARBAGE, True)
    assert says in str(error)


@pytest.mark.parametrize(
    "body", [b"data: {oops}\n\n", b": nothing but a comment\n\n", b"plain text", b"data: [DONE]"]
)
async def test_a_stream_of_nothing_is_garbage(
    provider: Provider, upstream: OpenAIUpstream, call: MakeCall, body: bytes
) -> None:
    provider.behaviour = Reply(body=body, content_type="text/event-stream")
    assert (await failure(upstream, call(), is_stream=True)).kind is FailureKind.GARBAGE


@BOTH
@pytest.mark.parametrize("reply", [Reply(resets=True), Reply(closes=True)], ids=["reset", "closed"])
async def test_a_connection_lost_after_the_request_was_sent_may_have_cost(
    provider: Provider, upstream: OpenAIUpstream, call: MakeCall, is_stream: bool, reply: Reply
) -> None:
    provider.behaviour = [Reply(), reply]
    await upstream.complete(call())  # so that the next goes over a connection that is used again
    error = await failure(upstream, call(), is_stream=is_stream)
    assert (error.kind, error.was_sent, error.status) == (FailureKind.CONNECTION_LOST, True, 0)


async def test_a_body_shorter_than_told_is_a_lost_connection(
    provider: Provider, upstream: OpenAIUpstream, call: MakeCall
) -> None:
    provider.behaviour = Reply(length_off_by=5)
    error = await failure(upstream, call(), is_stream=False)
    assert (error.kind, error.status) == (FailureKind.CONNECTION_LOST, 200)


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (Reply(text="Hello, world.", cut_after=2), FailureKind.CONNECTION_LOST),
        (Reply(text="Hello, world.", resets_after=2), FailureKind.CONNECTION_LOST),
        (Reply(text="Hello, world.", cut_after=2, error="Overloaded"), FailureKind.GARBAGE),
        (Reply(text="Hello, world.", hangs_after=2), FailureKind.TIMEOUT),
    ],
    ids=["cut", "reset", "error", "hangs"],
)
async def test_a_stream_that_breaks_off_gives_what_had_come(
    provider: Provider, upstream: OpenAIUpstream, call: MakeCall, reply: Reply, kind: FailureKind
) -> None:
    provider.behaviour = reply
    error = await failure(upstream, call(timeout_s=0.5), is_stream=True)
    assert (error.kind, error.text, error.was_sent) == (kind, "Hello, w", True)


async def test_a_stream_closed_in_order_in_the_middle_of_the_answer_is_cut(
    provider: Provider, upstream: OpenAIUpstream, call: MakeCall
) -> None:
    chunk = b'data: {"choices": [{"delta": {"content": "Half an"}}]}\n\n'
    provider.behaviour = Reply(body=chunk, content_type="text/event-stream")
    error = await failure(upstream, call(), is_stream=True)
    assert (error.kind, error.text) == (FailureKind.CONNECTION_LOST, "Half an")
    assert "ended before the answer did" in str(error)


@BOTH
async def test_a_huge_body_is_refused_while_it_comes(
    provider: Provider,
    upstream: OpenAIUpstream,
    call: MakeCall,
    is_stream: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("orchestrator.upstream.client.BODY_BYTES_MAX", 1_000_000)
    provider.behaviour = Reply(huge_bytes=3_000_000)
    error = await failure(upstream, call(), is_stream=is_stream)
    assert error.kind is FailureKind.GARBAGE
    assert "a body of more than 1000000 bytes" in str(error)
    assert await provider.until_idle()


async def test_a_body_that_unpacks_to_something_huge_is_refused(
    provider: Provider, upstream: OpenAIUpstream, call: MakeCall, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orchestrator.upstream.client.BODY_BYTES_MAX", 1_000_000)
    bomb = gzip.compress(b" " * 5_000_000)
    assert len(bomb) < 10_000
    provider.behaviour = Reply(body=bomb, headers={"Content-Encoding": "gzip"})
    assert "a body of more than 1000000 bytes" in str(await failure(upstream, call(), is_stream=False))


async def test_a_line_of_a_stream_that_never_ends_is_refused(
    provider: Provider, upstream: OpenAIUpstream, call: MakeCall, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orchestrator.upstream.sse.LINE_BYTES_MAX", 100_000)
    provider.behaviour = Reply(huge_bytes=1_000_000)
    error = await failure(upstream, call(), is_stream=True)
    assert error.kind is FailureKind.GARBAGE
    assert "a line of more than 100000 bytes" in str(error)


async def test_of_a_huge_error_only_the_start_is_read(
    provider: Provider, upstream: OpenAIUpstream, call: MakeCall
) -> None:
    provider.behaviour = Reply(status=500, body=b"x" * 10_000_000)
    error = await failure(upstream, call(), is_stream=False)
    assert (error.kind, error.status) == (FailureKind.SERVER_ERROR, 500)
    assert len(str(error)) == 300


@BOTH
async def test_a_request_that_could_not_be_sent_cost_nothing(call: MakeCall, is_stream: bool) -> None:
    with Provider() as gone:
        pass
    upstream = OpenAIUpstream(
        {
            "gone": Endpoint(base_url=gone.base_url, is_local=True),
            "no-host": Endpoint(base_url="http://host.invalid/v1", is_local=True),
            "no-tls": Endpoint(base_url=gone.base_url.replace("http:", "https:"), is_local=True),
            "no-address": Endpoint(base_url="ftp://127.0.0.1/v1", is_local=True),
        }
    )
    for name in ("gone", "no-host", "no-tls", "no-address"):
        error = await failure(upstream, call(offer={"provider": name}), is_stream=is_stream)
        assert (error.kind, error.was_sent, error.status) == (FailureKind.UNREACHABLE, False, 0), name
    await upstream.aclose()


async def test_a_plain_server_behind_an_https_address_is_unreachable(
    provider: Provider, call: MakeCall
) -> None:
    address = provider.base_url.replace("http:", "https:")
    upstream = OpenAIUpstream({"test": Endpoint(base_url=address, is_local=True)})
    error = await failure(upstream, call(timeout_s=0.4), is_stream=False)
    await upstream.aclose()
    assert (error.kind, error.was_sent) == (FailureKind.UNREACHABLE, False)


async def test_a_host_that_does_not_answer_the_connect_is_unreachable_before_the_time_is_over(
    call: MakeCall,
) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        waiting = [socket.socket() for _ in range(4)]
        for one in waiting:  # who accepts nobody has soon no place left, and answers no more
            one.setblocking(False)
            one.connect_ex(full.getsockname())
        address = f"http://127.0.0.1:{full.getsockname()[1]}/v1"
        upstream = OpenAIUpstream({"test": Endpoint(base_url=address, is_local=True)})
        await upstream.warm()
        error = await failure(upstream, call(timeout_s=0.5), is_stream=False)
        await upstream.aclose()
        for one in waiting:
            one.close()
    assert (error.kind, error.was_sent) == (FailureKind.UNREACHABLE, False)


@BOTH
@pytest.mark.parametrize(
    "reply",
    [
        lambda key: Reply(status=401, error=f"Incorrect API key provided: {key}"),
        lambda key: Reply(status=401, error=f"Incorrect API key provided: {key[:7]}***{key[-4:]}"),
        lambda key: Reply(status=500, body=f"trace: Authorization: Bearer {key}".encode()),
        lambda key: Reply(status=500, error="x" * 250 + key),
        lambda key: Reply(error=f"bad key {key}"),
        lambda key: Reply(body=key.encode()),
        lambda key: Reply(status=307, headers={"Location": f"https://elsewhere.example/?key={key}"}),
        lambda key: Reply(headers={f"Bad header {key}": "\x00"}, body=b""),
        lambda key: Reply(resets=True),
        lambda key: Reply(hangs=True),
    ],
)
async def test_no_error_and_no_log_shows_the_key(
    provider: Provider,
    upstream: OpenAIUpstream,
    call: MakeCall,
    key: str,
    caplog: pytest.LogCaptureFixture,
    is_stream: bool,
    reply: Callable[[str], Reply],
) -> None:
    caplog.set_level(logging.DEBUG)
    provider.behaviour = reply(key)
    error = await failure(upstream, call(timeout_s=0.3), is_stream=is_stream)
    assert provider.requests[0].authorization == f"Bearer {key}"
    for shown in (
        str(error),
        repr(error),
        repr(upstream),
        caplog.text,
        str([vars(row) for row in caplog.records]),
    ):
        assert key[:12] not in shown
        assert key[-4:] not in shown
    assert "\n" not in str(error)
    assert len(str(error)) <= 300


async def test_a_key_that_no_header_can_carry_is_named_without_being_shown(
    provider: Provider, call: MakeCall
) -> None:
    endpoint = Endpoint(base_url=provider.base_url, key=Secret("sk-secret\nmöre"), is_local=True)
    upstream = OpenAIUpstream({"test": endpoint})
    error = await failure(upstream, call(), is_stream=False)
    assert (error.kind, error.was_sent) == (FailureKind.BAD_KEY, False)
    assert str(error) == "test: its key has characters that no header can carry; copy it again"
    assert provider.calls == 0


async def test_a_check_says_why_a_provider_cannot_be_used_and_asks_for_no_completion(key: str) -> None:
    with Provider() as gone:
        pass
    with Provider(key=key) as provider:
        upstream = OpenAIUpstream(
            {
                "fine": Endpoint(base_url=provider.base_url, key=Secret(key), is_local=True),
                "no-key": Endpoint(
                    base_url=provider.base_url, key=Secret("sk-some-other-key"), is_local=True
                ),
                "gone": Endpoint(base_url=gone.base_url, is_local=True),
            }
        )
        assert await upstream.check("fine") == ""
        assert await upstream.check("no-key") == "no-key/models: HTTP 401: Incorrect API key provided"
        assert (await upstream.check("gone")).startswith("gone/models: unreachable: ")
        assert "no endpoint for provider other" in await upstream.check("other")
        await upstream.aclose()
        assert provider.calls == 0
