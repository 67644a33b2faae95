"""Approvals over HTTP, decided by a real approver."""

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest
from approving import DIGEST, approving, terms, wanted
from gatewaylab import GatewayLab, gateway_lab
from until import until_async

from bus import Bus
from schemas.approval import Approval, ApprovalState
from schemas.ids import new_id

ROOT = "/api/v1/approvals"


def _word(action: str = "approve", **changes: Any) -> dict[str, Any]:
    return {"action": action, "digest": DIGEST, **changes}


async def _opened(bus: Bus, lab: GatewayLab, **changes: Any) -> str:
    """The id of an approval that is open."""
    approval_id = await bus.submit(wanted(**changes), task_id=new_id())

    async def is_there() -> bool:
        return (await lab.get(f"{ROOT}/{approval_id}")).status == 200

    await until_async(is_there, what="the approval is open")
    return approval_id


async def test_there_are_none_before_anybody_asked(bus: Bus, tmp_path: Path) -> None:
    async with gateway_lab(bus, tmp_path) as lab:
        answer = await lab.get(ROOT)
        assert (answer.status, answer.json) == (200, {"approvals": [], "total": 0})
        missing = await lab.get(f"{ROOT}/nothing")
        assert (missing.status, missing.code) == (404, "unknown")
        assert (await lab.get(f"{ROOT}/$KV.>")).status == 404


async def test_a_key_on_the_list_approves_and_the_record_shows_it(bus: Bus, tmp_path: Path) -> None:
    async with approving(bus, settings=terms(approvers=("carol",))), gateway_lab(bus, tmp_path) as lab:
        carol = lab.add_key("carol", "approve")
        approval_id = await _opened(bus, lab)
        listed = (await lab.get(ROOT, key=carol)).json
        assert [one["approval_id"] for one in listed["approvals"]] == [approval_id]
        answer = await lab.post(f"{ROOT}/{approval_id}", _word(note="fine"), key=carol)
        assert (answer.status, answer.json["outcome"]) == (200, "counted")
        shown = msgspec.convert((await lab.get(f"{ROOT}/{approval_id}", key=carol)).json, Approval)
        assert shown.state is ApprovalState.APPROVED
        (vote,) = shown.votes
        assert (vote.by, vote.identity, vote.note) == ("carol", "key:carol", "fine")
        assert (await lab.get(ROOT)).json["total"] == 0
        assert (await lab.get(f"{ROOT}?state=all&limit=1")).json["total"] == 1


async def test_the_same_word_sent_again_counts_once(bus: Bus, tmp_path: Path) -> None:
    async with approving(bus, settings=terms(approvers=("carol",))), gateway_lab(bus, tmp_path) as lab:
        carol = lab.add_key("carol", "approve")
        approval_id = await _opened(bus, lab)
        headers = {"Idempotency-Key": "once"}
        first = await lab.post(f"{ROOT}/{approval_id}", _word(), key=carol, headers=headers)
        again = await lab.post(f"{ROOT}/{approval_id}", _word(vote_id="once"), key=carol)
        assert [first.json["outcome"], again.json["outcome"]] == ["counted", "repeated"]
        later = await lab.post(f"{ROOT}/{approval_id}", _word("veto"), key=carol)
        assert (later.status, later.code) == (409, "too_late")


async def test_two_vote_ids_that_differ_are_refused(bus: Bus, tmp_path: Path) -> None:
    async with gateway_lab(bus, tmp_path) as lab:
        headers = {"Idempotency-Key": "one"}
        answer = await lab.post(f"{ROOT}/a1", _word(vote_id="other"), headers=headers)
        assert (answer.status, answer.json["error"]["path"]) == (422, "$.vote_id")
        long = await lab.post(f"{ROOT}/a1", _word(), headers={"Idempotency-Key": "x" * 65})
        assert (long.status, long.code) == (400, "bad_header")


async def test_of_40_words_at_once_one_decides_and_the_others_are_told_by_whom(
    bus: Bus, tmp_path: Path
) -> None:
    async with approving(bus, settings=terms(approvers=("carol",))), gateway_lab(bus, tmp_path) as lab:
        carol = lab.add_key("carol", "approve")
        approval_id = await _opened(bus, lab)
        answers = await asyncio.gather(
            *(
                lab.post(f"{ROOT}/{approval_id}", _word("veto" if i % 2 else "approve"), key=carol)
                for i in range(40)
            )
        )
        won = [answer for answer in answers if answer.status == 200]
        lost = [answer for answer in answers if answer.status == 409]
        assert (len(won), len(lost)) == (1, 39)
        assert all("carol" in answer.message for answer in lost)


async def test_each_reason_that_a_word_does_not_count_has_its_status(bus: Bus, tmp_path: Path) -> None:
    async with approving(bus, settings=terms(approvers=("carol",))), gateway_lab(bus, tmp_path) as lab:
        carol = lab.add_key("carol", "approve")
        approval_id = await _opened(bus, lab)
        stranger = await lab.post(f"{ROOT}/{approval_id}", _word())
        assert (stranger.status, stranger.code) == (403, "not_allowed")
        unknown = await lab.post(f"{ROOT}/nothing", _word(), key=carol)
        assert (unknown.status, unknown.code) == (404, "unknown")
        changed = await lab.post(f"{ROOT}/{approval_id}", _word(digest="b" * 64), key=carol)
        assert (changed.status, changed.code) == (409, "changed")
        assert (await lab.get(ROOT)).json["total"] == 1, "nothing of this has decided"


async def test_a_word_after_the_deadline_is_told_so(bus: Bus, tmp_path: Path) -> None:
    quick = terms(approvers=("carol",), deadline_s=0.1)
    async with approving(bus, settings=quick), gateway_lab(bus, tmp_path) as lab:
        carol = lab.add_key("carol", "approve")
        approval_id = await _opened(bus, lab)

        async def is_over() -> bool:
            return bool((await lab.get(ROOT)).json["total"] == 0)

        await until_async(is_over)
        late = await lab.post(f"{ROOT}/{approval_id}", _word(), key=carol)
        assert (late.status, late.code) == (410, "expired")


async def test_without_an_approver_on_the_bus_deciding_is_503_at_once(bus: Bus, tmp_path: Path) -> None:
    async with gateway_lab(bus, tmp_path) as lab:
        answer = await lab.post(f"{ROOT}/a1", _word())
        assert (answer.status, answer.code) == (503, "nobody_serves")
        assert answer.headers["Retry-After"]


async def test_delegating_needs_a_name_and_hands_the_right_on(bus: Bus, tmp_path: Path) -> None:
    async with approving(bus, settings=terms(approvers=("carol",))), gateway_lab(bus, tmp_path) as lab:
        carol = lab.add_key("carol", "approve")
        approval_id = await _opened(bus, lab)
        for wrong in (_word("delegate"), _word(to="bob")):
            assert (await lab.post(f"{ROOT}/{approval_id}", wrong, key=carol)).status == 422
        done = await lab.post(f"{ROOT}/{approval_id}", _word("delegate", to="bob"), key=carol)
        assert (done.status, done.json["outcome"]) == (200, "counted")
        (delegation,) = (await lab.get(f"{ROOT}/{approval_id}")).json["delegations"]
        assert (delegation["who"], delegation["to"]) == ("carol", "bob")


@pytest.mark.parametrize("query", ["state=open", "limit=0", "limit=1001", "limit=x", "limit=%C2%B2"])
async def test_a_wrong_query_is_refused(bus: Bus, tmp_path: Path, query: str) -> None:
    async with gateway_lab(bus, tmp_path) as lab:
        answer = await lab.get(f"{ROOT}?{query}")
        assert (answer.status, answer.code) == (400, "bad_query")


async def test_reading_changes_nothing(bus: Bus, tmp_path: Path) -> None:
    async with approving(bus, settings=terms(approvers=("carol",))), gateway_lab(bus, tmp_path) as lab:
        carol = lab.add_key("carol", "approve")
        approval_id = await _opened(bus, lab)

        async def shown() -> dict[str, Any]:
            return {**(await lab.get(f"{ROOT}/{approval_id}")).json, "told": 0}  # the approver's own notes

        before = await shown()
        for path in (f"{ROOT}/{approval_id}?action=approve", f"{ROOT}?action=approve"):
            for method in ("GET", "HEAD"):
                assert (await lab.ask(method, path, key=carol, data=b'{"action": "approve"}')).status == 200
        assert await shown() == before
