"""Reviewing again and again: whenever files change, what is new and what went since the last round."""

import asyncio
import os
import sys
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

import msgspec

from agents.review.dismissal_file import FILE
from agents.review.languages import language_of
from agents.review.report.outcome import new_findings, summary_line
from agents.review.walk import DEPENDENCY_FOLDERS, VCS_NAMES
from bus import BusError
from bus.envelope import now_text
from orchestrator.clean import clean
from orchestrator.shell import UserError
from schemas.review import Finding, ReviewReport

if TYPE_CHECKING:
    from watchfiles import Change

LEFT_OUT: Final = VCS_NAMES | DEPENDENCY_FOLDERS
RULES: Final = frozenset({".gitignore", FILE})
"""Files that no review reads as code, and that change what comes of one."""
DEBOUNCE_MS: Final = 400
"""Changes within this time are one: an editor writes several files, git checks hundreds out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """What one more review says, against what was known.

    Attributes:
        known: findings by fingerprint that the next round is held against.
    """

    new: tuple[Finding, ...]
    gone: tuple[Finding, ...]
    known: Mapping[str, Finding]


def compare(known: Mapping[str, Finding], report: ReviewReport) -> Round:
    """Core: what is new and what went.

    A finding has not gone because nobody looked: those in files that were not reviewed, such as one that is broken
    while somebody types, stay known, and so do all of them when the review is not whole.
    """
    found = {finding.fingerprint: finding for finding in new_findings(report)}
    unread = {entry.path for entry in report.not_reviewed}
    settled = {finding.fingerprint for finding in report.findings}  # one that is dismissed by now has gone
    kept = {
        key: finding
        for key, finding in known.items()
        if key not in settled and (report.degraded or finding.path in unread)
    }
    return Round(
        new=tuple(finding for key, finding in found.items() if key not in known),
        gone=tuple(finding for key, finding in known.items() if key not in found and key not in kept),
        known={**kept, **found},
    )


async def watch(
    path: Path,
    review: Callable[[], Awaitable[ReviewReport]],
    stop: asyncio.Event,
    *,
    own: Path,
    as_json: bool,
) -> None:
    """Review now, and after each change of a file that a review reads, until `stop` is set.

    A later round that fails is told, and the next change tries again.

    Args:
        path: folder or file.
        own: the folder that we write into ourselves, whose changes don't count.

    Raises:
        UserError: the first round already fails, or `path` can't be watched.
    """
    known: Mapping[str, Finding] | None = None
    async with aclosing(_changes(path, own, stop)) as changes:
        async for _ in changes:
            try:
                report = await review()
            except (UserError, BusError) as error:
                if known is None:
                    raise
                _tell_failure(str(error), as_json=as_json)
                continue
            told = compare(known or {}, report)
            known = told.known
            _tell(report, told, as_json=as_json)


async def _changes(path: Path, own: Path, stop: asyncio.Event) -> AsyncGenerator[None]:
    """Once at first, then after each change."""
    from watchfiles import awatch

    matters = await asyncio.to_thread(Matters.below, path, own)
    changes = awatch(
        matters.root,
        watch_filter=matters,
        debounce=DEBOUNCE_MS,
        stop_event=stop,
        recursive=not matters.only,
        ignore_permission_denied=True,
    )
    # Watched before the first round, so that no change during it is missed.
    pending = asyncio.ensure_future(anext(changes, None))
    try:
        await asyncio.sleep(0)
        yield
        while await pending is not None:
            pending = asyncio.ensure_future(anext(changes, None))
            yield
    except (OSError, RuntimeError) as error:  # the second is how watchfiles says what the system said
        raise UserError(f"{clean(str(path))} can't be watched: {clean(str(error))}") from None
    finally:
        pending.cancel()
        await asyncio.gather(pending, return_exceptions=True)
        await changes.aclose()


@dataclass(frozen=True, slots=True, kw_only=True)
class Matters:
    """Whether a change is worth a round: a review reads such a file, and we have not written it ourselves.

    Attributes:
        root: the watched folder.
        only: the one file in it that is reviewed; empty for all.
        own: folder with files of ours.
    """

    root: Path
    only: str
    own: Path

    @classmethod
    def below(cls, path: Path, own: Path) -> Self:
        """For a folder; or for one file, whose folder is watched, as editors put another file in its place."""
        real, own = path.resolve(), own.resolve()
        if real.is_dir():
            return cls(root=real, only="", own=own)
        return cls(root=real.parent, only=real.name, own=own)

    def __call__(self, change: "Change", path: str) -> bool:
        file = Path(path)
        try:
            inner = file.relative_to(self.root)
        except ValueError:
            return False
        if any(part in LEFT_OUT for part in inner.parts) or file.is_relative_to(self.own):
            return False
        if inner.name not in RULES and (not language_of(path) or (self.only and str(inner) != self.only)):
            return False
        return not _is_output(path)


def _is_output(path: str) -> bool:
    """Whether what we print goes into this file: each round would be the reason for another one."""
    try:
        status = os.stat(path)
        return any(os.path.samestat(status, os.fstat(fd)) for fd in (1, 2))
    except OSError:
        return False  # it was removed; or nobody listens


def _tell_failure(reason: str, *, as_json: bool) -> None:
    if as_json:
        print(msgspec.json.encode({"at": now_text(), "error": reason}).decode(), flush=True)
    else:
        print(f"labverse: {clean(reason)}", file=sys.stderr)


def _tell(report: ReviewReport, told: Round, *, as_json: bool) -> None:
    if as_json:
        row = {"at": report.created_at, "new": told.new, "gone": told.gone, "findings": len(told.known)}
        row |= {"seconds": report.seconds, "degraded": report.degraded}
        print(msgspec.json.encode(row).decode(), flush=True)
        return
    for sign, findings in (("+", told.new), ("-", told.gone)):
        for one in findings:
            where = f"{clean(one.path)}:{one.line}"
            print(f"{sign} {one.severity:<8} {where} {clean(one.title)} [{one.fingerprint}]")
    changes = f"{len(told.new)} new, {len(told.gone)} gone"
    print(f"{time.strftime('%H:%M:%S')} {changes} · {clean(summary_line(report))}", flush=True)
