"""An answer's footer and the explanation of a decision, as a terminal shows them."""

import sys
from typing import TYPE_CHECKING, Final

from agents.cost_guard.report import dollars
from agents.router.offers import SEES_UNKNOWN
from orchestrator.clean import clean
from orchestrator.fitting import Column, joined, print_table

if TYPE_CHECKING:
    from rich.console import Console

    from schemas.llm import Candidate, CompletionReply, Explanation

WIDTH_IN_PIPES: Final = 160

CANDIDATE_COLUMNS: Final = (
    Column("#"),
    Column("model", "name"),
    Column("where", "text", rank=2),
    Column("estimate"),
    Column("held"),
    Column("in time"),
    Column("usual", rank=1),
    Column("tokens in", rank=3),
    Column("max out", rank=3),
    Column("why not", "text", rank=4, under="why not:"),
)
ATTEMPT_COLUMNS: Final = (
    Column("at"),
    Column("model", "name"),
    Column("outcome", "text"),
    Column("took"),
    Column("cost"),
    Column("remarks", "text", rank=1, under="→"),
)


def print_footer(reply: "CompletionReply", *, by: str = "") -> None:
    """Which model answered, what it took, and whose limits and keys that was.

    One dim line on stderr; on a narrow terminal more, broken between its parts.

    Args:
        by: who routed it, if it wasn't this process.
    """
    from rich.console import Console
    from rich.text import Text

    completion = reply.completion
    assert completion is not None
    usage = completion.usage
    where = {"cache": "from the cache", "rules": "rules"}.get(
        completion.source, "local" if completion.is_local else "cloud"
    )
    parts = [
        f"{completion.model} ({where})",
        f"{usage.input_tokens:,} + {usage.output_tokens:,} tokens{' (estimated)' if usage.is_estimated else ''}",
        dollars(completion.cost_nusd),
        f"{completion.latency_s:.2f} s",
    ]
    if completion.time_to_first_s:
        parts.append(f"first token after {completion.time_to_first_s:.2f} s")
    if completion.finish_reason == "length":
        parts.append("cut at max_tokens")
    if completion.fallback:
        parts.append("a better ranked model failed: --explain tells")
    if reply.explanation is not None and f"{completion.model} {SEES_UNKNOWN}" in reply.explanation.notes:
        parts.append("whether it sees images is unknown")
    if by:
        parts.append(f"answered by {by}")
    console = Console(stderr=True, highlight=False)
    width = console.width if console.is_terminal else sys.maxsize
    for line in joined([Text(clean(part)) for part in parts], width):
        console.print(line, style="dim", soft_wrap=True)


def print_explanation(reply: "CompletionReply") -> None:
    """The candidates with what was estimated or why they were dropped; the attempts with what happened."""
    from rich.console import Console

    assert reply.explanation is not None
    console = Console(stderr=True, highlight=False)
    if not console.is_terminal:
        console.width = WIDTH_IN_PIPES
    if reply.explanation.candidates:
        _print_candidates(console, reply.explanation)
    if reply.explanation.attempts:
        _print_attempts(console, reply.explanation)
    for note in reply.explanation.notes:
        console.print(f"note: {clean(note)}", markup=False, soft_wrap=True)


def _print_candidates(console: "Console", explanation: "Explanation") -> None:
    from rich.text import Text

    print_table(
        console,
        "candidates",
        CANDIDATE_COLUMNS,
        [
            (
                str(one.rank) if one.rank else "-",
                clean(one.model),
                "local" if one.is_local else "cloud",
                *(_estimates(one) if one.rank else ("",) * 6),
                Text(clean(one.dropped), style="yellow"),
            )
            for one in sorted(explanation.candidates, key=lambda one: (one.rank == 0, one.rank))
        ],
    )


def _estimates(one: "Candidate") -> tuple[str, ...]:
    known = one.p_in_time >= 0
    return (
        dollars(one.estimate_nusd),
        dollars(one.reserve_nusd),
        f"{one.p_in_time:.0%}" if known else "unknown",
        f"{one.latency_p50_s:.2f} s" if one.latency_p50_s else "unknown",
        f"{one.input_tokens:,}",
        f"{one.max_tokens:,}",
    )


def _print_attempts(console: "Console", explanation: "Explanation") -> None:
    from rich.text import Text

    print_table(
        console,
        "what happened",
        ATTEMPT_COLUMNS,
        [
            (
                f"{one.started_s:.2f} s",
                clean(one.model),
                f"{one.outcome}{' (hedge)' if one.is_hedge else ''}",
                f"{one.latency_s:.2f} s",
                dollars(one.cost_nusd),
                Text(clean(one.detail)),
            )
            for one in explanation.attempts
        ],
    )
