"""Messenger: shows people in a chat what waits for their word and what became of it, and warns them of costs.

Listens  approval.opened, .voted, .expiring, .decided, .expired, .withdrawn; cost.threshold_crossed
Emits    nothing
Effects  one card for each approval, changed as it goes on; one answer to it before its deadline; one alert for
         each threshold
State    the bucket `SLACK_OUTBOX` (see `agents.messenger.outbox`); reads the bucket `APPROVALS`
Without an LLM  the same

An event only says that something changed. What is shown is made from the record as it stands, so events may come
late, twice and in any order, and an approval that was decided meanwhile is shown decided.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from agents.messenger.cards import approval_card, cost_card, reminder_card
from agents.messenger.chat import Card, Chat
from agents.messenger.entry import SETTLING_S
from agents.messenger.outbox import Outbox, outbox_bucket
from agents.messenger.pace import Pace
from bus import Bus, Envelope, Subscription
from bus.envelope import parse_time
from bus.kv import Bucket
from schemas.approval import (
    APPROVALS_BUCKET,
    Approval,
    ApprovalDecided,
    ApprovalExpired,
    ApprovalExpiring,
    ApprovalOpened,
    ApprovalVoted,
    ApprovalWithdrawn,
)
from schemas.cost import CostThresholdCrossed

log = logging.getLogger("labverse.messenger")

DURABLE: Final = "messenger"
CONCURRENCY: Final = 16
ATTEMPTS_MAX: Final = 1_500
"""At one a minute, the longest back-off: the chat may be away for a day."""
ACK_WAIT_S: Final = 8.0
NEWS_AGE_MAX_S: Final = 86_400.0
"""What was over so long ago, and never shown, is no news: a chat that is set up later must not be flooded."""

ApprovalNews = (
    ApprovalOpened | ApprovalVoted | ApprovalExpiring | ApprovalDecided | ApprovalExpired | ApprovalWithdrawn
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Messenger:
    """Puts approvals and cost alerts into a chat.

    Args:
        channel: for approvals, and for alerts whose event names none: an id, or `#name`.
        pace: messages to one channel; None: one a second.
        settling_s: after a call of unknown outcome, before the chat is asked what came of it.
        clock: seconds since 1970.
    """

    bus: Bus
    chat: Chat
    channel: str
    pace: Pace | None = None
    settling_s: float = SETTLING_S
    clock: Callable[[], float] = time.time
    _outbox: Outbox = field(init=False)
    _approvals: Bucket[Approval] = field(init=False)

    def __post_init__(self) -> None:
        outbox = Outbox(
            bucket=outbox_bucket(self.bus),
            chat=self.chat,
            pace=self.pace or Pace(),
            settling_s=self.settling_s,
            clock=self.clock,
        )
        object.__setattr__(self, "_outbox", outbox)
        object.__setattr__(self, "_approvals", self.bus.bucket(APPROVALS_BUCKET, Approval))

    async def prepare(self) -> None:
        """Make the outbox; before the first event.

        Raises:
            BusError: the server refuses.
        """
        await outbox_bucket(self.bus).ensure()

    def subscription(self) -> Subscription:
        # A projection: cards of cancelled and late tasks must become true too, and a task doesn't fail because
        # people could not be told.
        return Subscription(
            durable=DURABLE,
            listens=(
                ApprovalOpened,
                ApprovalVoted,
                ApprovalExpiring,
                ApprovalDecided,
                ApprovalExpired,
                ApprovalWithdrawn,
                CostThresholdCrossed,
            ),
            handle=self.handle,
            concurrency=CONCURRENCY,
            ack_wait_s=ACK_WAIT_S,
            attempts_max=ATTEMPTS_MAX,
            is_projection=True,
        )

    async def handle(self, event: ApprovalNews | CostThresholdCrossed, envelope: Envelope) -> None:
        """Make the chat show what is.

        Raises:
            RetryableError: the chat is away, or another messenger is at the same message.
            PermanentError: a person must mend something in the chat first.
        """
        match event:
            case CostThresholdCrossed():
                await self._warn(event, envelope)
            case ApprovalOpened(approval=approval):
                await self._show(approval.approval_id, approval)
            case ApprovalExpiring(approval_id=approval_id):
                await self._show(approval_id, None)
                await self._remind(approval_id)
            case _:
                await self._show(event.approval_id, None)

    async def _warn(self, event: CostThresholdCrossed, envelope: Envelope) -> None:
        key, card = f"cost-{envelope.id}", cost_card(event)
        is_old = bool(envelope.time) and self.clock() - parse_time(envelope.time) > NEWS_AGE_MAX_S
        if is_old and await self._outbox.bucket.get(key) is None:
            log.info("the alert %s is too old to be told", key)
            return

        async def wanted() -> Card:
            return card

        await self._outbox.show(key, wanted, channel=event.channel or self.channel, may_change=False)

    async def _show(self, approval_id: str, opened: Approval | None) -> None:
        is_known = await self._outbox.bucket.get(approval_id) is not None

        async def wanted() -> Card | None:
            approval = await self._read(approval_id) or opened
            if approval is None or (not is_known and is_old_news(approval, self.clock())):
                return None
            return approval_card(approval)

        await self._outbox.show(approval_id, wanted, channel=self.channel)

    async def _remind(self, approval_id: str) -> None:
        """Answer in the card's thread, once, while somebody can still decide."""
        stored = await self._outbox.bucket.get(approval_id)
        if stored is None or not stored[0].ts:
            return
        card = stored[0]

        async def wanted() -> Card | None:
            approval = await self._read(approval_id)
            if approval is None or not approval.is_open or parse_time(approval.deadline) < self.clock():
                return None
            return reminder_card(approval)

        await self._outbox.show(
            f"{approval_id}-reminder", wanted, channel=card.channel, thread_ts=card.ts, may_change=False
        )

    async def _read(self, approval_id: str) -> Approval | None:
        stored = await self._approvals.get(approval_id)
        return stored[0] if stored is not None else None


def is_old_news(approval: Approval, now_s: float) -> bool:
    """Core: whether an approval was over so long ago that showing it for the first time tells nobody anything."""
    if approval.is_open:
        return bool(approval.deadline) and now_s - parse_time(approval.deadline) > NEWS_AGE_MAX_S
    over_at = approval.decided_at or approval.deadline
    return bool(over_at) and now_s - parse_time(over_at) > NEWS_AGE_MAX_S
