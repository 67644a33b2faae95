"""A real local model behind the bus: llama.cpp in a child process of `labverse up --local-model`."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from labverse import Labverse
from running import descendants, processes

SCHEMA = {
    "type": "object",
    "properties": {"animal": {"enum": ["cat", "dog"]}, "legs": {"type": "integer", "enum": [2, 4]}},
    "required": ["animal", "legs"],
    "additionalProperties": False,
}
GONE_WITHIN_S = 10.0


def model_pid(up: "subprocess.Popen[str]") -> int:
    (pid,) = (pid for pid, command in descendants(up.pid).items() if "orchestrator.local.child" in command)
    return pid


def own_lines(labverse: Labverse) -> list[dict[str, Any]]:
    lines = json.loads(labverse.run("providers", "--json").stdout)
    return [line for line in lines if line["model"].startswith("local/")]


@pytest.fixture
def up(labverse: Labverse) -> Iterator["subprocess.Popen[str]"]:
    labverse.env = {name: value for name, value in labverse.env.items() if not name.endswith("_API_KEY")}
    labverse.env["LABVERSE_LLM__DISCOVER"] = "false"
    process = labverse.start("up", "--agents", "1", "--local-model", ready="labverse is up")
    yield process
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=20)


@pytest.mark.timeout(120)
def test_questions_are_answered_over_the_bus_by_the_local_model(
    labverse: Labverse, up: "subprocess.Popen[str]", tmp_path: Path
) -> None:
    done = labverse.run("ask", "Say hello.", "--max-tokens", "24", "--local-only", "--json")
    assert done.returncode == 0, done.stderr
    completion = json.loads(done.stdout)["completion"]
    assert completion["text"]
    assert completion["provider"] == "local"
    assert completion["is_local"]
    assert completion["cost_nusd"] == 0
    assert 0 < completion["usage"]["output_tokens"] <= 24
    streamed = labverse.run("ask", "Say hello again.", "--max-tokens", "24", "--stream")
    assert streamed.returncode == 0, streamed.stderr
    assert streamed.stdout.strip()
    assert "first token after" in streamed.stderr
    schema = tmp_path / "schema.json"
    schema.write_text(json.dumps(SCHEMA))
    structured = labverse.run("ask", "Which animal barks, on how many legs?", "--schema", schema)
    assert structured.returncode == 0, structured.stderr
    jsonschema.validate(json.loads(structured.stdout), SCHEMA)
    until = time.monotonic() + 15  # routers tell of their models every few seconds
    while not (own := own_lines(labverse)) or not own[0]["p50_s"]:
        assert time.monotonic() < until, own
    assert own[0]["state"] == "ready"
    assert own[0]["calls"] == 3
    assert own[0]["input_nusd"] == 0
    total = json.loads(labverse.run("costs", "--json").stdout)["total"]
    assert (total["calls"], total["local_calls"], total["cost_nusd"]) == (3, 3, 0)


def test_a_killed_model_comes_back_and_none_is_left_at_the_end(
    labverse: Labverse, up: "subprocess.Popen[str]"
) -> None:
    first = model_pid(up)
    assert labverse.run("ask", "One?", "--max-tokens", "8").returncode == 0
    os.kill(first, signal.SIGKILL)
    done = labverse.run("ask", "And two?", "--max-tokens", "8", "--deadline", "30")
    assert done.returncode == 0, done.stderr  # at the first try: it is waited for
    assert model_pid(up) != first
    children = descendants(up.pid)
    assert len(children) >= 3  # the model, the server's warden, an analyser
    up.send_signal(signal.SIGTERM)
    _, said = up.communicate(timeout=20)
    assert up.returncode == 0
    assert "Traceback" not in said
    until = time.monotonic() + GONE_WITHIN_S
    while left := {pid: command for pid, command in children.items() if pid in processes()}:
        assert time.monotonic() < until, left
        time.sleep(0.05)


def test_a_model_dies_with_the_command_that_is_killed(
    labverse: Labverse, up: "subprocess.Popen[str]"
) -> None:
    pid = model_pid(up)
    up.send_signal(signal.SIGKILL)
    up.communicate()
    until = time.monotonic() + GONE_WITHIN_S
    while pid in processes():
        assert time.monotonic() < until
        time.sleep(0.05)


def test_ask_serves_a_model_of_its_own_for_one_question(labverse: Labverse) -> None:
    labverse.env["LABVERSE_LLM__DISCOVER"] = "false"
    done = labverse.run("ask", "Say hello.", "--local-model", "--local-only", "--max-tokens", "16")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
    (line,) = done.stderr.strip().splitlines()
    assert line.startswith("local/")
