"""How well the built-in documents are found: each question of `agents/knowledge/questions.yaml`, by words alone, by
meaning alone, and by both.

    uv run python tests/bench/retrieval.py [--embedder minilm] [--questions FILE] [--output FILE]

nDCG@10 and recall@5 are of documents: a document stands where its best chunk does. Under them, what a search takes once
the collection is open, with the query's embedding, and what it takes to index everything and to open it again.
"""

import argparse
import math
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from harness import ROOT, table

# isort: split
import msgspec.yaml

from agents.knowledge.bm25 import Terms, weigh_query
from agents.knowledge.builtin import builtin_documents
from agents.knowledge.collection import Collection
from agents.knowledge.store import Sought
from orchestrator.knowledge.edge import EdgeStore
from orchestrator.knowledge.opening import embedder_of, options_from
from schemas.knowledge import KnowledgeFilter, KnowledgeSearchRequest

QUESTIONS: Final = ROOT / "agents" / "knowledge" / "questions.yaml"
NDCG_AT: Final = 10
RECALL_AT: Final = 5
CHUNKS_MAX: Final = 400
OPEN_S_MAX: Final = 600.0
INTERVAL: Final = 1.96

Relevant = Mapping[str, float]
Rank = Callable[[str], list[str]]


def questions(path: Path) -> list[tuple[str, Relevant]]:
    """Each question with the documents that answer it, by id, and how well each does (1 where nothing is said)."""
    found = msgspec.yaml.decode(path.read_bytes())
    rows = found["questions"] if isinstance(found, dict) else found
    out = []
    for row in rows:
        text = row.get("question") or row["query"]
        answers = row.get("relevant") or row.get("documents") or row["expect"]
        if isinstance(answers, str):
            answers = [answers]
        graded = answers if isinstance(answers, dict) else dict.fromkeys(answers, 1.0)
        out.append((str(text), {str(one): float(grade) for one, grade in graded.items()}))
    return out


def ndcg(ranked: Sequence[str], relevant: Relevant) -> float:
    """Gain of the first NDCG_AT, discounted by their places, as a share of the best there could be."""

    def gain(grades: Sequence[float]) -> float:
        return math.fsum(
            grade / math.log2(place + 1) for place, grade in enumerate(grades[:NDCG_AT], start=1)
        )

    best = gain(sorted(relevant.values(), reverse=True))
    return gain([relevant.get(one, 0.0) for one in ranked]) / best if best else 0.0


def recall(ranked: Sequence[str], relevant: Relevant) -> float:
    """Share of the documents that answer which are among the first RECALL_AT."""
    wanted = {one for one, grade in relevant.items() if grade > 0}
    return len(wanted & set(ranked[:RECALL_AT])) / min(len(wanted), RECALL_AT)


def methods(collection: Collection) -> dict[str, Rank]:
    """The ways to rank documents for a question."""

    def by_words(question: str) -> list[str]:
        return _documents(collection, Sought(terms=weigh_query(question), **_ANY, vector=None), 0)

    def by_meaning(question: str) -> list[str]:
        assert collection.embedder is not None
        vector = collection.embedder.embed_query(question, timeout_s=10.0)
        return _documents(collection, Sought(terms=Terms(), **_ANY, vector=vector), 1)

    def fused(question: str) -> list[str]:
        reply = collection.search(KnowledgeSearchRequest(query=question, k=NDCG_AT, per_document_max=1))
        return [hit.document_id for hit in reply.hits]

    return {"BM25": by_words} | (
        {"dense": by_meaning, "fused (BM25 2 : 1, k = 10)": fused} if collection.embedder else {}
    )


_ANY: Final[dict[str, Any]] = {"only": KnowledgeFilter(), "limit": CHUNKS_MAX}


def _documents(collection: Collection, sought: Sought, side: int) -> list[str]:
    found = collection.store.search(sought)[side]
    return list(dict.fromkeys(one.document.id for one in found))


def measured(collection: Collection, asked: Sequence[tuple[str, Relevant]]) -> str:
    lines = []
    for name, rank in methods(collection).items():
        rank(asked[0][0])  # warm
        ranked, times_ms = [], []
        for text, _ in asked:
            begun_s = time.perf_counter()
            ranked.append(rank(text))
            times_ms.append(1_000 * (time.perf_counter() - begun_s))
        gains = [ndcg(found, relevant) for found, (_, relevant) in zip(ranked, asked, strict=True)]
        shares = [recall(found, relevant) for found, (_, relevant) in zip(ranked, asked, strict=True)]
        worst_ms = sorted(times_ms)[int(0.95 * (len(times_ms) - 1))]
        times = f"{statistics.median(times_ms):.1f} / {worst_ms:.1f}"
        lines.append((name, _mean(gains), _mean(shares), times))
    head = ("ranked by", f"nDCG@{NDCG_AT}", f"recall@{RECALL_AT}", "ms, median / 95 %")
    return table(head, lines)


def _mean(values: Sequence[float]) -> str:
    """The mean, with the half-width of its 95 % interval."""
    half = INTERVAL * statistics.stdev(values) / math.sqrt(len(values)) if len(values) > 1 else 0.0
    return f"{statistics.fmean(values):.3f} ± {half:.3f}"


def opened(folder: Path, embedder: str) -> tuple[Collection, float]:
    """The collection of the built-in documents, and the seconds that it took to open."""
    begun_s = time.perf_counter()
    collection = Collection(
        store=EdgeStore(folder),
        embedder=embedder_of(options_from(folder, {}, embedder=embedder)),
        builtin=builtin_documents(),
    )
    collection.open(timeout_s=OPEN_S_MAX)
    return collection, time.perf_counter() - begun_s


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--embedder", default="auto")
    parser.add_argument("--questions", type=Path, default=QUESTIONS)
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    asked = questions(arguments.questions)
    known = {document.id for document in builtin_documents()}
    if missing := {one for _, relevant in asked for one in relevant} - known:
        sys.exit(f"{arguments.questions} names documents that there are not: {', '.join(sorted(missing))}")
    with tempfile.TemporaryDirectory() as folder:
        collection, first_s = opened(Path(folder), arguments.embedder)
        rows = measured(collection, asked)
        chunks = sum(entry.chunks for entry in collection.entries())
        collection.close()
        collection, again_s = opened(Path(folder), arguments.embedder)
        collection.close()
    said = (
        f"{len(asked)} questions, {len(known)} documents, {chunks} chunks\n\n{rows}\n"
        f"Indexed in {first_s:.2f} s, opened again in {again_s * 1_000:.0f} ms.\n"
    )
    print(said)
    if arguments.output:
        arguments.output.write_text(said)


if __name__ == "__main__":
    main()
