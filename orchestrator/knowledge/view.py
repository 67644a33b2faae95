"""What was found, as lines for people."""

from collections.abc import Iterator
from typing import Final

from orchestrator.clean import clean
from schemas.knowledge import KnowledgeHit, KnowledgeSearchReply

LINES_SHOWN: Final = 6
LINE_CHARS_MAX: Final = 110


def lines(reply: KnowledgeSearchReply) -> Iterator[str]:
    """Hit by hit: score, where it stands, the score of each method, and how the text begins."""
    if not reply.hits:
        yield "nothing found"
    for hit in reply.hits:
        path = " › ".join((hit.title or hit.document_id, *(one for one in hit.headings if one != hit.title)))
        yield f"{hit.scores.fused:.2f}  {clean(path)}"
        yield f"      {clean(hit.document_id)}, characters {hit.start} to {hit.end}; {_methods(hit)}"
        shown = [line for line in hit.text.splitlines() if line.strip()]
        for line in shown[:LINES_SHOWN]:
            yield f"      │ {clean(line)[:LINE_CHARS_MAX]}"
        if len(shown) > LINES_SHOWN:
            yield f"      │ … {len(shown) - LINES_SHOWN} more lines"
        yield ""


def _methods(hit: KnowledgeHit) -> str:
    scores = hit.scores
    words = f"words {scores.bm25:.2f} (#{scores.bm25_rank})" if scores.bm25 is not None else "words –"
    meaning = f", meaning {scores.dense:.2f} (#{scores.dense_rank})" if scores.dense is not None else ""
    return f"{words}{meaning}"
