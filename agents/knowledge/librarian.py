"""Librarian: looks things up in a collection for whoever asks, and adds to it.

Listens  knowledge.search, knowledge.add (requests)
Effects  with an embedder elsewhere, one request to it for a search, and some for a document that is added
State    the collection
Without an LLM  the same

Several may serve: each finds what another has added.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final, TypeVar

from agents.knowledge.collection import QUERY_EMBED_S_MAX, Collection
from agents.knowledge.embedding import EmbedderError
from agents.knowledge.indexing import KnowledgeError
from agents.knowledge.store import StoreError
from bus import Bus, Caller, PermanentError, RetryableError
from bus.services import KNOWLEDGE_ADD, KNOWLEDGE_SEARCH
from schemas.knowledge import (
    KnowledgeAddReply,
    KnowledgeAddRequest,
    KnowledgeSearchReply,
    KnowledgeSearchRequest,
)

THREADS: Final = 4
"""Searches at a time; an embedder elsewhere keeps one waiting for as long as it takes."""
WAITING_MAX: Final = 256
OPEN_S_MAX: Final = 300.0
ADD_S_MAX: Final = 300.0
RETRY_S: Final = 1.0

T = TypeVar("T")


@dataclass(eq=False, slots=True, kw_only=True)
class Librarian:
    """Serves a collection; closes it at the end."""

    bus: Bus
    collection: Collection
    _threads: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(max_workers=THREADS, thread_name_prefix="librarian")
    )

    @asynccontextmanager
    async def serving(self) -> AsyncGenerator[None]:
        """Answer requests from when the collection is open, until the bus drains.

        Raises:
            StoreError: the collection can't be opened.
        """
        try:
            await self._in_thread(lambda: self.collection.open(timeout_s=OPEN_S_MAX))
            await self.bus.serve(KNOWLEDGE_SEARCH, self.search, concurrency=WAITING_MAX)
            await self.bus.serve(KNOWLEDGE_ADD, self.add, concurrency=WAITING_MAX)
            yield
        finally:
            await asyncio.to_thread(self._close)

    async def search(self, request: KnowledgeSearchRequest, caller: Caller) -> KnowledgeSearchReply:
        """What fits best.

        Raises:
            PermanentError: the request can't be served.
            RetryableError: the store doesn't answer now.
        """
        left_s = min(QUERY_EMBED_S_MAX, (caller.deadline_s - time.time()) / 2)
        return await self._answer(lambda: self.collection.search(request, timeout_s=left_s))

    async def add(self, request: KnowledgeAddRequest, caller: Caller) -> KnowledgeAddReply:
        """Add a document; answered once it can be found.

        Raises:
            PermanentError: the document can't be added as it is.
            RetryableError: the store or the embedder doesn't answer now.
        """
        left_s = min(ADD_S_MAX, caller.deadline_s - time.time())
        [reply] = await self._answer(lambda: self.collection.add([request.document], timeout_s=left_s))
        return reply

    async def _answer(self, work: Callable[[], T]) -> T:
        try:
            return await self._in_thread(work)
        except KnowledgeError as error:
            raise PermanentError(str(error)) from error
        except (StoreError, EmbedderError) as error:
            if error.is_passing:
                raise RetryableError(str(error), delay_s=RETRY_S) from error
            raise PermanentError(str(error)) from error

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    def _close(self) -> None:
        self._threads.shutdown(wait=True, cancel_futures=True)
        self.collection.close()
