"""Vectors kept by what they were made of, so that a text is embedded once: in SQLite, for any number of processes.

The cache may be deleted at any time. When it can't be used, everything works without it.
"""

import logging
import sqlite3
import threading
from array import array
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Final

from agents.knowledge.embedding import Embedder, Vector

log = logging.getLogger("labverse.knowledge")

ENTRIES_MAX: Final = 200_000
BUSY_S_MAX: Final = 5.0
KEY_BYTES: Final = 20
NUMBER_BYTES: Final = 4

_TABLE: Final = """
create table if not exists vectors (key blob primary key, vector blob not null, number integer not null) without rowid;
create index if not exists vectors_number on vectors (number);
"""


class CachedEmbedder:
    """An embedder that asks another one only for what it hasn't seen. Queries aren't kept."""

    def __init__(self, embedder: Embedder, path: Path) -> None:
        self._embedder = embedder
        self._lock = threading.Lock()
        self._sql: sqlite3.Connection | None = None
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._sql = sqlite3.connect(
                path, timeout=BUSY_S_MAX, isolation_level=None, check_same_thread=False
            )
            self._sql.executescript(_TABLE)
        except (OSError, sqlite3.Error) as error:
            self._give_up(error)

    @property
    def id(self) -> str:
        return self._embedder.id

    def embed_documents(self, texts: Sequence[str], *, timeout_s: float) -> list[Vector]:
        keys = [self._key(text) for text in texts]
        known = self._get(keys)
        unknown = {key: text for key, text in zip(keys, texts, strict=True) if key not in known}
        if unknown:
            vectors = self._embedder.embed_documents(list(unknown.values()), timeout_s=timeout_s)
            new = dict(zip(unknown, vectors, strict=True))
            self._put(new)
            known = {**known, **new}
        return [known[key] for key in keys]

    def embed_query(self, text: str, *, timeout_s: float) -> Vector:
        return self._embedder.embed_query(text, timeout_s=timeout_s)

    def close(self) -> None:
        with self._lock:
            if self._sql is not None:
                self._sql.close()
                self._sql = None

    def _key(self, text: str) -> bytes:
        hashed = blake2b(digest_size=KEY_BYTES, key=blake2b(self.id.encode()).digest())
        hashed.update(text.encode("utf-8", "surrogatepass"))
        return hashed.digest()

    def _get(self, keys: Sequence[bytes]) -> dict[bytes, Vector]:
        marks = ",".join("?" * len(keys))
        try:
            with self._lock:
                if self._sql is None:
                    return {}
                rows = self._sql.execute(
                    f"select key, vector from vectors where key in ({marks})", keys
                ).fetchall()
        except sqlite3.Error as error:
            self._give_up(error)
            return {}
        return {key: tuple(array("f", blob)) for key, blob in rows if blob and len(blob) % NUMBER_BYTES == 0}

    def _put(self, new: Mapping[bytes, Vector]) -> None:
        rows = [(key, array("f", vector).tobytes()) for key, vector in new.items()]
        try:
            with self._lock:
                if self._sql is None:
                    return
                self._sql.execute("begin immediate")
                [last] = self._sql.execute("select coalesce(max(number), 0) from vectors").fetchone()
                self._sql.executemany(
                    "insert or replace into vectors values (?, ?, ?)",
                    ((key, blob, last + place) for place, (key, blob) in enumerate(rows, start=1)),
                )
                self._sql.execute("delete from vectors where number <= ?", (last + len(rows) - ENTRIES_MAX,))
                self._sql.execute("commit")
        except sqlite3.Error as error:
            self._give_up(error)

    def _give_up(self, error: Exception) -> None:
        log.warning("vectors aren't kept: %s", error)
        self.close()
