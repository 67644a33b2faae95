"""Offers: the models that may be called, put together from the providers file, the keys at hand and the price table.

Keys are read here, from the environment, and go on as `Secret` in the endpoints alone: no offer holds one.
"""

import datetime
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from agents.router.offers import FREE, RANK_UNLISTED, Capability, Offer, Price, PriceTier
from config.errors import ConfigError
from config.providers import Dollars, Listed, ModelRow, PriceRow, ProviderRow, Providers
from config.secret import Secret
from orchestrator.local.discovery import FoundModel
from orchestrator.prices import price_of
from orchestrator.upstream.endpoint import Endpoint
from schemas.llm import Tier

RANK_FOUND: Final = 500
"""Of models that local servers have and the file doesn't list; those that it lists come before, in its order."""
FOUND_MODELS_MAX: Final = 256
KEY_CHARS_MAX: Final = 8_192
CONCURRENCY_UNKNOWN: Final = 64
"""Requests at once to a provider of which nobody said how many it takes; a refusal makes them fewer."""
CONCURRENCY_START: Final = 8

PriceOf = Callable[[ProviderRow, str], Price | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Why a model that the operator listed can't be called, and what to do, in one line."""

    model: str
    text: str
    is_fatal: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferBook:
    """All offers, by ascending rank, and where their providers are.

    Attributes:
        problems: with the models that the file lists; `check` raises the first fatal one.
    """

    offers: tuple[Offer, ...]
    endpoints: Mapping[str, Endpoint]
    problems: tuple[Problem, ...] = ()

    def local_providers(self) -> tuple[str, ...]:
        """Those that may be asked which models they have."""
        return tuple(name for name, endpoint in self.endpoints.items() if endpoint.is_local)


def build_offers(
    providers: Providers, env: Mapping[str, str], *, now: datetime.datetime | None = None
) -> OfferBook:
    """Offers of the listed models (rank 0 and on), the operator's own ones, and the catalogue's whose key is set.

    A listed model without its key stays, with `has_key` False; models of the catalogue's local servers come only by
    discovery (`found_offers`). A price in a file wins over the table's; a paid model that has none has price None.

    Args:
        now: prices of which moment, in UTC; None takes the present.
    """

    def table(row: ProviderRow, model: str) -> Price | None:
        return price_of(row.prices_as, model, base_url=row.base_url, now=now)

    keys = {name: _key(row, env) for name, row in providers.rows.items()}
    offers: dict[tuple[str, str], Offer] = {}
    for rank, (provider, model) in enumerate(_listed(providers)):
        offers[provider, model.name] = _offer(providers, provider, model, rank, keys, table)
    for provider, model in _unlisted(providers, keys):
        if (provider, model.name) not in offers:
            offers[provider, model.name] = _offer(providers, provider, model, RANK_UNLISTED, keys, table)
    endpoints = {
        name: Endpoint(base_url=row.base_url, key=keys[name], is_local=row.local)
        for name, row in providers.rows.items()
    }
    problems = tuple(_problems(providers.file, providers.listed, offers))
    return OfferBook(offers=tuple(offers.values()), endpoints=endpoints, problems=problems)


def check(book: OfferBook) -> None:
    """For the start of what calls models.

    Raises:
        ConfigError: a paid model that the file names as primary or fallback has no known price.
    """
    for problem in book.problems:
        if problem.is_fatal:
            raise ConfigError(problem.text)


def found_offers(
    providers: Providers, book: OfferBook, provider: str, models: Iterable[FoundModel]
) -> OfferBook:
    """`book` with the models that a local server says it has.

    Listed models stay as they are, whether the server named them or not. Of more than `FOUND_MODELS_MAX` the first
    count.

    Raises:
        KeyError: no such provider.
        ValueError: it is none of the local ones.
    """
    row = providers.rows[provider]
    if not row.local:
        raise ValueError(f"{provider} is no local provider")
    offers = {(offer.provider, offer.model): offer for offer in book.offers}
    keys = {provider: book.endpoints[provider].key}
    for found in list(models)[:FOUND_MODELS_MAX]:
        name = found.name
        known = providers.model(provider, name)
        if (provider, name) in offers or (known and (provider, known.name) in offers) or is_embedder(name):
            continue
        model = known or ModelRow(name=name)
        offer = _offer(providers, provider, model, RANK_FOUND, keys, lambda row, model: None)
        context = found.context_tokens or offer.context_tokens
        offers[provider, name] = replace(
            offer, model=name, context_tokens=context, output_tokens_max=min(offer.output_tokens_max, context)
        )
    return replace(book, offers=tuple(offers.values()))


def is_embedder(name: str) -> bool:
    """Whether a model's name says that it makes vectors, not answers."""
    return re.search(r"embed|^bge-|/bge-|minilm|rerank", name, re.IGNORECASE) is not None


def tier_of(name: str) -> int:
    """How good a model that nobody described probably is, by the size that its name tells: below 3 billion
    parameters small, below 30 medium, which is also what it is taken for when it tells none."""
    sizes = re.findall(r"(?<![A-Za-z0-9.])(?:(\d+)x)?(\d+(?:\.\d+)?)([bm])(?![A-Za-z0-9])", name.lower())
    if not sizes:
        return 2
    experts, number, unit = sizes[0]
    billions = float(number) * int(experts or 1) * (1 if unit == "b" else 0.001)
    return 1 if billions < 3 else 2 if billions < 30 else 3


def _key(row: ProviderRow, env: Mapping[str, str]) -> Secret:
    # A key with a line's end comes from `$(cat file)` and the like; inside a header it would be an error with the key.
    key = env.get(row.key_variable, "").strip() if row.key_variable else ""
    return Secret(key if key.isascii() and key.isprintable() and len(key) <= KEY_CHARS_MAX else "")


def _listed(providers: Providers) -> Iterator[tuple[str, ModelRow]]:
    for one in providers.listed:
        yield one.provider, providers.model(one.provider, one.model) or ModelRow(name=one.model)


def _unlisted(providers: Providers, keys: Mapping[str, Secret]) -> Iterator[tuple[str, ModelRow]]:
    for provider, row in providers.rows.items():
        for model in row.models:
            is_own = (provider, model.name) in providers.own_models
            if is_own if row.local else is_own or keys[provider] or not row.key_variable:
                yield provider, model


def _offer(
    providers: Providers,
    provider: str,
    model: ModelRow,
    rank: int,
    keys: Mapping[str, Secret],
    table: PriceOf,
) -> Offer:
    row = providers.rows[provider]
    price = from_row(model.price, providers.where[provider]) if model.price else None
    if price is None:
        price = FREE if row.local else table(row, model.name)
    return Offer(
        provider=provider,
        model=model.name,
        tier=Tier(model.tier or tier_of(model.name)),
        is_local=row.local,
        price=price,
        context_tokens=model.context_tokens,
        output_tokens_max=min(model.output_tokens_max, model.context_tokens),
        can=_can(row, model),
        rank=rank,
        has_key=not row.key_variable or bool(keys[provider]),
        key_variable=row.key_variable,
        concurrency_max=row.concurrency_max or CONCURRENCY_UNKNOWN,
        concurrency_start=row.concurrency_max or CONCURRENCY_START,
        max_tokens_field=row.max_tokens_field,
    )


def _can(row: ProviderRow, model: ModelRow) -> dict[Capability, bool]:
    out = {}
    for capability in Capability:
        own: bool | None = getattr(model.capabilities, capability)
        known: bool | None = getattr(row.capabilities, capability) if own is None else own
        if known is not None:
            out[capability] = known
    return out


def from_row(row: PriceRow, where: str) -> Price:
    """A price as it stands in a file; without a `source` of its own it names `where` that is."""

    def tier(start: int, paid: Dollars, output: Dollars, cached: Dollars | None) -> PriceTier:
        return PriceTier(
            input_nusd=paid.nusd,
            output_nusd=output.nusd,
            cached_input_nusd=None if cached is None else cached.nusd,
            from_input_tokens=start,
        )

    first = tier(0, row.input, row.output, row.cached_input)
    others = (tier(one.from_input_tokens, one.input, one.output, one.cached_input) for one in row.tiers)
    return Price(
        tiers=(first, *others),
        per_request_nusd=row.per_request.nusd,
        source=row.source or where,
        date=row.date,
    )


def _problems(
    file: Path, listed: Iterable[Listed], offers: Mapping[tuple[str, str], Offer]
) -> Iterator[Problem]:
    for one in listed:
        offer = offers[one.provider, one.model]
        if offer.price is None:
            yield Problem(
                model=offer.name,
                is_fatal=one.role != "edge_local",
                text=(
                    f"the price of `{one.entry}` ({one.where}) is unknown, so it is never called: add "
                    f"`providers: {{{one.provider}: {{models: [{{name: {one.model}, price: {{input: …, "
                    f"output: …}}}}]}}}}` in US dollars per million tokens to {file}"
                ),
            )
        elif not offer.has_key:
            yield Problem(
                model=offer.name,
                is_fatal=False,
                text=f"`{one.entry}` ({one.where}) has no usable key: set {offer.key_variable}",
            )
