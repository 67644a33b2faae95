"""Dismissals: findings of which somebody has said, with a reason, that they are none.

They are kept in `labverse-dismissals.json` at the top of the repository, to be seen and committed like the code: a
dismissal is a statement of the team, and who reviews a change to the code sees a change to them too. As with comments
in the source, whoever writes the code can write one; so a dismissed finding is marked and told, never removed.

A finding that is like a dismissed one, of the same kind and on the same line of code elsewhere, is less sure: each
different dismissal like it halves its odds.
"""

import contextlib
import fcntl
import os
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

import msgspec

from agents.review.baseline import replace_file
from agents.review.fingerprint import first_line, kind_of
from agents.review.paths import shown, why
from schemas.review import LINE_CHARS_MAX, Dismissal, Finding, FindingStatus

FILE: Final = "labverse-dismissals.json"
VERSION: Final = 1
BYTES_MAX: Final = 8_000_000
DISMISSALS_MAX: Final = 5_000
PREFIX_CHARS_MIN: Final = 6
DISMISSED: Final = "dismissed"
"""How the reason begins why a dismissed finding does not count."""
ODDS: Final = 0.5
"""By what one dismissal of something like it multiplies the odds of a finding."""

_HEX = re.compile(r"[0-9a-f]+")


class DismissalError(Exception):
    """Raised when dismissals can't be read, written or understood. One line: what is wrong, what to do."""


class Dismissals(msgspec.Struct, frozen=True, kw_only=True):
    """The whole file."""

    version: int = VERSION
    dismissals: tuple[Dismissal, ...] = ()


def top_of(folder: Path) -> Path:
    """The repository that a folder is in, else the folder itself."""
    folder = folder.resolve()
    folder = folder if folder.is_dir() else folder.parent
    return next((one for one in (folder, *folder.parents) if (one / ".git").exists()), folder)


def read_dismissals(top: Path) -> tuple[Dismissal, ...]:
    """The dismissals of a repository, oldest first; none without a file.

    Raises:
        DismissalError: the file can't be read, is too large, or is not one of this version.
    """
    file = top / FILE
    try:
        with file.open("rb") as opened:
            data = opened.read(BYTES_MAX + 1)
    except FileNotFoundError:
        return ()
    except (OSError, ValueError) as error:
        raise DismissalError(f"can't read {shown(file)}: {why(error)}") from None
    if len(data) > BYTES_MAX:
        raise DismissalError(f"{shown(file)} has over {BYTES_MAX:,} bytes")
    try:
        found = msgspec.json.decode(data, type=Dismissals)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        reason = str(error).replace("\n", " ")
        raise DismissalError(f"{shown(file)} can't be read: {reason}; mend or remove it") from None
    if found.version != VERSION:
        raise DismissalError(f"{shown(file)} has version {found.version}, this Labverse reads {VERSION}")
    if len(found.dismissals) > DISMISSALS_MAX:
        raise DismissalError(f"{shown(file)} has over {DISMISSALS_MAX:,} dismissals: remove old ones")
    return found.dismissals


def add_dismissals(top: Path, new: Sequence[Dismissal]) -> int:
    """Add to a repository's dismissals; of the same finding the new one counts. Returns how many there are.

    Raises:
        DismissalError: they can't be read or written, or are too many.
    """
    with _changing(top):
        kept = {one.fingerprint: one for one in read_dismissals(top)}
        for one in new:
            kept.pop(one.fingerprint, None)
            kept[one.fingerprint] = one
        if len(kept) > DISMISSALS_MAX:
            raise DismissalError(f"there may be {DISMISSALS_MAX:,} dismissals: remove old ones first")
        _write(top, tuple(kept.values()))
        return len(kept)


def remove_dismissals(top: Path, prefixes: Sequence[str]) -> tuple[Dismissal, ...]:
    """Take dismissals back; returns those that were removed.

    Raises:
        DismissalError: there is none of an id, or several; then nothing is removed.
    """
    with _changing(top):
        known = read_dismissals(top)
        gone = tuple(next(one for one in known if one.fingerprint == full) for full in _full(prefixes, known))
        _write(top, tuple(one for one in known if one not in gone))
        return gone


def resolve(prefixes: Sequence[str], known: Iterable[Dismissal | Finding]) -> list[str]:
    """The fingerprints that people mean by their beginnings.

    Raises:
        DismissalError: one means nothing that is known, or several findings.
    """
    return _full(prefixes, tuple(known))


def mark_dismissed(findings: Iterable[Finding], dismissed: Sequence[Dismissal]) -> list[Finding]:
    """The findings, dismissed ones marked, and those that are like them less sure."""
    if not dismissed:
        return list(findings)
    by_fingerprint = {one.fingerprint: one for one in dismissed}
    alike: defaultdict[tuple[str, str], list[Dismissal]] = defaultdict(list)
    for one in dismissed:
        if one.kind and one.code:
            alike[one.kind, one.code].append(one)
    return [_marked(finding, by_fingerprint, alike) for finding in findings]


def _marked(
    finding: Finding,
    by_fingerprint: dict[str, Dismissal],
    alike: defaultdict[tuple[str, str], list[Dismissal]],
) -> Finding:
    if finding.status is not FindingStatus.NEW:
        return finding
    if (one := by_fingerprint.get(finding.fingerprint)) is not None:
        by = f" by {one.by}" if one.by else ""
        reason = f"{DISMISSED}{by}{f' on {one.at[:10]}' if one.at else ''}: {one.reason}"
        return msgspec.structs.replace(finding, status=FindingStatus.SUPPRESSED, status_reason=reason)
    same = alike.get(key_of(finding))
    if not same:
        return finding
    odds = finding.confidence / max(1e-9, 1 - finding.confidence) * ODDS ** len(same)
    told = f"Like a finding in {same[-1].path} that was dismissed: {same[-1].reason}"
    return msgspec.structs.replace(
        finding,
        confidence=round(odds / (1 + odds), 3),
        description=f"{finding.description}\n\n{told}".strip(),
    )


def key_of(finding: Finding) -> tuple[str, str]:
    """By which findings are alike: kind and line of code."""
    return kind_of(finding), first_line(finding.code)[:LINE_CHARS_MAX]


def _full(prefixes: Sequence[str], known: Sequence[Dismissal | Finding]) -> list[str]:
    fingerprints = sorted({one.fingerprint for one in known})
    found = []
    for prefix in prefixes:
        text = prefix.strip().lower()
        if not _HEX.fullmatch(text) or not PREFIX_CHARS_MIN <= len(text) <= 16:
            raise DismissalError(
                f"{prefix[:40]!r} is no finding's id: give {PREFIX_CHARS_MIN} to 16 of the hexadecimal characters "
                "that a report shows as fingerprint"
            )
        fits = [one for one in fingerprints if one.startswith(text)]
        if len(fits) > 1:
            raise DismissalError(f"{text} means {len(fits)} findings: give more of its characters")
        if not fits and len(text) < 16:
            raise DismissalError(f"no finding that is known here begins with {text}: give all 16 characters")
        found.append(fits[0] if fits else text)
    return found


def _write(top: Path, dismissals: tuple[Dismissal, ...]) -> None:
    rows = b",\n".join(b"  " + msgspec.json.encode(one) for one in dismissals)
    data = b'{"version":%d,"dismissals":[' % VERSION + (b"\n" + rows + b"\n" if rows else b"") + b"]}\n"
    try:
        replace_file(top / FILE, data)
    except (OSError, ValueError) as error:
        raise DismissalError(f"can't write {shown(top / FILE)}: {why(error)}") from None


@contextlib.contextmanager
def _changing(top: Path) -> Iterator[None]:
    """One command at a time changes a repository's dismissals, by a lock on its folder."""
    try:
        with contextlib.ExitStack() as stack:
            fd = stack.enter_context(_opened(top))
            fcntl.flock(fd, fcntl.LOCK_EX)
            yield
    except OSError as error:
        raise DismissalError(f"can't change the dismissals in {shown(top)}: {why(error)}") from None


@contextlib.contextmanager
def _opened(folder: Path) -> Iterator[int]:
    fd = os.open(folder, os.O_RDONLY)
    try:
        yield fd
    finally:
        os.close(fd)
