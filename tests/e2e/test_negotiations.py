"""Negotiations between platforms as people and machines run them: the command, approvals, unattended cycles, kill -9."""

import asyncio
import json
import os
import signal
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from labverse import Labverse
from natsserver import NatsServer

from bus import Bus, BusOptions, open_bus
from schemas.approval import ApprovalOpened
from schemas.event import Event
from schemas.negotiation import (
    NegotiationAgreed,
    NegotiationNoDeal,
    NegotiationRequested,
)

SINGLE = ("negotiate", "--mode", "single", "--goal", "Cross-platform content syndication")
SINGLE = (*SINGLE, "--platforms", "tiktok", "spotify")
FREELY = 'version: "f"\napprovers: [owner]\nrules:\n  deal: {}\n'
ASKING = 'version: "a"\napprovers: [owner]\nrules:\n  deal: {ask_always: true}\n'


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    path = tmp_path / "policy.yaml"
    path.write_text(FREELY, encoding="utf-8")
    return path


@pytest.fixture
def labverse(tmp_path: Path, policy: Path) -> Any:
    command = Labverse(tmp_path / "data", LABVERSE_NEGOTIATION__POLICY_FILE=str(policy))
    yield command
    command.close()


def answer(labverse: Labverse, *arguments: str, code: int = 0) -> Any:
    done = labverse.run(*arguments)
    assert done.returncode == code, done.stderr
    return json.loads(done.stdout)


def test_a_deal_that_policy_lets_through_is_shown_with_money_and_certificate(labverse: Labverse) -> None:
    done = labverse.run(*SINGLE, "--budget", "500")
    assert done.returncode == 0, done.stderr
    for said in ("proven best", "we pay at most", "what everybody gains", "agreed: at most $"):
        assert said in done.stdout
    shown = answer(labverse, "negotiations", "list", "--json")
    assert shown["negotiations"][0]["reason"] == "agreed"


def test_a_deal_that_waits_is_approved_later_where_nothing_runs(labverse: Labverse, policy: Path) -> None:
    policy.write_text(ASKING, encoding="utf-8")
    waiting = answer(labverse, *SINGLE, "--no-wait", "--json", code=3)
    assert waiting["state"] == "waiting"
    approval_id = waiting["approval"]["approval_id"]
    assert [one["approval_id"] for one in answer(labverse, "approvals", "--json")] == [approval_id]
    unseen = labverse.run("approve", approval_id)
    assert unseen.returncode == 2
    assert "add --yes" in unseen.stderr
    done = labverse.run("approve", approval_id, "--yes")
    assert done.returncode == 0, done.stderr
    assert "approved this" in done.stdout
    again = labverse.run("veto", approval_id)
    assert again.returncode == 1
    assert "approved this" in again.stdout
    told = answer(labverse, "negotiations", "show", waiting["task_id"], "--json")
    assert "agreed" in json.dumps(told)
    lines = answer(labverse, "approvals", "log", "--json")
    assert Counter(line["outcome"] for line in lines)["counted"] == 1


def test_a_veto_ends_it_for_whoever_waits(labverse: Labverse, policy: Path) -> None:
    policy.write_text(ASKING, encoding="utf-8")
    waiting = answer(labverse, *SINGLE, "--no-wait", "--json", code=3)
    done = labverse.run("veto", waiting["approval"]["approval_id"], "--note", "not now")
    assert done.returncode == 0, done.stderr
    shown = labverse.run("negotiations", "list")
    assert "vetoed by owner" in shown.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--mode", "single", "--platforms", "tiktok"), "--goal is missing"),
        (("--mode", "single", "--goal", "x"), "--platforms is missing: name some of"),
        (("--mode", "single", "--goal", "x", "--platforms", "tiktk"), "no rate card for 'tiktk'"),
        (("--mode", "single", "--goal", "x", "--platforms", "x", "x"), "named twice"),
        (("--mode", "single", "--goal", "x", "--platforms", "x", "--budget", "0"), "--budget is 0"),
        (("--mode", "single", "--goal", "x", "--platforms", "x", "--budget", "nan"), "--budget is nan"),
        (("--mode", "single", "--goal", "x", "--platforms", "x", "--cycles", "3"), "--cycles goes with"),
        (("--mode", "autonomous", "--goal", "x", "--platforms", "x"), "--cycle-interval is missing"),
        (
            ("--mode", "autonomous", "--goal", "x", "--platforms", "x", "--cycle-interval", "0"),
            "a cycle can't take 0 s",
        ),
        (("--domain", "x.yaml", "--mode", "single"), "--domain FILE goes without --mode"),
        ((), "say what to negotiate"),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_line(
    labverse: Labverse, arguments: tuple[str, ...], said: str
) -> None:
    done = labverse.run("negotiate", *arguments)
    assert done.returncode == 2
    assert said in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_policy_that_can_not_be_read_stops_before_anything_is_done(
    labverse: Labverse, policy: Path
) -> None:
    policy.write_text('version: "1"\napprovers: [bob]\n', encoding="utf-8")
    done = labverse.run(*SINGLE)
    assert done.returncode == 2
    assert "policy.yaml line 2: nobody under `people` is called `bob`" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_unattended_cycles_come_one_by_one_and_the_command_ends_when_told(labverse: Labverse) -> None:
    done = labverse.run(
        "negotiate", "--mode", "autonomous", "--goal", "g", "--platforms", "tiktok", "spotify",
        "--cycle-interval", "1", "--cycles", "3", "--identical-max", "0", "--budget", "50", "--json",
        timeout_s=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    cycles = [json.loads(line)["cycle"] for line in done.stdout.splitlines()]
    ended = [cycle for cycle in cycles if cycle["state"] != "running"]
    assert len(ended) == 3
    assert len({cycle["number"] for cycle in ended}) == 3
    assert {cycle["state"] for cycle in ended} <= {"agreed", "skipped"}


def test_identical_deals_pause_a_programme_until_somebody_resumes_it(labverse: Labverse) -> None:
    arguments = (
        "negotiate", "--mode", "autonomous", "--goal", "g", "--platforms", "tiktok", "spotify",
        "--cycle-interval", "1", "--name", "p", "--budget", "50",
    )  # fmt: skip
    first = labverse.run(*arguments, "--cycles", "5", "--identical-max", "2", timeout_s=60)
    assert first.returncode == 1
    assert "it pauses: 2 identical deals in a row; labverse negotiations resume p" in first.stderr
    assert len([line for line in first.stdout.splitlines() if " agreed " in line]) == 2
    assert "2 identical deals" in labverse.run("negotiations", "list").stdout
    resumed = labverse.run("negotiations", "resume", "p")
    assert resumed.returncode == 0, resumed.stderr
    second = labverse.run(*arguments, "--cycles", "1", "--identical-max", "2", timeout_s=60)
    assert " agreed " in second.stdout


async def stored(bus: Bus, task_id: str) -> list[Event]:
    return [event async for event, _ in bus.events(task_id, only_stored=True)]


async def until_stored(bus: Bus, task_id: str, kind: type[Event], within_s: float = 60) -> Event:
    async with asyncio.timeout(within_s):
        async for event, _ in bus.events(task_id):
            if isinstance(event, kind):
                return event
    raise AssertionError("the stream ended")


@pytest.fixture
def on_server(tmp_path: Path, policy: Path, server: NatsServer) -> Any:
    command = Labverse(tmp_path / "data", LABVERSE_NEGOTIATION__POLICY_FILE=str(policy), NATS_URL=server.url)
    yield command
    command.close()


async def test_kill_9_between_decision_and_deal_agrees_once_all_the_same(
    on_server: Labverse, policy: Path, options: BusOptions
) -> None:
    policy.write_text(ASKING, encoding="utf-8")
    ready = "is ready"
    for kind in ("cost-guard", "platform", "approver"):
        await asyncio.to_thread(on_server.start, "agent", kind, ready=ready)
    async with open_bus(options) as bus:
        for number in range(3):
            negotiator = await asyncio.to_thread(on_server.start, "agent", "negotiator", ready=ready)
            task_id = f"t{number}"
            await bus.submit(NegotiationRequested(goal="g", platforms=("tiktok", "spotify")), task_id=task_id)
            opened = await until_stored(bus, task_id, ApprovalOpened)
            assert isinstance(opened, ApprovalOpened)
            if number < 2:  # dead before the decision; frozen while it is taken
                os.kill(negotiator.pid, signal.SIGKILL if number == 0 else signal.SIGSTOP)
            done = await asyncio.to_thread(on_server.run, "approve", opened.approval.approval_id, "--yes")
            assert done.returncode == 0, done.stderr
            if number == 2:  # killed at a moment of its own, perhaps in the middle of it
                time.sleep(0.01)
                os.kill(negotiator.pid, signal.SIGKILL)
            again = await asyncio.to_thread(on_server.start, "agent", "negotiator", ready=ready)
            await until_stored(bus, task_id, NegotiationAgreed)
            if number == 1:
                os.kill(negotiator.pid, signal.SIGCONT)
                await asyncio.sleep(1.0)
            kinds = Counter(type(event).__name__ for event in await stored(bus, task_id))
            assert kinds["NegotiationAgreed"] == 1
            assert kinds["ApprovalDecided"] == 1
            assert not any(isinstance(event, NegotiationNoDeal) for event in await stored(bus, task_id))
            for process in (negotiator, again):
                if process.poll() is None:
                    process.kill()
                await asyncio.to_thread(process.wait)
