"""What is known of every model, put together from the providers file, the routers, the breakers and the books."""

import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from agents.cost_guard.books import read_records
from agents.cost_guard.report import dollars
from agents.router.breakers import BreakerRecord, breakers_bucket
from agents.router.figures import ModelFigures, RouterRecord, routers_bucket
from agents.router.offers import FREE, RANK_UNLISTED, Offer
from bus import Bus, BusError
from orchestrator.clean import clean
from orchestrator.fitting import Column, print_table
from orchestrator.models import OWN_CONTEXT_TOKENS, OWN_PROVIDER, Models

if TYPE_CHECKING:
    from collections.abc import Mapping

MONTH_CHARS: Final = 7
COLUMNS: Final = (
    Column("model", "name"),
    Column("state", "text", rank=7, under="state:"),
    Column("tier", "text", rank=5),
    Column("context", rank=4),
    Column("$ / M in"),
    Column("$ / M out"),
    Column("p50", rank=2),
    Column("p95", rank=3),
    Column("breaker", "text", rank=6, under="breaker"),
    Column("calls", rank=1),
    Column("spent"),
)


class ProviderLine(msgspec.Struct, frozen=True, kw_only=True):
    """One model. Durations in seconds, 0 where nothing is known; prices of the first tier, None where unknown.

    Attributes:
        state: `ready`, or why it can't be called.
        breaker: empty while closed, else until when (seconds from now) and why.
        spent_nusd, calls: this month, by the books.
        can: what it is known to be able to do (True) or not (False).
    """

    model: str
    is_local: bool
    is_listed: bool
    state: str
    tier: str
    context_tokens: int
    input_nusd: int | None
    output_nusd: int | None
    price_source: str
    breaker: str
    p50_s: float
    p95_s: float
    first_p50_s: float
    in_flight: int
    limit: int
    calls: int
    spent_nusd: int
    can: dict[str, bool]


async def lines(
    bus: Bus, models: Models, reached: "Mapping[str, str]", *, everything: bool
) -> list[ProviderLine]:
    """All models, in the order in which the file prefers them.

    Raises:
        BusError: the books can't be read.
    """
    figures = await _figures(bus)
    breakers = await _breakers(bus)
    spent, calls = await _spent(bus)
    offers = models.all_offers()
    out = []
    for offer in (*_of_routers(figures, offers), *offers):
        if offer.rank >= RANK_UNLISTED and not everything:
            continue
        figure = figures.get(offer.name) or ModelFigures(model=offer.name, is_local=offer.is_local)
        tier = offer.price.tiers[0] if offer.price else None
        out.append(
            ProviderLine(
                model=offer.name,
                is_local=offer.is_local,
                is_listed=offer.rank < RANK_UNLISTED,
                state=_state(offer, models, reached),
                tier=offer.tier.name.lower(),
                context_tokens=offer.context_tokens,
                input_nusd=tier.input_nusd if tier else None,
                output_nusd=tier.output_nusd if tier else None,
                price_source=f"{offer.price.source} {offer.price.date}".strip() if offer.price else "",
                breaker=_breaker(breakers, offer),
                p50_s=figure.p50_s,
                p95_s=figure.p95_s,
                first_p50_s=figure.first_p50_s,
                in_flight=figure.in_flight,
                limit=figure.limit,
                calls=calls[offer.name],
                spent_nusd=spent[offer.name],
                can={str(name): yes for name, yes in {**offer.can, **models.can.get(offer.name, {})}.items()},
            )
        )
    return out


def _of_routers(figures: "Mapping[str, ModelFigures]", offers: tuple[Offer, ...]) -> list[Offer]:
    """Models that running routers serve from child processes of theirs: no file and no server tells of them."""
    known = {offer.name for offer in offers}
    return [
        Offer(
            provider=OWN_PROVIDER,
            model=name.removeprefix(f"{OWN_PROVIDER}/"),
            is_local=True,
            price=FREE,
            context_tokens=OWN_CONTEXT_TOKENS,
        )
        for name in figures
        if name.startswith(f"{OWN_PROVIDER}/") and name not in known
    ]


def _state(offer: Offer, models: Models, reached: "Mapping[str, str]") -> str:
    if not offer.has_key:
        return f"no key: set {offer.key_variable}"
    if offer.price is None:
        return "price unknown: never called"
    if offer.is_local:
        if offer.provider == OWN_PROVIDER:
            return "ready"
        if not models.was_asked:
            return "not asked: discovery is off"
        server = next((found for found in models.found if found.provider == offer.provider), None)
        if server is None:
            return "not reachable"
        if server.is_loading:
            return "loading its model"
        return "ready" if any(model.name == offer.model for model in server.models) else "not installed there"
    if offer.provider in reached:
        return reached[offer.provider] or "ready"
    return "has a key (--check asks)"


async def _figures(bus: Bus) -> dict[str, ModelFigures]:
    """Of the router that has seen most calls of a model."""
    out: dict[str, ModelFigures] = {}
    records: dict[str, RouterRecord] = await _values(bus, routers_bucket(bus))
    for record in records.values():
        for figure in record.models:
            known = out.get(figure.model)
            if known is None or figure.calls > known.calls:
                out[figure.model] = figure
    return out


async def _breakers(bus: Bus) -> dict[str, BreakerRecord]:
    records = await _values(bus, breakers_bucket(bus))
    return {record.name: record for record in records.values()}


async def _values(bus: Bus, bucket: Any) -> Any:
    try:
        await bucket.ensure()
        return await bucket.values()
    except BusError:
        return {}


def _breaker(breakers: "Mapping[str, BreakerRecord]", offer: Offer) -> str:
    now_s = time.time()
    for name in (offer.name, offer.provider):
        record = breakers.get(name)
        if record is not None and record.open_until_s > now_s:
            return f"open for {record.open_until_s - now_s:.0f} s: {record.reason}"
    return ""


async def _spent(bus: Bus) -> tuple[Counter[str], Counter[str]]:
    """nano-USD and calls of each model, this month."""
    now = time.gmtime()
    begin_s = time.time() - ((now.tm_mday - 1) * 86_400 + now.tm_hour * 3_600 + now.tm_min * 60 + now.tm_sec)
    spent: Counter[str] = Counter()
    calls: Counter[str] = Counter()
    async for record in read_records(bus, begin_s):
        name = f"{record.provider}/{record.model}"
        spent[name] += record.cost_nusd
        calls[name] += 1
    return spent, calls


def print_lines(found: list[ProviderLine], file: Path, width_in_pipes: int) -> None:
    """A table for people."""
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = width_in_pipes
    rows = []
    for line in found:
        ready = line.state == "ready"
        rows.append(
            (
                Text(clean(line.model), style="bold" if ready else ""),
                Text(clean(line.state), style="green" if ready else "dim" if line.is_local else "yellow"),
                line.tier,
                f"{line.context_tokens:,}",
                _price(line.input_nusd),
                _price(line.output_nusd),
                _seconds(line.p50_s),
                _seconds(line.p95_s),
                Text(
                    clean(line.breaker).replace("_", " ") or "closed", style="red" if line.breaker else "dim"
                ),
                f"{line.calls:,}",
                dollars(line.spent_nusd),
            )
        )
    print_table(console, "models", COLUMNS, rows)
    console.print(
        Text(f"order, limits and prices: {file}; prices from {_sources(found)}", style="dim"), soft_wrap=True
    )


def _price(nusd: int | None) -> str:
    return "unknown" if nusd is None else "free" if not nusd else f"{nusd / 1e9:g}"


def _seconds(value: float) -> str:
    return f"{value:.2f} s" if value else "-"


def _sources(found: list[ProviderLine]) -> str:
    sources = dict.fromkeys(line.price_source for line in found if line.price_source and not line.is_local)
    return ", ".join(sources) or "nowhere"
