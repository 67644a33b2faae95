"""The approver on a real bus: one winner, one telling, deadlines, withdrawals, and the audit log."""

import asyncio
import time
from collections import Counter
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import TypeVar

import msgspec
import pytest
from approving import DIGEST, approving, ask, events_of, record, say, terms, wanted, word
from until import until_async

from agents.approver import Terms, approvals_bucket
from bus import Bus, BusError, BusOptions, Caller, NoResponderError, PublishError, open_bus
from bus.envelope import parse_time, time_text
from bus.services import APPROVAL_DECIDE
from schemas.approval import (
    ApprovalDecided,
    ApprovalExpired,
    ApprovalExpiring,
    ApprovalOpened,
    ApprovalRequested,
    ApprovalState,
    ApprovalVoted,
    ApprovalWithdrawn,
    AuditEntry,
    DecideOutcome,
)
from schemas.task import TaskStepFailed

LONG_S = 30.0
E = TypeVar("E")


async def of_kind(bus: Bus, task_id: str, kind: type[E], count: int = 1) -> list[E]:
    """Events of a type in a task, once there are `count`."""
    found: list[E] = []

    async def there() -> bool:
        found[:] = [event for event in await events_of(bus, task_id) if isinstance(event, kind)]
        return len(found) >= count

    await until_async(there, within_s=LONG_S, what=f"{count} {kind.__name__}")
    return found


async def audit_of(bus: Bus, approval_id: str) -> list[tuple[str, str, str]]:
    return [(one.what, one.identity, one.outcome) async for one in bus.audits(subject=approval_id)]


async def until_told(bus: Bus, approval_id: str, *, told: int) -> None:
    async def is_told() -> bool:
        return (await record(bus, approval_id)).told >= told

    await until_async(is_told, within_s=LONG_S, what="told")


async def test_a_request_opens_and_a_yes_decides_and_all_of_it_is_in_the_audit_log(bus: Bus) -> None:
    async with approving(bus):
        approval_id = await ask(bus)
        [opened] = await of_kind(bus, approval_id, ApprovalOpened)
        assert opened.approval == msgspec.structs.replace(await record(bus, approval_id), told=0)
        reply = await say(bus, word(approval_id, "slack:U1", note="fine"))
        assert (reply.outcome, reply.approval and reply.approval.state) == ("counted", "approved")
        [decided] = await of_kind(bus, approval_id, ApprovalDecided)
        await until_told(bus, approval_id, told=3)
    assert (decided.is_approved, decided.digest, decided.policy_version) == (True, DIGEST, "7")
    assert (decided.votes[0].by, decided.votes[0].note) == ("alice", "fine")
    assert await audit_of(bus, approval_id) == [
        ("approval.open", "test", "done"),
        ("approval.approve", "slack:U1", "counted"),
        ("approval.approved", "approver", "done"),
    ]


async def test_of_40_clicks_at_once_over_two_processes_one_wins_and_the_others_read_who(
    bus: Bus, second_bus: Bus
) -> None:
    people = {f"p{number}": (f"slack:P{number}",) for number in range(40)}
    everybody = terms(approvers=tuple(people))
    async with (
        approving(bus, settings=everybody, people=people),
        approving(second_bus, settings=everybody, people=people),
    ):
        for number in range(3):
            approval_id = await ask(bus)
            await record(bus, approval_id)
            clicks = [
                word(approval_id, f"slack:P{one}", "veto" if one % 2 else "approve") for one in range(40)
            ]
            replies = await asyncio.gather(
                *(say((bus, second_bus)[at % 2], click) for at, click in enumerate(clicks))
            )
            outcomes = Counter(reply.outcome for reply in replies)
            assert outcomes == {DecideOutcome.COUNTED: 1, DecideOutcome.TOO_LATE: 39}, number
            [message] = {reply.message for reply in replies if reply.outcome is DecideOutcome.TOO_LATE}
            winner = (await record(bus, approval_id)).votes[0].by
            assert message.startswith(f"{winner} ")
            assert message.endswith("UTC by Slack")
            await until_told(bus, approval_id, told=3)
            assert len(await of_kind(bus, approval_id, ApprovalDecided)) == 1
            lines = Counter(outcome for _, _, outcome in await audit_of(bus, approval_id))
            assert lines == {"done": 2, "counted": 1, "too_late": 39}


async def test_a_quorum_counts_each_person_over_two_processes(bus: Bus, second_bus: Bus) -> None:
    async with approving(bus, settings=terms(quorum=2)), approving(second_bus, settings=terms(quorum=2)):
        approval_id = await ask(bus)
        await record(bus, approval_id)
        replies = await asyncio.gather(
            *(
                say(on, word(approval_id, who))
                for on in (bus, second_bus)
                for who in ("slack:U1", "cli:alice")
            )
        )
        assert Counter(reply.outcome for reply in replies) == {"counted": 1, "repeated": 3}
        [voted] = await of_kind(bus, approval_id, ApprovalVoted)
        assert (voted.by, voted.missing) == ("alice", 1)
        assert (await say(bus, word(approval_id, "slack:U2"))).approval is not None
        [decided] = await of_kind(bus, approval_id, ApprovalDecided)
        assert [vote.by for vote in decided.votes] == ["alice", "bob"]


async def test_a_delivery_that_is_sent_again_has_one_effect_and_one_line(bus: Bus) -> None:
    async with approving(bus):
        approval_id = await ask(bus)
        await record(bus, approval_id)
        click = word(approval_id, "slack:U1")
        replies = [await say(bus, click) for _ in range(3)]
        assert [reply.outcome for reply in replies] == ["counted", "repeated", "repeated"]
        assert len({reply.message for reply in replies}) == 1
        await until_told(bus, approval_id, told=3)
    lines = Counter(outcome for _, _, outcome in await audit_of(bus, approval_id))
    assert lines == {"done": 2, "counted": 1, "repeated": 1}


async def test_strangers_and_lost_ids_are_refused_without_a_word_and_stand_in_the_log(bus: Bus) -> None:
    async with approving(bus):
        approval_id = await ask(bus)
        await record(bus, approval_id)
        stranger = await say(bus, word(approval_id, "slack:U666", "veto"))
        assert (stranger.outcome, stranger.approval) == (DecideOutcome.NOT_ALLOWED, None)
        for lost in ("nothing", "*", "a.b", "", ">"):
            reply = await say(bus, word(lost, "slack:U1"))
            assert (reply.outcome, reply.approval) == (DecideOutcome.UNKNOWN, None)
        changed = await say(bus, word(approval_id, "slack:U1", digest="b" * 64))
        assert changed.outcome is DecideOutcome.CHANGED
        assert (await record(bus, approval_id)).is_open
        lines = [(one.identity, one.outcome) async for one in bus.audits()]
    assert ("slack:U666", "not_allowed") in lines
    assert lines.count(("slack:U1", "unknown")) == 5
    assert ("slack:U1", "changed") in lines


async def test_a_refusal_whose_line_cannot_be_written_is_still_one(
    bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with approving(bus) as approver:
        approval_id = await ask(bus)
        await until_told(bus, approval_id, told=1)

        async def full(*_: object, **__: object) -> bool:
            raise PublishError("the audit log is full")

        monkeypatch.setattr(bus, "audit", full)
        caller = Caller(request_id="r", deadline_s=time.time() + 5)
        reply = await approver.decide(word(approval_id, "slack:U666"), caller)
        assert reply.outcome is DecideOutcome.NOT_ALLOWED
        # A yes counts too, the event goes out, and the record waits for its lines.
        reply = await approver.decide(word(approval_id, "slack:U1"), caller)
        assert reply.outcome is DecideOutcome.COUNTED
        assert len(await of_kind(bus, approval_id, ApprovalDecided)) == 1
        assert (await record(bus, approval_id)).told == 1
        monkeypatch.undo()
        await until_told(bus, approval_id, told=3)
        assert len(await of_kind(bus, approval_id, ApprovalDecided)) == 1


async def test_people_are_reminded_once_and_then_it_expires_once(bus: Bus, second_bus: Bus) -> None:
    short = terms(deadline_s=2.0, warn_before_s=1.5, quorum=2)
    async with approving(bus, settings=short), approving(second_bus, settings=short):
        approval_id = await ask(bus)
        await record(bus, approval_id)
        await say(bus, word(approval_id, "slack:U1"))
        [expired] = await of_kind(bus, approval_id, ApprovalExpired)
        late = await say(bus, word(approval_id, "slack:U2"))
        await until_told(bus, approval_id, told=3)
        events = await events_of(bus, approval_id)
    [warned] = [event for event in events if isinstance(event, ApprovalExpiring)]
    assert 0 <= warned.left_s <= 1.5
    assert sum(isinstance(event, ApprovalExpired) for event in events) == 1
    assert expired.deadline == (await record(bus, approval_id)).deadline
    assert (late.outcome, late.approval and late.approval.why) == (
        DecideOutcome.EXPIRED,
        "1 of 2 needed have said yes",
    )


async def test_a_click_after_expiry_is_told_so_even_before_any_sweep(bus: Bus) -> None:
    now = [time.time()]
    async with approving(bus, clock=lambda: now[0], sweep_s=3_600.0):
        approval_id = await ask(bus)
        deadline = (await record(bus, approval_id)).deadline
        now[0] = parse_time(deadline)
        reply = await say(bus, word(approval_id, "slack:U1"))
        assert reply.outcome is DecideOutcome.EXPIRED
        await of_kind(bus, approval_id, ApprovalExpired)
        assert (await record(bus, approval_id)).state is ApprovalState.EXPIRED


async def test_a_newer_request_about_the_same_withdraws_the_open_one(bus: Bus, second_bus: Bus) -> None:
    async with approving(bus), approving(second_bus):
        first = await ask(bus, wanted(about="post 7"))
        await record(bus, first)
        second = await ask(bus, wanted(about="post 7"))
        other = await ask(bus, wanted(about="post 8"))
        [gone] = await of_kind(bus, first, ApprovalWithdrawn)
        assert (gone.about, gone.why) == ("post 7", "a newer request about the same took its place")
        assert (await record(bus, second)).is_open
        assert (await record(bus, other)).is_open
        reply = await say(bus, word(first, "slack:U1"))
        assert reply.outcome is DecideOutcome.TOO_LATE


async def test_nobody_withdraws_what_another_kind_or_another_source_has_asked_for(
    bus: Bus, options: BusOptions
) -> None:
    stranger = replace(options, source="stranger")
    async with approving(bus), open_bus(stranger) as strangers_bus:
        asked = await ask(bus, wanted(about="deal 7"))
        await record(bus, asked)
        for other in (
            await ask(bus, wanted(about="deal 7", kind="post")),
            await ask(strangers_bus, wanted(about="deal 7")),
        ):
            assert (await record(bus, other)).is_open
        assert (await record(bus, asked)).is_open


async def test_of_many_at_once_about_the_same_exactly_the_newest_stays_open(
    bus: Bus, second_bus: Bus
) -> None:
    async with approving(bus), approving(second_bus):
        ids = await asyncio.gather(
            *(ask(on, wanted(about="it")) for on in (bus, second_bus) for _ in range(8))
        )
        for approval_id in ids:
            await of_kind(bus, approval_id, ApprovalOpened)

        async def one_open() -> bool:
            return [(await record(bus, one)).is_open for one in ids].count(True) == 1

        await until_async(one_open, within_s=LONG_S)
        records = [await record(bus, one) for one in ids]
    newest = max(records, key=lambda one: (one.requested_at, one.approval_id))
    assert newest.is_open


async def test_a_cancelled_task_withdraws_its_approval(bus: Bus, second_bus: Bus) -> None:
    async with approving(bus):
        approval_id = await ask(second_bus)
        await record(bus, approval_id)
        await second_bus.cancel(approval_id, by="alice")
        [gone] = await of_kind(second_bus, approval_id, ApprovalWithdrawn)
        assert gone.why == "its task was cancelled"
        reply = await say(second_bus, word(approval_id, "slack:U1"))
        assert reply.outcome is DecideOutcome.TOO_LATE


async def test_requests_that_nobody_could_ever_approve_are_refused_with_the_reason(bus: Bus) -> None:
    def policy(kind: str) -> Terms:
        if kind == "unheard-of":
            raise LookupError("no rule for 'unheard-of'")
        return terms()

    async with approving(bus, policy=policy):
        many = await ask(bus, wanted(quorum=3))
        odd = await ask(bus, wanted(deadline="soon"))
        unknown = await ask(bus, wanted(kind="unheard-of"))
        for task_id, reason in (
            (many, "3 people must approve 'deal', and the policy lists 2"),
            (odd, "is not an RFC 3339 time"),
            (unknown, "no rule for 'unheard-of'"),
        ):
            [failed] = await of_kind(bus, task_id, TaskStepFailed)
            assert reason in failed.reason
            assert await audit_of(bus, task_id) == [("approval.open", "test", "refused")]
            assert await approvals_bucket(bus).get(task_id) is None


async def test_an_empty_list_opens_says_so_and_expires(bus: Bus) -> None:
    async with approving(bus, settings=terms(approvers=(), deadline_s=0.5)):
        approval_id = await ask(bus)
        [opened] = await of_kind(bus, approval_id, ApprovalOpened)
        assert "nobody can approve" in opened.approval.why
        await of_kind(bus, approval_id, ApprovalExpired)


async def test_an_id_that_belongs_to_another_task_is_not_taken_over(bus: Bus) -> None:
    async with approving(bus):
        await bus.publish(wanted(title="mine"), task_id="t1", event_id="same")
        await record(bus, "same")
        await bus.publish(wanted(title="theirs"), task_id="t2", event_id="same")
        [failed] = await of_kind(bus, "t2", TaskStepFailed)
        assert "belongs to task t1" in failed.reason
        assert (await record(bus, "same")).request.title == "mine"


async def test_a_request_that_is_handled_again_finds_its_approval_as_people_left_it(bus: Bus) -> None:
    async with approving(bus) as approver:
        approval_id = await ask(bus, wanted(about="it"))
        await record(bus, approval_id)
        await say(bus, word(approval_id, "slack:U1", "veto"))
        [envelope] = [
            envelope
            async for event, envelope in bus.events(approval_id, only_stored=True)
            if isinstance(event, ApprovalRequested)
        ]
        again = await approver.handle(wanted(about="it"), envelope)
        assert again.approval.state is ApprovalState.VETOED


async def test_without_an_approver_it_is_known_at_once(bus: Bus) -> None:
    with pytest.raises(NoResponderError):
        await say(bus, word("x", "slack:U1"))


async def test_what_another_process_left_untold_or_overdue_is_finished_at_the_start(bus: Bus) -> None:
    async with approving(bus, sweep_s=3_600.0):
        first, second = await ask(bus), await ask(bus)
        await record(bus, first)
        stored = await record(bus, second)
    bucket = approvals_bucket(bus)
    overdue = msgspec.structs.replace(stored, deadline=time_text(time.time() - 5))
    await bucket.put(second, overdue)
    untold = msgspec.structs.replace(
        await record(bus, first), state=ApprovalState.VETOED, decided_at=time_text(time.time()), told=0
    )
    await bucket.put(first, untold)
    async with approving(bus):
        assert not (await of_kind(bus, first, ApprovalDecided))[0].is_approved
        await of_kind(bus, second, ApprovalExpired)
        await until_told(bus, first, told=2)


async def test_a_record_that_is_none_does_not_keep_others_from_their_deadline(bus: Bus) -> None:
    async with approving(bus, settings=terms(deadline_s=1.0)):
        await bus.publisher.publish("$KV.APPROVALS.junk", "", b"junk")
        approval_id = await ask(bus)
        await of_kind(bus, approval_id, ApprovalExpired)


async def test_lines_of_the_audit_log_hold_no_secret(bus: Bus) -> None:
    await bus.audit(
        AuditEntry(at="x", what="a.b", identity="cli:x", outcome="done", detail="token=abcdefghi")
    )
    [line] = [one async for one in bus.audits()]
    assert "abcdefghi" not in line.detail


async def test_the_approver_lives_through_a_restart_of_the_server(
    options: BusOptions, server: object, stack: AsyncExitStack
) -> None:
    bus = await stack.enter_async_context(open_bus(options))
    async with approving(bus):
        approval_id = await ask(bus)
        await record(bus, approval_id)
        server.kill()  # type: ignore[attr-defined]
        server.start()  # type: ignore[attr-defined]

        async def counted() -> bool:
            try:
                request = word(approval_id, "slack:U1", vote_id="one")
                reply = await bus.call(APPROVAL_DECIDE, request, timeout_s=1.0)
            except BusError:
                return False  # the connection is not back yet
            return reply.outcome in (DecideOutcome.COUNTED, DecideOutcome.REPEATED)

        await until_async(counted, within_s=LONG_S)
        assert len(await of_kind(bus, approval_id, ApprovalDecided)) == 1
