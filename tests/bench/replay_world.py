"""The simulated world of `routing_replay.py`: models that drift, fail and hang, calls, and a clock that jumps."""

import asyncio
import random
import selectors
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from agents.router.offers import Price, PriceTier
from agents.router.upstream import FailureKind, UpstreamError

SEED: Final = 11
CALL_EVERY_S: Final = 1.0
FAILS_AFTER_S: Final = 0.05


class _JumpingSelector(selectors.DefaultSelector):  # type: ignore[valid-type,misc]
    """Doesn't wait for a timer: puts the clock there."""

    now_s = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None:
            raise RuntimeError("the simulation waits for something that never comes")
        self.now_s += max(0.0, timeout)
        return super().select(0)  # type: ignore[no-any-return]


class SimulatedLoop(asyncio.SelectorEventLoop):
    """An event loop in which a timer costs no time."""

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now_s


Shape = Callable[[float], float]
"""At a share 0 … 1 of the trace, a factor of the usual latency; 0: refuses, negative: hangs."""


def steady(share: float) -> float:
    return 1.0


def drifting(most: float) -> Shape:
    """Up to `most` times as long in the middle of the trace, and back."""
    return lambda share: 1.0 + (most - 1.0) * max(0.0, 1.0 - abs(share - 0.5) / 0.25)


def away(begin: float, end: float, factor: float, otherwise: Shape = steady) -> Shape:
    return lambda share: factor if begin <= share < end else otherwise(share)


def by_turns(turns: int, slow: float, first: int) -> Shape:
    return lambda share: slow if (int(share * turns) + first) % 2 else 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """One model of the world: its price in dollars for a million tokens, and how it behaves.

    Attributes:
        first_s, token_s: usual time to the first token, and for each further one.
        spread: sigma of the lognormal factor on each call's latency.
        fails: share of calls that fail at once.
    """

    name: str
    input_usd: float
    output_usd: float
    first_s: float
    token_s: float
    spread: float = 0.25
    fails: float = 0.0
    shape: Shape = steady

    @property
    def price(self) -> Price:
        tier = PriceTier(input_nusd=round(self.input_usd * 1e9), output_nusd=round(self.output_usd * 1e9))
        return Price(tiers=(tier,))


def world(kind: str, seconds: float) -> tuple[Model, ...]:
    """The models of a trace, in the operator's order: the primary first."""
    ten_minutes = 600.0 / seconds
    turns = int(seconds / 20.0)
    shapes: dict[str, tuple[Shape, ...]] = {
        "calm": (steady,) * 5,
        "drift": (
            away(0.20, 0.20 + ten_minutes, 0.0, drifting(2.0)),
            drifting(3.0),
            away(0.70, 0.70 + ten_minutes, -1.0),
            drifting(1.5),
            steady,
        ),
        "flicker": (by_turns(turns, 4.0, 0), by_turns(turns, 4.0, 1), steady, steady, steady),
    }
    failing = 0.05 if kind == "drift" else 0.0
    tiny, small, mid, quick, best = shapes[kind]
    return (
        Model(
            name="mid", input_usd=0.30, output_usd=1.20, first_s=0.30, token_s=0.002, fails=failing, shape=mid
        ),
        Model(name="tiny", input_usd=0.04, output_usd=0.15, first_s=0.40, token_s=0.002, shape=tiny),
        Model(name="small", input_usd=0.10, output_usd=0.40, first_s=0.35, token_s=0.002, shape=small),
        Model(name="quick", input_usd=0.60, output_usd=2.40, first_s=0.20, token_s=0.001, shape=quick),
        Model(
            name="best",
            input_usd=2.50,
            output_usd=10.0,
            first_s=0.30,
            token_s=0.0015,
            spread=0.15,
            shape=best,
        ),
    )


@dataclass(frozen=True, slots=True)
class Call:
    """One call of the trace; by model, the factor on its latency and whether it fails."""

    at_s: float
    input_tokens: int
    output_tokens: int
    factors: Mapping[str, float]
    failing: frozenset[str]


def draw(models: Sequence[Model], count: int) -> list[Call]:
    chance = random.Random(SEED)
    calls, at_s = [], 0.0
    for _ in range(count):
        at_s += chance.expovariate(1.0 / CALL_EVERY_S)
        calls.append(
            Call(
                at_s,
                min(4_000, int(chance.lognormvariate(5.5, 0.7))),
                max(8, min(400, int(chance.lognormvariate(4.5, 0.5)))),
                {model.name: chance.lognormvariate(0.0, model.spread) for model in models},
                frozenset(model.name for model in models if chance.random() < model.fails),
            )
        )
    return calls


def latency_s(model: Model, call: Call, factor: float) -> float:
    return (model.first_s + model.token_s * call.output_tokens) * factor * call.factors[model.name]


@dataclass(slots=True)
class World:
    """The models at work, and the bill: what reached a model and wasn't refused is billed, be it used or not."""

    models: dict[str, Model]
    seconds: float
    cost_nusd: int = 0
    requests: int = 0

    async def ask(self, name: str, call: Call, tries: int = 0) -> None:
        """One request; returns when its answer is there.

        Raises:
            UpstreamError: it fails.
        """
        model, factor = self.models[name], self.factor(name)
        self.requests += 1
        if factor == 0.0 or (name in call.failing and not tries):
            await asyncio.sleep(FAILS_AFTER_S)
            raise UpstreamError(FailureKind.SERVER_ERROR, f"{name}: HTTP 500", status=500)
        if factor < 0:
            await asyncio.sleep(3_600.0)
        self.cost_nusd += model.price.cost_nusd(call.input_tokens, call.output_tokens)
        await asyncio.sleep(latency_s(model, call, factor))

    def factor(self, name: str) -> float:
        """What becomes of a request now, as its model's shape says."""
        return self.models[name].shape(min(1.0, asyncio.get_running_loop().time() / self.seconds))
