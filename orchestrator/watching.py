"""Reviewing again and again: whenever files change, what is new and what went since the last round."""

import asyncio
import sys
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from agents.review.languages import language_of
from agents.review.report.outcome import new_findings, summary_line
from agents.review.walk import DEPENDENCY_FOLDERS, VCS_NAMES
from orchestrator.clean import clean
from orchestrator.shell import UserError
from schemas.review import Finding, ReviewReport

if TYPE_CHECKING:
    from watchfiles import Change

LEFT_OUT: Final = VCS_NAMES | DEPENDENCY_FOLDERS
DEBOUNCE_MS: Final = 400
"""Changes within this time are one: an editor writes several files, git checks hundreds out."""


async def watch(
    path: Path, review: Callable[[], Awaitable[ReviewReport]], stop: asyncio.Event, *, as_json: bool
) -> None:
    """Review now, and after each change below `path`, until `stop` is set. A round that fails is told, and the next
    change tries again.

    Raises:
        UserError: the first round already fails.
    """
    known: dict[str, Finding] | None = None
    async for _ in _changes(path, stop):
        try:
            report = await review()
        except UserError as error:
            if known is None:
                raise
            print(f"labverse: {error}", file=sys.stderr)
            continue
        found = {finding.fingerprint: finding for finding in new_findings(report)}
        _tell(report, known, found, as_json=as_json)
        known = found


async def _changes(path: Path, stop: asyncio.Event) -> AsyncGenerator[None]:
    """Once at first, then after each change."""
    from watchfiles import awatch

    # Watched before the first round, so that no change during it is missed.
    changes = awatch(
        path, watch_filter=_matters, debounce=DEBOUNCE_MS, stop_event=stop, yield_on_timeout=False
    )
    pending = asyncio.ensure_future(anext(changes, None))
    yield
    while await pending is not None:
        pending = asyncio.ensure_future(anext(changes, None))
        yield


def _matters(change: "Change", path: str) -> bool:
    """Whether a review reads such a file; what we write ourselves it does not."""
    parts = Path(path).parts
    return bool(language_of(path)) and not any(part in LEFT_OUT for part in parts)


def _tell(
    report: ReviewReport, known: dict[str, Finding] | None, found: dict[str, Finding], *, as_json: bool
) -> None:
    new = [finding for key, finding in found.items() if known is None or key not in known]
    gone = [] if known is None else [finding for key, finding in known.items() if key not in found]
    if as_json:
        row = {"at": report.created_at, "new": new, "gone": gone, "findings": len(found)}
        row |= {"seconds": report.seconds, "degraded": report.degraded}
        print(msgspec.json.encode(row).decode(), flush=True)
        return
    for sign, findings in (("+", new), ("-", gone)):
        for one in findings:
            print(f"{sign} {one.severity:<8} {clean(one.path)}:{one.line} {clean(one.title)}")
    print(f"{time.strftime('%H:%M:%S')} {clean(summary_line(report))}", flush=True)
