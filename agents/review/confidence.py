"""How sure a finding is, from what the analysers that agree on it say of themselves."""

from collections.abc import Iterable
from typing import Final

from schemas.review import Hit

CONFIDENCE_MAX: Final = 0.99
KIN_WEIGHT: Final = 0.25
"""What a second voice of the same kin counts: Ruff's `S` rules are Bandit's tests written again, and agree
with them because they look for the same text, not because the problem is real."""

WORDS: Final = ((0.9, "very likely"), (0.7, "likely"), (0.4, "possible"), (0.0, "uncertain"))


def combined_confidence(hits: Iterable[Hit]) -> float:
    """The chance that not all who report this are wrong, 0 to `CONFIDENCE_MAX`.

    With c the best confidence of each kin of analysers: 1 − Π (1 − c). That takes kins as independent, which
    they are not quite, hence the cap. Further analysers of the same kin count with `KIN_WEIGHT` · c.
    """
    voices: dict[str, dict[str, float]] = {}
    for hit in hits:
        kin = voices.setdefault(kin_of(hit), {})
        kin[hit.analyser] = max(kin.get(hit.analyser, 0.0), min(1.0, max(0.0, hit.confidence)))
    wrong = 1.0
    for kin in voices.values():
        loudest, *others = sorted(kin.values(), reverse=True)
        wrong *= 1.0 - loudest
        for confidence in others:
            wrong *= 1.0 - KIN_WEIGHT * confidence
    return round(min(CONFIDENCE_MAX, 1.0 - wrong), 3)


def confidence_words(confidence: float) -> str:
    """Such as `likely`."""
    return next(word for least, word in WORDS if confidence >= least or least == 0.0)


def kin_of(hit: Hit) -> str:
    """Whose judgement it is at the root: the analyser's own, but Bandit's for Ruff's `S` rules."""
    return (
        "bandit"
        if hit.analyser == "ruff" and hit.rule[:1] == "S" and hit.rule[1:2].isdigit()
        else hit.analyser
    )
