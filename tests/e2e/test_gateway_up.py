"""The gateway as part of `labverse up`: serves, and leaves with it in good order."""

import json
import re
import signal
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from labverse import Labverse


@pytest.fixture
def with_keys(tmp_path: Path, labverse: Labverse) -> Labverse:
    """Commands whose keys file is the test's own."""
    labverse.env["LABVERSE_GATEWAY__KEYS_FILE"] = str(tmp_path / "api_keys.yaml")
    return labverse


def _up(labverse: Labverse, *arguments: str) -> tuple["subprocess.Popen[str]", str]:
    """`labverse up` on a free port, and its gateway's address."""
    process = labverse.start("up", "--http-port", "0", "--agents", "1", *arguments)
    assert process.stderr is not None
    url, said = "", ""
    until = time.monotonic() + 60
    while "is up at" not in said:
        assert time.monotonic() < until, said
        line = process.stderr.readline()
        assert line or process.poll() is None, said
        said += line
        if found := re.search(r"gateway listens at (http://\S+)", line):
            url = found[1]
    assert url, said
    return process, url


def _ask(url: str, key: str = "", body: object = None) -> tuple[int, Any]:
    request = urllib.request.Request(url, None if body is None else json.dumps(body).encode())
    if key:
        request.add_header("Authorization", f"Bearer {key}")
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def test_a_review_is_asked_for_over_http_and_its_end_is_seen_there(with_keys: Labverse) -> None:
    process, url = _up(with_keys)
    status, health = _ask(f"{url}/health")
    assert (status, health["status"]) == (200, "ok")
    review = {"type": "review.requested.v1", "body": {"files": [{"path": "a.py", "text": "eval(input())\n"}]}}
    assert _ask(f"{url}/api/v1/tasks", body=review)[0] == 401
    key = with_keys.run("key", "new", "ci", "--scope", "all").stdout.strip()
    status, started = _ask(f"{url}/api/v1/tasks", key, review)
    assert status == 202, "the running gateway knows the new key"
    until = time.monotonic() + 60
    record: dict[str, Any] = {}
    while record.get("state") != "completed":
        assert time.monotonic() < until, record
        record = _ask(f"{url}/api/v1/tasks/{started['task_id']}", key)[1]
        time.sleep(0.1)
    assert record["findings"] >= 1
    assert _ask(f"{url}/health")[1]["agents"]
    process.send_signal(signal.SIGTERM)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 0, stderr
    assert "Traceback" not in stderr
    with pytest.raises(urllib.error.URLError):
        _ask(f"{url}/health")


def test_a_taken_port_is_said_in_one_line(with_keys: Labverse, tmp_path: Path) -> None:
    _, url = _up(with_keys)
    port = url.rsplit(":", 1)[1]
    second = Labverse(tmp_path / "other")
    refused = second.run("up", "--http-port", port, "--agents", "1")
    assert refused.returncode == 2
    assert f"port {port} of 127.0.0.1 is taken: choose another with --http-port" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_without_the_gateway_nothing_listens(with_keys: Labverse) -> None:
    with_keys.env["LABVERSE_GATEWAY__SERVE"] = "false"
    process = with_keys.start("up", "--agents", "1", ready="is up at")
    process.send_signal(signal.SIGTERM)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "gateway" not in stderr
