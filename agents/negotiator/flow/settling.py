"""From positions to a deal, what it pays and what everybody may expect of it. Pure, but for the solver's deadline."""

import time
from collections.abc import Mapping
from dataclasses import dataclass

from agents.negotiator.platforms.card import Card
from agents.negotiator.platforms.checks import domain_of
from agents.negotiator.platforms.orders import payments_of
from agents.negotiator.platforms.revenue import judge
from agents.negotiator.risk import Risk
from agents.negotiator.solve import Options, solve
from schemas.deal import Certificate, Deal, NoDeal
from schemas.negotiation import HOUSE, NegotiationOpened, Option, Payment, PositionStated, Revenue


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """A deal with what follows from it.

    Attributes:
        confidence: likelihood that every party gains.
        options: other deals, compared with this one in the same worlds.
    """

    certificate: Certificate
    payments: tuple[Payment, ...]
    confidence: float
    revenue: dict[str, Revenue]
    options: tuple[Option, ...]


def settle(
    event: NegotiationOpened,
    positions: Mapping[str, PositionStated],
    cards: Mapping[str, Card],
    *,
    time_s: float,
) -> Settlement | NoDeal:
    """The deal between those who stated a position, or who prevents one.

    Args:
        positions: by party.
        time_s: for the solver.

    Raises:
        RefusedError: what was stated can't be negotiated.
    """
    until_s = time.perf_counter() + time_s
    request = event.request
    present = [positions[party] for party in event.parties if party in positions]
    domain = domain_of(event.issues, present, name=request.goal)
    options = Options(
        concept=request.concept, regret=request.regret, risk=Risk(aversion=request.risk_aversion)
    )
    found = solve(domain, lambda: until_s - time.perf_counter(), options)
    if isinstance(found, NoDeal):
        return found
    judged = judge(
        found.deal,
        others(found),
        cards=cards,
        platforms=[position.party for position in present if position.party != HOUSE],
        budget_nusd=request.budget_nusd,
        # The same question, the same draws: a likelihood near a limit must not depend on luck.
        task_id=f"{' '.join(sorted(request.platforms))} {request.budget_nusd}",
    )
    return Settlement(
        certificate=found,
        payments=payments_of(found.deal, cards, request.budget_nusd),
        confidence=judged.confidence,
        revenue=judged.revenue,
        options=judged.options,
    )


def others(certificate: Certificate) -> dict[str, Deal]:
    """Core: the deals beside the chosen one, by concept or as the runner-up; each once."""
    found: dict[str, Deal] = {}
    named = {concept: one.deal for concept, one in certificate.by_concept.items()}
    if certificate.runner_up is not None:
        named["runner_up"] = certificate.runner_up.deal
    for name, deal in named.items():
        if deal != certificate.deal and deal not in found.values():
            found[name] = deal
    return found
