"""Hits: what the methods found, made the answer to a request. Pure."""

from collections import Counter
from collections.abc import Sequence
from typing import Final

from agents.knowledge.fusion import BM25_WEIGHT, DENSE_WEIGHT, Ranking, fuse
from agents.knowledge.store import CANDIDATES_MAX, Found
from schemas.knowledge import HitScores, KnowledgeHit, KnowledgeSearchRequest

CANDIDATES_MIN: Final = 50
CANDIDATES_A_HIT: Final = 5


def candidates(request: KnowledgeSearchRequest) -> int:
    """How many chunks each method ranks: more than are wanted, so that those which both put high are among them."""
    return min(CANDIDATES_MAX, max(CANDIDATES_MIN, request.k * CANDIDATES_A_HIT))


def hits_of(
    request: KnowledgeSearchRequest, by_terms: Sequence[Found], by_vector: Sequence[Found] | None
) -> tuple[KnowledgeHit, ...]:
    """The best chunks, as many as are wanted.

    Args:
        by_vector: None when the vectors weren't searched.
    """
    by_id = {found.point_id: found for found in (*by_terms, *(by_vector or ()))}
    bm25 = {found.point_id: (rank, found.score) for rank, found in enumerate(by_terms, start=1)}
    dense = {found.point_id: (rank, found.score) for rank, found in enumerate(by_vector or (), start=1)}
    rankings = [Ranking(list(bm25), BM25_WEIGHT)]
    if by_vector is not None:
        rankings.append(Ranking(list(dense), DENSE_WEIGHT))
    out: list[KnowledgeHit] = []
    of_document: Counter[str] = Counter()
    for point_id, score in fuse(rankings):
        if len(out) >= request.k or score < request.score_min:
            break
        found = by_id[point_id]
        if request.per_document_max and of_document[found.document.id] >= request.per_document_max:
            continue
        of_document[found.document.id] += 1
        out.append(_hit(found, score, bm25.get(point_id), dense.get(point_id)))
    return tuple(out)


def _hit(
    found: Found, fused: float, bm25: tuple[int, float] | None, dense: tuple[int, float] | None
) -> KnowledgeHit:
    document, chunk = found.document, found.chunk
    return KnowledgeHit(
        document_id=document.id,
        title=document.title,
        headings=chunk.headings,
        text=chunk.text,
        start=chunk.start,
        end=chunk.end,
        area=document.area,
        cwes=document.cwes,
        tags=document.tags,
        languages=document.languages,
        source=document.source,
        scores=HitScores(
            fused=fused,
            bm25=bm25[1] if bm25 else None,
            bm25_rank=bm25[0] if bm25 else 0,
            dense=dense[1] if dense else None,
            dense_rank=dense[0] if dense else 0,
        ),
    )
