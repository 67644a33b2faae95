"""Clicks from Slack: proven, made votes, and answered in time, whatever the bus does.

Order: signature, then what was clicked, then the vote (`approval.decide` knows who may and what still holds). The
HTTP answer never waits for the vote longer than `HTTP_S_MAX`; the vote goes on without it. Who needs to know that
his word did not count is told, once for a click however often it is delivered.

State    the bucket `SLACK_CLICKS`: the clicks that were answered, for an hour
"""

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final

import msgspec

from bus import Bus, BusError, ConflictError
from bus.kv import Bucket
from bus.redact import error_text
from bus.services import APPROVAL_DECIDE
from config.secret import Secret
from orchestrator.clean import clean
from orchestrator.slack.answers import tell
from orchestrator.slack.clicks import BadPayloadError, Click, read_click
from orchestrator.slack.signature import is_signed
from schemas.approval import DecideOutcome, DecideReply, DecideRequest
from schemas.ids import derive_id, new_id

log = logging.getLogger("labverse.slack")

HTTP_S_MAX: Final = 2.0
"""Slack wants its answer within 3 s."""
DECIDE_S_MAX: Final = 60.0
"""So long a vote is brought to the approver, which may be starting again just now."""
CALL_S_MAX: Final = 10.0
PAUSE_S: Final = 1.0
REMEMBERED_MAX: Final = 10_000
BUCKET: Final = "SLACK_CLICKS"
REMEMBERED_S: Final = 3_600.0
"""Slack delivers again for minutes; it takes answers for half an hour."""

NOT_KNOWN: Final = (
    "Whether your word was counted is not known, since approvals don't answer just now. "
    "If the card still has its buttons in a minute, click again."
)
WORDS: Final = {
    DecideOutcome.REPEATED: "Your word was counted before.",
    DecideOutcome.TOO_LATE: "Too late: this was decided already.",
    DecideOutcome.EXPIRED: "Too late: the deadline has passed.",
    DecideOutcome.NOT_ALLOWED: "You are not on the list of those who may decide this.",
    DecideOutcome.CHANGED: "What is to be approved has changed since this card was shown; look at the new one.",
    DecideOutcome.UNKNOWN: "This approval is not known here.",
}
"""For a reply without a message."""

Start = Callable[[Coroutine[Any, Any, object], str], bool]


class Answered(msgspec.Struct, frozen=True, kw_only=True):
    """Who answered a click; two never write the same."""

    by: str


@dataclass(eq=False, slots=True, kw_only=True)
class Interactions:
    """Takes what Slack posts.

    Args:
        start: lets work run that goes on after the HTTP answer, under a name; False: it has too much already.
        clock: seconds since 1970.
    """

    bus: Bus
    signing_secret: Secret
    api_url: str
    start: Start
    clock: Callable[[], float] = time.time
    _answered: OrderedDict[str, None] = field(default_factory=OrderedDict)
    _bucket: Bucket[Answered] | None = None

    async def take(self, body: bytes, *, timestamp: str | None, signature: str | None) -> HTTPStatus:
        """What to answer, within `HTTP_S_MAX`; the body of the answer is empty, which leaves the card as it is.

        Args:
            timestamp, signature: the headers of those names, None when they are missing.
        """
        if not self.signing_secret:
            log.warning("a request as from Slack is refused: set SLACK_SIGNING_SECRET to take clicks")
            return HTTPStatus.UNAUTHORIZED
        if not is_signed(self.signing_secret.reveal(), timestamp, signature, body, self.clock()):
            log.warning("a request as from Slack is refused: its signature or its time is wrong")
            return HTTPStatus.UNAUTHORIZED
        try:
            click = read_click(body)
        except BadPayloadError as error:
            log.warning("Slack sent what we can't read: %s", clean(str(error))[:300])
            return HTTPStatus.BAD_REQUEST
        if click is None:
            return HTTPStatus.OK
        is_decided = asyncio.Event()
        if not self.start(self._work(click, is_decided), "a click from Slack"):
            return HTTPStatus.SERVICE_UNAVAILABLE  # people see that, and click again
        try:
            async with asyncio.timeout(HTTP_S_MAX):
                await is_decided.wait()
        except TimeoutError:
            log.info("a click is answered before its vote is counted")
        return HTTPStatus.OK

    async def _work(self, click: Click, is_decided: asyncio.Event) -> None:
        request = click.request
        try:
            reply = await self._decide(click)
        finally:
            is_decided.set()
        outcome = reply.outcome.value if reply else "unanswered"
        log.info(
            "click: %s %s by %s of team %s, app %s: %s",
            *(request.action, clean(request.approval_id), request.identity),
            *(clean(click.team), clean(click.app), outcome),
        )
        text = to_tell(request, reply)
        if text and await self._is_first(click):
            await tell(click.response_url, text, api_url=self.api_url)

    async def _decide(self, click: Click) -> DecideReply | None:
        """The approver's reply; None when none came in time. Asking again is the same vote."""
        loop = asyncio.get_running_loop()
        until = loop.time() + DECIDE_S_MAX
        while True:
            try:
                return await self.bus.call(APPROVAL_DECIDE, click.request, timeout_s=CALL_S_MAX)
            except BusError as error:
                log.warning("a vote is not taken yet: %s", error_text(error))
            if loop.time() + PAUSE_S >= until:
                return None
            await asyncio.sleep(PAUSE_S)

    async def _is_first(self, click: Click) -> bool:
        """Whether nobody has answered this very click yet; the same click is delivered again, perhaps elsewhere."""
        request = click.request
        key = derive_id(f"{request.approval_id} {request.vote_id} {request.action}", "slack")
        if key in self._answered:
            return False
        self._answered[key] = None
        if len(self._answered) > REMEMBERED_MAX:
            self._answered.popitem(last=False)
        try:
            bucket = await self._clicks()
            await bucket.update(key, Answered(by=new_id()), 0)
        except ConflictError:
            return False
        except BusError as error:
            log.warning("that a click was answered can't be noted: %s", error_text(error))
        return True

    async def _clicks(self) -> Bucket[Answered]:
        if self._bucket is None:
            bucket = self.bus.bucket(BUCKET, Answered, age_max_s=REMEMBERED_S)
            await bucket.ensure()
            self._bucket = bucket
        return self._bucket


def to_tell(request: DecideRequest, reply: DecideReply | None) -> str:
    """Core: what whoever clicked must read; empty when the card shows it, or the same click was counted before."""
    if reply is None:
        return NOT_KNOWN
    if reply.outcome is DecideOutcome.COUNTED:
        return ""
    votes = reply.approval.votes if reply.approval is not None else ()
    if reply.outcome is DecideOutcome.REPEATED and any(vote.vote_id == request.vote_id for vote in votes):
        return ""
    return reply.message or WORDS[reply.outcome]
