"""`labverse costs` and what else tells of money, as processes: equal to what the provider billed, to the nano-USD."""

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from labverse import Labverse
from provider import Provider, Reply
from providerfile import KEY, paid, use

from agents.router.offers import Price, PriceTier

PRICE = Price(tiers=(PriceTier(input_nusd=150_000_000, output_nusd=600_000_000),))
GROUPS = ("provider", "model", "task", "agent", "tenant", "day", "purpose")


@pytest.fixture
def provider() -> Iterator[Provider]:
    with Provider(lambda body, number: Reply(text="Because. " * (number + 1)), key=KEY) as provider:
        yield provider


def costs(labverse: Labverse, *arguments: str) -> dict[str, Any]:
    done = labverse.run("costs", "--json", *arguments)
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def spent(rows: list[dict[str, Any]]) -> dict[str, int]:
    return {row["name"]: row["cost_nusd"] for row in rows}


def ask(labverse: Labverse, *arguments: str) -> int:
    """Ask something; returns what it cost, in nano-USD."""
    done = labverse.run("ask", *arguments, "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    cost: int = json.loads(done.stdout)["completion"]["cost_nusd"]
    return cost


def test_totals_are_what_the_provider_billed_by_every_group(labverse: Labverse, provider: Provider) -> None:
    with Provider(Reply(text="Other."), key=KEY) as second:
        use(labverse, {"mine": paid(provider), "second": paid(second)}, fallbacks=["second/m"])
        labverse.start("up", "--agents", "1", ready="labverse is up")
        paid_nusd = [
            ask(labverse, "one", "--task", "order-1", "--tenant", "acme", "--model", "mine/m"),
            ask(labverse, "two", "--task", "order-1", "--purpose", "creative", "--model", "mine/m"),
            ask(labverse, "three", "--task", "order-2", "--model", "second/m"),
            ask(labverse, "three", "--task", "order-2", "--model", "second/m"),
        ]
        billed = {"mine": provider.billed_nusd(PRICE), "second": second.billed_nusd(PRICE)}
        total = sum(billed.values())
        assert sum(paid_nusd) == total > 0
        assert paid_nusd[-1] == 0  # from the cache
        until = time.monotonic() + 10  # what the last call cost is booked behind its answer
        while costs(labverse)["total"]["calls"] < 4:
            assert time.monotonic() < until
        by = {group: costs(labverse, "--by", group) for group in GROUPS}
        assert all(answer["total"]["cost_nusd"] == total for answer in by.values())
        assert all(sum(spent(answer["rows"]).values()) == total for answer in by.values())
        assert spent(by["provider"]["rows"]) == billed
        assert spent(by["model"]["rows"]) == {"mine/m": billed["mine"], "second/m": billed["second"]}
        assert spent(by["task"]["rows"]) == {"order-1": billed["mine"], "order-2": billed["second"]}
        assert spent(by["tenant"]["rows"])["acme"] == paid_nusd[0]
        assert spent(by["purpose"]["rows"])["creative"] == paid_nusd[1]
        assert spent(by["agent"]["rows"]) == {"ask": total}
        total_row = by["model"]["total"]
        assert (total_row["calls"], total_row["answered"], total_row["cached"]) == (4, 3, 1)
        assert total_row["saved_nusd"] == paid_nusd[2]
        assert by["model"]["budget"]["month"]["spent_nusd"] == total
        assert costs(labverse, "--task", "order-1")["total"]["cost_nusd"] == billed["mine"]
        task = costs(labverse, "--task", "order-1")["budget"]["task"]
        assert (task["spent_nusd"], task["limit_nusd"]) == (billed["mine"], 20_000_000)
        assert costs(labverse, "--tenant", "acme")["total"]["cost_nusd"] == paid_nusd[0]


def test_status_tells_what_a_task_cost(labverse: Labverse, provider: Provider) -> None:
    use(labverse, {"mine": paid(provider)})
    labverse.start("up", "--agents", "1", ready="labverse is up")
    body = json.dumps({"files": [{"path": "a.py", "text": "x = 1\n"}]})
    labverse.run("submit", "review.requested.v1", body, "--task-id", "mine", "--wait")
    cost = ask(labverse, "one", "--task", "mine") + ask(labverse, "two", "--task", "mine")
    assert cost == provider.billed_nusd(PRICE)
    until = time.monotonic() + 15
    while True:
        (task,) = json.loads(labverse.run("status", "--json").stdout)["tasks"]
        if task["cost_nusd"] == cost:
            break
        assert time.monotonic() < until, task
    assert task["state"] == "completed"


def test_a_period_holds_what_happened_in_it(labverse: Labverse, provider: Provider) -> None:
    use(labverse, {"mine": paid(provider)})
    cost = ask(labverse, "why?")
    today = datetime.now(UTC).date()
    for since in ("24h", today.isoformat()):
        assert costs(labverse, "--since", since)["total"]["cost_nusd"] == cost, since
    before = (today - timedelta(days=3)).isoformat()
    assert costs(labverse, "--since", "30d", "--until", before)["total"]["calls"] == 0
    for arguments in (["--since", "2026-13-01"], ["--since", "2d", "--until", "9d"]):
        wrong = labverse.run("costs", *arguments)
        assert wrong.returncode == 2
        assert len(wrong.stderr.strip().splitlines()) == 1


def test_nothing_spent_is_said(labverse: Labverse) -> None:
    done = labverse.run("costs")
    assert done.returncode == 0
    assert "nothing was spent" in done.stdout
    assert costs(labverse)["total"]["calls"] == 0
    assert "of task nobody: nothing was spent" in labverse.run("costs", "--task", "nobody").stdout


def test_the_budget_is_a_bar_with_its_stop(labverse: Labverse, provider: Provider) -> None:
    use(labverse, {"mine": paid(provider)}, cost_control={"monthly_ai_budget_usd": 2})
    labverse.start("up", "--agents", "1", ready="labverse is up")
    ask(labverse, "why?")
    shown = labverse.run("costs").stdout
    (bar,) = (line for line in shown.splitlines() if "stops at" in line)
    assert bar.startswith("month ")
    assert "░" in bar
    assert "┃" in bar
    assert "of $2.00, stops at $1.80" in bar
    assert "mine/m" in shown


def test_without_a_guard_the_budget_is_read_from_the_books(labverse: Labverse, provider: Provider) -> None:
    use(labverse, {"mine": paid(provider)}, cost_control={"monthly_ai_budget_usd": 2})
    cost = ask(labverse, "why?")
    shown = labverse.run("costs").stdout
    assert "of $2.00, stops at $1.80" in shown
    assert "no cost guard leads" in shown
    assert "for 1 call this month" in shown
    month = costs(labverse)["budget"]["month"]
    assert (month["spent_nusd"], month["reserved_nusd"]) == (cost, 0)


def test_advice_is_given_from_what_was_called(labverse: Labverse, provider: Provider) -> None:
    use(labverse, {"mine": paid(provider)})
    ask(labverse, "why?")
    shown = labverse.run("costs", "--advice").stdout
    assert "advice" in shown
    assert "1 of 20" in shown
    assert isinstance(costs(labverse, "--advice")["advice"], list)
    assert costs(labverse)["advice"] is None


def test_calls_that_failed_or_were_left_are_in_the_books(labverse: Labverse, provider: Provider) -> None:
    use(labverse, {"mine": paid(provider)})
    provider.behaviour = Reply(status=500)
    assert labverse.run("ask", "one", "--deadline", "20").returncode == 2
    assert costs(labverse)["total"]["cost_nusd"] == 0
    provider.behaviour = Reply(text="word " * 100, cut_after=3)
    assert labverse.run("ask", "two", "--stream").returncode == 2
    total = costs(labverse)["total"]
    assert total["failed"] >= 2
    assert total["cost_nusd"] >= provider.billed_nusd(PRICE) > 0
    assert total["wasted_nusd"] == total["cost_nusd"]


def test_a_task_that_only_asked_models_is_watched_to_its_cost_and_no_further(
    labverse: Labverse, provider: Provider
) -> None:
    use(labverse, {"mine": paid(provider)})
    for number in range(2):
        assert labverse.run("ask", f"question {number}", "--task", "lonely").returncode == 0
    watched = labverse.run("watch", "lonely", timeout_s=60)
    assert watched.returncode == 0, watched.stderr
    (line,) = watched.stderr.strip().splitlines()
    assert line.startswith("no events of task lonely are known; 2 model calls cost $0.0")
    assert "`labverse costs --task lonely`" in line
    told = labverse.run("status", "lonely")
    assert told.returncode == 2
    assert "2 model calls cost $0.0" in told.stderr


def test_a_task_that_nobody_knows_is_not_watched_for_ever_unless_asked_to(labverse: Labverse) -> None:
    watched = labverse.run("watch", "nobody", timeout_s=60)
    assert watched.returncode == 2
    assert watched.stderr == "no events of task nobody are known (--wait waits for it)\n"
    waiting = labverse.start("watch", "nobody", "--wait", ready="nothing yet of task nobody")
    time.sleep(1)
    assert waiting.poll() is None
