"""What is sent: nothing that a model or a schema is known not to bear."""

import json
from typing import Any

import msgspec
import pytest

from agents.router.offers import FREE, Capability, Offer
from agents.router.structured import normal_schema
from agents.router.upstream import UpstreamCall
from orchestrator.upstream.request import body_of, is_strict
from schemas.llm import Message


class Strict(msgspec.Struct):
    name: str
    sizes: list[int]


class Loose(msgspec.Struct):
    name: str
    size: int = 3


def call(**more: Any) -> UpstreamCall:
    offer = Offer(provider="p", model="m", price=FREE, can=more.pop("can", {}))
    return UpstreamCall(
        offer=offer,
        messages=(Message(role="user", content="hi"),),
        max_tokens=5,
        temperature=0.3,
        timeout_s=1.0,
        **more,
    )


def test_a_temperature_is_left_out_for_models_that_take_none() -> None:
    assert json.loads(body_of(call(), is_stream=False))["temperature"] == 0.3
    assert "temperature" not in json.loads(
        body_of(call(can={Capability.TEMPERATURE: False}), is_stream=False)
    )


@pytest.mark.parametrize(
    ("kind", "strict"), [(Strict, True), (Loose, False), (dict[str, int], False), (int, True)]
)
def test_strictness_is_asked_for_only_where_the_schema_allows_it(kind: Any, strict: bool) -> None:
    schema = normal_schema(msgspec.json.schema(kind))
    assert is_strict(schema) is strict
    body = json.loads(body_of(call(format="json_schema", schema=schema), is_stream=False))
    assert body["response_format"]["json_schema"]["strict"] is strict
