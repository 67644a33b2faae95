"""What holds for both stores, the embedded one and the one on a Qdrant server, and what for one alone."""

import shutil
import subprocess
import sys
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path

import pytest
from knowledgelab import CACHE, DOCUMENTS, PASSWORD, SQL, WordEmbedder
from qdrant_client import QdrantClient

from agents.knowledge.bm25 import weigh_query
from agents.knowledge.embedding import Embedder
from agents.knowledge.indexing import dimension_of, indexed
from agents.knowledge.store import Found, Index, Sought, Store, StoreError
from orchestrator.knowledge.edge import EdgeStore
from orchestrator.knowledge.server import ServerStore
from schemas.knowledge import Document, KnowledgeFilter

UNTIL_S = float("inf")
WORDS = WordEmbedder()
ANYTHING = KnowledgeFilter()


def begin(store: Store, *documents: Document, embedder: Embedder | None = WORDS) -> None:
    ready = indexed(documents, embedder, UNTIL_S)
    name = embedder.id if embedder else ""
    store.replace(Index(embedder=name, dimension=dimension_of(ready), layout=1), ready)


def put(store: Store, *documents: Document) -> None:
    store.put(indexed(documents, WORDS, UNTIL_S))


def look(
    store: Store, query: str, only: KnowledgeFilter = ANYTHING, *, by_meaning: bool = True
) -> tuple[list[Found], list[Found]]:
    vector = WORDS.embed_query(query, timeout_s=1.0) if by_meaning else None
    return store.search(Sought(terms=weigh_query(query), vector=vector, only=only, limit=50))


def ids(found: list[Found]) -> list[str]:
    return [one.document.id for one in found]


class Stores(ABC):
    """The behaviour of a store."""

    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[Store]:
        store = self.make(tmp_path)
        yield store
        store.close()

    @abstractmethod
    def make(self, folder: Path) -> Store: ...

    def test_a_new_store_has_nothing_and_says_so(self, store: Store) -> None:
        assert store.index() is None
        assert list(store.entries()) == []
        assert store.digests() == {}
        with pytest.raises(StoreError, match="labverse knowledge rebuild"):
            look(store, "sql")

    def test_words_and_meaning_find_each_in_their_way(self, store: Store) -> None:
        begin(store, *DOCUMENTS)
        by_terms, by_vector = look(store, "database parameters")
        assert ids(by_terms) == ["sql"]
        assert by_terms[0].score > 0
        assert ids(by_vector)[0] == "sql"
        assert len(by_vector) == 3
        assert by_vector[0].score == pytest.approx(1.0, abs=0.01)

    def test_what_is_found_carries_the_document_and_its_slice(self, store: Store) -> None:
        begin(store, *DOCUMENTS)
        [found], _ = look(store, "parameters")
        assert found.chunk.text == SQL.text[found.chunk.start : found.chunk.end]
        assert found.chunk.headings == ("SQL injection",)
        assert (found.document.title, found.document.cwes) == (SQL.title, SQL.cwes)
        assert (found.document.languages, found.document.text) == (("python",), "")

    def test_a_rare_word_counts_more_than_a_common_one(self, store: Store) -> None:
        begin(
            store,
            Document(id="rare", text="request heliotrope"),
            *(Document(id=f"d{number}", text="request response") for number in range(20)),
        )
        by_terms, _ = look(store, "request heliotrope")
        assert ids(by_terms)[0] == "rare"
        assert by_terms[0].score > 5 * by_terms[1].score

    @pytest.mark.parametrize(
        ("only", "expected"),
        [
            (KnowledgeFilter(areas=("security",)), {"sql", "password"}),
            (KnowledgeFilter(cwes=("CWE-916", "CWE-1")), {"password"}),
            (KnowledgeFilter(tags=("latency",)), {"cache"}),
            (KnowledgeFilter(languages=("go",)), {"cache", "password"}),
            (KnowledgeFilter(areas=("security",), languages=("go",)), {"password"}),
            (KnowledgeFilter(documents=("sql", "cache")), {"sql", "cache"}),
            (KnowledgeFilter(areas=("nothing",)), set()),
        ],
    )
    def test_filters_leave_out_the_rest(
        self, store: Store, only: KnowledgeFilter, expected: set[str]
    ) -> None:
        begin(store, *DOCUMENTS)
        by_terms, by_vector = look(store, "sql caching passwords", only)
        assert set(ids(by_terms)) == set(ids(by_vector)) == expected

    def test_a_document_that_gets_shorter_leaves_no_chunk_behind(self, store: Store) -> None:
        long = "\n\n".join(f"# Part {n}\n\n{'zebra ' * 220}" for n in range(4))
        begin(store, Document(id="d", text=long), CACHE)
        assert len(look(store, "zebra")[0]) == 4
        put(store, Document(id="d", text="zebra once"))
        [found], _ = look(store, "zebra")
        assert found.chunk.text == "zebra once"
        assert [(entry.document.id, entry.chunks) for entry in store.entries()] == [("cache", 1), ("d", 1)]

    def test_what_is_removed_is_found_no_more(self, store: Store) -> None:
        begin(store, *DOCUMENTS)
        store.put((), gone=("sql", "never was"))
        assert ids(look(store, "sql injection")[0]) == []
        assert set(store.digests()) == {"cache", "password"}

    def test_beginning_anew_leaves_nothing_of_before(self, store: Store) -> None:
        begin(store, *DOCUMENTS)
        begin(store, CACHE, embedder=None)
        assert store.index() == Index(layout=1)
        assert ids(look(store, "sql caching", by_meaning=False)[0]) == ["cache"]
        assert set(store.digests()) == {"cache"}

    def test_documents_come_back_as_they_were_in_the_order_of_their_ids(self, store: Store) -> None:
        many = [Document(id=f"d{number:03}", text=f"text {number}") for number in range(250)]
        begin(store, PASSWORD, *many)
        entries = list(store.entries())
        assert [entry.document for entry in entries] == [*many, PASSWORD]
        assert {entry.digest for entry in entries} == {digest for digest, _ in store.digests().values()}


class TestEmbedded(Stores):
    def make(self, folder: Path) -> Store:
        return EdgeStore(folder / "knowledge")

    def test_many_threads_may_search_while_one_writes(self, store: Store) -> None:
        begin(store, *DOCUMENTS)
        failures: list[BaseException] = []

        def search() -> None:
            try:
                for _ in range(20):
                    assert "sql" in ids(look(store, "sql injection")[0])
            except BaseException as error:  # told to the test
                failures.append(error)

        threads = [threading.Thread(target=search) for _ in range(3)]
        for thread in threads:
            thread.start()
        for number in range(5):
            put(store, Document(id=f"new{number}", text="something about an injection"))
        for thread in threads:
            thread.join()
        assert failures == []
        assert len(look(store, "injection")[0]) == 6

    def test_it_is_there_again_after_a_restart(self, tmp_path: Path) -> None:
        first = EdgeStore(tmp_path)
        begin(first, *DOCUMENTS)
        first.close()
        second = EdgeStore(tmp_path)
        assert second.index() == Index(embedder=WORDS.id, dimension=5, layout=1)
        assert ids(look(second, "parameters")[0]) == ["sql"]
        second.close()

    def test_what_another_process_adds_is_found(self, tmp_path: Path) -> None:
        store = EdgeStore(tmp_path)
        begin(store, *DOCUMENTS)
        assert ids(look(store, "heliotrope")[0]) == []
        subprocess.run([sys.executable, "-c", CHILD, str(tmp_path)], check=True, timeout=50)
        assert ids(look(store, "heliotrope")[0]) == ["child"]
        put(store, Document(id="parent", text="heliotrope too"))
        assert set(ids(look(store, "heliotrope")[0])) == {"child", "parent"}
        store.close()

    def test_processes_that_write_and_search_at_once_lose_nothing(self, tmp_path: Path) -> None:
        store = EdgeStore(tmp_path)
        begin(store, *DOCUMENTS)
        writers = [
            subprocess.Popen([sys.executable, "-c", WRITING, str(tmp_path), f"w{n}"]) for n in range(2)
        ]
        seen = 0
        while any(writer.poll() is None for writer in writers):
            now = len(look(store, "heliotrope", by_meaning=False)[0])
            assert now >= seen
            seen = now
        assert [writer.returncode for writer in writers] == [0, 0]
        assert len(look(store, "heliotrope", by_meaning=False)[0]) == 8
        assert ids(look(store, "parameters")[0]) == ["sql"]
        assert len(list(store.entries())) == 11
        store.close()

    def test_a_writer_that_dies_half_way_has_changed_nothing(self, tmp_path: Path) -> None:
        store = EdgeStore(tmp_path)
        begin(store, *DOCUMENTS)
        done = subprocess.run([sys.executable, "-c", DYING, str(tmp_path)], timeout=50)
        assert done.returncode == 9
        assert ids(look(store, "heliotrope")[0]) == []
        store.close()
        store = EdgeStore(tmp_path)
        assert ids(look(store, "parameters")[0]) == ["sql"]
        put(store, Document(id="after", text="heliotrope"))
        assert ids(look(store, "heliotrope")[0]) == ["after"]
        assert len(list(tmp_path.glob("index-*"))) == 1
        store.close()

    def test_files_that_are_damaged_are_said_and_made_anew(self, tmp_path: Path) -> None:
        store = EdgeStore(tmp_path)
        begin(store, *DOCUMENTS)
        store.close()
        for path in tmp_path.glob("index-*/**/*.json"):
            path.write_bytes(b"{")
        store = EdgeStore(tmp_path)
        with pytest.raises(StoreError, match="labverse knowledge rebuild"):
            look(store, "sql")
        assert store.index() is None
        assert [entry.document for entry in store.entries()] == sorted(DOCUMENTS, key=lambda one: one.id)
        begin(store, *DOCUMENTS)
        assert ids(look(store, "parameters")[0]) == ["sql"]
        store.close()

    def test_files_that_are_gone_are_said_and_made_anew(self, tmp_path: Path) -> None:
        store = EdgeStore(tmp_path)
        begin(store, *DOCUMENTS)
        look(store, "sql")
        for path in tmp_path.glob("index-*"):
            shutil.rmtree(path)
        assert ids(look(store, "parameters")[0]) == ["sql"]
        store.close()
        store = EdgeStore(tmp_path)
        with pytest.raises(StoreError, match="labverse knowledge rebuild"):
            look(store, "sql")
        assert store.index() is None
        store.close()

    def test_a_file_that_is_no_ledger_is_said(self, tmp_path: Path) -> None:
        (tmp_path / "documents.db").write_bytes(b"something else" * 200)
        with pytest.raises(StoreError, match=r"documents\.db can't be used"):
            EdgeStore(tmp_path)


@pytest.mark.filterwarnings("ignore:Payload indexes have no effect:UserWarning")
class TestServer(Stores):
    """With qdrant-client's own engine behind the client, which answers as a server does."""

    def make(self, folder: Path) -> Store:
        return ServerStore(QdrantClient(":memory:"), "tests")

    def test_a_server_that_is_not_there_is_said_as_something_passing(self) -> None:
        client = QdrantClient(url="http://127.0.0.1:9", timeout=2, check_compatibility=False)
        store = ServerStore(client, "tests")
        with pytest.raises(StoreError, match="the Qdrant server") as caught:
            store.index()
        assert caught.value.is_passing
        store.close()

    def test_an_index_made_anew_by_another_is_followed(self) -> None:
        client = QdrantClient(":memory:")
        one, other = ServerStore(client, "tests"), ServerStore(client, "tests")
        begin(one, *DOCUMENTS)
        assert ids(look(one, "parameters")[0]) == ["sql"]
        begin(other, SQL)
        assert ids(look(one, "parameters caching")[0]) == ["sql"]
        assert len([c for c in client.get_collections().collections if "-index-" in c.name]) == 1
        client.close()


CHILD = """
import sys
from pathlib import Path
from agents.knowledge.indexing import indexed
from orchestrator.knowledge.edge import EdgeStore
from schemas.knowledge import Document
store = EdgeStore(Path(sys.argv[1]))
store.put(indexed([Document(id="child", text="heliotrope")], None, float("inf")))
store.close()
"""

WRITING = """
import sys
from pathlib import Path
from agents.knowledge.bm25 import weigh_query
from agents.knowledge.indexing import indexed
from agents.knowledge.store import Sought
from orchestrator.knowledge.edge import EdgeStore
from schemas.knowledge import Document, KnowledgeFilter
store = EdgeStore(Path(sys.argv[1]))
sought = Sought(terms=weigh_query("heliotrope"), vector=None, only=KnowledgeFilter(), limit=50)
for number in range(4):
    store.put(indexed([Document(id=f"{sys.argv[2]}-{number}", text="heliotrope")], None, float("inf")))
    assert len(store.search(sought)[0]) >= number + 1
store.close()
"""

DYING = """
import os, sys
from pathlib import Path
from agents.knowledge.indexing import indexed
from orchestrator.knowledge import edge
from schemas.knowledge import Document
store = edge.EdgeStore(Path(sys.argv[1]))
edge._upsert = lambda shard, documents: os._exit(9)
store.put(indexed([Document(id="child", text="heliotrope")], None, float("inf")))
"""
