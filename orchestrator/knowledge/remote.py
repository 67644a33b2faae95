"""Embedders that answer over HTTP: Ollama, OpenAI (or what speaks its protocol), Cohere."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from agents.knowledge.embedding import TEXTS_MAX, EmbedderError, Vector, unit
from config.secret import Secret
from orchestrator.knowledge.http_json import post

REQUEST_S_MAX: Final = 120.0
TEXT_CHARS_MAX: Final = 8_000
"""Of a text, what is embedded: a chunk is smaller, a query is cut."""

NOMIC: Final = "nomic-embed-text"
"""Wants to be told whether a text is a query or a document."""


class _OpenAiItem(msgspec.Struct):
    embedding: list[float]
    index: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Ollama:
    """A model of an Ollama server.

    Args:
        base_url: such as `http://localhost:11434`.
    """

    model: str
    base_url: str = field(repr=False)
    key: Secret = field(default_factory=Secret)

    @property
    def id(self) -> str:
        return f"ollama/{self.model}"

    def embed_documents(self, texts: Sequence[str], *, timeout_s: float) -> list[Vector]:
        return self._embed([f"{self._prefix('search_document')}{text}" for text in texts], timeout_s)

    def embed_query(self, text: str, *, timeout_s: float) -> Vector:
        return self._embed([f"{self._prefix('search_query')}{text}"], timeout_s)[0]

    def _prefix(self, purpose: str) -> str:
        return f"{purpose}: " if self.model.split("/")[-1].startswith(NOMIC) else ""

    def _embed(self, texts: list[str], timeout_s: float) -> list[Vector]:
        body = {"model": self.model, "input": _cut(texts), "truncate": True}
        url, missing = f"{self.base_url.rstrip('/')}/api/embed", f"run `ollama pull {self.model}`"
        answer = _post(self, url, body, timeout_s, missing=missing)
        return _checked(self.id, _part(answer, "embeddings"), len(texts))


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenAi:
    """A model of OpenAI, or of a server that speaks its protocol.

    Args:
        base_url: such as `https://api.openai.com/v1`.
    """

    model: str
    base_url: str = field(repr=False)
    key: Secret

    @property
    def id(self) -> str:
        return f"openai/{self.model}"

    def embed_documents(self, texts: Sequence[str], *, timeout_s: float) -> list[Vector]:
        body = {"model": self.model, "input": _cut(texts), "encoding_format": "float"}
        answer = _post(self, f"{self.base_url.rstrip('/')}/embeddings", body, timeout_s)
        try:
            items = msgspec.convert(_part(answer, "data"), list[_OpenAiItem])
        except msgspec.ValidationError as error:
            raise _odd(self.id, str(error)) from error
        rows = [item.embedding for item in sorted(items, key=lambda item: item.index)]
        return _checked(self.id, rows, len(texts))

    def embed_query(self, text: str, *, timeout_s: float) -> Vector:
        return self.embed_documents([text], timeout_s=timeout_s)[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cohere:
    """A model of Cohere.

    Args:
        base_url: such as `https://api.cohere.com`.
    """

    model: str
    base_url: str = field(repr=False)
    key: Secret

    @property
    def id(self) -> str:
        return f"cohere/{self.model}"

    def embed_documents(self, texts: Sequence[str], *, timeout_s: float) -> list[Vector]:
        return self._embed(texts, "search_document", timeout_s)

    def embed_query(self, text: str, *, timeout_s: float) -> Vector:
        return self._embed([text], "search_query", timeout_s)[0]

    def _embed(self, texts: Sequence[str], purpose: str, timeout_s: float) -> list[Vector]:
        body = {
            "model": self.model,
            "texts": _cut(texts),
            "input_type": purpose,
            "embedding_types": ["float"],
        }
        answer = _post(self, f"{self.base_url.rstrip('/')}/v2/embed", body, timeout_s)
        return _checked(self.id, _part(_part(answer, "embeddings"), "float"), len(texts))


def _post(
    embedder: Ollama | OpenAi | Cohere, url: str, body: object, timeout_s: float, *, missing: str = ""
) -> Any:
    bounded_s = min(REQUEST_S_MAX, timeout_s)
    return post(embedder.id, url, body, key=embedder.key, timeout_s=bounded_s, missing=missing)


def _cut(texts: Sequence[str]) -> list[str]:
    if not 0 < len(texts) <= TEXTS_MAX:
        raise ValueError(f"{len(texts)} texts: 1 to {TEXTS_MAX} go in one call")
    return [text[:TEXT_CHARS_MAX] for text in texts]


def _part(answer: Any, name: str) -> Any:
    return answer.get(name) if isinstance(answer, dict) else None


def _checked(who: str, rows: Any, count: int) -> list[Vector]:
    """The vectors, as many as texts, all of the same dimension."""
    try:
        vectors = [unit(row) for row in msgspec.convert(rows, list[list[float]])]
    except (msgspec.ValidationError, EmbedderError) as error:
        raise _odd(who, str(error)) from error
    if len(vectors) != count or len({len(vector) for vector in vectors}) != 1:
        raise _odd(who, f"{len(vectors)} vectors for {count} texts")
    return vectors


def _odd(who: str, what: str) -> EmbedderError:
    return EmbedderError(f"{who} answers with something else than vectors: {what[:200]}", is_passing=False)
