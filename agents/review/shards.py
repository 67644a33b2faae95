"""Shards: which reviewer role looks at which files, in pieces that are worth an assignment each.

Neighbouring files stay together, because what a file calls is mostly next to it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from schemas.review import Bundle

SHARD_FILES: Final = 40
SHARD_BYTES: Final = 200_000
"""About what analysers look at in a few seconds."""
SHARDS_MAX: Final = 890
"""Assignments of one review, besides 100 for models: with the plan one atomic batch of at most 1,000 events."""


class ShardsError(ValueError):
    """Raised when files and roles can't be split into few enough shards."""


class RoleLike(Protocol):
    """What a reviewer looks for, and in which files."""

    @property
    def name(self) -> str: ...

    def applies(self, path: str) -> bool: ...


@dataclass(frozen=True, slots=True)
class Shard:
    """Files of one bundle for one role."""

    role: str
    bundle: Bundle
    paths: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Load:
    """The files of one bundle that a role looks at, with their weights, of which `full` make a full shard."""

    role: str
    bundle: Bundle
    paths: tuple[str, ...]
    weights: tuple[int, ...]
    full: int


def plan_shards(
    bundles: Sequence[Bundle],
    roles: Sequence[RoleLike],
    *,
    shard_files: int = SHARD_FILES,
    shard_bytes: int = SHARD_BYTES,
    shards_max: int = SHARDS_MAX,
) -> tuple[Shard, ...]:
    """Split the files of each bundle for each role that applies to any, in order of bundles, then roles.

    Shards hold about `shard_files` files and `shard_bytes` at most; more if there would be over `shards_max`.

    Raises:
        ShardsError: there are over `shards_max` pairs of a bundle and a role, which can't be split further.
    """
    loads = [
        load
        for bundle in bundles
        for role in roles
        if (load := _load(bundle, role, shard_files, shard_bytes))
    ]
    if len(loads) > shards_max:
        raise ShardsError(
            f"{len(loads):,} pairs of bundle and role are over the limit of {shards_max:,} assignments: "
            "review with fewer roles, or a part of the files"
        )
    pieces = [-(-sum(load.weights) // load.full) for load in loads]
    # A shard for each load is certain; what is left over is shared in proportion to their further pieces.
    room, wanted = shards_max - len(loads), sum(pieces) - len(loads)
    if wanted > room:
        pieces = [1 + (piece - 1) * room // wanted for piece in pieces]
    return tuple(shard for load, piece in zip(loads, pieces, strict=True) for shard in _split(load, piece))


def _load(bundle: Bundle, role: RoleLike, shard_files: int, shard_bytes: int) -> _Load | None:
    even = bundle.source_bytes // max(1, len(bundle.paths))
    sizes = bundle.sizes if len(bundle.sizes) == len(bundle.paths) else (even,) * len(bundle.paths)
    chosen = [(path, size) for path, size in zip(bundle.paths, sizes, strict=True) if role.applies(path)]
    if not chosen:
        return None
    return _Load(
        role=role.name,
        bundle=bundle,
        paths=tuple(path for path, _ in chosen),
        weights=tuple(max(shard_bytes, size * shard_files) for _, size in chosen),
        full=shard_bytes * shard_files,
    )


def _split(load: _Load, pieces: int) -> list[Shard]:
    """Cut where the running weight passes each of `pieces` equal parts; a part that stays empty is dropped."""
    groups: list[list[str]] = [[] for _ in range(pieces)]
    total, before = sum(load.weights), 0
    for path, weight in zip(load.paths, load.weights, strict=True):
        groups[(2 * before + weight) * pieces // (2 * total)].append(path)
        before += weight
    return [Shard(load.role, load.bundle, tuple(group)) for group in groups if group]
