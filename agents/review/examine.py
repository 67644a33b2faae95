"""What happens to one shard, in a process of its own: analysers, then the comments that suppress findings.

Analysers are CPU-bound Python, so they run outside the event loop; a process that hangs or crashes over a
hostile file is killed without harm to the agent.
"""

import contextlib
import signal
from collections.abc import Sequence
from pathlib import Path

import msgspec

from agents.review.analysers import Analysis, analyse, warm_up
from agents.review.suppress import mark_suppressed


def begin() -> None:
    """Get ready in a new process: load what takes long, and leave Ctrl-C to the command. A terminal sends it to
    all processes of a command, but what becomes of the work is the command's to say."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    warm_up()


def examine(role: str, folder: str, paths: Sequence[str]) -> bytes:
    """The `Analysis` of a shard as MessagePack, which crosses process borders faster than pickled structs."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a process that was never told to `begin`
    analysis = analyse(role, Path(folder), paths)
    named = {hit.path for hit in analysis.hits}
    sources = {}
    for path in named:
        with contextlib.suppress(OSError):
            sources[path] = (Path(folder) / path).read_text(encoding="utf-8", errors="replace")
    hits = mark_suppressed(analysis.hits, sources)
    return msgspec.msgpack.encode(msgspec.structs.replace(analysis, hits=tuple(hits)))


def read_analysis(data: bytes) -> Analysis:
    return msgspec.msgpack.decode(data, type=Analysis)
