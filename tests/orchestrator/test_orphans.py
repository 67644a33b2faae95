"""Whose review is nobody's any more."""

import os
import subprocess
import sys

import pytest

from orchestrator.orphans import PREFIX, is_orphan, review_source
from schemas.task import TaskRecord, TaskState


def dead_pid() -> int:
    done = subprocess.Popen([sys.executable, "-c", ""])
    done.wait()
    return done.pid


def task(owner: str, state: TaskState = TaskState.RUNNING) -> TaskRecord:
    return TaskRecord(task_id="t", owner=owner, state=state)


def test_only_an_unfinished_review_of_this_machine_whose_command_is_gone_is_an_orphan() -> None:
    gone = dead_pid()
    assert is_orphan(task(f"{PREFIX}here:{gone}"), "here")
    assert not is_orphan(task(f"{PREFIX}here:{gone}", TaskState.COMPLETED), "here")
    assert not is_orphan(task(f"{PREFIX}there:{gone}"), "here")
    assert not is_orphan(task(f"{PREFIX}here:{os.getpid()}"), "here")


@pytest.mark.parametrize("owner", ["", "labverse/submit", "a service", f"{PREFIX}here:x", f"{PREFIX}:"])
def test_other_owners_are_left_alone(owner: str) -> None:
    assert not is_orphan(task(owner), "here")


def test_a_running_command_is_no_orphan() -> None:
    import socket

    assert not is_orphan(task(review_source()), socket.gethostname())
