"""What Slack's refusals mean."""

import pytest

from agents.messenger import MessageGoneError, UnknownOutcomeError
from bus import PermanentError, RetryableError
from orchestrator.slack.failures import MENDS, RETRY_AFTER_S, RETRY_AFTER_S_MAX, refusal, retry_after_s

METHOD = "chat.postMessage"


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (429, {"ok": False, "error": "ratelimited"}, RetryableError),
        (429, "slow down", RetryableError),
        (200, {"ok": False, "error": "ratelimited"}, RetryableError),
        (500, "oops", UnknownOutcomeError),
        (503, {"ok": False, "error": "ratelimited"}, UnknownOutcomeError),
        (200, {"ok": False, "error": "fatal_error"}, UnknownOutcomeError),
        (200, {"ok": False, "error": "internal_error"}, UnknownOutcomeError),
        (200, {}, UnknownOutcomeError),
        (200, None, UnknownOutcomeError),
        (200, {"ok": False, "error": ["no name"]}, UnknownOutcomeError),
        (200, {"ok": False, "error": "message_not_found"}, MessageGoneError),
        (200, {"ok": False, "error": "invalid_blocks"}, PermanentError),
        (403, {"ok": False, "error": "access_denied"}, PermanentError),
    ],
)
def test_an_answer_is_the_error_it_stands_for(status: int, body: object, kind: type[Exception]) -> None:
    assert type(refusal(METHOD, status, {}, body)) is kind


@pytest.mark.parametrize("name", sorted(MENDS))
def test_what_a_person_can_mend_says_how(name: str) -> None:
    error = refusal(METHOD, 200, {}, {"ok": False, "error": name})
    assert isinstance(error, PermanentError)
    assert MENDS[name] in str(error)
    assert name in str(error)


def test_a_missing_scope_is_named() -> None:
    body = {"ok": False, "error": "missing_scope", "needed": "groups:history", "provided": "chat:write"}
    error = refusal("conversations.history", 200, {}, body)
    assert isinstance(error, PermanentError)
    assert "groups:history" in str(error)


def test_what_slack_wants_to_be_repeated_stays_out_of_our_texts() -> None:
    body = {"ok": False, "error": "\x1b[31mred", "needed": "a\nb"}
    assert "\x1b" not in str(refusal(METHOD, 200, {}, body))
    assert "\n" not in str(refusal(METHOD, 200, {}, {**body, "error": "missing_scope"}))


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("7", 7.0),
        ("0", 1.0),
        ("100000", RETRY_AFTER_S_MAX),
        ("", RETRY_AFTER_S),
        ("soon", RETRY_AFTER_S),
        ("-1", RETRY_AFTER_S),
        ("nan", RETRY_AFTER_S),
        ("٣", RETRY_AFTER_S),
    ],
)
def test_how_long_to_wait_is_taken_within_reason(text: str, seconds: float) -> None:
    assert retry_after_s({"Retry-After": text}) == seconds
