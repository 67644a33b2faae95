"""`labverse review` with models, as its user runs it: real commands, and stand-in providers behind real HTTP."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from labverse import Labverse
from provider import Provider, Reply
from providerfile import local, paid, use
from reviewmodels import answer, finds, is_verdict, verdicts

MODEL = "qwen3:8b"
FINDS_SQL = finds("conn.execute", cwe=89, title="The name becomes part of the statement")


@pytest.fixture
def provider() -> Iterator[Provider]:
    with Provider(FINDS_SQL, models=(MODEL,)) as provider:
        yield provider


def report_of(labverse: Labverse, folder: Path, *arguments: str) -> tuple[int, dict[str, Any]]:
    done = labverse.run("review", folder, "--json", *arguments)
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def finding_at(report: dict[str, Any], line: int) -> dict[str, Any]:
    [finding] = [one for one in report["findings"] if one["line"] == line]
    return dict(finding)


def test_a_local_model_takes_part_unasked(labverse: Labverse, provider: Provider, headline: Path) -> None:
    use(labverse, {"mine": local(provider, MODEL)}, primary=f"mine/{MODEL}")
    code, report = report_of(labverse, headline)
    assert code == 1
    assert [one["model"] for one in report["models"]] == [f"mine/{MODEL}"]
    assert any("mine/qwen3:8b injection" in one["found_by"] for one in report["findings"])
    assert report.get("degraded", []) == []
    assert finding_at(report, 6)["document"].startswith("sql-injection:")


def test_code_goes_to_a_cloud_only_when_it_may(
    labverse: Labverse, provider: Provider, headline: Path
) -> None:
    use(labverse, {"mine": paid(provider, MODEL)}, primary=f"mine/{MODEL}")
    code, report = report_of(labverse, headline)
    assert (code, provider.calls) == (1, 0)
    code, report = report_of(labverse, headline, "--models", "any", "--max-cost", "0.01")
    assert code == 1
    assert 0 < report["cost_nusd"] <= 10_000_000
    assert provider.calls > 0
    told = labverse.run("review", headline, "--models", "any").stdout
    assert "Model" in told
    assert "cost $" in told


def test_what_it_would_take_is_said_beforehand(
    labverse: Labverse, provider: Provider, headline: Path
) -> None:
    use(labverse, {"mine": paid(provider, MODEL)}, primary=f"mine/{MODEL}")
    done = labverse.run("review", headline, "--models", "any", "--estimate", "--json")
    estimate = json.loads(done.stdout)
    assert done.returncode == 0
    assert provider.calls == 0
    [row] = estimate["models"]
    assert row["calls"] == estimate["calls"] > 0
    assert 0 < row["cost_nusd"] <= row["cost_max_nusd"]
    assert estimate["cost_limit_nusd"] == 20_000_000  # the limit for a task, of the settings that ship
    _, report = report_of(labverse, headline, "--models", "any")
    assert sum(one["calls"] for one in report["models"]) == estimate["calls"]
    assert report["cost_nusd"] <= 3 * row["cost_max_nusd"]
    shown = labverse.run("review", headline, "--models", "any", "--estimate").stdout
    assert "never over $0.02" in shown


def test_when_the_months_money_is_used_up_that_is_said_and_when_there_is_some_again(
    labverse: Labverse, provider: Provider, headline: Path
) -> None:
    money = {"monthly_ai_budget_usd": 2}
    use(labverse, {"mine": paid(provider, MODEL)}, primary=f"mine/{MODEL}", cost_control=money)
    provider.behaviour = lambda body, number: Reply(usage=(20_000_000, 1))  # bills three dollars
    assert labverse.run("ask", "why?").returncode == 0
    provider.behaviour = FINDS_SQL
    calls = provider.calls
    told = labverse.run("review", headline, "--models", "any", "--estimate").stdout
    assert "models: none: paid models are stopped: $3.00 spent and $0.00 held of the $2.00 for month" in told
    assert "paid calls stop at $1.80; there is money again from 20" in told
    estimate = json.loads(labverse.run("review", headline, "--models", "any", "--estimate", "--json").stdout)
    assert estimate["calls"] == 0
    assert estimate["paid_stopped"] == estimate["no_models"] != ""
    _, report = report_of(labverse, headline, "--models", "any")
    assert provider.calls == calls
    [refused] = [note for note in report["notes"] if "for lack of money" in note]
    assert "it resets at 20" in refused


def test_free_models_are_counted_while_paid_ones_are_stopped(
    labverse: Labverse, provider: Provider, headline: Path
) -> None:
    rows = {"mine": paid(provider, MODEL), "home": local(provider, MODEL)}
    money = {"monthly_ai_budget_usd": 2}
    use(labverse, rows, primary=f"mine/{MODEL}", fallbacks=[f"home/{MODEL}"], cost_control=money)
    provider.behaviour = lambda body, number: Reply(usage=(20_000_000, 1))
    assert labverse.run("ask", "why?", "--model", f"mine/{MODEL}").returncode == 0
    done = labverse.run("review", headline, "--models", "any", "--estimate", "--json")
    estimate = json.loads(done.stdout)
    assert [row["model"] for row in estimate["models"]] == [f"home/{MODEL}"]
    assert estimate["no_models"] == ""
    assert estimate["paid_stopped"].startswith("paid models are stopped: $3.00 spent")


def test_no_money_means_analysers_alone_and_says_so(
    labverse: Labverse, provider: Provider, headline: Path
) -> None:
    use(labverse, {"mine": paid(provider, MODEL)}, primary=f"mine/{MODEL}")
    code, report = report_of(labverse, headline, "--models", "any", "--max-cost", "0")
    assert code == 1
    assert provider.calls == 0
    assert any("limit on money" in one["reason"] for one in report["not_reviewed"])


def test_a_model_that_dies_half_way_leaves_a_report_that_says_so(
    labverse: Labverse, provider: Provider, headline: Path
) -> None:
    def dies(body: dict[str, Any], number: int) -> Reply:
        return answer() if number < 2 else Reply(status=500, error="out of memory")

    provider.behaviour = dies
    use(labverse, {"mine": local(provider, MODEL)}, primary=f"mine/{MODEL}")
    code, report = report_of(labverse, headline, "--models", "local", "--deadline", "40")
    assert code == 2
    assert any("analysers alone looked there" in reason for reason in report["degraded"])
    assert {one["line"] for one in report["findings"] if one["severity"] == "critical"} == {6, 10, 13}


def test_a_broken_server_costs_seconds_of_a_minute_and_is_named_in_the_account(
    labverse: Labverse, provider: Provider, headline: Path
) -> None:
    provider.behaviour = lambda body, number: Reply(status=500, error="out of memory")
    use(labverse, {"mine": local(provider, MODEL)}, primary=f"mine/{MODEL}")
    before_s = time.monotonic()
    code, report = report_of(labverse, headline, "--deadline", "60")
    assert (
        time.monotonic() - before_s < 25
    )  # about seven where nothing else runs; until the deadline it was 34
    assert code == 2
    assert not any(is_verdict(one.body) for one in provider.requests)
    [idle] = [one for one in report["agents"] if one["agent"] == f"no answer from mine/{MODEL}"]
    assert idle["hits"] == 0


def test_models_that_were_asked_for_and_are_not_there_degrade_the_review(
    labverse: Labverse, headline: Path
) -> None:
    with Provider() as gone:
        use(labverse, {"mine": local(gone, MODEL)}, primary=f"mine/{MODEL}")
    code, report = report_of(labverse, headline, "--models", "local")
    assert code == 2
    assert any("models were asked for" in reason for reason in report["degraded"])
    assert len(report["findings"]) >= 3
    assert labverse.run("review", headline, "--json").returncode == 1


def test_a_running_up_is_asked(labverse: Labverse, provider: Provider, headline: Path) -> None:
    use(labverse, {"mine": local(provider, MODEL)}, primary=f"mine/{MODEL}")
    labverse.start("up", "--agents", "1", ready="labverse is up")
    code, report = report_of(labverse, headline)
    assert code == 1
    assert [one["model"] for one in report["models"]] == [f"mine/{MODEL}"]


def test_a_claim_that_nobody_confirms_is_counted_and_not_shown(
    labverse: Labverse, provider: Provider, headline: Path
) -> None:
    def claims(body: dict[str, Any], number: int) -> Reply:
        return verdicts([False] * 8) if is_verdict(body) else finds("import sqlite3")(body, number)

    provider.behaviour = claims
    use(labverse, {"mine": local(provider, MODEL)}, primary=f"mine/{MODEL}")
    _, report = report_of(labverse, headline)
    assert not any(one["line"] == 1 for one in report["findings"])
    assert any("not confirmed" in note for note in report["notes"])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--max-cost", "-1"], "review.max_cost_usd"),
        (["--max-cost", "nan"], "review.max_cost_usd"),
        (["--passes", "101"], "--passes must be 0 to 100"),
    ],
)
def test_limits_that_make_no_sense_are_refused(
    labverse: Labverse, headline: Path, arguments: list[str], said: str
) -> None:
    done = labverse.run("review", headline, *arguments)
    assert done.returncode == 2
    [line] = done.stderr.splitlines()
    assert said in line


def test_a_settings_file_that_came_with_the_code_opens_no_way_out(
    labverse: Labverse, provider: Provider, headline: Path
) -> None:
    use(labverse, {"mine": paid(provider, MODEL)}, primary=f"mine/{MODEL}")
    (headline / "labverse.yaml").write_text("review: {models: any}\n")
    done = labverse.run("review", ".", cwd=headline, env={"PYTHONPATH": str(Path(__file__).parents[2])})
    assert done.returncode == 2
    assert "review.models" in done.stderr
    assert provider.calls == 0
