"""The warden of an embedded nats-server: starts it on a data folder and stops it when nobody uses it any more.

Run as a script (`python -I -S warden.py DATA_DIR PORT SERVER_BINARY SYNC`): it imports only the standard
library, so that it starts in milliseconds. One per data folder, by a lock. Users hold a shared lock on
`users.lock`, which the system frees even when they are killed; when nobody holds it, the server stops. When the
server dies, the warden starts it again on the same port and files; when the warden dies, so does the server.
"""

import contextlib
import ctypes
import fcntl
import json
import os
import secrets
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType

POLL_S = 0.05
LINGER_S = 0.4
"""How long nobody may use the server before it stops: commands often follow one another."""
START_S = 20.0
STOP_S = 5.0
RESTARTS_MAX = 20
"""In a row, each within `STEADY_S`; then the server is given up."""
STEADY_S = 5.0

EXIT_IN_USE = 3
EXIT_NO_START = 4


class Warden:
    def __init__(self, folder: Path, port: int, binary: str, sync: str) -> None:
        self.folder = folder
        self.port = port
        self.binary = binary
        self.sync = sync
        self.info_file = folder / "bus.json"
        self.server: subprocess.Popen[bytes] | None = None
        self.stopping = False
        self.user, self.password = self.credentials()

    def credentials(self) -> tuple[str, str]:
        """Made once for a data folder, readable by its owner alone."""
        path = self.folder / "credentials.json"
        with contextlib.suppress(OSError, ValueError, KeyError):
            known = json.loads(path.read_text())
            return str(known["user"]), str(known["password"])
        made = {"user": "labverse", "password": secrets.token_urlsafe(24)}
        write_private(path, json.dumps(made))
        return made["user"], made["password"]

    def start(self, port: int) -> bool:
        """Start the server; False when it ended at once, as it does when the port is taken."""
        config = self.folder / "nats-server.conf"
        quote = json.dumps
        write_private(
            config,
            f'server_name: "labverse-embedded"\nhost: "127.0.0.1"\nport: {port or -1}\nmax_payload: 1MB\n'
            f"ports_file_dir: {quote(str(self.folder))}\nlogfile: {quote(str(self.folder / 'nats-server.log'))}\n"
            "logfile_size_limit: 10MB\nlogfile_max_num: 2\n"
            f"jetstream {{ store_dir: {quote(str(self.folder / 'jetstream'))}\n sync_interval: {self.sync}\n"
            "  max_memory_store: 256MB\n}\n"
            f"authorization {{ user: {quote(self.user)}, password: {quote(self.password)} }}\n",
        )
        with open(self.folder / "nats-server.err", "wb") as errors:
            self.server = subprocess.Popen(
                [self.binary, "-c", str(config)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                preexec_fn=die_with_parent,
            )
        ports_file = self.folder / f"nats-server_{self.server.pid}.ports"
        until = time.monotonic() + START_S
        while time.monotonic() < until and self.server.poll() is None:
            with contextlib.suppress(OSError, ValueError, KeyError, IndexError):
                url = json.loads(ports_file.read_text())["nats"][0]
                self.port = int(url.rsplit(":", 1)[1])
                self.announce()
                return True
            time.sleep(0.002)
        self.stop()
        return False

    def announce(self) -> None:
        assert self.server is not None
        write_private(
            self.info_file,
            json.dumps(
                {
                    "url": f"nats://127.0.0.1:{self.port}",
                    "port": self.port,
                    "user": self.user,
                    "password": self.password,
                    "server_pid": self.server.pid,
                    "warden_pid": os.getpid(),
                    "started_at": time.time(),
                }
            ),
        )

    def stop(self) -> None:
        if self.server is None:
            return
        if self.server.poll() is None:
            self.server.terminate()
            try:
                self.server.wait(STOP_S)
            except subprocess.TimeoutExpired:
                self.server.kill()
                self.server.wait()
        for leftover in self.folder.glob("nats-server_*.ports"):
            leftover.unlink(missing_ok=True)

    def watch(self, users: int) -> int:
        """Until nobody uses the server, or a signal asks us to leave."""
        free_since: float | None = None
        started, restarts = time.monotonic(), 0
        while not self.stopping:
            time.sleep(POLL_S)
            assert self.server is not None
            if self.server.poll() is not None:
                restarts = restarts + 1 if time.monotonic() - started < STEADY_S else 0
                if restarts > RESTARTS_MAX or not self.start(self.port):
                    return EXIT_NO_START
                started = time.monotonic()
            if not lock(users, fcntl.LOCK_EX):
                free_since = None
                continue
            now = time.monotonic()
            free_since = free_since or now
            if now - free_since >= LINGER_S:
                return 0  # with the lock in hand: who comes now waits until we are gone, then starts anew
            fcntl.flock(users, fcntl.LOCK_UN)
        return 0

    def on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self.stopping = True


def lock(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, all at once."""
    partial = path.with_name(f"{path.name}.{os.getpid()}.part")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    partial.replace(path)


def die_with_parent() -> None:
    """Linux: the server gets SIGTERM when the warden is killed. Elsewhere the next warden stops it."""
    if sys.platform == "linux":
        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGTERM)


def stop_orphan(info_file: Path) -> int:
    """Stop a server that outlived its warden; returns the port that it had, 0 if unknown."""
    try:
        info = json.loads(info_file.read_text())
        pid, port = int(info["server_pid"]), int(info["port"])
    except (OSError, ValueError, KeyError):
        return 0
    command = subprocess.run(
        ["ps", "-p", str(pid), "-o", "command="], capture_output=True, text=True, check=False
    )
    if str(info_file.parent) in command.stdout and "nats-server" in command.stdout:
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGTERM)
        until = time.monotonic() + STOP_S
        while time.monotonic() < until:
            try:
                os.kill(pid, 0)
            except OSError:
                break
            time.sleep(0.02)
    return port


def main(arguments: list[str]) -> int:
    folder, port, binary, sync = Path(arguments[0]), int(arguments[1]), arguments[2], arguments[3]
    owner = os.open(folder / "owner.lock", os.O_RDWR | os.O_CREAT, 0o600)
    if not lock(owner, fcntl.LOCK_EX):
        return EXIT_IN_USE
    warden = Warden(folder, port, binary, sync)
    signal.signal(signal.SIGTERM, warden.on_signal)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    earlier = stop_orphan(warden.info_file) if warden.info_file.exists() else 0
    # The same port as before, so that clients which still look for it find it; any other if it is taken.
    candidates = [port] if port else [earlier, 0] if earlier else [0]
    users = os.open(folder / "users.lock", os.O_RDWR | os.O_CREAT, 0o600)
    if not any(warden.start(candidate) for candidate in candidates):
        return EXIT_NO_START
    try:
        return warden.watch(users)
    finally:
        warden.stop()
        warden.info_file.unlink(missing_ok=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
