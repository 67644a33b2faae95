"""One model call, from the caller to a provider that answers at once: what each layer costs.

    uv run --group bench python tests/bench/llm_call.py [--rounds 2] [--seconds 2] [--output FILE]

The provider is a process of its own that answers every request with the same bytes, so that what is measured is the
way there and back. Prompts differ, and nothing is cached. Rows:

    raw socket          asyncio streams and msgspec: what the machine can do
    AsyncOpenAI         the vendor's client as it comes
    Labverse, paid      Router.complete in process: money held by a cost guard in another process before the request
                        is sent, and booked after it; nats-server in a third
    Labverse, free      the same with a free model: nothing to hold, still booked
    Labverse over NATS  caller, router, cost guard and nats-server in a process each; paid
    LiteLLM Router      its router with one deployment, in an environment of its own (it needs another openai)
"""

import argparse
import asyncio
import json
import os
import subprocess
import tempfile
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Final

from harness import Row, median, rounds, table

# isort: split
import msgspec
from ledger import guard, role
from natsserver import NatsServer

from agents.router.decide import Policy
from agents.router.offers import FREE, Offer, Price, PriceTier
from agents.router.router import Router
from bus import BusOptions, ConnectOptions, open_bus
from bus.budget import Budget
from bus.services import LLM_COMPLETE
from orchestrator.upstream import Endpoint, OpenAIUpstream
from schemas.llm import CompletionRequest, Message

HERE: Final = Path(__file__).resolve().parent
CALLERS: Final = (1, 64)
WARM_S: Final = 2.0
DEADLINE_S: Final = 30.0
MONTH_NUSD: Final = 10**15
PRICE: Final = Price(tiers=(PriceTier(input_nusd=150_000_000, output_nusd=600_000_000),))
CONCURRENCY: Final = 256
LITELLM: Final = "litellm>=1.106,<1.110"
GOAL_OVER_NATS: Final = 3.0

ANSWER: Final = msgspec.json.encode(
    {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "Hello."},
                "finish_reason": "stop",
                "logprobs": None,
            }
        ],
        "usage": {"prompt_tokens": 12, "completion_tokens": 2, "total_tokens": 14},
    }
)
ANSWER_HTTP: Final = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(ANSWER) + ANSWER
)

Ask = Callable[[str], Awaitable[None]]
"""One call with a prompt."""


class Framing(asyncio.Protocol):
    """The requests on a connection, however they are cut into packets: `answer` is given the body of each."""

    def __init__(self) -> None:
        self._received = b""
        self.transport: asyncio.WriteTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        while (head_end := self._received.find(b"\r\n\r\n")) >= 0:
            head = self._received[:head_end].lower()
            length = int(head.split(b"content-length:", 1)[1].split(b"\r\n", 1)[0])
            start, end = head_end + 4, head_end + 4 + length
            if len(self._received) < end:
                return
            body, self._received = self._received[start:end], self._received[end:]
            self.answer(body)

    def answer(self, body: bytes) -> None:
        raise NotImplementedError


class Instant(Framing):
    """Answers every request with the same bytes, at once."""

    def answer(self, body: bytes) -> None:
        self.transport.write(ANSWER_HTTP)


async def serve_provider() -> None:
    server = await asyncio.get_running_loop().create_server(Instant, "127.0.0.1", 0, backlog=1024)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1", flush=True)
    await server.serve_forever()


async def serve_router(nats_url: str, provider_url: str) -> None:
    """A router on the bus, until killed."""
    async with routed(nats_url, provider_url, is_paid=True) as router:
        ready = asyncio.Event()
        serving = asyncio.create_task(router.serve(ready))
        await ready.wait()
        print("serving", flush=True)
        await serving


@asynccontextmanager
async def routed(
    nats_url: str, provider_url: str, *, is_paid: bool, hedge_ratio_max: float = 0.05
) -> AsyncGenerator[Router]:
    """A router on real parts, with one model."""
    upstream = OpenAIUpstream({"stand-in": Endpoint(base_url=provider_url, is_local=not is_paid)})
    offer = Offer(
        provider="stand-in",
        model="m",
        is_local=not is_paid,
        price=PRICE if is_paid else FREE,
        concurrency_max=CONCURRENCY,
    )
    async with open_bus(BusOptions(connect=ConnectOptions(url=nats_url), source="router")) as bus:
        budget = Budget(bus)
        yield Router(
            upstream=upstream,
            money=budget,
            offers=lambda: (offer,),
            policy=Policy(),
            bus=bus,
            hedge_ratio_max=hedge_ratio_max,
        )
        await budget.flush(DEADLINE_S)
    await upstream.aclose()


# -- rows -------------------------------------------------------------------------------------------------


@asynccontextmanager
async def raw(provider_url: str, nats_url: str) -> AsyncGenerator[Ask]:
    host, port = provider_url.removeprefix("http://").removesuffix("/v1").split(":")
    idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
    encode, decode = msgspec.json.Encoder().encode, msgspec.json.Decoder().decode

    async def ask(prompt: str) -> None:
        reader, writer = idle.pop() if idle else await asyncio.open_connection(host, int(port))
        body = encode({"model": "m", "messages": [{"role": "user", "content": prompt}], "max_tokens": 64})
        writer.write(
            b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body) + body
        )
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.split(b"Content-Length:", 1)[1].split(b"\r\n", 1)[0])
        answer = decode(await reader.readexactly(length))
        if answer["choices"][0]["message"]["content"] != "Hello.":
            raise AssertionError(answer)
        idle.append((reader, writer))

    yield ask


@asynccontextmanager
async def vendor(provider_url: str, nats_url: str) -> AsyncGenerator[Ask]:
    import openai

    client = openai.AsyncOpenAI(base_url=provider_url, api_key="none", max_retries=0)

    async def ask(prompt: str) -> None:
        answer = await client.chat.completions.create(
            model="m", messages=[{"role": "user", "content": prompt}], max_tokens=64
        )
        if answer.choices[0].message.content != "Hello.":
            raise AssertionError(answer)

    yield ask


def request_of(prompt: str) -> CompletionRequest:
    return CompletionRequest(messages=(Message(role="user", content=prompt),), max_tokens=64, cache=False)


async def ask_router(router: Router, prompt: str) -> None:
    reply = await router.complete(request_of(prompt), deadline_s=time.time() + DEADLINE_S)
    if reply.completion is None or reply.completion.text != "Hello.":
        raise AssertionError(reply)


@asynccontextmanager
async def paid(provider_url: str, nats_url: str) -> AsyncGenerator[Ask]:
    with guard(nats_url, MONTH_NUSD):
        async with routed(nats_url, provider_url, is_paid=True) as router:
            yield lambda prompt: ask_router(router, prompt)


@asynccontextmanager
async def free(provider_url: str, nats_url: str) -> AsyncGenerator[Ask]:
    with guard(nats_url, MONTH_NUSD):
        async with routed(nats_url, provider_url, is_paid=False) as router:
            yield lambda prompt: ask_router(router, prompt)


@asynccontextmanager
async def over_nats(provider_url: str, nats_url: str) -> AsyncGenerator[Ask]:
    with guard(nats_url, MONTH_NUSD), role(__file__, "--router", nats_url, "--provider", provider_url):
        async with open_bus(BusOptions(connect=ConnectOptions(url=nats_url), source="caller")) as bus:

            async def ask(prompt: str) -> None:
                reply = await bus.call(LLM_COMPLETE, request_of(prompt), timeout_s=DEADLINE_S)
                if reply.completion is None or reply.completion.text != "Hello.":
                    raise AssertionError(reply)

            yield ask


OVER_NATS: Final = "Labverse over NATS"
LITELLM_ROUTER: Final = "LiteLLM Router"
WAYS: Final = {
    "raw socket": raw,
    "AsyncOpenAI": vendor,
    "Labverse, paid": paid,
    "Labverse, free": free,
    OVER_NATS: over_nats,
}


async def drive(ask: Ask, callers: int, seconds: float) -> Row:
    """`callers` one after another, for `WARM_S` that don't count and `seconds` that do."""
    took: list[float] = []
    starts = time.perf_counter() + WARM_S
    ends = starts + seconds

    async def caller(number: int) -> None:
        index = 0
        while (began := time.perf_counter()) < ends:
            await ask(f"What is {number} times {index}?")
            ended = time.perf_counter()
            if began >= starts and ended <= ends:
                took.append(ended - began)
            index += 1

    await asyncio.gather(*map(caller, range(callers)))
    took.sort()
    return {
        f"calls_s_{callers}": len(took) / seconds,
        f"p50_ms_{callers}": took[len(took) // 2] * 1e3,
        f"p99_ms_{callers}": took[len(took) * 99 // 100] * 1e3,
    }


async def measured(way: str, provider_url: str, nats_url: str, seconds: float) -> Row:
    row: Row = {}
    async with WAYS[way](provider_url, nats_url) as ask:
        for callers in CALLERS:
            row |= await drive(ask, callers, seconds)
    return row


def litellm(provider_url: str, seconds: float) -> Row:
    """The row of `litellm_row.py`, run by uv in an environment of its own, which is made on the first use."""
    command = ["uv", "run", "--no-project", "--isolated", "--with", LITELLM, "python"]
    done = subprocess.run(
        [*command, str(HERE / "litellm_row.py"), provider_url, str(WARM_S), str(seconds), *map(str, CALLERS)],
        env={**os.environ, "LITELLM_LOCAL_MODEL_COST_MAP": "True"},
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    row: Row = json.loads(done.stdout.splitlines()[-1])
    return row


def measure(way: str, seconds: float) -> Row:
    with ExitStack() as stack:
        provider_url = stack.enter_context(role(__file__, "--instant"))
        if way == LITELLM_ROUTER:
            return litellm(provider_url, seconds)
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        server = NatsServer(Path(folder)).start()
        stack.callback(server.stop)
        return asyncio.run(measured(way, provider_url, server.url, seconds))


# -- all of it --------------------------------------------------------------------------------------------


def text_of(runs: dict[str, list[Row]]) -> str:
    base = {callers: median(runs[LITELLM_ROUTER], f"calls_s_{callers}") for callers in CALLERS}
    lines = []
    for name, own in runs.items():
        line = [name]
        for callers in CALLERS:
            rate = median(own, f"calls_s_{callers}")
            line += [f"{median(own, f'{key}_ms_{callers}'):.3f}" for key in ("p50", "p99")]
            line += [f"{rate:,.0f}", f"{rate / base[callers]:.1f}"]
        lines.append(line)
    head = [""]
    for callers in CALLERS:
        who = "1 caller" if callers == 1 else f"{callers} callers"
        head += [f"{who}: p50 ms", "p99 ms", "calls/s", "÷ LiteLLM"]
    over = median(runs[OVER_NATS], f"calls_s_{CALLERS[-1]}") / base[CALLERS[-1]]
    return (
        table(head, lines)
        + f"\nOver NATS at {CALLERS[-1]} callers: {over:.1f} times LiteLLM Router's calls/s "
        + f"(goal {GOAL_OVER_NATS:g}). {LITELLM}.\n"
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--output", type=Path)
    for hidden in ("--row", "--router", "--provider"):
        parser.add_argument(hidden, help=argparse.SUPPRESS)
    parser.add_argument("--instant", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.instant:
        asyncio.run(serve_provider())
    elif args.router:
        asyncio.run(serve_router(args.router, args.provider))
    elif args.row:
        print(json.dumps(measure(args.row, args.seconds)))
    else:
        names = (*WAYS, LITELLM_ROUTER)
        rows = {name: ["--row", name, "--seconds", str(args.seconds)] for name in names}
        text = text_of(rounds(__file__, rows, args.rounds))
        print(text)
        if args.output:
            args.output.write_text(text)


if __name__ == "__main__":
    main()
