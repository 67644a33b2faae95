"""What doctor finds out about Slack, against an HTTP server that speaks its API; and the manifest to paste."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from slackserver import TOKEN, Fault, SlackServer

from config.secret import Secret
from config.settings import Settings, SlackSettings
from orchestrator.doctor_slack import SCOPES, Finding, slack_checks
from orchestrator.gateway.slack import PATH

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def slack() -> Iterator[SlackServer]:
    with SlackServer(scopes=SCOPES) as slack:
        yield slack


async def look(slack: SlackServer | None = None, **changes: object) -> dict[str, Finding]:
    given = {
        "bot_token": Secret(TOKEN),
        "signing_secret": Secret("s"),
        "api_url": slack.api_url if slack else "http://127.0.0.1:1/api/",
        **changes,
    }
    findings = await slack_checks(Settings(slack=SlackSettings(**given)), {})  # type: ignore[arg-type]
    for _, state, found, fix in findings:
        assert state in ("ok", "warning", "problem")
        assert (state == "ok") == (not fix)
        assert TOKEN not in found + fix
    assert len({finding[0] for finding in findings}) == len(findings)
    return {finding[0]: finding for finding in findings}


async def test_without_a_token_slack_is_off_and_that_is_fine() -> None:
    found = await look(bot_token=Secret(), signing_secret=Secret())
    assert found == {"Slack": ("Slack", "ok", "off: no bot token", "")}


async def test_a_signing_secret_without_a_token_is_half_a_set_up() -> None:
    found = await look(bot_token=Secret())
    assert found["Slack"][1] == "warning"


@pytest.mark.parametrize("channel", ["#approvals", "C0APPROVALS"])
async def test_a_whole_set_up_is_ok(slack: SlackServer, channel: str) -> None:
    found = await look(slack, channel=channel)
    assert {finding[1] for finding in found.values()} == {"ok"}
    assert found["Slack"][2] == "labverse in Lab"
    assert set(found) == {"Slack", "Slack scopes", "Slack channel", "Slack clicks"}


async def test_a_channel_on_a_later_page_is_found(slack: SlackServer) -> None:
    for number in range(450):
        slack.channels = {f"room-{number}": (f"C0ROOM{number}", True), **slack.channels}
    assert (await look(slack))["Slack channel"][1] == "ok"


@pytest.mark.parametrize("missing", SCOPES)
async def test_a_missing_scope_is_named(slack: SlackServer, missing: str) -> None:
    slack.scopes = tuple(scope for scope in SCOPES if scope != missing)
    name, state, found, fix = (await look(slack))["Slack scopes"]
    assert (name, state, found) == ("Slack scopes", "problem", f"missing: {missing}")
    assert missing in fix


@pytest.mark.parametrize("channel", ["#approvals", "C0APPROVALS", "#nowhere", "C0NOWHERE"])
async def test_a_channel_that_the_app_is_not_in_needs_an_invitation(slack: SlackServer, channel: str) -> None:
    slack.channels["approvals"] = ("C0APPROVALS", False)
    _, state, _, fix = (await look(slack, channel=channel))["Slack channel"]
    assert state == "problem"
    assert "/invite" in fix


async def test_with_the_right_to_post_anywhere_it_is_a_warning(slack: SlackServer) -> None:
    slack.scopes = (*SCOPES, "chat:write.public")
    slack.channels["approvals"] = ("C0APPROVALS", False)
    assert (await look(slack, channel="C0APPROVALS"))["Slack channel"][1] == "warning"


async def test_without_a_signing_secret_buttons_do_nothing(slack: SlackServer) -> None:
    _, state, found, fix = (await look(slack, signing_secret=Secret()))["Slack clicks"]
    assert state == "warning"
    assert "buttons do nothing" in found
    assert "SLACK_SIGNING_SECRET" in fix


@pytest.mark.parametrize(("skew_s", "way"), [(-120, "ahead of"), (120, "behind")])
async def test_a_clock_that_is_wrong_is_a_problem(slack: SlackServer, skew_s: float, way: str) -> None:
    slack.skew_s = skew_s
    _, state, found, _ = (await look(slack))["Slack clock"]
    assert state == "problem"
    assert way in found


async def test_a_token_that_slack_refuses_says_what_to_do(slack: SlackServer) -> None:
    slack.faults.append(Fault("auth.test", error="token_revoked"))
    _, state, found, fix = (await look(slack))["Slack"]
    assert state == "problem"
    assert "token_revoked" in found
    assert "SLACK_BOT_TOKEN" in fix


async def test_a_slack_that_is_away_or_silent_is_a_problem_soon(
    slack: SlackServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orchestrator.doctor_slack.CALL_S_MAX", 0.5)
    assert (await look())["Slack"][1] == "problem"
    slack.faults.append(Fault("auth.test", hangs=True))
    assert (await look(slack))["Slack"][1] == "problem"


@pytest.mark.parametrize("token", ["two words", "nül", "xoxb-\n"])
async def test_a_token_that_cannot_be_one_is_a_problem(slack: SlackServer, token: str) -> None:
    found = await look(slack, bot_token=Secret(token))
    assert found["Slack"][1] == "problem"


def test_the_manifest_asks_for_what_doctor_wants_and_no_more() -> None:
    manifest = yaml.safe_load((ROOT / "deploy" / "slack_manifest.yaml").read_text())
    assert sorted(manifest["oauth_config"]["scopes"]["bot"]) == sorted(SCOPES)
    assert set(manifest["oauth_config"]["scopes"]) == {"bot"}
    interactivity = manifest["settings"]["interactivity"]
    assert interactivity == {"is_enabled": True, "request_url": f"https://YOUR-HOST{PATH}"}
    assert "event_subscriptions" not in manifest["settings"]


def test_the_name_that_people_invite_is_the_manifests() -> None:
    manifest = yaml.safe_load((ROOT / "deploy" / "slack_manifest.yaml").read_text())
    name = manifest["features"]["bot_user"]["display_name"]
    for module in ("doctor_slack.py", "slack/failures.py", "slack/channels.py"):
        text = (ROOT / "orchestrator" / module).read_text()
        assert set(re.findall(r"/invite @(\S+?)[\s\"]", text)) == {name}
