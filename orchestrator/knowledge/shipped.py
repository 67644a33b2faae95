"""The vectors of the built-in documents, which come with the program: making them takes some seconds on a slow machine.

    python -m orchestrator.knowledge.shipped

writes them anew, which is due when a document has changed (a test says so). Those of changed documents are simply made
when they are first needed.
"""

import logging
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from agents.knowledge.embedding import DIMENSION_MAX, Embedder, Vector, unit, vector_key

log = logging.getLogger("labverse.knowledge")

FILE: Final = Path(__file__).parent / "shipped_vectors.bin"
BYTES_MAX: Final = 64 * 1024 * 1024
HALF_BYTES: Final = 2
EMBED_S_MAX: Final = 600.0


class _Shipped(msgspec.Struct, frozen=True, kw_only=True):
    """Vectors in half precision, one after the other, in the order of their keys."""

    embedder: str
    dimension: int
    keys: tuple[bytes, ...]
    vectors: bytes


def read_vectors(path: Path, embedder_id: str) -> Mapping[bytes, Vector]:
    """The vectors by key; none when they are another embedder's, or not there."""
    try:
        if path.stat().st_size > BYTES_MAX:
            return {}
        shipped = msgspec.msgpack.decode(path.read_bytes(), type=_Shipped)
    except FileNotFoundError:
        return {}
    except (OSError, msgspec.DecodeError) as error:
        log.warning("%s can't be used, so the built-in documents are embedded here: %s", path, error)
        return {}
    size = shipped.dimension * HALF_BYTES
    is_whole = 0 < shipped.dimension <= DIMENSION_MAX and len(shipped.vectors) == size * len(shipped.keys)
    if shipped.embedder != embedder_id or not is_whole:
        return {}
    read = struct.Struct(f"<{shipped.dimension}e")
    return {
        key: unit(read.unpack_from(shipped.vectors, place * size)) for place, key in enumerate(shipped.keys)
    }


def write_vectors(path: Path, embedder: Embedder) -> int:
    """Write those of the built-in documents; returns how many."""
    from agents.knowledge.builtin import builtin_documents
    from agents.knowledge.indexing import points_of, told_text

    points = [point for document in builtin_documents() for point in points_of(document)]
    texts = [told_text(point.document, point.chunk) for point in points]
    vectors = [vector for text in texts for vector in embedder.embed_documents([text], timeout_s=EMBED_S_MAX)]
    dimension = len(vectors[0]) if vectors else 1
    shipped = _Shipped(
        embedder=embedder.id,
        dimension=dimension,
        keys=tuple(vector_key(embedder.id, text) for text in texts),
        vectors=b"".join(struct.pack(f"<{dimension}e", *vector) for vector in vectors),
    )
    path.write_bytes(msgspec.msgpack.encode(shipped))
    return len(vectors)


if __name__ == "__main__":
    from orchestrator.knowledge.minilm import MiniLm

    print(f"{FILE}: {write_vectors(FILE, MiniLm())} vectors")
