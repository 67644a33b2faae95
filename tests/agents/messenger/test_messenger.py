"""The messenger on a real bus, against an HTTP server that speaks Slack's API."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager

import msgspec
import pytest
from slackcards import decided, make_approval
from slackserver import TOKEN, Fault, SlackServer
from until import until, until_async

from agents.messenger import Card, Messenger, Place
from agents.messenger.cards import approval_card
from agents.messenger.entry import ARMED_S_MAX, OutboxEntry
from agents.messenger.messenger import NEWS_AGE_MAX_S
from agents.messenger.outbox import outbox_bucket
from agents.messenger.pace import Pace
from bus import Bus
from bus.envelope import time_text
from bus.handling import BACKOFF_S
from config.secret import Secret
from orchestrator.slack.chat import SlackChat
from orchestrator.slack.client import SlackClient
from schemas.approval import (
    APPROVALS_BUCKET,
    Approval,
    ApprovalDecided,
    ApprovalExpired,
    ApprovalExpiring,
    ApprovalOpened,
    ApprovalState,
    ApprovalVoted,
    ApprovalWithdrawn,
    Ballot,
    Vote,
)
from schemas.cost import CostThresholdCrossed
from schemas.event import Event
from schemas.ids import new_id
from schemas.llm import BudgetState

CHANNEL = "#approvals"
BUDGET = BudgetState(
    limit="month 2026-11",
    limit_nusd=100 * 10**9,
    stop_nusd=90 * 10**9,
    spent_nusd=80 * 10**9,
    reserved_nusd=10**9,
    resets_at="2026-12-01T00:00:00Z",
)


@pytest.fixture
def slack() -> Iterator[SlackServer]:
    with SlackServer() as slack:
        yield slack


@asynccontextmanager
async def messaging(
    bus: Bus, slack: SlackServer, *, call_s_max: float = 5.0, every_s: float = 0.0
) -> AsyncIterator[Messenger]:
    """A messenger at work, without the usual pause between two messages."""
    client = SlackClient(Secret(TOKEN), slack.api_url, call_s_max=call_s_max)
    chat = SlackChat(client)
    messenger = Messenger(bus=bus, chat=chat, channel=CHANNEL, pace=Pace(every_s=every_s), settling_s=0.3)
    await messenger.prepare()
    await bus.bucket(APPROVALS_BUCKET, Approval).ensure()
    await bus.run(messenger.subscription())
    try:
        yield messenger
    finally:
        await bus.drain(1.0)
        await chat.close()


async def store(bus: Bus, approval: Approval) -> None:
    bucket = bus.bucket(APPROVALS_BUCKET, Approval)
    await bucket.ensure()
    await bucket.put(approval.approval_id, approval)


async def say(bus: Bus, event: Event, task_id: str) -> None:
    await bus.publish(event, task_id=task_id)


async def open_(bus: Bus, approval: Approval) -> None:
    await store(bus, approval)
    await say(bus, ApprovalOpened(approval=approval), approval.task_id)


async def decide(bus: Bus, approval: Approval) -> None:
    """Store the decision, then tell of it."""
    await store(bus, approval)
    event = ApprovalDecided(
        approval_id=approval.approval_id,
        kind=approval.request.kind,
        digest=approval.request.digest,
        state=approval.state,
        votes=approval.votes,
    )
    await say(bus, event, approval.task_id)


async def entry_of(bus: Bus, key: str) -> OutboxEntry | None:
    stored = await outbox_bucket(bus).get(key)
    return stored[0] if stored else None


async def settled(bus: Bus, key: str, *, within_s: float = 30.0) -> None:
    async def is_sent() -> bool:
        entry = await entry_of(bus, key)
        return entry is not None and entry.state == "sent"

    await until_async(is_sent, within_s=within_s, what=f"{key} is sent")


async def letters(bus: Bus) -> list[str]:
    return [letter.error for letter in await bus.letters.list()]


# -- how a card lives -------------------------------------------------------------------------------------------


async def test_an_opened_approval_is_posted_once_with_its_buttons(bus: Bus, slack: SlackServer) -> None:
    approval = make_approval()
    async with messaging(bus, slack):
        await open_(bus, approval)
        await settled(bus, approval.approval_id)
    (message,) = slack.messages
    assert message.channel == "C0APPROVALS"
    assert [button["action_id"] for button in message.buttons] == ["lv_approve", "lv_veto"]
    assert "Deal with TikTok and Spotify" in message.shown
    assert "$120.00" in message.shown
    assert message.metadata["event_payload"]["key"] == approval.approval_id


async def test_a_decision_takes_the_buttons_away_and_says_who(bus: Bus, slack: SlackServer) -> None:
    approval = make_approval()
    async with messaging(bus, slack):
        await open_(bus, approval)
        await settled(bus, approval.approval_id)
        await decide(bus, decided(approval))
        await until(lambda: not slack.messages[0].buttons, within_s=30)
    (message,) = slack.messages
    assert "Approved" in message.shown
    assert "alice on the command line" in message.shown


async def test_votes_are_shown_while_more_are_wanted(bus: Bus, slack: SlackServer) -> None:
    approval = make_approval(quorum=2)
    async with messaging(bus, slack):
        await open_(bus, approval)
        await settled(bus, approval.approval_id)
        now = time_text(time.time())
        vote = Vote(by="bob", identity="slack:U0BOB", ballot=Ballot.APPROVE, at=now, vote_id="v", note="fine")
        await store(bus, msgspec.structs.replace(approval, votes=(vote,)))
        voted = ApprovalVoted(approval_id=approval.approval_id, by="bob", missing=1)
        await say(bus, voted, approval.task_id)
        await until(lambda: "<@U0BOB>" in slack.messages[0].shown, within_s=30)
    assert "1 more must approve" in slack.messages[0].shown
    assert slack.messages[0].buttons


@pytest.mark.parametrize("state", [ApprovalState.EXPIRED, ApprovalState.WITHDRAWN])
async def test_what_ends_without_a_decision_says_why(
    bus: Bus, slack: SlackServer, state: ApprovalState
) -> None:
    approval = make_approval()
    common = {
        "approval_id": approval.approval_id,
        "kind": "deal",
        "digest": approval.request.digest,
    }
    ended: Event = (
        ApprovalExpired(deadline=approval.deadline, **common)
        if state is ApprovalState.EXPIRED
        else ApprovalWithdrawn(why="a newer one", **common)
    )
    async with messaging(bus, slack):
        await open_(bus, approval)
        await settled(bus, approval.approval_id)
        await store(bus, decided(approval, state, why="nobody answered"))
        await say(bus, ended, approval.task_id)
        await until(lambda: not slack.messages[0].buttons, within_s=30)
    assert "nobody answered" in slack.messages[0].shown


async def test_the_card_of_a_cancelled_task_still_becomes_true(bus: Bus, slack: SlackServer) -> None:
    approval = make_approval()
    async with messaging(bus, slack):
        await open_(bus, approval)
        await settled(bus, approval.approval_id)
        await bus.cancel(approval.task_id, by="alice")
        await store(bus, decided(approval, ApprovalState.WITHDRAWN, why="its task was cancelled"))
        event = ApprovalWithdrawn(
            approval_id=approval.approval_id, kind="deal", digest=approval.request.digest, why="cancelled"
        )
        await say(bus, event, approval.task_id)
        await until(lambda: "its task was cancelled" in slack.messages[0].shown, within_s=30)


async def test_a_reminder_is_one_answer_in_the_cards_thread(bus: Bus, slack: SlackServer) -> None:
    approval = make_approval()
    expiring = ApprovalExpiring(approval_id=approval.approval_id, deadline=approval.deadline, left_s=60)
    async with messaging(bus, slack):
        await open_(bus, approval)
        await settled(bus, approval.approval_id)
        await store(bus, msgspec.structs.replace(approval, warned=True))
        await say(bus, expiring, approval.task_id)
        await say(bus, expiring, approval.task_id)
        await settled(bus, f"{approval.approval_id}-reminder")
        await until(lambda: "deadline is near" in slack.messages[0].shown, within_s=30)
    card = slack.messages[0]
    assert len(slack.in_channel("C0APPROVALS", thread_ts=card.ts)) == 1
    assert len(slack.in_channel("C0APPROVALS")) == 1


async def test_nobody_is_reminded_of_what_is_decided(bus: Bus, slack: SlackServer) -> None:
    approval = make_approval()
    async with messaging(bus, slack):
        await open_(bus, approval)
        await settled(bus, approval.approval_id)
        await store(bus, decided(approval))
        await say(
            bus,
            ApprovalExpiring(approval_id=approval.approval_id, deadline=approval.deadline),
            approval.task_id,
        )
        await until(lambda: not slack.messages[0].buttons, within_s=30)
        await bus.drain(5.0)
    assert len(slack.messages) == 1


# -- costs ------------------------------------------------------------------------------------------------------


async def test_a_threshold_is_told_once_in_its_channel(bus: Bus, second_bus: Bus, slack: SlackServer) -> None:
    crossed = CostThresholdCrossed(budget=BUDGET, percent=80, channel="#cost-alerts")
    async with messaging(bus, slack), messaging(second_bus, slack):
        await bus.publish(crossed, task_id="cost-2026-11", event_id="m80")
        await settled(bus, "cost-m80")
        await bus.publish(
            msgspec.structs.replace(crossed, channel=""), task_id="cost-2026-11", event_id="m90"
        )
        await settled(bus, "cost-m90")
    first, second = slack.messages
    assert (first.channel, second.channel) == ("C0COSTS", "C0APPROVALS")
    assert "80 % of the limit of month 2026-11" in first.text
    assert "$80.00" in first.shown


async def test_an_alert_that_is_delivered_again_is_not_told_again(bus: Bus, slack: SlackServer) -> None:
    crossed = CostThresholdCrossed(budget=BUDGET, percent=80)
    async with messaging(bus, slack) as messenger:
        await bus.publish(crossed, task_id="cost-2026-11", event_id="m80")
        await settled(bus, "cost-m80")
        async with asyncio.timeout(30):
            async for event, envelope in bus.events("cost-2026-11", only_stored=True):
                assert isinstance(event, CostThresholdCrossed)
                await messenger.handle(event, envelope)
    assert len(slack.called("chat.postMessage")) == 1


# -- Slack is away, or unkind -----------------------------------------------------------------------------------


async def test_what_was_decided_while_slack_was_away_is_delivered_decided(
    bus: Bus, slack: SlackServer
) -> None:
    approval = make_approval()
    slack.stop()
    async with messaging(bus, slack):
        await open_(bus, approval)

        async def was_tried() -> bool:
            entry = await entry_of(bus, approval.approval_id)
            return entry is not None and entry.attempts >= 2

        await until_async(was_tried, within_s=30)
        await decide(bus, decided(approval))
        slack.start()
        await settled(bus, approval.approval_id, within_s=60)
    (message,) = slack.messages
    assert not message.buttons
    assert "Approved" in message.shown
    assert await letters(bus) == []


async def test_slack_says_how_long_to_wait_and_is_obeyed(bus: Bus, slack: SlackServer) -> None:
    slack.faults.append(Fault("chat.postMessage", status=429, retry_after="2"))
    approvals = [make_approval() for _ in range(4)]
    async with messaging(bus, slack):
        for approval in approvals:
            await open_(bus, approval)
        for approval in approvals:
            await settled(bus, approval.approval_id)
    times = sorted(call.at for call in slack.called("chat.postMessage"))
    before = [at for at in times if at < times[0] + 2.0]
    assert len(before) <= len(
        approvals
    )  # those under way at that moment; nobody asks again before it is time
    assert times[-1] - times[0] >= 2.0
    assert len(slack.messages) == len(approvals)


@pytest.mark.parametrize("does_it", [True, False], ids=["it came there", "it did not come there"])
@pytest.mark.parametrize(
    "how", [{"closes": True}, {"status": 503}, {"hangs": True}, {"error": "fatal_error"}], ids=str
)
async def test_a_post_of_unknown_outcome_is_looked_for_before_it_is_sent_again(
    bus: Bus, slack: SlackServer, how: dict[str, object], does_it: bool
) -> None:
    slack.faults.append(Fault("chat.postMessage", does_it=does_it, **how))  # type: ignore[arg-type]
    approval = make_approval()
    async with messaging(bus, slack, call_s_max=1.0):
        await open_(bus, approval)
        await settled(bus, approval.approval_id, within_s=60)
    assert len(slack.messages) == 1
    assert len(slack.called("chat.postMessage")) == (1 if does_it else 2)
    assert slack.called("conversations.history")


async def test_without_the_right_to_look_nothing_is_sent_twice_and_the_scope_is_named(
    bus: Bus, slack: SlackServer
) -> None:
    slack.scopes = ("chat:write", "channels:read")
    slack.faults.append(Fault("chat.postMessage", closes=True, does_it=True))
    approval = make_approval()
    async with messaging(bus, slack):
        await open_(bus, approval)
        await until_async(lambda: letters(bus), within_s=60)
        assert "channels:history" in (await letters(bus))[0]
    assert len(slack.messages) == 1


@pytest.mark.parametrize(
    ("error", "mend"),
    [("invalid_auth", "SLACK_BOT_TOKEN"), ("not_in_channel", "/invite"), ("is_archived", "slack.channel")],
)
async def test_what_a_person_must_mend_is_a_dead_letter_that_says_so(
    bus: Bus, slack: SlackServer, error: str, mend: str
) -> None:
    slack.faults.append(Fault("chat.postMessage", error=error))
    approval = make_approval()
    async with messaging(bus, slack):
        await open_(bus, approval)
        await until_async(lambda: letters(bus), within_s=30)
        (text,) = await letters(bus)
        assert mend in text
        assert TOKEN not in text
        # Mended, and replayed: the entry was left free, so nothing has to be looked for.
        (letter,) = await bus.letters.list()
        await bus.letters.replay(letter.id)
        await settled(bus, approval.approval_id)
    assert len(slack.messages) == 1
    assert not slack.called("conversations.history")


async def test_a_card_that_somebody_deleted_is_left_deleted(bus: Bus, slack: SlackServer) -> None:
    approval = make_approval()
    async with messaging(bus, slack):
        await open_(bus, approval)
        await settled(bus, approval.approval_id)
        slack.messages.clear()
        await decide(bus, decided(approval))

        async def is_gone() -> bool:
            entry = await entry_of(bus, approval.approval_id)
            return entry is not None and entry.state == "gone"

        await until_async(is_gone, within_s=30)
    assert slack.messages == []
    assert await letters(bus) == []


# -- crashes and several messengers -----------------------------------------------------------------------------


async def leave_armed(bus: Bus, approval: Approval, *, age_s: float) -> None:
    """As a messenger leaves it that is killed between arming and settling."""
    bucket = outbox_bucket(bus)
    await bucket.ensure()
    then = time_text(time.time() - age_s)
    armed = OutboxEntry(
        state="armed", channel=CHANNEL, armed_at=then, first_armed_at=then, owner=new_id(), attempts=1
    )
    await bucket.put(approval.approval_id, armed)


@pytest.mark.parametrize("came_there", [True, False])
async def test_after_a_crash_between_arming_and_settling_one_card_stands_there(
    bus: Bus, slack: SlackServer, came_there: bool
) -> None:
    approval = make_approval()
    await leave_armed(bus, approval, age_s=ARMED_S_MAX + 1)
    if came_there:
        slack.put("C0APPROVALS", approval.approval_id)
    for _ in range(250):  # more than one page of other messages
        slack.put("C0APPROVALS", new_id())
    slack.put("C0APPROVALS", approval.approval_id, bot_id="B0OTHER")  # another app's, with our key
    async with messaging(bus, slack):
        await open_(bus, approval)
        await settled(bus, approval.approval_id)

        async def is_shown() -> bool:
            entry = await entry_of(bus, approval.approval_id)
            return entry is not None and bool(entry.shown)

        await until_async(is_shown, within_s=30)
    ours = [
        message
        for message in slack.messages
        if message.metadata["event_payload"]["key"] == approval.approval_id and message.bot_id != "B0OTHER"
    ]
    assert len(ours) == 1
    assert ours[0].buttons  # what was found there is brought up to date
    assert len(slack.called("chat.postMessage")) == (0 if came_there else 1)


async def test_what_another_messenger_has_just_armed_is_left_to_it(bus: Bus, slack: SlackServer) -> None:
    approval = make_approval()
    await leave_armed(bus, approval, age_s=ARMED_S_MAX - 4)
    async with messaging(bus, slack):
        start = time.monotonic()
        await open_(bus, approval)
        await settled(bus, approval.approval_id, within_s=60)
    assert time.monotonic() - start > 3
    assert len(slack.messages) == 1


async def test_many_messengers_at_once_post_one_card(
    bus: Bus, second_bus: Bus, slack: SlackServer, stack: AsyncExitStack
) -> None:
    approvals = [make_approval() for _ in range(5)]
    slack.faults.append(Fault("chat.postMessage", times=2, delay_s=0.3, does_it=True, closes=True))
    first = await stack.enter_async_context(messaging(bus, slack))
    second = await stack.enter_async_context(messaging(second_bus, slack))
    for approval in approvals:
        await store(bus, approval)

    async def show(messenger: Messenger, approval: Approval) -> None:
        await messenger._show(approval.approval_id, approval)

    for approval in approvals:
        shows = [show(messenger, approval) for messenger in (first, second) for _ in range(5)]
        await asyncio.gather(*shows, return_exceptions=True)  # those who lose are told to come again
        await open_(bus, approval)
    for approval in approvals:
        await settled(bus, approval.approval_id, within_s=60)
    assert len(slack.messages) == len(approvals)


async def test_who_was_overtaken_while_posting_removes_what_it_posted(bus: Bus, slack: SlackServer) -> None:
    approval = make_approval()
    bucket = outbox_bucket(bus)

    class Overtaken(SlackChat):
        """Stands still after its message was posted, for so long that another one does it all."""

        async def post(self, channel: str, card: Card, *, key: str, thread_ts: str = "") -> Place:
            place = await super().post(channel, card, key=key, thread_ts=thread_ts)
            stored = await bucket.get(key)
            assert stored is not None
            other = slack.put("C0APPROVALS", key)
            taken = msgspec.structs.replace(
                stored[0], state="sent", channel="C0APPROVALS", ts=other.ts, owner=new_id()
            )
            await bucket.update(key, taken, stored[1])
            return place

    chat = Overtaken(SlackClient(Secret(TOKEN), slack.api_url))
    messenger = Messenger(bus=bus, chat=chat, channel=CHANNEL, pace=Pace(every_s=0))
    await messenger.prepare()
    await store(bus, approval)
    await messenger._show(approval.approval_id, None)
    await chat.close()
    (message,) = slack.messages
    assert message.buttons
    assert len(slack.called("chat.delete")) == 1


async def test_a_change_that_came_in_after_a_newer_one_is_made_good(bus: Bus, slack: SlackServer) -> None:
    approval = make_approval()
    bucket = outbox_bucket(bus)

    class Overtaken(SlackChat):
        """Brings its change to Slack after another messenger has shown, and settled, the decision."""

        overtakes = 1

        async def update(self, place: Place, card: Card, *, key: str) -> None:
            if self.overtakes:
                self.overtakes -= 1
                final = decided(approval)
                await store(bus, final)
                stored = await bucket.get(key)
                assert stored is not None
                newer = approval_card(final)
                await super().update(place, newer, key=key)
                taken = msgspec.structs.replace(
                    stored[0], state="sent", shown=newer.fingerprint, owner=new_id()
                )
                await bucket.update(key, taken, stored[1])
            await super().update(place, card, key=key)

    chat = Overtaken(SlackClient(Secret(TOKEN), slack.api_url))
    messenger = Messenger(bus=bus, chat=chat, channel=CHANNEL, pace=Pace(every_s=0))
    await messenger.prepare()
    await store(bus, approval)
    await messenger._show(approval.approval_id, None)
    await store(bus, msgspec.structs.replace(approval, warned=True))
    await messenger._show(approval.approval_id, None)
    await chat.close()
    (message,) = slack.messages
    assert not message.buttons
    assert any("deadline is near" in str(blocks) for blocks in message.history)


async def test_the_patience_with_slack_lasts_for_a_day(bus: Bus, slack: SlackServer) -> None:
    async with messaging(bus, slack) as messenger:
        attempts = messenger.subscription().attempts_max
    first, longest = BACKOFF_S
    waited_s = sum(min(longest, first * 2 ** min(attempt, 30)) for attempt in range(attempts - 1)) * 0.75
    assert waited_s > 16 * 3_600


async def test_a_burst_of_votes_becomes_few_changes(bus: Bus, slack: SlackServer) -> None:
    approval = make_approval(quorum=40)
    async with messaging(bus, slack, every_s=0.2):
        await open_(bus, approval)
        await settled(bus, approval.approval_id)
        votes: tuple[Vote, ...] = ()
        for number in range(20):
            now = time_text(time.time())
            votes += (
                Vote(
                    by=f"p{number}",
                    identity=f"cli:p{number}",
                    ballot=Ballot.APPROVE,
                    at=now,
                    vote_id=f"{number}",
                ),
            )
            await store(bus, msgspec.structs.replace(approval, votes=votes))
            await say(bus, ApprovalVoted(approval_id=approval.approval_id, by=f"p{number}"), approval.task_id)
        await until(lambda: "p19" in slack.messages[0].shown, within_s=30)
    assert len(slack.called("chat.update")) < 20


async def test_messages_to_one_channel_keep_their_pace(bus: Bus, slack: SlackServer) -> None:
    approvals = [make_approval() for _ in range(4)]
    async with messaging(bus, slack, every_s=0.3):
        for approval in approvals:
            await open_(bus, approval)
        for approval in approvals:
            await settled(bus, approval.approval_id)
    times = [call.at for call in slack.called("chat.postMessage")]
    assert times[-1] - times[0] >= 0.8


async def test_old_news_is_not_told(bus: Bus, slack: SlackServer) -> None:
    """Slack is set up after months: what was decided long ago is in the stream still."""
    long_ago = time_text(time.time() - NEWS_AGE_MAX_S - 60)
    old = msgspec.structs.replace(decided(make_approval()), decided_at=long_ago, deadline=long_ago)
    new = make_approval()
    async with messaging(bus, slack):
        await open_(bus, old)
        await decide(bus, old)
        await open_(bus, new)
        await settled(bus, new.approval_id)
        await bus.drain(5.0)
    assert len(slack.messages) == 1
    assert new.request.digest[:12] in slack.messages[0].shown


async def test_no_secret_is_in_logs_or_errors(
    bus: Bus, slack: SlackServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    slack.faults += [
        Fault("chat.postMessage", closes=True),
        Fault("chat.postMessage", status=500),
        Fault("chat.postMessage", error="invalid_auth"),
    ]
    approval = make_approval()
    async with messaging(bus, slack) as messenger:
        await open_(bus, approval)
        await until_async(lambda: letters(bus), within_s=60)
        shown = [*await letters(bus), repr(messenger), repr(messenger.chat), caplog.text]
    assert all(TOKEN not in text for text in shown)
