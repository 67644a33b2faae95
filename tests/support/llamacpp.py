"""The real local model in a process of its own, for tests that block: a 135-million-parameter model, answers in 0.1 s.

It knows nothing and reasons badly: tests look at the path (shapes, streams, limits), never at the sense.
"""

import json
import os
import subprocess
import sys
from types import TracebackType

from orchestrator.local import child
from orchestrator.local.supervisor import bundled_model

CONTEXT_TOKENS = 2_048
START_S = 30.0


class LlamaCpp:
    """`with LlamaCpp() as server:` has `server.base_url` and `server.model`; start it once per module."""

    def __init__(self, *, context_tokens: int = CONTEXT_TOKENS, port: int = 0) -> None:
        self.base_url = ""
        self.model = ""
        self._arguments = ("--context", str(context_tokens), "--port", str(port), "--threads", "2")
        self._process: subprocess.Popen[str] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def __enter__(self) -> "LlamaCpp":
        self._process = subprocess.Popen(
            [
                *(sys.executable, "-P", "-m", child.__name__, str(bundled_model())),
                *(*self._arguments, "--parent", str(os.getpid())),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the local model did not start: exit code {self._process.wait(START_S)}")
        ready = json.loads(line)
        self.base_url, self.model = ready["base_url"], ready["model"]
        return self

    def kill(self) -> None:
        """kill -9, as a failing machine would; `LlamaCpp(port=…)` may take its place."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(10)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process is not None
        self._process.terminate()
        self._process.wait(10)
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()
