"""Vectors kept by what they were made of, so that a text is embedded once: in SQLite, for any number of processes.

Those of the built-in documents come with the program (see `shipped`). The cache may be deleted at any time; when it
can't be used, everything works without it.
"""

import logging
import sqlite3
from array import array
from collections.abc import Generator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

from agents.knowledge.embedding import Embedder, Vector, vector_key
from orchestrator.knowledge.shipped import read_vectors

log = logging.getLogger("labverse.knowledge")

ENTRIES_MAX: Final = 200_000
BUSY_S_MAX: Final = 5.0
NUMBER_BYTES: Final = 4

_TABLE: Final = """
create table if not exists vectors (key blob primary key, vector blob not null, number integer not null) without rowid;
create index if not exists vectors_number on vectors (number);
"""


class CachedEmbedder:
    """An embedder that asks another one only for what it hasn't seen. Queries aren't kept.

    Args:
        shipped: vectors that come with the program; they count if they are of this embedder.
    """

    def __init__(self, embedder: Embedder, path: Path, shipped: Path | None = None) -> None:
        self._embedder = embedder
        self._shipped_path = shipped
        self._shipped: Mapping[bytes, Vector] | None = None
        self._path: Path | None = path

    @property
    def id(self) -> str:
        return self._embedder.id

    def embed_documents(self, texts: Sequence[str], *, timeout_s: float) -> list[Vector]:
        keys = [vector_key(self.id, text) for text in texts]
        known = self._get(keys)
        if len(known) < len(set(keys)):
            known = {**self._shipped_vectors(), **known}
        unknown = {key: text for key, text in zip(keys, texts, strict=True) if key not in known}
        if unknown:
            vectors = self._embedder.embed_documents(list(unknown.values()), timeout_s=timeout_s)
            new = dict(zip(unknown, vectors, strict=True))
            self._put(new)
            known = {**known, **new}
        return [known[key] for key in keys]

    def embed_query(self, text: str, *, timeout_s: float) -> Vector:
        return self._embedder.embed_query(text, timeout_s=timeout_s)

    def _shipped_vectors(self) -> Mapping[bytes, Vector]:
        if self._shipped is None:
            self._shipped = read_vectors(self._shipped_path, self.id) if self._shipped_path else {}
        return self._shipped

    def _get(self, keys: Sequence[bytes]) -> dict[bytes, Vector]:
        marks = ",".join("?" * len(keys))
        try:
            with self._opened() as sql:
                rows = sql.execute(f"select key, vector from vectors where key in ({marks})", keys).fetchall()
        except (OSError, sqlite3.Error) as error:
            self._give_up(error)
            return {}
        return {key: tuple(array("f", blob)) for key, blob in rows if blob and len(blob) % NUMBER_BYTES == 0}

    def _put(self, new: Mapping[bytes, Vector]) -> None:
        rows = [(key, array("f", vector).tobytes()) for key, vector in new.items()]
        try:
            with self._opened() as sql:
                sql.execute("begin immediate")
                [last] = sql.execute("select coalesce(max(number), 0) from vectors").fetchone()
                sql.executemany(
                    "insert or replace into vectors values (?, ?, ?)",
                    ((key, blob, last + place) for place, (key, blob) in enumerate(rows, start=1)),
                )
                sql.execute("delete from vectors where number <= ?", (last + len(rows) - ENTRIES_MAX,))
                sql.execute("commit")
        except (OSError, sqlite3.Error) as error:
            self._give_up(error)

    @contextmanager
    def _opened(self) -> Generator[sqlite3.Connection]:
        """The file, opened for one use: nothing to close in the end, and no thread waits for another."""
        if self._path is None:
            raise sqlite3.Error("given up before")
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(self._path, timeout=BUSY_S_MAX, isolation_level=None)) as sql:
            sql.executescript(_TABLE)
            yield sql

    def _give_up(self, error: Exception) -> None:
        if self._path is not None:
            log.warning("vectors aren't kept: %s: %s", self._path, error)
        self._path = None
