"""The embedded store: Qdrant's engine in our own process, over files in the data folder.

Any number of processes may use one folder, though the engine means to be alone with its files, and writes to them even
when it closes them. So a version of the index never changes: who changes something does it in a copy, which then is the
next version, and who comes to search loads that, in some 30 ms. A lock is held alone for both, and shared by none. Who
is killed half way leaves a copy that nobody looks at. All can be made anew from the ledger's documents.
"""

import fcntl
import os
import shutil
import threading
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import qdrant_edge as qdrant

from agents.knowledge.bm25 import Terms
from agents.knowledge.store import Entry, Found, Index, Indexed, Point, Sought, StoreError
from orchestrator.knowledge.copying import copy_tree
from orchestrator.knowledge.ledger import Ledger
from orchestrator.knowledge.payload import BadPayloadError, found_from, payload_of, wanted_labels
from schemas.knowledge import KnowledgeFilter

LOCK_S_MAX: Final = 120.0
PREFIX: Final = "index-"
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

    def index(self) -> Index | None:
        return self._ledger.version()[1]

    def replace(self, index: Index, documents: Sequence[Indexed]) -> None:
        with self._next_version() as files:
            files.mkdir()
            shard = qdrant.EdgeShard.create(str(files), _config(index))
            with closing(shard):
                _upsert(shard, documents)
                shard.flush()
            self._ledger.settle([one.entry for one in documents], index=index)

    def put(self, documents: Sequence[Indexed], *, gone: Sequence[str] = ()) -> None:
        with self._next_version() as files:
            copy_tree(self._files(self._sound_version()), files)
            shard = qdrant.EdgeShard.load(str(files))
            with closing(shard):
                stale = [(one.entry.document.id, one.entry.chunks) for one in documents]
                for document_id, kept in (*stale, *((one, 0) for one in gone)):
                    if self._ledger.chunks(document_id) > kept:
                        which = _chunks(document_id, kept)
                        shard.update(qdrant.UpdateOperation.delete_points_by_filter(which))
                _upsert(shard, documents)
                shard.flush()
            self._ledger.settle([one.entry for one in documents], gone=gone)

    def search(self, sought: Sought) -> tuple[list[Found], list[Found]]:
        with self._lock, self._engine_errors():
            shard = self._newest()
            by_terms = _query(shard, TERMS, _sparse(sought.terms), sought) if sought.terms.numbers else []
            by_vector = _query(shard, VECTOR, list(sought.vector), sought) if sought.vector else []
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

    def _files(self, version: int) -> Path:
        return self._folder / f"{PREFIX}{version}"

    def _sound_version(self) -> int:
        version, index = self._ledger.version()
        if index is None:
            raise StoreError(f"there is no index that can be relied on: {REMEDY}")
        return version

    def _newest(self) -> qdrant.EdgeShard:
        """The newest version, loaded."""
        version = self._sound_version()
        if self._shard is None or version != self._version:
            with self._held():
                self._drop()
                version = self._sound_version()
                try:
                    self._shard = qdrant.EdgeShard.load(str(self._files(version)))
                except BaseException:
                    self._ledger.doubt()  # so that whoever opens the collection next makes it anew
                    raise
                self._version = version
        return self._shard

    def _drop(self) -> None:
        shard, self._shard = self._shard, None
        if shard is not None:
            # Its files may be gone, being an old version's: what it would write there is nobody's loss.
            with suppress(Exception):
                shard.close()

    @contextmanager
    def _next_version(self) -> Generator[Path]:
        """Where to write the next version, alone; afterwards older ones are removed, and what was left half done."""
        with self._lock, self._engine_errors(), self._held():
            before, _ = self._ledger.version()
            files = self._files(before + 1)
            shutil.rmtree(files, ignore_errors=True)
            yield files
            for old in self._folder.glob(f"{PREFIX}*"):
                if old != files:
                    shutil.rmtree(old, ignore_errors=True)

    @contextmanager
    def _held(self) -> Generator[None]:
        if self._lock_file < 0:
            raise StoreError("the collection is closed")
        until_s = time.monotonic() + LOCK_S_MAX
        while not _flock(self._lock_file):
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
            raise StoreError(f"{self._folder} can't be used ({error}): {REMEDY}") from error
        except Exception as error:  # the engine has no type of its own for its errors
            said = " ".join(str(error).split())[:ERROR_CHARS_MAX]
            raise StoreError(f"the index in {self._folder} fails ({said}): {REMEDY}") from error


def _query(shard: qdrant.EdgeShard, using: str, vector: Any, sought: Sought) -> list[Found]:
    request = qdrant.QueryRequest(
        limit=sought.limit,
        query=qdrant.Query.Nearest(vector, using=using),
        filter=_filter(sought.only),
        with_payload=True,
    )
    return [found_from(str(one.id), one.score, one.payload) for one in shard.query(request)]


def _upsert(shard: qdrant.EdgeShard, documents: Sequence[Indexed]) -> None:
    points = [point for one in documents for point in one.points]
    for first in range(0, len(points), POINTS_A_CALL):
        some = [
            qdrant.Point(point.id, _vectors(point), payload_of(point))
            for point in points[first : first + POINTS_A_CALL]
        ]
        shard.update(qdrant.UpdateOperation.upsert_points(some))


def _flock(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
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
