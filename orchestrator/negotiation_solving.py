"""Solves the negotiation in a file: loads it, warms the solver up, and lets the deadline run only then."""

import ctypes
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from agents.negotiator.domain import Domain
from agents.negotiator.highs import warm
from agents.negotiator.loading import load_domain
from agents.negotiator.points import Points, points_of
from agents.negotiator.solve import Options, solve
from schemas.deal import Certificate, NoDeal

POINTS_S_MAX: Final = 2.0
"""For the frontier to draw, after the deal: as long as the deadline, and never longer than this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A negotiation and what came of it.

    Attributes:
        points: to draw; None where nobody looks.
        took_s: seconds from the warm solver to the answer.
    """

    domain: Domain
    outcome: Certificate | NoDeal
    points: Points | None
    took_s: float


def negotiated(
    path: Path, profiles: Sequence[Path], options: Options, *, deadline_s: float, with_points: bool
) -> Answer:
    """The answer to the domain in a file or a folder; nothing is printed on stdout meanwhile.

    Args:
        deadline_s: seconds that solving may take, without loading.

    Raises:
        RefusedError: it can't be read, or not be negotiated as stated.
    """
    domain = load_domain(path, profiles)
    warm()
    with quiet_stdout():
        began_s = time.perf_counter()
        outcome = solve(domain, _left(began_s, deadline_s), options)
        took_s = time.perf_counter() - began_s
        points = None
        if with_points and isinstance(outcome, Certificate):
            points = points_of(
                domain, _left(time.perf_counter(), min(deadline_s, POINTS_S_MAX)), options.risk
            )
    return Answer(domain=domain, outcome=outcome, points=points, took_s=took_s)


def _left(began_s: float, deadline_s: float) -> Callable[[], float]:
    return lambda: began_s + deadline_s - time.perf_counter()


@contextmanager
def quiet_stdout() -> Iterator[None]:
    """Sends what C code prints on stdout to stderr: HiGHS says a line or two when it has to fall back."""
    sys.stdout.flush()
    try:
        ours = os.dup(1)
    except OSError:  # closed: nothing can get there
        yield
        return
    try:
        _to(2)
        yield
    finally:
        _flush_c()
        os.dup2(ours, 1)
        os.close(ours)


def _to(descriptor: int) -> None:
    """Point stdout there, or nowhere if that is closed."""
    _flush_c()
    try:
        os.dup2(descriptor, 1)
    except OSError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        os.close(nowhere)


def _flush_c() -> None:
    """C keeps what goes into a pipe in a buffer of its own, until the end of the process if nobody asks for it."""
    try:
        ctypes.CDLL(None).fflush(None)
    except (TypeError, OSError, AttributeError):  # no C library by that name, as on Windows
        pass
