"""`labverse negotiations`: what it shows, stops and lets go on, on a real bus."""

import argparse
import asyncio
import io
import json
import time
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from typing import Any

import pytest
from natsserver import NatsServer
from until import until_async

from agents.negotiator import switch
from agents.negotiator.cycles import Runner, programmes
from agents.tracker import Tracker
from bus import Bus, Envelope, Subscription
from orchestrator.commands import negotiations as command
from orchestrator.negotiations_view import every
from orchestrator.shell import UserError
from schemas.negotiation import CycleRecord, NegotiationAgreed, NegotiationRequested, Programme
from schemas.task import TaskCancelled

HOSTILE = "cheap\x1b[31m deals\n\x07"
REQUEST = NegotiationRequested(goal=HOSTILE, platforms=("tiktok", "spotify"))
Run = Callable[..., Any]


@pytest.fixture
def run(server: NatsServer, monkeypatch: pytest.MonkeyPatch, tmp_path) -> Run:
    monkeypatch.setenv("NATS_URL", server.url)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)

    async def run(*arguments: str) -> str:
        common = argparse.ArgumentParser(add_help=False)
        common.set_defaults(config=None, data_dir=None, verbose=0)
        parser = argparse.ArgumentParser()
        command.add_arguments(parser, common)
        out = io.StringIO()
        with redirect_stdout(out), redirect_stderr(out):
            assert await command.run(parser.parse_args(arguments)) == 0
        return out.getvalue()

    return run


async def agree(event: NegotiationRequested, envelope: Envelope) -> NegotiationAgreed:
    return NegotiationAgreed(
        goal=event.goal, deal={"split": "60:40"}, payments=(), amount_nusd=10**9, digest="a" * 64, by=("ada",)
    )


async def negotiated(bus: Bus) -> str:
    """A negotiation that is over, and that the tracker knows of."""
    await bus.run(Tracker(bus=bus).subscription())
    await bus.run(Subscription(durable="negotiator", listens=(NegotiationRequested,), handle=agree))
    task_id = await bus.submit(REQUEST)
    from orchestrator.tasks import known_tasks

    async def is_known() -> bool:
        return any(task.task_id == task_id and task.state.is_final for task in await known_tasks(bus))

    await until_async(is_known)
    return task_id


async def paused(bus: Bus, name: str = "p") -> None:
    await programmes(bus).ensure()
    record = CycleRecord(
        number=7, task_id="cycle-p-7", at="2026-11-21T12:00:00Z", state="vetoed", why="by ada"
    )
    programme = Programme(
        name=name,
        request=REQUEST,
        interval_s=3_600,
        recent=(record,),
        vetoes=3,
        paused_why="3 vetoes in a row, the last: by ada",
    )
    await programmes(bus).put(name, programme)


async def test_on_a_new_bus_there_is_nothing_and_looking_makes_no_switch(bus: Bus, run: Run) -> None:
    began = time.monotonic()
    assert "no negotiations yet" in await run("list")
    answer = json.loads(await run("list", "--json"))
    assert answer == {"switch": None, "negotiations": [], "programmes": []}
    assert "nothing was stopped or paused" in await run("resume")
    assert not await switch.exists(bus)
    assert time.monotonic() - began < 20


async def test_the_list_shows_negotiations_and_programmes_and_no_control_characters(
    bus: Bus, run: Run
) -> None:
    task_id = await negotiated(bus)
    await paused(bus)
    await switch.ensure(bus)
    said = await run("list")
    assert task_id in said
    assert "agreed, approved by ada" in said
    assert "pauses: 3 vetoes in a row, the last: by ada; nobody runs it" in said
    assert "7 vetoed, 2026-11-21 12:00:00" in said
    assert "1 h" in said
    assert not set("\x1b\x07") & set(said)
    answer = json.loads(await run("list", "--json"))
    assert answer["negotiations"][0]["task_id"] == task_id
    assert answer["programmes"][0]["programme"]["vetoes"] == 3
    assert answer["switch"]["is_stopped"] is False


async def test_show_tells_one_from_its_beginning_to_its_end(bus: Bus, run: Run) -> None:
    task_id = await negotiated(bus)
    said = await run("show", task_id[-8:])
    assert f"negotiation {task_id}: agreed" in said
    assert "agreed: at most $1.00, approved by ada" in said
    assert "negotiation.requested" in said
    assert "split: 60:40" in said
    assert not set("\x1b\x07") & set(said)
    answer = json.loads(await run("show", task_id, "--json"))
    assert answer["ending"]["deal"] == {"split": "60:40"}
    assert [one["event"] for one in answer["timeline"]] == [
        "negotiation.requested.v1",
        "negotiation.agreed.v1",
    ]


async def test_show_of_a_programme_tells_its_cycles(bus: Bus, run: Run) -> None:
    await paused(bus)
    said = await run("show", "p")
    assert "with tiktok, spotify, at most $1,000.00; in a row now: 0 failures, 3 vetoes" in said
    assert "by ada" in said
    assert json.loads(await run("show", "p", "--json"))["programme"]["name"] == "p"


@pytest.mark.parametrize("wrong", ["nothing-like-it", "a b", "x.>", ""])
async def test_what_is_unknown_is_said_in_one_line(bus: Bus, run: Run, wrong: str) -> None:
    for arguments in (("show", wrong), ("stop", "--task", wrong or "?"), ("resume", wrong or "?")):
        with pytest.raises(UserError) as raised:
            await run(*arguments)
        assert "\n" not in str(raised.value)
        assert "`labverse" in str(raised.value)


async def test_stop_sets_the_switch_once_with_its_reason_and_in_the_audit_log(bus: Bus, run: Run) -> None:
    assert (await run("stop", "--reason", "odd deals")).startswith("stopped: on every node")
    is_running, why = await switch.is_running(bus)
    assert not is_running
    assert why.endswith(": odd deals")
    assert (await run("stop", "--reason", "again")).startswith("it was stopped already: stopped by cli:")
    assert json.loads(await run("stop", "--json"))["was_stopped"] is True
    assert "stopped by cli:" in await run("list")
    lines = [line async for line in bus.audits(subject=switch.KEY)]
    assert [(line.what, line.outcome, line.detail) for line in lines][:2] == [
        ("negotiations.stop", "done", "odd deals"),
        ("negotiations.stop", "already stopped", "again"),
    ]


async def test_resume_ends_the_stop_and_all_pauses(bus: Bus, run: Run) -> None:
    await run("stop")
    await paused(bus, "p")
    await paused(bus, "q")
    said = await run("resume", "p")
    assert "programme p goes on" in said
    assert "the kill switch still stops everything" in said
    assert not (await switch.is_running(bus))[0]
    answer = json.loads(await run("resume", "--json"))
    assert answer == {"resumed": ["q"], "switch_was_stopped": True, "switch_cleared": True}
    assert await switch.is_running(bus) == (True, "")
    assert [one.paused_why for one in (await programmes(bus).values()).values()] == ["", ""]
    assert "programme p did not pause" in await run("resume", "p")


async def test_resume_makes_a_lost_switch_again_and_says_so(bus: Bus, run: Run) -> None:
    await paused(bus)
    await switch.ensure(bus)
    await bus.connection.api("STREAM.DELETE.KV_SWITCHES")
    assert "the kill switch can't be read" in await run("list")
    assert "the kill switch is off" in await run("resume")
    assert await switch.is_running(bus) == (True, "")


async def test_one_negotiation_is_called_off_and_no_other(bus: Bus, run: Run) -> None:
    task_id = await bus.submit(REQUEST)
    assert await run("stop", "--task", task_id, "--reason", "too dear") == f"called off {task_id}\n"
    cancelled = [event async for event, _ in bus.events(task_id, only_stored=True)][-1]
    assert isinstance(cancelled, TaskCancelled)
    assert cancelled.reason == "too dear"
    with pytest.raises(UserError, match="is over already: cancelled by cli:"):
        await run("stop", "--task", task_id)
    assert not await switch.exists(bus)
    assert [line.what async for line in bus.audits(subject=task_id)] == ["negotiations.cancel"]


async def test_a_reason_that_is_too_long_is_refused(run: Run) -> None:
    with pytest.raises(UserError, match="--reason has 501 characters; at most 500"):
        await run("stop", "--reason", "r" * 501)


async def test_the_list_says_who_runs_a_programme(bus: Bus, run: Run) -> None:
    await bus.run(Subscription(durable="negotiator", listens=(NegotiationRequested,), handle=agree))
    stop = asyncio.Event()
    runner = Runner(bus=bus, programme=Programme(name="p", request=REQUEST, interval_s=3_600))
    running = asyncio.create_task(runner.run(stop))
    await asyncio.wait_for(runner.is_leading.wait(), 20)
    assert "runs on " in await run("list")
    stop.set()
    await running
    assert "nobody runs it" in await run("list")


def test_intervals_are_told_in_the_largest_whole_unit() -> None:
    assert [every(one) for one in (1, 90, 60, 5_400, 3_600, 86_400 * 31, 1.5)] == [
        "1 s",
        "90 s",
        "1 min",
        "90 min",
        "1 h",
        "31 d",
        "1.5 s",
    ]
