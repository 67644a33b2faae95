"""What Slack's refusals and broken connections mean: try again, mend something, or nobody knows. Pure.

Texts are made from Slack's short error names alone; neither a token nor a message's content gets into them.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

from agents.messenger import MessageGoneError, UnknownOutcomeError
from bus import PermanentError, RetryableError

RETRY_AFTER_S_MAX: Final = 600.0
RETRY_AFTER_S: Final = 30.0
"""When Slack wants us to slow down and doesn't say for how long."""
_NAME: Final = re.compile(r"[a-z0-9_:.,-]{1,200}")

_TOKEN: Final = "make a new one at https://api.slack.com/apps and set SLACK_BOT_TOKEN"
_INVITE: Final = "invite the app there: /invite @labverse"
MENDS: Final[Mapping[str, str]] = {
    "invalid_auth": f"the bot token is not valid; {_TOKEN}",
    "not_authed": f"no bot token was sent; {_TOKEN}",
    "not_allowed_token_type": f"SLACK_BOT_TOKEN must be a bot token (xoxb-…); {_TOKEN}",
    "account_inactive": f"the app was removed from the workspace; install it again and {_TOKEN}",
    "token_revoked": f"the bot token was revoked; {_TOKEN}",
    "token_expired": f"the bot token has expired; {_TOKEN}",
    "channel_not_found": f"there is no such channel, or it is private: correct slack.channel, or {_INVITE}",
    "not_in_channel": f"the app is not in the channel; {_INVITE}",
    "is_archived": "the channel is archived: set slack.channel to another one",
    "restricted_action": "the workspace's rules forbid the app to post there; ask its owners",
    "ekm_access_denied": "the workspace's owners have suspended access; ask them",
    "access_denied": "the workspace's owners have suspended access; ask them",
    "team_access_not_granted": "the app may not use this workspace; install it there",
    "org_login_required": "the workspace is being moved; try again when that is over",
}
"""What a person can do about an error name."""

# Slack says of these itself that part of what was asked may have been done.
UNKNOWN_ERRORS: Final = frozenset({"internal_error", "fatal_error", "service_unavailable", "request_timeout"})
LATER_ERRORS: Final = frozenset(
    {"ratelimited", "rate_limited", "message_limit_exceeded", "team_added_to_org"}
)
GONE_ERRORS: Final = frozenset(
    {"message_not_found", "cant_update_message", "edit_window_closed", "thread_not_found"}
)


def refusal(method: str, status: int, headers: Mapping[str, str], body: object) -> Exception:
    """The error that an answer of Slack stands for.

    Args:
        status: of the answer; with 200 `body` says `ok: false`.
    """
    answer: Mapping[str, Any] = body if isinstance(body, Mapping) else {}
    name = error_name(answer)
    if status == 429 or (status < 500 and name in LATER_ERRORS):
        return RetryableError(f"Slack wants fewer calls of {method}", delay_s=retry_after_s(headers))
    if status >= 500 or name in UNKNOWN_ERRORS:
        return UnknownOutcomeError(f"Slack failed on {method}: {name or f'HTTP {status}'}")
    if name in GONE_ERRORS:
        return MessageGoneError(f"Slack: {method}: {name}")
    if name == "missing_scope":
        needed = answer.get("needed")
        scope = needed if isinstance(needed, str) and _NAME.fullmatch(needed) else "a scope"
        return PermanentError(
            f"the Slack app lacks {scope} for {method}: add it under OAuth & Permissions and install the app again"
        )
    if not name:
        return UnknownOutcomeError(f"Slack answered {method} with HTTP {status} and no reason")
    mend = MENDS.get(name, "see https://docs.slack.dev/reference/methods/" + method)
    return PermanentError(f"Slack refused {method}: {name}: {mend}")


def error_name(answer: Mapping[str, Any]) -> str:
    """Slack's name of an error, if it looks like one."""
    name = answer.get("error")
    return name if isinstance(name, str) and _NAME.fullmatch(name) else ""


def retry_after_s(headers: Mapping[str, str]) -> float:
    """How long Slack wants us to wait, within reason."""
    text = headers.get("Retry-After", "").strip()
    seconds = float(text) if text.isascii() and text.isdigit() and len(text) < 10 else RETRY_AFTER_S
    return min(max(seconds, 1.0), RETRY_AFTER_S_MAX)
