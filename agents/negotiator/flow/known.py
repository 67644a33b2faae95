"""Deals that were agreed on before, so that the policy can tell a new one.

Listens  negotiation.agreed
State    the bucket `DEALS`: when a deal with these platforms and terms was last agreed on
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import msgspec

from bus import Bus, Envelope, Subscription
from bus.kv import Bucket
from schemas.deal import Deal
from schemas.event import Event
from schemas.negotiation import NegotiationAgreed, Payment

BUCKET: Final = "DEALS"
AGE_MAX_S: Final = 400 * 86_400.0


class KnownDeal(msgspec.Struct, frozen=True, kw_only=True):
    """The last deal of its kind."""

    task_id: str
    at: str
    deal: dict[str, str]


def deals_bucket(bus: Bus) -> Bucket[KnownDeal]:
    """The bucket that `Known` writes; `ensure` it before first use."""
    return bus.bucket(BUCKET, KnownDeal, age_max_s=AGE_MAX_S)


def kind_of(deal: Deal, payments: Iterable[Payment]) -> str:
    """The key under which deals count as the same: platforms with their terms and the other issues, not the amounts."""
    terms = sorted((one.platform, one.terms) for one in payments if one.most_nusd)
    others = sorted((issue, value) for issue, value in deal.items() if issue != "terms")
    return hashlib.sha256(msgspec.json.encode([terms, others])).hexdigest()[:32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    bus: Bus

    def subscription(self) -> Subscription:
        return Subscription(
            durable="negotiation-memory", listens=(NegotiationAgreed,), handle=self.handle, is_projection=True
        )

    async def handle(self, event: NegotiationAgreed, envelope: Envelope) -> Event | None:
        known = KnownDeal(task_id=envelope.task_id, at=envelope.time, deal=event.deal)
        await deals_bucket(self.bus).put(kind_of(event.deal, event.payments), known)
        return None
