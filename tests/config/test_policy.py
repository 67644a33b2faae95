"""The approval policy: what a file may say, and what is said of one that can't be used."""

from pathlib import Path

import pytest

from config.errors import ConfigError
from config.policy import OWNER, Policy, load_policy, user
from config.provider_rows import Dollars
from config.settings import NegotiationSettings


def policy(folder: Path, text: str) -> Policy:
    path = folder / "policy.yaml"
    path.write_text(text, encoding="utf-8")
    return load_policy(NegotiationSettings(policy_file=path), {})


def test_the_policy_that_ships_lets_the_owner_decide_and_nobody_else() -> None:
    shipped = load_policy(NegotiationSettings(), {"HOME": "/nowhere"})
    rule = shipped.rule("deal")
    assert rule.approvers == (OWNER,)
    assert shipped.known[OWNER] == (f"cli:{user()}",)
    assert (rule.quorum, rule.deadline_s, rule.warn_before_s) == (1, 86_400.0, 3_600.0)
    assert rule.ask_above_usd == Dollars(100)
    assert rule.day_usd_max is not None


def test_a_policy_in_the_configuration_folder_is_found(tmp_path: Path) -> None:
    (tmp_path / "labverse").mkdir()
    (tmp_path / "labverse" / "approval_policy.yaml").write_text('version: "7"\n', encoding="utf-8")
    found = load_policy(NegotiationSettings(), {"XDG_CONFIG_HOME": str(tmp_path)})
    assert found.version == "7"
    assert found.rule("deal").approvers == ()


def test_a_rule_takes_from_the_whole_what_it_does_not_say(tmp_path: Path) -> None:
    stated = policy(
        tmp_path,
        'version: "2"\npeople:\n  alice: ["slack:U1", "cli:alice"]\n  bob: ["key:bob"]\n'
        "approvers: [alice, bob]\nquorum: 2\nrules:\n  post:\n    approvers: [alice]\n    quorum: 1\n",
    )
    assert (stated.rule("deal").approvers, stated.rule("deal").quorum) == (("alice", "bob"), 2)
    assert (stated.rule("post").approvers, stated.rule("post").quorum) == (("alice",), 1)
    assert stated.known["alice"] == ("slack:U1", "cli:alice")


def test_limits_that_ship_hold_where_a_policy_has_no_rule_for_deals(tmp_path: Path) -> None:
    shipped = load_policy(NegotiationSettings(), {"HOME": "/nowhere"}).rule("deal")
    for text in ('version: "2"\n', 'version: "2"\nrules:\n  post: {ask_always: true}\n'):
        rule = policy(tmp_path, text).rule("deal")
        assert (rule.ask_above_usd, rule.day_usd_max) == (shipped.ask_above_usd, shipped.day_usd_max)
    own = policy(tmp_path, 'version: "2"\nrules:\n  deal: {day_usd_max: 7}\n').rule("deal")
    assert (own.day_usd_max, own.ask_above_usd) == (Dollars(7), None)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("version: 1\n", "line 1: found 1, expected a text (a number needs quotes)"),
        ('version: "1"\napprovers: [bob]\n', "line 2: nobody under `people` is called `bob`"),
        ('version: "1"\nrules:\n  dael: {}\n', "line 3: unknown kind; did you mean `deal`?"),
        ('version: "1"\nrules:\n  deal:\n    quorom: 3\n', "line 4; did you mean `quorum`?"),
        ('version: "1"\npeople:\n  a: ["x:1"]\n', "expected an identity such as slack:U024BE7LH"),
        ('version: "1"\nrules:\n  deal:\n    ask_above_usd: -3\n', "found -3, expected dollars from 0"),
        ('version: "1"\nrules:\n  deal:\n    ask_below_confidence: 3\n', "line 4"),
        ('version: "1"\napprovers: [owner]\nrules:\n  deal:\n    quorum: 2\n', "can never be reached"),
        ("", "add `version:`, which is missing"),
        ("- 1\n", "policy.yaml"),
    ],
)
def test_what_can_not_be_is_said_with_its_line(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        policy(tmp_path, text)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
