"""Passages: what the expert documents say about what a role looks for, asked of whoever serves the knowledge base."""

import logging
import time
from dataclasses import dataclass, field
from typing import Final

from agents.review.cwe import name_of
from agents.review.models.roles import ModelRole
from bus import Bus, BusError
from bus.services import KNOWLEDGE_SEARCH
from schemas.knowledge import KnowledgeFilter, KnowledgeHit, KnowledgeSearchRequest

log = logging.getLogger("labverse.review")

PASSAGES: Final = 2
SEARCH_S_MAX: Final = 2.0
FRESH_S: Final = 600.0
KEPT_MAX: Final = 500
NOBODY_S: Final = 30.0
"""So long nobody is asked again when there was nobody who serves."""


@dataclass(eq=False, slots=True)
class Passages:
    """Searches, each answer kept for a while: roles ask the same for file after file."""

    bus: Bus
    _kept: dict[KnowledgeSearchRequest, tuple[float, tuple[KnowledgeHit, ...]]] = field(default_factory=dict)
    _nobody_until_s: float = 0.0

    async def for_role(self, role: ModelRole, language: str) -> tuple[str, ...]:
        """What a model is shown beside the code."""
        only = KnowledgeFilter(tags=role.tags, languages=(language,) if language else ())
        request = KnowledgeSearchRequest(
            query=f"{role.title}: {role.focus}", k=PASSAGES, only=only, per_document_max=1
        )
        return tuple(f"{hit.title}: {hit.text}" for hit in await self.search(request))

    async def document_on(self, cwe: int, language: str) -> KnowledgeHit | None:
        """The passage that treats a weakness best."""
        only = KnowledgeFilter(cwes=(f"CWE-{cwe}",))
        request = KnowledgeSearchRequest(query=f"{name_of(cwe)} {language}", k=1, only=only)
        return next(iter(await self.search(request)), None)

    async def search(self, request: KnowledgeSearchRequest) -> tuple[KnowledgeHit, ...]:
        """The hits; none when nobody serves, or not in time."""
        now_s = time.monotonic()
        if now_s < self._nobody_until_s:
            return ()
        known = self._kept.get(request)
        if known is not None and now_s < known[0] + FRESH_S:
            return known[1]
        try:
            reply = await self.bus.call(KNOWLEDGE_SEARCH, request, timeout_s=SEARCH_S_MAX)
        except BusError as error:
            log.debug("no passages: %s", error)
            self._nobody_until_s = now_s + NOBODY_S
            return ()
        if len(self._kept) >= KEPT_MAX:
            self._kept.clear()
        self._kept[request] = (now_s, reply.hits)
        return reply.hits
