"""Opens negotiations: works out what is to be agreed on, and asks every party for its position.

Listens  negotiation.requested
Emits    negotiation.opened, and one negotiation.position_asked for each party | negotiation.no_deal
Without an LLM  the same
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from agents.negotiator.limits import RefusedError
from agents.negotiator.platforms.card import Card
from agents.negotiator.platforms.issues import issues_of
from bus import Envelope, Subscription
from bus.envelope import now_text, parse_time, time_text
from schemas.event import Event
from schemas.ids import derive_id, output_id
from schemas.negotiation import (
    HOUSE,
    IssueStated,
    NegotiationNoDeal,
    NegotiationOpened,
    NegotiationRequested,
    PositionAsked,
)

DURABLE: Final = "negotiator"


@dataclass(frozen=True, slots=True, kw_only=True)
class Negotiator:
    """`cards`: by party, what platforms charge and what is known of them."""

    cards: Mapping[str, Card]

    def subscription(self) -> Subscription:
        return Subscription(durable=DURABLE, listens=(NegotiationRequested,), handle=self.handle)

    async def handle(self, event: NegotiationRequested, envelope: Envelope) -> Sequence[Event]:
        """Ask everybody; what can't be negotiated ends with the reason."""
        try:
            issues = issues_of(event.platforms, self.cards)
        except RefusedError as error:
            return [NegotiationNoDeal(kind="refused", reason=str(error), cycle=event.cycle)]
        return opened(event, envelope, issues, now_s=time.time())


def opened(
    event: NegotiationRequested, envelope: Envelope, issues: tuple[IssueStated, ...], *, now_s: float
) -> list[Event]:
    """Core: the opening, then a question to each party, ourselves first."""
    parties = (HOUSE, *event.platforms)
    until_s = now_s + event.position_s
    if envelope.deadline:
        until_s = min(until_s, parse_time(envelope.deadline))
    deadline = time_text(until_s)
    derived = derive_id(envelope.subject, DURABLE, envelope.replay)
    opening = NegotiationOpened(
        request=event,
        parties=parties,
        issues=issues,
        asked=tuple(output_id(derived, number) for number in range(1, len(parties) + 1)),
        deadline=deadline,
        started_at=envelope.time or now_text(),
    )
    questions = [
        PositionAsked(
            party=party,
            index=index,
            of=len(parties),
            goal=event.goal,
            platforms=event.platforms,
            budget_nusd=event.budget_nusd,
            issues=issues,
            deadline=deadline,
            models=event.models,
        )
        for index, party in enumerate(parties)
    ]
    return [opening, *questions]
