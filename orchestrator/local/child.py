"""The local model's own process: llama.cpp's OpenAI-compatible server on 127.0.0.1, by xllamacpp.

    python -m orchestrator.local.child MODEL.gguf [--port 0] [--context 4096] [--slots 2] [--threads N] [--parent PID]

Stdout   one line when it is ready: {"base_url": "http://127.0.0.1:PORT/v1", "model": NAME, "pid": PID}
Stderr   one line when it can't run; exit code 2
Ends     at SIGTERM or SIGINT (exit code 0); with `--parent`, also as soon as that process is gone

It runs apart from everything else because llama.cpp holds the interpreter's lock while it loads, and because
it aborts the whole process when the system refuses it a thread.
"""

import argparse
import contextlib
import ctypes
import errno
import json
import os
import re
import signal
import socket
import sys
import tempfile
import threading
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

HOST: Final = "127.0.0.1"
CONTEXT_TOKENS: Final = 4_096
"""Of one request, input and output together. Each slot has its own."""
CONTEXT_TOKENS_MIN: Final = 256
CONTEXT_TOKENS_MAX: Final = 131_072
SLOTS: Final = 2
SLOTS_MAX: Final = 16
THREADS: Final = 4
"""More bring little: a token is mostly reading the model from memory."""
HTTP_THREADS: Final = 16
"""Requests that wait for a slot keep one each, and health and model list must still get through."""
PROMPT_CACHE_MIB: Final = 128
SOCKET_TIMEOUT_S: Final = 600
NAME_CHARS_MAX: Final = 100
LOG_BYTES_MAX: Final = 64 * 1024
REASON_CHARS_MAX: Final = 300
PARENT_POLL_BYTES: Final = 4_096

EXIT_FAILED: Final = 2
GGUF_MAGIC: Final = b"GGUF"
ONLY_ERRORS: Final = 1
"""llama.cpp's verbosity."""
PR_SET_PDEATHSIG: Final = 1


class ModelFailedError(Exception):
    """Raised when the model can't be served: one line that says why and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerOptions:
    """How to serve a model: `port` 0 takes a free one, `context_tokens` are those of each of the `slots`."""

    path: Path
    port: int = 0
    context_tokens: int = CONTEXT_TOKENS
    slots: int = SLOTS
    threads: int = THREADS


def main(arguments: Sequence[str] | None = None) -> int:
    args = _parser().parse_args(arguments)
    if args.parent:
        die_with(args.parent)
    options = ServerOptions(
        path=args.model,
        port=args.port,
        context_tokens=min(max(args.context, CONTEXT_TOKENS_MIN), CONTEXT_TOKENS_MAX),
        slots=min(max(args.slots, 1), SLOTS_MAX),
        threads=min(max(args.threads, 1), cores()),
    )
    announce = _own_stdout()
    try:
        check_gguf(options.path)
        server = start_server(options)
    except ModelFailedError as error:
        print(f"local model: {error}", file=sys.stderr)
        return EXIT_FAILED
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    ready = {
        "base_url": f"{server.listening_address}/v1",
        "model": model_name(options.path),
        "pid": os.getpid(),
    }
    with contextlib.suppress(
        BrokenPipeError
    ):  # nobody listens any more: whoever started us is ending us, too
        os.write(announce, json.dumps(ready).encode() + b"\n")
    ended.wait()
    # No clean-up by llama.cpp: it would first wait for the answers that are being written.
    os._exit(0)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m orchestrator.local.child", description="Serve a GGUF model."
    )
    parser.add_argument("model", type=Path)
    parser.add_argument("--port", type=int, default=0, help="0: a free one")
    parser.add_argument(
        "--context", type=int, default=CONTEXT_TOKENS, help="tokens of a request, answer included"
    )
    parser.add_argument("--slots", type=int, default=SLOTS, help="requests at once")
    parser.add_argument("--threads", type=int, default=THREADS, help="at most as many as there are cores")
    parser.add_argument("--parent", type=int, default=0, metavar="PID", help="end when this process does")
    return parser


def check_gguf(path: Path) -> None:
    """Look at what can be known before llama.cpp tries.

    Raises:
        ModelFailedError: no such file, not readable, or not a GGUF.
    """
    try:
        with path.open("rb") as file:
            magic = file.read(len(GGUF_MAGIC))
    except FileNotFoundError:
        raise ModelFailedError(f"{path} doesn't exist: give the path of a GGUF file") from None
    except OSError as error:
        raise ModelFailedError(
            f"{path} can't be read: {error.strerror}; give the path of a GGUF file"
        ) from None
    if magic != GGUF_MAGIC:
        raise ModelFailedError(
            f"{path} is not a GGUF file (it starts with {magic!r}): llama.cpp reads models in that format alone"
        )


def start_server(options: ServerOptions) -> Any:
    """llama.cpp's server, listening; keep the object, the server lives as long as it does.

    Raises:
        ModelFailedError: xllamacpp isn't installed, or llama.cpp refused.
    """
    try:
        from xllamacpp import CommonParams, Server  # type: ignore[import-untyped]
    except ImportError as error:
        missing = isinstance(error, ModuleNotFoundError) and error.name == "xllamacpp"
        what = "xllamacpp is not installed" if missing else f"xllamacpp can't be loaded ({error})"
        raise ModelFailedError(f"{what}: pip install xllamacpp") from None
    with _captured_stderr() as log:
        try:
            return Server(_parameters(CommonParams(), options))
        except (RuntimeError, MemoryError) as error:
            # llama.cpp may name the port on a thread of its own, after this: look for ourselves.
            if options.port and port_is_taken(options.port):
                raise ModelFailedError(_taken(options)) from None
            raise ModelFailedError(explain(log.text() or repr(error), options)) from None


def _parameters(p: Any, options: ServerOptions) -> Any:
    p.model.path = str(options.path)
    p.model_alias = {model_name(options.path)}
    p.hostnames = [HOST]
    p.port = options.port
    p.n_ctx = options.context_tokens * options.slots
    p.n_predict = options.context_tokens
    p.n_parallel = options.slots
    p.cpuparams.n_threads = options.threads
    p.cpuparams_batch.n_threads = options.threads
    p.n_threads_http = HTTP_THREADS
    p.timeout_read = p.timeout_write = SOCKET_TIMEOUT_S
    p.cache_ram_mib = PROMPT_CACHE_MIB
    p.verbosity = ONLY_ERRORS
    # Pages in a browser of this machine must not read our answers; nor is there anything for people to look at.
    p.cors_origins = ""
    p.ui = False
    p.endpoint_slots = False
    return p


def explain(log: str, options: ServerOptions) -> str:
    """What llama.cpp's error log means, in one line. Pure."""
    path = options.path
    if "couldn't bind HTTP server socket" in log:
        return _taken(options)
    if re.search(r"insufficient memory|failed to allocate|out of memory|bad_alloc|MemoryError", log, re.I):
        return (
            f"out of memory: {path} with {options.slots} × {options.context_tokens} tokens of context doesn't fit; "
            "take a smaller model or a smaller context"
        )
    if re.search(r"corrupted or incomplete|failed to read key-value pairs|failed to read tensor", log):
        return f"{path} is damaged or was not copied whole: fetch it again"
    if unknown := re.search(r"unknown model architecture: '([^']{1,60})'", log):
        return (
            f"{path} is of a kind ({unknown[1]}) that this llama.cpp doesn't know: pip install -U xllamacpp"
        )
    lines = [re.sub(r"^[\d.]+ [EW] ", "", line).strip() for line in log.splitlines() if line.strip()]
    said = next(
        (line for line in lines if "error loading model" in line), lines[0] if lines else "no reason given"
    )
    return f"llama.cpp can't serve {path}: {' '.join(said.split())[:REASON_CHARS_MAX]}"


def _taken(options: ServerOptions) -> str:
    return f"port {options.port} of {HOST} is taken: choose another, or 0 for a free one"


def port_is_taken(port: int) -> bool:
    """Whether somebody else listens there now."""
    with socket.socket() as probe:
        # As servers do, so that connections which have just ended there don't count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            return error.errno == errno.EADDRINUSE
    return False


def model_name(path: Path) -> str:
    """What the model is called towards clients: the file's name, in characters that are safe everywhere. Pure."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", path.stem)[:NAME_CHARS_MAX].strip("-") or "model"


def cores() -> int:
    """How many cores this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)  # not on every system
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def die_with(parent: int) -> None:
    """End when the process `parent`, which holds the other end of our stdin, is gone, however it ended.

    On Linux the kernel sees to it, even while llama.cpp loads. Elsewhere (and where `parent` is not the thread
    that started us) the end of stdin tells.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it went before the line above
            os._exit(EXIT_FAILED)
    threading.Thread(target=_exit_at_end_of_stdin, daemon=True).start()


def _exit_at_end_of_stdin() -> None:
    with contextlib.suppress(OSError):
        while os.read(0, PARENT_POLL_BYTES):
            pass
    os._exit(0)


def _own_stdout() -> int:
    """A descriptor of stdout for us alone: whatever libraries print goes to stderr from here on."""
    announce = os.dup(1)
    os.dup2(2, 1)
    return announce


class _Log:
    def __init__(self) -> None:
        self.file = tempfile.TemporaryFile()  # noqa: SIM115 (closed by _captured_stderr)

    def text(self) -> str:
        size = self.file.seek(0, os.SEEK_END)
        self.file.seek(max(0, size - LOG_BYTES_MAX))
        return self.file.read().decode(errors="replace")


@contextlib.contextmanager
def _captured_stderr() -> Generator[_Log]:
    """What is written to stderr, by C++ too, goes to the log meanwhile."""
    log = _Log()
    sys.stderr.flush()
    kept = os.dup(2)
    os.dup2(log.file.fileno(), 2)
    try:
        yield log
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        log.file.close()


if __name__ == "__main__":
    sys.exit(main())
