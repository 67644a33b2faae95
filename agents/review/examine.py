"""What happens to one shard, in a process of its own: analysers, then the comments that suppress findings.

Analysers are CPU-bound Python, so they run outside the event loop; a process that hangs or crashes over a
hostile file is killed without harm to the agent.
"""

import contextlib
from collections.abc import Sequence
from pathlib import Path

import msgspec

from agents.review.analysers import Analysis, analyse
from agents.review.suppress import mark_suppressed


def examine(role: str, folder: str, paths: Sequence[str]) -> bytes:
    """The `Analysis` of a shard as MessagePack, which crosses process borders faster than pickled structs."""
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
