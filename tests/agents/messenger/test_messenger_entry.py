"""What is done next about a message, from what is known of it."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.messenger.entry import (
    ARMED_S_MAX,
    SETTLING_S,
    SKEW_S,
    Ask,
    Nothing,
    OutboxEntry,
    Post,
    Update,
    Wait,
    next_step,
)
from agents.messenger.pace import CHANNELS_MAX, Pace
from bus.envelope import time_text

NOW_S = 1_800_000_000.0
STATES = ("free", "armed", "unknown", "sent", "gone")


def entry(state: str, *, ts: str = "", shown: str = "", age_s: float = 0.0) -> OutboxEntry:
    at = time_text(NOW_S - age_s)
    return OutboxEntry(state=state, ts=ts, shown=shown, armed_at=at, first_armed_at=at, owner="me")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("known", "step"),
    [
        (None, Post()),
        (entry("free"), Post()),
        (entry("gone", ts="1"), Nothing()),
        (entry("sent", ts="1", shown="new"), Nothing()),
        (entry("sent", ts="1", shown="old"), Update()),
        (entry("sent", ts="1"), Update()),
        (entry("armed", age_s=5), Wait(ARMED_S_MAX - 5)),
        (entry("armed", age_s=-3600), Wait(ARMED_S_MAX)),
        (entry("armed", age_s=ARMED_S_MAX), Ask(NOW_S - ARMED_S_MAX - SKEW_S)),
        (entry("armed", ts="1", age_s=ARMED_S_MAX), Update()),
        (entry("unknown", age_s=1), Wait(SETTLING_S - 1)),
        (entry("unknown", age_s=SETTLING_S), Ask(NOW_S - SETTLING_S - SKEW_S)),
        (entry("unknown", ts="1", age_s=SETTLING_S), Update()),
    ],
)
def test_the_next_step_follows_from_the_entry(known: OutboxEntry | None, step: object) -> None:
    assert next_step(known, "new", NOW_S) == step


def test_an_overtaken_change_is_made_again_whatever_is_said_to_be_shown() -> None:
    assert next_step(entry("sent", ts="1", shown="new"), "new", NOW_S, must_update=True) == Update()


@given(
    st.sampled_from(STATES), st.sampled_from(["", "1.1"]), st.sampled_from(["", "new"]), st.floats(-1e6, 1e6)
)
def test_nothing_is_posted_while_a_message_may_stand_there(
    state: str, ts: str, shown: str, age_s: float
) -> None:
    step = next_step(entry(state, ts=ts, shown=shown, age_s=age_s), "new", NOW_S)
    if isinstance(step, Post):
        assert state == "free"
    if isinstance(step, Wait):
        assert 0 < step.delay_s <= ARMED_S_MAX


@given(st.lists(st.tuples(st.sampled_from("ab"), st.floats(0, 5)), max_size=40))
def test_turns_of_one_channel_are_never_closer_than_the_pace(calls: list[tuple[str, float]]) -> None:
    pace, now_s = Pace(every_s=1.0), 0.0
    turns: dict[str, list[float]] = {"a": [], "b": []}
    for channel, later_s in calls:
        now_s += later_s
        turns[channel].append(now_s + pace.turn(channel, now_s))
    for at in turns.values():
        assert all(second - first >= 1.0 - 1e-6 for first, second in itertools.pairwise(at))


def test_the_pace_remembers_only_so_many_channels() -> None:
    pace = Pace()
    for number in range(CHANNELS_MAX + 50):
        pace.turn(f"C{number}", 0.0)
    assert len(pace._free_at) == CHANNELS_MAX
