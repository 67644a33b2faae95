"""The embedded store: Qdrant's engine in our own process, over files in the data folder.

Any number of processes may use one folder. Searches share a lock on it, writers have it alone; who comes to search
after somebody wrote loads the files anew, which takes some 30 ms. The engine's files are made from the ledger's
documents and can be made again, so they need no log of their own.
"""

import fcntl
import os
import shutil
import threading
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import qdrant_edge as qdrant

from agents.knowledge.bm25 import Terms
from agents.knowledge.store import Entry, Found, Index, Indexed, Point, Sought, StoreError
from orchestrator.knowledge.ledger import Ledger
from orchestrator.knowledge.payload import BadPayloadError, found_from, payload_of, wanted_labels
from schemas.knowledge import KnowledgeFilter

LOCK_S_MAX: Final = 120.0
LOCK_POLL_S: Final = 0.01
POINTS_A_CALL: Final = 500
THREADS: Final = 1
"""For the searches within one: a collection of ours is small."""
TERMS: Final = "bm25"
VECTOR: Final = "dense"
ERROR_CHARS_MAX: Final = 200
REMEDY: Final = "run `labverse knowledge rebuild`"


class EdgeStore:
    """A collection in `folder`.

    Raises:
        StoreError: the folder can't be used.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ledger = Ledger(folder / "documents.db")
        self._lock = threading.Lock()
        self._shard: qdrant.EdgeShard | None = None
        self._version = -1
        try:
            self._lock_file = os.open(folder / "index.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            self._ledger.close()
            raise StoreError(f"{folder} can't be used: {error.strerror}") from error

    @property
    def _files(self) -> Path:
        return self._folder / "index"

    def index(self) -> Index | None:
        return self._ledger.version()[1]

    def replace(self, index: Index, documents: Sequence[Indexed]) -> None:
        with self._alone(anew=True):
            self._drop()
            shutil.rmtree(self._files, ignore_errors=True)
            self._files.mkdir(parents=True)
            self._shard = qdrant.EdgeShard.create(str(self._files), _config(index))
            self._upsert([point for one in documents for point in one.points])
            self._shard.flush()
            self._version = self._ledger.settle([one.entry for one in documents], index=index)

    def put(self, documents: Sequence[Indexed], *, gone: Sequence[str] = ()) -> None:
        with self._alone():
            assert self._shard is not None
            self._upsert([point for one in documents for point in one.points])
            for document_id, kept in ((one.entry.document.id, one.entry.chunks) for one in documents):
                if self._ledger.chunks(document_id) > kept:
                    self._shard.update(
                        qdrant.UpdateOperation.delete_points_by_filter(_chunks(document_id, kept))
                    )
            for document_id in gone:
                self._shard.update(qdrant.UpdateOperation.delete_points_by_filter(_chunks(document_id, 0)))
            self._shard.flush()
            self._version = self._ledger.settle([one.entry for one in documents], gone=gone)

    def search(self, sought: Sought) -> tuple[list[Found], list[Found]]:
        with self._held(fcntl.LOCK_SH), self._engine_errors():
            self._load()
            by_terms = self._query(TERMS, _sparse(sought.terms), sought) if sought.terms.numbers else []
            by_vector = self._query(VECTOR, list(sought.vector), sought) if sought.vector else []
        return by_terms, by_vector

    def entries(self) -> Iterator[Entry]:
        return self._ledger.entries()

    def digests(self) -> dict[str, tuple[str, bool]]:
        return self._ledger.digests()

    def close(self) -> None:
        with self._lock:
            self._drop()
            if self._lock_file >= 0:
                os.close(self._lock_file)
                self._lock_file = -1
        self._ledger.close()

    def _query(self, using: str, vector: Any, sought: Sought) -> list[Found]:
        assert self._shard is not None
        request = qdrant.QueryRequest(
            limit=sought.limit,
            query=qdrant.Query.Nearest(vector, using=using),
            filter=_filter(sought.only),
            with_payload=True,
        )
        return [found_from(str(one.id), one.score, one.payload) for one in self._shard.query(request)]

    def _upsert(self, points: Sequence[Point]) -> None:
        assert self._shard is not None
        for first in range(0, len(points), POINTS_A_CALL):
            some = [
                qdrant.Point(point.id, _vectors(point), payload_of(point))
                for point in points[first : first + POINTS_A_CALL]
            ]
            self._shard.update(qdrant.UpdateOperation.upsert_points(some))

    def _load(self) -> None:
        """Have the newest files open.

        Raises:
            StoreError: there are none that can be relied on.
        """
        version, index = self._ledger.version()
        if index is None:
            raise StoreError(f"the index can't be relied on: {REMEDY}")
        if self._shard is None or version != self._version:
            self._drop()
            try:
                self._shard = qdrant.EdgeShard.load(str(self._files))
            except BaseException:
                self._ledger.doubt()  # so that whoever opens the collection next makes it anew
                raise
            self._version = version

    def _drop(self) -> None:
        if self._shard is not None:
            self._shard.close()
            self._shard = None

    @contextmanager
    def _alone(self, *, anew: bool = False) -> Generator[None]:
        """For a change: until it is through, the index counts as one that can't be relied on."""
        with self._held(fcntl.LOCK_EX), self._engine_errors():
            if not anew:
                self._load()
            self._ledger.doubt()
            yield

    @contextmanager
    def _held(self, how: int) -> Generator[None]:
        until_s = time.monotonic() + LOCK_S_MAX
        with self._lock:
            if self._lock_file < 0:
                raise StoreError("the collection is closed")
            while not _flock(self._lock_file, how):
                if time.monotonic() > until_s:
                    message = f"{self._folder} was held by another process for {LOCK_S_MAX:.0f} s: try again"
                    raise StoreError(message, is_passing=True)
                time.sleep(LOCK_POLL_S)
            try:
                yield
            finally:
                fcntl.flock(self._lock_file, fcntl.LOCK_UN)

    @contextmanager
    def _engine_errors(self) -> Generator[None]:
        try:
            yield
        except StoreError:
            raise
        except (BadPayloadError, OSError) as error:
            self._drop()
            raise StoreError(f"{self._files} can't be used ({error}): {REMEDY}") from error
        except Exception as error:  # the engine has no type of its own for its errors
            self._drop()
            said = " ".join(str(error).split())[:ERROR_CHARS_MAX]
            raise StoreError(f"the index in {self._files} fails ({said}): {REMEDY}") from error


def _flock(file: int, how: int) -> bool:
    try:
        fcntl.flock(file, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _config(index: Index) -> qdrant.EdgeConfig:
    vectors = {VECTOR: qdrant.EdgeVectorParams(size=index.dimension, distance=qdrant.Distance.Cosine)}
    return qdrant.EdgeConfig(
        vectors=vectors if index.dimension else None,
        sparse_vectors={TERMS: qdrant.EdgeSparseVectorParams(modifier=qdrant.Modifier.Idf)},
        max_search_threads=THREADS,
        wal_enabled=False,
    )


def _vectors(point: Point) -> dict[str, Any]:
    out: dict[str, Any] = {TERMS: _sparse(point.terms)}
    if point.vector is not None:
        out[VECTOR] = list(point.vector)
    return out


def _sparse(terms: Terms) -> qdrant.SparseVector:
    return qdrant.SparseVector(list(terms.numbers), list(terms.weights))


def _filter(only: KnowledgeFilter) -> qdrant.Filter | None:
    conditions: list[Any] = [
        qdrant.FieldCondition(name, match=qdrant.MatchAny(values))
        for name, values in wanted_labels(only).items()
    ]
    return qdrant.Filter(must=conditions) if conditions else None


def _chunks(document_id: str, first: int) -> qdrant.Filter:
    """Those of a document from a number on."""
    return qdrant.Filter(
        must=[
            qdrant.FieldCondition("document", match=qdrant.MatchValue(document_id)),
            qdrant.FieldCondition("number", range=qdrant.RangeFloat(gte=first)),
        ]
    )
