"""Baselines: findings that were known before. They are marked, never removed.

The file is JSON, with one finding a line and title and path beside each fingerprint, so that people can read
it and its changes. Only `fingerprint` counts when it is read.
"""

import os
import tempfile
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Final

import msgspec

from agents.review.paths import shown, why
from schemas.review import Finding, FindingStatus

BASELINE_VERSION: Final = 1
BASELINE_BYTES_MAX: Final = 32_000_000
KNOWN_REASON: Final = "known before: in the baseline"


class BaselineError(Exception):
    """Raised when a baseline file can't be read or written. One line: which file, what is wrong."""


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """One known finding; all but the fingerprint is for people."""

    fingerprint: str
    path: str = ""
    line: int = 0
    title: str = ""
    severity: str = ""


class Baseline(msgspec.Struct, frozen=True, kw_only=True):
    """The whole file. `created` is an RFC 3339 time."""

    version: int
    created: str = ""
    findings: tuple[Known, ...] = ()


def read_baseline(file: Path) -> tuple[str, ...]:
    """The fingerprints of a baseline file, sorted.

    Raises:
        BaselineError: it can't be read, is too large, or is not a baseline of this version.
    """
    try:
        with file.open("rb") as opened:
            data = opened.read(BASELINE_BYTES_MAX + 1)
    except (OSError, ValueError) as error:
        raise BaselineError(f"can't read the baseline {shown(file)}: {why(error)}") from None
    if len(data) > BASELINE_BYTES_MAX:
        raise BaselineError(f"the baseline {shown(file)} has over {BASELINE_BYTES_MAX:,} bytes")
    try:
        baseline = msgspec.json.decode(data, type=Baseline)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        reason = str(error).replace("\n", " ")
        raise BaselineError(f"{shown(file)} is not a baseline: {reason}; write it anew") from None
    if baseline.version != BASELINE_VERSION:
        raise BaselineError(
            f"the baseline {shown(file)} has version {baseline.version}, this Labverse reads "
            f"{BASELINE_VERSION}; write it anew"
        )
    return tuple(sorted({known.fingerprint for known in baseline.findings}))


def write_baseline(file: Path, findings: Iterable[Finding], *, created: str) -> int:
    """Write all findings that a comment does not ignore, and return how many. The file is replaced at once
    or not at all.

    Raises:
        BaselineError: it can't be written.
    """
    known = [
        Known(
            fingerprint=finding.fingerprint,
            path=finding.path,
            line=finding.line,
            title=finding.title,
            severity=finding.severity,
        )
        for finding in findings
        if finding.status is not FindingStatus.SUPPRESSED
    ]
    known.sort(key=lambda each: (each.path, each.line, each.fingerprint))
    try:
        replace_file(
            file, _encode(Baseline(version=BASELINE_VERSION, created=created, findings=tuple(known)))
        )
    except (OSError, ValueError) as error:
        raise BaselineError(f"can't write the baseline {shown(file)}: {why(error)}") from None
    return len(known)


def mark_baseline(findings: Iterable[Finding], fingerprints: Collection[str]) -> tuple[Finding, ...]:
    """The same findings; new ones whose fingerprint is known get the status `baseline`."""
    known = frozenset(fingerprints)
    return tuple(
        msgspec.structs.replace(finding, status=FindingStatus.BASELINE, status_reason=KNOWN_REASON)
        if finding.status is FindingStatus.NEW and finding.fingerprint in known
        else finding
        for finding in findings
    )


def _encode(baseline: Baseline) -> bytes:
    head = msgspec.json.encode({"version": baseline.version, "created": baseline.created})
    rows = b",\n".join(b"  " + msgspec.json.encode(known) for known in baseline.findings)
    return head[:-1] + b',"findings":[' + (b"\n" + rows + b"\n" if rows else b"") + b"]}\n"


def replace_file(file: Path, data: bytes) -> None:
    """Put `data` in the place of a file, at once or not at all.

    Raises:
        OSError: it can't be written.
    """
    fd, temporary = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name[:64]}.")
    try:
        with os.fdopen(fd, "wb") as opened:
            opened.write(data)
        os.chmod(temporary, 0o644)  # mkstemp's 0600 would keep colleagues and CI from reading it
        os.replace(temporary, file)
    except BaseException:
        os.unlink(temporary)
        raise
