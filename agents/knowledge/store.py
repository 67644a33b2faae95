"""Store: the port that a collection keeps its chunks and documents behind.

One engine lives in our own process and files, the other is a server; both rank, neither embeds nor fuses. Calls block,
and are safe from several threads.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Protocol
from uuid import UUID, uuid5

from agents.knowledge.bm25 import Terms
from agents.knowledge.chunks import Chunk
from agents.knowledge.embedding import Vector
from schemas.knowledge import Document, KnowledgeFilter

CANDIDATES_MAX: Final = 400
"""Most that a method ranks for one search."""
DOCUMENTS_MAX: Final = 10_000
CHUNKS_MAX: Final = 100_000

_SPACE: Final = UUID("7f3c1f0e-9c3f-5a8e-8a55-6c1d2d7c4b10")


class StoreError(Exception):
    """Raised when the store can't do what it was asked; one line that says what to do.

    Attributes:
        is_passing: whether it may work a little later.
    """

    def __init__(self, message: str, *, is_passing: bool = False) -> None:
        super().__init__(message)
        self.is_passing = is_passing


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """What the vectors of a collection are: they can only be compared with others of the same kind.

    Attributes:
        embedder: id; empty when there are none.
        dimension: numbers in a vector; 0 when there are none.
        layout: of the chunks, so that a newer program knows an older one's.
    """

    embedder: str = ""
    dimension: int = 0
    layout: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A document as it is kept.

    Attributes:
        digest: of the document, so that the same one needn't be indexed again.
        is_builtin: it came with the program.
    """

    document: Document
    digest: str
    chunks: int
    is_builtin: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A chunk with what it is found by.

    Attributes:
        number: of the chunk in its document, from 0.
        vector: None in an index without vectors.
    """

    document: Document
    number: int
    chunk: Chunk
    terms: Terms
    vector: Vector | None

    @property
    def id(self) -> str:
        """The same for the same place in the same document."""
        return str(uuid5(_SPACE, f"{self.number}/{self.document.id}"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Indexed:
    """A document, ready to be stored."""

    entry: Entry
    points: Sequence[Point]


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A chunk as a method found it; `score` is the method's own."""

    point_id: str
    score: float
    document: Document
    chunk: Chunk


@dataclass(frozen=True, slots=True, kw_only=True)
class Sought:
    """What is searched for; an empty side isn't searched."""

    terms: Terms
    vector: Vector | None
    only: KnowledgeFilter
    limit: int


class Store(Protocol):
    """Every method raises StoreError."""

    def index(self) -> Index | None:
        """What is indexed; None when nothing is yet, or what was there can't be relied on: `replace` it."""
        ...

    def replace(self, index: Index, documents: Sequence[Indexed]) -> None:
        """Begin anew with these documents; those who search meanwhile find the old ones or these."""
        ...

    def put(self, documents: Sequence[Indexed], *, gone: Sequence[str] = ()) -> None:
        """Add documents, in the place of those with their ids, and remove those with the ids `gone`."""
        ...

    def search(self, sought: Sought) -> tuple[list[Found], list[Found]]:
        """What BM25 finds and what the vectors find, each best first; the texts of the documents are left out."""
        ...

    def entries(self) -> Iterator[Entry]:
        """All documents with their texts, by id. They outlive the index."""
        ...

    def digests(self) -> dict[str, tuple[str, bool]]:
        """Of all documents by id: digest, and whether they are built in."""
        ...

    def close(self) -> None: ...
