"""Approvals for tests: requests, people, and an approver at work on a bus."""

import asyncio
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from agents.approver import Approver, Terms, approvals_bucket
from bus import Bus
from bus.services import APPROVAL_DECIDE
from schemas.approval import Approval, ApprovalRequested, DecideReply, DecideRequest
from schemas.ids import new_id

DIGEST = "a" * 64
PEOPLE: Mapping[str, tuple[str, ...]] = {
    "alice": ("slack:U1", "cli:alice"),
    "bob": ("slack:U2", "cli:bob"),
    "carol": ("slack:U3", "key:carol"),
    "dave": ("slack:U4",),
}


def terms(**changes: Any) -> Terms:
    return Terms(
        **{"approvers": ("alice", "bob"), "quorum": 1, "deadline_s": 600.0, "policy_version": "7", **changes}
    )


def wanted(**changes: Any) -> ApprovalRequested:
    return ApprovalRequested(**{"kind": "deal", "title": "A deal", "digest": DIGEST, **changes})


def word(approval_id: str, identity: str, action: str = "approve", **changes: Any) -> DecideRequest:
    return DecideRequest(
        **{
            "approval_id": approval_id,
            "digest": DIGEST,
            "identity": identity,
            "action": action,
            "vote_id": new_id(),
            "via": {"slack": "slack", "cli": "cli"}.get(identity.partition(":")[0], "http"),
            **changes,
        }
    )


@asynccontextmanager
async def approving(bus: Bus, *, settings: Terms | None = None, **more: Any) -> AsyncGenerator[Approver]:
    """An approver with quick sweeps."""
    quick = {"sweep_s": 0.05, "rescan_s": 0.2, "people": PEOPLE, "policy": lambda _: settings or terms()}
    approver = Approver(bus=bus, **{**quick, **more})
    async with approver.serving():
        await bus.run(approver.subscription())
        try:
            yield approver
        finally:
            await bus.drain()


async def ask(bus: Bus, request: ApprovalRequested | None = None, **more: Any) -> str:
    """Ask as the first event of a task of its own; the approval's id."""
    return await bus.submit(request or wanted(), **more)


async def record(bus: Bus, approval_id: str, *, within_s: float = 20.0) -> Approval:
    """The record, once there is one."""
    end = time.monotonic() + within_s
    while True:
        if (stored := await approvals_bucket(bus).get(approval_id)) is not None:
            return stored[0]
        assert time.monotonic() < end, f"no approval {approval_id}"
        await asyncio.sleep(0.02)


async def say(bus: Bus, request: DecideRequest) -> DecideReply:
    return await bus.call(APPROVAL_DECIDE, request, timeout_s=20.0)


async def events_of(bus: Bus, task_id: str) -> list[Any]:
    """What stands in the stream about a task."""
    return [event async for event, _ in bus.events(task_id, only_stored=True)]
