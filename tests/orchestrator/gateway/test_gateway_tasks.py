"""Tasks over HTTP: started once, refused with the reason, and found again."""

from pathlib import Path

import pytest
from gatewaylab import gateway_lab

from agents.tracker import tasks_bucket
from bus import Bus
from schemas.review import ReviewRequested
from schemas.task import TaskRecord

ROOT = "/api/v1/tasks"
REVIEW = {"type": "review.requested.v1", "body": {"files": [{"path": "a.py", "text": "x = 1"}]}}


async def test_a_task_is_started_once_under_its_id(bus: Bus, tmp_path: Path) -> None:
    async with gateway_lab(bus, tmp_path) as lab:
        first = await lab.post(ROOT, {**REVIEW, "task_id": "t1", "deadline_s": 60})
        assert (first.status, first.json) == (202, {"task_id": "t1"})
        again = await lab.post(ROOT, {**REVIEW, "task_id": "t1"})
        assert (again.status, again.code) == (409, "task_exists")
        events = [event async for event in bus.events("t1", only_stored=True)]
        ((event, envelope),) = events
        assert isinstance(event, ReviewRequested)
        assert event.files[0].path == "a.py"
        assert envelope.deadline


@pytest.mark.parametrize(
    ("request_body", "path", "words"),
    [
        ({**REVIEW, "type": "review.completed.v1"}, "$.type", "starts no task: use one of"),
        ({**REVIEW, "type": "nonsense"}, "$.type", "starts no task"),
        ({**REVIEW, "body": {"filse": []}}, "$.body", "has no field 'filse'"),
        ({**REVIEW, "body": {"files": 5}}, "$.body", "Expected `array`"),
        ({**REVIEW, "body": []}, "$.body", "not a review.requested.v1"),
        ({**REVIEW, "task_id": "a.b"}, "$.task_id", "regex"),
        ({**REVIEW, "task_id": "x\n"}, "$.task_id", "regex"),
        ({**REVIEW, "deadline_s": 0}, "$.deadline_s", "> 0"),
        ({**REVIEW, "priority": 1}, "$", "unknown field `priority`"),
        ({"body": {}}, "$", "missing required field `type`"),
    ],
)
async def test_what_starts_no_task_is_refused_with_the_place(
    bus: Bus, tmp_path: Path, request_body: dict[str, object], path: str, words: str
) -> None:
    async with gateway_lab(bus, tmp_path) as lab:
        answer = await lab.post(ROOT, request_body)
        assert answer.status == 422
        assert answer.json["error"]["path"] == path
        assert words in answer.message


async def test_a_record_is_shown_and_an_unknown_one_is_404(bus: Bus, tmp_path: Path) -> None:
    async with gateway_lab(bus, tmp_path) as lab:
        assert (await lab.get(f"{ROOT}/t1")).status == 404
        bucket = tasks_bucket(bus)
        await bucket.ensure()
        await bucket.put("t1", TaskRecord(task_id="t1", name="mine"))
        answer = await lab.get(f"{ROOT}/t1")
        assert (answer.status, answer.json["name"], answer.json["state"]) == (200, "mine", "queued")
        assert (await lab.get(f"{ROOT}/a.b")).status == 404


async def test_a_request_that_says_which_trace_it_belongs_to_is_not_refused(bus: Bus, tmp_path: Path) -> None:
    async with gateway_lab(bus, tmp_path) as lab:
        for traceparent in (f"00-{'a' * 32}-{'b' * 16}-01", "nonsense", "\xe9"):
            answer = await lab.post(ROOT, REVIEW, headers={"traceparent": traceparent})
            assert answer.status == 202
