"""Services in other languages ask for model calls over NATS, with a socket and JSON."""

import json
from collections.abc import Iterator
from pathlib import Path

import providerfile
import pytest
from labverse import Labverse
from plain_nats import PlainNats
from provider import Provider, Reply


@pytest.fixture
def provider() -> Iterator[Provider]:
    with Provider() as provider:
        yield provider


@pytest.fixture
def service(tmp_path: Path, provider: Provider) -> Iterator[PlainNats]:
    labverse = Labverse(tmp_path / "data")
    providerfile.use(labverse, {"mine": providerfile.paid(provider)})
    labverse.start("up", "--agents", "1", ready="labverse is up")
    service = PlainNats(labverse.run("config", "url").stdout.strip())
    service.subscribe("my.inbox")
    yield service
    service.close()
    labverse.close()


def test_a_whole_answer_comes_back_as_json(service: PlainNats, provider: Provider) -> None:
    provider.behaviour = Reply(text="Blue.")
    request = {"messages": [{"role": "user", "content": "What colour is the sky?"}]}
    service.publish("rpc.llm.complete", json.dumps(request).encode(), "my.inbox")
    completion = json.loads(service.next_message()[1])["completion"]
    assert (completion["text"], completion["model"], completion["source"]) == ("Blue.", "mine/m", "model")
    assert completion["cost_nusd"] > 0


def test_an_answer_comes_in_pieces_with_the_whole_at_the_end(service: PlainNats, provider: Provider) -> None:
    provider.behaviour = Reply(text="One two three four.")
    request = {"messages": [{"role": "user", "content": "Count."}], "call_id": "mine-1"}
    service.publish("rpc.llm.stream", json.dumps(request).encode(), "my.inbox")
    text = ""
    while not (piece := json.loads(service.next_message()[1])).get("reply"):
        text += piece["text"]
    assert text == piece["reply"]["completion"]["text"] == "One two three four."
    assert piece["reply"]["completion"]["call_id"] == "mine-1"


def test_nonsense_is_refused_with_the_place_and_nothing_is_called(
    service: PlainNats, provider: Provider
) -> None:
    service.publish("rpc.llm.complete", b'{"messages": [{"role": "boss"}]}', "my.inbox")
    _, payload = service.next_message()
    assert payload == b""  # the reason stands in the headers
    service.publish(
        "rpc.llm.complete",
        b'{"messages": [{"role": "user", "content": "hi"}], "model": "no/such"}',
        "my.inbox",
    )
    while not (payload := service.next_message()[1]):
        pass
    refusal = json.loads(payload)["refusal"]
    assert refusal["kind"] == "NoModelAvailable"
    assert not provider.requests
