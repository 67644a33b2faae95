"""Collection: documents that can be searched, by their words and, with an embedder, by their meaning.

Vectors of different embedders are never compared: the store says whose it holds, and another embedder is refused with
the remedy. Without an embedder, or while it doesn't answer, words alone rank, and the answer says so.
"""

import logging
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from agents.knowledge.bm25 import weigh_query
from agents.knowledge.chunks import chunks_of
from agents.knowledge.embedding import Embedder, EmbedderError, Vector
from agents.knowledge.hits import candidates, hits_of
from agents.knowledge.indexing import KnowledgeError, digest_of, dimension_of, indexed, outdated
from agents.knowledge.store import DOCUMENTS_MAX, Entry, Index, Indexed, Sought, Store, StoreError
from schemas.knowledge import (
    AddOutcome,
    Document,
    KnowledgeAddReply,
    KnowledgeSearchReply,
    KnowledgeSearchRequest,
    SearchMethod,
)

log = logging.getLogger("labverse.knowledge")

LAYOUT: Final = 1
"""To be raised when chunks, terms or what is embedded of a chunk change: older indexes are then made anew."""
QUERY_EMBED_S_MAX: Final = 5.0
REMEDY: Final = "run `labverse knowledge rebuild`"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rebuilt:
    """What a collection was made anew from. `note` says why it has no vectors."""

    documents: int
    chunks: int
    embedder: str
    note: str = ""


@dataclass(eq=False, slots=True, kw_only=True)
class Collection:
    """To be opened with `open` before anything else. Calls block, and are safe from several threads.

    Every method raises StoreError when the store doesn't do its part.

    Args:
        builtin: documents that every collection has; one that a user added under the same id counts instead.
    """

    store: Store
    embedder: Embedder | None = None
    builtin: Sequence[Document] = ()
    _writing: threading.Lock = field(default_factory=threading.Lock)

    def open(self, *, timeout_s: float) -> None:
        """Index what isn't yet: everything at first, later what changed of the built-in documents."""
        until_s = time.monotonic() + timeout_s
        with self._writing:
            index = self.store.index()
            if index is None or index.layout != LAYOUT or self._may_gain_vectors(index):
                self._replace_as_can_be(until_s)
            else:
                self._refresh(index, until_s)

    def search(
        self, request: KnowledgeSearchRequest, *, timeout_s: float = QUERY_EMBED_S_MAX
    ) -> KnowledgeSearchReply:
        """What fits best.

        Args:
            timeout_s: for the query's vector; words alone rank when it doesn't come in time.

        Raises:
            KnowledgeError: nothing to look for, or the vectors are another embedder's.
        """
        if not request.query.strip():
            raise KnowledgeError("the query is empty: say what to look for")
        vector, note = self._query_vector(request.query, timeout_s)
        terms = weigh_query(request.query)
        sought = Sought(terms=terms, vector=vector, only=request.only, limit=candidates(request))
        by_terms, by_vector = self.store.search(sought)
        if vector is None or self.embedder is None:
            hits, methods, embedder = hits_of(request, by_terms, None), (SearchMethod.BM25,), ""
            return KnowledgeSearchReply(hits=hits, methods=methods, embedder=embedder, note=note)
        return KnowledgeSearchReply(
            hits=hits_of(request, by_terms, by_vector),
            methods=(SearchMethod.BM25, SearchMethod.DENSE),
            embedder=self.embedder.id,
        )

    def add(self, documents: Sequence[Document], *, timeout_s: float) -> list[KnowledgeAddReply]:
        """Add documents, all or none of them; one under an id that is there replaces it.

        Raises:
            KnowledgeError: a document has no text, or too much of it; there would be too many; or the vectors are
                another embedder's.
            EmbedderError: there are no vectors to be had now.
        """
        until_s = time.monotonic() + timeout_s
        with self._writing:
            index = self._index()
            have = self.store.digests()
            last = {document.id: document for document in documents}
            if len(have.keys() | last.keys()) > DOCUMENTS_MAX:
                raise KnowledgeError(f"more than {DOCUMENTS_MAX} documents: delete some first")
            changed = [one for one in last.values() if have.get(one.id) != (digest_of(one), False)]
            if changed and self._may_gain_vectors(index):
                self._replace(self.embedder, until_s, more=changed)
                index = self._index()
            elif changed:
                self.store.put(self._indexed(changed, index, until_s))
        chunks = {one.id: len(chunks_of(one.text)) for one in changed}
        note = _why_no_vectors(index, self.embedder)
        return [
            KnowledgeAddReply(
                document_id=one,
                outcome=_outcome(is_changed=one in chunks, is_known=one in have),
                chunks=chunks.get(one, 0),
                note=note,
            )
            for one in last
        ]

    def delete(self, document_id: str, *, timeout_s: float) -> None:
        """Remove a document; a built-in one that it stood for comes back.

        Raises:
            KnowledgeError: there is none of this id, or it is built in.
        """
        until_s = time.monotonic() + timeout_s
        with self._writing:
            index = self._index()
            known = self.store.digests().get(document_id)
            if known is None:
                raise KnowledgeError(
                    f"no document {document_id!r}: `labverse knowledge list` shows their ids"
                )
            if known[1]:
                raise KnowledgeError(
                    f"{document_id!r} is built in: add one of yours under its id to replace it"
                )
            self.store.put((), gone=(document_id,))
            self._refresh(index, until_s)

    def index(self) -> Index | None:
        """Whose vectors there are."""
        return self.store.index()

    def entries(self) -> Iterator[Entry]:
        """All documents, by id."""
        return self.store.entries()

    def rebuild(self, *, timeout_s: float) -> Rebuilt:
        """Index everything anew, with the embedder that there is now.

        Raises:
            EmbedderError: it gives no vectors; what was there stays.
        """
        with self._writing:
            return self._replace(self.embedder, time.monotonic() + timeout_s)

    def close(self) -> None:
        self.store.close()

    def _index(self) -> Index:
        index = self.store.index()
        if index is None:
            raise StoreError(f"the index can't be read: {REMEDY}")
        return index

    def _may_gain_vectors(self, index: Index) -> bool:
        """Making an index of built-in documents alone anew costs nobody what is theirs."""
        if self.embedder is None or index.embedder:
            return False
        return all(is_builtin for _, is_builtin in self.store.digests().values())

    def _query_vector(self, query: str, timeout_s: float) -> tuple[Vector | None, str]:
        """The query's vector, or why there is none."""
        index = self._index()
        reason = _why_no_vectors(index, self.embedder)
        if reason or self.embedder is None:
            return None, reason
        try:
            vector = self.embedder.embed_query(query, timeout_s=timeout_s)
        except EmbedderError as error:
            log.info("searching by words alone: %s", error)
            return None, f"by words alone: {error}"
        _refuse_dimension(index, len(vector), self.embedder)
        return vector, ""

    def _indexed(
        self, documents: Sequence[Document], index: Index, until_s: float, *, is_builtin: bool = False
    ) -> list[Indexed]:
        embedder = None if _why_no_vectors(index, self.embedder) else self.embedder
        ready = indexed(documents, embedder, until_s, is_builtin=is_builtin)
        if embedder is not None and ready:
            _refuse_dimension(index, dimension_of(ready), embedder)
        return ready

    def _refresh(self, index: Index, until_s: float) -> None:
        """Bring the built-in documents up to date, if that is possible now."""
        put, gone = outdated({one.id: digest_of(one) for one in self.builtin}, self.store.digests())
        if not (put or gone):
            return
        try:
            changed = [one for one in self.builtin if one.id in put]
            self.store.put(self._indexed(changed, index, until_s, is_builtin=True), gone=gone)
        except (EmbedderError, KnowledgeError) as error:
            log.warning("the built-in documents stay as they are for now: %s", error)

    def _replace_as_can_be(self, until_s: float) -> None:
        try:
            self._replace(self.embedder, until_s)
        except EmbedderError as error:
            log.warning("indexing words alone: %s", error)
            self._replace(None, until_s)

    def _replace(self, embedder: Embedder | None, until_s: float, more: Sequence[Document] = ()) -> Rebuilt:
        """Index all documents anew, and `more`, each in the place of one with its id."""
        own = {entry.document.id: entry.document for entry in self.store.entries() if not entry.is_builtin}
        own |= {one.id: one for one in more}
        builtin = [one for one in self.builtin if one.id not in own]
        ready = [
            *indexed(list(own.values()), embedder, until_s),
            *indexed(builtin, embedder, until_s, is_builtin=True),
        ]
        dimension = dimension_of(ready)
        # Where nothing was embedded, any embedder may come.
        name = embedder.id if embedder is not None and dimension else ""
        self.store.replace(Index(embedder=name, dimension=dimension, layout=LAYOUT), ready)
        return Rebuilt(
            documents=len(ready),
            chunks=sum(one.entry.chunks for one in ready),
            embedder=name,
            note="" if name else "by words alone: there is no embedder",
        )


def _outcome(*, is_changed: bool, is_known: bool) -> AddOutcome:
    if not is_changed:
        return AddOutcome.UNCHANGED
    return AddOutcome.REPLACED if is_known else AddOutcome.ADDED


def _why_no_vectors(index: Index, embedder: Embedder | None) -> str:
    """Why words alone count; empty when the embedder's vectors can be compared with those of the index.

    Raises:
        KnowledgeError: the vectors of the index are another embedder's.
    """
    if embedder is None:
        there = f", though the collection has vectors of {index.embedder}" if index.embedder else ""
        return f"by words alone: there is no embedder{there}"
    if not index.embedder:
        return f"by words alone: the collection has no vectors; {REMEDY} to add those of {embedder.id}"
    if index.embedder != embedder.id:
        raise KnowledgeError(
            f"the collection has vectors of {index.embedder}, which can't be compared with those of {embedder.id}: "
            f"{REMEDY}, or choose {index.embedder}"
        )
    return ""


def _refuse_dimension(index: Index, dimension: int, embedder: Embedder) -> None:
    if index.dimension != dimension:
        raise KnowledgeError(
            f"{embedder.id} gives vectors of {dimension} numbers, the collection has {index.dimension}: {REMEDY}"
        )
