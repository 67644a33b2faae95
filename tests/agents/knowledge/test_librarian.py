"""The librarian on a real bus."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from knowledgelab import DOCUMENTS, WordEmbedder

from agents.knowledge.collection import Collection
from agents.knowledge.embedding import EmbedderError
from agents.knowledge.librarian import Librarian
from bus import Bus, RemoteError
from bus.services import KNOWLEDGE_ADD, KNOWLEDGE_SEARCH
from orchestrator.knowledge.edge import EdgeStore
from schemas.knowledge import AddOutcome, Document, KnowledgeAddRequest, KnowledgeSearchRequest


@asynccontextmanager
async def serving(bus: Bus, folder: Path, embedder: WordEmbedder | None = None) -> AsyncIterator[None]:
    collection = Collection(store=EdgeStore(folder), embedder=embedder, builtin=DOCUMENTS)
    async with Librarian(bus=bus, collection=collection).serving():
        yield


async def found(bus: Bus, query: str) -> list[str]:
    reply = await bus.call(KNOWLEDGE_SEARCH, KnowledgeSearchRequest(query=query), timeout_s=10.0)
    return [hit.document_id for hit in reply.hits]


async def test_what_is_added_over_the_bus_is_found_over_the_bus(
    bus: Bus, second_bus: Bus, tmp_path: Path
) -> None:
    async with serving(bus, tmp_path, WordEmbedder()):
        request = KnowledgeAddRequest(document=Document(id="new", text="# Heliotrope\n\nA colour.\n"))
        added = await second_bus.call(KNOWLEDGE_ADD, request, timeout_s=10.0)
        assert (added.document_id, added.outcome, added.chunks) == ("new", AddOutcome.ADDED, 1)
        assert (await found(second_bus, "heliotrope"))[0] == "new"


async def test_many_may_ask_at_once(bus: Bus, tmp_path: Path) -> None:
    async with serving(bus, tmp_path):
        answers = await asyncio.gather(*(found(bus, "sql injection") for _ in range(100)))
    assert answers == [["sql"]] * 100


async def test_two_librarians_of_one_folder_find_what_either_adds(
    bus: Bus, second_bus: Bus, tmp_path: Path
) -> None:
    async with serving(bus, tmp_path), serving(second_bus, tmp_path):
        for number in range(6):
            request = KnowledgeAddRequest(document=Document(id=f"d{number}", text=f"heliotrope {number}"))
            await bus.call(KNOWLEDGE_ADD, request, timeout_s=10.0)
            answers = await asyncio.gather(*(found(bus, "heliotrope") for _ in range(4)))
            assert [len(answer) for answer in answers] == [min(5, number + 1)] * 4


async def test_what_can_not_be_served_is_told_as_permanent(bus: Bus, tmp_path: Path) -> None:
    async with serving(bus, tmp_path):
        with pytest.raises(RemoteError, match="the query is empty") as caught:
            await found(bus, " ")
        assert caught.value.kind == "PermanentError"
        request = KnowledgeAddRequest(document=Document(id="blank", text="\n"))
        with pytest.raises(RemoteError, match="no text in it"):
            await bus.call(KNOWLEDGE_ADD, request, timeout_s=10.0)


async def test_an_embedder_that_is_down_is_told_as_passing(bus: Bus, tmp_path: Path) -> None:
    embedder = WordEmbedder()
    async with serving(bus, tmp_path, embedder):
        embedder.fails = EmbedderError("words/1: HTTP 503", is_passing=True)
        request = KnowledgeAddRequest(document=Document(id="new", text="heliotrope"))
        with pytest.raises(RemoteError, match="HTTP 503") as caught:
            await bus.call(KNOWLEDGE_ADD, request, timeout_s=10.0)
        assert caught.value.kind == "RetryableError"
        assert await found(bus, "sql") == ["sql"]
