"""What a router tells people of itself: how each model does, a few seconds old, in a KV bucket."""

import asyncio
import os
import socket
from collections.abc import Callable
from typing import Final

import msgspec

from agents.router.learned import Learned
from agents.router.offers import RANK_UNLISTED, Offer
from bus import Bus, BusError
from bus.envelope import now_text
from bus.kv import Bucket
from schemas.llm import ModelOffered, ModelsRequest, Privacy

BUCKET: Final = "ROUTERS"
AGE_MAX_S: Final = 20.0
TELL_S: Final = 5.0
MODELS_MAX: Final = 200
ANSWER_TOKENS: Final = 1_000
"""Of the answer whose duration is told to those who plan."""


class ModelFigures(msgspec.Struct, frozen=True, kw_only=True):
    """One model as one router sees it; durations in seconds, 0 where nothing is known.

    Attributes:
        calls: how many fresh answers the figures are worth.
        token_factor: billed input tokens for each counted one, with its margin; 0 before it is learned.
        limit, in_flight: requests at once that its provider is given now, and that are out.
    """

    model: str
    is_local: bool
    calls: float = 0.0
    p50_s: float = 0.0
    p95_s: float = 0.0
    first_p50_s: float = 0.0
    token_factor: float = 0.0
    limit: int = 0
    in_flight: int = 0


class RouterRecord(msgspec.Struct, frozen=True, kw_only=True):
    router_id: str
    host: str
    pid: int
    at: str
    models: tuple[ModelFigures, ...] = ()


def routers_bucket(bus: Bus) -> Bucket[RouterRecord]:
    return bus.bucket(BUCKET, RouterRecord, age_max_s=AGE_MAX_S)


def figures(learned: Learned, offers: tuple[Offer, ...], now_s: float) -> tuple[ModelFigures, ...]:
    """The figures of all models that were called, pure."""
    out = []
    for offer in offers[:MODELS_MAX]:
        model, limit = learned.model(offer), learned.limit(offer)
        calls = model.latency.weight(now_s)
        out.append(
            ModelFigures(
                model=offer.name,
                is_local=offer.is_local,
                calls=round(calls, 2),
                p50_s=round(model.latency.quantile(0.5, now_s), 4),
                p95_s=round(model.latency.quantile(0.95, now_s), 4),
                first_p50_s=round(model.first.quantile(0.5, now_s), 4),
                token_factor=round(model.correction.factor(now_s) or 0.0, 3),
                limit=limit.limit,
                in_flight=limit.in_flight,
            )
        )
    return tuple(out)


def is_callable(offer: Offer, request: ModelsRequest) -> bool:
    """Whether such a request may go to it at all."""
    return (
        offer.rank < RANK_UNLISTED
        and offer.has_key
        and offer.tier >= request.tier
        and (offer.is_local or (request.privacy is Privacy.ANY and offer.price is not None))
    )


def told(offer: Offer, learned: Learned, now_s: float) -> ModelOffered:
    """An offer for those who plan with it; the price is that of the smallest tier."""
    price = offer.price
    first = price.tiers[0] if price else None
    return ModelOffered(
        model=offer.name,
        is_local=offer.is_local,
        tier=offer.tier,
        context_tokens=offer.context_tokens,
        output_tokens_max=offer.output_tokens_max,
        input_nusd=first.input_nusd if first else 0,
        output_nusd=first.output_nusd if first else 0,
        per_request_nusd=price.per_request_nusd if price else 0,
        concurrency=offer.concurrency_max,
        answer_s=round(learned.model(offer).median_s(ANSWER_TOKENS, now_s), 4),
    )


async def tell(
    bus: Bus,
    router_id: str,
    learned: Learned,
    offers: Callable[[], tuple[Offer, ...]],
    clock: Callable[[], float],
) -> None:
    """Write this router's record every few seconds, until cancelled."""
    bucket = routers_bucket(bus)
    while True:
        try:
            await bucket.ensure()
            await bucket.put(
                router_id,
                RouterRecord(
                    router_id=router_id,
                    host=socket.gethostname(),
                    pid=os.getpid(),
                    at=now_text(),
                    models=figures(learned, offers(), clock()),
                ),
            )
        except BusError:
            pass  # the next one tells
        await asyncio.sleep(TELL_S)
