"""What a trace and the metrics say of a model call, in OpenTelemetry's words for generative AI.

The one place where those words stand: the conventions still change, and the package that had them as constants
calls them deprecated. One span covers a call with all its attempts. What was asked and answered is told by its
size alone, unless the operator wants the texts; what looks like a credential is taken out either way.

Without tracer and meter nothing of OpenTelemetry is imported (it takes 40 ms), and a call costs next to nothing.
"""

import time
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from agents.router.wording import chars_of, images_of, one_line, texts_of
from schemas.llm import (
    NUSD_PER_USD,
    Attempt,
    Candidate,
    Completion,
    CompletionReply,
    CompletionRequest,
    Explanation,
    Message,
    Refusal,
    Source,
)

if TYPE_CHECKING:
    from opentelemetry.metrics import Counter, Histogram, Meter
    from opentelemetry.trace import Span, Tracer

CHAT: Final = "chat"

OPERATION: Final = "gen_ai.operation.name"
PROVIDER: Final = "gen_ai.provider.name"
REQUEST_MODEL: Final = "gen_ai.request.model"
REQUEST_MAX_TOKENS: Final = "gen_ai.request.max_tokens"
REQUEST_TEMPERATURE: Final = "gen_ai.request.temperature"
RESPONSE_MODEL: Final = "gen_ai.response.model"
RESPONSE_FINISH_REASONS: Final = "gen_ai.response.finish_reasons"
RESPONSE_TIME_TO_FIRST_CHUNK: Final = "gen_ai.response.time_to_first_chunk"
USAGE_INPUT_TOKENS: Final = "gen_ai.usage.input_tokens"
USAGE_OUTPUT_TOKENS: Final = "gen_ai.usage.output_tokens"
USAGE_CACHED_TOKENS: Final = "gen_ai.usage.cache_read.input_tokens"
OUTPUT_TYPE: Final = "gen_ai.output.type"
CONVERSATION: Final = "gen_ai.conversation.id"
AGENT: Final = "gen_ai.agent.name"
TOKEN_TYPE: Final = "gen_ai.token.type"
INPUT_MESSAGES: Final = "gen_ai.input.messages"
OUTPUT_MESSAGES: Final = "gen_ai.output.messages"
ERROR_TYPE: Final = "error.type"
OPERATION_DURATION: Final = "gen_ai.client.operation.duration"
TOKEN_USAGE: Final = "gen_ai.client.token.usage"
COST: Final = "labverse.llm.cost"
TIME_TO_FIRST_TOKEN: Final = "labverse.llm.time_to_first_token"
ATTEMPT_EVENT: Final = "labverse.attempt"

DURATION_BUCKETS_S: Final = tuple(0.01 * 2**step for step in range(15))
"""From a cache hit (10 ms) to an answer that took as long as anybody waits (164 s)."""
FIRST_TOKEN_BUCKETS_S: Final = tuple(0.005 * 2**step for step in range(14))
TOKEN_BUCKETS: Final = tuple(4**step for step in range(14))

DETAIL_CHARS_MAX: Final = 200
ROUTE_LINES_MAX: Final = 16
ATTEMPT_EVENTS_MAX: Final = 32
"""The SDK keeps 64 events a span; an exception must find room among them."""
UNFINISHED: Final = "Unfinished"


class ModelCallTelemetry:
    """Tells `tracer` and `meter` of model calls; either may be None.

    Args:
        record_prompts: whether prompts and answers stand in spans, cut to `wording.TEXTS_CHARS_MAX` characters. They
            then go wherever traces go: off unless the operator wants that.
    """

    def __init__(self, tracer: "Tracer | None", meter: "Meter | None", record_prompts: bool = False) -> None:
        self._tracer = tracer
        self._record_prompts = record_prompts
        self._metrics = None if meter is None else _Metrics(meter)

    @property
    def is_tracing(self) -> bool:
        """Whether spans are made, which tell of decisions and attempts."""
        return self._tracer is not None

    @contextmanager
    def call(
        self,
        request: CompletionRequest,
        operation: str = CHAT,
        *,
        task_id: str = "",
        is_current: bool = True,
    ) -> Generator["CallSpan"]:
        """Around one model call, with all its attempts; tell the outcome to `CallSpan.finish`.

        Args:
            is_current: whether spans made meanwhile become its children. Say False around the `yield`s of an
                async generator: its reader would else find itself inside the span.
        """
        if self._tracer is None:
            yield from self._measured(CallSpan(request, operation, None, self._record_prompts))
            return
        from opentelemetry.trace import SpanKind, use_span

        span = self._tracer.start_span(
            _span_name(operation, request.model), kind=SpanKind.CLIENT, attributes=_asked(request, operation)
        )
        if task_id:
            span.set_attribute(CONVERSATION, task_id)
        # A span that is not sampled goes on to the callees all the same, so that theirs aren't either.
        call = CallSpan(request, operation, span if span.is_recording() else None, self._record_prompts)
        try:
            if is_current:
                with use_span(span, record_exception=False, set_status_on_exception=False):
                    yield from self._measured(call)
            else:
                yield from self._measured(call)
        finally:
            span.end()

    def _measured(self, call: "CallSpan") -> Generator["CallSpan"]:
        start_s = time.monotonic()
        try:
            yield call
        except BaseException as error:  # told and raised again: cancellation and an early close as well
            call.fail(type(error).__name__)
            raise
        finally:
            if not call.is_finished:
                call.fail(UNFINISHED)
            if self._metrics is not None:
                self._metrics.record(call, time.monotonic() - start_s)


class CallSpan:
    """The telemetry of one model call while it runs.

    Attributes:
        is_finished: whether the outcome was told.
        error: `error.type` of a call without an answer, else empty.
        reply: what was answered; None until then.
        attempts: told so far.
    """

    def __init__(
        self, request: CompletionRequest, operation: str, span: "Span | None", record_prompts: bool
    ) -> None:
        self.operation = operation
        self.is_finished = False
        self.error = ""
        self.reply: CompletionReply | None = None
        self.attempts: list[Attempt] = []
        self._request = request
        self._span = span
        self._record_prompts = record_prompts

    def attempt(self, attempt: Attempt) -> None:
        """Note that a request to a provider ended just now."""
        self.attempts.append(attempt)
        if self._span is None or len(self.attempts) > ATTEMPT_EVENTS_MAX:
            return
        self._span.add_event(
            ATTEMPT_EVENT,
            {
                REQUEST_MODEL: one_line(attempt.model),
                "labverse.outcome": one_line(attempt.outcome),
                "labverse.latency_s": attempt.latency_s,
                "labverse.cost_nusd": attempt.cost_nusd,
                "labverse.is_hedge": attempt.is_hedge,
                "labverse.detail": one_line(attempt.detail, DETAIL_CHARS_MAX),
            },
        )

    def finish(self, reply: CompletionReply, explanation: Explanation | None = None) -> None:
        """Tell how the call ended.

        Args:
            explanation: of the decision, when the reply itself carries none. Its attempts become events, unless
                they were told one by one with `attempt`.
        """
        self.is_finished = True
        self.reply = reply
        told = explanation or reply.explanation
        if told is not None and not self.attempts:
            for attempt in told.attempts:
                self.attempt(attempt)
        if reply.refusal is not None:
            self.error = reply.refusal.kind.value
        if self._span is None:
            return
        if told is not None:
            self._span.set_attribute("labverse.route", _route(told.candidates))
        if reply.completion is not None:
            self._answered(self._span, reply.completion, told.candidates if told else ())
        elif reply.refusal is not None:
            self._refused(self._span, reply.refusal)
        if self._record_prompts:
            self._span.set_attribute(INPUT_MESSAGES, texts_of(self._request.messages))

    def fail(self, error: str) -> None:
        """The call ended without a reply; `error` is a short name, such as that of an exception's class."""
        if self.is_finished:
            return
        self.is_finished = True
        self.error = error
        if self._span is not None:
            self._mark_failed(self._span, "")
            self._span.set_attribute("labverse.attempts", len(self.attempts))

    def _answered(self, span: "Span", completion: Completion, candidates: Iterable[Candidate]) -> None:
        provider, model = provider_and_model(completion)
        span.update_name(_span_name(self.operation, model))
        span.set_attributes(
            {
                PROVIDER: provider,
                REQUEST_MODEL: model,
                RESPONSE_MODEL: one_line(completion.response_model) or model,
                RESPONSE_FINISH_REASONS: [completion.finish_reason],
                USAGE_INPUT_TOKENS: completion.usage.input_tokens,
                USAGE_OUTPUT_TOKENS: completion.usage.output_tokens,
                "labverse.usage.is_estimated": completion.usage.is_estimated,
                "labverse.cost_nusd": completion.cost_nusd,
                "labverse.cost_usd": completion.cost_nusd / NUSD_PER_USD,
                "labverse.attempts": completion.attempts,
                "labverse.cache_hit": completion.source is Source.CACHE,
                "labverse.fallback": completion.fallback,
                "labverse.is_local": completion.is_local,
                "labverse.output.chars": len(completion.text),
                "labverse.output.tool_calls": len(completion.tool_calls),
            }
        )
        for candidate in candidates:
            if candidate.model == completion.model and candidate.max_tokens:
                span.set_attribute(REQUEST_MAX_TOKENS, candidate.max_tokens)
        if completion.usage.cached_tokens:
            span.set_attribute(USAGE_CACHED_TOKENS, completion.usage.cached_tokens)
        if completion.time_to_first_s:
            span.set_attribute(RESPONSE_TIME_TO_FIRST_CHUNK, completion.time_to_first_s)
        if self._record_prompts:
            answer = Message(role="assistant", content=completion.text, tool_calls=completion.tool_calls)
            span.set_attribute(OUTPUT_MESSAGES, texts_of((answer,)))

    def _refused(self, span: "Span", refusal: Refusal) -> None:
        if self.attempts:
            provider, _, model = one_line(self.attempts[-1].model).partition("/")
            span.update_name(_span_name(self.operation, model))
            span.set_attributes({PROVIDER: provider, REQUEST_MODEL: model})
        span.set_attributes(
            {
                "labverse.cost_nusd": refusal.cost_nusd,
                "labverse.cost_usd": refusal.cost_nusd / NUSD_PER_USD,
                "labverse.attempts": len(self.attempts),
                "labverse.cache_hit": False,
                "labverse.fallback": len(self.attempts) > 1,
            }
        )
        if refusal.budget is not None:
            span.set_attribute("labverse.budget.limit", one_line(refusal.budget.limit))
        self._mark_failed(span, one_line(refusal.message, DETAIL_CHARS_MAX))

    def _mark_failed(self, span: "Span", message: str) -> None:
        from opentelemetry.trace import Status, StatusCode

        span.set_attribute(ERROR_TYPE, self.error)
        span.set_status(Status(StatusCode.ERROR, message or self.error))


class _Metrics:
    """The instruments. Attributes are names out of the catalogue, never out of requests: there are few of them."""

    def __init__(self, meter: "Meter") -> None:
        self._duration: Histogram = meter.create_histogram(
            OPERATION_DURATION,
            "s",
            "Time of a model call, with all its attempts",
            explicit_bucket_boundaries_advisory=DURATION_BUCKETS_S,
        )
        self._tokens: Histogram = meter.create_histogram(
            TOKEN_USAGE,
            "{token}",
            "Tokens of a model call",
            explicit_bucket_boundaries_advisory=TOKEN_BUCKETS,
        )
        self._first: Histogram = meter.create_histogram(
            TIME_TO_FIRST_TOKEN,
            "s",
            "Time to the first token of an answer",
            explicit_bucket_boundaries_advisory=FIRST_TOKEN_BUCKETS_S,
        )
        self._cost: Counter = meter.create_counter(COST, "{USD}", "Dollars spent on model calls")

    def record(self, call: CallSpan, duration_s: float) -> None:
        """Count one call that has ended."""
        completion = call.reply.completion if call.reply else None
        names: dict[str, str] = {OPERATION: call.operation}
        if completion is not None:
            names[PROVIDER], names[REQUEST_MODEL] = provider_and_model(completion)
        elif call.attempts:
            names[PROVIDER], _, names[REQUEST_MODEL] = one_line(call.attempts[-1].model).partition("/")
        outcome: dict[str, str | bool] = {}
        if call.error:
            outcome[ERROR_TYPE] = call.error
        if completion is not None:
            outcome["labverse.cache_hit"] = completion.source is Source.CACHE
        self._duration.record(duration_s, {**names, **outcome})
        if completion is not None and completion.source is Source.MODEL:
            self._tokens.record(completion.usage.input_tokens, {**names, TOKEN_TYPE: "input"})
            self._tokens.record(completion.usage.output_tokens, {**names, TOKEN_TYPE: "output"})
            if completion.time_to_first_s:
                self._first.record(completion.time_to_first_s, names)
        self._add_cost(call, names)

    def _add_cost(self, call: CallSpan, names: dict[str, str]) -> None:
        """Each model's part to that model, and what no attempt tells of to the one that answered."""
        left = 0
        if call.reply is not None:
            ended = call.reply.completion or call.reply.refusal
            left = ended.cost_nusd if ended else 0
        for attempt in call.attempts:
            if attempt.cost_nusd:
                provider, _, model = one_line(attempt.model).partition("/")
                self._cost.add(
                    attempt.cost_nusd / NUSD_PER_USD,
                    {OPERATION: call.operation, PROVIDER: provider, REQUEST_MODEL: model},
                )
                left -= attempt.cost_nusd
        if left > 0:
            self._cost.add(left / NUSD_PER_USD, names)


def provider_and_model(completion: Completion) -> tuple[str, str]:
    """The provider's name, and the model's as that provider knows it."""
    provider = completion.provider or completion.model.partition("/")[0]
    return one_line(provider), one_line(completion.model.removeprefix(f"{provider}/"))


def _asked(request: CompletionRequest, operation: str) -> dict[str, str | int | float | bool]:
    """What is known of a call before anything is decided."""
    attributes: dict[str, str | int | float | bool] = {
        OPERATION: operation,
        "labverse.purpose": request.purpose.value,
        "labverse.privacy": request.privacy.value,
        "labverse.tier": request.tier.value,
        "labverse.input.messages": len(request.messages),
        "labverse.input.chars": sum(chars_of(message) for message in request.messages),
        "labverse.input.images": sum(images_of(message) for message in request.messages),
    }
    named = {
        REQUEST_MODEL: request.model,
        AGENT: request.agent,
        "labverse.tenant": request.tenant,
        "labverse.call_id": request.call_id,
    }
    attributes |= {name: one_line(text) for name, text in named.items() if text}
    if request.max_tokens is not None:
        attributes[REQUEST_MAX_TOKENS] = request.max_tokens
    if request.temperature is not None:
        attributes[REQUEST_TEMPERATURE] = request.temperature
    if request.schema is not None:
        attributes[OUTPUT_TYPE] = "json"
    if request.tools:
        attributes["labverse.input.tools"] = len(request.tools)
    return attributes


def _span_name(operation: str, model: str) -> str:
    return f"{operation} {one_line(model)}".rstrip()


def _route(candidates: Iterable[Candidate]) -> list[str]:
    """A line for each model that was looked at: `ollama/qwen2:7b`, `openai/gpt-4o: too dear`."""
    lines = []
    for place, candidate in enumerate(candidates):
        if place == ROUTE_LINES_MAX:
            lines.append("…")
            break
        reason = f": {candidate.dropped}" if candidate.dropped else ""
        lines.append(one_line(f"{candidate.model}{reason}", DETAIL_CHARS_MAX))
    return lines
