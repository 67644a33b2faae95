"""What a stranger ran into in the first hour."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from labverse import Labverse
from plain_nats import PlainNats


def test_a_dead_letter_is_shown_without_the_secrets_in_it(labverse: Labverse) -> None:
    labverse.start("up", "--agents", "1", ready="labverse is up")
    service = PlainNats(labverse.run("config", "url").stdout.strip())
    service.publish(
        "lv.review.requested.v1.t1",
        b'{"files": 3, "api_key": "9f8e7d6c5b4a3928", "t": "ghp_16C7e42F292c6912E7710c83"}',
    )
    service.close()
    until = time.monotonic() + 10
    while not (letters := json.loads(labverse.run("dead", "list", "--json").stdout)):
        assert time.monotonic() < until
    for arguments in ([], ["--json"]):
        shown = labverse.run("dead", "show", str(letters[0]["id"]), *arguments).stdout
        assert "review.requested.v1" in shown
        assert "9f8e7d6c5b4a3928" not in shown
        assert "16C7e42F292c6912E7710c83" not in shown


@pytest.mark.timeout(120)
def test_a_review_goes_on_by_itself_when_the_agents_leave(labverse: Labverse, code_base: Path) -> None:
    up = labverse.start("up", "--agents", "1", ready="labverse is up")
    review = subprocess.Popen(
        labverse.command("review", code_base, "--json"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=labverse.env,
    )
    time.sleep(1.2)
    up.send_signal(signal.SIGKILL)
    out, err = review.communicate(timeout=90)
    assert review.returncode == 1, err
    assert len(json.loads(out)["findings"]) >= 200


@pytest.mark.timeout(120)
def test_a_killed_review_does_not_hold_up_the_next_one(
    labverse: Labverse, code_base: Path, headline: Path
) -> None:
    killed = labverse.start("review", code_base, "-q")
    until = time.monotonic() + 20
    while not (labverse.data / "bus.json").exists():
        assert time.monotonic() < until
        time.sleep(0.05)
    time.sleep(1.0)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    assert labverse.run("review", headline / "app.py", "--json").returncode == 1
    tasks = json.loads(labverse.run("status", "--json").stdout)["tasks"]
    assert {task["state"] for task in tasks} <= {"completed", "cancelled"}


@pytest.mark.parametrize("arguments", [["big.py"], [".", "--include", "zzz"]])
def test_a_review_of_nothing_is_no_clean_one(
    labverse: Labverse, tmp_path: Path, arguments: list[str]
) -> None:
    (tmp_path / "big.py").write_bytes(b"x = 1\n" * 500_000)
    done = labverse.run("review", *arguments, cwd=tmp_path)
    assert done.returncode == 2, done.stdout
    assert "nothing was reviewed" in done.stdout.lower()


def test_submit_waits_no_longer_than_its_deadline(labverse: Labverse) -> None:
    body = '{"files": [{"path": "a.py", "text": "x = 1"}]}'
    started = time.monotonic()
    done = labverse.run("submit", "review.requested.v1", body, "--wait", "--deadline", "1")
    assert done.returncode == 2
    assert "deadline" in done.stderr
    assert time.monotonic() - started < 20
    unknown = labverse.run("submit", "review.requested.v1", '{"flies": []}')
    assert unknown.returncode == 2
    assert "'flies'" in unknown.stderr


def test_ctrl_c_in_a_terminal_leaves_no_trace(labverse: Labverse, code_base: Path) -> None:
    """A terminal sends SIGINT to every process of the command, its analyser processes too."""
    review = subprocess.Popen(
        labverse.command("review", code_base),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=labverse.env,
        start_new_session=True,
    )
    time.sleep(2.0)
    os.killpg(review.pid, signal.SIGINT)
    _, err = review.communicate(timeout=20)
    assert review.returncode in (130, 1), err  # 1: it was faster than the Ctrl-C
    assert "Traceback" not in err


def test_closed_output_and_an_ascii_locale_are_survived(labverse: Labverse, headline: Path) -> None:
    command = " ".join(labverse.command("review", headline, "-q"))
    closed = subprocess.run(
        ["sh", "-c", f"{command} >&-"], capture_output=True, text=True, env=labverse.env, check=False
    )
    assert "Traceback" not in closed.stderr
    ascii_only = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = labverse.run("review", headline, "--format", "terminal", env=ascii_only)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
