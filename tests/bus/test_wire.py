"""Our two hot paths through nats-py do what the library's own do."""

import asyncio
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import MaxPayloadError
from natsserver import NatsServer

from bus.envelope import block, header_lines
from bus.wire import WireClient

_names = st.from_regex(r"[A-Za-z][A-Za-z0-9-]{0,20}", fullmatch=True)
_values = st.text(alphabet=st.characters(codec="ascii", exclude_categories=["Cc"]), max_size=40)


@given(st.dictionaries(_names, _values, max_size=8))
def test_headers_are_read_as_nats_py_reads_them(headers: dict[str, str]) -> None:
    raw = block(header_lines(headers))
    ours = asyncio.run(WireClient()._process_headers(raw))
    theirs = asyncio.run(Client()._process_headers(raw))
    assert (ours or None) == (theirs or None)


@pytest.mark.parametrize(
    "raw",
    [
        b"NATS/1.0 503\r\n\r\n",
        b"NATS/1.0 100 Idle Heartbeat\r\nNats-Last-Consumer: 1\r\n\r\n",
        b"NATS/1.0 408 Request Timeout\r\nNats-Pending-Messages: 3\r\n\r\n",
        b"NATS/1.0\r\nNo-Blank:value\r\n\r\n",
        "NATS/1.0\r\nName: žluťoučký\r\n\r\n".encode(),
        b"NATS/1.0\r\nbroken line\r\n\r\n",
    ],
)
async def test_unusual_headers_go_the_librarys_own_way(raw: bytes) -> None:
    assert await WireClient()._process_headers(raw) == await Client()._process_headers(raw)


async def test_what_we_send_arrives_as_if_the_library_had_sent_it(server: NatsServer) -> None:
    ours, theirs = WireClient(), Client()
    await ours.connect(server.url)
    await theirs.connect(server.url)
    got: asyncio.Queue[Msg] = asyncio.Queue()
    await theirs.subscribe("x", cb=got.put)
    await theirs.flush()
    headers = {"a": "1", "ce-id": "é"}
    await ours.send("x", b"payload", "reply.to", block(header_lines(headers)))
    await theirs.publish("x", b"payload", reply="reply.to", headers=headers)
    await ours.send("x", b"")
    await ours.flush()
    first, second, third = [await asyncio.wait_for(got.get(), 5) for _ in range(3)]
    assert sorted([first.data, second.data, third.data]) == [b"", b"payload", b"payload"]
    with_headers = [message for message in (first, second, third) if message.headers]
    assert with_headers[0].headers == with_headers[1].headers == headers
    assert with_headers[0].reply == with_headers[1].reply == "reply.to"
    with pytest.raises(MaxPayloadError):
        await ours.send("x", b"x" * 2_000_000)
    await ours.close()
    await theirs.close()


def test_a_header_value_can_not_smuggle_in_another_header() -> None:
    assert header_lines({"a": "1\r\nNats-Rollup: all"}) == "a: 1  Nats-Rollup: all\r\n"
    with pytest.raises(ValueError, match="not allowed"):
        header_lines({"a: b\r\nc": "1"})


def test_what_only_model_calls_need_is_not_loaded_with_the_bus() -> None:
    code = "import sys, bus; print(sorted({'aiohttp', 'openai', 'opentelemetry.sdk'} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True
    )
    assert done.stdout.strip() == "[]"
    code = "import bus, aiohttp; print(aiohttp.ClientSession.__name__)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True
    )
    assert done.stdout.strip() == "ClientSession"
