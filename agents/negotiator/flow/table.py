"""The table: gathers positions, finds the deal, and lets it through as far as policy allows.

Listens  negotiation.opened
Emits    negotiation.proposed, with approval.requested or negotiation.agreed | negotiation.no_deal
Effects  the deal's money is held in the ledger
State    none; the stream is the state
Without an LLM  the same: words come from whoever states a position
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from agents.negotiator.flow.asking import CONVERSIONS_MIN, DealPolicy, approval_of, digest_of, reasons_to_ask
from agents.negotiator.flow.gating import hold_for
from agents.negotiator.flow.known import deals_bucket, kind_of
from agents.negotiator.flow.rehearsal import rehearse
from agents.negotiator.flow.settling import Settlement, settle
from agents.negotiator.limits import RefusedError
from agents.negotiator.platforms.card import Card
from agents.negotiator.platforms.checks import checked
from agents.negotiator.switch import is_running
from bus import Bus, BusError, Envelope, Subscription
from bus.envelope import parse_time
from bus.errors import RetryableError
from bus.gather import Gathered
from schemas.deal import NoDeal
from schemas.event import Event
from schemas.negotiation import (
    HOUSE,
    NegotiationAgreed,
    NegotiationNoDeal,
    NegotiationOpened,
    NegotiationProposed,
    NoDealKind,
    Payment,
    PositionAsked,
    PositionStated,
)

DURABLE: Final = "negotiation-table"
MACHINE_S: Final = 0.2
"""From request to proposal, where positions come at once."""
SOLVE_S_MIN: Final = 0.06
SOLVE_S_MAX: Final = 0.18
AFTER_S: Final = 0.05
"""Kept for revenue, gates and the commit."""
AGAIN_S: Final = 2.0
WARM_AFTER_S: Final = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    bus: Bus
    policy: DealPolicy
    cards: Mapping[str, Card]

    def subscription(self) -> Subscription:
        return Subscription(durable=DURABLE, listens=(NegotiationOpened,), handle=self.handle, concurrency=4)

    async def warm(self) -> None:
        """Load what solving needs and go through it once, before the first negotiation comes."""
        await asyncio.to_thread(rehearse, self.cards)

    async def warm_later(self) -> None:
        """The same, once the process has started up: it costs a second of a core."""
        await asyncio.sleep(WARM_AFTER_S)
        await self.warm()

    async def handle(self, event: NegotiationOpened, envelope: Envelope) -> Sequence[Event]:
        """Gather, decide, hold.

        Raises:
            RetryableError: the ledger or the bus doesn't answer.
        """
        await self.warm()
        request = event.request
        gathered = await self.bus.gather(
            PositionStated,
            task_id=envelope.task_id,
            expected=event.asked,
            deadline_s=parse_time(event.deadline),
        )
        positions, silent = taken(event, gathered)
        began_s = parse_time(event.started_at)

        def nothing(kind: NoDealKind, reason: str, outcome: NoDeal | None = None) -> list[Event]:
            blockers = tuple(one.agent for one in outcome.blockers) if outcome else ()
            no_deal = NegotiationNoDeal(
                kind=kind,
                reason=reason,
                blockers=blockers,
                silent=silent,
                outcome=outcome,
                cycle=request.cycle,
                machine_s=max(0.0, time.time() - began_s),
            )
            return [no_deal]

        if stopping := why_over(event, positions, silent):
            return nothing("silent", stopping)
        running, why = await is_running(self.bus)
        if not running:
            return nothing("stopped", why)
        left_s = min(SOLVE_S_MAX, max(SOLVE_S_MIN, began_s + MACHINE_S - AFTER_S - time.time()))
        try:
            settled = await asyncio.to_thread(settle, event, positions, self.cards, time_s=left_s)
        except RefusedError as error:
            return nothing("refused", str(error))
        if isinstance(settled, NoDeal):
            return nothing("no_deal", settled.reason, settled)
        proposed = await self._proposed(event, settled, silent, began_s)
        refused = await hold_for(self.bus, self.policy.gates, proposed.payments, envelope.task_id)
        if refused:
            return nothing("gate", refused)
        if proposed.approval_reasons:
            return [proposed, approval_of(proposed, envelope.task_id)]
        return [proposed, agreed(proposed)]

    async def _proposed(
        self, event: NegotiationOpened, settled: Settlement, silent: dict[str, str], began_s: float
    ) -> NegotiationProposed:
        request, deal = event.request, settled.certificate.deal
        amount = sum(payment.most_nusd for payment in settled.payments)
        reasons = reasons_to_ask(
            self.policy,
            amount_nusd=amount,
            confidence=settled.confidence,
            is_new=self.policy.ask_if_new and await self._is_new(settled),
            wanted=request.needs_approval,
            unproven=unproven_of(settled.payments, self.cards),
        )
        return NegotiationProposed(
            goal=request.goal,
            deal=deal,
            certificate=settled.certificate,
            parties=tuple(party for party in event.parties if party not in silent),
            payments=settled.payments,
            amount_nusd=amount,
            digest=digest_of(request.goal, deal, settled.payments, self.policy.version),
            confidence=settled.confidence,
            silent=silent,
            revenue=settled.revenue,
            options=settled.options,
            approval_reasons=reasons,
            policy_version=self.policy.version,
            cycle=request.cycle,
            machine_s=max(0.0, time.time() - began_s),
            warnings=settled.certificate.warnings,
        )

    async def _is_new(self, settled: Settlement) -> bool:
        try:
            known = await deals_bucket(self.bus).get(kind_of(settled.certificate.deal, settled.payments))
        except BusError as error:
            raise RetryableError(f"earlier deals can't be read: {error}", delay_s=AGAIN_S) from None
        return known is None


def unproven_of(payments: Sequence[Payment], cards: Mapping[str, Card]) -> list[str]:
    """Core: the platforms that are paid and of which hardly anything was counted."""
    return [
        one.platform
        for one in payments
        if one.most_nusd and cards[one.platform].evidence.conversions < CONVERSIONS_MIN
    ]


def taken(
    event: NegotiationOpened, gathered: Gathered[PositionStated]
) -> tuple[dict[str, PositionStated], dict[str, str]]:
    """Core: the positions that count, by party; and why others don't."""
    asked = dict(zip(event.asked, event.parties, strict=True))
    positions: dict[str, PositionStated] = {}
    silent = {asked[step]: f"nothing heard by {event.deadline[:19]}Z" for step in gathered.missing}
    silent |= {asked[step]: why for step, why in gathered.failed.items()}
    for position, envelope in gathered.parts:
        party = asked[envelope.causation_id]
        try:
            checked(position, _question(event, party))
        except RefusedError as error:
            silent[party] = f"its position was refused: {error}"
        else:
            positions[party] = position
    return positions, silent


def _question(event: NegotiationOpened, party: str) -> PositionAsked:
    request = event.request
    return PositionAsked(
        party=party,
        index=event.parties.index(party),
        of=len(event.parties),
        goal=request.goal,
        platforms=request.platforms,
        budget_nusd=request.budget_nusd,
        issues=event.issues,
        deadline=event.deadline,
        models=request.models,
    )


def why_over(
    event: NegotiationOpened, positions: Mapping[str, PositionStated], silent: Mapping[str, str]
) -> str:
    """Core: why there is nothing to negotiate; empty when there is."""
    named = "; ".join(f"{party}: {why}" for party, why in silent.items())
    if HOUSE in silent:
        return f"we stated no position ourselves ({silent[HOUSE]})"
    if silent and event.request.on_silence == "block":
        return f"without everybody nothing is agreed on ({named})"
    if len(positions) < 2:
        return f"no platform stated a position ({named})"
    return ""


def agreed(proposed: NegotiationProposed) -> NegotiationAgreed:
    """Core: the deal that no person need see."""
    return NegotiationAgreed(
        goal=proposed.goal,
        deal=proposed.deal,
        payments=proposed.payments,
        amount_nusd=proposed.amount_nusd,
        digest=proposed.digest,
        parties=proposed.parties,
        cycle=proposed.cycle,
        silent=proposed.silent,
    )
