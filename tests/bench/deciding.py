"""The router's own work for one call, without network: ten models with learned state.

    uv run --group bench python tests/bench/deciding.py [--rounds 3] [--decisions 4000] [--output FILE]

`decide` alone is the pure core; what it works out of many samples is kept for a moment, so that calls at once cost less
than calls that come by and by. With bookkeeping, the tokens are counted and breakers and room are looked at too. The
whole call is `Router.complete` with a provider and a cost guard that say yes at once, in process.
"""

import argparse
import asyncio
import json
import time
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import Final

from harness import Row, median, rounds, table

# isort: split
from llm_call import ask_router, request_of

from agents.router.decide import Facts, Policy, View, decide
from agents.router.offers import Offer, Price, PriceTier
from agents.router.router import Router
from agents.router.upstream import UpstreamAnswer, UpstreamCall
from schemas.cost import CallRecord, ReserveReply, ReserveRequest
from schemas.llm import Purpose, Usage

OFFERS: Final = 10
TAUGHT_CALLS: Final = 300
CALL_EVERY_S: Final = 0.05
PROMPT: Final = "What is six times seven?"


class AtOnce:
    """A provider, and a cost guard, that say yes at once and in process."""

    async def complete(self, call: UpstreamCall) -> UpstreamAnswer:
        return UpstreamAnswer(text="Hello.", usage=Usage(input_tokens=12, output_tokens=2))

    async def stream(self, call: UpstreamCall) -> AsyncGenerator[str | UpstreamAnswer]:
        yield await self.complete(call)

    async def reserve(self, request: ReserveRequest, *, deadline_s: float) -> ReserveReply:
        return ReserveReply(granted_nusd=request.want_nusd)

    def settle(self, record: CallRecord) -> None:
        pass

    def release(self, call_id: str) -> None:
        pass


def taught_router() -> Router:
    """A router with ten models of different prices, each with a few hundred calls behind it."""
    offers = tuple(
        Offer(
            provider=f"provider-{number}",
            model="m",
            price=Price(tiers=(PriceTier(input_nusd=10**8 * (number + 1), output_nusd=4 * 10**8),)),
            rank=number,
        )
        for number in range(OFFERS)
    )
    at_once = AtOnce()
    router = Router(upstream=at_once, money=at_once, offers=lambda: offers, policy=Policy())
    now_s = time.time()
    for number, offer in enumerate(offers):
        learned = router.learned.model(offer)
        for index in range(TAUGHT_CALLS):
            learned.answered(0.2 + 0.1 * number + 0.001 * (index % 50), 0.1, 100 + index, now_s)
            usage = Usage(input_tokens=12 + index % 5, output_tokens=100 + index)
            learned.billed(Purpose.DEFAULT, 12, usage, was_cut=False, now_s=now_s)
    return router


def timed(work: Callable[[], object], count: int) -> tuple[float, float]:
    """(median in ms, how many a second)."""
    took = []
    started = time.perf_counter()
    for _ in range(count):
        began = time.perf_counter()
        work()
        took.append(time.perf_counter() - began)
    return sorted(took)[count // 2] * 1e3, count / (time.perf_counter() - started)


def decisions(count: int) -> Row:
    """`decide` alone, for calls that come at once and for calls that come every 50 ms; and with what leads to it."""
    router = taught_router()
    request, policy, offers = request_of(PROMPT), router.policy, router.offers()
    facts, started_s = Facts.of(request), time.time()
    views = tuple(View(offer=offer, learned=router.learned.model(offer)) for offer in offers)
    ticks = iter(range(1, count + 1))

    def at_once() -> object:
        return decide(facts, views, policy, left_s=5.0, now_s=started_s)

    def apart() -> object:
        return decide(facts, views, policy, left_s=5.0, now_s=started_s + CALL_EVERY_S * next(ticks))

    def with_bookkeeping() -> object:
        """What the router does for each call: count its tokens, look at every model, decide."""
        looked = []
        for offer in offers:
            limit = router.learned.limit(offer)
            looked.append(
                View(
                    offer=offer,
                    learned=router.learned.model(offer),
                    breakers=router.breakers.of(offer),
                    is_full=limit.in_flight >= limit.limit or router.breakers.is_probing(offer),
                )
            )
        return decide(Facts.of(request), tuple(looked), policy, left_s=5.0, now_s=time.time())

    row: Row = {}
    for key, work in (("apart", apart), ("at_once", at_once), ("decision", with_bookkeeping)):
        row[f"{key}_p50_ms"], row[f"{key}_s"] = timed(work, count)
    return row


async def whole_calls(count: int) -> Row:
    router = taught_router()
    took = []
    started = time.perf_counter()
    for _ in range(count):
        began = time.perf_counter()
        await ask_router(router, PROMPT)
        took.append(time.perf_counter() - began)
    rate = count / (time.perf_counter() - started)
    return {"complete_p50_ms": sorted(took)[count // 2] * 1e3, "complete_s": rate}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--decisions", type=int, default=4_000)
    parser.add_argument("--output", type=Path)
    parser.add_argument("--row", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.row:
        print(json.dumps({**decisions(args.decisions), **asyncio.run(whole_calls(args.decisions))}))
        return
    runs = rounds(__file__, {"": ["--row", "--decisions", str(args.decisions)]}, args.rounds)[""]
    parts = {
        "apart": "`decide` alone, a call every 50 ms",
        "at_once": "`decide` alone, calls at once",
        "decision": "with bookkeeping, calls at once",
        "complete": "whole `Router.complete`, provider and guard at once",
    }
    lines = [
        [words, f"{median(runs, f'{key}_p50_ms'):.3f}", f"{median(runs, f'{key}_s'):,.0f}"]
        for key, words in parts.items()
    ]
    text = table(["", "p50 ms", "a second"], lines)
    print(text)
    if args.output:
        args.output.write_text(text)


if __name__ == "__main__":
    main()
