"""`labverse approve`, `veto` and `approvals` as whole commands, against an approver on a real bus."""

import asyncio
import json
import os
import pty
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from approving import PEOPLE, approving, ask, record, terms, wanted
from labverse import Labverse
from natsserver import NatsServer

from bus import Bus
from orchestrator.identity import cli_identity, identity_of
from schemas.approval import ApprovalState, Fact

OURS = {**PEOPLE, "owner": (cli_identity(),)}


@pytest.fixture
def labverse(tmp_path: Path, server: NatsServer) -> Iterator[Labverse]:
    labverse = Labverse(tmp_path / "data", NATS_URL=server.url)
    yield labverse
    labverse.close()


@pytest_asyncio.fixture
async def approver(bus: Bus) -> AsyncIterator[None]:
    async with approving(bus, people=OURS, settings=terms(approvers=("owner", "alice"), quorum=1)):
        yield


async def run(labverse: Labverse, *words: str) -> "subprocess.CompletedProcess[str]":
    return await asyncio.to_thread(labverse.run, *words)


async def asked(bus: Bus, **changes: object) -> str:
    approval_id = await ask(bus, wanted(**changes))
    await record(bus, approval_id)
    return approval_id


def test_an_identity_holds_nothing_that_none_may_hold() -> None:
    assert identity_of("alice") == "cli:alice"
    assert identity_of("a b:c,d\n") == "cli:a_b_c_d_"
    assert len(identity_of("x" * 500)) == 104


@pytest.mark.usefixtures("approver")
async def test_a_yes_shows_what_it_is_about_counts_once_and_says_so(labverse: Labverse, bus: Bus) -> None:
    approval_id = await asked(
        bus,
        title="Pay \x1b[31mTikTok",
        cost_nusd=120 * 10**9,
        facts=(Fact(label="Pays", value="$120.00 to TikTok"),),
    )
    listed = await run(labverse, "approvals", "list")
    assert approval_id in listed.stdout
    assert "$120.00" in listed.stdout
    assert "\x1b" not in listed.stdout
    done = await run(labverse, "approve", approval_id[-8:], "--yes", "--note", "fine")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("owner approved this at ")
    for shown in ("Pay TikTok", "$120.00 to TikTok", "$120.00 at most", "owner, alice", "a" * 64):
        assert shown in done.stderr
    stored = await record(bus, approval_id)
    assert (stored.state, stored.votes[0].note) == (ApprovalState.APPROVED, "fine")
    late = await run(labverse, "veto", approval_id)
    assert late.returncode == 1
    assert late.stdout.startswith("too late, nothing was changed: owner approved this at ")
    again = await run(labverse, "approve", approval_id, "--yes")
    assert (again.returncode, again.stdout[:22]) == (0, "owner approved this at"), "it counted before"
    assert (await run(labverse, "approvals", "list")).stdout == "nothing waits for approval\n"
    everything = json.loads((await run(labverse, "approvals", "list", "--all", "--json")).stdout)
    assert [one["state"] for one in everything] == ["approved"]
    log = json.loads((await run(labverse, "approvals", "log", approval_id, "--json")).stdout)
    assert [(line["what"], line["outcome"], line["identity"]) for line in log][-2:] == [
        ("approval.veto", "too_late", cli_identity()),
        ("approval.approve", "too_late", cli_identity()),
    ]


@pytest.mark.usefixtures("approver")
async def test_a_veto_is_said_at_once(labverse: Labverse, bus: Bus) -> None:
    approval_id = await asked(bus)
    done = await run(labverse, "veto", approval_id, "--json")
    assert done.returncode == 0, done.stderr
    reply = json.loads(done.stdout)
    assert (reply["outcome"], reply["approval"]["state"]) == ("counted", "vetoed")


@pytest.mark.usefixtures("approver")
async def test_a_right_is_handed_on(labverse: Labverse, bus: Bus) -> None:
    approval_id = await asked(bus)
    done = await run(labverse, "approvals", "delegate", approval_id, "--to", "dave", "--yes")
    assert (done.returncode, done.stdout) == (
        0,
        "dave may vote for owner from now on: who of both speaks first counts\n",
    )
    again = await run(labverse, "approvals", "delegate", approval_id, "--to", "alice", "--yes")
    assert again.returncode == 1
    assert "alice is on the list of approvers already" in again.stdout
    assert "handed on" in (await run(labverse, "approvals", "show", approval_id)).stdout


@pytest.mark.usefixtures("approver")
async def test_without_a_terminal_nobody_says_yes_unasked(labverse: Labverse, bus: Bus) -> None:
    approval_id = await asked(bus)
    done = await run(labverse, "approve", approval_id)
    assert done.returncode == 2
    assert done.stderr == "labverse: nobody can be asked here: add --yes if you have seen what it is about\n"
    assert (await record(bus, approval_id)).is_open


@pytest.mark.usefixtures("approver")
@pytest.mark.parametrize(("typed", "code"), [(b"y\n", 0), (b"\n", 1), (b"no\n", 1), (b"\x04", 1)])
async def test_on_a_terminal_it_asks(labverse: Labverse, bus: Bus, typed: bytes, code: int) -> None:
    approval_id = await asked(bus)
    assert await asyncio.to_thread(_on_terminal, labverse, typed, "approve", approval_id) == code
    assert (await record(bus, approval_id)).is_open == (code == 1)


def _on_terminal(labverse: Labverse, typed: bytes, *words: str) -> int:
    """Exit code of a command on a terminal of its own, where `typed` is answered to its question."""
    ours, theirs = pty.openpty()
    try:
        process = subprocess.Popen(
            labverse.command(*words), stdin=theirs, stdout=theirs, stderr=theirs, env=labverse.env
        )
        said = b""
        while b"[y/N]" not in said:
            said += os.read(ours, 4096)
        os.write(ours, typed)
        return process.wait(60)
    finally:
        os.close(ours)
        os.close(theirs)


async def test_who_is_not_on_the_list_is_told_who_he_is(labverse: Labverse, bus: Bus) -> None:
    async with approving(bus):
        approval_id = await asked(bus)
        done = await run(labverse, "approve", approval_id, "--yes")
    assert done.returncode == 1
    assert "not on the list" in done.stdout
    assert f"(you are {cli_identity()})" in done.stdout


async def test_without_an_approver_it_says_what_to_start(labverse: Labverse, bus: Bus) -> None:
    async with approving(bus):
        approval_id = await asked(bus)
    done = await run(labverse, "approve", approval_id, "--yes")
    assert done.returncode == 2
    assert done.stderr.endswith("labverse: no approver is on the bus: start one with `labverse up`\n")


async def test_ids_that_fit_none_or_several_are_said_so(labverse: Labverse, bus: Bus) -> None:
    async with approving(bus):
        for number in range(2):
            await bus.publish(wanted(), task_id="t1", event_id=f"same-{number}")
            await record(bus, f"same-{number}")
    assert (await run(labverse, "approvals", "show", "same-…1")).returncode == 0
    several = await run(labverse, "approvals", "show", "same")
    assert several.returncode == 2
    assert "same fits 2 approvals (same-0, same-1)" in several.stderr
    for lost in ("nothing", "", "…"):
        none = await run(labverse, "approvals", "show", lost)
        assert none.returncode == 2
        assert "no approval" in none.stderr
    long = await run(labverse, "approve", "same-0", "--yes", "--note", "x" * 501)
    assert "--note has 501 characters: at most 500" in long.stderr


async def test_an_empty_log_says_so(labverse: Labverse, bus: Bus) -> None:
    assert (await run(labverse, "approvals", "log")).stdout == "no lines in the audit log\n"
    odd = await run(labverse, "approvals", "log", "--last", "0")
    assert "--last is 0" in odd.stderr
