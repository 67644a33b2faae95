"""Clicks from Slack, over real HTTP, to a real approver on a real bus."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import msgspec
import pytest
import uvicorn
from approving import DIGEST, approving, ask, record, terms, word
from approving import say as say_to_approver
from gatewaylab import gateway_lab
from natsserver import NatsServer
from slackcards import SECRET, click_body, signed
from slackserver import TOKEN, Fault, SlackServer
from starlette.applications import Starlette
from until import until, until_async

from agents.messenger import Messenger
from agents.messenger.cards import APPROVE, VETO
from agents.messenger.pace import Pace
from bus import Bus, Caller
from bus.services import APPROVAL_DECIDE
from config.secret import Secret
from config.settings import Settings, SlackSettings
from orchestrator.gateway.parts import Background, Parts
from orchestrator.gateway.slack import PATH, routes
from orchestrator.slack import interactions
from orchestrator.slack.chat import SlackChat
from orchestrator.slack.client import SlackClient
from schemas.approval import Approval, ApprovalState, DecideOutcome, DecideReply, DecideRequest

ANSWER_S_MAX = 3.0
"""Slack gives up then."""


@pytest.fixture
def slack() -> Iterator[SlackServer]:
    with SlackServer() as slack:
        yield slack


@dataclass(frozen=True, slots=True)
class Gateway:
    """The endpoint as Slack sees it."""

    url: str
    client: aiohttp.ClientSession
    background: Background

    async def post(self, body: bytes, headers: dict[str, str]) -> int:
        async with self.client.post(self.url, data=body, headers=headers) as answer:
            assert await answer.read() == b""  # anything else would change the card
            return answer.status

    async def click(self, approval: Approval, **more: str) -> int:
        """A click, signed; returns within Slack's limit or fails."""
        body = click_body(approval, **more)
        started = time.monotonic()
        status = await self.post(body, signed(body))
        assert time.monotonic() - started < ANSWER_S_MAX
        return status


@asynccontextmanager
async def gateway(bus: Bus, slack: SlackServer, *, secret: str = SECRET) -> AsyncIterator[Gateway]:
    settings = Settings(
        slack=SlackSettings(bot_token=Secret(TOKEN), signing_secret=Secret(secret), api_url=slack.api_url)
    )
    parts = Parts(bus=bus, settings=settings, version="0")
    app = Starlette(routes=routes(parts))
    config = uvicorn.Config(app, host="127.0.0.1", port=0, log_config=None, lifespan="off")
    server = uvicorn.Server(config)
    sockets = [config.bind_socket()]
    port = sockets[0].getsockname()[1]
    serving = asyncio.create_task(server._serve(sockets))  # `serve` takes over the signals of the test run
    await until(lambda: server.started, within_s=20)
    try:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20)) as client:
            yield Gateway(f"http://127.0.0.1:{port}{PATH}", client, parts.background)
    finally:
        server.should_exit = True
        await serving
        await parts.background.close(1.0)


async def told(slack: SlackServer, name: str, *, count: int = 1) -> list[str]:
    await until(lambda: len(slack.told.get(name, ())) >= count, within_s=20, what=f"{name} is told")
    for message in slack.told[name]:
        assert message["response_type"] == "ephemeral"
        assert message["replace_original"] is False
    return [message["text"] for message in slack.told[name]]


async def opened(bus: Bus, **changes: object) -> Approval:
    return await record(bus, await ask(bus, **changes))  # type: ignore[arg-type]


# -- who may come in ----------------------------------------------------------------------------------------------


async def test_what_is_not_signed_by_slack_now_is_401(bus: Bus, slack: SlackServer) -> None:
    async with approving(bus), gateway(bus, slack) as posts:
        approval = await opened(bus)
        body = click_body(approval, user="U1")
        good = signed(body)
        no_signature = {name: value for name, value in good.items() if "Signature" not in name}
        no_timestamp = {name: value for name, value in good.items() if "Timestamp" not in name}
        requests = [
            (body, signed(body, secret="another")),
            (body, signed(body, at_s=time.time() - 301)),
            (body, signed(body, at_s=time.time() + 330)),
            (body, no_signature),
            (body, no_timestamp),
            (body, {}),
            (body, {**good, "X-Slack-Signature": ""}),
            (body, {**good, "X-Slack-Signature": "v0=ünïcödé"}),
            (body, {**good, "X-Slack-Request-Timestamp": "soon"}),
            (body, {**good, "X-Slack-Request-Timestamp": "1e9"}),
            (body + b"&x=1", good),
            (b"", good),
            (b"payload=\xff\xfe", signed(b"payload=\xff\xfe")),
        ]
        for number, (data, headers) in enumerate(requests):
            assert await posts.post(data, headers) == 401, number
        assert (await record(bus, approval.approval_id)).votes == ()


async def test_without_a_signing_secret_nobody_comes_in_and_the_log_says_why(
    bus: Bus, slack: SlackServer, caplog: pytest.LogCaptureFixture
) -> None:
    async with approving(bus), gateway(bus, slack, secret="") as posts:
        approval = await opened(bus)
        assert await posts.click(approval, user="U1") == 401
        body = click_body(approval, user="U1")
        assert await posts.post(body, signed(body, secret="")) == 401
    assert "SLACK_SIGNING_SECRET" in caplog.text


async def test_what_is_no_click_of_ours_is_200_and_garbage_is_400(bus: Bus, slack: SlackServer) -> None:
    async with approving(bus), gateway(bus, slack) as posts:
        approval = await opened(bus)
        for body, status in (
            (click_body(approval, type="view_closed"), 200),
            (b"payload=%7B%22type%22%3A%22shortcut%22%7D", 200),
            (b"payload=nonsense", 400),
            (b"ssl_check=1", 400),
        ):
            assert await posts.post(body, signed(body)) == status
        assert (await record(bus, approval.approval_id)).votes == ()


# -- what a click does --------------------------------------------------------------------------------------------


async def test_a_click_decides_and_tells_nobody(bus: Bus, slack: SlackServer) -> None:
    async with approving(bus), gateway(bus, slack) as posts:
        approval = await opened(bus)
        assert await posts.click(approval, user="U1", response_url=slack.response_url("u1")) == 200
        assert (await record(bus, approval.approval_id)).state is ApprovalState.APPROVED
        await until(lambda: len(posts.background) == 0)
    stored = await record(bus, approval.approval_id)
    assert [(vote.by, vote.identity, vote.via) for vote in stored.votes] == [("alice", "slack:U1", "slack")]
    assert slack.told == {}


async def test_of_40_clicks_at_once_one_wins_and_39_read_by_whom_it_was_decided(
    bus: Bus, slack: SlackServer
) -> None:
    people = {f"p{number}": (f"slack:U{number:03}",) for number in range(40)}
    async with (
        approving(bus, people=people, settings=terms(approvers=tuple(people))),
        gateway(bus, slack) as posts,
    ):
        approval = await opened(bus)
        clicks = [
            posts.click(
                approval,
                user=f"U{number:03}",
                action_id=APPROVE if number % 2 else VETO,
                response_url=slack.response_url(str(number)),
            )
            for number in range(40)
        ]
        assert set(await asyncio.gather(*clicks)) == {200}
        await until(lambda: len(slack.told) == 39 and len(posts.background) == 0, within_s=60)
    stored = await record(bus, approval.approval_id)
    assert len(stored.votes) == 1
    winner = stored.votes[0].by
    assert str(int(winner[1:])) not in slack.told
    for messages in slack.told.values():
        assert len(messages) == 1
        assert f"{winner} " in messages[0]["text"]


async def test_a_click_that_slack_delivers_again_has_one_effect_and_is_answered_once(
    bus: Bus, second_bus: Bus, slack: SlackServer
) -> None:
    async with (
        approving(bus, settings=terms(quorum=2)),
        gateway(bus, slack) as posts,
        gateway(second_bus, slack) as other,
    ):
        approval = await opened(bus)
        for user in ("U1", "U4"):  # one who may, one who may not
            body = click_body(approval, user=user, response_url=slack.response_url(user))
            for number in range(4):
                again = {"X-Slack-Retry-Num": str(number), "X-Slack-Retry-Reason": "http_timeout"}
                node = (posts, other)[number % 2]  # perhaps another gateway gets it
                assert await node.post(body, signed(body, **(again if number else {}))) == 200
        await until(lambda: len(posts.background) + len(other.background) == 0)
        assert len((await record(bus, approval.approval_id)).votes) == 1
    assert "U1" not in slack.told
    assert len(slack.told["U4"]) == 1


async def test_who_clicks_twice_reads_that_it_counted_before(bus: Bus, slack: SlackServer) -> None:
    async with approving(bus, settings=terms(quorum=2)), gateway(bus, slack) as posts:
        approval = await opened(bus)
        for number in ("1", "2"):
            await posts.click(approval, user="U1", response_url=slack.response_url(number))
        assert len(await told(slack, "2")) == 1
        assert len((await record(bus, approval.approval_id)).votes) == 1
    assert "1" not in slack.told


async def test_a_click_after_expiry_is_told_so(bus: Bus, slack: SlackServer) -> None:
    async with approving(bus, settings=terms(deadline_s=0.2)), gateway(bus, slack) as posts:
        approval = await opened(bus)

        async def is_over() -> bool:
            return (await record(bus, approval.approval_id)).state is ApprovalState.EXPIRED

        await until_async(is_over, within_s=20)
        assert await posts.click(approval, user="U1", response_url=slack.response_url("late")) == 200
        assert "expired" in (await told(slack, "late"))[0]
        assert (await record(bus, approval.approval_id)).votes == ()


async def test_a_click_after_the_deal_changed_is_told_so(bus: Bus, slack: SlackServer) -> None:
    async with approving(bus), gateway(bus, slack) as posts:
        approval = await opened(bus)
        request = msgspec.structs.replace(approval.request, digest="b" * 64)
        shown = msgspec.structs.replace(approval, request=request)
        assert await posts.click(shown, user="U1", response_url=slack.response_url("changed")) == 200
        assert "not what you were shown" in (await told(slack, "changed"))[0]
        assert (await record(bus, approval.approval_id)).is_open


async def test_a_click_by_somebody_who_is_not_on_the_list_is_told_so(bus: Bus, slack: SlackServer) -> None:
    async with approving(bus), gateway(bus, slack) as posts:
        approval = await opened(bus)
        assert await posts.click(approval, user="U4", response_url=slack.response_url("stranger")) == 200
        assert "not on the list" in (await told(slack, "stranger"))[0]
        assert (await record(bus, approval.approval_id)).is_open


async def test_a_click_on_what_the_command_line_decided_reads_who_it_was(
    bus: Bus, slack: SlackServer
) -> None:
    async with approving(bus), gateway(bus, slack) as posts:
        approval = await opened(bus)
        await say_to_approver(bus, word(approval.approval_id, "cli:alice", "veto"))
        await posts.click(approval, user="U2", response_url=slack.response_url("late"))
        assert "alice vetoed this" in (await told(slack, "late"))[0]


async def test_an_address_that_is_not_slacks_is_never_called(bus: Bus, slack: SlackServer) -> None:
    with SlackServer() as elsewhere:
        async with approving(bus), gateway(bus, slack) as posts:
            approval = await opened(bus)
            for url in (f"{elsewhere.origin}/elsewhere", "http://169.254.169.254/x", "file:///etc/passwd"):
                assert await posts.click(approval, user="U4", response_url=url) == 200
            await until(lambda: len(posts.background) == 0)
        assert elsewhere.calls == []


async def test_an_answer_survives_a_failure_of_slack(bus: Bus, slack: SlackServer) -> None:
    slack.faults.append(Fault("response_url", status=503))
    async with approving(bus), gateway(bus, slack) as posts:
        approval = await opened(bus)
        await posts.click(approval, user="U4", response_url=slack.response_url("stranger"))
        assert len(await told(slack, "stranger")) == 1


# -- in time, whatever the bus does -------------------------------------------------------------------------------


async def test_without_an_approver_the_answer_is_in_time_and_the_vote_counts_when_it_is_back(
    bus: Bus, second_bus: Bus, slack: SlackServer
) -> None:
    async with gateway(bus, slack) as posts:
        async with approving(second_bus):
            approval = await opened(second_bus)
        assert await posts.click(approval, user="U1", response_url=slack.response_url("u1")) == 200
        async with approving(second_bus):

            async def is_decided() -> bool:
                return not (await record(second_bus, approval.approval_id)).is_open

            await until_async(is_decided, within_s=30)
        await until(lambda: len(posts.background) == 0, within_s=30)
    assert slack.told == {}


async def test_an_approver_that_never_answers_holds_nobody_up(
    bus: Bus, slack: SlackServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(interactions, "DECIDE_S_MAX", 2.5)
    monkeypatch.setattr(interactions, "CALL_S_MAX", 1.0)

    async def never(request: DecideRequest, caller: Caller) -> DecideReply:
        await asyncio.sleep(60)
        raise AssertionError

    async with approving(bus) as approver:
        approval = await opened(bus)
        assert approver
    await bus.serve(APPROVAL_DECIDE, never)
    async with gateway(bus, slack) as posts:
        assert await posts.click(approval, user="U1", response_url=slack.response_url("u1")) == 200
        assert "is not known" in (await told(slack, "u1"))[0]


async def test_a_frozen_bus_holds_nobody_up(
    bus: Bus, slack: SlackServer, server: NatsServer, stack: AsyncExitStack
) -> None:
    async with approving(bus):
        approval = await opened(bus)
    posts = await stack.enter_async_context(gateway(bus, slack))
    server.freeze()
    try:
        clicks = [posts.click(approval, user=f"U{number:03}") for number in range(10)]
        assert set(await asyncio.gather(*clicks)) == {200}
    finally:
        server.thaw()


async def test_too_many_clicks_are_refused_so_that_people_see_it(
    bus: Bus, slack: SlackServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with approving(bus):
        approval = await opened(bus)
    async with gateway(bus, slack) as posts:
        monkeypatch.setattr(posts.background, "tasks_max", 0)
        assert await posts.click(approval, user="U1") == 503


@pytest.mark.parametrize("outcome", list(DecideOutcome))
async def test_every_outcome_but_a_counted_vote_is_told_even_without_words(
    bus: Bus, slack: SlackServer, outcome: DecideOutcome
) -> None:
    async def answer(request: DecideRequest, caller: Caller) -> DecideReply:
        return DecideReply(outcome=outcome, message="")

    async with approving(bus):
        approval = await opened(bus)
    await bus.serve(APPROVAL_DECIDE, answer)
    async with gateway(bus, slack) as posts:
        await posts.click(approval, user="U1", response_url=slack.response_url("u1"))
        if outcome is DecideOutcome.COUNTED:
            await until(lambda: len(posts.background) == 0)
        else:
            assert (await told(slack, "u1"))[0] == interactions.WORDS[outcome]
    assert (outcome is DecideOutcome.COUNTED) == (slack.told == {})


async def test_what_people_wrote_can_mention_nobody_in_an_answer(bus: Bus, slack: SlackServer) -> None:
    async def answer(request: DecideRequest, caller: Caller) -> DecideReply:
        return DecideReply(outcome=DecideOutcome.TOO_LATE, message="<!channel> slack:U024BE7LH vetoed: *no*")

    async with approving(bus):
        approval = await opened(bus)
    await bus.serve(APPROVAL_DECIDE, answer)
    async with gateway(bus, slack) as posts:
        await posts.click(approval, user="U1", response_url=slack.response_url("u1"))
        assert await told(slack, "u1") == ["&lt;!channel&gt; <@U024BE7LH> vetoed: ∗no∗"]


async def test_the_whole_gateway_lets_slack_in_without_a_key(
    bus: Bus, slack: SlackServer, tmp_path: Path
) -> None:
    settings = Settings(slack=SlackSettings(signing_secret=Secret(SECRET), api_url=slack.api_url))
    async with (
        approving(bus),
        gateway_lab(bus, tmp_path, settings=settings, has_key=False, body_bytes_max=65_536) as lab,
    ):
        approval = await opened(bus)
        body = click_body(approval, user="U1")
        assert (await lab.post(PATH, body, headers=signed(body, secret="another"))).status == 401
        assert (await lab.post(PATH, body, headers=signed(body))).status == 200
        assert (await record(bus, approval.approval_id)).state is ApprovalState.APPROVED
        huge = b"payload=" + b"x" * 65_536
        assert (await lab.post(PATH, huge, headers=signed(huge))).status == 413
        assert (await lab.get(PATH)).status in (401, 405)


# -- all together -------------------------------------------------------------------------------------------------


async def test_from_the_request_to_the_card_that_says_who_decided(
    bus: Bus, slack: SlackServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    chat = SlackChat(SlackClient(Secret(TOKEN), slack.api_url))
    messenger = Messenger(bus=bus, chat=chat, channel="#approvals", pace=Pace(every_s=0))
    await messenger.prepare()
    async with approving(bus), gateway(bus, slack) as posts:
        await bus.run(messenger.subscription())
        approval = await opened(bus)
        await until(lambda: slack.messages and slack.messages[0].buttons, within_s=30)
        assert DIGEST in slack.messages[0].buttons[0]["value"]
        await posts.click(approval, user="U2", action_id=VETO)
        await until(lambda: not slack.messages[0].buttons, within_s=30)
        await bus.drain(2.0)
    await chat.close()
    assert "Vetoed* by bob (<@U2>) in Slack" in slack.messages[0].shown
    assert SECRET not in caplog.text
    assert TOKEN not in caplog.text
