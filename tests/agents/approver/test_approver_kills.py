"""An approver that is killed between the write that counts and what follows from it."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest
from approving import approving, ask, events_of, record, say, terms, word
from natsserver import NatsServer
from until import until, until_async

from bus import Bus, BusError
from bus.services import APPROVAL_DECIDE
from schemas.approval import ApprovalDecided, ApprovalState, DecideOutcome

SUPPORT = Path(__file__).resolve().parents[2] / "support"
LONG_S = 60.0

CHILD = """
import asyncio, os, signal, sys
from agents.approver.teller import Teller
from approving import approving
from bus import BusOptions, ConnectOptions, open_bus
from schemas.approval import ApprovalDecided

async def main():
    url, dies = sys.argv[1:]

    def die(*_):
        os.kill(os.getpid(), signal.SIGKILL)

    whole = Teller.tell
    async def tell(self, approval):
        if not approval.is_open:
            if dies == "before the publish":
                die()
            self.bus.audit = lambda *_, **__: die()
        await whole(self, approval)
    Teller.tell = tell
    async with open_bus(BusOptions(connect=ConnectOptions(url=url), source="child")) as bus:
        async with approving(bus):
            print("ready", flush=True)
            await asyncio.sleep(3600)

asyncio.run(main())
"""


@pytest.mark.parametrize("dies", ["before the publish", "after the publish"])
async def test_what_was_decided_is_told_exactly_once_by_the_next_approver(
    bus: Bus, server: NatsServer, dies: str
) -> None:
    root = SUPPORT.parents[1]
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, server.url, dies],
        stdout=subprocess.PIPE,
        env={"PYTHONPATH": f"{root}:{SUPPORT}", "PATH": "/usr/bin"},
        cwd=root,
    )
    try:
        assert child.stdout is not None
        assert await asyncio.to_thread(child.stdout.readline) == b"ready\n"
        approval_id = await ask(bus)
        await record(bus, approval_id)
        click = word(approval_id, "slack:U1")
        try:
            await bus.call(APPROVAL_DECIDE, click, timeout_s=2.0)
        except BusError:
            pass  # it may die before it answers
        await until(lambda: child.poll() is not None, within_s=LONG_S)
    finally:
        child.kill()
        child.wait()
        child.communicate()
    stored = await record(bus, approval_id)
    assert stored.state is ApprovalState.APPROVED
    assert stored.told < 3
    told = [event for event in await events_of(bus, approval_id) if isinstance(event, ApprovalDecided)]
    assert len(told) == (dies == "after the publish")
    async with approving(bus, settings=terms()):

        async def is_told() -> bool:
            return (await record(bus, approval_id)).told == 3

        await until_async(is_told, within_s=LONG_S)
        assert (await say(bus, click)).outcome is DecideOutcome.REPEATED
    told = [event for event in await events_of(bus, approval_id) if isinstance(event, ApprovalDecided)]
    assert len(told) == 1
    lines = [(one.what, one.outcome) async for one in bus.audits(subject=approval_id)]
    assert sorted(lines) == [
        ("approval.approve", "counted"),
        ("approval.approve", "repeated"),
        ("approval.approved", "done"),
        ("approval.open", "done"),
    ]
