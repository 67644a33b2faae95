"""When cycles are due and when a programme pauses: the core, with any clock."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.negotiator.cycles import (
    Patience,
    ProgrammeError,
    check_interval,
    check_name,
    programme_name,
    resume,
)
from agents.negotiator.cycles.endings import Ending, ending_of
from agents.negotiator.cycles.programme import (
    INTERVAL_S_MAX,
    RECENT_MAX,
    Begin,
    Paused,
    Skip,
    Wait,
    after,
    cycle_number,
    cycle_task_id,
    jitter_s,
    next_step,
    recorded,
    running,
    skipped,
)
from schemas.event import is_token
from schemas.negotiation import (
    CycleRecord,
    NegotiationAgreed,
    NegotiationNoDeal,
    NegotiationRequested,
    NegotiationVetoed,
    Programme,
)
from schemas.task import TaskCancelled, TaskExpired, TaskStepFailed

REQUEST = NegotiationRequested(goal="syndication", platforms=("tiktok",))
HOUR = Programme(name="hourly", request=REQUEST, interval_s=3_600)
T = 1_795_262_400.0
N = cycle_number(T, 3_600)
AGREED = Ending(state="agreed", digest="a" * 64, amount_nusd=7)


def begun(programme: Programme, number: int) -> Programme:
    return recorded(programme, CycleRecord(number=number, task_id=cycle_task_id("hourly", number), at=""))


def ended(programme: Programme, *endings: Ending, patience: Patience | None = None) -> Programme:
    number = max((one.number for one in programme.recent), default=N)
    for ending in endings:
        number += 1
        programme = after(begun(programme, number), number, ending, patience or Patience())
    return programme


def test_a_new_programme_begins_at_once_and_then_waits_for_the_next_cycle() -> None:
    step = next_step(HOUR, T + 1_000, "a")
    assert isinstance(step, Begin)
    assert (step.record.number, step.record.task_id, step.missed) == (N, f"cycle-hourly-{N}", 0)
    programme = after(recorded(HOUR, step.record), N, AGREED)
    wait = next_step(programme, T + 1_001, "a")
    assert isinstance(wait, Wait)
    assert T + 3_600 <= wait.until_s <= T + 3_600 * 1.1
    assert not wait.why
    assert isinstance(next_step(programme, wait.until_s, "a"), Begin)


def test_while_one_is_not_over_the_next_is_skipped_and_says_so() -> None:
    step = next_step(begun(HOUR, N - 1), T + 360, "a")
    assert isinstance(step, Skip)
    assert step.record.state == "skipped"
    assert step.record.why == f"cycle {N - 1} is not over yet"
    programme = recorded(begun(HOUR, N - 1), step.record)
    assert (programme.missed, running(programme).number) == (1, N - 1)  # type: ignore[union-attr]


def test_after_a_gap_only_the_latest_is_made_up_for_and_the_gap_is_recorded() -> None:
    programme = after(begun(HOUR, N - 168), N - 168, AGREED)
    step = next_step(programme, T + 360, "a")
    assert isinstance(step, Begin)
    assert (step.record.number, step.missed) == (N, 167)
    assert step.record.why == "the 167 before it were missed"
    assert recorded(programme, step.record, step.missed).missed == 167


def test_a_clock_that_goes_back_begins_nothing_and_says_why() -> None:
    programme = after(begun(HOUR, N), N, AGREED)
    for back in (1, 3_600, 10 * 3_600, 86_400 * 365 * 40):
        step = next_step(programme, T - back, "a")
        assert isinstance(step, Wait)
        assert "the clock went back" in step.why


def test_a_clock_that_was_far_ahead_is_forgotten_by_resuming() -> None:
    programme = after(begun(HOUR, N + 87_600), N + 87_600, AGREED)
    assert isinstance(next_step(programme, T, "a"), Wait)
    assert isinstance(next_step(resume(programme, T), T, "a"), Begin)


def test_three_failures_in_a_row_pause_until_resumed() -> None:
    failed = Ending(state="failed", why="table: out of memory")
    programme = ended(HOUR, failed, failed)
    assert not programme.paused_why
    programme = ended(programme, failed)
    assert programme.paused_why == "3 failures in a row, the last: table: out of memory"
    assert next_step(programme, T + 10 * 3_600, "a") == Paused(programme.paused_why)
    later = T + 10 * 3_600 + 360
    resumed = resume(programme, later)
    assert (resumed.failures, resumed.paused_why) == (0, "")
    assert isinstance(next_step(resumed, later, "a"), Begin)


@pytest.mark.parametrize(
    ("endings", "paused"),
    [
        ([Ending(state="failed"), AGREED, Ending(state="failed"), Ending(state="failed")], ""),
        ([Ending(state="no_deal", is_failure=True)] * 3, "3 failures"),
        ([Ending(state="no_deal")] * 9, ""),
        ([Ending(state="expired"), Ending(state="failed"), Ending(state="expired")], "3 failures"),
        ([Ending(state="vetoed"), Ending(state="cancelled"), Ending(state="vetoed")], "3 vetoes"),
        (
            [Ending(state="vetoed"), Ending(state="failed"), Ending(state="vetoed"), Ending(state="vetoed")],
            "3 vetoes",
        ),
        ([Ending(state="vetoed"), AGREED, Ending(state="vetoed"), Ending(state="vetoed")], ""),
        ([AGREED] * 2, ""),
        ([AGREED] * 3, "3 identical deals"),
        ([AGREED, AGREED, Ending(state="agreed", digest="b" * 64), AGREED], ""),
        ([AGREED, Ending(state="failed"), AGREED, Ending(state="no_deal"), AGREED], "3 identical deals"),
        ([Ending(state="skipped")] * 9, ""),
    ],
)
def test_what_pauses_a_programme_and_what_does_not(endings: list[Ending], paused: str) -> None:
    programme = ended(HOUR, *endings)
    assert programme.paused_why.startswith(paused)
    assert bool(programme.paused_why) == bool(paused)


def test_patience_can_be_longer() -> None:
    assert not ended(HOUR, *[AGREED] * 4, patience=Patience(identical=5)).paused_why


def test_an_ending_counts_once() -> None:
    programme = ended(HOUR, Ending(state="vetoed"))
    assert after(programme, programme.recent[0].number, Ending(state="vetoed")) == programme


def test_the_record_is_bounded_and_keeps_the_cycle_that_runs_and_the_deal_to_compare_with() -> None:
    programme = begun(ended(HOUR, AGREED), N + 2)
    for number in range(N + 3, N + 3 + 4 * RECENT_MAX):
        record = CycleRecord(number=number, task_id="x", at="")
        programme = recorded(programme, skipped(record, "w" * 1_000))
    assert len(programme.recent) == RECENT_MAX + 2
    assert running(programme) == programme.recent[-2]
    assert programme.recent[-1].digest == AGREED.digest
    assert programme.missed == 4 * RECENT_MAX
    assert len(msgspec.json.encode(programme)) < 64 * 1024


@given(
    st.lists(st.tuples(st.floats(-1e5, 1e5), st.sampled_from("ab"), st.booleans()), max_size=60),
    st.sampled_from([1.0, 60.0, 3_600.0, INTERVAL_S_MAX]),
)
def test_no_cycle_ever_begins_twice_or_beside_another_whatever_the_clocks_say(
    steps: list[tuple[float, str, bool]], interval_s: float
) -> None:
    programme = msgspec.structs.replace(HOUR, interval_s=interval_s)
    now_s, begun_numbers = T, []
    for jump_s, node, ends in steps:
        now_s += jump_s
        match next_step(programme, now_s, node):
            case Begin(record, missed):
                assert running(programme) is None
                begun_numbers.append(record.number)
                programme = recorded(programme, record, missed)
            case Skip(record, missed):
                programme = recorded(programme, record, missed)
            case Wait(until_s):
                assert until_s > now_s
        if ends and (record_ := running(programme)):
            programme = after(programme, record_.number, Ending(state="no_deal"))
    assert begun_numbers == sorted(set(begun_numbers))


@given(st.text(max_size=20), st.integers(0, 10**12), st.floats(1, INTERVAL_S_MAX))
def test_jitter_is_at_most_a_tenth_of_the_interval_and_always_the_same(
    node: str, number: int, interval_s: float
) -> None:
    late_s = jitter_s(node, "hourly", number, interval_s)
    assert 0 <= late_s <= interval_s / 10
    assert late_s == jitter_s(node, "hourly", number, interval_s)


def test_nodes_are_spread_over_the_jitter() -> None:
    late = [jitter_s(f"n{n}", "hourly", N, 1_000) for n in range(200)]
    assert min(late) < 10
    assert max(late) > 90


@given(st.text(max_size=100), st.floats(1, INTERVAL_S_MAX))
def test_a_name_made_from_any_goal_can_be_a_programmes_and_its_tasks(goal: str, interval_s: float) -> None:
    request = NegotiationRequested(goal=goal or "x", platforms=("tiktok",))
    name = check_name(programme_name(request, interval_s))
    assert is_token(cycle_task_id(name, cycle_number(4e9, 1.0)))
    assert programme_name(request, interval_s + 1) != name


@pytest.mark.parametrize("name", ["", "-a", "A", "a b", "a.b", "a" * 41, "ä"])
def test_names_that_cannot_be_are_refused(name: str) -> None:
    with pytest.raises(ProgrammeError, match="can't be called"):
        check_name(name)


@pytest.mark.parametrize("interval_s", [0.0, 0.99, -1.0, 31 * 86_400.0 + 1, float("nan"), float("inf")])
def test_intervals_that_cannot_be_are_refused(interval_s: float) -> None:
    with pytest.raises(ProgrammeError, match="choose 1 to 2,678,400 s"):
        check_interval(interval_s)


def test_endings_are_told_from_steps_on_the_way() -> None:
    def failed(tag: str, agent: str = "table") -> TaskStepFailed:
        return TaskStepFailed(agent=agent, event_type=tag, event_id="e", reason="r")

    assert ending_of(failed("negotiation.opened.v1")) == Ending(state="failed", why="table: r")
    assert ending_of(failed("negotiation.position_asked.v1")) is None
    assert ending_of(failed("approval.decided.v1", "messenger")) is None
    expired = TaskExpired(agent="table", event_type="negotiation.opened.v1", event_id="e", deadline="d")
    assert ending_of(expired) == Ending(state="failed", why="table had no time left before the deadline")
    assert ending_of(TaskCancelled(by="ada")) == Ending(state="cancelled", why="by ada")
    agreed = NegotiationAgreed(goal="g", deal={}, payments=(), amount_nusd=5, digest="a" * 64)
    assert ending_of(agreed) == Ending(state="agreed", digest="a" * 64, amount_nusd=5)
    vetoed = NegotiationVetoed(deal={}, digest="a" * 64, approval_id="i", by="ada", note="no")
    assert ending_of(vetoed) == Ending(state="vetoed", why="by ada: no", digest="a" * 64)
    for kind, is_failure in (("no_deal", False), ("gate", False), ("silent", True), ("refused", True)):
        event = NegotiationNoDeal(kind=kind, reason="r")  # type: ignore[arg-type]
        assert ending_of(event) == Ending(state="no_deal", why="r", is_failure=is_failure)
    assert ending_of(REQUEST) is None
