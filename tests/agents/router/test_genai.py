"""What a collector gets of model calls: the conventions' words and numbers, and no prompt, answer or key."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from otlp import OtlpReceiver, ReceivedSpan

from agents.router.genai import (
    ATTEMPT_EVENTS_MAX,
    DURATION_BUCKETS_S,
    FIRST_TOKEN_BUCKETS_S,
    TOKEN_BUCKETS,
    UNFINISHED,
    ModelCallTelemetry,
)
from agents.router.wording import TEXTS_CHARS_MAX, one_line, texts_of
from config.settings import TelemetrySettings
from orchestrator.telemetry import Telemetry, start_telemetry
from schemas.llm import (
    Attempt,
    BudgetState,
    Candidate,
    Completion,
    CompletionReply,
    CompletionRequest,
    Explanation,
    ImagePart,
    Message,
    Privacy,
    Purpose,
    Refusal,
    RefusalKind,
    Source,
    TextPart,
    ToolCall,
    Usage,
)

ROOT = Path(__file__).parents[3]
FLUSH_S = 10.0
KEY = "sk-proj-hunter2hunter2hunter2"
SECRET_WORDS = "the answer is platypus"

REQUEST = CompletionRequest(
    messages=(Message(role="system", content="be brief"), Message(role="user", content=SECRET_WORDS)),
    purpose=Purpose.CRITICAL,
    privacy=Privacy.ANY,
    max_tokens=300,
    temperature=0.3,
    agent="reviewer-1",
    tenant="acme",
)
COMPLETION = Completion(
    text="platypus indeed",
    provider="openai",
    model="openai/gpt-4o-mini",
    response_model="gpt-4o-mini-2024-07-18",
    usage=Usage(input_tokens=1_000, output_tokens=90, cached_tokens=400),
    cost_nusd=204_000,
    latency_s=0.9,
    time_to_first_s=0.2,
    attempts=2,
    fallback=True,
)
EXPLANATION = Explanation(
    candidates=(
        Candidate(model="openai/gpt-4o-mini", is_local=False, max_tokens=300),
        Candidate(model="ollama/qwen2:7b", is_local=True, dropped="0.3 in time, 0.95 wanted"),
    ),
    attempts=(
        Attempt(
            model="dashscope/qwen-turbo",
            outcome="failed",
            latency_s=0.1,
            cost_nusd=4_000,
            detail=f"500 for {KEY}",
        ),
        Attempt(model="openai/gpt-4o-mini", outcome="answered", latency_s=0.7, cost_nusd=200_000),
    ),
)


class Collector:
    """Real exporters to a real receiver: what `told` holds went over HTTP."""

    def __init__(self, receiver: OtlpReceiver, **settings: object) -> None:
        kind = type(TelemetrySettings().endpoint)
        telemetry = start_telemetry(
            msgspec.structs.replace(TelemetrySettings(endpoint=kind(receiver.endpoint)), **settings),
            service_version="1",
            instance_id="test",
        )
        assert telemetry is not None
        self.telemetry: Telemetry = telemetry
        self.receiver = receiver

    def calls(self, *, record_prompts: bool = False) -> ModelCallTelemetry:
        return ModelCallTelemetry(self.telemetry.tracer, self.telemetry.meter, record_prompts)

    def spans(self) -> list[ReceivedSpan]:
        assert self.telemetry.shutdown(FLUSH_S)
        return self.receiver.spans()

    def span(self) -> ReceivedSpan:
        [span] = self.spans()
        return span


@pytest.fixture
def collector() -> Iterator[Collector]:
    with OtlpReceiver() as receiver:
        yield Collector(receiver)


def told(collector: Collector, reply: CompletionReply, request: CompletionRequest = REQUEST) -> ReceivedSpan:
    with collector.calls().call(request) as call:
        call.finish(reply, EXPLANATION)
    return collector.span()


class TestSpans:
    def test_an_answer_is_told_in_the_conventions_words(self, collector: Collector) -> None:
        span = told(collector, CompletionReply(completion=COMPLETION))
        assert (span.name, span.kind, span.status) == ("chat gpt-4o-mini", "client", "unset")
        expected = {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "openai",
            "gen_ai.request.model": "gpt-4o-mini",
            "gen_ai.request.max_tokens": 300,
            "gen_ai.request.temperature": 0.3,
            "gen_ai.response.model": "gpt-4o-mini-2024-07-18",
            "gen_ai.response.finish_reasons": ["stop"],
            "gen_ai.response.time_to_first_chunk": 0.2,
            "gen_ai.usage.input_tokens": 1_000,
            "gen_ai.usage.output_tokens": 90,
            "gen_ai.agent.name": "reviewer-1",
            "labverse.tenant": "acme",
            "labverse.purpose": "critical",
            "labverse.privacy": "any",
            "labverse.cost_nusd": 204_000,
            "labverse.cost_usd": 0.000204,
            "labverse.attempts": 2,
            "labverse.cache_hit": False,
            "labverse.fallback": True,
            "labverse.input.messages": 2,
            "labverse.input.chars": len("be brief") + len(SECRET_WORDS),
            "labverse.output.chars": len("platypus indeed"),
        }
        assert {name: span.attributes.get(name) for name in expected} == expected
        assert span.attributes["labverse.route"] == [
            "openai/gpt-4o-mini",
            "ollama/qwen2:7b: 0.3 in time, 0.95 wanted",
        ]

    def test_every_attempt_is_an_event(self, collector: Collector) -> None:
        span = told(collector, CompletionReply(completion=COMPLETION))
        assert [(event.name, event.attributes["labverse.outcome"]) for event in span.events] == [
            ("labverse.attempt", "failed"),
            ("labverse.attempt", "answered"),
        ]
        assert span.events[0].attributes["gen_ai.request.model"] == "dashscope/qwen-turbo"

    def test_attempts_told_as_they_end_are_not_told_twice(self, collector: Collector) -> None:
        with collector.calls().call(REQUEST) as call:
            for attempt in EXPLANATION.attempts:
                call.attempt(attempt)
            call.finish(CompletionReply(completion=COMPLETION, explanation=EXPLANATION))
        assert len(collector.span().events) == 2

    def test_attempts_without_end_are_bounded(self, collector: Collector) -> None:
        with collector.calls().call(REQUEST) as call:
            for _ in range(500):
                call.attempt(EXPLANATION.attempts[1])
            call.finish(CompletionReply(completion=COMPLETION))
        assert len(collector.span().events) == ATTEMPT_EVENTS_MAX

    def test_a_cached_answer_says_so(self, collector: Collector) -> None:
        cached = msgspec.structs.replace(COMPLETION, source=Source.CACHE, cost_nusd=0, time_to_first_s=0.0)
        span = told(collector, CompletionReply(completion=cached))
        assert span.attributes["labverse.cache_hit"] is True
        assert "gen_ai.response.time_to_first_chunk" not in span.attributes

    def test_a_refusal_is_an_error_with_its_kind_and_what_it_cost(self, collector: Collector) -> None:
        budget = BudgetState(limit="task t1", limit_nusd=1, stop_nusd=1, spent_nusd=1, reserved_nusd=0)
        refusal = Refusal(
            kind=RefusalKind.BUDGET, message=f"task t1 is spent; key {KEY}", budget=budget, cost_nusd=4_000
        )
        span = told(collector, CompletionReply(refusal=refusal))
        assert (span.status, span.attributes["error.type"]) == ("error", "BudgetExhausted")
        assert span.status_text == "task t1 is spent; key sk***"
        assert span.attributes["labverse.cost_nusd"] == 4_000
        assert span.attributes["labverse.budget.limit"] == "task t1"
        assert span.attributes["gen_ai.provider.name"] == "openai", "that of the last attempt"
        assert span.name == "chat gpt-4o-mini"

    def test_a_call_that_never_reached_a_model_has_the_name_that_was_asked_for(
        self, collector: Collector
    ) -> None:
        request = msgspec.structs.replace(REQUEST, model="moonshot/v1-8k")
        with collector.calls().call(request) as call:
            call.finish(CompletionReply(refusal=Refusal(kind=RefusalKind.NO_MODEL, message="no key")))
        span = collector.span()
        assert span.name == "chat moonshot/v1-8k"
        assert span.attributes["labverse.attempts"] == 0
        assert "gen_ai.provider.name" not in span.attributes

    async def test_a_call_that_is_cancelled_is_told_as_that(self, collector: Collector) -> None:
        started = asyncio.Event()

        async def work() -> None:
            with collector.calls().call(REQUEST):
                started.set()
                await asyncio.sleep(60)

        task = asyncio.create_task(work())
        await started.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        span = await asyncio.to_thread(collector.span)
        assert (span.status, span.attributes["error.type"]) == ("error", "CancelledError")
        assert span.events == ()

    def test_a_call_whose_outcome_nobody_told_says_so(self, collector: Collector) -> None:
        with collector.calls().call(REQUEST):
            pass
        assert collector.span().attributes["error.type"] == UNFINISHED

    def test_an_error_after_the_answer_leaves_the_answer(self, collector: Collector) -> None:
        def work() -> None:
            with collector.calls().call(REQUEST) as call:
                call.finish(CompletionReply(completion=COMPLETION))
                raise ValueError("later")

        with pytest.raises(ValueError, match="later"):
            work()
        assert collector.span().status == "unset"

    def test_spans_made_meanwhile_are_its_children_unless_it_is_a_stream(self, collector: Collector) -> None:
        tracer = collector.telemetry.tracer
        for name, is_current in (("inside", True), ("beside", False)):
            with collector.calls().call(REQUEST, is_current=is_current) as call:
                with tracer.start_as_current_span(name):
                    pass
                call.finish(CompletionReply(completion=COMPLETION))
        spans = collector.spans()
        calls = {span.span_id for span in spans if span.kind == "client"}
        parents = {span.name: span.parent_id for span in spans}
        assert parents["inside"] in calls
        assert parents["beside"] == ""

    async def test_a_stream_leaves_its_reader_outside_the_span(self, collector: Collector) -> None:
        from opentelemetry.trace import get_current_span

        async def pieces():  # type: ignore[no-untyped-def]
            with collector.calls().call(REQUEST, is_current=False) as call:
                yield "a"
                yield "b"
                call.finish(CompletionReply(completion=COMPLETION))

        async for _ in pieces():
            assert not get_current_span().get_span_context().is_valid
        assert (await asyncio.to_thread(collector.span)).name == "chat gpt-4o-mini"

    def test_the_task_is_the_conversation(self, collector: Collector) -> None:
        with collector.calls().call(REQUEST, task_id="01k") as call:
            call.finish(CompletionReply(completion=COMPLETION))
        assert collector.span().attributes["gen_ai.conversation.id"] == "01k"

    def test_calls_that_are_not_sampled_are_counted_all_the_same(self) -> None:
        with OtlpReceiver() as receiver:
            collector = Collector(receiver, sample_ratio=0.0)
            with collector.calls(record_prompts=True).call(REQUEST) as call:
                call.finish(CompletionReply(completion=COMPLETION))
            assert collector.spans() == []
            assert receiver.points("gen_ai.client.operation.duration")[0].count == 1


class TestSecrets:
    REQUEST = msgspec.structs.replace(
        REQUEST,
        messages=(Message(role="user", content=f"{SECRET_WORDS} with api_key={KEY}"),),
        model=f"openai/{KEY}",
        agent=f"agent-{KEY}",
        tenant=KEY,
        call_id=KEY,
    )
    REPLY = CompletionReply(
        completion=msgspec.structs.replace(
            COMPLETION, text=f"platypus {KEY}", response_model=KEY, model=f"openai/{KEY}"
        )
    )

    def test_no_prompt_and_no_answer_unless_switched_on(self, collector: Collector) -> None:
        span = told(collector, self.REPLY, self.REQUEST)
        assert "platypus" not in repr(span)
        assert "platypus" not in repr(collector.receiver.points())

    @pytest.mark.parametrize("record_prompts", [False, True])
    def test_what_looks_like_a_key_is_never_told(self, collector: Collector, record_prompts: bool) -> None:
        with collector.calls(record_prompts=record_prompts).call(self.REQUEST) as call:
            call.finish(self.REPLY, EXPLANATION)
        everything = repr(collector.spans()) + repr(collector.receiver.points())
        assert "hunter2" not in everything
        assert ("platypus" in everything) is record_prompts

    def test_recorded_texts_are_the_conventions_json(self, collector: Collector) -> None:
        with collector.calls(record_prompts=True).call(REQUEST) as call:
            call.finish(CompletionReply(completion=COMPLETION))
        span = collector.span()
        assert json.loads(span.attributes["gen_ai.input.messages"]) == [
            {"role": "system", "parts": [{"type": "text", "content": "be brief"}]},
            {"role": "user", "parts": [{"type": "text", "content": SECRET_WORDS}]},
        ]
        [answer] = json.loads(span.attributes["gen_ai.output.messages"])
        assert answer == {"role": "assistant", "parts": [{"type": "text", "content": "platypus indeed"}]}

    def test_a_recorded_prompt_of_a_megabyte_is_cut_and_still_json(self, collector: Collector) -> None:
        request = msgspec.structs.replace(
            REQUEST, messages=(Message(role="user", content='"\n' * 500_000),) * 9
        )
        with collector.calls(record_prompts=True).call(request) as call:
            call.finish(CompletionReply(completion=COMPLETION))
        text = collector.span().attributes["gen_ai.input.messages"]
        assert len(text) <= TEXTS_CHARS_MAX
        assert len(json.loads(text)) == 8


class TestMetrics:
    def test_duration_tokens_cost_and_first_token_are_counted(self, collector: Collector) -> None:
        calls = collector.calls()
        for _ in range(3):
            with calls.call(REQUEST) as call:
                call.finish(CompletionReply(completion=COMPLETION))
        collector.spans()
        points = collector.receiver.points
        names = {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "openai",
            "gen_ai.request.model": "gpt-4o-mini",
        }
        [duration] = points("gen_ai.client.operation.duration")
        assert (duration.unit, duration.count) == ("s", 3)
        assert duration.bounds == pytest.approx(DURATION_BUCKETS_S)
        assert duration.attributes == {**names, "labverse.cache_hit": False}
        tokens = {
            point.attributes["gen_ai.token.type"]: point for point in points("gen_ai.client.token.usage")
        }
        assert {kind: (point.count, point.value) for kind, point in tokens.items()} == {
            "input": (3, 3_000),
            "output": (3, 270),
        }
        assert tokens["input"].bounds == TOKEN_BUCKETS
        assert tokens["input"].unit == "{token}"
        assert tokens["input"].buckets[TOKEN_BUCKETS.index(1_024)] == 3
        [cost] = points("labverse.llm.cost")
        assert (cost.unit, cost.attributes) == ("{USD}", names)
        assert cost.value == pytest.approx(3 * 0.000204)
        [first] = points("labverse.llm.time_to_first_token")
        assert (first.count, first.value) == (3, pytest.approx(0.6))
        assert first.bounds == pytest.approx(FIRST_TOKEN_BUCKETS_S)

    def test_each_models_cost_goes_to_that_model(self, collector: Collector) -> None:
        told(collector, CompletionReply(completion=COMPLETION))
        assert {
            point.attributes["gen_ai.provider.name"]: pytest.approx(point.value)
            for point in collector.receiver.points("labverse.llm.cost")
        } == {"dashscope": 0.000004, "openai": 0.0002}

    def test_a_cached_answer_uses_no_tokens_and_costs_nothing(self, collector: Collector) -> None:
        cached = msgspec.structs.replace(COMPLETION, source=Source.CACHE, cost_nusd=0)
        with collector.calls().call(REQUEST) as call:
            call.finish(CompletionReply(completion=cached))
        collector.spans()
        [point] = collector.receiver.points()
        assert point.name == "gen_ai.client.operation.duration"
        assert point.attributes["labverse.cache_hit"] is True

    def test_refusals_are_counted_by_kind_and_what_callers_wrote_is_no_attribute(
        self, collector: Collector
    ) -> None:
        calls = collector.calls()
        for number in range(50):
            request = msgspec.structs.replace(REQUEST, model=f"x/{number}", agent=f"a{number}")
            with calls.call(request) as call:
                call.finish(CompletionReply(refusal=Refusal(kind=RefusalKind.NO_MODEL, message="none")))
        collector.spans()
        [point] = collector.receiver.points()
        assert point.count == 50
        assert point.attributes == {"gen_ai.operation.name": "chat", "error.type": "NoModelAvailable"}

    def test_what_failed_attempts_cost_is_counted_when_the_call_is_broken_off(
        self, collector: Collector
    ) -> None:
        def work() -> None:
            with collector.calls().call(REQUEST) as call:
                call.attempt(EXPLANATION.attempts[0])
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            work()
        collector.spans()
        [cost] = collector.receiver.points("labverse.llm.cost")
        assert cost.value == pytest.approx(0.000004)
        [duration] = collector.receiver.points("gen_ai.client.operation.duration")
        assert duration.attributes["error.type"] == "KeyboardInterrupt"


class TestOff:
    def test_without_tracer_and_meter_calls_pass_and_errors_too(self) -> None:
        calls = ModelCallTelemetry(None, None, record_prompts=True)
        with calls.call(REQUEST) as call:
            call.attempt(EXPLANATION.attempts[0])
            call.finish(CompletionReply(completion=COMPLETION), EXPLANATION)
        with pytest.raises(ValueError, match="as it was"), calls.call(REQUEST):
            raise ValueError("as it was")

    def test_metrics_without_traces_work(self, collector: Collector) -> None:
        with ModelCallTelemetry(None, collector.telemetry.meter).call(REQUEST) as call:
            call.finish(CompletionReply(completion=COMPLETION))
        assert collector.spans() == []
        assert collector.receiver.points("labverse.llm.cost")

    def test_nothing_of_opentelemetry_is_imported(self) -> None:
        code = (
            "import sys; from agents.router.genai import ModelCallTelemetry; from schemas.llm import *; "
            "request = CompletionRequest(messages=(Message(role='user', content='x'),));\n"
            "with ModelCallTelemetry(None, None).call(request) as call:\n"
            "    call.finish(CompletionReply(refusal=Refusal(kind=RefusalKind.BUDGET, message='m')))\n"
            "print([name for name in sys.modules if name.startswith('opentelemetry')])"
        )
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
        )
        assert done.stdout.strip() == "[]"


@given(
    st.lists(
        st.builds(
            Message,
            role=st.sampled_from(["user", "assistant"]),
            content=st.text(max_size=4_000)
            | st.tuples(st.builds(TextPart, text=st.text(max_size=100)), st.just(ImagePart(url="data:x"))),
            tool_calls=st.tuples(st.builds(ToolCall, id=st.just("i"), name=st.text(max_size=20))),
        ),
        min_size=1,
        max_size=20,
    )
)
def test_texts_of_any_messages_are_json_within_bounds(messages: list[Message]) -> None:
    text = texts_of(messages)
    assert len(text) <= TEXTS_CHARS_MAX
    assert len(json.loads(text)) == min(len(messages), 8)


def test_a_name_is_one_line_of_bounded_length_even_when_a_key_is_cut_in_half() -> None:
    assert one_line("a\nb\t c") == "a b c"
    assert len(one_line("x" * 10_000)) == 128
    assert "hunter2" not in one_line("x" * 110 + f" {KEY}")
