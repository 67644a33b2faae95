"""The store on a Qdrant server, for several machines: the same chunks and vectors as in our own files.

Three collections on the server belong to one of ours: `NAME-documents` with the documents, `NAME-state` with what is
indexed, and the index itself, `NAME-index-…`, which the state names. Making it anew makes another one, and the state
moves on when it is complete.
"""

import threading
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID, uuid4, uuid5

import msgspec
from qdrant_client import models

from agents.knowledge.bm25 import Terms
from agents.knowledge.store import Entry, Found, Index, Indexed, Point, Sought, StoreError
from orchestrator.knowledge.payload import LABELS, BadPayloadError, found_from, payload_of, wanted_labels
from schemas.knowledge import Document, KnowledgeFilter

if TYPE_CHECKING:
    from qdrant_client import QdrantClient

TERMS: Final = "bm25"
VECTOR: Final = "dense"
POINTS_A_CALL: Final = 200
PAGE: Final = 100
STATE_AGE_S: Final = 2.0
"""For so long a search goes by what an earlier one was told."""
ERROR_CHARS_MAX: Final = 200
STATE_ID: Final = "00000000-0000-0000-0000-000000000001"
_SPACE: Final = UUID("5f0c7d0a-8d0c-5c53-9b0f-51f6a1f4f3b2")


class _State(msgspec.Struct, frozen=True, kw_only=True):
    """What is indexed, and in which collection of the server."""

    files: str
    embedder: str
    dimension: int
    layout: int


class _Stored(msgspec.Struct, frozen=True, kw_only=True):
    document: Document
    digest: str
    chunks: int
    is_builtin: bool


class ServerStore:
    """A collection named `name` on the server that `client` talks to; the client is closed with it."""

    def __init__(self, client: "QdrantClient", name: str) -> None:
        self._client = client
        self._name = name
        self._writing = threading.Lock()
        self._known: tuple[float, _State] | None = None

    def index(self) -> Index | None:
        with self._errors():
            state = self._state()
        if state is None:
            return None
        return Index(embedder=state.embedder, dimension=state.dimension, layout=state.layout)

    def replace(self, index: Index, documents: Sequence[Indexed]) -> None:
        with self._writing, self._errors():
            before = self._stored_state()
            files = f"{self._name}-index-{uuid4().hex}"
            self._create(files, index)
            self._upsert(files, [point for one in documents for point in one.points])
            self._keep([one.entry for one in documents])
            self._forget(self._ids() - {one.entry.document.id for one in documents})
            self._set(
                _State(files=files, embedder=index.embedder, dimension=index.dimension, layout=index.layout)
            )
            if before is not None:
                self._client.delete_collection(before.files)

    def put(self, documents: Sequence[Indexed], *, gone: Sequence[str] = ()) -> None:
        with self._writing, self._errors():
            self._known = None
            files = self._files()
            self._upsert(files, [point for one in documents for point in one.points])
            stale = [(one.entry.document.id, one.entry.chunks) for one in documents]
            for document_id, kept in (*stale, *((one, 0) for one in gone)):
                self._client.delete(files, _chunks(document_id, kept), wait=True)
            self._keep([one.entry for one in documents])
            self._forget(set(gone))

    def search(self, sought: Sought) -> tuple[list[Found], list[Found]]:
        with self._errors():
            known = self._known
            try:
                return self._search(self._files(), sought)
            except Exception:
                # What we knew may be of an index that somebody has made anew since: look once more.
                self._known = None
                if known is None:
                    raise
                return self._search(self._files(), sought)

    def entries(self) -> Iterator[Entry]:
        # In the order of ids, as the port has it, and the server pages in its own.
        yield from sorted(self._entries(), key=lambda entry: entry.document.id)

    def digests(self) -> dict[str, tuple[str, bool]]:
        with self._errors():
            rows = self._scroll(["id", "digest", "is_builtin"])
            return {row["id"]: (row["digest"], bool(row["is_builtin"])) for row in rows}

    def close(self) -> None:
        self._client.close()

    def _search(self, files: str, sought: Sought) -> tuple[list[Found], list[Found]]:
        by_terms = self._query(files, TERMS, _sparse(sought.terms), sought) if sought.terms.numbers else []
        by_vector = self._query(files, VECTOR, list(sought.vector), sought) if sought.vector else []
        return by_terms, by_vector

    # -- the index ----------------------------------------------------------------------------------------

    def _create(self, files: str, index: Index) -> None:
        dense = models.VectorParams(size=max(1, index.dimension), distance=models.Distance.COSINE)
        self._client.create_collection(
            files,
            vectors_config={VECTOR: dense} if index.dimension else {},
            sparse_vectors_config={TERMS: models.SparseVectorParams(modifier=models.Modifier.IDF)},
        )
        for name in LABELS:
            self._client.create_payload_index(files, name, models.PayloadSchemaType.KEYWORD)

    def _upsert(self, files: str, points: Sequence[Point]) -> None:
        for first in range(0, len(points), POINTS_A_CALL):
            some = [
                models.PointStruct(id=point.id, vector=_vectors(point), payload=payload_of(point))
                for point in points[first : first + POINTS_A_CALL]
            ]
            self._client.upsert(files, some, wait=True)

    def _query(self, files: str, using: str, vector: Any, sought: Sought) -> list[Found]:
        answer = self._client.query_points(
            files,
            query=vector,
            using=using,
            query_filter=_filter(sought.only),
            limit=sought.limit,
            with_payload=True,
        )
        return [found_from(str(one.id), one.score, one.payload) for one in answer.points]

    # -- documents and state ------------------------------------------------------------------------------

    @property
    def _documents(self) -> str:
        return f"{self._name}-documents"

    @property
    def _states(self) -> str:
        return f"{self._name}-state"

    def _entries(self) -> Iterator[Entry]:
        with self._errors():
            for row in self._scroll(True):
                stored = msgspec.json.decode(row["body"], type=_Stored)
                yield Entry(
                    document=stored.document,
                    digest=stored.digest,
                    chunks=stored.chunks,
                    is_builtin=stored.is_builtin,
                )

    def _scroll(self, fields: bool | list[str]) -> Iterator[Mapping[str, Any]]:
        if not self._client.collection_exists(self._documents):
            return
        offset = None
        while True:
            rows, offset = self._client.scroll(
                self._documents, limit=PAGE, offset=offset, with_payload=fields, with_vectors=False
            )
            for row in rows:
                yield row.payload or {}
            if offset is None:
                return

    def _ids(self) -> set[str]:
        return {row["id"] for row in self._scroll(["id"])}

    def _keep(self, entries: Sequence[Entry]) -> None:
        self._ensure(self._documents)
        for first in range(0, len(entries), PAGE):
            points = [
                models.PointStruct(id=_document_id(entry.document.id), vector={}, payload=_row(entry))
                for entry in entries[first : first + PAGE]
            ]
            self._client.upsert(self._documents, points, wait=True)

    def _forget(self, document_ids: set[str]) -> None:
        if document_ids:
            gone = models.PointIdsList(points=[_document_id(one) for one in sorted(document_ids)])
            self._client.delete(self._documents, gone, wait=True)

    def _state(self) -> _State | None:
        if self._known is not None and time.monotonic() - self._known[0] < STATE_AGE_S:
            return self._known[1]
        state = self._stored_state()
        self._known = None if state is None else (time.monotonic(), state)
        return state

    def _stored_state(self) -> _State | None:
        if not self._client.collection_exists(self._states):
            return None
        found = self._client.retrieve(self._states, [STATE_ID])
        return msgspec.convert(found[0].payload, _State) if found else None

    def _set(self, state: _State) -> None:
        self._ensure(self._states)
        point = models.PointStruct(id=STATE_ID, vector={}, payload=msgspec.structs.asdict(state))
        self._client.upsert(self._states, [point], wait=True)
        self._known = (time.monotonic(), state)

    def _files(self) -> str:
        state = self._state()
        if state is None:
            raise StoreError(f"nothing is indexed in {self._name}: run `labverse knowledge rebuild`")
        return state.files

    def _ensure(self, collection: str) -> None:
        if not self._client.collection_exists(collection):
            self._client.create_collection(collection, vectors_config={})

    @contextmanager
    def _errors(self) -> Generator[None]:
        try:
            yield
        except StoreError:
            raise
        except (BadPayloadError, msgspec.DecodeError, KeyError) as error:
            raise StoreError(
                f"{self._name} on the Qdrant server isn't ours ({error}): use another name"
            ) from error
        except Exception as error:  # httpx's, grpc's, pydantic's and its own: they share no base
            said = " ".join(str(error).split())[:ERROR_CHARS_MAX] or type(error).__name__
            raise StoreError(f"the Qdrant server: {said}", is_passing=True) from error


def _row(entry: Entry) -> dict[str, Any]:
    stored = _Stored(
        document=entry.document, digest=entry.digest, chunks=entry.chunks, is_builtin=entry.is_builtin
    )
    return {
        "id": entry.document.id,
        "digest": entry.digest,
        "is_builtin": entry.is_builtin,
        "body": msgspec.json.encode(stored).decode(),
    }


def _document_id(document_id: str) -> str:
    return str(uuid5(_SPACE, document_id))


def _vectors(point: Point) -> dict[str, Any]:
    out: dict[str, Any] = {TERMS: _sparse(point.terms)}
    if point.vector is not None:
        out[VECTOR] = list(point.vector)
    return out


def _sparse(terms: Terms) -> models.SparseVector:
    return models.SparseVector(indices=list(terms.numbers), values=list(terms.weights))


def _filter(only: KnowledgeFilter) -> models.Filter | None:
    conditions: list[Any] = [
        models.FieldCondition(key=name, match=models.MatchAny(any=values))
        for name, values in wanted_labels(only).items()
    ]
    return models.Filter(must=conditions) if conditions else None


def _chunks(document_id: str, first: int) -> models.Filter:
    """Those of a document from a number on."""
    return models.Filter(
        must=[
            models.FieldCondition(key="document", match=models.MatchValue(value=document_id)),
            models.FieldCondition(key="number", range=models.Range(gte=first)),
        ]
    )
