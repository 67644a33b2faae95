"""What Slack sends, read; and which addresses may be called back."""

import json
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from slackcards import DIGEST, click_body, make_approval

from agents.messenger.cards import VETO
from orchestrator.slack.clicks import BadPayloadError, may_answer, read_click

SLACK = "https://slack.com/api/"


def form(payload: object) -> bytes:
    return urlencode({"payload": payload if isinstance(payload, str) else json.dumps(payload)}).encode()


def test_a_click_is_the_vote_of_whoever_clicked() -> None:
    approval = make_approval()
    click = read_click(click_body(approval, user="U1ABC", action_id=VETO, action_ts="1700000000.000100"))
    assert click is not None
    assert (click.request.identity, click.request.action, click.request.via) == (
        "slack:U1ABC",
        "veto",
        "slack",
    )
    assert (click.request.approval_id, click.request.digest) == (approval.approval_id, DIGEST)
    assert click.request.vote_id == "slack-U1ABC-1700000000.000100"


def test_the_same_click_is_the_same_vote_and_another_is_another() -> None:
    approval = make_approval()
    first, again, other = (read_click(click_body(approval, action_ts=ts)) for ts in ("1.1", "1.1", "1.2"))
    assert first is not None
    assert again is not None
    assert other is not None
    assert first.request == again.request
    assert first.request.vote_id != other.request.vote_id


@pytest.mark.parametrize(
    "payload",
    [
        {"type": "view_submission", "view": {"id": "V1"}},
        {"type": "shortcut"},
        {"type": "something_of_tomorrow", "actions": [{"action_id": "lv_approve"}]},
        {"type": "block_actions", "actions": [{"action_id": "another_button"}]},
        {"type": "block_actions", "actions": []},
        {},
    ],
    ids=str,
)
def test_what_is_none_of_our_buttons_means_nothing(payload: object) -> None:
    assert read_click(form(payload)) is None


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"payload=",
        b"payload=%7B",
        b"payload=[1]",
        b"other=1",
        b"&".join(b"a%d=1" % n for n in range(100)),
        form({"type": 7}),
        form("[" * 100_000),
        form({"type": "block_actions", "user": "U1", "actions": []}),
        click_body(make_approval(), user="U1'; --"),
        click_body(make_approval(), user=""),
        click_body(make_approval(), action_ts="soon"),
        form({"type": "block_actions", "user": {"id": "U1A"}, "actions": [{"action_id": "lv_veto", "action_ts": "1.1", "value": "{}"}]}),
        form({"type": "block_actions", "user": {"id": "U1A"}, "actions": [{"action_id": "lv_veto", "action_ts": "1.1", "value": '{"a":"x","d":"short"}'}]}),
        form({"type": "block_actions", "user": {"id": "U1A"}, "actions": [{"action_id": "lv_veto", "action_ts": "1.1", "value": "x" * 3000}]}),
    ],
    ids=range(15),
)  # fmt: skip
def test_what_slack_never_sends_is_refused_with_its_place(body: bytes) -> None:
    with pytest.raises(BadPayloadError) as caught:
        read_click(body)
    assert "\n" not in str(caught.value)


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["type", "user", "actions", "id", "value", "action_id", "action_ts"]), inner, max_size=4), max_leaves=12))  # fmt: skip
def test_any_payload_is_read_or_refused(payload: object) -> None:
    try:
        read_click(form(payload))
    except BadPayloadError:
        pass


@pytest.mark.parametrize(
    "url",
    [
        "https://hooks.slack.com/actions/T1/2/abc",
        "https://hooks.slack.com:443/actions/T1/2/abc",
    ],
)
def test_slack_itself_is_called_back(url: str) -> None:
    assert may_answer(url, SLACK)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "http://hooks.slack.com/actions/T1/2/abc",
        "https://hooks.slack.com.evil.example/x",
        "https://evil.example/hooks.slack.com",
        "https://hooks.slack.com@evil.example/x",
        "https://evil.example\\@hooks.slack.com/x",
        "https://user:pw@hooks.slack.com/x",
        "https://hooks.slack.com:8443/x",
        "https://hooks.slack.com:notaport/x",
        "https://slack.com/api/chat.postMessage",
        "http://127.0.0.1:8222/varz",
        "http://169.254.169.254/latest/meta-data/",
        "file:///etc/passwd",
        "https://hooks.slack.com/" + "x" * 600,
        "https://hooks.slack.com/\r\nHost: evil",
        "https://hooks.släck.com/x",
    ],
)
def test_nobody_else_is(url: str) -> None:
    assert not may_answer(url, SLACK)


def test_of_a_stand_in_only_its_own_origin_is_called() -> None:
    api = "http://127.0.0.1:9000/api/"
    assert may_answer("http://127.0.0.1:9000/response/1", api)
    assert not may_answer("http://127.0.0.1:9001/response/1", api)
    assert not may_answer("https://127.0.0.1:9000/response/1", api)
