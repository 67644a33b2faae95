"""The `labverse` command as a process of its own, on a data folder of the test's own."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

HEADLINE = """\
import sqlite3
import subprocess

def get_user(username):
    conn = sqlite3.connect("users.db")
    query = f"SELECT * FROM users WHERE username = '{username}'"
    return conn.execute(query).fetchone()


API_KEY = "sk-proj-1234567890abcdefghijklmnop"

def ping(host):
    return subprocess.run(f"ping -c 1 {host}", shell=True)

"""


class Labverse:
    """Runs commands with `data` as data folder; what is still running is killed by `close`."""

    def __init__(self, data: Path, **env: str) -> None:
        self.data = data
        self._running: list[subprocess.Popen[str]] = []
        self.env = (
            {
                name: value
                for name, value in os.environ.items()
                if not name.startswith(("LABVERSE_", "OTEL_", "NATS_"))
            }
            | {"LABVERSE_DATA": str(data), "PYTHONUNBUFFERED": "1", "COLUMNS": "120"}
            | {"LABVERSE_GATEWAY__PORT": "0"}  # several run at a time
            | env
        )

    def command(self, *arguments: str | Path) -> list[str]:
        return [sys.executable, "-m", "orchestrator.main", *map(str, arguments)]

    def run(
        self,
        *arguments: str | Path,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        timeout_s: float = 120,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return subprocess.run(
            self.command(*arguments),
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout_s,
            env={**self.env, **(env or {})},
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            check=False,
        )

    def start(self, *arguments: str | Path, ready: str = "") -> "subprocess.Popen[str]":
        """Start a command; with `ready`, return when it has said so on stderr."""
        process = subprocess.Popen(
            self.command(*arguments),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=self.env,
            stdin=subprocess.DEVNULL,
        )
        self._running.append(process)
        if ready:
            assert process.stderr is not None
            until = time.monotonic() + 30
            said = ""
            while ready not in said:
                assert time.monotonic() < until, f"not ready: {said}"
                line = process.stderr.readline()
                assert line or process.poll() is None, f"ended early: {said}"
                said += line
        return process

    def close(self) -> None:
        for process in self._running:
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
            process.communicate()
