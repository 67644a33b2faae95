"""Planner, reviewer and merger: their pure cores, and the whole swarm on a bus."""

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import pytest
import pytest_asyncio
from until import until_async

from agents.review.analysers import Analysis
from agents.review.intake import Collected
from agents.review.merger import ReviewMerger, missing_parts, sum_stages, write_report
from agents.review.planner import ReviewPlanner, plan, store_files
from agents.review.reviewer import HITS_MAX, Reviewer, findings, timed_out
from agents.review.roles import pick_roles
from agents.review.sources import Sources
from bus import Bus, Envelope, Gathered
from schemas.review import (
    Bundle,
    Hit,
    ReviewAssigned,
    ReviewCompleted,
    ReviewFindings,
    ReviewPlanned,
    ReviewRequested,
    Severity,
    SourceFile,
    Stage,
)
from schemas.task import TaskStepFailed

REQUEST = Envelope(subject="lv.review.requested.v1.t", id="t", tag="review.requested.v1", task_id="t")


def bundle(*paths: str) -> Bundle:
    return Bundle(
        object_name="o",
        sha256="0" * 64,
        paths=paths,
        lines=len(paths),
        source_bytes=len(paths),
        sizes=(1,) * len(paths),
    )


def hit(path: str = "a.py", line: int = 1, severity: Severity = Severity.HIGH) -> Hit:
    return Hit(analyser="x", rule="r", path=path, line=line, title="t", severity=severity, code="c", cwe=89)


def test_a_plan_names_every_assignment_by_its_id_and_keeps_time_for_merging() -> None:
    event = ReviewRequested(bundles=(bundle("a.py", "b.js", ".env"),), deadline_s=60)
    envelope = Envelope(
        subject=REQUEST.subject, id="t", tag=REQUEST.tag, task_id="t", deadline="2026-01-01T00:00:30Z"
    )
    planned, *assigned = plan(event, envelope, pick_roles(()), now_s=1767225600.0)
    assert isinstance(planned, ReviewPlanned)
    assert planned.deadline.startswith("2026-01-01T00:00:25")
    assert len(planned.assignments) == len(assigned) == len(planned.labels)
    by_role = {one.role: one.paths for one in assigned if isinstance(one, ReviewAssigned)}
    assert by_role["secrets"] == (".env", "a.py", "b.js") or set(by_role["secrets"]) == {
        ".env",
        "a.py",
        "b.js",
    }
    assert ".env" not in by_role["security"]
    assert by_role["accessibility"] == ("b.js",)


def test_a_plan_of_nothing_is_a_plan() -> None:
    assert len(plan(ReviewRequested(), REQUEST, pick_roles(()), now_s=0.0)) == 1


def test_hits_of_one_assignment_are_limited_worst_first() -> None:
    assigned = ReviewAssigned(index=0, of=1, role="security", bundle=bundle("a.py"), paths=("a.py",))
    hits = tuple(hit(line=number, severity=Severity.LOW) for number in range(HITS_MAX + 10))
    answer = findings(assigned, "r", Analysis(hits=(*hits, hit(severity=Severity.CRITICAL))), seconds=1.0)
    assert len(answer.hits) == HITS_MAX
    assert answer.hits[0].severity is Severity.CRITICAL
    assert "11 of" in answer.not_reviewed[-1].reason


def test_a_shard_that_took_too_long_is_named_file_by_file() -> None:
    assigned = ReviewAssigned(
        index=0, of=1, role="security", bundle=bundle("a.py", "b.py"), paths=("a.py", "b.py")
    )
    analysis = timed_out(assigned)
    assert [entry.path for entry in analysis.not_reviewed] == ["a.py", "b.py"]
    assert analysis.stages[0].error


def test_a_report_says_what_is_missing() -> None:
    planned = ReviewPlanned(
        assignments=("a", "b", "c"), labels=("security: a.py", "secrets: b.py", "quality: c.py")
    )
    part = ReviewFindings(
        index=0,
        role="security",
        agent="r1",
        hits=(hit(),),
        stages=(Stage(analyser="bandit", version="1", files=2, seconds=1.0, error="boom"),),
    )
    gathered = Gathered([(part, REQUEST)], {"b": "poison"}, ["c"])
    report = write_report(planned, gathered, task_id="t", version="1", now="2026-01-01T00:00:00Z")
    assert len(report.findings) == 1
    assert report.degraded == (
        "1 of 3 assignments failed",
        "1 of 3 assignments were not answered in time",
        "bandit failed on 1 shards: boom",
    )
    assert [(entry.path, entry.reason) for entry in report.not_reviewed] == [
        ("secrets: b.py", "poison"),
        ("quality: c.py", "no answer before the deadline"),
    ]
    assert missing_parts(planned, Gathered([(part, REQUEST)], {}, []))[0] == []


def test_stages_are_summed_over_shards() -> None:
    parts = [
        ReviewFindings(
            index=index,
            role="r",
            agent="a",
            stages=(Stage(analyser="ruff", version="1", files=3, seconds=0.5),),
        )
        for index in range(4)
    ]
    assert sum_stages(parts) == (Stage(analyser="ruff", version="1", files=12, seconds=2.0),)


@pytest_asyncio.fixture
async def swarm(bus: Bus, tmp_path: Path) -> AsyncIterator[Bus]:
    sources = Sources(bus)
    limiter = anyio.CapacityLimiter(2)
    await bus.run(ReviewPlanner(bus=bus, roots=(tmp_path / "allowed",)).subscription())
    await bus.run(ReviewMerger(bus=bus, version="test").subscription())
    for name in ("reviewer-1", "reviewer-2"):
        reviewer = Reviewer(bus=bus, name=name, sources=sources, processes=limiter)
        await bus.run(reviewer.subscription(), agent=name)
    yield bus
    await bus.drain(1.0)
    sources.close()


async def completed(bus: Bus, task_id: str) -> ReviewCompleted:
    async with asyncio.timeout(40):
        async for event, _ in bus.events(task_id):
            if isinstance(event, ReviewCompleted):
                return event
    raise AssertionError


async def test_files_sent_along_are_reviewed(swarm: Bus) -> None:
    files = (
        SourceFile(path="a.py", text="eval(input())\n"),
        SourceFile(path="../../evil.py", text="x = 1\n"),
        SourceFile(path="page.js", text="element.innerHTML = location.hash;\n"),
    )
    report = (await completed(swarm, await swarm.submit(ReviewRequested(files=files)))).report
    assert {finding.path for finding in report.findings} == {"a.py", "page.js"}
    assert report.files == 2
    assert any("evil" in entry.path for entry in report.not_reviewed)
    assert report.degraded == ()
    assert {work.agent for work in report.agents} <= {"reviewer-1", "reviewer-2"}


async def test_a_bundle_that_is_gone_or_wrong_makes_a_degraded_report(swarm: Bus) -> None:
    (good,) = await store_files(swarm, [Collected(path="good.py", data=b"eval(input())\n", lines=1)])
    gone = Bundle(
        object_name="gone", sha256="0" * 64, paths=("gone.py",), lines=1, source_bytes=1, sizes=(1,)
    )
    await swarm.objects.put("wrong", b"not a zip")
    wrong = Bundle(
        object_name="wrong",
        sha256=hashlib.sha256(b"not a zip").hexdigest(),
        paths=("wrong.py",),
        lines=1,
        source_bytes=1,
        sizes=(1,),
    )
    request = ReviewRequested(bundles=(good, gone, wrong), roles=("security",))
    report = (await completed(swarm, await swarm.submit(request))).report
    assert [finding.path for finding in report.findings] == ["good.py"]
    assert report.degraded == ("2 of 3 assignments failed",)
    assert len(await swarm.letters.list()) == 2


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        (ReviewRequested(root="/etc"), "review.roots"),
        (ReviewRequested(roles=("wizard",)), "no role 'wizard'"),
    ],
)
async def test_a_request_that_can_not_be_served_is_buried_with_the_reason(
    swarm: Bus, request_: ReviewRequested, reason: str
) -> None:
    task = await swarm.submit(request_)

    async def failed() -> list[str]:
        return [
            event.reason
            async for event, _ in swarm.events(task, only_stored=True)
            if isinstance(event, TaskStepFailed)
        ]

    await until_async(failed)
    assert reason in (await failed())[0]


async def test_an_allowed_folder_is_read_and_a_link_out_of_it_is_not(swarm: Bus, tmp_path: Path) -> None:
    allowed = tmp_path / "allowed"
    allowed.mkdir()
    (allowed / "a.py").write_text("eval(input())\n")
    (tmp_path / "secret.py").write_text("exec(input())\n")
    (allowed / "link.py").symlink_to(tmp_path / "secret.py")
    report = (await completed(swarm, await swarm.submit(ReviewRequested(root=str(allowed))))).report
    assert [finding.path for finding in report.findings] == ["a.py"]
    assert any(entry.path == "link.py" for entry in report.not_reviewed)


async def test_a_review_finishes_at_its_deadline_with_what_there_is(bus: Bus) -> None:
    """Nobody reviews."""
    await bus.run(ReviewPlanner(bus=bus).subscription())
    await bus.run(ReviewMerger(bus=bus, version="test").subscription())
    request = ReviewRequested(
        files=(SourceFile(path="a.py", text="x = 1\n"),), roles=("security",), deadline_s=0.5
    )
    started = time.monotonic()
    report = (await completed(bus, await bus.submit(request))).report
    assert time.monotonic() - started < 5
    assert report.degraded == ("1 of 1 assignments were not answered in time",)
