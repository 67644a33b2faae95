"""What an intake gathers: files to review, files left out by name and reason, and counts of the rest."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Final

from agents.review.languages import LOCK_FILES, language_of
from agents.review.paths import shown
from schemas.review import NotReviewed

NAMED_MAX: Final = 300
"""Files named in `not_reviewed`; of further ones only the number is told."""
KINDS_SHOWN_MAX: Final = 8
"""Kinds of files listed in the line about files that no analyser reads."""
KIND_CHARS_MAX: Final = 16
UTF16_MARKS: Final = (b"\xff\xfe", b"\xfe\xff")


class LeftOutError(Exception):
    """Raised when one file is not reviewed; its text is the reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IntakeLimits:
    """Limits of one review. A larger file is left out unread; over the totals, further files are."""

    file_bytes_max: int = 2_000_000
    files_max: int = 50_000
    total_bytes_max: int = 256_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
    """A file to review. `path` is relative, with forward slashes; `data` is UTF-8 without NUL."""

    path: str
    data: bytes
    lines: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Intake:
    """Files in order of their paths, and what was left out."""

    files: tuple[Collected, ...]
    not_reviewed: tuple[NotReviewed, ...]


@dataclass(slots=True, kw_only=True)
class Gathering:
    """An intake in the making."""

    limits: IntakeLimits
    files: list[Collected] = field(default_factory=list)
    total_bytes: int = 0
    named: list[NotReviewed] = field(default_factory=list)
    named_more: int = 0
    ignored: int = 0
    excluded: int = 0
    over: int = 0
    kinds: Counter[str] = field(default_factory=Counter)

    def wants(self, path: str) -> bool:
        """Whether a file of this name is worth reading; if not, it is counted."""
        if not language_of(path):
            self.kinds[kind_of(path)] += 1
            return False
        if len(self.files) >= self.limits.files_max or self.total_bytes >= self.limits.total_bytes_max:
            self.over += 1
            return False
        return True

    def add(self, path: str, data: bytes) -> None:
        """Take a file.

        Raises:
            LeftOutError: it is not text in UTF-8.
        """
        check_text(data)
        if self.total_bytes + len(data) > self.limits.total_bytes_max:
            self.over += 1
            return
        self.total_bytes += len(data)
        lines = data.count(b"\n") + (bool(data) and not data.endswith(b"\n"))
        self.files.append(Collected(path=path, data=data, lines=lines))

    def leave_out(self, path: str, reason: str) -> None:
        if len(self.named) < NAMED_MAX:
            self.named.append(NotReviewed(path=shown(path), reason=reason))
        else:
            self.named_more += 1

    def finish(self) -> Intake:
        files = sorted(self.files, key=lambda file: file.path)
        return Intake(files=tuple(files), not_reviewed=(*sorted(self.named), *self._summary()))

    def _summary(self) -> Iterator[NotReviewed]:
        if self.named_more:
            reason = f"{self.named_more:,} further files left out for reasons such as those named"
            yield NotReviewed(path="(more)", reason=reason)
        if self.over:
            reason = (
                f"{counted(self.over, 'file')} left out: a review holds at most {self.limits.files_max:,} files "
                f"and {megabytes(self.limits.total_bytes_max)}; review a part of it, or exclude some"
            )
            yield NotReviewed(path="(limit)", reason=reason)
        if self.excluded:
            reason = f"{self.excluded:,} files and folders left out by the include and exclude patterns"
            yield NotReviewed(path="(excluded)", reason=reason)
        if self.ignored:
            reason = (
                f"{self.ignored:,} files and folders left out by .gitignore "
                "or as dependencies and build output"
            )
            yield NotReviewed(path="(ignored)", reason=reason)
        if self.kinds:
            total = counted(self.kinds.total(), "file")
            reason = f"{total} of kinds that no analyser reads: {kinds_text(self.kinds)}"
            yield NotReviewed(path="(other files)", reason=reason)


def check_text(data: bytes) -> None:
    """Pass UTF-8 without NUL.

    Raises:
        LeftOutError: it is something else; the text says what, and where.
    """
    if data.startswith(UTF16_MARKS):
        raise LeftOutError("UTF-16 text; only UTF-8 is read")
    nul = data.find(b"\0")
    if nul >= 0:
        raise LeftOutError(f"binary (a NUL at byte {nul:,})")
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise LeftOutError(
            f"not UTF-8: 0x{data[error.start]:02x} at byte {error.start:,}, line {line:,}"
        ) from None


def check_size(size: int, limits: IntakeLimits) -> None:
    """Pass a file of so many bytes.

    Raises:
        LeftOutError: it is over the limit of a file.
    """
    if size > limits.file_bytes_max:
        most = megabytes(limits.file_bytes_max)
        raise LeftOutError(f"{megabytes(size)}, over the limit of {most} a file")


def kind_of(path: str) -> str:
    """What a file that nobody reads is counted as: its suffix, mostly."""
    name = PurePosixPath(path).name.lower()
    if name in LOCK_FILES:
        return "lock file"
    return shown(PurePosixPath(name).suffix)[:KIND_CHARS_MAX] or "without suffix"


def kinds_text(kinds: Counter[str]) -> str:
    """Such as `12 .md, 3 .png and 4 others`; most frequent first."""
    ordered = sorted(kinds.items(), key=lambda item: (-item[1], item[0]))
    parts = [f"{count:,} {kind}" for kind, count in ordered[:KINDS_SHOWN_MAX]]
    others = sum(count for _, count in ordered[KINDS_SHOWN_MAX:])
    return ", ".join(parts) + (f" and {counted(others, 'other')}" if others else "")


def counted(number: int, noun: str) -> str:
    """Such as `1 file` and `2,000 files`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def megabytes(size: int) -> str:
    """Such as `2.4 MB`; below a tenth of that in kilobytes."""
    return f"{size / 1e6:.1f} MB" if size >= 100_000 else f"{size / 1e3:.1f} kB"
