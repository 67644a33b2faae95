"""The models that can be called now: listed ones, those found on local servers, and the local model of our own.

Local servers come and go: they are asked every `DISCOVER_S` which models they have. What each of these can do is
asked once. Models that were used lately are kept in memory by a request of one token.
"""

import asyncio
import logging
import os
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from agents.router.learned import Learned
from agents.router.offers import FREE, Capability, Offer
from agents.router.upstream import UpstreamCall, UpstreamError
from config.providers import Providers, find_providers_file, load_providers
from config.settings import Settings
from orchestrator.local.discovery import Found, discover
from orchestrator.local.probe import Probes
from orchestrator.local.supervisor import LocalModel, LocalModelError, local_model
from orchestrator.offers import RANK_FOUND, OfferBook, build_offers, check, found_offers
from orchestrator.shell import UserError
from orchestrator.upstream import OpenAIUpstream
from orchestrator.upstream.endpoint import Endpoint
from schemas.llm import Message, Tier

log = logging.getLogger("labverse.models")

DISCOVER_S: Final = 30.0
DISCOVER_LOADING_S: Final = 2.0
"""While a server loads its model and can't say yet which that is."""
KEEP_WARM_S: Final = 240.0
"""Ollama unloads a model that nobody used for five minutes."""
WARM_TIMEOUT_S: Final = 120.0
OWN_PROVIDER: Final = "local"
OWN_CONTEXT_TOKENS: Final = 4_096
OWN_SLOTS: Final = 2


@dataclass(eq=False, slots=True, kw_only=True)
class Models:
    """What can be called, as it is known at this moment.

    Attributes:
        found: the local servers that answered when they were last asked, if `was_asked`.
    """

    providers: Providers
    upstream: OpenAIUpstream
    book: OfferBook
    found: tuple[Found, ...] = ()
    was_asked: bool = False
    own: LocalModel | None = None
    can: dict[str, dict[Capability, bool]] = field(default_factory=dict)
    _listed: OfferBook = field(init=False)
    _probes: Probes = field(init=False)

    def __post_init__(self) -> None:
        self._listed = self.book
        self._probes = Probes(self.upstream)

    def offers(self) -> tuple[Offer, ...]:
        return self.book.offers

    def all_offers(self) -> tuple[Offer, ...]:
        """Those that can't be called now too: local servers that aren't there."""
        now = {offer.name for offer in self.book.offers}
        missing = tuple(offer for offer in self._listed.offers if offer.name not in now)
        return tuple(sorted((*self.book.offers, *missing), key=lambda offer: offer.rank))

    async def check_cloud(self) -> dict[str, str]:
        """Ask each cloud provider with a key for its models: why it can't be used, empty when it can."""
        wanted = {offer.provider for offer in self._listed.offers if not offer.is_local and offer.has_key}
        names = [name for name in self._listed.endpoints if name in wanted]
        return dict(zip(names, await asyncio.gather(*map(self.upstream.check, names)), strict=True))

    async def refresh(self) -> None:
        """Ask the local servers which models they have now."""
        rows = [(name, self._listed.endpoints[name].base_url) for name in self._listed.local_providers()]
        self.found, self.was_asked = tuple(await discover(rows)), True
        book = self._listed
        reachable = {one.provider: one for one in self.found}
        for one in self.found:
            book = found_offers(self.providers, book, one.provider, one.models)
        offers = []
        for offer in book.offers:
            if offer.is_local and (
                offer.provider not in reachable or not is_served(offer, reachable[offer.provider])
            ):
                continue  # what isn't there would cost each call a refusal
            offers.append(replace(offer, can={**offer.can, **self.can.get(offer.name, {})}))
        if self.own is not None and self.own.is_kept():
            offers.insert(0, _own_offer(self.own, self.can))
        self.book = replace(book, offers=tuple(offers))

    async def probe(self, offer: Offer) -> dict[Capability, bool]:
        """What a model can, asked once for each server and model."""
        endpoint = self.book.endpoints.get(offer.provider)
        base_url = endpoint.base_url if endpoint else (self.own.base_url if self.own else "")
        can = await self._probes.can(base_url, offer)
        self.can[offer.name] = can
        return can

    async def keep_current(self, learned: Learned) -> None:
        """Discover and probe, until cancelled."""
        while True:
            for offer in self.offers():
                if offer.name not in self.can and self._is_probed(offer):
                    can = await self.probe(offer)
                    learned.model(offer).can.update(can)
                    log.info(
                        "%s can: %s", offer.name, ", ".join(c for c, yes in can.items() if yes) or "text"
                    )
            is_loading = any(one.is_loading for one in self.found)
            await asyncio.sleep(DISCOVER_LOADING_S if is_loading else DISCOVER_S)
            await self.refresh()

    def _is_probed(self, offer: Offer) -> bool:
        """Local models that are in use anyway: asking all that an Ollama has would load them one by one."""
        if not offer.is_local:
            return False
        server = next((one for one in self.found if one.provider == offer.provider), None)
        return offer.rank < RANK_FOUND or (server is not None and len(server.models) == 1)

    async def keep_warm(self, learned: Learned) -> None:
        """Load the first local model, and keep those that are used in memory, until cancelled."""
        first = next((offer for offer in self.offers() if offer.is_local), None)
        if first is not None:
            await self._warm(first)
        while True:
            await asyncio.sleep(KEEP_WARM_S)
            now_s = time.time()
            for offer in self.offers():
                if offer.is_local and learned.model(offer).was_used(now_s):
                    await self._warm(offer)

    async def _warm(self, offer: Offer) -> None:
        try:
            await self.upstream.complete(
                UpstreamCall(
                    offer=offer,
                    messages=(Message(role="user", content="."),),
                    max_tokens=1,
                    temperature=0.0,
                    timeout_s=WARM_TIMEOUT_S,
                )
            )
        except UpstreamError as error:
            log.info("%s could not be warmed up: %s", offer.name, error)

    async def aclose(self) -> None:
        await self._probes.aclose()
        await self.upstream.aclose()


def is_served(offer: Offer, server: Found) -> bool:
    """Whether a server has this model. One that serves a single model answers to any name."""
    names = {model.name for model in server.models}
    return len(names) <= 1 or offer.model in names or f"{offer.model}:latest" in names


def _own_offer(own: LocalModel, can: Mapping[str, dict[Capability, bool]]) -> Offer:
    offer = Offer(
        provider=OWN_PROVIDER,
        model=own.model,
        tier=Tier.SMALL,
        is_local=True,
        price=FREE,
        context_tokens=OWN_CONTEXT_TOKENS,
        output_tokens_max=OWN_CONTEXT_TOKENS // 2,
        concurrency_max=OWN_SLOTS,
    )
    return replace(offer, can=dict(can.get(offer.name, {})))


@asynccontextmanager
async def models_for(
    settings: Settings, env: Mapping[str, str], *, own_model: Path | bool = False
) -> AsyncGenerator[Models]:
    """Models as the settings and the providers file say.

    Args:
        own_model: serve this GGUF file from a child process; True takes the bundled one.

    Raises:
        ConfigError: the providers file can't be used.
        UserError: the local model can't be served.
    """
    providers = load_providers(find_providers_file(settings.llm, env))
    book = build_offers(providers, env)
    check(book)
    async with AsyncExitStack() as stack:
        own = None
        own_model = own_model or settings.llm.local_model or False
        if own_model:
            path = None if own_model is True else Path(own_model)
            try:
                own = await stack.enter_async_context(local_model(path, port=settings.llm.local_model_port))
            except LocalModelError as error:
                raise UserError(str(error)) from None
        upstream = OpenAIUpstream(book.endpoints)
        if own is not None:
            upstream.add(OWN_PROVIDER, Endpoint(base_url=own.base_url, is_local=True, is_kept=own.is_kept))
        models = Models(providers=providers, upstream=upstream, book=book, own=own)
        stack.push_async_callback(models.aclose)
        if settings.llm.discover or own is not None:
            await models.refresh()
        yield models


def environment() -> Mapping[str, str]:
    """Where keys are read from."""
    return os.environ
