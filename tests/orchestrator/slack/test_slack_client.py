"""Calls of Slack's API over real HTTP: errors, limits in time, and what is never shown."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio
from slackserver import BOT_ID, TOKEN, Fault, SlackServer

from agents.messenger import Card, Place, UnknownOutcomeError
from bus import PermanentError, RetryableError
from config.secret import Secret
from orchestrator.slack.chat import SlackChat
from orchestrator.slack.client import SlackClient

CARD = Card(text="a card", blocks=({"type": "section", "text": {"type": "mrkdwn", "text": "x"}},))
POST = "chat.postMessage"


@pytest.fixture
def slack() -> Iterator[SlackServer]:
    with SlackServer() as slack:
        yield slack


@pytest_asyncio.fixture
async def client(slack: SlackServer) -> AsyncIterator[SlackClient]:
    client = SlackClient(Secret(TOKEN), slack.api_url, call_s_max=1.0)
    yield client
    await client.close()


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (Fault(POST, status=500), UnknownOutcomeError),
        (Fault(POST, status=502, body=b"<html>"), UnknownOutcomeError),
        (Fault(POST, body=b"not json"), UnknownOutcomeError),
        (Fault(POST, body=b"[1]"), UnknownOutcomeError),
        (Fault(POST, body=b"\xff\xfe"), UnknownOutcomeError),
        (Fault(POST, body=b"{}"), UnknownOutcomeError),
        (Fault(POST, body=b'{"ok": true}'), UnknownOutcomeError),
        (Fault(POST, closes=True), UnknownOutcomeError),
        (Fault(POST, hangs=True), UnknownOutcomeError),
        (Fault(POST, status=429, retry_after="3"), RetryableError),
        (Fault(POST, error="channel_not_found"), PermanentError),
    ],
    ids=str,
)
async def test_what_goes_wrong_with_a_post_is_told_apart(
    slack: SlackServer, client: SlackClient, fault: Fault, kind: type[Exception]
) -> None:
    slack.faults.append(fault)
    started = time.monotonic()
    with pytest.raises(kind) as caught:
        await SlackChat(client).post("#approvals", CARD, key="k")
    assert time.monotonic() - started < 10
    assert TOKEN not in str(caught.value)
    assert caught.value.__cause__ is None
    assert len(slack.called(POST)) == 1  # nothing is repeated behind our back


async def test_a_read_has_no_unknown_outcome(slack: SlackServer, client: SlackClient) -> None:
    slack.faults.append(Fault("conversations.history", times=0, closes=True))
    with pytest.raises(RetryableError):
        await SlackChat(client).find("C0APPROVALS", key="k", since_s=0)


async def test_where_nobody_listens_nothing_was_sent() -> None:
    client = SlackClient(Secret(TOKEN), "http://127.0.0.1:1/api/")
    with pytest.raises(RetryableError, match="can't be reached"):
        await SlackChat(client).post("#approvals", CARD, key="k")
    await client.close()


async def test_while_slack_wants_to_be_left_alone_it_is(slack: SlackServer, client: SlackClient) -> None:
    slack.faults.append(Fault(POST, status=429, retry_after="30"))
    chat = SlackChat(client)
    for _ in range(3):
        with pytest.raises(RetryableError) as caught:
            await chat.post("#approvals", CARD, key="k")
        assert caught.value.delay_s is not None
        assert 20 < caught.value.delay_s <= 30
    assert len(slack.called(POST)) == 1
    await chat.update(Place(channel="C0APPROVALS", ts=slack.put("C0APPROVALS", "k").ts), CARD, key="k")


@pytest.mark.parametrize("token", ["", "  ", "two words", "nül", "a\r\nHost: x"])
def test_a_token_that_no_header_can_carry_is_refused_without_showing_it(token: str) -> None:
    with pytest.raises(PermanentError) as caught:
        SlackClient(Secret(token), "https://slack.com/api/")
    assert not token.strip() or token not in str(caught.value)


@pytest.mark.parametrize("url", ["", "ftp://slack.com/api/", "slack", "file:///etc/passwd"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(PermanentError, match="api_url"):
        SlackClient(Secret(TOKEN), url)


async def test_proxies_of_the_environment_are_not_asked_for_this_machine(
    slack: SlackServer, client: SlackClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    await SlackChat(client).post("#approvals", CARD, key="k")
    assert len(slack.messages) == 1


async def test_no_switch_for_logs_makes_the_sdk_write_requests_down(
    slack: SlackServer, client: SlackClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    await SlackChat(client).post("#approvals", CARD, key="a-key-of-a-message")
    assert TOKEN not in caplog.text + repr(client) + repr(SlackChat(client))
    assert "a-key-of-a-message" not in caplog.text


async def test_a_message_is_found_by_its_key_among_ours_alone(
    slack: SlackServer, client: SlackClient
) -> None:
    chat = SlackChat(client)
    assert await chat.find("#approvals", key="k", since_s=0) is None
    slack.put("C0APPROVALS", "k", bot_id="B0OTHER")
    first = slack.put("C0APPROVALS", "k", shown="s")
    slack.put("C0APPROVALS", "k")
    for _ in range(450):
        slack.put("C0APPROVALS", "other")
    found = await chat.find("#approvals", key="k", since_s=0)
    assert found is not None
    assert (found.place.channel, found.place.ts, found.shown) == ("C0APPROVALS", first.ts, "s")
    assert await chat.find("#approvals", key="k", since_s=time.time() + 60) is None
    assert first.bot_id == BOT_ID


async def test_an_answer_in_a_thread_is_found_there(slack: SlackServer, client: SlackClient) -> None:
    chat = SlackChat(client)
    card = await chat.post("#approvals", CARD, key="k")
    assert await chat.find(card.channel, key="k-reminder", since_s=0, thread_ts=card.ts) is None
    reply = await chat.post(card.channel, CARD, key="k-reminder", thread_ts=card.ts)
    found = await chat.find(card.channel, key="k-reminder", since_s=0, thread_ts=card.ts)
    assert found is not None
    assert found.place == reply
    assert found.shown == CARD.fingerprint


async def test_what_is_gone_already_may_be_removed(slack: SlackServer, client: SlackClient) -> None:
    await SlackChat(client).remove(Place(channel="C0APPROVALS", ts="1.1"))


async def test_many_calls_at_once_share_few_connections(slack: SlackServer, client: SlackClient) -> None:
    chat = SlackChat(client)
    await asyncio.gather(*(chat.post("#approvals", CARD, key=f"k{number}") for number in range(40)))
    assert len(slack.messages) == 40


async def test_a_name_that_the_app_is_in_no_channel_of_is_said(
    slack: SlackServer, client: SlackClient
) -> None:
    with pytest.raises(PermanentError, match="/invite"):
        await SlackChat(client).find("#nowhere", key="k", since_s=0)
