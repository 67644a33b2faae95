"""Approvals on a terminal: the list, one of them whole, and the lines of the audit log."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from agents.approver.words import ending, moment, standing, vote_words
from agents.negotiator.gates import usd
from bus.envelope import parse_time
from orchestrator.clean import clean, clean_lines
from orchestrator.fitting import Column, print_table
from schemas.approval import Approval, ApprovalState, AuditEntry

if TYPE_CHECKING:
    from rich.console import Console

WIDTH_IN_PIPES: Final = 160
ROWS_MAX: Final = 200
"""Rows shown; `--json` has them all."""
LABEL_CELLS_MAX: Final = 24
MINUTE_S: Final = 60.0
HOUR_S: Final = 3_600.0
DAY_S: Final = 86_400.0

APPROVALS: Final = (
    Column("id", "name"),
    Column("kind", "text", rank=2),
    Column("cost", rank=1),
    Column("votes"),
    Column("time left", rank=1),
    Column("state", "text"),
    Column("what", "text", rank=3),
)
LINES: Final = (
    Column("at", "text"),
    Column("what", "text"),
    Column("outcome", "text"),
    Column("who", "name"),
    Column("on", "name", rank=1),
    Column("detail", "text", rank=2),
)


def terminal(*, stderr: bool = False) -> "Console":
    """The console; as wide as tables want it where nobody looks."""
    from rich.console import Console

    console = Console(stderr=stderr, highlight=False)
    if not console.is_terminal:
        console.width = WIDTH_IN_PIPES
    return console


def print_approvals(
    console: "Console", approvals: Sequence[Approval], *, now_s: float, with_all: bool = False
) -> None:
    """The list, in the order given."""
    if not approvals:
        console.print("no approvals" if with_all else "nothing waits for approval")
        return
    title = "approvals" if with_all else f"{len(approvals)} waiting for approval"
    print_table(console, title, APPROVALS, [_row(one, now_s, with_all) for one in approvals[:ROWS_MAX]])
    if len(approvals) > ROWS_MAX:
        console.print(f"… and {len(approvals) - ROWS_MAX} more: --json shows all")
    if not with_all:
        console.print("look: labverse approvals show ID; decide: labverse approve ID, labverse veto ID")


def print_approval(console: "Console", approval: Approval, *, now_s: float) -> None:
    """One approval with all that it is about."""
    from rich.padding import Padding
    from rich.text import Text

    request = approval.request
    console.print(Text(clean(request.title)), style="bold", soft_wrap=True)
    pairs = [(clean(label), clean(value)) for label, value in _pairs(approval, now_s)]
    cells = min(LABEL_CELLS_MAX, max(len(label) for label, _ in pairs))
    for label, value in pairs:
        line = Text(f"{label:<{cells}}  ", style="dim").append(value, style="default")
        console.print(Padding(line, (0, 0, 0, 2), expand=False))
    if request.text:
        console.print(Padding(Text(clean_lines(request.text)), (1, 0, 0, 2), expand=False))


def print_audit(console: "Console", lines: Sequence[AuditEntry]) -> None:
    """Lines of the audit log, in the order given."""
    if not lines:
        console.print("no lines in the audit log")
        return
    rows = [
        [
            clean(line.at[:19].replace("T", " ")),
            clean(line.what),
            clean(line.outcome),
            clean(line.identity),
            clean(line.subject),
            clean(line.detail),
        ]
        for line in lines
    ]
    print_table(console, "audit log, in UTC", LINES, rows)


def left_words(deadline: str, now_s: float) -> str:
    """How much time there is, such as `2 h 05 min`."""
    left_s = parse_time(deadline) - now_s
    if left_s <= 0:
        return "none"
    if left_s < MINUTE_S:
        return f"{left_s:.0f} s"
    if left_s < HOUR_S:
        return f"{left_s // MINUTE_S:.0f} min"
    if left_s < DAY_S:
        return f"{left_s // HOUR_S:.0f} h {left_s % HOUR_S // MINUTE_S:02.0f} min"
    return f"{left_s // DAY_S:.0f} d {left_s % DAY_S // HOUR_S:.0f} h"


def _row(approval: Approval, now_s: float, with_all: bool) -> list[str]:
    request = approval.request
    is_over = approval.is_open and parse_time(approval.deadline) <= now_s
    state = "expires now" if is_over else str(approval.state)
    if approval.is_open and not approval.approvers:
        state = "nobody may approve"
    elif approval.is_open and not is_over and not with_all:
        state = ""
    return [
        approval.approval_id,
        clean(request.kind),
        "" if request.cost_nusd is None else usd(request.cost_nusd),
        f"{approval.quorum - approval.missing}/{approval.quorum}",
        left_words(approval.deadline, now_s) if approval.is_open else "",
        state,
        clean(request.title),
    ]


def _pairs(approval: Approval, now_s: float) -> Iterator[tuple[str, str]]:
    request = approval.request
    yield "approval", approval.approval_id
    yield "kind", request.kind
    for fact in request.facts:
        yield fact.label, fact.value
    yield "costs", "nothing" if request.cost_nusd is None else f"{usd(request.cost_nusd)} at most"
    for reason in request.reasons:
        yield "asked because", reason
    if approval.is_open:
        left = left_words(approval.deadline, now_s)
        yield "deadline", f"{moment(approval.deadline, now_s)} ({left} left)"
        yield "stands", standing(approval)
    else:
        yield "ended", ending(approval, now_s)
    yield "may decide", ", ".join(approval.approvers) or "nobody: the approval policy lists no approvers"
    for handed in approval.delegations:
        yield "handed on", f"{handed.who} to {handed.to} at {moment(handed.at, now_s)}"
    for vote in approval.votes:
        if approval.is_open or vote.note or approval.state is ApprovalState.EXPIRED:
            yield "said", vote_words(vote, now_s) + (f": {vote.note}" if vote.note else "")
    asked_by = f"{approval.requested_by or 'somebody'}, task {approval.task_id}"
    yield "asked by", f"{asked_by}, at {moment(approval.opened_at, now_s)}"
    yield "digest", request.digest
    if approval.policy_version:
        yield "policy", f"version {approval.policy_version}"
