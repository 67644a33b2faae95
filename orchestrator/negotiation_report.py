"""What `labverse negotiate` shows of a negotiation on the bus: who said what, the deal, the money, who decides."""

from typing import TYPE_CHECKING, Final

from agents.negotiator.domain import Domain
from agents.negotiator.gates import usd
from agents.negotiator.platforms.checks import domain_of
from orchestrator.clean import clean
from orchestrator.fitting import Column, print_table
from schemas.approval import Approval
from schemas.event import Event
from schemas.negotiation import (
    HOUSE,
    Interval,
    NegotiationAgreed,
    NegotiationExpired,
    NegotiationNoDeal,
    NegotiationOpened,
    NegotiationProposed,
    NegotiationVetoed,
    PositionStated,
)

if TYPE_CHECKING:
    from rich.console import Console

    from orchestrator.negotiating import Course

WORDS_SHOWN: Final = 600
WE: Final = {HOUSE: "house (we)"}

PAYMENTS: Final = (
    Column("platform", "name"),
    Column("at most"),
    Column("for", "text", rank=1, under="for"),
    Column("terms", "text", rank=2, under="terms"),
)
REVENUE: Final = (
    Column("party", "name"),
    Column("gains"),
    Column("expected, 95 %", "text", rank=1, under="expected, 95 %"),
    Column("as it may turn out, 95 %", "text", rank=2, under="as it may turn out, 95 %"),
    Column("gains at all", rank=3, under="gains at all"),
)
OPTIONS: Final = (
    Column("instead", "name"),
    Column("we gain"),
    Column("difference, 95 %", "text", rank=1, under="difference, 95 %"),
    Column("better for us", rank=2, under="better for us"),
)


def domain_of_course(course: "Course") -> Domain:
    """What was negotiated, as the solver saw it."""
    assert course.opened is not None
    present = course.proposed.parties if course.proposed else tuple(course.positions)
    positions = [course.positions[party] for party in present if party in course.positions]
    return domain_of(course.opened.issues, positions, name=course.opened.request.goal)


def print_step(console: "Console", event: Event) -> None:
    """One thing that happened, as it happens."""
    match event:
        case NegotiationOpened(parties=parties, issues=issues, request=request):
            outcomes = 1
            for issue in issues:
                outcomes *= len(issue.values)
            _say(console, clean(request.goal), style="bold")
            _say(
                console,
                f"asks {', '.join(parties)} about {', '.join(issue.name for issue in issues)}: "
                f"{outcomes:,} possible deals, at most {usd(request.budget_nusd)}",
                style="dim",
            )
        case PositionStated(party=party, words=words, words_by=by, refused=refused):
            said = " ".join(clean(words).split())
            said = said if len(said) <= WORDS_SHOWN else f"{said[: WORDS_SHOWN - 1]}…"
            source = "" if by == "template" else f" (words by {clean(by)})"
            _say(console, f"{clean(party)}: {said}{source}")
            for one in refused:
                _say(console, f"  refused: {clean(one)}", style="yellow")
        case _:
            pass


def print_money(console: "Console", proposed: NegotiationProposed) -> None:
    """Who is paid what, and what everybody may expect."""
    console.print()
    payments = [
        (clean(one.platform), usd(one.most_nusd), clean(one.volume), clean(one.terms))
        for one in proposed.payments
    ]
    print_table(console, f"we pay at most {usd(proposed.amount_nusd)}", PAYMENTS, payments)
    if proposed.revenue:
        console.print()
        rows = [
            (
                WE.get(party, clean(party)),
                dollars(one.expected.mean),
                span(one.expected),
                span(one.realised),
                f"{one.p_gain:.0%}",
            )
            for party, one in proposed.revenue.items()
        ]
        print_table(console, "what everybody gains", REVENUE, rows)
    if proposed.options:
        console.print()
        options = [
            (
                clean(one.name.replace("_", "-")),
                dollars(one.revenue.expected.mean),
                span(one.difference),
                f"{one.p_better:.0%}",
            )
            for one in proposed.options
        ]
        print_table(console, "what we would gain by other deals, in the same worlds", OPTIONS, options)
    for party, why in proposed.silent.items():
        _say(console, f"without {clean(party)}: {clean(why)}", style="yellow")
    took = f"in {proposed.machine_s * 1000:.0f} ms"
    _say(console, f"everybody gains with a likelihood of {proposed.confidence:.0%}; proposed {took}")


def print_waiting(console: "Console", approval: Approval) -> None:
    """Who may decide, until when, why, and how."""
    console.print()
    _say(console, "a person must decide:", style="bold yellow")
    for reason in approval.request.reasons:
        _say(console, f"  {clean(reason)}")
    who = ", ".join(map(clean, approval.approvers))
    needed = "" if approval.quorum == 1 else f"; {approval.quorum} must say yes"
    if who:
        _say(console, f"  {who} may, until {approval.deadline[:16].replace('T', ' ')} UTC{needed}")
    else:
        _say(console, "  the policy names nobody who may: it will expire", style="red")
    _say(console, f"  labverse approve {approval.approval_id}")
    _say(console, f"  labverse veto {approval.approval_id}")


def print_ending(console: "Console", course: "Course") -> None:
    """How it ended, in one line or a few."""
    console.print()
    match course.ending:
        case NegotiationAgreed(by=by, amount_nusd=amount):
            who = f", approved by {', '.join(map(clean, by))}" if by else ""
            _say(console, f"agreed: at most {usd(amount)}{who}", style="bold green")
        case NegotiationVetoed(by=by, note=note):
            _say(console, f"vetoed by {clean(by)}{': ' + clean(note) if note else ''}", style="bold red")
        case NegotiationExpired(why=why):
            _say(console, f"off: {clean(why)}", style="bold red")
        case NegotiationNoDeal(reason=reason, silent=silent, blockers=blockers):
            _say(console, f"no deal: {clean(reason)}", style="bold red")
            if blockers:
                _say(console, f"in the way: {', '.join(map(clean, blockers))}")
            for party, why in silent.items():
                _say(console, f"silent: {clean(party)}, {clean(why)}")
        case None:
            later = f"not over yet: labverse negotiations show {course.task_id} tells"
            _say(console, clean(course.failed or later), style="bold red" if course.failed else "")


def dollars(amount: float) -> str:
    """`$1,234.50`, `-$3.20`."""
    return f"{'-' if amount < 0 else ''}${abs(amount):,.2f}"


def span(interval: Interval) -> str:
    """The range of an interval."""
    return f"{dollars(interval.low)} to {dollars(interval.high)}"


def _say(console: "Console", text: str, style: str = "") -> None:
    from rich.text import Text

    console.print(Text(text, style=style, overflow="fold"))
