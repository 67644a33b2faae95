"""The files under review, unpacked in a folder of ours: fetched from the object store once for many shards."""

import asyncio
import shutil
import tempfile
from collections import OrderedDict
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from agents.review.bundle import BundleError, unpack
from bus import Bus, ObjectError, PermanentError
from schemas.review import Bundle

KEPT_MAX: Final = 8
"""Unpacked bundles that nobody uses at the moment; more are removed, oldest first."""


@dataclass(eq=False, slots=True)
class _Unpacked:
    folder: Path
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    users: int = 0
    is_ready: bool = False


class Sources:
    """Bundles unpacked below one temporary folder, which goes with `close`."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._root = Path(tempfile.mkdtemp(prefix="labverse-review-"))
        self._bundles: OrderedDict[str, _Unpacked] = OrderedDict()

    def close(self) -> None:
        shutil.rmtree(self._root, ignore_errors=True)

    @asynccontextmanager
    async def folder(self, bundle: Bundle) -> AsyncGenerator[Path]:
        """The folder that holds the bundle's files, for as long as the context lasts.

        Raises:
            PermanentError: the object is gone or is not the one that was assigned.
        """
        key = bundle.sha256
        unpacked = self._bundles.setdefault(key, _Unpacked(self._root / key[:32]))
        self._bundles.move_to_end(key)
        unpacked.users += 1
        try:
            async with unpacked.lock:
                if not unpacked.is_ready:
                    await self._fetch(bundle, unpacked.folder)
                    unpacked.is_ready = True
            yield unpacked.folder
        finally:
            unpacked.users -= 1
            self._tidy()

    async def _fetch(self, bundle: Bundle, folder: Path) -> None:
        try:
            data = await self._bus.objects.get(bundle.object_name, sha256=bundle.sha256)
            await asyncio.to_thread(unpack, data, bundle, bundle.paths, folder)
        except (ObjectError, BundleError) as error:
            raise PermanentError(f"sources {bundle.object_name}: {error}") from None

    def _tidy(self) -> None:
        idle = [key for key, unpacked in self._bundles.items() if not unpacked.users]
        for key in idle[: max(0, len(idle) - KEPT_MAX)]:
            shutil.rmtree(self._bundles.pop(key).folder, ignore_errors=True)
