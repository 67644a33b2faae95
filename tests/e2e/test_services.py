"""`labverse up` and who uses it: services in other languages, and the other commands."""

import json
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from labverse import HEADLINE, Labverse
from plain_nats import PlainNats


@pytest.fixture
def up(labverse: Labverse) -> Iterator["subprocess.Popen[str]"]:
    process = labverse.start("up", "--agents", "2", ready="labverse is up")
    yield process
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=20)
    assert process.returncode == 0


def status(labverse: Labverse) -> dict[str, list[dict[str, object]]]:
    answer: dict[str, list[dict[str, object]]] = json.loads(labverse.run("status", "--json").stdout)
    return answer


def test_a_service_in_another_language_publishes_json_and_gets_the_result(
    labverse: Labverse, up: "subprocess.Popen[str]"
) -> None:
    url = labverse.run("config", "url").stdout.strip()
    service = PlainNats(url)
    service.subscribe("lv.review.completed.v1.order-66.>")
    payload = json.dumps({"files": [{"path": "app.py", "text": HEADLINE}]})
    service.publish("lv.review.requested.v1.order-66", payload.encode())
    subject, result = service.next_message()
    service.close()
    assert re.fullmatch(r"lv\.review\.completed\.v1\.order-66\.[0-9a-f]{20}-0", subject)
    findings = json.loads(result)["report"]["findings"]
    assert [(one["line"], one["severity"]) for one in findings if one["severity"] == "critical"] == [
        (6, "critical"),
        (10, "critical"),
        (13, "critical"),
    ]


def test_a_review_uses_the_agents_that_run_already(
    labverse: Labverse, up: "subprocess.Popen[str]", headline: Path
) -> None:
    done = labverse.run("review", headline, "--json")
    assert done.returncode == 1
    until = time.monotonic() + 10
    handled: dict[str, int] = {}
    while handled.get("review-planner") != 1:  # said every two seconds
        assert time.monotonic() < until, handled
        (process,) = status(labverse)["processes"]
        assert process["role"] == "up"
        assert isinstance(process["agents"], list)
        handled = {agent["name"]: agent["handled"] for agent in process["agents"]}


def test_submit_watch_and_status_tell_of_a_task(
    labverse: Labverse, up: "subprocess.Popen[str]", tmp_path: Path
) -> None:
    request = tmp_path / "request.json"
    request.write_text(
        json.dumps({"name": "by hand", "files": [{"path": "a.py", "text": "eval(input())\n"}]})
    )
    done = labverse.run("submit", "review.requested.v1", f"@{request}", "--task-id", "mine", "--wait")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["report"]["findings"][0]["cwe"] == 95
    again = labverse.run("submit", "review.requested.v1", f"@{request}", "--task-id", "mine")
    assert again.returncode == 2
    assert "mine is taken" in again.stderr
    watched = labverse.run("watch", "mine")
    assert watched.returncode == 0
    assert "review.planned.v1" in watched.stdout
    assert "review.completed.v1" in watched.stdout
    lines = labverse.run("watch", "min", "--json").stdout.splitlines()
    assert json.loads(lines[0])["event"]["name"] == "by hand"
    (task,) = status(labverse)["tasks"]
    assert task["state"] == "completed"
    assert task["name"] == "by hand"
    assert task["steps"] == task["steps_done"]
    assert "by hand" in labverse.run("status", "--detailed").stdout


def test_a_folder_may_be_named_only_if_the_settings_allow_it(
    labverse: Labverse, up: "subprocess.Popen[str]", headline: Path
) -> None:
    done = labverse.run("submit", "review.requested.v1", json.dumps({"root": str(headline)}), "--wait")
    assert done.returncode == 2
    listed = labverse.run("dead", "list")
    assert "review.roots" in listed.stdout
    (letter,) = json.loads(labverse.run("dead", "list", "--json").stdout)
    shown = labverse.run("dead", "show", str(letter["id"]))
    assert "review.requested.v1" in shown.stdout
    replayed = labverse.run("dead", "replay", str(letter["id"]))
    assert replayed.returncode == 0, replayed.stderr
    until = time.monotonic() + 10
    while (again := json.loads(labverse.run("dead", "list", "--json").stdout)) == []:
        assert time.monotonic() < until
    assert again[0]["id"] != letter["id"]


def test_an_allowed_folder_is_reviewed_where_it_is(labverse: Labverse, headline: Path) -> None:
    labverse.env["LABVERSE_REVIEW__ROOTS"] = str(headline.parent)
    labverse.start("up", "--agents", "1", ready="labverse is up")
    done = labverse.run("submit", "review.requested.v1", json.dumps({"root": str(headline)}), "--wait")
    assert done.returncode == 0, done.stderr
    assert len(json.loads(done.stdout)["report"]["findings"]) == 3


def test_a_cancelled_task_is_over(labverse: Labverse) -> None:
    body = json.dumps({"files": [{"path": "a.py", "text": "x = 1\n"}]})
    labverse.start("agent", "tracker", ready="is ready")
    task = labverse.run("submit", "review.requested.v1", body).stdout.strip()
    until = time.monotonic() + 10
    while not status(labverse)["tasks"]:
        assert time.monotonic() < until
    done = labverse.run("cancel", task[-8:], "--reason", "changed my mind")
    assert done.returncode == 0, done.stderr
    watched = labverse.run("watch", task)
    assert watched.returncode == 2
    assert "changed my mind" in watched.stdout
    while status(labverse)["tasks"][0]["state"] != "cancelled":
        assert time.monotonic() < until
    again = labverse.run("cancel", task)
    assert again.returncode == 2
    assert "ended already" in again.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["cancel", "nobody"], "no task nobody"),
        (["status", "nobody"], "no task nobody"),
        (["watch", "not.an.id"], "no task id"),
        (["submit", "review.asked.v1"], "starts no task"),
        (["submit", "review.requested.v1", "{"], "not a review.requested.v1"),
        (["submit", "review.requested.v1", '{"name": 1}'], "$.name"),
        (["submit", "review.requested.v1", "@/no/such/file"], "/no/such/file"),
        (["submit", "review.requested.v1", "--task-id", "a.b"], "a.b"),
        (["agent", "wizard"], "no agent of kind 'wizard'"),
        (["dead", "show", "7"], "no dead letter 7"),
        (["dead", "replay"], "--all"),
        (["config", "url"], "no bus runs"),
        (["wizard"], "wizard"),
    ],
)
def test_a_mistake_is_said_in_one_line(labverse: Labverse, arguments: list[str], said: str) -> None:
    done = labverse.run(*arguments)
    assert done.returncode == 2
    assert said in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_missing_server_is_said_in_one_line_without_its_password(labverse: Labverse) -> None:
    labverse.env |= {"NATS_URL": "nats://me:hunter2@127.0.0.1:9", "LABVERSE_BUS__CONNECT_TIMEOUT_S": "0.5"}
    done = labverse.run("status")
    assert done.returncode == 2
    assert "127.0.0.1:9" in done.stderr
    assert "hunter2" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_the_doctor_finds_a_sound_installation_sound(labverse: Labverse) -> None:
    done = labverse.run("doctor", "--json")
    assert done.returncode == 0, done.stdout
    states = {check["name"]: check["state"] for check in json.loads(done.stdout)}
    assert states["bus"] == states["nats-server"] == states["ruff"] == "ok"
    labverse.env["LABVERSE_BUS__PRT"] = "1"
    ill = labverse.run("doctor")
    assert ill.returncode == 2
    assert "LABVERSE_BUS__PRT" in ill.stdout


def test_settings_are_shown_with_their_source_and_without_secrets(labverse: Labverse) -> None:
    labverse.env |= {
        "LABVERSE_BUS__USER": "me",
        "LABVERSE_BUS__PASSWORD": "hunter2",
        "NATS_URL": "nats://h:1",
    }
    shown = labverse.run("config", "show").stdout
    assert "hunter2" not in shown
    assert "LABVERSE_BUS__PASSWORD" in shown
    assert "bus.data_dir" in shown
    assert labverse.run("config", "default").stdout.startswith("#")


def test_the_schema_is_printed(labverse: Labverse) -> None:
    assert json.loads(labverse.run("schema").stdout)["asyncapi"] == "3.0.0"
    assert labverse.run("schema", "--yaml").stdout.startswith("asyncapi:")
    assert "$defs" in json.loads(labverse.run("schema", "--format", "json-schema").stdout)
