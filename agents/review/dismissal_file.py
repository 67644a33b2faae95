"""The file that dismissals are kept in: `labverse-dismissals.json` at the top of the repository.

There and not in the data folder, to be seen and committed like the code: a dismissal is a statement of the team, holds
on every machine, and who reviews a change to the code sees a change to its dismissals too. The price is that whoever
writes the code can write dismissals, as with comments in the source; `dismissals` says how a review deals with that.
It is read as untrusted: a link, a pipe, an endless or a broken file is one line that says so.
"""

import contextlib
import fcntl
import re
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

import msgspec

from agents.review.baseline import replace_file
from agents.review.gathering import IntakeLimits, LeftOutError
from agents.review.paths import shown, why
from agents.review.walk import opened_folder, read_file
from schemas.review import Dismissal, Finding

FILE: Final = "labverse-dismissals.json"
VERSION: Final = 1
BYTES_MAX: Final = 8_000_000
DISMISSALS_MAX: Final = 5_000
PREFIX_CHARS_MIN: Final = 6
ID_CHARS: Final = 16
LOCK_WAIT_S_MAX: Final = 10.0
LOCK_LOOK_S: Final = 0.02

_HEX = re.compile(r"[0-9a-f]+")


class DismissalError(Exception):
    """Raised when dismissals can't be read, written or understood. One line: what is wrong, what to do."""


class Dismissals(msgspec.Struct, frozen=True, kw_only=True):
    """The whole file, with one dismissal a line, so that changes of two branches seldom meet."""

    version: int
    dismissals: tuple[Dismissal, ...] = ()


def top_of(folder: Path) -> Path:
    """The repository that a folder or file is in, else the folder itself."""
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
        with opened_folder(top.resolve()) as folder_fd:
            data = read_file(folder_fd, FILE, IntakeLimits(file_bytes_max=BYTES_MAX))
    except FileNotFoundError:
        return ()
    except (OSError, ValueError) as error:
        reason = "a symlink" if file.is_symlink() else why(error)
        raise DismissalError(f"can't read {shown(file)}: {reason}") from None
    except LeftOutError as reason:
        raise DismissalError(f"can't read {shown(file)}: {reason}") from None
    try:
        found = msgspec.json.decode(data, type=Dismissals)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        told = str(error).replace("\n", " ")
        raise DismissalError(f"{shown(file)} can't be read: {told}; mend or remove it") from None
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
    """Take dismissals back; returns those that were removed, one for each id.

    Raises:
        DismissalError: there is none of an id, or several; then nothing is removed.
    """
    with _changing(top):
        known = {one.fingerprint: one for one in read_dismissals(top)}
        gone = []
        for full in dict.fromkeys(resolve(prefixes, known.values())):
            if full not in known:
                raise DismissalError(f"{full} is not dismissed: `labverse review dismissals` lists what is")
            gone.append(known.pop(full))
        _write(top, tuple(known.values()))
        return tuple(gone)


def resolve(prefixes: Sequence[str], known: Iterable[Dismissal | Finding]) -> list[str]:
    """The fingerprints that people mean by their beginnings; a whole one need not be known.

    Raises:
        DismissalError: one is no fingerprint, means nothing that is known, or several findings.
    """
    fingerprints = sorted({one.fingerprint for one in known})
    return [_full(prefix, fingerprints) for prefix in prefixes]


def _full(prefix: str, fingerprints: Sequence[str]) -> str:
    text = prefix.strip().lower()
    if not _HEX.fullmatch(text) or not PREFIX_CHARS_MIN <= len(text) <= ID_CHARS:
        raise DismissalError(
            f"{shown(prefix[:40])!r} is no finding's id: give {PREFIX_CHARS_MIN} to {ID_CHARS} of the hexadecimal "
            "characters that a report shows as fingerprint"
        )
    if len(text) == ID_CHARS:
        return text
    fits = [one for one in fingerprints if one.startswith(text)]
    if not fits:
        raise DismissalError(
            f"no finding that is known here begins with {text}: give all {ID_CHARS} characters"
        )
    if len(fits) > 1:
        raise DismissalError(f"{text} means {len(fits)} findings: give more of its characters")
    return fits[0]


def _write(top: Path, dismissals: tuple[Dismissal, ...]) -> None:
    rows = b",\n".join(b"  " + msgspec.json.encode(one) for one in dismissals)
    data = b'{"version":%d,"dismissals":[' % VERSION + (b"\n" + rows + b"\n" if rows else b"") + b"]}\n"
    if len(data) > BYTES_MAX:
        raise DismissalError(
            f"{shown(top / FILE)} would have over {BYTES_MAX:,} bytes: remove old dismissals"
        )
    try:
        replace_file(top / FILE, data)
    except (OSError, ValueError) as error:
        raise DismissalError(f"can't write {shown(top / FILE)}: {why(error)}") from None


@contextlib.contextmanager
def _changing(top: Path) -> Iterator[None]:
    """One command at a time changes a repository's dismissals, by a lock on its folder: the file gets replaced."""
    try:
        with opened_folder(top.resolve()) as fd:
            _lock(fd, top)
            yield
    except OSError as error:
        raise DismissalError(f"can't change the dismissals in {shown(top)}: {why(error)}") from None


def _lock(fd: int, top: Path) -> None:
    until_s = time.monotonic() + LOCK_WAIT_S_MAX
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() > until_s:
                raise DismissalError(
                    f"the dismissals in {shown(top)} are locked for over {LOCK_WAIT_S_MAX:g} s: "
                    "end the program that holds the folder's lock"
                ) from None
            time.sleep(LOCK_LOOK_S)
