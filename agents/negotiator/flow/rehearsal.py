"""A negotiation in the head, so that the first real one finds everything loaded."""

import threading
from collections.abc import Mapping
from itertools import islice
from typing import Final

from agents.negotiator.flow.settling import settle
from agents.negotiator.highs import warm
from agents.negotiator.limits import RefusedError
from agents.negotiator.platforms.card import Card
from agents.negotiator.platforms.issues import issues_of
from agents.negotiator.platforms.positions import position_of
from schemas.negotiation import HOUSE, NegotiationOpened, NegotiationRequested

PLATFORMS: Final = 2
TIME_S: Final = 0.1


_going_through = threading.Lock()
_is_done = threading.Event()


def rehearse(cards: Mapping[str, Card]) -> None:
    """Work one out between ourselves and the first cards, once in a process; nothing else comes of it."""
    with _going_through:
        if not _is_done.is_set():
            _rehearse(cards)
            _is_done.set()


def _rehearse(cards: Mapping[str, Card]) -> None:
    warm()
    platforms = tuple(islice((name for name in sorted(cards) if name != HOUSE), PLATFORMS))
    if not platforms or HOUSE not in cards:
        return
    request = NegotiationRequested(goal="rehearsal", platforms=platforms)
    try:
        issues = issues_of(platforms, cards)
        positions = {
            party: position_of(
                party, cards=cards, issues=issues, platforms=platforms, budget_nusd=request.budget_nusd
            )
            for party in (HOUSE, *platforms)
        }
        opened = NegotiationOpened(
            request=request, parties=(HOUSE, *platforms), issues=issues, asked=(), deadline=""
        )
        settle(opened, positions, cards, time_s=TIME_S)
    except RefusedError:
        pass  # these cards can't be brought together: whoever asks for it will hear why
