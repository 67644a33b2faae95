"""What approvals look like: on any width, with any text, before and after the end."""

import io

import msgspec
import pytest
from approving import DIGEST, wanted
from rich.console import Console

from bus.envelope import parse_time, time_text
from orchestrator.approvals_view import left_words, print_approval, print_approvals, print_audit
from schemas.approval import Approval, ApprovalState, AuditEntry, Ballot, Delegation, Fact, Vote

HOSTILE = "\x1b[31mred\x1b[0m\n\r\x07[bold]markup[/bold] \u202eevil"
NOON = "2026-03-01T12:00:00Z"
NOON_S = parse_time(NOON)
APPROVAL = Approval(
    approval_id="0123456789abcdefghjkmnpqrs",
    task_id="t1",
    request=wanted(
        title="A deal",
        cost_nusd=5 * 10**9,
        text="first line\nsecond line",
        reasons=("it costs more than $1.00",),
        facts=(Fact(label="Pays", value="$5.00 to TikTok"),),
    ),
    requested_by="labverse/negotiator",
    approvers=("alice", "bob"),
    quorum=2,
    opened_at=NOON,
    deadline="2026-03-01T14:05:00Z",
    votes=(Vote(by="alice", identity="slack:U1", ballot=Ballot.APPROVE, at=NOON, vote_id="v", via="slack"),),
    delegations=(Delegation(who="bob", to="carol", at=NOON),),
)


def screen(width: int = 100) -> Console:
    return Console(file=io.StringIO(), width=width, highlight=False)


def shown(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.mark.parametrize(
    ("left_s", "words"),
    [
        (-1, "none"),
        (0, "none"),
        (59, "59 s"),
        (61, "1 min"),
        (7_500, "2 h 05 min"),
        (90_000, "1 d 1 h"),
    ],
)
def test_time_left_in_words(left_s: float, words: str) -> None:
    assert left_words(time_text(NOON_S + left_s), NOON_S) == words


def test_an_open_one_says_what_it_costs_who_may_decide_and_how_far_it_is() -> None:
    console = screen()
    print_approval(console, APPROVAL, now_s=NOON_S)
    text = shown(console)
    for part in (
        "$5.00 at most",
        "it costs more than $1.00",
        "$5.00 to TikTok",
        "14:05 UTC (2 h 05 min left)",
        "1 of 2 needed have said yes",
        "alice, bob",
        "bob to carol",
        "alice approved this at 12:00 UTC by Slack",
        DIGEST,
        "  first line",
        "  second line",
    ):
        assert part in text, part


def test_an_ended_one_says_how() -> None:
    gone = msgspec.structs.replace(
        APPROVAL, state=ApprovalState.WITHDRAWN, decided_at=NOON, why="its task was cancelled"
    )
    console = screen()
    print_approval(console, gone, now_s=NOON_S)
    assert "this was withdrawn at 12:00 UTC: its task was cancelled" in shown(console)


@pytest.mark.parametrize("width", [40, 80, 200])
def test_the_list_keeps_every_figure_and_no_control_character(width: int) -> None:
    console = screen(width)
    hostile = msgspec.structs.replace(
        APPROVAL, request=wanted(title=HOSTILE, cost_nusd=5 * 10**9), approvers=()
    )
    print_approvals(console, [APPROVAL, hostile], now_s=NOON_S)
    text = shown(console)
    assert text.count("$5.00") == 2
    assert text.count("1/2") == 2
    assert "nobody may approve" in " ".join(text.split())
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "[bold]markup[/bold]" in " ".join(text.split())


def test_the_log_shows_who_tried_what() -> None:
    console = screen(160)
    line = AuditEntry(
        at=NOON, what="approval.veto", identity="slack:U666", outcome="not_allowed", detail=HOSTILE
    )
    print_audit(console, [line])
    text = shown(console)
    assert "slack:U666" in text
    assert "not_allowed" in text
    assert "\x1b" not in text


def test_nothing_is_said_to_be_nothing() -> None:
    console = screen()
    print_approvals(console, [], now_s=NOON_S)
    print_approvals(console, [], now_s=NOON_S, with_all=True)
    assert shown(console) == "nothing waits for approval\nno approvals\n"
