"""Large payloads and files: stored once under a name, fetched by reference, checked on arrival."""

import asyncio
import hashlib
from typing import Any, Final

import nats.errors
import nats.js.errors
from nats.js.api import ObjectStoreConfig

from bus.connection import Connection
from bus.errors import BusError, ObjectError, PayloadTooLargeError

BUCKET: Final = "LABVERSE_OBJECTS"
OBJECT_BYTES_MAX: Final = 64 * 1024 * 1024
TRY_S: Final = 15.0
TRIES: Final = 4


class ObjectStore:
    """Objects of up to `object_bytes_max` bytes that age out with the events which refer to them."""

    def __init__(
        self,
        connection: Connection,
        *,
        object_bytes_max: int = OBJECT_BYTES_MAX,
        bytes_max: int = 4 * 1024**3,
        age_max_s: float = 7 * 86_400.0,
        replicas: int = 1,
    ) -> None:
        self._js = connection.client.jetstream(timeout=TRY_S)
        self._connection = connection
        self._config = ObjectStoreConfig(bucket=BUCKET, ttl=age_max_s, max_bytes=bytes_max, replicas=replicas)
        self._object_bytes_max = object_bytes_max
        self._store: Any = None

    async def _bucket(self) -> Any:
        if self._store is None:
            try:
                self._store = await self._js.object_store(BUCKET)
            except nats.js.errors.NotFoundError:
                self._store = await self._js.create_object_store(BUCKET, config=self._config)
        return self._store

    async def put(self, name: str, data: bytes) -> None:
        """Store `data` under `name`; the same name with other data replaces it.

        Raises:
            PayloadTooLargeError: it is over the limit.
            ObjectError: it could not be stored.
        """
        if len(data) > self._object_bytes_max:
            raise PayloadTooLargeError(
                f"payload of {len(data)} bytes exceeds the limit of {self._object_bytes_max} bytes"
            )

        async def attempt() -> None:
            await (await self._bucket()).put(name, data)

        await self._try(f"object {name} can't be stored", attempt)

    async def get(self, name: str, *, sha256: str = "") -> bytes:
        """The bytes of an object; with `sha256` (hex), only if they have that digest.

        Raises:
            ObjectError: there is no such object, it can't be read, or it is not the right one.
        """

        async def attempt() -> bytes:
            result = await (await self._bucket()).get(name)
            data: bytes = result.data or b""
            return data

        data: bytes = await self._try(f"object {name} can't be read", attempt)
        if sha256 and hashlib.sha256(data).hexdigest() != sha256:
            raise ObjectError(f"object {name} is not the one referred to: its SHA-256 differs")
        return data

    async def has(self, name: str) -> bool:
        """Whether an object of this name is stored whole."""

        async def attempt() -> bool:
            try:
                await (await self._bucket()).get_info(name)
            except nats.js.errors.NotFoundError:
                return False
            return True

        found: bool = await self._try(f"object {name} can't be looked up", attempt)
        return found

    async def _try(self, what: str, attempt: Any) -> Any:
        why = "not connected"
        for _ in range(TRIES):
            try:
                async with asyncio.timeout(TRY_S):
                    await self._connection.connected.wait()
                    return await attempt()
            except nats.js.errors.NotFoundError:
                raise ObjectError(f"{what}: there is none of this name (it may have aged out)") from None
            except nats.js.errors.BucketNotFoundError:
                self._store, why = None, "the bucket is missing"
            except (TimeoutError, nats.errors.Error) as error:
                why = str(error) or "no answer in time"
            except BusError as error:
                why = str(error)
            await asyncio.sleep(0.1)
        raise ObjectError(f"{what}: {why}")
