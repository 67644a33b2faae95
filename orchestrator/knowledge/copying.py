"""Copies of folders whose files are mostly holes: the engine reserves tens of megabytes and uses some kilobytes."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

PIECE_BYTES: Final = 1024 * 1024
FILES_MAX: Final = 10_000


def copy_tree(source: Path, target: Path) -> None:
    """A copy of the folder, with its holes. Links are not expected, and left out.

    Raises:
        OSError: it can't be read or written, or has more than FILES_MAX files.
    """
    count = 0
    for place, _, names in os.walk(source):
        below = target / Path(place).relative_to(source)
        below.mkdir(parents=True, exist_ok=True)
        count += len(names)
        if count > FILES_MAX:
            raise OSError(f"{source} has more than {FILES_MAX} files")
        for name in names:
            path = Path(place, name)
            if not path.is_symlink():
                _copy(path, below / name)


def _copy(source: Path, target: Path) -> None:
    with source.open("rb", buffering=0) as reading, target.open("wb", buffering=0) as writing:
        size = os.fstat(reading.fileno()).st_size
        writing.truncate(size)
        for start, end in _filled(reading.fileno(), size):
            position = start
            while position < end:
                piece = os.pread(reading.fileno(), min(PIECE_BYTES, end - position), position)
                if not piece:
                    return  # it has got shorter
                os.pwrite(writing.fileno(), piece, position)
                position += len(piece)


def _filled(file: int, size: int) -> Iterator[tuple[int, int]]:
    """The stretches with something in them, as (start, end)."""
    end = 0
    while end < size:
        try:
            start = os.lseek(file, end, os.SEEK_DATA)
            end = os.lseek(file, start, os.SEEK_HOLE)
        except OSError:  # nothing but a hole follows
            return
        yield start, end
