"""Which models can be called now: local servers come and go, and are asked what they have and can."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from provider import Provider, Reply
from until import until

from agents.router.learned import Learned
from agents.router.offers import FREE, Capability, Offer
from config.load import load
from orchestrator import models as module
from orchestrator.local.discovery import Found, FoundModel
from orchestrator.models import Models, is_served, models_for
from orchestrator.shell import UserError


@pytest.fixture
def server() -> Iterator[Provider]:
    with Provider(models=("tiny:1b", "nomic-embed-text")) as server:
        yield server


@pytest_asyncio.fixture
async def models(server: Provider, tmp_path: Path) -> AsyncIterator[Models]:
    file = tmp_path / "providers.yaml"
    row = f"{{base_url: '{server.base_url}', local: true, models: [{{name: 'tiny:1b'}}, {{name: big}}]}}"
    file.write_text(f"edge_local: [{{mine: 'tiny:1b'}}, {{mine: big}}]\nproviders: {{mine: {row}}}\n")
    loaded = load(env={"LABVERSE_LLM__PROVIDERS_FILE": str(file), "HOME": str(tmp_path)})
    async with models_for(loaded.settings, {}) as models:
        yield models


def mine(models: Models) -> list[str]:
    return [offer.model for offer in models.offers() if offer.provider == "mine"]


async def test_what_a_local_server_has_can_be_called_and_nothing_else(models: Models) -> None:
    # `big` is listed but not installed there, and vectors are no answers.
    assert mine(models) == ["tiny:1b"]
    assert {offer.name for offer in models.all_offers()} >= {"mine/tiny:1b", "mine/big"}


async def test_a_server_that_goes_is_not_called_until_it_is_back(models: Models, server: Provider) -> None:
    port = server.port
    await asyncio.to_thread(server.stop)
    await models.refresh()
    assert mine(models) == []
    with Provider(port=port, models=("tiny:1b", "new:8b")):
        await models.refresh()
        assert mine(models) == ["tiny:1b", "new:8b"]


async def test_listed_models_are_probed_once_and_the_router_learns_what_they_can(
    models: Models, server: Provider
) -> None:
    server.behaviour = Reply(status=400, error="response_format is not supported", param="response_format")
    learned = Learned()
    keeping = asyncio.create_task(models.keep_current(learned))
    try:
        await until(lambda: models.can)
    finally:
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)
    (offer,) = (offer for offer in models.offers() if offer.provider == "mine")
    assert learned.model(offer).can[Capability.JSON_SCHEMA] is False
    asked = len(server.requests)
    await models.probe(offer)
    assert len(server.requests) == asked


async def test_the_first_local_model_is_loaded_at_once_and_those_in_use_are_kept(
    models: Models, server: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "KEEP_WARM_S", 0.05)
    learned = Learned()
    (offer,) = (offer for offer in models.offers() if offer.provider == "mine")
    warming = asyncio.create_task(models.keep_warm(learned))
    try:
        await until(lambda: len(server.requests) == 1)
        await asyncio.sleep(0.2)
        assert len(server.requests) == 1, "nobody uses it"
        learned.model(offer).answered(0.1, 0.0, 5, time.time())
        await until(lambda: len(server.requests) >= 3)
    finally:
        warming.cancel()
        await asyncio.gather(warming, return_exceptions=True)
    assert {request.body["max_tokens"] for request in server.requests} == {1}


async def test_a_local_model_that_is_no_model_is_a_mistake_told_in_one_line(tmp_path: Path) -> None:
    file = tmp_path / "model.gguf"
    file.write_text("hello")
    settings = load(env={"HOME": str(tmp_path), "LABVERSE_LLM__DISCOVER": "false"}).settings
    with pytest.raises(UserError, match="is not a GGUF file"):
        async with models_for(settings, {}, own_model=file):
            pass


def test_a_server_with_one_model_answers_to_any_name() -> None:
    offer = Offer(provider="p", model="llama3", price=FREE)

    def has(*names: str) -> bool:
        return is_served(
            offer, Found(provider="p", base_url="", models=tuple(FoundModel(name=n) for n in names))
        )

    assert has("whatever.gguf")
    assert has("llama3:latest", "other")
    assert not has("llama2", "other")
