"""What platforms and we have to agree on: the values of the three issues, so many that a solver can weigh them all."""

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Final

from agents.negotiator.limits import RefusedError
from agents.negotiator.platforms.card import FORMATS_MAX, Card, card_of
from agents.negotiator.platforms.orders import TERMS
from agents.negotiator.platforms.pricing import PRICINGS, Pricing, Terms
from schemas.negotiation import HOUSE, PARTIES_MAX, IssueStated

FORMAT: Final = "format"
HEAD_START: Final = "head_start"
NO_HEAD_START: Final = "none"
TERMS_MAX: Final = 1_999
OUTCOMES_AIM: Final = 20_000
"""Of all three issues together: what a solver weighs, with its scenarios, in about a tenth of a second."""
FORMATS_OF_MANY: Final = 4
"""With more than two platforms: those that most know."""
HEAD_STARTS_MAX: Final = 7
VALUE_CHARS_MAX: Final = 200
FALLBACK_FORMATS: Final = ("any format", "other format")
"""When cards know fewer than two."""

_GRIDS: Final = ((10, (0, 5, 10, 15, 20)), (10, (0, 10, 20)), (20, (0, 10, 20)))
"""Steps of the split and discounts, both in percent."""
_WEIGHTS: Final[tuple[tuple[tuple[int, ...], ...], ...]] = (((0, 1, 2),), ((1, 2), (0, 1)), ((0, 1),))
"""Where steps would leave platforms out for want of parts: each platform's weight in the split is one of these."""
_DISCOUNTS: Final = (0, 10, 20)

Split = tuple[int, ...]
"""In percent, in the order of the platforms."""


def issues_of(platforms: Sequence[str], cards: Mapping[str, Card]) -> tuple[IssueStated, ...]:
    """The issues, the same for the same platforms and cards.

    Raises:
        RefusedError: a platform has no card, is named twice, or there are too many or none.
    """
    _check(platforms)
    chosen = {name: _platform(cards, name) for name in platforms}
    parties = [*chosen.values(), card_of(cards, HOUSE)]
    formats, head_starts = _formats(parties), _head_starts(platforms, parties)
    most = min(TERMS_MAX, OUTCOMES_AIM // (len(formats) * len(head_starts)))
    terms = tuple(terms.name for terms in terms_of(platforms, cards, most))
    return (
        IssueStated(name=TERMS, values=terms, divisible=True),
        IssueStated(name=FORMAT, values=formats),
        IssueStated(name=HEAD_START, values=head_starts),
    )


def _check(platforms: Sequence[str]) -> None:
    if not platforms:
        raise RefusedError("no platforms; name at least one")
    if len(platforms) >= PARTIES_MAX:
        raise RefusedError(f"{len(platforms)} platforms; at most {PARTIES_MAX - 1}")
    if len(set(platforms)) < len(platforms):
        raise RefusedError("a platform is named twice; name each once")


def _platform(cards: Mapping[str, Card], name: str) -> Card:
    card = card_of(cards, name)
    if card.kind == "house":
        raise RefusedError(f"{name!r} is ourselves and always takes part; name platforms only")
    return card


def terms_of(platforms: Sequence[str], cards: Mapping[str, Card], most: int = TERMS_MAX) -> tuple[Terms, ...]:
    """The values of the issue about money: none in which a platform is paid by a model that it doesn't take.

    Args:
        most: values, for which splits and discounts are as fine as they can be.

    Raises:
        RefusedError: names are so long that no value fits.
    """
    takes = {
        pricing: frozenset(name for name in platforms if card_of(cards, name).takes(pricing))
        for pricing in (Pricing.OWN, *PRICINGS)
    }
    if len({card_of(cards, name).own for name in platforms}) == 1:
        takes.pop(Pricing.OWN)  # it would say the same twice
    for splits, discounts in _families(len(platforms)):
        # One model that all take, which there always is, would already be too many.
        if len(splits) * len(discounts) > most:
            continue
        found = tuple(_combined(tuple(platforms), takes, splits, discounts))
        if len(found) <= most and max(len(terms.name) for terms in found) <= VALUE_CHARS_MAX:
            return found
    raise RefusedError(f"{len(platforms)} platforms with such long names make too many terms; name fewer")


def _families(count: int) -> Iterator[tuple[Sequence[Split], Sequence[int]]]:
    """Splits and discounts, the finest first."""
    for step, discounts in _GRIDS:
        parts = 100 // step
        if count <= parts and math.comb(parts + count - 1, count - 1) * len(discounts) <= TERMS_MAX:
            yield [tuple(step * part for part in row) for row in _compositions(parts, count)], discounts
    for choices in _WEIGHTS:
        if sum(len(weights) ** count for weights in choices) <= TERMS_MAX:
            yield _weighted(count, choices), _DISCOUNTS
    yield _nearly_even(count), _DISCOUNTS
    yield _alone(count), _DISCOUNTS


def _combined(
    platforms: tuple[str, ...],
    takes: Mapping[Pricing, frozenset[str]],
    splits: Sequence[Split],
    discounts: Sequence[int],
) -> Iterator[Terms]:
    named = [
        tuple((name, share) for name, share in zip(platforms, split, strict=True) if share)
        for split in splits
    ]
    for pricing, takers in takes.items():
        for split in named:
            if all(name in takers for name, _ in split):
                for discount in discounts:
                    yield Terms(pricing=pricing, discount=discount, split=split)


@lru_cache(maxsize=32)
def _compositions(total: int, parts: int) -> tuple[tuple[int, ...], ...]:
    """Every way to write `total` as `parts` whole numbers from 0 on; the most even ones first."""
    return tuple(sorted(_counted(total, parts), key=_evenness))


def _counted(total: int, parts: int) -> Iterator[tuple[int, ...]]:
    if parts == 1:
        yield (total,)
        return
    for first in range(total + 1):
        for rest in _counted(total - first, parts - 1):
            yield (first, *rest)


def _evenness(row: tuple[int, ...]) -> tuple[int, tuple[int, ...]]:
    return sum(one * one for one in row), row


def _weighted(count: int, choices: tuple[tuple[int, ...], ...]) -> list[Split]:
    rows = {row for weights in choices for row in itertools.product(weights, repeat=count) if any(row)}
    return sorted({_percent(row) for row in rows}, key=_evenness)


def _nearly_even(count: int) -> list[Split]:
    """Even, with one platform doubled or left out, or one alone."""
    even = (1,) * count
    rows = {even} | {
        (*even[:at], weight, *even[at + 1 :]) for at in range(count) for weight in (0, 2) if count > 1
    }
    return sorted({_percent(row) for row in rows} | set(_alone(count)), key=_evenness)


def _alone(count: int) -> list[Split]:
    return [tuple(100 * (at == number) for at in range(count)) for number in range(count)]


def _percent(weights: tuple[int, ...]) -> Split:
    """Whole percent in proportion, adding up to 100; what rounding leaves goes to the first ones."""
    total = sum(weights)
    shares = [100 * weight // total for weight in weights]
    left = 100 - sum(shares)
    for at in [at for at, weight in enumerate(weights) if weight][:left]:
        shares[at] += 1
    return tuple(shares)


def _formats(parties: Sequence[Card]) -> tuple[str, ...]:
    """What most cards know first."""
    known: dict[str, int] = {}
    for card in parties:
        for name in card.formats:
            known[name] = known.get(name, 0) + 1
    most = FORMATS_MAX if len(parties) <= 3 else FORMATS_OF_MANY
    names = sorted(known, key=lambda name: (-known[name], name))[:most]
    return tuple(names) if len(names) >= 2 else (*names, *FALLBACK_FORMATS)[:2]


def _head_starts(platforms: Sequence[str], parties: Sequence[Card]) -> tuple[str, ...]:
    if len(platforms) == 1:
        return (NO_HEAD_START,)  # nobody to be ahead of
    days = sorted({day for card in parties for day in (*card.head_start.first, *card.head_start.behind)})
    room = max(1, (HEAD_STARTS_MAX - 1) // len(platforms))
    if room < len(days):
        last = len(days) - 1
        days = [days[last // 2]] if room == 1 else [days[at * last // (room - 1)] for at in range(room)]
    offered = [(name, day) for day in days for name in platforms]
    return (NO_HEAD_START, *(head_start_name(name, day) for name, day in offered))


def head_start_name(platform: str, days: int) -> str:
    """Such as `tiktok 3 days first`."""
    return f"{platform} {days} day{'s' if days != 1 else ''} first"


def read_head_start(value: str) -> tuple[str, int] | None:
    """Who is first, and by how many days; None for nobody, or what is no head start."""
    words = value.split(" ")
    if len(words) != 4 or words[2] not in ("day", "days") or words[3] != "first" or not words[1].isdecimal():
        return None
    return words[0], int(words[1])
