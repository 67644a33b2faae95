"""What an embedded collection holds, in SQLite: the documents, and which version of the index is over them.

The documents outlive the index. A version is named here once it is complete, together with the documents that it is of:
who is killed before that has changed nothing.
"""

import sqlite3
import threading
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec

from agents.knowledge.store import Entry, Index, StoreError
from schemas.knowledge import Document

BUSY_S_MAX: Final = 30.0
PAGE: Final = 200
FORMAT: Final = 1

_TABLES: Final = """
create table if not exists documents
    (id text primary key, digest text not null, chunks integer not null, builtin integer not null, body blob not null)
    without rowid;
create table if not exists state
    (one integer primary key check (one = 1), version integer not null, sound integer not null, embedder text not null,
     dimension integer not null, layout integer not null);
insert or ignore into state values (1, 0, 0, '', 0, 0);
"""
_decode = msgspec.json.Decoder(Document).decode


class Ledger:
    """One file, for any number of processes and threads.

    Raises:
        StoreError: the file can't be opened, is no such file, or is one of a newer program.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        with self._errors():
            path.parent.mkdir(parents=True, exist_ok=True)
            self._sql = sqlite3.connect(
                path, timeout=BUSY_S_MAX, isolation_level=None, check_same_thread=False
            )
        try:
            with self._errors():
                self._prepare()
        except StoreError:
            self._sql.close()
            raise

    def _prepare(self) -> None:
        [found] = self._sql.execute("pragma user_version").fetchone()
        if found > FORMAT:
            raise StoreError(f"{self._path} is of a newer version of Labverse: use that one")
        if found < FORMAT:
            self._sql.execute("pragma journal_mode = wal")
            self._sql.executescript(f"begin immediate; {_TABLES} pragma user_version = {FORMAT}; commit;")
        self._sql.execute("pragma synchronous = full")

    def version(self) -> tuple[int, Index | None]:
        """Of the index, and what it is of; None when it can't be relied on."""
        with self._transaction(writes=False):
            row = self._sql.execute(
                "select version, sound, embedder, dimension, layout from state"
            ).fetchone()
        version, is_sound, embedder, dimension, layout = row
        index = Index(embedder=embedder, dimension=dimension, layout=layout)
        return version, index if is_sound and version else None

    def doubt(self) -> None:
        """Note that the index can't be relied on, until there is a next one."""
        with self._transaction():
            self._sql.execute("update state set sound = 0")

    def settle(self, put: Iterable[Entry], *, gone: Iterable[str] = (), index: Index | None = None) -> None:
        """Note that the next version of the index is complete, and what it is of.

        Args:
            index: of an index made anew from `put` alone; None when it is the same.
        """
        with self._transaction():
            if index is not None:
                self._sql.execute("delete from documents")
                values = (index.embedder, index.dimension, index.layout)
                self._sql.execute("update state set embedder = ?, dimension = ?, layout = ?", values)
            self._sql.executemany("delete from documents where id = ?", ((one,) for one in gone))
            self._sql.executemany(
                "insert or replace into documents values (?, ?, ?, ?, ?)", (_row(entry) for entry in put)
            )
            self._sql.execute("update state set sound = 1, version = version + 1")

    def entries(self) -> Iterator[Entry]:
        """All documents, by id, some at a time."""
        after = ""
        while True:
            with self._transaction(writes=False):
                rows = self._sql.execute(
                    "select id, digest, chunks, builtin, body from documents where id > ? order by id limit ?",
                    (after, PAGE),
                ).fetchall()
            if not rows:
                return
            with self._errors():
                yield from map(_entry, rows)
            after = rows[-1][0]

    def digests(self) -> dict[str, tuple[str, bool]]:
        with self._transaction(writes=False):
            rows = self._sql.execute("select id, digest, builtin from documents").fetchall()
        return {one: (digest, bool(builtin)) for one, digest, builtin in rows}

    def chunks(self, document_id: str) -> int:
        """Of a document; 0 when there is none of this id."""
        with self._transaction(writes=False):
            row = self._sql.execute("select chunks from documents where id = ?", (document_id,)).fetchone()
        return int(row[0]) if row else 0

    def close(self) -> None:
        with self._lock:
            self._sql.close()

    @contextmanager
    def _transaction(self, *, writes: bool = True) -> Generator[None]:
        with self._lock, self._errors():
            self._sql.execute("begin immediate" if writes else "begin")
            try:
                yield
            except BaseException:
                self._sql.execute("rollback")
                raise
            self._sql.execute("commit")

    @contextmanager
    def _errors(self) -> Generator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:
            raise StoreError(f"{self._path}: {error}", is_passing="locked" in str(error)) from error
        except (OSError, sqlite3.Error, msgspec.DecodeError) as error:
            message = f"{self._path} can't be used ({error}): move it away, then add your documents again"
            raise StoreError(message) from error


def _row(entry: Entry) -> tuple[str, str, int, int, bytes]:
    body = msgspec.json.encode(entry.document)
    return entry.document.id, entry.digest, entry.chunks, int(entry.is_builtin), body


def _entry(row: tuple[str, str, int, int, bytes]) -> Entry:
    _, digest, chunks, builtin, body = row
    return Entry(document=_decode(body), digest=digest, chunks=chunks, is_builtin=bool(builtin))
