"""Patience with models that are down: a call of theirs is given up when none of them will soon be back.

The router waits for a model that fails until the call's deadline, asking it again after pauses that double. A review
that has ten minutes would wait ten minutes for a server that answers every request with an error. What routers tell
of their breakers says when that is hopeless; models that are busy or still being loaded are waited for.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeVar

import msgspec

from bus import Bus, BusError
from bus.complete import Answered, Complete
from bus.services import LLM_MODELS
from schemas.llm import CompletionRequest, ModelOffered, ModelsReply, ModelsRequest, RefusalKind, Source

T = TypeVar("T")

BREAKERS: Final = "BREAKERS"
"""The bucket in which routers tell of their breakers."""
BREAKERS_AGE_MAX_S: Final = 3_700.0
PAUSE_S_MIN: Final = 4.0
"""A model that isn't asked for so long has failed about five times in as many seconds."""
PAUSE_SHARE: Final = 0.03
"""Of the time that is left: who has hours waits longer for a server that starts anew."""
PAUSE_S_MAX: Final = 30.0
LOOK_S: Final = 0.5
MODELS_S_MAX: Final = 3.0
MODELS_AGE_S_MAX: Final = 10.0
ON_THEIR_WAY: Final = frozenset({"rate_limited", "loading"})
"""Reasons of breakers behind which a model works."""


class BreakerSeen(msgspec.Struct, frozen=True, kw_only=True):
    """What we read of a breaker; `name` is `provider` or `provider/model`, times are seconds since 1970."""

    name: str
    open_until_s: float = 0.0
    failed_s: float = 0.0
    reason: str = ""


@dataclass(slots=True)
class Health:
    """What is known of all models, read again only when it is old, however many calls ask."""

    _breakers: tuple[BreakerSeen, ...] = ()
    _breakers_at_s: float = float("-inf")
    _models: dict[ModelsRequest, tuple[float, ModelsReply]] = field(default_factory=dict)
    _reading: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def why_hopeless(self, bus: Bus, request: CompletionRequest, pause_s: float) -> str:
        """Why no model that may take the request is to be expected back within `pause_s`; empty otherwise.

        Also empty when it can't be found out.
        """
        try:
            async with self._reading:
                breakers = await self._open(bus)
                models = await self._offered(bus, request) if breakers else ()
        except BusError:
            return ""
        return hopeless(models, breakers, pause_s, now_s=time.time())

    async def _open(self, bus: Bus) -> tuple[BreakerSeen, ...]:
        if time.monotonic() - self._breakers_at_s > LOOK_S / 2:
            bucket = bus.bucket(BREAKERS, BreakerSeen, age_max_s=BREAKERS_AGE_MAX_S)
            await bucket.ensure()
            self._breakers = tuple((await bucket.values()).values())
            self._breakers_at_s = time.monotonic()
        return self._breakers

    async def _offered(self, bus: Bus, request: CompletionRequest) -> tuple[ModelOffered, ...]:
        wanted = ModelsRequest(privacy=request.privacy, tier=request.tier)
        at_s, reply = self._models.get(wanted, (float("-inf"), ModelsReply()))
        if time.monotonic() - at_s > MODELS_AGE_S_MAX:
            reply = await bus.call(LLM_MODELS, wanted, timeout_s=MODELS_S_MAX)
            self._models[wanted] = (time.monotonic(), reply)
        return reply.models


@dataclass(frozen=True, slots=True, kw_only=True)
class Patient:
    """`Complete` that gives up on models that are down. What such a call has cost until then is in the books alone."""

    complete: Complete
    bus: Bus
    health: Health

    async def __call__(
        self,
        request: CompletionRequest,
        *,
        into: type[T],
        rules: Callable[[], T],
        deadline_s: float,
        task_id: str = "",
    ) -> Answered[T]:
        call = asyncio.ensure_future(
            self.complete(request, into=into, rules=rules, deadline_s=deadline_s, task_id=task_id)
        )
        try:
            while True:
                done, _ = await asyncio.wait({call}, timeout=LOOK_S)
                if done:
                    return call.result()
                why = await self.health.why_hopeless(self.bus, request, patience_s(deadline_s - time.time()))
                if why and not call.done():
                    return Answered(
                        value=rules(), source=Source.RULES, why_rules=f"{RefusalKind.UPSTREAM}: {why}"
                    )
        finally:
            call.cancel()


def patience_s(left_s: float) -> float:
    """Core: how long a model may be away that is still waited for, in seconds."""
    return min(PAUSE_S_MAX, max(PAUSE_S_MIN, PAUSE_SHARE * left_s))


def hopeless(
    models: Sequence[ModelOffered], breakers: Iterable[BreakerSeen], pause_s: float, *, now_s: float
) -> str:
    """Core: what is wrong when each of the models is away for `pause_s` or more; else empty."""
    away = {
        one.name: one.reason
        for one in breakers
        if one.open_until_s > now_s
        and one.open_until_s - one.failed_s >= pause_s
        and one.reason not in ON_THEIR_WAY
    }
    reasons = [_reason(model.model, away) for model in models]
    if not reasons or not all(reasons):
        return ""
    named = (f"{model.model} is down ({why})" for model, why in zip(models, reasons, strict=True))
    return f"given up: {'; '.join(named)}"


def _reason(model: str, away: Mapping[str, str]) -> str:
    """Why a model is away, by itself or with its provider; empty when it isn't."""
    why = away.get(model) or away.get(model.partition("/")[0]) or ""
    return why.replace("_", " ")
