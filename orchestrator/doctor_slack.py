"""What `labverse doctor` finds out about Slack: token, rights, channel, signing secret, clock."""

import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from config.settings import Settings
    from orchestrator.slack.client import SlackClient

SCOPES: Final = ("chat:write", "channels:history", "groups:history", "channels:read", "groups:read")
"""What our app must be allowed; `deploy/slack_manifest.yaml` asks for these."""
SKEW_S_MAX: Final = 60.0
CALL_S_MAX: Final = 8.0
MANIFEST: Final = "deploy/slack_manifest.yaml"

Finding = tuple[str, str, str, str]
"""Name, state (ok, warning or problem), what was found, and how to mend it."""


async def slack_checks(settings: "Settings", env: Mapping[str, str]) -> list[Finding]:
    """Look at Slack as the settings have it; one finding when it is off.

    Args:
        env: the environment, to say which variable is set.
    """
    slack = settings.slack
    if not slack.bot_token:
        found = "off: no bot token"
        if slack.signing_secret:
            fix = "set SLACK_BOT_TOKEN too, or people are asked nowhere"
            return [("Slack", "warning", found, fix)]
        return [("Slack", "ok", found, "")]
    from bus import PermanentError, RetryableError
    from orchestrator.slack.client import SlackClient

    findings: list[Finding] = []
    try:
        client = SlackClient(slack.bot_token, slack.api_url, call_s_max=CALL_S_MAX)
    except PermanentError as error:
        findings.append(("Slack", "problem", str(error), "correct it, in SLACK_BOT_TOKEN or the settings"))
    else:
        try:
            findings += await _ask(client, slack.channel)
        except RetryableError as error:
            fix = f"check the network and the proxy ({_proxy(env)}), and slack.api_url"
            findings.append(("Slack", "problem", str(error), fix))
        except PermanentError as error:
            findings.append(("Slack", "problem", *_split(str(error))))
        finally:
            await client.close()
    findings.append(_secret(settings))
    return findings


async def _ask(client: "SlackClient", channel: str) -> list[Finding]:
    asked_s = time.time()
    answer, headers = await client.call("auth.test", {}, reads=True)
    who = f"{answer.get('user', '?')} in {answer.get('team', '?')}"
    findings: list[Finding] = [("Slack", "ok", _line(who), "")]
    skew = _skew(headers.get("Date", ""), (asked_s + time.time()) / 2)
    if skew is not None:
        findings.append(skew)
    if not answer.get("bot_id"):
        fix = "take the Bot User OAuth Token (xoxb-…) as SLACK_BOT_TOKEN"
        findings.append(("Slack token", "problem", "not a bot's", fix))
    granted = {scope.strip() for scope in headers.get("x-oauth-scopes", "").split(",") if scope.strip()}
    missing = [scope for scope in SCOPES if scope not in granted]
    if missing and granted:
        fix = f"add {', '.join(missing)} under OAuth & Permissions (see {MANIFEST}) and install the app again"
        findings.append(("Slack scopes", "problem", f"missing: {', '.join(missing)}", fix))
    elif granted:
        findings.append(("Slack scopes", "ok", ", ".join(SCOPES), ""))
    findings.append(await _channel(client, channel, may_post="chat:write.public" in granted))
    return findings


async def _channel(client: "SlackClient", channel: str, *, may_post: bool) -> Finding:
    """Whether our app is in the channel; `may_post` without being in it (a public one)."""
    from bus import PermanentError
    from orchestrator.slack.channels import is_channel_id, joined_channel

    shown = _line(channel)
    invite = f"invite the app there: /invite @labverse in {shown}; or correct slack.channel"
    try:
        if is_channel_id(channel):
            answer, _ = await client.call("conversations.info", {"channel": channel}, reads=True)
            found = answer.get("channel") or {}
            is_joined = bool(found.get("is_member"))
            shown = _line(f"{channel} (#{found.get('name', '?')})")
        else:
            is_joined = bool(await joined_channel(client, channel))
    except PermanentError as error:
        return ("Slack channel", "problem", *_split(str(error)))
    if is_joined:
        return ("Slack channel", "ok", shown, "")
    if may_post:
        found_text = f"the app isn't in {shown}: it can post there, but not look whether a card came"
        return ("Slack channel", "warning", found_text, invite)
    return ("Slack channel", "problem", f"the app isn't in {shown}, or there is no such channel", invite)


def _secret(settings: "Settings") -> Finding:
    if settings.slack.signing_secret:
        return ("Slack clicks", "ok", "a signing secret is set; POST /slack/interactions takes them", "")
    fix = "set SLACK_SIGNING_SECRET (Basic Information of the app), or decide with `labverse approve`"
    return ("Slack clicks", "warning", "no signing secret: buttons do nothing", fix)


def _skew(date: str, now_s: float) -> Finding | None:
    """What is wrong with our clock, if Slack's says so."""
    try:
        ahead_s = now_s - parsedate_to_datetime(date).timestamp()
    except ValueError:
        return None
    if abs(ahead_s) <= SKEW_S_MAX:
        return None
    way = "ahead of" if ahead_s > 0 else "behind"
    found = f"this machine's clock is {abs(ahead_s):.0f} s {way} Slack's: clicks are refused from 300 s on"
    return ("Slack clock", "problem", found, "let the clock be set by NTP")


def _split(error: str) -> tuple[str, str]:
    """What was found and how to mend it, of an error that says both."""
    found, _, fix = error.rpartition(": ")
    return (found, fix) if found else (error, f"see {MANIFEST}")


def _proxy(env: Mapping[str, str]) -> str:
    return "HTTPS_PROXY is set" if env.get("HTTPS_PROXY") or env.get("https_proxy") else "none is set"


def _line(text: str) -> str:
    from orchestrator.clean import clean

    return clean(text)[:100]
