"""A provider for tests: a real HTTP server on loopback that speaks the OpenAI protocol, well or badly.

    with Provider(Reply(text="Hello.")) as provider:
        ...  # provider.base_url, provider.requests, provider.running, provider.billed

A token is four characters here, of what comes in and of what goes out. The server lives in a thread of its own
(or in a process: `python provider.py --reply '{"text": "Hello."}'` prints `{"base_url": …}`), so that tests may
block. `behaviour` can be set anew at any time.
"""

import argparse
import asyncio
import json
import signal
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from types import TracebackType
from typing import Any, Final, Protocol

import msgspec

CHARS_PER_TOKEN: Final = 4
REQUEST_BYTES_MAX: Final = 64 * 1024 * 1024
REQUESTS_KEPT_MAX: Final = 50_000
START_S_MAX: Final = 10.0
POLL_S: Final = 0.002
JSON: Final = "application/json"
SSE: Final = "text/event-stream"


class Price(Protocol):
    def cost_nusd(self, input_tokens: int, output_tokens: int, cached_tokens: int = 0, /) -> int: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A tool call that the model wants made."""

    name: str
    arguments: str = "{}"
    id: str = "call_1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What the server does with one request.

    Attributes:
        usage: (input, output) tokens told and billed; None counts them, at four characters each.
        tells_usage: False leaves `usage` out of the answer; it is billed all the same.
        finish_reason: None tells `stop`, `tool_calls`, or `length` when the text was cut at max_tokens.
        reasoning: what the model thinks aloud in the field `reasoning_content`; not counted.
        response_model: None echoes the request's.
        delay_s: before the first byte.
        token_delay_s: between the pieces of a stream.
        byte_delay_s: a whole answer drips, one byte at a time after the headers.
        hangs: nothing is ever answered.
        hangs_after: so many pieces of a stream are sent, then nothing more.
        resets: the connection is reset instead of an answer; nothing is billed.
        closes: the connection is closed in order instead of an answer; nothing is billed.
        cut_after: so many pieces of a stream are sent, then the connection is closed.
        resets_after: as `cut_after`, but reset.
        status, headers: of the answer. Anything but 200 is answered with an error object and not billed.
        error: message of an error object, which is the answer whatever the status; with `cut_after` it is an event
            in the stream.
        error_type, code, param: the error object's other fields.
        body: these bytes instead of any answer, as `content_type`.
        huge_bytes: pads a whole answer's text, or one line of a stream, to this size.
        length_off_by: added to the Content-Length of a whole answer; the connection is closed after it.
        sends_done: False leaves out the stream's last line, `[DONE]`, and closes the connection in order.
        choices: False answers with no choices at all.
    """

    text: str = "Hello."
    tool_calls: Sequence[Call] = ()
    refusal: str = ""
    reasoning: str = ""
    usage: tuple[int, int] | None = None
    cached_tokens: int = 0
    tells_usage: bool = True
    finish_reason: str | None = None
    response_model: str | None = None
    delay_s: float = 0.0
    token_delay_s: float = 0.0
    byte_delay_s: float = 0.0
    hangs: bool = False
    hangs_after: int | None = None
    resets: bool = False
    closes: bool = False
    cut_after: int | None = None
    resets_after: int | None = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    error: str | None = None
    error_type: str = "invalid_request_error"
    code: str | None = None
    param: str | None = None
    body: bytes | None = None
    content_type: str = JSON
    huge_bytes: int = 0
    length_off_by: int = 0
    sends_done: bool = True
    choices: bool = True

    @property
    def is_plain(self) -> bool:
        """Whether all of it can be written at once."""
        return not (self.delay_s or self.token_delay_s or self.byte_delay_s or self.hangs) and (
            self.hangs_after is None and self.resets_after is None
        )


Behaviour = Callable[[dict[str, Any], int], Reply]


@dataclass(frozen=True, slots=True)
class Received:
    """One request as it came: to `/v1/chat/completions`. `at_s` is of time.monotonic."""

    body: dict[str, Any]
    authorization: str
    at_s: float
    headers: Mapping[str, str]


class Provider:
    """Started by `with`, or by `start` and `stop`; `start` after `stop` takes the same port again.

    Attributes:
        behaviour: function of (request, number of the call from 0), a Reply for all, or Replies in order, of
            which the last repeats. Numbers count from when it was set.
        input_factor: how many times as many input tokens are billed as counted.
        models: names that `GET /v1/models` tells.
        key: when set, requests without it as bearer token get a 401.
        requests: what came in, the oldest 50,000.
        calls: how many came in.
        running: requests being worked on; falls when a client goes away.
        completed: answers (or errors) written to the end.
        disconnected: requests whose client went away before the end.
        billed: (input, output) tokens of each request that was answered in full or in part.
    """

    def __init__(
        self,
        behaviour: Behaviour | Reply | Sequence[Reply] = Reply(),
        *,
        port: int = 0,
        models: Sequence[str] = ("stand-in",),
        input_factor: float = 1.0,
        key: str = "",
    ) -> None:
        self._behaviour = behaviour
        self._number = 0
        self.port = port
        self.models = models
        self.input_factor = input_factor
        self.key = key
        self.requests: list[Received] = []
        self.calls = 0
        self.running = 0
        self.running_max = 0
        self.completed = 0
        self.disconnected = 0
        self.connections = 0
        self.billed: list[tuple[int, int]] = []
        self._open: set[_Connection] = set()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._started = threading.Event()
        self._stop: asyncio.Event | None = None

    @property
    def behaviour(self) -> Behaviour | Reply | Sequence[Reply]:
        return self._behaviour

    @behaviour.setter
    def behaviour(self, behaviour: Behaviour | Reply | Sequence[Reply]) -> None:
        self._behaviour, self._number = behaviour, 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def base_url(self) -> str:
        return f"{self.url}/v1"

    def billed_nusd(self, price: Price) -> int:
        """What all billed requests cost at `price`, in nano-USD."""
        return sum(
            price.cost_nusd(input_tokens, output_tokens) for input_tokens, output_tokens in list(self.billed)
        )

    def wait_idle(self, timeout_s: float = 5.0) -> bool:
        """Block until no request is running; False when that took longer than `timeout_s`."""
        until = time.monotonic() + timeout_s
        while self.running and time.monotonic() < until:
            time.sleep(POLL_S)
        return not self.running

    async def until_idle(self, timeout_s: float = 5.0) -> bool:
        """As `wait_idle`, for async tests: their loop must turn for a connection to be closed."""
        return await asyncio.to_thread(self.wait_idle, timeout_s)

    def stats(self) -> dict[str, Any]:
        """The counters, as `GET /stats` tells them."""
        names = ("calls", "running", "running_max", "completed", "disconnected", "connections", "billed")
        return {name: getattr(self, name) for name in names}

    def start(self) -> "Provider":
        listener = socket.create_server(("127.0.0.1", self.port), backlog=1024)
        self.port = listener.getsockname()[1]
        self._started.clear()
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._serve(listener)), name="provider", daemon=True
        )
        self._thread.start()
        assert self._started.wait(START_S_MAX), "the provider did not start"
        return self

    def stop(self) -> None:
        """Close the listener and reset every connection, as a machine that dies."""
        if self._thread is None or self._loop is None or self._stop is None:
            return
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(START_S_MAX)
        self._thread = None

    def __enter__(self) -> "Provider":
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    async def _serve(self, listener: socket.socket) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        server = await self._loop.create_server(lambda: _Connection(self), sock=listener)
        self._started.set()
        await self._stop.wait()
        server.close()
        for connection in tuple(self._open):
            connection.reset()
        while self._open:  # noqa: ASYNC110 - the end of a connection is told by a callback
            await asyncio.sleep(POLL_S)

    def reply_to(self, body: dict[str, Any]) -> Reply:
        """What `behaviour` says about the next request."""
        self.calls += 1
        number, self._number = self._number, self._number + 1
        if isinstance(self._behaviour, Reply):
            return self._behaviour
        if isinstance(self._behaviour, Sequence):
            return self._behaviour[min(number, len(self._behaviour) - 1)]
        return self._behaviour(body, number)

    def receive(self, received: Received) -> None:
        if len(self.requests) < REQUESTS_KEPT_MAX:
            self.requests.append(received)
        self.running += 1
        self.running_max = max(self.running_max, self.running)


class Answer:
    """One request's answer under a Reply: its pieces, its tokens, its bytes."""

    def __init__(self, provider: Provider, body: dict[str, Any], reply: Reply) -> None:
        self.provider = provider
        self.body = body
        self.reply = reply
        limit = body.get("max_completion_tokens") or body.get("max_tokens") or 1 << 40
        text = reply.text[: limit * CHARS_PER_TOKEN]
        self.is_cut = len(text) < len(reply.text)
        self.text = text + "x" * reply.huge_bytes
        counted = tokens(text) + sum(tokens(call.name + call.arguments) for call in reply.tool_calls)
        counted_input = -int(-tokens(prompt(body)) * provider.input_factor // 1)
        self.input_tokens, self.output_tokens = reply.usage or (counted_input, min(limit, counted))
        self.model = reply.response_model or str(body.get("model", ""))
        self.is_stream = bool(body.get("stream"))

    @property
    def finish_reason(self) -> str:
        usual = "length" if self.is_cut else "tool_calls" if self.reply.tool_calls else "stop"
        return self.reply.finish_reason or usual

    @property
    def usage(self) -> dict[str, Any]:
        return {
            "prompt_tokens": self.input_tokens,
            "completion_tokens": self.output_tokens,
            "total_tokens": self.input_tokens + self.output_tokens,
            "prompt_tokens_details": {"cached_tokens": self.reply.cached_tokens},
        }

    def whole(self) -> dict[str, Any]:
        """The object that answers a request without `stream`."""
        reply = self.reply
        message: dict[str, Any] = {
            "role": "assistant",
            "content": self.text,
            "refusal": reply.refusal or None,
        }
        if reply.reasoning:
            message["reasoning_content"] = reply.reasoning
        if reply.tool_calls:
            message |= {"content": None, "tool_calls": [wire_call(call) for call in reply.tool_calls]}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": self.finish_reason}
        answer = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": self.model}
        usage = {"usage": self.usage} if reply.tells_usage else {}
        return answer | {"choices": [choice] if reply.choices else []} | usage

    def deltas(self) -> Iterator[dict[str, Any]]:
        """The pieces of a stream, without its start and end: one token each."""
        if self.reply.reasoning:
            yield {"reasoning_content": self.reply.reasoning}
        for index, call in enumerate(self.reply.tool_calls):
            yield {
                "tool_calls": [
                    wire_call(call) | {"index": index, "function": {"name": call.name, "arguments": ""}}
                ]
            }
            for piece in pieces(call.arguments):
                yield {"tool_calls": [{"index": index, "function": {"arguments": piece}}]}
        if self.reply.refusal:
            yield {"refusal": self.reply.refusal}
        if not self.reply.tool_calls:
            size = max(CHARS_PER_TOKEN, self.reply.huge_bytes)
            yield from ({"content": piece} for piece in pieces(self.text, size))

    def chunk(self, delta: dict[str, Any], finish_reason: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        return self.event([choice], {})

    def end(self) -> bytes:
        options = self.body.get("stream_options") or {}
        told = options.get("include_usage") and self.reply.tells_usage
        last = self.chunk({}, self.finish_reason)
        if told:
            last += self.event([], {"usage": self.usage})
        return last + (b"data: [DONE]\n\n" if self.reply.sends_done else b"")

    def event(self, choices: list[dict[str, Any]], more: dict[str, Any]) -> bytes:
        chunk = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": self.model}
        return b"data: " + msgspec.json.encode(chunk | {"choices": choices} | more) + b"\n\n"


class _Connection(asyncio.Protocol):
    """One connection of a client: requests in, one after the other, answers out."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider
        self._received = bytearray()
        self._task: asyncio.Task[None] | None = None
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        # asyncio leaves it to us for a listener made by hand; without it, pieces wait 40 ms for one another.
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._transport = transport
        self._provider.connections += 1
        self._provider._open.add(self)

    def connection_lost(self, error: Exception | None) -> None:
        self._provider._open.discard(self)
        if self._task is not None:
            self._task.cancel()

    def data_received(self, data: bytes) -> None:
        self._received += data
        if len(self._received) > REQUEST_BYTES_MAX:
            self.reset()
        elif self._task is None:
            self._next()

    def reset(self) -> None:
        """Close with RST, without what is still to be sent."""
        connection = self._transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._transport.abort()

    def _next(self) -> None:
        while (request := self._take()) is not None:
            line, headers, body = request
            if not line.startswith("POST ") or not line.split()[1].endswith("/chat/completions"):
                self._other(line, headers)
            elif self._chat(headers, body):
                return

    def _take(self) -> tuple[str, dict[str, str], bytes] | None:
        """The first whole request of what was received, taken out of it."""
        head_end = self._received.find(b"\r\n\r\n")
        if head_end < 0 or self._transport.is_closing():
            return None
        line, *rows = self._received[:head_end].decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (row.partition(":") for row in rows)}
        start = head_end + 4
        end = start + int(headers.get("content-length", 0))
        if headers.get("transfer-encoding") == "chunked":
            raise NotImplementedError("a request in chunks")
        if len(self._received) < end:
            return None
        body = bytes(self._received[start:end])
        del self._received[:end]
        return line, headers, body

    def _other(self, line: str, headers: dict[str, str]) -> None:
        path, key = line.split()[1], self._provider.key
        if path.endswith("/models") and key and headers.get("authorization") != f"Bearer {key}":
            self._write(401, error_body(Reply(error="Incorrect API key provided", code="invalid_api_key")))
        elif path.endswith("/models"):
            models = [
                {"id": name, "object": "model", "created": 1, "owned_by": "test"}
                for name in self._provider.models
            ]
            self._write(200, msgspec.json.encode({"object": "list", "data": models}))
        elif path == "/stats":
            self._write(200, msgspec.json.encode(self._provider.stats()))
        else:
            self._write(404, error_body(Reply(error=f"no such address: {path}")))

    def _chat(self, headers: dict[str, str], body: bytes) -> bool:
        """Answer, at once when that can be; True when a task does it."""
        provider, request = self._provider, msgspec.json.decode(body)
        authorization = headers.get("authorization", "")
        provider.receive(Received(request, authorization, time.monotonic(), headers))
        reply = provider.reply_to(request)
        if provider.key and authorization != f"Bearer {provider.key}":
            shown = authorization.removeprefix("Bearer ")
            reply = Reply(status=401, error=f"Incorrect API key provided: {shown}", code="invalid_api_key")
        answer = Answer(provider, request, reply)
        if not reply.is_plain:
            self._task = asyncio.get_running_loop().create_task(self._work(answer))
            return True
        provider.running -= 1
        provider.completed += 1  # before it is sent: who has the answer must find it counted
        for _ in self._steps(answer):
            pass
        return False

    async def _work(self, answer: Answer) -> None:
        """Answer with pauses. A client that goes away cancels it."""
        try:
            await asyncio.sleep(answer.reply.delay_s)
            for pause_s in self._steps(answer):
                if pause_s < 0:
                    await asyncio.Event().wait()
                await asyncio.sleep(pause_s)
        except asyncio.CancelledError:
            self._provider.disconnected += 1
        else:
            self._provider.completed += 1
        finally:
            self._provider.running -= 1
            self._task = None
        self._next()

    def _steps(self, answer: Answer) -> Iterator[float]:
        """Write the answer; yields how long to pause in between, negative for ever."""
        reply = answer.reply
        if reply.hangs:
            yield -1
        elif reply.resets:
            self.reset()
        elif reply.closes:
            self._transport.close()
        elif reply.body is not None:
            yield from self._write_slowly(reply, reply.body)
        elif reply.status != 200 or (reply.error is not None and reply.cut_after is None):
            yield from self._write_slowly(reply, error_body(reply))
        elif answer.is_stream:
            yield from self._stream(answer)
        else:
            self._provider.billed.append((answer.input_tokens, answer.output_tokens))
            yield from self._write_slowly(reply, msgspec.json.encode(answer.whole()))

    def _stream(self, answer: Answer) -> Iterator[float]:
        reply, row = answer.reply, len(self._provider.billed)
        output_tokens = answer.output_tokens
        self._provider.billed.append((answer.input_tokens, 0))
        self._transport.write(
            head(reply.status, {"Content-Type": SSE, "Transfer-Encoding": "chunked", **reply.headers})
        )
        self._write_chunk(answer.chunk({"role": "assistant", "content": ""}))
        sent = 0
        for delta in answer.deltas():
            if sent in (reply.cut_after, reply.resets_after, reply.hangs_after):
                break
            if sent:
                yield reply.token_delay_s
            self._write_chunk(answer.chunk(delta))
            sent += 1
            self._provider.billed[row] = (answer.input_tokens, min(sent, output_tokens))
        if sent == reply.hangs_after:
            yield -1
        elif sent == reply.resets_after:
            yield POLL_S  # what was sent goes out before the reset discards it
            self.reset()
        elif sent == reply.cut_after:
            if reply.error is not None:
                self._write_chunk(b"data: " + error_body(reply) + b"\n\n")
            self._transport.close()
        else:
            self._provider.billed[row] = (answer.input_tokens, output_tokens)
            self._write_chunk(answer.end())
            self._transport.write(b"0\r\n\r\n")

    def _write_chunk(self, data: bytes) -> None:
        self._transport.write(b"%x\r\n%b\r\n" % (len(data), data))

    def _write_slowly(self, reply: Reply, body: bytes) -> Iterator[float]:
        length = len(body) + reply.length_off_by
        headers = {"Content-Type": reply.content_type, "Content-Length": str(length), **reply.headers}
        start = head(reply.status, headers)
        if not reply.byte_delay_s:
            self._transport.write(start + body)
        else:
            self._transport.write(start)
            for byte in body:
                self._transport.write(bytes((byte,)))
                yield reply.byte_delay_s
        if reply.length_off_by:
            self._transport.close()

    def _write(self, status: int, body: bytes) -> None:
        self._transport.write(head(status, {"Content-Type": JSON, "Content-Length": str(len(body))}) + body)


def head(status: int, headers: Mapping[str, str]) -> bytes:
    """Status line and headers."""
    phrase = HTTPStatus(status).phrase if status in HTTPStatus._value2member_map_ else "Unknown"
    rows = [f"HTTP/1.1 {status} {phrase}", *(f"{name}: {value}" for name, value in headers.items())]
    return ("\r\n".join(rows) + "\r\n\r\n").encode("latin-1")


def error_body(reply: Reply) -> bytes:
    """An error object as OpenAI's."""
    message = f"status {reply.status}" if reply.error is None else reply.error
    error = {"message": message, "type": reply.error_type, "param": reply.param, "code": reply.code}
    return msgspec.json.encode({"error": error})


def wire_call(call: Call) -> dict[str, Any]:
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}


def tokens(text: str) -> int:
    return (len(text) + CHARS_PER_TOKEN - 1) // CHARS_PER_TOKEN


def pieces(text: str, chars: int = CHARS_PER_TOKEN) -> Iterator[str]:
    return (text[start : start + chars] for start in range(0, len(text), chars))


def prompt(body: dict[str, Any]) -> str:
    """All text of a request's messages in one."""
    contents = [message.get("content") or "" for message in body.get("messages", ())]
    return "".join(
        content if isinstance(content, str) else "".join(part.get("text", "") for part in content)
        for content in contents
    )


def main() -> None:
    """Serve as a process until SIGTERM or SIGINT; `GET /stats` tells the counters."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--input-factor", type=float, default=1.0)
    parser.add_argument("--reply", default="{}", help="a Reply as JSON, or an array of them")
    options = parser.parse_args()
    given = json.loads(options.reply)
    replies = msgspec.convert(given if isinstance(given, list) else [given], list[Reply])
    provider = Provider(replies, port=options.port, input_factor=options.input_factor)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with provider:
        print(json.dumps({"base_url": provider.base_url, "port": provider.port}), flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main()
