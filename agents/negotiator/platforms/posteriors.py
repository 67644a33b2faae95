"""How likely clicks and conversions are, by what was counted: Beta posteriors, draws of them and scenarios."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from schemas.negotiation import Evidence

PRIOR: Final = 0.5
"""Jeffreys: counts as half an event and half a miss."""
RATE_LEAST: Final = 1e-12
"""Smaller draws of sparse evidence count as this: they are divided by."""
BINS_MAX: Final = 6
SCENARIO_DRAWS: Final = 7_200
"""Of which scenarios are the means of equal parts; divisible by 1 to 6."""
SCENARIO_SEED: Final = 20_260_101

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """Click and conversion rates in worlds or scenarios: (n,) each."""

    ctr: Floats
    cvr: Floats


@dataclass(frozen=True, slots=True)
class Beta:
    """A Beta distribution."""

    a: float
    b: float

    @property
    def mean(self) -> float:
        return self.a / (self.a + self.b)

    def draws(self, count: int, generator: np.random.Generator) -> Floats:
        """(count,)."""
        drawn: Floats = np.maximum(generator.beta(self.a, self.b, count), RATE_LEAST)
        return drawn


def ctr_of(evidence: Evidence) -> Beta:
    """The posterior of clicks per impression."""
    return Beta(PRIOR + evidence.clicks, PRIOR + evidence.impressions - evidence.clicks)


def cvr_of(evidence: Evidence) -> Beta:
    """The posterior of conversions per click."""
    return Beta(PRIOR + evidence.conversions, PRIOR + evidence.clicks - evidence.conversions)


def draws_of(evidence: Evidence, count: int, generator: np.random.Generator) -> Rates:
    """`count` worlds."""
    return Rates(ctr=ctr_of(evidence).draws(count, generator), cvr=cvr_of(evidence).draws(count, generator))


def scenarios_of(evidence: Evidence, bins: int) -> Rates:
    """`bins`² equally likely scenarios: every combination of the means of equally likely ranges of both rates.

    Their means are those of the posteriors, of the product too, since the rates are independent.
    """
    if not 1 <= bins <= BINS_MAX:
        raise ValueError(f"{bins} bins; from 1 to {BINS_MAX}")
    ctr, cvr = _bin_means(ctr_of(evidence), bins), _bin_means(cvr_of(evidence), bins)
    return Rates(ctr=np.repeat(ctr, bins), cvr=np.tile(cvr, bins))


@lru_cache(maxsize=256)
def _bin_means(beta: Beta, bins: int) -> Floats:
    """(bins,): the mean of each of `bins` equally likely ranges, lowest first."""
    generator = np.random.default_rng(SCENARIO_SEED)
    ranked = np.sort(beta.draws(SCENARIO_DRAWS, generator))
    drawn = ranked.reshape(bins, -1).mean(axis=1)
    # So that the mean is exact and not that of the draws; what is likely is kept below 1 by scaling its misses.
    scaled = drawn * (beta.mean / drawn.mean())
    if beta.mean > 0.5:
        scaled = 1.0 - (1.0 - drawn) * ((1.0 - beta.mean) / (1.0 - drawn.mean()))
    means: Floats = np.clip(scaled, RATE_LEAST, 1.0)
    means.flags.writeable = False
    return means


def ecpm_usd(price_usd: float, per: str, evidence: Evidence) -> float:
    """What 1,000 impressions are expected to earn.

    Args:
        price_usd: for 1,000 impressions, a click or a conversion.
        per: `impressions`, `click` or `conversion`.
    """
    match per:
        case "impressions":
            return price_usd
        case "click":
            return 1_000 * ctr_of(evidence).mean * price_usd
        case _:
            return 1_000 * ctr_of(evidence).mean * cvr_of(evidence).mean * price_usd
