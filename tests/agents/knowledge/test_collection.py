"""A collection over the real embedded store."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from knowledgelab import DOCUMENTS, SQL, WordEmbedder

from agents.knowledge import collection as collections
from agents.knowledge.chunks import Chunk
from agents.knowledge.collection import Collection
from agents.knowledge.embedding import EmbedderError
from agents.knowledge.hits import candidates, hits_of
from agents.knowledge.indexing import KnowledgeError, outdated
from agents.knowledge.store import CANDIDATES_MAX, Found, Index
from orchestrator.knowledge.edge import EdgeStore
from schemas.knowledge import (
    AddOutcome,
    Document,
    KnowledgeFilter,
    KnowledgeHit,
    KnowledgeSearchReply,
    KnowledgeSearchRequest,
    SearchMethod,
)

Opened = Iterator["Lab"]


class Lab:
    """Collections over the same folder, one after the other."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.open_now: list[Collection] = []

    def open(
        self, embedder: WordEmbedder | None = None, builtin: tuple[Document, ...] = DOCUMENTS
    ) -> Collection:
        self.close()
        collection = Collection(store=EdgeStore(self.folder), embedder=embedder, builtin=builtin)
        self.open_now.append(collection)
        collection.open(timeout_s=30.0)
        return collection

    def close(self) -> None:
        while self.open_now:
            self.open_now.pop().close()


@pytest.fixture
def lab(tmp_path: Path) -> Opened:
    lab = Lab(tmp_path)
    yield lab
    lab.close()


def search(collection: Collection, query: str, **more: object) -> KnowledgeSearchReply:
    return collection.search(KnowledgeSearchRequest(query=query, **more))  # type: ignore[arg-type]


def ids(reply: KnowledgeSearchReply) -> list[str]:
    return [hit.document_id for hit in reply.hits]


class TestSearching:
    def test_words_alone_rank_without_an_embedder_and_the_answer_says_so(self, lab: Lab) -> None:
        reply = search(lab.open(), "injection of SQL")
        assert ids(reply) == ["sql"]
        assert (reply.methods, reply.embedder) == ((SearchMethod.BM25,), "")
        assert reply.note == "by words alone: there is no embedder"
        assert reply.hits[0].scores.dense is None

    def test_with_an_embedder_both_rank_and_both_scores_are_told(self, lab: Lab) -> None:
        reply = search(lab.open(WordEmbedder()), "database parameters")
        assert ids(reply)[0] == "sql"
        assert (reply.methods, reply.embedder, reply.note) == (tuple(SearchMethod), "words/1", "")
        first = reply.hits[0].scores
        assert (first.fused, first.bm25_rank, first.dense_rank) == (pytest.approx(1.0), 1, 1)
        assert first.bm25 is not None
        assert first.dense == pytest.approx(1.0, abs=0.01)
        assert all(hit.scores.bm25 is None and hit.scores.bm25_rank == 0 for hit in reply.hits[1:])

    def test_meaning_finds_what_shares_no_word(self, lab: Lab) -> None:
        assert ids(search(lab.open(WordEmbedder()), "login"))[0] == "password"

    def test_k_and_the_least_score_bound_what_comes(self, lab: Lab) -> None:
        collection = lab.open(WordEmbedder())
        assert len(search(collection, "sql caching passwords").hits) == 3
        assert len(search(collection, "sql caching passwords", k=2).hits) == 2
        scored = search(collection, "sql", score_min=0.5)
        assert ids(scored) == ["sql"]

    def test_filters_reach_both_methods(self, lab: Lab) -> None:
        only = KnowledgeFilter(areas=("security",), languages=("go",))
        assert ids(search(lab.open(WordEmbedder()), "sql caching passwords", only=only)) == ["password"]

    def test_hits_of_one_document_can_be_bounded(self, lab: Lab) -> None:
        long = Document(id="long", text="\n\n".join(f"# Part {n}\n\n{'zebra ' * 220}" for n in range(4)))
        collection = lab.open(builtin=(long, Document(id="short", text="one zebra among many other words")))
        assert ids(search(collection, "zebra")).count("long") == 4
        assert ids(search(collection, "zebra", per_document_max=1)).count("long") == 1
        assert set(ids(search(collection, "zebra", per_document_max=1))) == {"long", "short"}

    def test_an_empty_query_is_refused_and_one_of_empty_words_finds_nothing(self, lab: Lab) -> None:
        collection = lab.open()
        with pytest.raises(KnowledgeError, match="empty"):
            search(collection, " \n")
        assert search(collection, "how do you do").hits == ()

    def test_an_embedder_that_fails_leaves_words_and_says_why(self, lab: Lab) -> None:
        embedder = WordEmbedder()
        collection = lab.open(embedder)
        embedder.fails = EmbedderError("words/1: HTTP 503", is_passing=True)
        reply = search(collection, "sql injection")
        assert ids(reply) == ["sql"]
        assert reply.methods == (SearchMethod.BM25,)
        assert reply.note == "by words alone: words/1: HTTP 503"


class TestAdding:
    def test_outcomes_are_told(self, lab: Lab) -> None:
        collection = lab.open(WordEmbedder())
        new = Document(id="new", text="heliotrope")
        changed = Document(id="new", text="heliotrope and amber")
        outcomes = [collection.add([one], timeout_s=9.0)[0].outcome for one in (new, new, changed)]
        assert outcomes == [AddOutcome.ADDED, AddOutcome.UNCHANGED, AddOutcome.REPLACED]
        assert ids(search(collection, "amber"))[0] == "new"

    def test_all_or_nothing_of_what_is_added_together(self, lab: Lab) -> None:
        collection = lab.open()
        with pytest.raises(KnowledgeError, match="blank: there is no text"):
            collection.add(
                [Document(id="good", text="heliotrope"), Document(id="blank", text=" ")], timeout_s=9.0
            )
        assert search(collection, "heliotrope").hits == ()

    def test_the_last_of_several_with_one_id_counts(self, lab: Lab) -> None:
        collection = lab.open()
        replies = collection.add(
            [Document(id="a", text="first"), Document(id="a", text="second")], timeout_s=9.0
        )
        assert [reply.document_id for reply in replies] == ["a"]
        assert search(collection, "first").hits == ()
        assert ids(search(collection, "second")) == ["a"]

    def test_nothing_is_stored_when_there_are_no_vectors_to_be_had(self, lab: Lab) -> None:
        embedder = WordEmbedder()
        collection = lab.open(embedder)
        embedder.fails = EmbedderError("down", is_passing=True)
        with pytest.raises(EmbedderError, match="down"):
            collection.add([Document(id="new", text="heliotrope")], timeout_s=9.0)
        assert search(collection, "heliotrope").hits == ()

    def test_the_time_that_there_is_bounds_it(self, lab: Lab) -> None:
        collection = lab.open(WordEmbedder())
        with pytest.raises(EmbedderError, match="0 of 1 chunks in the time there was"):
            collection.add([Document(id="new", text="heliotrope")], timeout_s=-1.0)

    def test_too_many_documents_are_refused(self, lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(collections, "DOCUMENTS_MAX", 4)
        collection = lab.open()
        collection.add([Document(id="a", text="fits")], timeout_s=9.0)
        with pytest.raises(KnowledgeError, match="more than 4 documents"):
            collection.add([Document(id="b", text="doesn't")], timeout_s=9.0)

    def test_threads_that_add_at_once_lose_nothing(self, lab: Lab) -> None:
        collection = lab.open()
        threads = [
            threading.Thread(
                target=collection.add,
                args=([Document(id=f"t{n}", text="heliotrope")],),
                kwargs={"timeout_s": 30.0},
            )
            for n in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert set(ids(search(collection, "heliotrope", k=20))) == {f"t{n}" for n in range(8)}

    def test_what_is_deleted_is_gone(self, lab: Lab) -> None:
        collection = lab.open()
        collection.add([Document(id="new", text="heliotrope")], timeout_s=9.0)
        collection.delete("new", timeout_s=9.0)
        assert search(collection, "heliotrope").hits == ()
        with pytest.raises(KnowledgeError, match="no document 'new'"):
            collection.delete("new", timeout_s=9.0)


class TestBuiltin:
    def test_a_second_opening_indexes_nothing(self, lab: Lab) -> None:
        lab.open(WordEmbedder())
        embedder = WordEmbedder()
        lab.open(embedder)
        assert embedder.texts == []

    def test_a_new_version_brings_its_documents_and_keeps_the_users(self, lab: Lab) -> None:
        lab.open().add([Document(id="mine", text="heliotrope")], timeout_s=9.0)
        collection = lab.open(builtin=(SQL, Document(id="cache", text="about vermilion")))
        assert ids(search(collection, "vermilion")) == ["cache"]
        assert ids(search(collection, "argon2id")) == []
        assert ids(search(collection, "heliotrope")) == ["mine"]

    def test_a_users_document_stands_for_the_built_in_one_until_it_is_deleted(self, lab: Lab) -> None:
        lab.open().add([Document(id="sql", text="vermilion instead")], timeout_s=9.0)
        collection = lab.open()
        assert ids(search(collection, "vermilion")) == ["sql"]
        assert ids(search(collection, "bind parameters")) == []
        collection.delete("sql", timeout_s=9.0)
        assert ids(search(collection, "bind parameters")) == ["sql"]

    def test_built_in_documents_are_not_deleted(self, lab: Lab) -> None:
        with pytest.raises(KnowledgeError, match="built in"):
            lab.open().delete("sql", timeout_s=9.0)

    @given(
        st.dictionaries(st.sampled_from("abcdef"), st.sampled_from("123")),
        st.dictionaries(st.sampled_from("abcdef"), st.tuples(st.sampled_from("123"), st.booleans())),
    )
    def test_after_bringing_up_to_date_nothing_is_outdated(
        self, wanted: dict[str, str], have: dict[str, tuple[str, bool]]
    ) -> None:
        put, gone = outdated(wanted, have)
        after = {one: value for one, value in have.items() if one not in gone}
        after |= {one: (wanted[one], True) for one in put}
        assert outdated(wanted, after) == (set(), ())
        users = {one: value for one, value in have.items() if not value[1]}
        assert {one: after[one] for one in users} == users
        assert {one for one, (_, is_builtin) in after.items() if is_builtin} == wanted.keys() - users.keys()


class TestEmbedders:
    def test_another_embedder_is_refused_with_the_remedy_until_a_rebuild(self, lab: Lab) -> None:
        lab.open(WordEmbedder("one")).add([Document(id="mine", text="heliotrope")], timeout_s=9.0)
        collection = lab.open(WordEmbedder("two"))
        for action in (
            lambda: search(collection, "sql"),
            lambda: collection.add([Document(id="x", text="x")], timeout_s=9.0),
        ):
            with pytest.raises(
                KnowledgeError, match=r"vectors of one.*those of two.*labverse knowledge rebuild"
            ):
                action()
        rebuilt = collection.rebuild(timeout_s=30.0)
        assert (rebuilt.documents, rebuilt.chunks, rebuilt.embedder, rebuilt.note) == (4, 4, "two", "")
        assert search(collection, "heliotrope").embedder == "two"

    def test_another_dimension_is_refused_with_the_remedy(self, lab: Lab) -> None:
        lab.open(WordEmbedder())
        collection = lab.open(WordEmbedder(extra=3))
        with pytest.raises(KnowledgeError, match=r"8 numbers, the collection has 5: .*rebuild"):
            search(collection, "sql")
        with pytest.raises(KnowledgeError, match=r"8 numbers, the collection has 5: .*rebuild"):
            collection.add([Document(id="x", text="x")], timeout_s=9.0)

    def test_a_collection_of_built_in_documents_alone_gains_vectors_by_itself(self, lab: Lab) -> None:
        lab.open()
        assert search(lab.open(WordEmbedder()), "login").embedder == "words/1"

    def test_a_collection_without_documents_takes_the_first_embedder_that_there_is(self, lab: Lab) -> None:
        lab.open(builtin=())
        collection = lab.open(WordEmbedder(), builtin=())
        [added] = collection.add([SQL], timeout_s=9.0)
        assert (added.outcome, added.chunks, added.note) == (AddOutcome.ADDED, 1, "")
        assert search(collection, "database").embedder == "words/1"
        assert collection.index() == Index(embedder="words/1", dimension=5, layout=collections.LAYOUT)

    def test_a_users_collection_gains_vectors_by_a_rebuild(self, lab: Lab) -> None:
        lab.open().add([Document(id="mine", text="heliotrope")], timeout_s=9.0)
        collection = lab.open(WordEmbedder())
        reply = search(collection, "heliotrope")
        assert ids(reply) == ["mine"]
        assert "labverse knowledge rebuild" in reply.note
        collection.rebuild(timeout_s=30.0)
        assert search(collection, "heliotrope").note == ""

    def test_without_the_embedder_words_find_what_has_vectors_and_what_is_added(self, lab: Lab) -> None:
        lab.open(WordEmbedder())
        collection = lab.open(None)
        [added] = collection.add([Document(id="mine", text="heliotrope")], timeout_s=9.0)
        assert (
            added.note == "by words alone: there is no embedder, though the collection has vectors of words/1"
        )
        assert ids(search(collection, "heliotrope")) == ["mine"]
        assert ids(search(collection, "sql")) == ["sql"]

    def test_an_embedder_that_is_down_at_first_leaves_words_and_is_used_later(self, lab: Lab) -> None:
        embedder = WordEmbedder()
        embedder.fails = EmbedderError("down", is_passing=True)
        collection = lab.open(embedder)
        assert collection.index() == Index(layout=collections.LAYOUT)
        assert ids(search(collection, "sql")) == ["sql"]
        with pytest.raises(EmbedderError, match="down"):
            collection.rebuild(timeout_s=30.0)
        embedder.fails = None
        assert search(lab.open(embedder), "login").embedder == "words/1"

    def test_an_older_layout_is_indexed_anew(self, lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
        lab.open().add([Document(id="mine", text="heliotrope")], timeout_s=9.0)
        monkeypatch.setattr(collections, "LAYOUT", collections.LAYOUT + 1)
        collection = lab.open()
        assert ids(search(collection, "heliotrope")) == ["mine"]
        assert collection.index() == Index(layout=collections.LAYOUT)


def found(name: str, score: float = 1.0) -> Found:
    chunk = Chunk(text=name, start=0, end=len(name), headings=(), tokens=1)
    return Found(point_id=name, score=score, document=Document(id=name[:1], text=""), chunk=chunk)


NAMES = st.lists(st.sampled_from([f"{d}{n}" for d in "abc" for n in range(4)]), unique=True)


@given(NAMES, st.none() | NAMES, st.integers(1, 8), st.integers(0, 3), st.floats(0, 1))
def test_hits_keep_every_bound_and_say_where_they_stood(
    by_terms: list[str], by_vector: list[str] | None, k: int, per_document_max: int, score_min: float
) -> None:
    request = KnowledgeSearchRequest(query="q", k=k, per_document_max=per_document_max, score_min=score_min)
    dense = None if by_vector is None else [found(one, 0.5) for one in by_vector]
    hits = hits_of(request, [found(one, 2.0) for one in by_terms], dense)
    assert len(hits) <= k
    scores = [hit.scores.fused for hit in hits]
    assert scores == sorted(scores, reverse=True)
    assert all(score >= score_min for score in scores)
    for hit in hits:
        of_document = [one for one in hits if one.document_id == hit.document_id]
        assert not per_document_max or len(of_document) <= per_document_max
        _stood(hit, by_terms, by_vector or [])


def _stood(hit: KnowledgeHit, by_terms: list[str], by_vector: list[str]) -> None:
    ranks = [1 + names.index(hit.text) if hit.text in names else 0 for names in (by_terms, by_vector)]
    assert [hit.scores.bm25_rank, hit.scores.dense_rank] == ranks
    assert (hit.scores.bm25, hit.scores.dense) == (2.0 if ranks[0] else None, 0.5 if ranks[1] else None)


@pytest.mark.parametrize(("k", "expected"), [(1, 50), (10, 50), (20, 100), (100, CANDIDATES_MAX)])
def test_more_is_ranked_than_is_wanted(k: int, expected: int) -> None:
    assert candidates(KnowledgeSearchRequest(query="q", k=k)) == expected
