"""For tests of knowledge: documents, and an embedder whose vectors say which of some words a text has."""

import re
from collections.abc import Sequence

from agents.knowledge.embedding import EmbedderError, Vector, unit
from schemas.knowledge import Document

MEANINGS = (
    ("sql", "database", "query", "injection"),
    ("slow", "latency", "cache", "performance"),
    ("password", "secret", "hash", "login"),
    ("colour", "contrast", "screen", "reader"),
)


class WordEmbedder:
    """A small real embedder: one number for each group of words that mean much the same, and one for none."""

    def __init__(self, name: str = "words/1", *, extra: int = 0) -> None:
        self.id = name
        self.extra = extra
        self.texts: list[str] = []
        self.fails: EmbedderError | None = None

    def embed_documents(self, texts: Sequence[str], *, timeout_s: float) -> list[Vector]:
        if self.fails is not None:
            raise self.fails
        self.texts += texts
        return [self._vector(text) for text in texts]

    def embed_query(self, text: str, *, timeout_s: float) -> Vector:
        if self.fails is not None:
            raise self.fails
        return self._vector(text)

    def _vector(self, text: str) -> Vector:
        words = re.findall(r"[a-z]+", text.lower())
        counts = [float(sum(words.count(word) for word in group)) for group in MEANINGS]
        return unit([*counts, 0.1, *[0.0] * self.extra])


SQL = Document(
    id="sql",
    title="SQL injection",
    text="# SQL injection\n\nBind parameters instead of building a query from strings.\n",
    area="security",
    cwes=("CWE-89",),
    tags=("injection",),
    languages=("python",),
)
CACHE = Document(
    id="cache",
    title="Caching",
    text="# Caching\n\nKeep what is slow to compute, and say for how long.\n",
    area="performance",
    tags=("latency",),
)
PASSWORD = Document(
    id="password",
    title="Stored passwords",
    text="# Stored passwords\n\nHash with argon2id and a salt.\n",
    area="security",
    cwes=("CWE-256", "CWE-916"),
    languages=("python", "go"),
)
DOCUMENTS = (SQL, CACHE, PASSWORD)
