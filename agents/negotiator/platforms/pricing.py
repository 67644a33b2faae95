"""How platforms are paid, and the values of the issue `terms`: pricing model, discount and split of the budget."""

import enum
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

PARSED_MAX: Final = 8_192
"""Values remembered as read: four negotiations of the largest kind."""


class Pricing(enum.StrEnum):
    """What a platform is paid for; `OWN` is the main model of each platform's card."""

    CPM = "CPM"
    CPC = "CPC"
    CPA = "CPA"
    FLAT = "flat fee"
    SHARE = "revenue share"
    OWN = "own rates"


PRICINGS: Final = tuple(one for one in Pricing if one is not Pricing.OWN)
"""Those that a card can have a rate for."""

_TERMS: Final = re.compile(
    rf"(?P<pricing>{'|'.join(re.escape(one.value) for one in Pricing)})"
    r"(?: −(?P<discount>[1-9][0-9]?) %)?, (?P<split>.+)"
)
_PART: Final = re.compile(r"([a-z][a-z0-9_-]{0,31}) ([1-9][0-9]{0,2}) %")


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """One value of the issue `terms`.

    Attributes:
        discount: on card rates, in whole percent from 0 to 99.
        split: platforms with their part of the budget, in whole percent above 0, adding up to 100.
    """

    pricing: Pricing
    discount: int
    split: tuple[tuple[str, int], ...]

    @property
    def name(self) -> str:
        """For people, and to be read again: `CPA −10 %, tiktok 60 % · spotify 40 %`."""
        discount = f" −{self.discount} %" if self.discount else ""
        return f"{self.pricing}{discount}, " + " · ".join(f"{name} {share} %" for name, share in self.split)

    def share(self, platform: str) -> int:
        """Of the budget, in percent."""
        return next((share for name, share in self.split if name == platform), 0)


@lru_cache(maxsize=PARSED_MAX)
def read_terms(value: str) -> Terms | None:
    """The terms that a value of the issue names; None if it names none."""
    found = _TERMS.fullmatch(value)
    if found is None:
        return None
    parts = [_PART.fullmatch(part) for part in found["split"].split(" · ")]
    split = tuple((part[1], int(part[2])) for part in parts if part is not None)
    if len(split) < len(parts) or len({name for name, _ in split}) < len(split):
        return None
    if sum(share for _, share in split) != 100:
        return None
    return Terms(pricing=Pricing(found["pricing"]), discount=int(found["discount"] or 0), split=split)
