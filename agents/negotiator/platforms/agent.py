"""Platform: states a party's position, from its rate card.

Listens  negotiation.position_asked
Emits    negotiation.position_stated; nothing for a party whose card speaks elsewhere, or that has none
Effects  at most one completion, where the question allows models and there is time
State    none
Without an LLM  the same numbers, in the template's words
"""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import msgspec

from agents.negotiator.limits import RefusedError
from agents.negotiator.platforms.card import Card
from agents.negotiator.platforms.positions import position_of
from agents.negotiator.platforms.wording import Drafted, request_of, worded
from bus import Envelope, PermanentError, Subscription
from bus.complete import Answered, Complete
from bus.envelope import parse_time
from schemas.approval import NOTE_CHARS_MAX
from schemas.llm import Source
from schemas.negotiation import PositionAsked, PositionStated
from schemas.review import Models

DURABLE: Final = "platform"
TOGETHER_MAX: Final = 32
"""Positions at once; one that waits for a model costs little."""
MARGIN_S: Final = 0.4
"""Kept before the deadline, for the position's way back."""
MODEL_S_MIN: Final = 0.3
"""With less time a model isn't asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlatformAgent:
    """Speaks for every party whose card is of `speaks: here`, ourselves included.

    Attributes:
        cards: all of them: what a split is worth to us depends on every platform's.
        name: of this agent, as positions state it.
        complete: None never asks a model.
    """

    cards: Mapping[str, Card]
    name: str = DURABLE
    complete: Complete | None = None

    def subscription(self) -> Subscription:
        return Subscription(
            durable=DURABLE, listens=(PositionAsked,), handle=self.handle, concurrency=TOGETHER_MAX
        )

    async def handle(self, event: PositionAsked, envelope: Envelope) -> PositionStated | None:
        """Draw up the position; then, if there is time, let a model word it.

        Raises:
            PermanentError: the question is about issues that cards say nothing of, or names unknown platforms.
        """
        card = self.cards.get(event.party)
        if card is None or card.speaks == "elsewhere":
            return None
        try:
            position = await asyncio.to_thread(
                position_of,
                event.party,
                cards=self.cards,
                issues=event.issues,
                platforms=event.platforms,
                budget_nusd=event.budget_nusd,
                agent=self.name,
            )
        except RefusedError as error:
            raise PermanentError(f"position of {event.party}: {error}") from None
        if self.complete is None or event.models is Models.NONE:
            return position
        return await self._worded(self.complete, position, event, envelope)

    async def _worded(
        self, complete: Complete, position: PositionStated, event: PositionAsked, envelope: Envelope
    ) -> PositionStated:
        """The position by the deadline, with the model's words if they came by then and hold."""
        until_s = parse_time(event.deadline) - MARGIN_S
        left_s = until_s - time.time()
        if left_s < MODEL_S_MIN:
            return unworded(position, "no time was left to ask a model")
        request = request_of(event, position, self.cards)
        try:
            # The port keeps deadlines itself; a position must not depend on it.
            async with asyncio.timeout(left_s):
                answered: Answered[Drafted] = await complete(
                    request,
                    into=Drafted,
                    rules=lambda: Drafted(words=""),
                    deadline_s=until_s,
                    task_id=envelope.task_id,
                )
        except TimeoutError:
            return unworded(position, "no model answered before the deadline")
        if answered.source is Source.RULES or answered.completion is None:
            return unworded(position, answered.why_rules, cost_nusd=answered.cost_nusd)
        return worded(
            position,
            answered.value,
            model=answered.completion.model,
            cost_nusd=answered.cost_nusd,
            asked=event,
            cards=self.cards,
        )


def unworded(position: PositionStated, why: str, *, cost_nusd: int = 0) -> PositionStated:
    """Core: the position in the template's words, with the reason why no model's stand there."""
    note = f"words: {why}; the template stays"[:NOTE_CHARS_MAX]
    return msgspec.structs.replace(position, refused=(*position.refused, note), cost_nusd=cost_nusd)
