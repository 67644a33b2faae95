"""Knowledge: documents that agents look things up in, what is asked of them, and what is found.

A document is Markdown or plain text. It is kept in chunks: slices of its text with their offsets, in characters. A
search ranks chunks by their words (BM25) and, where there is an embedder, by meaning (cosine), and fuses both.
"""

import enum
from typing import Annotated, Final

import msgspec
from msgspec import Meta

DOCUMENT_CHARS_MAX: Final = 400_000
QUERY_CHARS_MAX: Final = 4_000
HITS_MAX: Final = 100
LABELS_MAX: Final = 64
LABEL_CHARS_MAX: Final = 100
ID_CHARS_MAX: Final = 200
TITLE_CHARS_MAX: Final = 300

Label = Annotated[str, Meta(min_length=1, max_length=LABEL_CHARS_MAX)]
Labels = Annotated[tuple[Label, ...], Meta(max_length=LABELS_MAX)]
DocumentId = Annotated[str, Meta(min_length=1, max_length=ID_CHARS_MAX)]


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """A document, without its front matter.

    Attributes:
        id: a document added under an id that is there already replaces it.
        area: what it is about at large, such as `security`.
        cwes: weaknesses it treats, each as `CWE-89`.
        languages: that it applies to, such as `python`; none means any.
        source: where it came from, for people: a path or an address.
    """

    id: DocumentId
    text: Annotated[str, Meta(max_length=DOCUMENT_CHARS_MAX)]
    title: Annotated[str, Meta(max_length=TITLE_CHARS_MAX)] = ""
    area: Annotated[str, Meta(max_length=LABEL_CHARS_MAX)] = ""
    cwes: Labels = ()
    tags: Labels = ()
    languages: Labels = ()
    source: Annotated[str, Meta(max_length=4096)] = ""


class KnowledgeFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which documents count: of each field that is given, at least one value must fit.

    Attributes:
        languages: documents that apply to any language fit too.
        documents: ids.
    """

    areas: Labels = ()
    cwes: Labels = ()
    tags: Labels = ()
    languages: Labels = ()
    documents: Annotated[tuple[DocumentId, ...], Meta(max_length=LABELS_MAX)] = ()


class KnowledgeSearchRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What to look for.

    Attributes:
        k: most hits wanted.
        score_min: 0 to 1; hits with a lower fused score are left out.
        per_document_max: most hits of one document; 0 means any number.
    """

    query: Annotated[str, Meta(max_length=QUERY_CHARS_MAX)]
    k: Annotated[int, Meta(ge=1, le=HITS_MAX)] = 5
    score_min: Annotated[float, Meta(ge=0.0, le=1.0)] = 0.0
    only: KnowledgeFilter = KnowledgeFilter()
    per_document_max: Annotated[int, Meta(ge=0, le=HITS_MAX)] = 0


class HitScores(msgspec.Struct, frozen=True, kw_only=True):
    """How well a chunk fits, method by method.

    Attributes:
        fused: 0 to 1; 1 is what every method that ran put first.
        bm25, dense: the methods' own scores (dense: cosine); None when the chunk wasn't among a method's best.
        bm25_rank, dense_rank: from 1; 0 when it wasn't.
    """

    fused: float
    bm25: float | None = None
    bm25_rank: int = 0
    dense: float | None = None
    dense_rank: int = 0


class KnowledgeHit(msgspec.Struct, frozen=True, kw_only=True):
    """A chunk that was found.

    Attributes:
        headings: of the document that the chunk stands under, outermost first.
        text: characters `start` to `end` of the document's text.
    """

    document_id: str
    title: str
    headings: tuple[str, ...]
    text: str
    start: int
    end: int
    scores: HitScores
    area: str = ""
    cwes: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()
    source: str = ""


class SearchMethod(enum.StrEnum):
    """A way to rank chunks."""

    BM25 = "bm25"
    DENSE = "dense"


class KnowledgeSearchReply(msgspec.Struct, frozen=True, kw_only=True):
    """What was found, best first.

    Attributes:
        methods: that ran.
        embedder: whose vectors were compared; empty when there was none.
        note: why not every method ran; empty when all did.
    """

    hits: tuple[KnowledgeHit, ...]
    methods: tuple[SearchMethod, ...]
    embedder: str = ""
    note: str = ""


class KnowledgeAddRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Add a document, or put it in the place of the one with its id."""

    document: Document


class AddOutcome(enum.StrEnum):
    """What became of a document that was added."""

    ADDED = "added"
    REPLACED = "replaced"
    UNCHANGED = "unchanged"


class KnowledgeAddReply(msgspec.Struct, frozen=True, kw_only=True):
    """What became of it, once it can be found.

    Attributes:
        note: why it can be found by its words alone; empty when by meaning too.
    """

    document_id: str
    outcome: AddOutcome
    chunks: int
    note: str = ""
