"""What a person clicked on a card, read from what Slack sends. Pure."""

import re
from dataclasses import dataclass
from typing import Any, Final, Literal
from urllib.parse import parse_qsl, urlsplit

import msgspec

from agents.messenger.cards import APPROVE, BUTTON_VALUE_CHARS_MAX, VETO, ButtonValue
from schemas.approval import DecideRequest

PAYLOAD_CHARS_MAX: Final = 512 * 1024
FIELDS_MAX: Final = 20
ACTIONS_MAX: Final = 25
URL_CHARS_MAX: Final = 500
RESPONSE_HOST: Final = "hooks.slack.com"

_USER: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_TIME: Final = re.compile(r"[0-9]{1,12}(\.[0-9]{1,9})?")
_BALLOTS: Final[dict[str, Literal["approve", "veto"]]] = {APPROVE: "approve", VETO: "veto"}


class BadPayloadError(ValueError):
    """Raised when what Slack signed is not what Slack sends; the message says where."""


class _User(msgspec.Struct, frozen=True):
    id: str = ""
    team_id: str = ""


class _Action(msgspec.Struct, frozen=True):
    action_id: str = ""
    value: str = ""
    action_ts: str = ""


class _Payload(msgspec.Struct, frozen=True):
    """The part of an interaction that matters here; Slack sends much more, and may send more fields any day."""

    type: str = ""
    user: _User = _User()
    actions: tuple[_Action, ...] = ()
    response_url: str = ""
    api_app_id: str = ""
    team: dict[str, Any] | None = None


_PAYLOADS: Final = msgspec.json.Decoder(_Payload)
_VALUES: Final = msgspec.json.Decoder(ButtonValue)


@dataclass(frozen=True, slots=True, kw_only=True)
class Click:
    """One click on one of our buttons.

    Attributes:
        request: the vote that it means. Its id follows from who clicked on what and when, so that the same click,
            delivered again, is the same vote.
        response_url: where the person can be told something; as it came, not yet to be trusted.
        team, app: whose workspace and app, for the log; they prove nothing beyond the signature.
    """

    request: DecideRequest
    response_url: str
    team: str
    app: str


def read_click(body: bytes) -> Click | None:
    """The click that a form with a `payload` means; None when it is none of ours.

    Raises:
        BadPayloadError: it is not what Slack sends.
    """
    payload = _payload_of(body)
    if payload.type != "block_actions":
        return None
    ours = [action for action in payload.actions[:ACTIONS_MAX] if action.action_id in _BALLOTS]
    if not ours:
        return None
    action = ours[0]
    if not _USER.fullmatch(payload.user.id):
        raise BadPayloadError("user.id is not a Slack user's id")
    if not _TIME.fullmatch(action.action_ts):
        raise BadPayloadError("actions[0].action_ts is not a time stamp")
    if len(action.value) > BUTTON_VALUE_CHARS_MAX:
        raise BadPayloadError(f"actions[0].value is longer than {BUTTON_VALUE_CHARS_MAX} characters")
    try:
        value = _VALUES.decode(action.value)
        request = msgspec.convert(
            {
                "approval_id": value.approval_id,
                "digest": value.digest,
                "identity": f"slack:{payload.user.id}",
                "action": _BALLOTS[action.action_id],
                "vote_id": f"slack-{payload.user.id}-{action.action_ts}",
                "via": "slack",
            },
            DecideRequest,
        )
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise BadPayloadError(f"actions[0].value is not a button's of ours: {error}") from None
    return Click(
        request=request,
        response_url=payload.response_url[: URL_CHARS_MAX + 1],
        team=str((payload.team or {}).get("id") or payload.user.team_id)[:40],
        app=payload.api_app_id[:40],
    )


def _payload_of(body: bytes) -> _Payload:
    try:
        fields = dict(parse_qsl(body.decode(), max_num_fields=FIELDS_MAX))
    except ValueError as error:
        raise BadPayloadError(f"the body is not a form: {error}") from None
    text = fields.get("payload", "")
    if not text or len(text) > PAYLOAD_CHARS_MAX:
        raise BadPayloadError(f"the form has no field `payload` of 1 to {PAYLOAD_CHARS_MAX} characters")
    try:
        return _PAYLOADS.decode(text)
    except (msgspec.DecodeError, msgspec.ValidationError, RecursionError) as error:
        raise BadPayloadError(f"payload: {error}") from None


def may_answer(response_url: str, api_url: str) -> bool:
    """Whether `response_url` is Slack's, or that of the server that stands in for it: nothing else is called."""
    if not response_url.isascii() or not response_url.isprintable() or len(response_url) > URL_CHARS_MAX:
        return False
    try:
        url, api = urlsplit(response_url), urlsplit(api_url)
        port, api_port = url.port, api.port
    except ValueError:
        return False
    if url.username is not None or url.password is not None or "\\" in response_url:
        return False
    if url.scheme == "https" and url.hostname == RESPONSE_HOST and port in (None, 443):
        return True
    is_slack = api.hostname is None or api.hostname == "slack.com"
    return not is_slack and (url.scheme, url.hostname, port) == (api.scheme, api.hostname, api_port)
