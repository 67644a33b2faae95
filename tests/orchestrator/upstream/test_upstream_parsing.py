"""The pure core: events out of bytes, answers out of what servers leave out or add, waiting times, messages."""

import itertools
import json
from email.utils import formatdate
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.upstream.answer import TOOL_CALLS_MAX, Assembly, NotAnAnswerError, answer_of
from orchestrator.upstream.failures import MESSAGE_CHARS_MAX, RETRY_AFTER_S_MAX, retry_after, shown
from orchestrator.upstream.sse import EventLines
from schemas.llm import ToolCall, Usage

NOW_S = 1_800_000_000.0


def whole(message: dict[str, Any], **more: Any) -> bytes:
    return json.dumps({"choices": [{"message": message} | more.pop("choice", {})]} | more).encode()


def tool_chunk(*calls: dict[str, Any]) -> bytes:
    return json.dumps({"choices": [{"delta": {"tool_calls": list(calls)}}]}).encode()


@given(
    data=st.lists(st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1), max_size=8),
    end=st.sampled_from(["\n\n", "\r\n\r\n", "\n"]),
    noise=st.sampled_from(["", ": ping\n", "event: message\n", "id: 7\nretry: 100\n"]),
    is_ended=st.booleans(),
    cuts=st.lists(st.integers(0, 200), max_size=20),
)
def test_events_come_out_the_same_however_their_bytes_are_cut(
    data: list[str], end: str, noise: str, is_ended: bool, cuts: list[int]
) -> None:
    text = "".join(f"{noise}data: {one}{end}" for one in data)
    body = (text if is_ended else text.rstrip("\r\n")).encode()
    edges = [0, *sorted(min(cut, len(body)) for cut in cuts), len(body)]
    lines = EventLines()
    got = [event for start, stop in itertools.pairwise(edges) for event in lines.feed(body[start:stop])]
    got += lines.end()
    assert [event.decode() for event in got] == data


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ({"content": None}, ""),
        ({}, ""),
        ({"content": "plain"}, "plain"),
        ({"content": [{"type": "text", "text": "in "}, {"type": "text", "text": "parts"}]}, "in parts"),
        ({"content": "with more", "annotations": [], "audio": None, "new_field": {"a": 1}}, "with more"),
    ],
)
def test_content_comes_in_many_shapes(message: dict[str, Any], text: str) -> None:
    assert answer_of(whole(message)).text == text


@pytest.mark.parametrize(
    ("told", "usage"),
    [
        (None, None),
        ({}, None),
        ({"prompt_tokens": 0, "completion_tokens": 0}, None),
        ({"prompt_tokens": 5}, Usage(input_tokens=5)),
        (
            {"prompt_tokens": 5, "completion_tokens": 2, "prompt_tokens_details": None},
            Usage(input_tokens=5, output_tokens=2),
        ),
        (
            {"prompt_tokens": 5, "completion_tokens": 2, "prompt_cache_hit_tokens": 4},
            Usage(input_tokens=5, output_tokens=2, cached_tokens=4),
        ),
    ],
)
def test_usage_that_counts_nothing_is_no_usage(told: dict[str, Any] | None, usage: Usage | None) -> None:
    assert answer_of(whole({"content": "x"}, usage=told)).usage == usage


@pytest.mark.parametrize(
    ("told", "means"),
    [
        (None, "stop"),
        ("stop", "stop"),
        ("max_tokens", "length"),
        ("MAX_TOKENS", "length"),
        ("content_filter",) * 2,
    ],
)
def test_reasons_to_finish_are_told_in_the_protocols_words(told: str | None, means: str) -> None:
    assert answer_of(whole({"content": "x"}, choice={"finish_reason": told})).finish_reason == means


def test_tool_calls_without_ids_get_some_and_arguments_may_be_an_object() -> None:
    calls = [{"function": {"name": "f", "arguments": {"a": 1}}}, {"function": {"name": "g"}}]
    answer = answer_of(whole({"tool_calls": calls}, choice={"finish_reason": "stop"}))
    assert answer.tool_calls == (
        ToolCall(id="call_0", name="f", arguments='{"a":1}'),
        ToolCall(id="call_1", name="g", arguments="{}"),
    )
    assert answer.finish_reason == "tool_calls"


def test_pieces_of_tool_calls_go_to_their_index_or_without_one_to_the_last() -> None:
    assembly = Assembly()
    for chunk in (
        tool_chunk({"index": 0, "id": "a", "function": {"name": "f", "arguments": '{"x"'}}),
        tool_chunk({"index": 1, "id": "b", "function": {"name": "g", "arguments": ""}}),
        tool_chunk(
            {"index": 0, "function": {"arguments": ":1}"}}, {"index": 1, "function": {"arguments": "{"}}
        ),
        tool_chunk({"function": {"arguments": "}"}}),
        tool_chunk({"id": "c", "function": {"name": "h", "arguments": "[]"}}),
    ):
        assembly.add(chunk)
    assert assembly.answer().tool_calls == (
        ToolCall(id="a", name="f", arguments='{"x":1}'),
        ToolCall(id="b", name="g", arguments="{}"),
        ToolCall(id="c", name="h", arguments="[]"),
    )


def test_more_tool_calls_than_anyone_means_are_refused() -> None:
    assembly = Assembly()
    for index in range(TOOL_CALLS_MAX):
        assembly.add(tool_chunk({"index": index, "function": {"name": "f"}}))
    with pytest.raises(NotAnAnswerError, match=f"more than {TOOL_CALLS_MAX} tool calls"):
        assembly.add(tool_chunk({"index": TOOL_CALLS_MAX, "function": {"name": "f"}}))


@given(
    st.binary(max_size=200)
    | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(repr).map(str.encode)
)
def test_any_bytes_are_an_answer_or_no_answer_and_nothing_else(body: bytes) -> None:
    try:
        answer_of(body)
    except NotAnAnswerError:
        pass


@pytest.mark.parametrize(
    ("headers", "message", "expected_s"),
    [
        ({}, "", None),
        ({"retry-after": "12"}, "", 12.0),
        ({"retry-after": " 0.5 "}, "", 0.5),
        ({"retry-after": "-3"}, "", 0.0),
        ({"retry-after": "999999999"}, "", RETRY_AFTER_S_MAX),
        ({"retry-after": formatdate(NOW_S + 60, usegmt=True)}, "", 60.0),
        ({"retry-after": formatdate(NOW_S - 60, usegmt=True)}, "", 0.0),
        ({"retry-after": "soon"}, "", None),
        ({"retry-after": "nan"}, "", None),
        ({"retry-after": "inf"}, "", None),
        ({"retry-after": "1e9"}, "", None),
        ({"retry-after": "٣"}, "", None),
        ({"retry-after": "Thu, 99 Foo 2026"}, "", None),
        ({"retry-after-ms": "250", "retry-after": "9"}, "", 0.25),
        ({"retry-after-ms": "?", "retry-after": "9"}, "", 9.0),
        ({}, "Please try again in 20s.", 20.0),
        ({}, "Please retry in 36.5s.", 36.5),
        ({}, "Try again in 120ms", 0.12),
        ({}, "Please try again in 2m", 120.0),
        ({}, "Please try again in 2 months", None),
        ({"retry-after": "soon"}, "try again in 3s", 3.0),
    ],
)
def test_how_long_to_wait_is_read_or_left(
    headers: dict[str, str], message: str, expected_s: float | None
) -> None:
    assert retry_after(headers, message, now_s=NOW_S) == expected_s


@given(st.text(max_size=100), st.text(max_size=100))
def test_any_header_gives_a_time_within_bounds_or_none(told: str, message: str) -> None:
    seconds = retry_after({"retry-after": told}, message, now_s=NOW_S)
    assert seconds is None or 0 <= seconds <= RETRY_AFTER_S_MAX


@given(before=st.text(max_size=400), after=st.text(max_size=400))
def test_a_message_is_one_short_line_without_the_secret(before: str, after: str) -> None:
    line = shown(f"{before} hunter2!hunter2 {after}", ["hunter2!hunter2"])
    assert "hunter2" not in line.replace(before, "").replace(after, "")
    assert len(line) <= MESSAGE_CHARS_MAX
    assert line.isprintable()


@pytest.mark.parametrize(
    "leak",
    [
        "sk-proj-abcdefghij",
        "AIzaSyA1234567890abcdef",
        "Bearer abcdefghij",
        "xai-abcdefghij",
        "sk-abc***********wxyz",
    ],
)
def test_what_looks_like_a_key_is_masked_even_when_it_is_not_ours(leak: str) -> None:
    line = shown(f"Incorrect API key provided: {leak}. Find yours on the site.")
    assert leak.removeprefix("Bearer ") not in line
    assert line.endswith("***. Find yours on the site.")
