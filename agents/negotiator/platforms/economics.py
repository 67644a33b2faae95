"""What an order comes to, when click and conversion rates are what they are: pure arithmetic over arrays.

Orders lie along the last axis, scenarios or worlds along the first.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from agents.negotiator.platforms.card import Card
from agents.negotiator.platforms.orders import Order
from agents.negotiator.platforms.posteriors import Rates
from agents.negotiator.platforms.pricing import Pricing
from schemas.llm import NUSD_PER_USD

PER_MILLE: Final = 1_000.0

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Result:
    """Impressions used, conversions brought and US dollars paid; all (scenarios, orders)."""

    impressions: Floats
    conversions: Floats
    paid: Floats

    def profit(self, card: Card) -> Floats:
        """The platform's: over what its impressions would have earned elsewhere."""
        return self.paid - self.impressions * (card.floor_ecpm_usd / PER_MILLE)

    def gain(self, value_usd: float) -> Floats:
        """Ours."""
        return value_usd * self.conversions - self.paid


def expected(card: Card, pricing: Pricing, orders: list[Order], rates: Rates) -> Result:
    """The means of orders of one model, given the rates.

    Args:
        rates: (scenarios,).
    """
    volume = np.array([float(order.volume) for order in orders])[None, :]
    price = np.array([order.price_nusd / NUSD_PER_USD for order in orders])[None, :]
    most = np.array([order.most_nusd / NUSD_PER_USD for order in orders])[None, :]
    ctr = rates.ctr[:, None]
    buys = ctr * rates.cvr[:, None]
    shape = np.broadcast_shapes(buys.shape, volume.shape)
    impressions: Floats
    match pricing:
        case Pricing.CPC:
            impressions = np.minimum(volume / ctr, card.inventory)
            clicks = np.minimum(volume, card.inventory * ctr)
            return Result(impressions, clicks * rates.cvr[:, None], np.minimum(most, clicks * price))
        case Pricing.CPA:
            impressions = np.minimum(volume / buys, card.inventory)
            conversions = np.minimum(volume, card.inventory * buys)
            return Result(impressions, conversions, np.minimum(most, conversions * price))
        case Pricing.SHARE:
            impressions = np.broadcast_to(volume, shape)
            conversions = volume * buys
            return Result(impressions, conversions, np.minimum(most, conversions * price))
        case _:
            per = card.rates.flat.impressions if pricing is Pricing.FLAT and card.rates.flat else 1
            impressions = np.broadcast_to(volume * per, shape)
            return Result(impressions, impressions * buys, np.broadcast_to(most, shape))
