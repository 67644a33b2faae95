"""kill -9 of agents and of the server in the middle of a review of 200 assignments: nothing lost, nothing twice."""

import asyncio
import json
import os
import signal
import time
from collections import Counter
from pathlib import Path

import pytest
from labverse import Labverse

from agents.review.bundle import pack
from agents.review.intake import collect
from bus import Bus, BusOptions, open_bus
from bus.embedded import read_address
from schemas.review import ReviewCompleted, ReviewFindings, ReviewPlanned, ReviewRequested

ASSIGNMENTS = 200


async def submit_200(bus: Bus, code_base: Path) -> str:
    """A review of one bundle a file, so that each file is an assignment of its own."""
    intake = collect(code_base)
    bundles = []
    for file in intake.files:
        for bundle, data in pack([file]):
            await bus.objects.put(bundle.object_name, data)
            bundles.append(bundle)
    return await bus.submit(ReviewRequested(name="200", bundles=tuple(bundles), roles=("security",)))


async def result(bus: Bus, task_id: str, timeout_s: float) -> tuple[ReviewCompleted, list[int]]:
    """The report, and the indexes of all findings that were stored."""
    indexes: list[int] = []
    try:
        async with asyncio.timeout(timeout_s):
            async for event, _ in bus.events(task_id):
                if isinstance(event, ReviewPlanned):
                    assert len(event.assignments) == ASSIGNMENTS
                if isinstance(event, ReviewFindings):
                    indexes.append(event.index)
                if isinstance(event, ReviewCompleted):
                    return event, indexes
    except TimeoutError:
        consumers = [
            await bus.connection.api(f"CONSUMER.INFO.LABVERSE.{name}")
            for name in ("reviewer", "review-merger")
        ]
        missing = sorted(set(range(ASSIGNMENTS)) - set(indexes))
        raise AssertionError(f"no report; unanswered {missing}; {consumers}; {await bus.streams()}") from None
    raise AssertionError("the task ended without a report")


def check(completed: ReviewCompleted, indexes: list[int]) -> None:
    assert sorted(indexes) == list(range(ASSIGNMENTS))
    report = completed.report
    assert report.degraded == ()
    places = Counter((finding.path, finding.line) for finding in report.findings if finding.cwe == 89)
    assert len(places) == ASSIGNMENTS
    assert set(places.values()) == {1}


async def some_findings(bus: Bus, task_id: str, count: int) -> None:
    seen = 0
    async for event, _ in bus.events(task_id):
        seen += isinstance(event, ReviewFindings)
        if seen >= count:
            return


@pytest.mark.timeout(120)
async def test_kill_9_of_reviewers_in_the_middle(labverse: Labverse, code_base: Path) -> None:
    others = [
        labverse.start("agent", kind, ready="is ready")
        for kind in ("review-planner", "review-merger", "tracker")
    ]
    reviewers = [labverse.start("agent", "reviewer", "--replicas", "2", ready="is ready") for _ in range(2)]
    async with open_bus(BusOptions(data_dir=labverse.data)) as bus:
        task_id = await submit_200(bus, code_base)
        for victim in reviewers:
            await some_findings(bus, task_id, 20)
            victim.send_signal(signal.SIGKILL)
        labverse.start("agent", "reviewer", "--replicas", "2", ready="is ready")
        completed, indexes = await result(bus, task_id, 75)
    check(completed, indexes)
    assert all(process.poll() is None for process in others)


@pytest.mark.timeout(120)
async def test_kill_9_of_planner_and_merger_in_the_middle(labverse: Labverse, code_base: Path) -> None:
    first = [labverse.start("agent", kind, ready="is ready") for kind in ("review-planner", "review-merger")]
    labverse.start("agent", "reviewer", "--replicas", "2", ready="is ready")
    async with open_bus(BusOptions(data_dir=labverse.data)) as bus:
        task_id = await submit_200(bus, code_base)
        await some_findings(bus, task_id, 20)
        for process in first:
            process.send_signal(signal.SIGKILL)
        for kind in ("review-planner", "review-merger"):
            labverse.start("agent", kind, ready="is ready")
        completed, indexes = await result(bus, task_id, 75)
    check(completed, indexes)


@pytest.mark.timeout(120)
async def test_kill_9_of_the_server_in_the_middle(labverse: Labverse, code_base: Path) -> None:
    labverse.start("up", "--agents", "2", ready="labverse is up")
    async with open_bus(BusOptions(data_dir=labverse.data)) as bus:
        task_id = await submit_200(bus, code_base)
        for count in (10, 60, 120):
            await some_findings(bus, task_id, count)
            address = read_address(labverse.data)
            assert address is not None
            os.kill(address.server_pid, signal.SIGKILL)
        completed, indexes = await result(bus, task_id, 75)
    check(completed, indexes)


@pytest.mark.timeout(120)
async def test_a_frozen_reviewer_leaves_one_effect(labverse: Labverse, code_base: Path) -> None:
    """SIGSTOP for longer than ack_wait: others do its work; what it says when it wakes is refused."""
    for kind in ("review-planner", "review-merger"):
        labverse.start("agent", kind, ready="is ready")
    frozen = labverse.start("agent", "reviewer", "--replicas", "2", ready="is ready")
    async with open_bus(BusOptions(data_dir=labverse.data)) as bus:
        task_id = await submit_200(bus, code_base)
        await some_findings(bus, task_id, 20)
        frozen.send_signal(signal.SIGSTOP)
        labverse.start("agent", "reviewer", "--replicas", "2", ready="is ready")
        completed, indexes = await result(bus, task_id, 75)
        check(completed, indexes)
        frozen.send_signal(signal.SIGCONT)
        await asyncio.sleep(2)
        stored = [
            event.index
            async for event, _ in bus.events(task_id, only_stored=True)
            if isinstance(event, ReviewFindings)
        ]
    assert sorted(stored) == list(range(ASSIGNMENTS))


@pytest.mark.timeout(120)
def test_sigterm_of_an_agent_loses_nothing_and_leaves_at_once(labverse: Labverse) -> None:
    agent = labverse.start("agent", "reviewer", "--replicas", "2", ready="is ready")
    started = time.monotonic()
    agent.send_signal(signal.SIGTERM)
    agent.communicate(timeout=20)
    assert agent.returncode == 0
    assert time.monotonic() - started < 8


def test_a_killed_command_leaves_nothing_running(labverse: Labverse, code_base: Path) -> None:
    process = labverse.start("review", code_base)
    until = time.monotonic() + 20
    while (address := read_address(labverse.data)) is None:
        assert time.monotonic() < until
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    until = time.monotonic() + 10
    while Path(f"/proc/{address.server_pid}").exists() and time.monotonic() < until:
        time.sleep(0.05)
    assert not Path(f"/proc/{address.server_pid}").exists()
    # The next command on the same folder works as if nothing had happened.
    assert json.loads(labverse.run("status", "--json").stdout)["dead_letters"] == 0
