"""An answer's footer and the explanation of a decision, as a terminal shows them."""

from typing import TYPE_CHECKING, Final

from agents.cost_guard.report import dollars
from orchestrator.clean import clean

if TYPE_CHECKING:
    from schemas.llm import Candidate, Completion, CompletionReply, Explanation

WIDTH_IN_PIPES: Final = 160


def print_footer(completion: "Completion") -> None:
    """Who answered, and what it took: one dim line on stderr."""
    from rich.console import Console
    from rich.text import Text

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
    console = Console(stderr=True, highlight=False)
    console.print(Text(clean(" · ".join(parts)), style="dim"), soft_wrap=True)


def print_explanation(reply: "CompletionReply") -> None:
    """The candidates with what was estimated or why they were dropped; the attempts with what happened."""
    from rich.console import Console

    assert reply.explanation is not None
    console = Console(stderr=True, highlight=False)
    if not console.is_terminal:
        console.width = WIDTH_IN_PIPES
    console.print(_candidates(reply.explanation))
    if reply.explanation.attempts:
        console.print(_attempts(reply))
    for note in reply.explanation.notes:
        console.print(f"note: {clean(note)}", markup=False, soft_wrap=True)


def _candidates(explanation: "Explanation") -> object:
    from rich.table import Table
    from rich.text import Text

    table = Table(title="candidates", title_justify="left", box=None, pad_edge=False, header_style="dim")
    for heading in (
        "#",
        "model",
        "where",
        "estimate",
        "held",
        "in time",
        "usual",
        "tokens in",
        "max out",
        "why not",
    ):
        table.add_column(heading, no_wrap=heading != "why not")
    for one in sorted(explanation.candidates, key=lambda one: (one.rank == 0, one.rank)):
        table.add_row(
            str(one.rank) if one.rank else "-",
            Text(clean(one.model)),
            "local" if one.is_local else "cloud",
            *(_estimates(one) if one.rank else ("",) * 6),
            Text(clean(one.dropped), style="yellow"),
        )
    return table


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


def _attempts(reply: "CompletionReply") -> object:
    from rich.table import Table
    from rich.text import Text

    assert reply.explanation is not None
    table = Table(title="what happened", title_justify="left", box=None, pad_edge=False, header_style="dim")
    for heading in ("at", "model", "outcome", "took", "cost", "remarks"):
        table.add_column(heading, no_wrap=heading != "remarks")
    for one in reply.explanation.attempts:
        table.add_row(
            f"{one.started_s:.2f} s",
            Text(clean(one.model)),
            f"{one.outcome}{' (hedge)' if one.is_hedge else ''}",
            f"{one.latency_s:.2f} s",
            dollars(one.cost_nusd),
            Text(clean(one.detail)),
        )
    return table
