"""What `labverse negotiate` shows: the deal, what it means to everybody, how sure it is, and a picture."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING, Final

from agents.negotiator.domain import Domain
from orchestrator.clean import clean
from orchestrator.fitting import Column, print_table
from orchestrator.negotiation_picture import (
    BARS_MAX,
    Picture,
    bar,
    figure,
    keys,
    scatter,
    words_of,
)
from orchestrator.negotiation_words import (
    bound_words,
    counted,
    difference,
    flip_words,
    manipulability_words,
    pareto_words,
    percent,
    runner_up_words,
    short,
    value_words,
)
from schemas.deal import Alternative, Certificate, Mixed, NoDeal

if TYPE_CHECKING:
    from rich.console import Console

AGENT_COLUMNS_MAX: Final = 4
"""With more agents, concepts are compared by who gains least."""
WARNINGS_MAX: Final = 10
LABEL_SHARE: Final = 0.4
"""Of the width, that what stands on the left takes at most."""
GAP: Final = 2
SHARE_LEAST: Final = 0.0005
"""Of an issue, that is worth a mention."""

AGENTS: Final = (
    Column("agent", "name"),
    Column("utility"),
    Column("regret", rank=1),
    Column("in its unit", rank=4, under="regret in its unit"),
    Column("without a deal", rank=2),
    Column("at best", rank=3),
    Column("", "text", rank=1),
)
BLOCKED: Final = (
    Column("agent", "name"),
    Column("needs"),
    Column("nearest"),
    Column("short by", rank=1),
    Column("", "text", rank=2),
)


def print_certificate(
    console: "Console", domain: Domain, certificate: Certificate, picture: Picture, took_s: float
) -> None:
    """Print a deal with all that speaks for and against it."""
    _say(console, _headline(domain, took_s), style="bold")
    _pairs(console, "the deal", ((clean(issue), clean(value)) for issue, value in certificate.deal.items()))
    _print_agents(console, domain, certificate)
    _pairs(console, "how sure it is", _sureness(domain, certificate))
    if certificate.mixed is not None:
        _pairs(console, "sharing out what is divisible", _mixed(certificate.mixed))
    _print_concepts(console, domain, certificate)
    _print_picture(console, certificate, picture)
    _print_warnings(console, certificate.warnings)


def print_no_deal(
    console: "Console", domain: Domain, nobody: NoDeal, picture: Picture, took_s: float
) -> None:
    """Print that there is no deal, and who stands in the way."""
    _say(console, _headline(domain, took_s), style="bold")
    _say(console, f"no deal: {clean(nobody.reason)}", style="bold red")
    _pairs(
        console,
        "the nearest outcome",
        ((clean(name), clean(value)) for name, value in nobody.nearest.items()),
    )
    blockers = {one.agent: one for one in nobody.blockers}
    rows = []
    for agent in domain.agents:
        needs = agent.disagreement if agent.threshold is None else agent.threshold
        short = nobody.shortfalls.get(agent.name)
        rows.append(
            (
                clean(agent.name),
                figure(needs),
                figure(nobody.utilities[agent.name]),
                "" if short is None else figure(short),
                "blocks" if agent.name in blockers else "",
            )
        )
    console.print()
    print_table(console, "agents in it", BLOCKED, rows)
    if len(picture.agents) == 2:
        _scatter(console, picture)
    _print_warnings(console, nobody.warnings)


def _headline(domain: Domain, took_s: float) -> str:
    outcomes = f"{domain.outcomes:,}" if domain.outcomes < 10**9 else f"{domain.outcomes:.1e}"
    return (
        f"{clean(domain.name)}: {counted(len(domain.agents), 'agent')}, "
        f"{counted(len(domain.issues), 'issue')}, {outcomes} outcome{'' if domain.outcomes == 1 else 's'}, "
        f"{took_s * 1000:.0f} ms"
    )


def _print_agents(console: "Console", domain: Domain, certificate: Certificate) -> None:
    rows = []
    for agent in domain.agents:
        name = agent.name
        said = ["binds"] if name in certificate.binds else []
        said += [] if name in certificate.accepts else ["says no"]
        said += [] if agent.weight == 1 else [f"weight {figure(agent.weight)}"]
        rows.append(
            (
                clean(name),
                figure(certificate.utilities[name]),
                percent(certificate.regrets[name]),
                figure(certificate.absolute_regrets[name]),
                figure(certificate.disagreement[name]),
                figure(certificate.ideal[name]),
                ", ".join(said),
            )
        )
    console.print()
    print_table(console, "agents", AGENTS, rows)


def _sureness(domain: Domain, certificate: Certificate) -> Iterator[tuple[str, str]]:
    chosen = certificate.by_concept[certificate.concept]
    tied = "" if chosen.tied == 1 else f"; {chosen.tied:,} deals do equally well"
    yield "chosen by", f"{value_words(domain, certificate)} {figure(certificate.value)}{tied}"
    yield "bound", bound_words(certificate)
    yield "dominated", pareto_words(certificate)
    yield "runner-up", runner_up_words(certificate)
    if certificate.flips:
        for flip in sorted(certificate.flips, key=lambda flip: flip.share):
            yield "smallest flip", flip_words(certificate.deal, flip)
    else:
        yield "smallest flip", "none found"
    if certificate.manipulability is not None:
        yield "manipulable", manipulability_words(certificate.manipulability)


def _mixed(mixed: Mixed) -> Iterator[tuple[str, str]]:
    for issue, shares in mixed.shares.items():
        if issue:
            yield clean(issue), _shares(shares)
    for share, deal in mixed.turns:
        yield f"{percent(share)} of turns", ", ".join(f"{short(i)} {short(v)}" for i, v in deal.items())
    worth = (f"{short(name)} {figure(one)}" for name, one in mixed.utilities.items())
    yield "worth", ", ".join(worth)
    yield "by the concept", f"{figure(mixed.value)}, against the best that sharing allows each"


def _shares(shares: Mapping[str, float]) -> str:
    if len(shares) == 1:
        return clean(next(iter(shares)))
    return ", ".join(
        f"{percent(one)} of it {short(value)}" for value, one in shares.items() if one >= SHARE_LEAST
    )


def _print_concepts(console: "Console", domain: Domain, certificate: Certificate) -> None:
    names = [agent.name for agent in domain.agents]
    has_columns = len(names) <= AGENT_COLUMNS_MAX
    middle = [Column(short(name), rank=2) for name in (names if has_columns else ())] or [
        Column("least share gained", rank=2)
    ]
    columns = (
        Column("by", "text"),
        Column("value"),
        *middle,
        Column("proven", "text", rank=3, under="proven"),
        Column("deal", "text", rank=4, under="deal:"),
    )
    rows = []
    ordered = sorted(certificate.by_concept.items(), key=lambda pair: pair[0] != certificate.concept)
    for concept, one in ordered:
        worth = [figure(one.utilities[name]) for name in names] if has_columns else [_least(certificate, one)]
        deal = "this one" if concept == certificate.concept else difference(certificate.deal, one.deal)
        rows.append(
            (words_of(concept), figure(one.value), *worth, "yes" if one.is_exact else _gap(one), deal)
        )
    console.print()
    print_table(console, "by other notions of fairness", columns, rows)


def _gap(one: Alternative) -> str:
    return "no bound" if one.bound is None else f"gap {figure(abs(one.bound - one.value))}"


def _least(certificate: Certificate, one: Alternative) -> str:
    return percent(min(gained(certificate, one.utilities, name) for name in one.utilities))


def gained(certificate: Certificate, utilities: Mapping[str, float], name: str) -> float:
    """How much of what it could gain an agent gains; 1 where there is nothing to gain or lose."""
    room = certificate.ideal[name] - certificate.disagreement[name]
    gain = utilities[name] - certificate.disagreement[name]
    return gain / room if room > 0 else 1.0 if gain >= room else 0.0


def _print_picture(console: "Console", certificate: Certificate, picture: Picture) -> None:
    if len(picture.agents) == 2:
        _scatter(console, picture)
        return
    names = list(certificate.utilities)
    rows = []
    for name in names[:BARS_MAX]:
        share = gained(certificate, certificate.utilities, name)
        rows.append((clean(name), bar(share), percent(share)))
    console.print()
    left_out = f" ({len(names) - BARS_MAX} more agents are in the table)" if len(names) > BARS_MAX else ""
    columns = (Column("agent", "name"), Column("", "bar", rank=1), Column("gained"))
    print_table(console, f"of what each could gain{left_out}", columns, rows)


def _scatter(console: "Console", picture: Picture) -> None:
    from rich.text import Text

    console.print()
    for line in scatter(picture, console.width):
        console.print(Text(line), soft_wrap=True)
    _say(console, "   ".join(keys(picture)))


def _print_warnings(console: "Console", warnings: Sequence[str]) -> None:
    if not warnings:
        return
    console.print()
    for warning in warnings[:WARNINGS_MAX]:
        _say(console, f"note: {clean(warning)}")
    if len(warnings) > WARNINGS_MAX:
        _say(console, f"note: {len(warnings) - WARNINGS_MAX} more; --json lists them")


def _pairs(console: "Console", title: str, pairs: Iterable[tuple[str, str]]) -> None:
    """Two columns that wrap and lose nothing."""
    from rich.text import Text

    listed = [(Text(name, style="dim"), Text(value)) for name, value in pairs]
    widest = max((name.cell_len for name, _ in listed), default=0)
    left = max(1, min(widest, int(console.width * LABEL_SHARE)))
    right = max(1, console.width - left - GAP)
    console.print()
    _say(console, title, style="italic")
    for name, value in listed:
        pieces = zip_longest(
            name.wrap(console, left, overflow="fold"), value.wrap(console, right, overflow="fold")
        )
        for label, piece in pieces:
            line = Text() if label is None else label
            if piece is not None:
                line = Text.assemble(line, " " * (left + GAP - line.cell_len), piece)
            line.rstrip()
            console.print(line, soft_wrap=True)


def _say(console: "Console", text: str, style: str = "") -> None:
    from rich.text import Text

    console.print(Text(text, style=style, overflow="fold"))
