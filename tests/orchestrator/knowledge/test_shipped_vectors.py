"""The vectors that come with the program."""

from pathlib import Path

import pytest
from knowledgelab import WordEmbedder

from agents.knowledge.builtin import builtin_documents
from agents.knowledge.embedding import vector_key
from agents.knowledge.indexing import points_of, told_text
from orchestrator.knowledge.minilm import ID
from orchestrator.knowledge.shipped import FILE, read_vectors, write_vectors
from orchestrator.knowledge.vector_cache import CachedEmbedder

TEXTS = [
    told_text(point.document, point.chunk)
    for document in builtin_documents()
    for point in points_of(document)
]


def test_they_are_those_of_the_documents() -> None:
    shipped = read_vectors(FILE, ID)
    missing = [text.splitlines()[0] for text in TEXTS if vector_key(ID, text) not in shipped]
    assert missing == [], "write them anew: uv run python -m orchestrator.knowledge.shipped"


def test_the_embedder_is_not_asked_for_what_is_shipped(tmp_path: Path) -> None:
    embedder = WordEmbedder()
    assert write_vectors(tmp_path / "shipped.bin", embedder) == len(TEXTS)
    made = embedder.embed_documents(TEXTS[:2], timeout_s=1.0)
    embedder.texts.clear()
    cache = CachedEmbedder(embedder, tmp_path / "v.db", tmp_path / "shipped.bin")
    kept = cache.embed_documents([*TEXTS[:2], "something new"], timeout_s=1.0)
    assert embedder.texts == ["something new"]
    for vector, same in zip(kept, made, strict=False):
        assert vector == pytest.approx(same, abs=1e-3)


@pytest.mark.parametrize("data", [b"", b"odd", b"\x80"])
def test_a_file_that_can_not_be_used_is_done_without(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "shipped.bin"
    path.write_bytes(data)
    assert read_vectors(path, ID) == {}
    assert read_vectors(tmp_path / "none", ID) == {}


def test_those_of_another_embedder_are_not_taken(tmp_path: Path) -> None:
    write_vectors(tmp_path / "shipped.bin", WordEmbedder("one"))
    assert read_vectors(tmp_path / "shipped.bin", "two") == {}
