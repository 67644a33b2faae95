"""Hedges: a second request when the first is slower than usual, on a provider with a heavy tail.

    uv run --group bench python tests/bench/hedging.py [--rounds 2] [--calls 2000] [--output FILE]

The provider is a process of its own. It waits about 30 ms (spread by 15 %) before it answers, but 600 ms for three
requests in a hundred, drawn with a seed whatever the request. Sixteen callers ask a router with this one model, without
hedges and with (5 % of the calls at most), for whole answers and for streams; the first calls, from which the router
learns what is usual, count for money alone. Money is held and booked as always, so that the cost of hedges is what stands in the
books: of a whole answer that lost the race all that was held for it, since nobody knows what the provider bills.
"""

import argparse
import asyncio
import json
import random
import tempfile
import time
from contextlib import ExitStack, aclosing
from pathlib import Path
from typing import Final

from harness import Row, median, rounds, table

# isort: split
import msgspec
from ledger import guard, role
from llm_call import DEADLINE_S, MONTH_NUSD, Framing, routed
from natsserver import NatsServer

from agents.router.router import Router
from schemas.llm import Completion, CompletionReply, CompletionRequest, Message

SEED: Final = 7
CALLERS: Final = 16
WARM_CALLS: Final = 400
USUAL_S: Final = 0.030
SPREAD: Final = 0.15
SLOW_S: Final = 0.600
SLOW_SHARE: Final = 0.03
HEDGES_MAX: Final = 0.05
WORDS: Final = 40
"""Of an answer, one token each."""
USAGE: Final = {"prompt_tokens": 30, "completion_tokens": WORDS, "total_tokens": 30 + WORDS}
TEXT: Final = "word " * WORDS
SSE_HEAD: Final = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


def whole() -> bytes:
    choice = {"index": 0, "message": {"role": "assistant", "content": TEXT}, "finish_reason": "stop"}
    body = msgspec.json.encode({"model": "m", "choices": [choice], "usage": USAGE})
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (
        len(body),
        body,
    )


def stream() -> bytes:
    """A stream whose events come all at once."""
    events: list[dict[str, object]] = [
        {"model": "m", "choices": [{"index": 0, "delta": {"content": "word "}}]} for _ in range(WORDS)
    ]
    events.append({"model": "m", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    events.append({"model": "m", "choices": [], "usage": USAGE})
    data = b"".join(b"data: %b\n\n" % msgspec.json.encode(event) for event in events) + b"data: [DONE]\n\n"
    return SSE_HEAD + b"%x\r\n%b\r\n0\r\n\r\n" % (len(data), data)


class Tailed(Framing):
    """Answers when the drawn time is over; who went away before gets nothing."""

    def __init__(self, chance: random.Random) -> None:
        super().__init__()
        self._chance = chance

    def answer(self, body: bytes) -> None:
        slow = self._chance.random() < SLOW_SHARE
        pause_s = SLOW_S if slow else USUAL_S * self._chance.lognormvariate(0.0, SPREAD)
        answer = STREAM if b'"stream":true' in body else WHOLE
        asyncio.get_running_loop().call_later(pause_s, self._write, answer)

    def _write(self, answer: bytes) -> None:
        if not self.transport.is_closing():
            self.transport.write(answer)


WHOLE: Final = whole()
STREAM: Final = stream()


async def serve_provider() -> None:
    chance = random.Random(SEED)
    server = await asyncio.get_running_loop().create_server(
        lambda: Tailed(chance), "127.0.0.1", 0, backlog=1024
    )
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1", flush=True)
    await server.serve_forever()


async def reply_of(router: Router, request: CompletionRequest, *, is_stream: bool) -> CompletionReply:
    deadline_s = time.time() + DEADLINE_S
    if not is_stream:
        return await router.complete(request, deadline_s=deadline_s)
    async with aclosing(router.stream(request, deadline_s=deadline_s)) as pieces:
        async for piece in pieces:
            if piece.reply is not None:
                return piece.reply
    raise AssertionError("a stream ends with a reply")


async def drive(router: Router, calls: int, *, is_stream: bool) -> Row:
    """Time to the whole answer of `calls` calls after those from which it learns; requests and money of all."""
    completions: list[Completion] = []
    took: list[float] = []

    async def caller(numbers: range) -> None:
        for number in numbers:
            request = CompletionRequest(
                messages=(Message(role="user", content=f"What is {number} times two?"),),
                max_tokens=2 * WORDS,
                cache=False,
            )
            started = time.perf_counter()
            reply = await reply_of(router, request, is_stream=is_stream)
            if reply.completion is None:
                raise AssertionError(reply)
            completions.append(reply.completion)
            if number >= WARM_CALLS:
                took.append(time.perf_counter() - started)

    await asyncio.gather(*(caller(range(first, WARM_CALLS + calls, CALLERS)) for first in range(CALLERS)))
    took.sort()
    return {
        **{f"p{q}_ms": took[len(took) * q // 100] * 1e3 for q in (50, 95, 99)},
        "requests": sum(completion.attempts for completion in completions),
        "calls": len(completions),
        "cost_nusd": sum(completion.cost_nusd for completion in completions),
    }


async def measured(provider_url: str, nats_url: str, ratio: float, calls: int, *, is_stream: bool) -> Row:
    async with routed(nats_url, provider_url, is_paid=True, hedge_ratio_max=ratio) as router:
        return await drive(router, calls, is_stream=is_stream)


def measure(form: str, ratio: float, calls: int) -> Row:
    with ExitStack() as stack:
        provider_url = stack.enter_context(role(__file__, "--serve"))
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        server = NatsServer(Path(folder)).start()
        stack.callback(server.stop)
        stack.enter_context(guard(server.url, MONTH_NUSD))
        return asyncio.run(measured(provider_url, server.url, ratio, calls, is_stream=form == "stream"))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--calls", type=int, default=2_000)
    parser.add_argument("--output", type=Path)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--row", help=argparse.SUPPRESS)
    parser.add_argument("--ratio", type=float, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.serve:
        asyncio.run(serve_provider())
        return
    if args.row:
        print(json.dumps(measure(args.row, args.ratio, args.calls)))
        return
    forms = {"whole": "whole answers", "stream": "streams"}
    rows = {
        f"{form} {ratio}": ["--row", form, "--ratio", str(ratio), "--calls", str(args.calls)]
        for form in forms
        for ratio in (0.0, HEDGES_MAX)
    }
    runs = rounds(__file__, rows, args.rounds)
    lines = []
    for form, words in forms.items():
        base = runs[f"{form} 0.0"]
        for ratio in (0.0, HEDGES_MAX):
            own = runs[f"{form} {ratio}"]
            extra = median(own, "requests") / median(own, "calls") - 1
            cost = median(own, "cost_nusd") / median(base, "cost_nusd") - 1
            times = [f"{median(own, f'p{q}_ms'):.0f}" for q in (50, 95, 99)]
            lines.append([words, f"{ratio:.0%} at most", *times, f"{extra:.1%}", f"{cost:.1%}"])
    head = ["", "hedges", "p50 ms", "p95 ms", "p99 ms", "extra requests", "extra cost"]
    text = table(head, lines)
    print(text)
    if args.output:
        args.output.write_text(text)


if __name__ == "__main__":
    main()
