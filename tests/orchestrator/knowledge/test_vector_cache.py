"""The cache of vectors: a text is embedded once, and nothing depends on the cache."""

from pathlib import Path

import pytest
from knowledgelab import WordEmbedder

from orchestrator.knowledge import vector_cache
from orchestrator.knowledge.vector_cache import CachedEmbedder


def test_a_text_is_embedded_once_whoever_asks(tmp_path: Path) -> None:
    first, second = WordEmbedder(), WordEmbedder()
    cache = CachedEmbedder(first, tmp_path / "v.db")
    made = cache.embed_documents(["sql", "cache", "sql"], timeout_s=1.0)
    other = CachedEmbedder(second, tmp_path / "v.db")
    kept = other.embed_documents(["cache", "password", "sql"], timeout_s=1.0)
    assert first.texts == ["sql", "cache"]
    assert second.texts == ["password"]
    assert kept[2] == pytest.approx(made[0])
    assert kept[0] == pytest.approx(made[1])
    assert made[0] == made[2]


def test_another_embedder_gets_nothing_of_it(tmp_path: Path) -> None:
    one, two = WordEmbedder("one"), WordEmbedder("two", extra=1)
    for embedder in (one, two):
        cache = CachedEmbedder(embedder, tmp_path / "v.db")
        assert len(cache.embed_documents(["sql"], timeout_s=1.0)[0]) == 5 + embedder.extra
    assert two.texts == ["sql"]


def test_the_oldest_make_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vector_cache, "ENTRIES_MAX", 3)
    embedder = WordEmbedder()
    cache = CachedEmbedder(embedder, tmp_path / "v.db")
    for text in ("a", "b", "c", "d"):
        cache.embed_documents([text], timeout_s=1.0)
    embedder.texts.clear()
    cache.embed_documents(["b", "c", "d"], timeout_s=1.0)
    cache.embed_documents(["a"], timeout_s=1.0)
    assert embedder.texts == ["a"]


def test_a_file_that_is_no_cache_is_done_without(tmp_path: Path) -> None:
    (tmp_path / "v.db").write_bytes(b"no database" * 200)
    embedder = WordEmbedder()
    cache = CachedEmbedder(embedder, tmp_path / "v.db")
    assert len(cache.embed_documents(["sql"], timeout_s=1.0)) == 1
    assert cache.embed_query("sql", timeout_s=1.0) == embedder.embed_query("sql", timeout_s=1.0)
