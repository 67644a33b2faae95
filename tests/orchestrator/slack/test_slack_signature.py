"""Signatures of requests from Slack: published vectors, and everything that is not one."""

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st
from slack_sdk.signature import SignatureVerifier

from orchestrator.slack.signature import AGE_S_MAX, is_signed, sign

# Slack's own example: https://docs.slack.dev/authentication/verifying-requests-from-slack
SECRET = "8f742231b10e8888abcd99yyyzzz85a5"
TIMESTAMP = "1531420618"
BODY = (
    b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&"
    b"channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&"
    b"response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&"
    b"trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
)
SIGNATURE = "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"
NOW_S = float(TIMESTAMP)


def test_slacks_published_example_is_accepted() -> None:
    assert sign(SECRET, TIMESTAMP, BODY) == SIGNATURE
    assert is_signed(SECRET, TIMESTAMP, SIGNATURE, BODY, NOW_S)


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=300)


@given(TEXT.filter(str.strip), st.integers(0, 10**10), TEXT)
def test_our_signature_is_the_sdks(secret: str, timestamp: int, body: str) -> None:
    expected = SignatureVerifier(secret).generate_signature(timestamp=str(timestamp), body=body)
    assert sign(secret, str(timestamp), body.encode()) == expected


@pytest.mark.parametrize("off_s", [-AGE_S_MAX, -1, 0, 1, AGE_S_MAX])
def test_within_five_minutes_either_way_it_holds(off_s: int) -> None:
    assert is_signed(SECRET, TIMESTAMP, SIGNATURE, BODY, NOW_S + off_s)


@pytest.mark.parametrize("off_s", [-86_400, -AGE_S_MAX - 1, AGE_S_MAX + 1, 86_400])
def test_an_old_or_future_one_does_not(off_s: int) -> None:
    assert not is_signed(SECRET, TIMESTAMP, SIGNATURE, BODY, NOW_S + off_s)


@pytest.mark.parametrize(
    "timestamp",
    [None, "", "-1531420618", "1531420618.0", " 1531420618", "1531420618\n", "1_531_420_618", "١٥٣١٤٢٠٦١٨", "9" * 400, "NaN"],
)  # fmt: skip
def test_a_timestamp_that_is_no_number_is_refused(timestamp: str | None) -> None:
    signature = sign(SECRET, timestamp or "", BODY)
    assert not is_signed(SECRET, timestamp, signature, BODY, NOW_S)


@pytest.mark.parametrize(
    "signature",
    [None, "", "v0=", SIGNATURE[:-1], SIGNATURE + "0", SIGNATURE.upper(), "v1" + SIGNATURE[2:], "v0=ünïcödé", "v0=\udcff", SIGNATURE[3:]],
)  # fmt: skip
def test_another_signature_is_refused(signature: str | None) -> None:
    assert not is_signed(SECRET, TIMESTAMP, signature, BODY, NOW_S)


def test_another_body_or_secret_is_refused() -> None:
    assert not is_signed(SECRET, TIMESTAMP, SIGNATURE, BODY + b"&x=1", NOW_S)
    assert not is_signed("another", TIMESTAMP, SIGNATURE, BODY, NOW_S)


def test_a_body_that_is_no_text_is_refused_even_signed() -> None:
    body = b"payload=\xff\xfe"
    digest = hmac.new(SECRET.encode(), b"v0:1531420618:" + body, hashlib.sha256).hexdigest()
    assert not is_signed(SECRET, TIMESTAMP, f"v0={digest}", body, NOW_S)


def test_without_a_secret_nothing_is_accepted() -> None:
    assert not is_signed("", TIMESTAMP, sign("", TIMESTAMP, BODY), BODY, NOW_S)


@given(st.binary(max_size=200), st.text(max_size=80), st.text(max_size=80))
def test_nothing_makes_it_fail(body: bytes, timestamp: str, signature: str) -> None:
    assert not is_signed(SECRET, timestamp, signature, body, NOW_S)
