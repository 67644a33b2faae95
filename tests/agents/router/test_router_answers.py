"""What counts as an answer: schemas are kept or told, tools come back, refusals are told, empty answers aren't given."""

import time
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from provider import Call, Provider, Reply
from routerlab import Lab, ask, complete

from schemas.llm import RefusalKind, Tool

StartProvider = Callable[..., Provider]
SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "price": {"type": "integer"}},
    "required": ["name", "price"],
}
GOOD = '{"name": "bolt", "price": 3}'
BAD = '{"name": "bolt", "price": "dear"}'
VALUE = {"name": "bolt", "price": 3}


def form(body: dict[str, Any]) -> str:
    return str((body.get("response_format") or {"type": "text"})["type"])


def takes_only(*forms: str) -> Callable[[dict[str, Any], int], Reply]:
    def behave(body: dict[str, Any], number: int) -> Reply:
        if form(body) in forms:
            return Reply(text=GOOD)
        return Reply(status=400, error=f"response_format {form(body)} is not supported by this model")

    return behave


async def test_a_schema_is_asked_for_in_the_best_form_and_told_in_the_prompt(
    guarded: Lab, start_provider: StartProvider
) -> None:
    provider = start_provider(Reply(text=GOOD))
    reply = await complete(guarded.router(guarded.paid(provider)), ask(schema=SCHEMA, schema_name="part"))
    assert reply.completion is not None
    assert reply.completion.value == VALUE
    body = provider.requests[0].body
    assert body["response_format"]["json_schema"]["name"] == "part"
    assert '"price"' in body["messages"][0]["content"]


@pytest.mark.parametrize(
    ("forms", "tried"),
    [
        (("json_object", "text"), ["json_schema", "json_object"]),
        (("text",), ["json_schema", "json_object", "text"]),
    ],
)
async def test_a_model_that_takes_no_schema_is_asked_in_a_plainer_form_which_is_remembered(
    guarded: Lab, start_provider: StartProvider, forms: tuple[str, ...], tried: list[str]
) -> None:
    provider = start_provider(takes_only(*forms))
    router = guarded.router(guarded.paid(provider))
    for _ in range(2):
        reply = await complete(router, ask(schema=SCHEMA))
        assert reply.completion is not None
        assert reply.completion.value == VALUE
    assert [form(received.body) for received in provider.requests] == [*tried, forms[0]]


async def test_an_answer_off_the_schema_is_quoted_to_its_model_once(
    guarded: Lab, start_provider: StartProvider
) -> None:
    provider, other = start_provider([Reply(text=BAD), Reply(text=GOOD)]), start_provider()
    router = guarded.router(guarded.paid(provider), guarded.paid(other, "other", rank=1))
    reply = await complete(router, ask(schema=SCHEMA))
    assert reply.completion is not None
    assert reply.completion.value == VALUE
    assert not reply.completion.fallback
    said, complaint = provider.requests[1].body["messages"][-2:]
    assert said == {"role": "assistant", "content": BAD}
    assert "$.price" in complaint["content"]
    assert other.calls == 0
    assert reply.explanation is not None
    assert [one.outcome for one in reply.explanation.attempts] == ["off_schema", "answered"]
    books = await guarded.books()
    assert books.month.spent_nusd == reply.completion.cost_nusd


async def test_a_model_that_stays_off_the_schema_gives_way_to_the_next(
    guarded: Lab, start_provider: StartProvider
) -> None:
    provider, other = start_provider(Reply(text=BAD)), start_provider(Reply(text=GOOD))
    router = guarded.router(guarded.paid(provider), guarded.paid(other, "other", rank=1))
    reply = await complete(router, ask(schema=SCHEMA))
    assert reply.completion is not None
    assert reply.completion.provider == "other"
    assert provider.calls == 2
    assert len(other.requests[0].body["messages"]) == 2, "another model's mistakes are none of its business"


async def test_when_no_model_keeps_to_the_schema_the_refusal_says_where(
    guarded: Lab, start_provider: StartProvider
) -> None:
    router = guarded.router(guarded.paid(start_provider(Reply(text=BAD))))
    reply = await complete(router, ask(schema=SCHEMA))
    assert reply.refusal is not None
    assert reply.refusal.kind is RefusalKind.OFF_SCHEMA
    assert "$.price" in reply.refusal.message
    assert reply.refusal.cost_nusd > 0


async def test_fenced_json_is_accepted(guarded: Lab, start_provider: StartProvider) -> None:
    provider = start_provider(Reply(text=f"Here you are:\n```json\n{GOOD}\n```"))
    reply = await complete(guarded.router(guarded.paid(provider)), ask(schema=SCHEMA))
    assert reply.completion is not None
    assert reply.completion.value == VALUE


async def test_a_structured_answer_that_was_cut_gets_more_room_once(
    guarded: Lab, start_provider: StartProvider
) -> None:
    long = msgspec.json.encode({"name": "b" * 6_000, "price": 3}).decode()
    provider = start_provider(Reply(text=long))
    router = guarded.router(guarded.paid(provider))
    reply = await complete(router, ask(schema=SCHEMA))
    assert reply.completion is not None
    assert [received.body["max_tokens"] for received in provider.requests] == [1_024, 4_096]

    endless = start_provider(Reply(text='{"name": "' + "b" * 100_000))
    reply = await complete(guarded.router(guarded.paid(endless, "endless")), ask(schema=SCHEMA))
    assert reply.refusal is not None
    assert endless.calls == 2


async def test_more_room_than_the_caller_gave_is_never_asked_for(
    guarded: Lab, start_provider: StartProvider
) -> None:
    provider = start_provider(Reply(text='{"name": "' + "b" * 1_000))
    reply = await complete(guarded.router(guarded.paid(provider)), ask(schema=SCHEMA, max_tokens=50))
    assert reply.refusal is not None
    assert {received.body["max_tokens"] for received in provider.requests} == {50}


async def test_a_schema_that_is_none_is_refused_before_anybody_is_asked(
    guarded: Lab, start_provider: StartProvider
) -> None:
    provider = start_provider()
    reply = await complete(guarded.router(guarded.paid(provider)), ask(schema={"type": "thing"}))
    assert reply.refusal is not None
    assert reply.refusal.kind is RefusalKind.BAD_REQUEST
    assert "$.type" in reply.refusal.message
    assert provider.calls == 0


async def test_tool_calls_come_back(guarded: Lab, start_provider: StartProvider) -> None:
    provider = start_provider(Reply(tool_calls=[Call(name="find", arguments='{"q": "bolt"}')]))
    router = guarded.router(guarded.paid(provider))
    tool = Tool(name="find", description="finds", parameters={"type": "object", "properties": {}})
    reply = await complete(router, ask(tools=(tool,)))
    assert reply.completion is not None
    assert [(call.name, call.arguments) for call in reply.completion.tool_calls] == [
        ("find", '{"q": "bolt"}')
    ]
    assert provider.requests[0].body["tools"][0]["function"]["name"] == "find"
    async for piece in router.stream(ask(tools=(tool,)), deadline_s=time.time() + 5):
        if piece.reply is not None:
            assert piece.reply.completion is not None
            assert piece.reply.completion.tool_calls[0].name == "find"


async def test_a_model_without_tools_is_left_out_once_that_is_known(
    guarded: Lab, start_provider: StartProvider
) -> None:
    without = start_provider(Reply(status=400, error="This model does not support tools"))
    able = start_provider(Reply(tool_calls=[Call(name="find")]))
    router = guarded.router(guarded.paid(without), guarded.paid(able, "able", rank=1))
    for _ in range(2):
        reply = await complete(router, ask(tools=(Tool(name="find"),)))
        assert reply.completion is not None
        assert reply.completion.provider == "able"
    assert without.calls == 1


async def test_an_empty_answer_goes_to_the_next_model(guarded: Lab, start_provider: StartProvider) -> None:
    empty, other = start_provider(Reply(text="<think>hm</think>")), start_provider(Reply(text="Yes."))
    router = guarded.router(guarded.paid(empty), guarded.paid(other, "other", rank=1))
    reply = await complete(router, ask())
    assert reply.completion is not None
    assert reply.completion.text == "Yes."
    assert reply.completion.fallback
    assert empty.calls == 1


@pytest.mark.parametrize(
    "declined",
    [
        Reply(text="", refusal="I won't help with that."),
        Reply(text="", finish_reason="content_filter"),
        Reply(status=400, code="content_filter", error="blocked by our content policy"),
    ],
    ids=["refusal", "filter", "400"],
)
async def test_a_prompt_that_a_model_declines_is_not_carried_to_others(
    guarded: Lab, start_provider: StartProvider, declined: Reply
) -> None:
    provider, other = start_provider(declined), start_provider()
    router = guarded.router(guarded.paid(provider), guarded.paid(other, "other", rank=1))
    reply = await complete(router, ask())
    assert reply.refusal is not None
    assert reply.refusal.kind is RefusalKind.REFUSED
    assert "paid/m" in reply.refusal.message
    assert (provider.calls, other.calls) == (1, 0)


async def test_a_parameter_that_a_model_does_not_take_is_left_out_from_then_on(
    guarded: Lab, start_provider: StartProvider
) -> None:
    def behave(body: dict[str, Any], number: int) -> Reply:
        if "temperature" in body:
            return Reply(
                status=400, error="Unsupported value: temperature does not support 0.6", param="temperature"
            )
        return Reply()

    provider = start_provider(behave)
    router = guarded.router(guarded.paid(provider))
    assert (await complete(router, ask())).completion is not None
    assert (await complete(router, ask())).completion is not None
    assert ["temperature" in received.body for received in provider.requests] == [True, False, False]
