"""`labverse providers`, and providers files that can't be used, as processes."""

import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from labverse import Labverse
from provider import Provider, Reply
from providerfile import KEY, KEY_VARIABLE, local, paid, use

COMMANDS = (["ask", "why?"], ["up"], ["agent", "router"], ["agent", "cost-guard"], ["providers"])


@pytest.fixture
def provider() -> Iterator[Provider]:
    with Provider(Reply(text="Because."), key=KEY, models=["m"]) as provider:
        yield provider


def listed(labverse: Labverse, *arguments: str) -> dict[str, dict[str, Any]]:
    done = labverse.run("providers", "--json", *arguments)
    assert done.returncode == 0, done.stderr
    return {line["model"]: line for line in json.loads(done.stdout)}


def listed_when(labverse: Labverse, model: str, field: str) -> dict[str, Any]:
    """The model's line as soon as `field` says something: routers tell their figures every few seconds."""
    until = time.monotonic() + 20
    while not (line := listed(labverse)[model])[field]:
        assert time.monotonic() < until, line
    return line


def test_local_servers_are_found_and_said_to_be_reachable_or_not(
    labverse: Labverse, provider: Provider
) -> None:
    with Provider(models=["here", "unlisted", "nomic-embed-text"]) as own, Provider() as gone:
        gone.stop()
        rows = {"own": local(own, "here", "absent"), "away": local(gone, "m"), "mine": paid(provider)}
        edge = [{"own": "here"}, {"own": "absent"}, {"away": "m"}]
        use(labverse, rows, discover=True, edge_local=edge)
        lines = listed(labverse)
        assert lines["own/here"]["state"] == lines["own/unlisted"]["state"] == "ready"
        assert lines["own/absent"]["state"] == "not installed there"
        assert lines["away/m"]["state"] == "not reachable"
        assert "own/nomic-embed-text" not in lines
        assert lines["own/here"]["is_local"]
        assert lines["own/here"]["input_nusd"] == 0
        table = labverse.run("providers").stdout
        assert "not reachable" in table
        assert "free" in table
        done = labverse.run("ask", "hi", "--local-only", "--model", "own/unlisted")
        assert done.stdout == "Hello.\n", done.stderr


def test_without_discovery_local_servers_are_not_said_to_be_missing(labverse: Labverse) -> None:
    with Provider() as own:
        use(labverse, {"own": local(own)}, primary="own/m")
        assert listed(labverse)["own/m"]["state"] == "not asked: discovery is off"


def test_keys_and_prices_are_told(labverse: Labverse, provider: Provider) -> None:
    rows = {
        "mine": paid(provider),
        "nokey": {**paid(provider), "key_variable": "OTHER_API_KEY"},
        "free": {"base_url": provider.base_url, "models": [{"name": "unknown"}]},
    }
    use(labverse, rows, fallbacks=["nokey/m"], edge_local=[])
    lines = listed(labverse, "--all")
    assert lines["mine/m"]["state"] == "has a key (--check asks)"
    assert (lines["mine/m"]["input_nusd"], lines["mine/m"]["output_nusd"]) == (150_000_000, 600_000_000)
    assert "providers.yaml" in lines["mine/m"]["price_source"]
    assert lines["nokey/m"]["state"] == "no key: set OTHER_API_KEY"
    assert lines["free/unknown"]["state"] == "price unknown: never called"
    assert lines["free/unknown"]["input_nusd"] is None
    table = labverse.run("providers", "--all").stdout
    assert "set OTHER_API_KEY" in table
    assert "unknown" in table
    assert provider.calls == 0


def test_check_asks_with_the_key_and_says_what_is_wrong(labverse: Labverse, provider: Provider) -> None:
    with Provider() as gone:
        gone.stop()
        use(labverse, {"mine": paid(provider), "gone": paid(gone)}, fallbacks=["gone/m"])
        lines = listed(labverse, "--check")
        assert lines["mine/m"]["state"] == "ready"
        assert lines["gone/m"]["state"] not in ("", "ready")
        provider.key = "another"
        lines = listed(labverse, "--check")
        assert lines["mine/m"]["state"] != "ready"
        assert KEY not in json.dumps(lines)
    assert provider.calls == 0


def test_speed_calls_and_spend_are_shown_while_a_router_runs(labverse: Labverse, provider: Provider) -> None:
    use(labverse, {"mine": paid(provider)})
    labverse.start("up", "--agents", "1", ready="labverse is up")
    provider.behaviour = Reply(text="Because.", delay_s=0.2)
    for number in range(2):
        assert labverse.run("ask", f"question {number}").returncode == 0
    line = listed_when(labverse, "mine/m", "p50_s")
    assert 0.15 < line["p50_s"] < 3
    assert line["calls"] == 2
    cost = sum(150 * taken + 600 * given for taken, given in provider.billed)
    assert line["spent_nusd"] == cost
    shown = labverse.run("providers").stdout
    assert " s " in shown
    assert "closed" in shown


def test_an_open_breaker_is_shown_with_its_reason(labverse: Labverse, provider: Provider) -> None:
    provider.behaviour = Reply(status=429, headers={"Retry-After": "120"}, error="slow down")
    with Provider(Reply(text="Instead.")) as other:
        rows = {"mine": paid(provider), "other": {**paid(other), "key_variable": ""}}
        use(labverse, rows, fallbacks=["other/m"])
        labverse.start("agent", "cost-guard", ready="is ready")
        labverse.start("agent", "router", ready="is ready")
        done = labverse.run("ask", "why?")
        assert done.stdout == "Instead.\n", done.stderr
        assert "a better ranked model failed" in done.stderr
        lines = listed(labverse)
        assert lines["mine/m"]["breaker"].startswith("open for 1")
        assert lines["other/m"]["breaker"] == ""
        assert "open for 1" in labverse.run("providers").stdout
        assert labverse.run("ask", "and why?").stdout == "Instead.\n"
    assert provider.calls == 1


WRONG: list[tuple[str, list[str]]] = [
    ("primary: openai-gtp-4o-mini\n", ["line 1", "openai-gtp-4o-mini", "primary"]),
    (
        "primary: mine/unheard-of\nproviders: {mine: {base_url: 'http://h/v1'}}\n",
        ["line 1", "mine/unheard-of"],
    ),
    (
        "primary: mine/m\nproviders: {mine: {base_url: 'http://h/v1', models: [{name: m}]}}\n",
        ["line 1", "price", "mine/m", "US dollars per million tokens"],
    ),
    ("primary: [a\n", ["line"]),
    ("primary:\n  - a\n", ["line 1", "primary", "expected a text"]),
    ("primry: a\n", ["line 1", "primry", "primary"]),
    ("cost_control: {monthly_ai_budget_usd: lots}\n", ["line 1", "monthly_ai_budget_usd", "'lots'"]),
    (
        "providers:\n  mine:\n    base_url: http://127.0.0.1:1/v1\n    api_key: sk-secret-000111222\n",
        ["line 4", "API key", "key_variable", "remove"],
    ),
    (
        "providers:\n  mine:\n    base_url: http://127.0.0.1:1/v1\n    key_variable: sk-secret-000111222\n",
        ["line 4", "key_variable"],
    ),
]


def check_wrong(labverse: Labverse, file: Path, said: list[str], commands: Sequence[list[str]]) -> None:
    labverse.env["LABVERSE_LLM__PROVIDERS_FILE"] = str(file)
    lines = set()
    for command in commands:
        done = labverse.run(*command, timeout_s=20)
        assert done.returncode == 2, command
        assert done.stdout == ""
        (line,) = done.stderr.strip().splitlines()
        lines.add(line)
        assert all(word in line for word in [*said, str(file)]), line
        assert "sk-secret" not in line
    assert len(lines) == 1


@pytest.mark.parametrize(("content", "said"), WRONG)
def test_a_wrong_file_is_said_in_one_line(
    labverse: Labverse, tmp_path: Path, content: str, said: list[str]
) -> None:
    (tmp_path / "wrong.yaml").write_text(content)
    check_wrong(labverse, tmp_path / "wrong.yaml", said, COMMANDS[:1])


def test_every_command_says_the_same_of_a_wrong_file(labverse: Labverse, tmp_path: Path) -> None:
    file = tmp_path / "wrong.yaml"
    file.write_text("primary: openai-gtp-4o-mini\n")
    check_wrong(labverse, file, ["line 1", "openai-gtp-4o-mini"], COMMANDS)
    file.write_text("primary: mine/m\nproviders: {mine: {base_url: 'http://h/v1', models: [{name: m}]}}\n")
    callers = [command for command in COMMANDS if command != ["agent", "cost-guard"]]  # it calls no model
    check_wrong(labverse, file, ["line 1", "price"], callers)


def test_a_file_that_is_named_and_missing_is_said(labverse: Labverse) -> None:
    labverse.env["LABVERSE_LLM__PROVIDERS_FILE"] = "/no/such.yaml"
    for command in COMMANDS:
        done = labverse.run(*command, timeout_s=20)
        assert done.returncode == 2
        (line,) = done.stderr.strip().splitlines()
        assert "/no/such.yaml" in line


def test_a_router_starts_without_any_key_and_its_answer_names_the_variable(
    labverse: Labverse, provider: Provider
) -> None:
    use(labverse, {"mine": paid(provider)}, with_key=False)
    labverse.start("up", "--agents", "1", ready="labverse is up")
    done = labverse.run("ask", "why?")
    assert done.returncode == 2
    assert f"set {KEY_VARIABLE}" in done.stderr
