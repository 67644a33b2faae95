"""Tags, tokens and subjects."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.event import TOKEN_CHARS_MAX, Event, is_tag, is_token, subject_of, tag_of
from schemas.registry import BY_TAG, EVENTS
from schemas.review import ReviewAssigned
from schemas.task import TaskCancelled

TOKEN_CHARS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"
TAG = "review.assigned.v1"
tokens = st.text(TOKEN_CHARS, min_size=1, max_size=TOKEN_CHARS_MAX)
tags = st.from_regex(r"[a-z][a-z0-9_]{0,20}\.[a-z][a-z0-9_]{0,20}\.v[1-9][0-9]{0,3}", fullmatch=True)


@given(tag=tags, task_id=tokens, event_id=tokens)
def test_a_subject_splits_into_what_it_was_made_of(tag: str, task_id: str, event_id: str) -> None:
    assert is_tag(tag)
    root, *tag_tokens, task, event = subject_of(tag, task_id, event_id).split(".")
    assert (root, ".".join(tag_tokens), task, event) == ("lv", tag, task_id, event_id)
    assert subject_of(tag, task_id) == f"lv.{tag}.{task_id}"


@given(good=tokens, bad=st.text().filter(lambda text: not is_token(text)))
def test_what_is_no_token_never_gets_into_a_subject(good: str, bad: str) -> None:
    with pytest.raises(ValueError, match="task id"):
        subject_of(TAG, bad, good)
    if bad:  # without an event id the subject ends at the task
        with pytest.raises(ValueError, match="event id"):
            subject_of(TAG, good, bad)


@pytest.mark.parametrize(
    "bad",
    [
        "",
        ".",
        "a.b",
        "a b",
        " ",
        "*",
        ">",
        "a*",
        "a>",
        "a\tb",
        "a\r\nb",
        "a\0",
        "é",
        "ａ",
        "a\n",
        "x" * (TOKEN_CHARS_MAX + 1),
    ],
)
def test_dots_spaces_wildcards_controls_empty_and_over_long_ids_are_refused(bad: str) -> None:
    assert not is_token(bad)
    with pytest.raises(ValueError, match=r"task id .* can't stand in a subject: use 1 to 64 characters"):
        subject_of(TAG, bad, "e")


def test_the_longest_id_is_allowed() -> None:
    longest = "x" * TOKEN_CHARS_MAX
    assert subject_of(TAG, longest, longest) == f"lv.{TAG}.{longest}.{longest}"


def test_an_endless_id_is_not_repeated_in_full_in_the_error() -> None:
    with pytest.raises(ValueError, match="task id") as refused:
        subject_of(TAG, "x" * 1_000_000)
    assert len(str(refused.value)) < 250


@given(st.text())
def test_a_tag_is_always_three_tokens_of_a_subject(text: str) -> None:
    if is_tag(text):
        assert text.count(".") == 2
        assert not set(text) & set(" *>\r\n\t")


@pytest.mark.parametrize(
    "bad",
    [
        "",
        "review",
        "review.v1",
        "review.assigned",
        "review.assigned.1",
        "review.assigned.v0",
        "review.assigned.v01",
        "Review.assigned.v1",
        "review.assigned.v1.x",
        "review..v1",
        "*.assigned.v1",
        "review.assigned.v1\n",
        "2x.a.v1",
    ],
)
def test_what_is_no_tag_is_recognised(bad: str) -> None:
    assert not is_tag(bad)


def test_the_tag_of_a_class_and_of_its_values_is_the_same() -> None:
    assert tag_of(TaskCancelled) == tag_of(TaskCancelled(by="me")) == "task.cancelled.v1"
    assert tag_of(ReviewAssigned) == TAG


def test_an_event_class_without_a_tag_is_named_in_the_error() -> None:
    class Untagged(Event, frozen=True, kw_only=True, tag=7):
        pass

    with pytest.raises(TypeError, match="Untagged"):
        tag_of(Untagged)


@pytest.mark.parametrize("cls", EVENTS, ids=tag_of)
def test_events_are_frozen_and_carry_their_tag_on_the_wire(cls: type[Event]) -> None:
    assert cls.__struct_config__.frozen
    assert BY_TAG[tag_of(cls)] is cls
    (tag,) = {tag for tag, known in BY_TAG.items() if known is cls}
    assert msgspec.json.schema_components([cls])[1][cls.__name__]["properties"]["type"] == {"enum": [tag]}
