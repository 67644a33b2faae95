"""Payloads: a chunk as Qdrant keeps it beside its vectors, the same in our own files and on a server.

The document's text is not among them: it is kept once, apart.
"""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from agents.knowledge.chunks import Chunk
from agents.knowledge.store import Found, Point
from schemas.knowledge import Document, KnowledgeFilter

ANY_LANGUAGE: Final = "*"
"""Stands for no language, so that one condition finds what applies to a language and what applies to any."""

LABELS: Final = ("document", "area", "cwes", "tags", "languages")
"""What is filtered by."""
FIELDS: Final = (*LABELS, "title", "source", "text", "start", "end", "headings", "tokens", "number")

Payload = dict[str, Any]


class BadPayloadError(ValueError):
    """Raised for a payload that isn't ours."""


class _Stored(msgspec.Struct, frozen=True, kw_only=True):
    document: str
    number: int
    title: str
    area: str
    cwes: tuple[str, ...]
    tags: tuple[str, ...]
    languages: tuple[str, ...]
    source: str
    text: str
    start: int
    end: int
    headings: tuple[str, ...]
    tokens: int


def payload_of(point: Point) -> Payload:
    document, chunk = point.document, point.chunk
    return {
        "document": document.id,
        "number": point.number,
        "title": document.title,
        "area": document.area,
        "cwes": list(document.cwes),
        "tags": list(document.tags),
        "languages": list(document.languages) or [ANY_LANGUAGE],
        "source": document.source,
        "text": chunk.text,
        "start": chunk.start,
        "end": chunk.end,
        "headings": list(chunk.headings),
        "tokens": chunk.tokens,
    }


def found_from(point_id: str, score: float, payload: Mapping[str, Any] | None) -> Found:
    """What a method found, with a document that has no text.

    Raises:
        BadPayloadError: the payload isn't ours.
    """
    try:
        stored = msgspec.convert(payload, _Stored)
    except msgspec.ValidationError as error:
        raise BadPayloadError(str(error)) from error
    return Found(
        point_id=point_id,
        score=score,
        document=Document(
            id=stored.document,
            text="",
            title=stored.title,
            area=stored.area,
            cwes=stored.cwes,
            tags=stored.tags,
            languages=tuple(one for one in stored.languages if one != ANY_LANGUAGE),
            source=stored.source,
        ),
        chunk=Chunk(
            text=stored.text,
            start=stored.start,
            end=stored.end,
            headings=stored.headings,
            tokens=stored.tokens,
        ),
    )


def wanted_labels(only: KnowledgeFilter) -> dict[str, list[str]]:
    """For each field that is filtered by: the values of which a chunk must have one."""
    wanted = {
        "document": list(only.documents),
        "area": list(only.areas),
        "cwes": list(only.cwes),
        "tags": list(only.tags),
        "languages": [*only.languages, ANY_LANGUAGE] if only.languages else [],
    }
    return {name: values for name, values in wanted.items() if values}
