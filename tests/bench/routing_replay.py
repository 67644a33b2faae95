"""A day of model calls in seconds: what different ways to route cost, and how often they are in time.

    uv run --group bench python tests/bench/routing_replay.py [--calls 4000] [--output FILE]

A made-up trace, drawn with a seed, not a recording: calls arrive at random, with prompts and answers of different
lengths, and want an answer within 1.2 s; after 5 s they give up. Five models stand ready, from cheap and slow to dear
and quick; what each would do with each call (how long it takes, whether it fails) is drawn beforehand, so that every
way to route meets the same world. Time is simulated (an event loop whose clock jumps to the next timer), all else of
ours is the router as it runs: decisions, sketches, breakers, limits, hedges, retries, deadlines. It knows prices but
starts without any knowledge of latencies. Nobody else's code is used: the other ways are a few lines each, below, and
know more than they could: "fastest only" is told which model is the fastest on the whole.

    drift    latencies drift to the double or triple and back, the cheapest model is away for ten minutes, another one
             hangs for ten, a third fails one call in twenty
    calm     nothing changes, nothing fails, and the cheapest model is always quick enough: all that learning is for
             nothing, and the cheapest alone is the best that can be
    flicker  the two cheapest are quick and slow by turns of 20 s, faster than anything that is learned fades
"""

import argparse
import asyncio
import logging
import random
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from harness import table

# isort: split
from replay_world import CALL_EVERY_S, SEED, Call, SimulatedLoop, World, draw, latency_s, world

from agents.router.decide import Policy
from agents.router.offers import Offer
from agents.router.router import Router
from agents.router.upstream import FailureKind, UpstreamAnswer, UpstreamCall, UpstreamError
from schemas.cost import CallRecord, ReserveReply, ReserveRequest
from schemas.llm import CompletionRequest, Message, Usage

EPOCH_S: Final = 1_800_000_000.0
TARGET_S: Final = 1.2
DEADLINE_S: Final = 5.0
WORD: Final = "word "


Way = Callable[[Call], Awaitable[bool]]
"""Route one call; whether there was an answer."""


@dataclass(eq=False, slots=True)
class Simulated:
    """The router's ports: providers of the simulated world, and a purse that always opens."""

    world: World
    calls: dict[str, Call] = field(default_factory=dict)
    tries: dict[tuple[str, str], int] = field(default_factory=dict)

    async def complete(self, call: UpstreamCall) -> UpstreamAnswer:
        content = call.messages[-1].content
        assert isinstance(content, str)
        key = content.split(":", 1)[0]
        tried = self.tries.get((key, call.offer.model), 0)
        self.tries[key, call.offer.model] = tried + 1
        asked = self.calls[key]
        try:
            async with asyncio.timeout(call.timeout_s):
                await self.world.ask(call.offer.model, asked, tried)
        except TimeoutError:
            raise UpstreamError(FailureKind.TIMEOUT, f"{call.offer.name}: too late") from None
        return UpstreamAnswer(
            text=WORD, usage=Usage(input_tokens=asked.input_tokens, output_tokens=asked.output_tokens)
        )

    async def stream(self, call: UpstreamCall) -> AsyncGenerator[str | UpstreamAnswer]:
        yield await self.complete(call)

    async def reserve(self, request: ReserveRequest, *, deadline_s: float) -> ReserveReply:
        return ReserveReply(granted_nusd=request.want_nusd)

    def settle(self, record: CallRecord) -> None:
        pass

    def release(self, call_id: str) -> None:
        pass


def ours(world: World) -> Way:
    """The real router."""
    simulated = Simulated(world)
    offers = tuple(
        Offer(provider=f"p-{model.name}", model=model.name, price=model.price, rank=rank)
        for rank, model in enumerate(world.models.values())
    )
    loop = asyncio.get_running_loop()

    def clock() -> float:
        return EPOCH_S + loop.time()

    policy = Policy(target_s=TARGET_S)
    router = Router(
        upstream=simulated, money=simulated, offers=lambda: offers, policy=policy, cache_age_s=0, clock=clock
    )

    async def way(call: Call) -> bool:
        key = f"c{len(simulated.calls)}"
        simulated.calls[key] = call
        message = Message(role="user", content=f"{key}:{WORD * (call.input_tokens - 8)}")
        reply = await router.complete(
            CompletionRequest(messages=(message,)), deadline_s=EPOCH_S + call.at_s + DEADLINE_S
        )
        return reply.completion is not None

    return way


async def _in_order(world: World, call: Call, names: Sequence[str], try_s: float = DEADLINE_S) -> bool:
    """One model after the other until one answers, each for at most `try_s`."""
    loop = asyncio.get_running_loop()
    for name in names:
        until_s = min(loop.time() + try_s, call.at_s + DEADLINE_S)
        try:
            async with asyncio.timeout_at(until_s):
                await world.ask(name, call)
        except (UpstreamError, TimeoutError):
            continue
        return True
    return False


def only(name: str) -> Callable[[World], Way]:
    return lambda world: lambda call: _in_order(world, call, [name])


def round_robin(world: World) -> Way:
    names = list(world.models)
    turn = iter(range(1 << 30))

    async def way(call: Call) -> bool:
        return await _in_order(world, call, [names[next(turn) % len(names)]])

    return way


def in_order(world: World) -> Way:
    """The operator's list: the primary, and when it fails or takes 2 s the next, and so on."""
    return lambda call: _in_order(world, call, list(world.models), try_s=2.0)


def knowing(world: World) -> Way:
    """Knows what every model would do with this call: the cheapest in time, or else the quickest."""

    async def way(call: Call) -> bool:
        takes_s = {}
        for name, model in world.models.items():
            factor = world.factor(name)
            if factor > 0 and name not in call.failing:
                takes_s[name] = latency_s(model, call, factor)
        in_time = [name for name, seconds in takes_s.items() if seconds <= TARGET_S]
        if in_time:
            best = min(in_time, key=lambda name: world.models[name].output_usd)
        else:
            best = min(takes_s, key=takes_s.__getitem__)
        return await _in_order(world, call, [best])

    return way


WAYS: Final = {
    "Labverse": ours,
    "cheapest only": only("tiny"),
    "fastest only": only("quick"),
    "round robin": round_robin,
    "primary, then fallbacks": in_order,
    "who knows the future": knowing,
}
TRACES: Final = ("drift", "calm", "flicker")


async def replay(kind: str, way: str, count: int) -> list[str]:
    """One line of the table."""
    seconds = count * CALL_EVERY_S
    models = world(kind, seconds)
    scene = World({model.name: model for model in models}, seconds)
    route = WAYS[way](scene)
    loop = asyncio.get_running_loop()
    took: list[float] = []
    failures = 0

    async def one(call: Call) -> None:
        nonlocal failures
        if await route(call):
            took.append(loop.time() - call.at_s)
        else:
            failures += 1

    running = []
    for call in draw(models, count):
        await asyncio.sleep(call.at_s - loop.time())
        running.append(asyncio.create_task(one(call)))
    await asyncio.gather(*running)
    took.sort()
    in_time = sum(seconds <= TARGET_S for seconds in took) / count
    return [
        kind,
        way,
        f"${scene.cost_nusd / 1e9:.3f}",
        f"{in_time:.1%}",
        f"{took[len(took) // 2]:.2f}",
        f"{took[len(took) * 99 // 100]:.2f}",
        str(failures),
        f"{scene.requests / count - 1:.1%}",
    ]


def simulate(kind: str, way: str, count: int) -> list[str]:
    random.seed(SEED)
    with asyncio.Runner(loop_factory=SimulatedLoop) as runner:
        return runner.run(replay(kind, way, count))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--calls", type=int, default=4_000)
    parser.add_argument("--output", type=Path)
    args = parser.parse_args()
    logging.disable(logging.WARNING)  # breakers that open
    lines = [simulate(kind, way, args.calls) for kind in TRACES for way in WAYS]
    head = ["trace", "", "cost", "within 1.2 s", "p50 s", "p99 s", "failed", "extra requests"]
    text = table(head, lines)
    text += (
        f"\nSimulated, not recorded: {args.calls:,} calls over {args.calls * CALL_EVERY_S / 60:.0f} minutes, "
        f"seed {SEED}, the same world for each. In `drift` latencies drift up to threefold and back, the cheapest "
        "model is away for ten minutes, the primary fails one call in twenty and hangs for ten minutes; in `calm` "
        "the cheapest is always right; in `flicker` the two cheapest are slow by turns of 20 s. Times and shares "
        "count calls with an answer within 5 s; the share is of all calls.\n"
    )
    print(text)
    if args.output:
        args.output.write_text(text)


if __name__ == "__main__":
    main()
