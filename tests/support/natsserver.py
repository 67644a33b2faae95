"""A real nats-server of a test's own: started, killed and started again on the same port and files."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path

from bus import ConnectOptions
from bus.embedded import server_binary


class NatsServer:
    """Not started yet; `start` it. `sync` is the server's sync_interval."""

    def __init__(self, folder: Path, *, sync: str = "always", extra: str = "") -> None:
        self.folder = folder
        self.port = 0
        self._sync = sync
        self._extra = extra
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"nats://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def options(self) -> ConnectOptions:
        return ConnectOptions(url=self.url)

    def start(self) -> "NatsServer":
        self.folder.mkdir(parents=True, exist_ok=True)
        config = self.folder / "server.conf"
        config.write_text(
            f'host: "127.0.0.1"\nport: {self.port or -1}\nports_file_dir: "{self.folder}"\n'
            f'jetstream {{ store_dir: "{self.folder / "js"}"\n sync_interval: {self._sync} }}\n{self._extra}\n'
        )
        for _ in range(50):
            self._process = subprocess.Popen(
                [server_binary(), "-c", str(config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
            ports = self.folder / f"nats-server_{self._process.pid}.ports"
            until = time.monotonic() + 10
            while time.monotonic() < until and self._process.poll() is None:
                try:
                    self.port = int(json.loads(ports.read_text())["nats"][0].rsplit(":", 1)[1])
                except (OSError, ValueError, KeyError):
                    time.sleep(0.002)
                else:
                    return self
            self._process.kill()
            self._process.wait()
            time.sleep(0.05)  # the port of the server just killed may not be free yet
        raise RuntimeError("nats-server did not start")

    def kill(self) -> None:
        """kill -9."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def freeze(self) -> None:
        """Stop it; returns when the system says that all of it stands still."""
        os.kill(self.pid, signal.SIGSTOP)
        os.waitpid(self.pid, os.WUNTRACED)

    def thaw(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def _end(self, number: int) -> None:
        if self._process is not None and self._process.poll() is None:
            os.kill(self._process.pid, number)
            os.kill(self._process.pid, signal.SIGCONT)
            self._process.wait(10)
