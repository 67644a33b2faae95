"""Discovery: finds real llama.cpp, and nothing, quickly, where anything else listens."""

import asyncio
import json
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st
from llamacpp import LlamaCpp

from orchestrator.local.discovery import (
    BODY_BYTES_MAX,
    MODELS_MAX,
    Found,
    FoundModel,
    address_key,
    discover,
    parse_models,
)

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def listening(handle: Handler) -> AsyncGenerator[str]:
    """Something of ours at a free port; its base_url."""
    writers: list[asyncio.StreamWriter] = []

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        try:
            await handle(reader, writer)
        except ConnectionError:
            pass  # the asker had seen enough

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    finally:
        server.close()
        for writer in writers:
            writer.transport.abort()
        await asyncio.sleep(0)


def saying(data: bytes, *, then_close: bool = True) -> Handler:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(data)
        await writer.drain()
        if then_close:
            writer.close()

    return handle


def http(body: bytes, *, status: str = "200 OK", extra: str = "") -> bytes:
    return f"HTTP/1.1 {status}\r\n{extra}Content-Length: {len(body)}\r\n\r\n".encode() + body


def listing(*ids: str) -> bytes:
    return json.dumps({"object": "list", "data": [{"id": name, "object": "model"} for name in ids]}).encode()


async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(30)


async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.02)


async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        writer.write(b" " * 65536)
        await writer.drain()


def test_it_finds_real_llama_cpp_with_its_context_and_ignores_the_rest() -> None:
    async def both(url: str) -> list[Found]:
        async with listening(saying(http(b"<html>a router's page</html>"))) as junk:
            return await discover([("junk", junk), ("llamacpp", url)], timeout_s=5)

    with LlamaCpp() as server:
        (found,) = asyncio.run(both(server.base_url))
        assert (found.provider, found.base_url) == ("llamacpp", server.base_url)
        assert found.models == (FoundModel(name=server.model, context_tokens=2048),)


async def test_a_server_that_loads_its_model_is_there_already() -> None:
    loading = b'{"error":{"code":503,"message":"Loading model","type":"unavailable_error"}}'
    async with listening(saying(http(loading, status="503 Service Unavailable"))) as url:
        (found,) = await discover([("llamacpp", url)])
    assert found.is_loading
    assert found.models == ()


@pytest.mark.parametrize(
    "handle",
    [
        saying(http(b"overloaded", status="503 Service Unavailable")),
        saying(http(b"<html></html>")),
        saying(http(listing("m"), status="404 Not Found")),
        saying(http(b"", status="302 Found", extra="Location: /elsewhere\r\n")),
        saying(b"\x00\x01\x02" * 100_000),
        saying(b"INFO {server_id: 1}\r\n\r\n"),
        saying(b""),
        saying(http(listing("m"))[:-5]),
        saying(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"),
        saying(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n"),
        saying(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 100_000 + b"\r\n"),
        hang,
        drip,
        flood,
    ],
    ids=[
        *(
            "503",
            "html",
            "404",
            "redirect",
            "binary",
            "banner",
            "closes",
            "cut",
            "chunked",
            "huge-length",
            "huge-head",
        ),
        *("hangs", "drips", "floods"),
    ],
)
async def test_anything_else_at_the_port_is_nothing_quickly(handle: Handler) -> None:
    async with listening(handle) as url:
        before_s = time.monotonic()
        assert await discover([("x", url)], timeout_s=0.4) == []
        assert time.monotonic() - before_s < 2


async def test_a_closed_port_is_nothing() -> None:
    async with listening(hang) as url:
        pass
    assert await discover([("x", url)]) == []


async def test_a_list_without_length_is_read_to_the_end_of_the_connection() -> None:
    async with listening(saying(b"HTTP/1.0 200 OK\r\n\r\n" + listing("qwen2:7b"))) as url:
        (found,) = await discover([("ollama", url)], timeout_s=5)
    assert found.models == (FoundModel(name="qwen2:7b"),)


async def test_a_list_with_length_needs_no_end_of_the_connection() -> None:
    async with listening(saying(http(listing("m")), then_close=False)) as url:
        assert len(await discover([("x", url)], timeout_s=5)) == 1


async def test_slow_ones_do_not_hold_up_the_others() -> None:
    async with (
        listening(hang) as first,
        listening(hang) as second,
        listening(saying(http(listing("m")))) as good,
    ):
        before_s = time.monotonic()
        found = await discover([("a", first), ("b", second), ("c", good)], timeout_s=0.6)
        assert time.monotonic() - before_s < 1.1
    assert [one.provider for one in found] == ["c"]


async def test_one_address_is_asked_once_and_the_first_name_counts() -> None:
    asked = 0

    async def count(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        asked += 1
        await saying(http(listing("m")))(reader, writer)

    async with listening(count) as url:
        rows = [("vllm", url), ("llamacpp", f"{url}/"), ("other", url.replace("127.0.0.1", "localhost"))]
        found = await discover(rows, timeout_s=5)
    assert [one.provider for one in found] == ["vllm"]
    assert asked == 1


@pytest.mark.parametrize(
    "url",
    [
        "",
        "ftp://h/v1",
        "http://",
        "http://h:99999/v1",
        "http://h/ v1",
        "http://h/v1\r\nX: y",
        "http://ü/",
        "http://[::1",
        "http://u:p@h/v1",
    ],
)
async def test_what_is_no_address_is_nothing(url: str) -> None:
    assert address_key(url) == ""
    assert await discover([("x", url)]) == []


def test_each_servers_own_word_for_its_context_is_understood() -> None:
    rows = [
        {"id": "llama.cpp", "meta": {"n_ctx": 4096, "n_ctx_train": 8192}},
        {"id": "older llama.cpp", "meta": {"n_ctx_train": 8192}},
        {"id": "vllm", "max_model_len": 32768},
        {"id": "ollama", "owned_by": "library"},
        {"id": "odd", "max_model_len": "many", "meta": None},
        {"id": "odder", "max_model_len": True},
        {"id": "oddest", "meta": "none"},
        {"id": "zero", "max_model_len": 0},
    ]
    models = parse_models(json.dumps({"object": "list", "data": rows}).encode())
    assert [model.context_tokens for model in models] == [4096, 8192, 32768, None, None, None, None, None]


@pytest.mark.parametrize("name", ["", " ", "a\nb", "a\x1b[31m", "a\u202eb", "x" * 129, "\x00"])
def test_a_name_that_could_mislead_is_left_out(name: str) -> None:
    assert parse_models(listing(name, "good")) == (FoundModel(name="good"),)


def test_doubles_count_once_and_a_long_list_is_cut() -> None:
    assert len(parse_models(listing("a", "a"))) == 1
    assert len(parse_models(listing(*(f"m{n}" for n in range(MODELS_MAX + 50))))) == MODELS_MAX


def test_ollama_without_models_is_a_server_without_models() -> None:
    assert parse_models(b'{"object":"list","data":null}') == ()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"null",
        b"\xff",
        b'{"data":[]}',
        b'{"object":"error","data":[]}',
        b'{"object":"list"}',
        b'{"object":"list","data":[{"name":"m"}]}',
        b'{"object":"list","data":{}}',
        b'{"object":"list","x":' + b"[" * BODY_BYTES_MAX,
    ],
)
def test_another_shape_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_models(body)


@given(st.binary(max_size=200))
def test_no_bytes_break_the_parser(body: bytes) -> None:
    try:
        parse_models(body)
    except ValueError:
        pass
