"""A deal from HTTP to Slack and back: asked for over HTTP, put before people in Slack, approved by a click, agreed on."""

import json
import re
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from labverse import Labverse
from slackcards import SECRET, click_body, signed
from slackserver import TOKEN, SlackServer

from schemas.approval import Approval

POLICY = """
version: "s"
people:
  alice: ["slack:U0ALICE"]
approvers: [alice]
rules:
  deal: {ask_always: true}
"""
REQUEST = {
    "type": "negotiation.requested.v1",
    "task_id": "deal-1",
    "body": {"goal": "Syndication", "platforms": ["tiktok", "spotify"], "budget_nusd": 90_000_000_000},
}


@pytest.fixture
def slack() -> Iterator[SlackServer]:
    with SlackServer() as server:
        yield server


@pytest.fixture
def up(tmp_path: Path, slack: SlackServer) -> Iterator[tuple[Labverse, str]]:
    """`labverse up` with Slack, and its gateway's address."""
    policy = tmp_path / "policy.yaml"
    policy.write_text(POLICY, encoding="utf-8")
    labverse = Labverse(
        tmp_path / "data",
        LABVERSE_NEGOTIATION__POLICY_FILE=str(policy),
        LABVERSE_GATEWAY__KEYS_FILE=str(tmp_path / "keys.yaml"),
        LABVERSE_SLACK__API_URL=slack.api_url,
        SLACK_BOT_TOKEN=TOKEN,
        SLACK_SIGNING_SECRET=SECRET,
    )
    process = labverse.start("up", "--agents", "1")
    assert process.stderr is not None
    url, said = "", ""
    while "is up at" not in said:
        line = process.stderr.readline()
        assert line or process.poll() is None, said
        said += line
        if found := re.search(r"gateway listens at (http://\S+)", line):
            url = found[1]
    assert url, said
    yield labverse, url
    labverse.close()


def ask(url: str, key: str, body: object = None) -> Any:
    request = urllib.request.Request(url, None if body is None else json.dumps(body).encode())
    request.add_header("Authorization", f"Bearer {key}")
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def click(url: str, body: bytes, *, secret: str = SECRET) -> int:
    request = urllib.request.Request(f"{url}/slack/interactions", body)
    for name, value in signed(body, secret=secret).items():
        request.add_header(name, value)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def until(condition: Any, within_s: float = 60) -> None:
    end = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < end, "it did not come true in time"
        time.sleep(0.05)


def test_a_deal_is_put_before_people_in_slack_and_agreed_on_by_a_click(
    up: tuple[Labverse, str], slack: SlackServer
) -> None:
    labverse, url = up
    key = labverse.run("key", "new", "ci", "--scope", "all").stdout.strip()
    assert ask(f"{url}/api/v1/tasks", key, REQUEST)["task_id"] == "deal-1"
    until(lambda: slack.messages)
    (message,) = slack.messages
    assert "Deal with" in message.shown
    (shown,) = ask(f"{url}/api/v1/approvals?state=pending", key)["approvals"]
    approval = msgspec.convert(shown, Approval)
    assert any(approval.request.digest in button["value"] for button in message.buttons)

    def click_of(user: str, at: str) -> bytes:
        return click_body(approval, user=user, action_ts=at, response_url=slack.response_url(user))

    assert click(url, click_of("U0ALICE", "1.0"), secret="wrong") == 401
    assert click(url, click_of("U0MALLORY", "2.0")) == 200
    until(lambda: slack.told)
    assert ask(f"{url}/api/v1/approvals?state=pending", key)["approvals"], "a stranger decides nothing"
    assert click(url, click_of("U0ALICE", "3.0")) == 200
    until(lambda: ask(f"{url}/api/v1/tasks/deal-1", key)["state"] == "completed")
    assert ask(f"{url}/api/v1/tasks/deal-1", key)["reason"] == "agreed, approved by alice"
    until(lambda: not slack.messages[0].buttons)
    assert "alice" in slack.messages[0].shown
    assert len(slack.messages) == 1
    doctor = labverse.run("doctor")
    assert "Slack" in doctor.stdout
    assert TOKEN not in doctor.stdout + doctor.stderr
