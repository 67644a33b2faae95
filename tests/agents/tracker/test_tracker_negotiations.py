"""Records of negotiations and approvals grow towards the truth, whatever the order of events."""

from hypothesis import given
from hypothesis import strategies as st

from agents.tracker.tracker import apply
from bus import Envelope
from schemas.approval import ApprovalDecided, ApprovalRequested, ApprovalState
from schemas.event import Event, tag_of
from schemas.examples import EXAMPLES
from schemas.negotiation import (
    NegotiationAgreed,
    NegotiationNoDeal,
    NegotiationOpened,
    NegotiationProposed,
    NegotiationRequested,
    NegotiationVetoed,
    PositionStated,
)
from schemas.task import TaskRecord, TaskState


def envelope(event: Event, seq: int, *, cause: str = "", event_id: str = "") -> Envelope:
    tag = tag_of(event)
    return Envelope(
        subject=f"lv.{tag}.t.{event_id or f'e{seq}'}",
        id=event_id or f"e{seq}",
        tag=tag,
        task_id="t",
        seq=seq,
        causation_id=cause,
        time=f"time {seq}",
        source="labverse/test",
    )


def example(kind: type[Event]) -> Event:
    return EXAMPLES[str(kind.__struct_config__.tag)]


HISTORY = [
    (event, envelope(event, seq, cause=cause))
    for seq, (event, cause) in enumerate(
        [
            (example(NegotiationRequested), ""),
            (
                NegotiationOpened(
                    request=example(NegotiationRequested),
                    parties=("house",),
                    issues=(),
                    asked=("a",),
                    deadline="",
                ),
                "t",
            ),  # type: ignore[arg-type]
            (example(PositionStated), "a"),
            (example(NegotiationProposed), "o"),
            (example(ApprovalRequested), "o"),
            (example(NegotiationAgreed), "d"),
        ],
        1,
    )
]


def record_of(history: list[tuple[Event, Envelope]]) -> TaskRecord:
    record = TaskRecord(task_id="t")
    for event, one in history:
        record = apply(record, event, one)
    return record


@given(st.permutations(HISTORY))
def test_in_any_order_the_record_of_a_negotiation_is_the_same(shuffled: list[tuple[Event, Envelope]]) -> None:
    record = record_of(shuffled)
    assert record == record_of(HISTORY)
    assert record.state is TaskState.COMPLETED
    assert record.kind == "negotiation.requested.v1"
    assert record.name == "Cross-platform content syndication"
    assert (record.steps, record.steps_done) == (1, 1)
    assert record.reason == "agreed, approved by alice"


def test_a_negotiation_that_waits_for_a_person_says_so() -> None:
    record = record_of(HISTORY[:5])
    assert (record.state, record.reason) == (TaskState.RUNNING, "waits for approval")


def test_a_veto_and_no_deal_are_told_with_the_reason() -> None:
    veto = example(NegotiationVetoed)
    assert record_of([*HISTORY[:5], (veto, envelope(veto, 9))]).reason == "vetoed by alice"
    none = example(NegotiationNoDeal)
    assert record_of([*HISTORY[:3], (none, envelope(none, 9))]).reason.startswith("no deal: spotify")


def test_a_decision_ends_a_task_that_is_nothing_but_an_approval_and_no_other() -> None:
    asked, decided = example(ApprovalRequested), example(ApprovalDecided)
    assert isinstance(decided, ApprovalDecided)
    own = ApprovalDecided(
        approval_id="t", kind="deal", digest=decided.digest, state=ApprovalState.VETOED, votes=decided.votes
    )
    record = record_of([(asked, envelope(asked, 1, event_id="t")), (own, envelope(own, 2))])
    assert (record.state, record.reason) == (TaskState.COMPLETED, "vetoed by alice")
    assert record.name.startswith("Syndicate")
    within = record_of([*HISTORY[:5], (decided, envelope(decided, 9))])
    assert within.state is TaskState.RUNNING
