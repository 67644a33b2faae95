"""Whether the figures in a text follow from a card: so that no price that a model invents reaches anybody."""

import re
import unicodedata
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

CENT_HALF: Final = 0.005
"""US dollars: as far as an amount may be rounded."""
PERCENT_ROUNDING: Final = 0.05
"""Percentage points."""
COUNT_ROUNDING: Final = 1e-6
PLAIN_MAX: Final = 10
"""Whole numbers up to here need no reason when no unit stands with them: `one of 3 formats`."""

_FIGURE: Final = re.compile(
    r"(?P<before>us\$|[$€£¥₹]|\busd|\beur|\bgbp)?\s*(?P<number>\d+(?:,\d{3})*(?:\.\d+)?)"
    r"(?:\s*(?P<scale>k|mn?|bn?|thousand|million|billion|mille)(?![a-z]))?"
    r"(?:\s*(?P<after>%|‰|percent\w*|per cent|pct|bps|basis points|us dollars?|dollars?|usd|bucks?|cents?|ct|eur\w*"
    r"|€|£|pounds?|gbp)(?![a-z]))?",
    re.IGNORECASE,
)
_BROKEN: Final = re.compile(r"[.,]?\d")
"""Right behind a number: it is none, or one in another country's digits."""
_UNIT_ALONE: Final = re.compile(
    r"[$€£¥₹%‰]|\b(?:percent\w*|per cent|pct|bps|basis points|dollars?|usd|bucks?|cents?|euros?|pounds?)\b",
    re.IGNORECASE,
)
_SCALES: Final = {"k": 1e3, "thousand": 1e3, "mille": 1e3, "m": 1e6, "mn": 1e6, "million": 1e6}
_DOLLARS: Final = frozenset({"$", "us$", "usd", "dollar", "dollars", "us dollar", "us dollars"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What may be stated: US dollars, percentages and counts."""

    usd: Collection[float]
    percents: Collection[float]
    counts: Collection[float]


def invented(text: str, known: Figures) -> str:
    """The first figure of `text` that is none of the known ones; empty if there is none."""
    plain = unicodedata.normalize("NFKC", text)
    for found in _FIGURE.finditer(plain):
        if _BROKEN.match(plain, found.end("number")) or not _is_known(found, known):
            return found[0].strip()
    # `twenty percent`: an amount in words is an amount too, and can't be checked.
    left = _UNIT_ALONE.search(_FIGURE.sub(" ", plain))
    if left is not None:
        return f"an amount in words ({left[0]})"
    return next((one for one in text if unicodedata.category(one) in ("No", "Nl")), "")


def figures_in(text: str) -> Figures:
    """The figures that a text states itself."""
    usd: set[float] = set()
    percents: set[float] = set()
    counts: set[float] = set()
    for found in _FIGURE.finditer(unicodedata.normalize("NFKC", text)):
        value = _value(found)
        unit = _unit(found)
        kind = usd if unit in _DOLLARS else percents if unit == "%" else counts
        kind.add(value)
    return Figures(usd=usd, percents=percents, counts=counts)


def _is_known(found: re.Match[str], known: Figures) -> bool:
    value, unit = _value(found), _unit(found)
    if (found["scale"] or "").lower() in ("b", "bn", "billion"):
        return False
    if unit in _DOLLARS:
        return _among(value, known.usd, CENT_HALF)
    if unit == "%" or unit.startswith("perc") or unit in ("per cent", "pct"):
        return _among(value, known.percents, PERCENT_ROUNDING)
    if unit:
        return False
    if value == int(value) and 0 <= value <= PLAIN_MAX and found["scale"] is None:
        return True
    return (
        _among(value, known.counts, COUNT_ROUNDING)
        or _among(value, known.usd, CENT_HALF)
        or _among(value, known.percents, PERCENT_ROUNDING)
    )


def _value(found: re.Match[str]) -> float:
    return float(found["number"].replace(",", "")) * _SCALES.get((found["scale"] or "").lower(), 1.0)


def _unit(found: re.Match[str]) -> str:
    return (found["before"] or found["after"] or "").lower()


def _among(value: float, known: Collection[float], within: float) -> bool:
    return any(abs(value - one) <= within + 1e-9 for one in known)
