"""Bundles: reviewed files as zip archives for the object store, and back into a folder.

Members are called `f0`, `f1`, … in the order of `Bundle.paths`, so that no file name has to survive the zip
format. The same files give the same bytes, hence the same name: a review that is asked for again stores
nothing twice.
"""

import hashlib
import io
import os
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

import msgspec

from agents.review.gathering import Collected
from agents.review.paths import UnsafePathError, check_path, shown, why
from schemas.review import Bundle

BUNDLE_BYTES_MAX: Final = 4_000_000
"""Of files in one bundle before compression, unless there would be over `BUNDLES_GOAL` bundles."""
BUNDLE_FILES_MAX: Final = 200
"""The same for their number: the paths of a bundle travel with each of its assignments."""
BUNDLE_PATH_BYTES_MAX: Final = 120_000
"""Of all paths in one bundle, as JSON, which leaves room in a payload of 512 KB."""
BUNDLES_GOAL: Final = 50
OBJECT_BYTES_MAX: Final = 32_000_000
UNPACKED_BYTES_MAX: Final = 64_000_000
ZIP_EPOCH: Final = (1980, 1, 1, 0, 0, 0)
OBJECT_NAME_HEX: Final = 32


class BundleError(Exception):
    """Raised when files can't be packed, or an object is not the bundle that it should be."""


def pack(
    files: Sequence[Collected],
    *,
    bundle_bytes_max: int = BUNDLE_BYTES_MAX,
    bundle_files_max: int = BUNDLE_FILES_MAX,
) -> Iterator[tuple[Bundle, bytes]]:
    """Bundles of neighbouring files, in order of their paths, each with the bytes of its object.

    Raises:
        BundleError: a path is unsafe or given twice, or one file alone is too large for a bundle.
    """
    ordered = sorted(files, key=lambda file: file.path)
    _check(ordered)
    bytes_max = max(bundle_bytes_max, sum(len(file.data) for file in ordered) // BUNDLES_GOAL)
    files_max = max(bundle_files_max, len(ordered) // BUNDLES_GOAL)
    for group in _groups(ordered, bytes_max, files_max):
        yield _pack_one(group)


def unpack(data: bytes, bundle: Bundle, paths: Sequence[str], folder: Path) -> None:
    """Write the files `paths` of a bundle below `folder`, which is made if it does not exist.

    Raises:
        BundleError: the object is not the one that was stored, a path is unsafe or not in the bundle, or the
            files are larger than a bundle may be. What was written before that stays in `folder`.
    """
    if len(data) > OBJECT_BYTES_MAX:
        raise BundleError(
            f"{bundle.object_name} has {len(data):,} bytes, over the limit of {OBJECT_BYTES_MAX:,}"
        )
    if hashlib.sha256(data).hexdigest() != bundle.sha256:
        raise BundleError(f"{bundle.object_name} does not have the sha256 {shown(bundle.sha256)}")
    members = {path: f"f{index}" for index, path in enumerate(bundle.paths)}
    for path in paths:
        _check_path(path)
        if path not in members:
            raise BundleError(f"{shown(path)} is not in {bundle.object_name}")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            _extract(archive, [(members[path], path) for path in dict.fromkeys(paths)], folder)
    except OSError as error:
        raise BundleError(f"can't unpack {bundle.object_name}: {why(error)}") from None
    # What zipfile raises on damaged archives, besides its own error.
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, NotImplementedError, RuntimeError) as error:
        raise BundleError(f"{bundle.object_name} is not a bundle: {error}") from None


def _extract(archive: zipfile.ZipFile, members: Iterable[tuple[str, str]], folder: Path) -> None:
    left = UNPACKED_BYTES_MAX
    for member, path in members:
        try:
            info = archive.getinfo(member)
        except KeyError:
            raise BundleError(f"member {member} ({shown(path)}) is missing") from None
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise BundleError(
                f"member {member} ({shown(path)}) is compressed in a way that bundles never are"
            )
        with archive.open(info) as file:
            data = file.read(left + 1)  # a declared size proves nothing
        if len(data) > left:
            raise BundleError(f"its files have over {UNPACKED_BYTES_MAX:,} bytes")
        left -= len(data)
        _write(folder / path, data)


def _write(target: Path, data: bytes) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(target, flags, 0o600), "wb") as file:
        file.write(data)


def _check(ordered: Sequence[Collected]) -> None:
    for before, file in zip((None, *ordered), ordered, strict=False):
        _check_path(file.path)
        if before is not None and before.path == file.path:
            raise BundleError(f"{shown(file.path)} is given twice")
        if len(file.data) > UNPACKED_BYTES_MAX // 4:
            raise BundleError(f"{shown(file.path)} has {len(file.data):,} bytes, too many for a bundle")


def _check_path(path: str) -> None:
    try:
        check_path(path)
    except UnsafePathError as error:
        raise BundleError(f"{shown(path)}: {error}") from None


def _groups(ordered: Sequence[Collected], bytes_max: int, files_max: int) -> Iterator[list[Collected]]:
    group: list[Collected] = []
    group_bytes = path_bytes = 0
    for file in ordered:
        path_size = len(msgspec.json.encode(file.path)) + 1
        is_full = (
            len(group) >= files_max
            or group_bytes + len(file.data) > bytes_max
            or path_bytes + path_size > BUNDLE_PATH_BYTES_MAX
        )
        if group and is_full:
            yield group
            group, group_bytes, path_bytes = [], 0, 0
        group.append(file)
        group_bytes += len(file.data)
        path_bytes += path_size
    if group:
        yield group


def _pack_one(group: Sequence[Collected]) -> tuple[Bundle, bytes]:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for index, file in enumerate(group):
            info = zipfile.ZipInfo(f"f{index}", ZIP_EPOCH)
            info.create_system = 3  # unix, so that the bytes don't depend on where they are made
            info.external_attr = 0o600 << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, file.data)
    data = buffer.getvalue()
    digest = hashlib.sha256(data).hexdigest()
    bundle = Bundle(
        object_name=f"src-{digest[:OBJECT_NAME_HEX]}",
        sha256=digest,
        paths=tuple(file.path for file in group),
        lines=sum(file.lines for file in group),
        source_bytes=sum(len(file.data) for file in group),
        sizes=tuple(len(file.data) for file in group),
    )
    return bundle, data
