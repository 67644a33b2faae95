"""The core of the approver: who may say what, when it counts, and what the others are told."""

import msgspec
import pytest
from approving import DIGEST, PEOPLE, terms, wanted, word
from hypothesis import given
from hypothesis import strategies as st

from agents.approver.deciding import decide, lapsed, withdrawn
from agents.approver.people import People
from agents.approver.terms import opened
from bus import DecodeError, Envelope
from bus.envelope import parse_time, time_text
from schemas.approval import Approval, ApprovalState, Ballot, DecideOutcome, DecideRequest

NOON_S = parse_time("2026-03-01T12:00:00Z")
WHO = People(PEOPLE)


def approval(
    now_s: float = NOON_S, request: object = None, deadline: str = "", **changes: object
) -> Approval:
    envelope = Envelope(subject="s", id="a1", tag="approval.requested.v1", task_id="t1", deadline=deadline)
    return opened(request or wanted(), envelope, terms(**changes), WHO, now_s)  # type: ignore[arg-type]


def said(
    one: Approval, identity: str, action: str = "approve", at_s: float = 60.0, **more: object
) -> Approval:
    decision = decide(one, word("a1", identity, action, **more), WHO, NOON_S + at_s)
    assert decision.outcome is DecideOutcome.COUNTED, decision.message
    return decision.approval


def outcome_of(
    one: Approval, identity: str, action: str = "approve", at_s: float = 120.0, **more: object
) -> tuple[DecideOutcome, str]:
    decision = decide(one, word("a1", identity, action, **more), WHO, NOON_S + at_s)
    return decision.outcome, decision.message


def test_one_yes_is_enough_for_a_quorum_of_one() -> None:
    done = said(approval(), "slack:U1")
    assert (done.state, done.votes[0].by, done.missing) == (ApprovalState.APPROVED, "alice", 0)


def test_one_veto_decides_whatever_the_quorum() -> None:
    half = said(approval(quorum=2), "slack:U1")
    assert half.is_open
    assert said(half, "cli:bob", "veto").state is ApprovalState.VETOED


def test_one_person_votes_once_under_whatever_identity() -> None:
    half = said(approval(quorum=2), "slack:U1")
    outcome, message = outcome_of(half, "cli:alice")
    assert (outcome, message) == (DecideOutcome.REPEATED, "counted: 1 of 2 needed have said yes")


def test_names_that_share_an_identity_are_one_person() -> None:
    who = People({"alice": ("cli:alice", "slack:U1"), "owner": ("cli:alice",), "bob": ("cli:bob",)})
    envelope = Envelope(subject="s", id="a1", tag="approval.requested.v1", task_id="t1")
    one = opened(wanted(), envelope, terms(approvers=("owner", "alice", "bob"), quorum=2), who, NOON_S)
    one = decide(one, word("a1", "cli:alice"), who, NOON_S).approval
    assert decide(one, word("a1", "slack:U1"), who, NOON_S).outcome is DecideOutcome.REPEATED
    assert decide(one, word("a1", "cli:bob"), who, NOON_S).approval.state is ApprovalState.APPROVED
    with pytest.raises(ValueError, match="3 people must approve 'deal', and the policy lists 2"):
        opened(wanted(), envelope, terms(approvers=("owner", "alice", "bob"), quorum=3), who, NOON_S)


def test_a_yes_may_become_a_no_and_a_no_never_a_yes() -> None:
    half = said(approval(quorum=2), "slack:U1")
    off = said(half, "slack:U1", "veto", at_s=90)
    assert off.state is ApprovalState.VETOED
    assert outcome_of(off, "slack:U1")[0] is DecideOutcome.TOO_LATE


def test_losers_read_who_decided_when_and_how() -> None:
    off = said(approval(), "slack:U1", "veto", at_s=3 * 60)
    assert outcome_of(off, "cli:bob", at_s=240) == (
        DecideOutcome.TOO_LATE,
        "alice vetoed this at 12:03 UTC by Slack",
    )
    yes = said(said(approval(quorum=2), "cli:alice"), "cli:bob", at_s=90)
    assert (
        outcome_of(yes, "cli:bob", "veto", at_s=86_400)[1]
        == "alice and bob approved this at 2026-03-01 12:01 UTC at the command line"
    )


def test_a_stranger_is_not_allowed_and_learns_nothing_even_of_the_end() -> None:
    off = said(approval(), "slack:U1", "veto")
    for one in (approval(), off, lapsed(approval(), NOON_S + 9_999)):
        for identity in ("slack:U9", "alice", "cli:", ":alice", "Slack:U1", "slack:u1"):
            outcome, message = outcome_of(one, identity)
            assert outcome is DecideOutcome.NOT_ALLOWED
            assert "alice" not in message
            assert "A deal" not in message


def test_an_empty_list_means_nobody_and_says_so() -> None:
    one = approval(approvers=())
    assert one.why == "nobody is on the list of approvers: nobody can approve this"
    assert outcome_of(one, "slack:U1")[0] is DecideOutcome.NOT_ALLOWED
    assert lapsed(one, NOON_S + 600).why == "nobody was on the list of approvers"


def test_an_identity_itself_can_be_on_the_list() -> None:
    one = approval(approvers=("slack:U77", "cli:bob"))
    assert said(one, "slack:U77").votes[0].by == "slack:U77"
    assert said(one, "slack:U2").votes[0].by == "cli:bob"  # bob by another of his identities


def test_at_the_deadline_it_is_expired() -> None:
    assert said(approval(), "slack:U1", at_s=599.9).state is ApprovalState.APPROVED
    decision = decide(approval(quorum=2), word("a1", "slack:U1"), WHO, NOON_S + 600)
    assert (decision.outcome, decision.approval.state) == (DecideOutcome.EXPIRED, ApprovalState.EXPIRED)
    assert decision.message == "this expired at 12:10 UTC: 0 of 2 needed have said yes"


def test_another_digest_is_changed_and_counts_for_nothing() -> None:
    one = approval()
    decision = decide(one, word("a1", "slack:U1", digest="b" * 64), WHO, NOON_S)
    assert (decision.outcome, decision.approval) == (DecideOutcome.CHANGED, one)


def test_the_same_word_again_has_the_same_answer_and_no_effect() -> None:
    click = word("a1", "slack:U1", "veto")
    first = decide(approval(), click, WHO, NOON_S + 1)
    again = decide(first.approval, click, WHO, NOON_S + 2)
    assert again.outcome is DecideOutcome.REPEATED
    assert (again.approval, again.message) == (first.approval, first.message)


def test_the_vote_id_of_somebody_else_is_no_repetition() -> None:
    half = said(approval(quorum=2), "slack:U1", vote_id="v")
    assert said(half, "slack:U2", vote_id="v").state is ApprovalState.APPROVED


def test_a_delegate_votes_in_the_name_of_the_delegator() -> None:
    handed = said(approval(quorum=2), "slack:U1", "delegate", to="carol")
    yes = said(handed, "key:carol")
    assert (yes.votes[0].by, yes.votes[0].on_behalf_of, yes.is_open) == ("carol", "alice", True)
    outcome, message = outcome_of(yes, "cli:alice", at_s=90)
    assert outcome is DecideOutcome.TOO_LATE
    assert message == "the right is used: carol (for alice) approved this at 12:01 UTC over HTTP"
    assert said(yes, "cli:bob").state is ApprovalState.APPROVED


def test_the_delegator_may_vote_as_long_as_the_delegate_has_not() -> None:
    handed = said(approval(quorum=2), "slack:U1", "delegate", to="carol")
    yes = said(handed, "cli:alice")
    assert outcome_of(yes, "slack:U3")[0] is DecideOutcome.TOO_LATE
    assert len(yes.votes) == 1


def test_a_right_can_go_to_an_identity_and_later_to_somebody_else() -> None:
    first = said(approval(), "slack:U1", "delegate", to="slack:U99")
    second = said(first, "slack:U1", "delegate", to="dave")
    assert outcome_of(second, "slack:U99")[0] is DecideOutcome.NOT_ALLOWED
    assert said(second, "slack:U4").votes[0].on_behalf_of == "alice"


@pytest.mark.parametrize(
    ("before", "identity", "to", "why"),
    [
        ((), "slack:U1", "bob", "bob is on the list of approvers already"),
        ((), "slack:U1", "cli:bob", "cli:bob is on the list"),
        ((), "slack:U1", "alice", "alice is on the list"),
        ((), "slack:U1", "nobody", "nobody is called 'nobody'"),
        ((), "slack:U1", "", "nobody is called ''"),
        ((("slack:U1", "carol"),), "slack:U3", "dave", "can't be handed on once more"),
        ((("slack:U1", "carol"),), "slack:U2", "key:carol", "key:carol votes for alice already"),
    ],
)
def test_rights_go_to_others_once(
    before: tuple[tuple[str, str], ...], identity: str, to: str, why: str
) -> None:
    one = approval(quorum=2)
    for giver, taker in before:
        one = said(one, giver, "delegate", to=taker)
    outcome, message = outcome_of(one, identity, "delegate", to=to)
    assert outcome is DecideOutcome.NOT_ALLOWED
    assert why in message


def test_nobody_hands_on_a_right_that_is_used() -> None:
    half = said(approval(quorum=2), "slack:U1")
    outcome, message = outcome_of(half, "slack:U1", "delegate", to="carol")
    assert outcome is DecideOutcome.NOT_ALLOWED
    assert message.startswith("the right is used: alice approved this at 12:01 UTC")


def test_handing_on_twice_to_the_same_is_a_repetition() -> None:
    handed = said(approval(), "slack:U1", "delegate", to="carol")
    assert outcome_of(handed, "cli:alice", "delegate", to="carol")[0] is DecideOutcome.REPEATED


def test_a_request_may_ask_for_more_people_and_less_time_but_never_otherwise() -> None:
    strict = approval(request=wanted(quorum=2, deadline=time_text(NOON_S + 60)))
    assert (strict.quorum, strict.deadline) == (2, time_text(NOON_S + 60))
    weak = approval(request=wanted(quorum=1, deadline=time_text(NOON_S + 9_000)), quorum=2)
    assert (weak.quorum, weak.deadline) == (2, time_text(NOON_S + 600))
    assert approval(deadline=time_text(NOON_S + 30)).deadline == time_text(NOON_S + 30)


def test_a_quorum_that_can_never_be_reached_is_refused_with_the_reason() -> None:
    with pytest.raises(ValueError, match="3 people must approve 'deal', and the policy lists 2"):
        approval(request=wanted(quorum=3))
    with pytest.raises(DecodeError, match="not an RFC 3339 time"):
        approval(request=wanted(deadline="tomorrow"))


def test_people_are_reminded_only_where_there_is_time() -> None:
    assert approval(warn_before_s=60).warn_at == time_text(NOON_S + 540)
    assert approval(warn_before_s=600).warn_at == ""
    assert approval().warn_at == ""


def test_what_is_decided_is_not_withdrawn() -> None:
    yes = said(approval(), "slack:U1")
    assert withdrawn(yes, "x", NOON_S + 90) is yes
    off = withdrawn(approval(), "x", NOON_S + 90)
    assert outcome_of(off, "slack:U1") == (
        DecideOutcome.TOO_LATE,
        "this was withdrawn at 12:01 UTC: x",
    )


IDENTITIES = [
    *(one for many in PEOPLE.values() for one in many),
    *("slack:U99", "cli:mallory", "alice", "bob", ":", "key:"),
]
WORDS = st.builds(
    DecideRequest,
    approval_id=st.just("a1"),
    digest=st.sampled_from([DIGEST, DIGEST, DIGEST, "b" * 64]),
    identity=st.sampled_from(IDENTITIES),
    action=st.sampled_from(["approve", "approve", "veto", "delegate"]),
    vote_id=st.sampled_from([f"v{number}" for number in range(6)]),
    to=st.sampled_from([*PEOPLE, "slack:U99", "cli:alice", ""]),
)


@given(
    words=st.lists(st.tuples(WORDS, st.floats(0, 90)), max_size=25),
    quorum=st.integers(1, 3),
    approvers=st.sampled_from([(), ("alice", "bob", "carol"), ("alice", "cli:alice", "bob", "slack:U99")]),
)
def test_whatever_people_say_it_ends_once_and_rightly(
    words: list[tuple[DecideRequest, float]], quorum: int, approvers: tuple[str, ...]
) -> None:
    one = approval(approvers=approvers, quorum=quorum)
    now_s, ended = NOON_S, None
    for request, later_s in words:
        now_s += later_s
        before = one
        one, outcome, message = decide(before, request, WHO, now_s)
        assert message
        assert "\n" not in message
        if ended is not None:
            assert one == ended, "it ended twice"
        if outcome is not DecideOutcome.COUNTED:
            assert (one.votes, one.delegations) == (before.votes, before.delegations)
        else:
            assert request.digest == DIGEST
            assert now_s < parse_time(one.deadline)
            holders = [*approvers, *(handed.to for handed in before.delegations)]
            assert ":" in request.identity
            assert any(WHO.are_same(request.identity, holder) for holder in holders), "a stranger"
        if not one.is_open:
            ended = one
        times = [parse_time(vote.at) for vote in one.votes]
        assert times == sorted(set(times))
    yes = [vote for vote in one.votes if vote.ballot is Ballot.APPROVE]
    assert len({WHO.person(vote.identity) for vote in yes}) == len(yes), "somebody voted twice"
    assert len({vote.on_behalf_of or vote.by for vote in yes}) == len(yes), "a right was used twice"
    assert (one.state is ApprovalState.APPROVED) == (
        len(yes) >= quorum and ended is not None and _no_veto(one)
    )
    if one.state is ApprovalState.VETOED:
        assert not _no_veto(one)


def _no_veto(one: Approval) -> bool:
    return all(vote.ballot is Ballot.APPROVE for vote in one.votes)


@given(st.lists(WORDS, max_size=12), st.data())
def test_every_word_sent_again_changes_nothing(words: list[DecideRequest], data: st.DataObject) -> None:
    one = approval(approvers=("alice", "bob", "carol"), quorum=3)
    for number, request in enumerate(words):
        request = msgspec.structs.replace(request, vote_id=f"v{number}")
        one, outcome, _ = decide(one, request, WHO, NOON_S + number)
        again = decide(one, request, WHO, NOON_S + number + data.draw(st.floats(0, 1)))
        assert again.approval == one
        if outcome is DecideOutcome.COUNTED:
            assert again.outcome is DecideOutcome.REPEATED
