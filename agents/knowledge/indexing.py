"""Indexing: documents made ready to be found, with chunks, terms and, where there is an embedder, vectors."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from hashlib import blake2b
from typing import Final

import msgspec

from agents.knowledge.bm25 import weigh_chunk
from agents.knowledge.chunks import Chunk, TooManyChunksError, chunks_of
from agents.knowledge.embedding import TEXTS_MAX, Embedder, EmbedderError, Vector
from agents.knowledge.store import CHUNKS_MAX, Entry, Indexed, Point
from schemas.knowledge import DOCUMENT_CHARS_MAX, Document

DIGEST_BYTES: Final = 16


class KnowledgeError(Exception):
    """Raised for a document or a request that can't be served as it is; one line that says what to do."""


def digest_of(document: Document) -> str:
    """The same for documents that are the same in every field, as hex."""
    return blake2b(msgspec.json.encode(document), digest_size=DIGEST_BYTES).hexdigest()


def points_of(document: Document) -> list[Point]:
    """The chunks of a document with their terms, still without vectors.

    Raises:
        KnowledgeError: there is no text, or too much of it.
    """
    if len(document.text) > DOCUMENT_CHARS_MAX:
        raise KnowledgeError(
            f"{document.id}: {len(document.text)} characters, {DOCUMENT_CHARS_MAX} are possible: add it in parts"
        )
    try:
        chunks = chunks_of(document.text)
    except TooManyChunksError as error:
        raise KnowledgeError(f"{document.id}: {error}") from error
    if not chunks:
        raise KnowledgeError(f"{document.id}: there is no text in it")
    return [
        Point(
            document=document,
            number=number,
            chunk=chunk,
            terms=weigh_chunk(told_text(document, chunk)),
            vector=None,
        )
        for number, chunk in enumerate(chunks)
    ]


def told_text(document: Document, chunk: Chunk) -> str:
    """What a chunk is found by: its text under what it is about, which the text itself often doesn't repeat."""
    above = [document.title, *(heading for heading in chunk.headings if heading != document.title)]
    labels = " ".join((*document.cwes, *document.tags))
    return "\n".join(line for line in (" › ".join(above), labels, chunk.text) if line)


def indexed(
    documents: Sequence[Document], embedder: Embedder | None, until_s: float, *, is_builtin: bool = False
) -> list[Indexed]:
    """The documents, ready to be stored.

    Args:
        embedder: None leaves the vectors out.
        until_s: on the monotonic clock.

    Raises:
        KnowledgeError: a document has no text, or too much of it; or they make too many chunks.
        EmbedderError: no vectors, or not in time.
    """
    points = [points_of(document) for document in documents]
    if sum(map(len, points)) > CHUNKS_MAX:
        raise KnowledgeError(f"more than {CHUNKS_MAX} chunks: add fewer or shorter documents")
    if embedder is not None:
        vectors = iter(_vectors([point for some in points for point in some], embedder, until_s))
        points = [[replace(point, vector=next(vectors)) for point in some] for some in points]
    return [
        Indexed(
            entry=Entry(
                document=document, digest=digest_of(document), chunks=len(some), is_builtin=is_builtin
            ),
            points=some,
        )
        for document, some in zip(documents, points, strict=True)
    ]


def dimension_of(documents: Sequence[Indexed]) -> int:
    """Numbers in their vectors; 0 when they have none.

    Raises:
        EmbedderError: not all have the same.
    """
    sizes = {len(point.vector) for one in documents for point in one.points if point.vector is not None}
    if len(sizes) > 1:
        raise EmbedderError(f"vectors of {' and '.join(map(str, sorted(sizes)))} numbers", is_passing=False)
    return next(iter(sizes), 0)


def outdated(
    wanted: Mapping[str, str], have: Mapping[str, tuple[str, bool]]
) -> tuple[set[str], tuple[str, ...]]:
    """Built-in documents to be put, and the ids of those to be removed.

    Args:
        wanted: the digests of the built-in documents, by id.
        have: what is stored, by id: digest, and whether it is built in. A user's document is left alone.
    """
    put = {
        one for one, digest in wanted.items() if one not in have or (have[one][1] and have[one][0] != digest)
    }
    gone = tuple(one for one, (_, is_builtin) in have.items() if is_builtin and one not in wanted)
    return put, gone


def _vectors(points: Sequence[Point], embedder: Embedder, until_s: float) -> list[Vector]:
    out: list[Vector] = []
    for first in range(0, len(points), TEXTS_MAX):
        left_s = until_s - time.monotonic()
        if left_s <= 0:
            raise EmbedderError(
                f"{embedder.id}: {len(out)} of {len(points)} chunks in the time there was", is_passing=True
            )
        texts = [told_text(point.document, point.chunk) for point in points[first : first + TEXTS_MAX]]
        out += embedder.embed_documents(texts, timeout_s=left_s)
    return out
