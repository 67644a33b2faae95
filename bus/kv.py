"""Typed values in a NATS key-value bucket, with compare-and-swap.

Reads and writes go through our own request and publish paths, so they live through reconnects. Buckets keep
one revision a key: history belongs to the streams.
"""

from typing import Final, Generic, TypeVar

import msgspec
from nats.js.api import Header

from bus.connection import Connection
from bus.errors import AlreadyHandledError, BusError, ConflictError
from bus.publisher import Publisher
from bus.reader import StreamReader

T = TypeVar("T")

VALUE_BYTES_MAX: Final = 512 * 1024
KEYS_READ_MAX: Final = 100_000
_CONFIGURED_OTHERWISE = 10058


class Bucket(Generic[T]):
    """A bucket of values of one type, stored as JSON.

    Args:
        age_max_s: values not written for so long disappear; 0 keeps them.
    """

    def __init__(
        self,
        connection: Connection,
        publisher: Publisher,
        name: str,
        kind: type[T],
        *,
        age_max_s: float = 0.0,
        bytes_max: int = 256 * 1024 * 1024,
        replicas: int = 1,
    ) -> None:
        self._connection = connection
        self._publisher = publisher
        self.name = name
        self._stream = f"KV_{name}"
        self._root = f"$KV.{name}."
        self._decoder = msgspec.json.Decoder(kind)
        self._config = {
            "name": self._stream,
            "subjects": [f"{self._root}>"],
            "max_msgs_per_subject": 1,
            "max_age": int(age_max_s * 1e9),
            "max_bytes": bytes_max,
            "max_msg_size": VALUE_BYTES_MAX + 4096,
            "discard": "new",
            "storage": "file",
            "retention": "limits",
            "num_replicas": replicas,
            "allow_rollup_hdrs": True,
            "deny_delete": True,
            "allow_direct": True,
        }

    async def ensure(self) -> None:
        """Create the bucket if it is missing; an existing one is left as it is.

        Raises:
            BusError: the server refuses.
        """
        made = await self._connection.api(f"STREAM.CREATE.{self._stream}", self._config)
        error = made.get("error")
        if error and error.get("err_code") != _CONFIGURED_OTHERWISE:
            raise BusError(f"bucket {self.name} can't be made: {error.get('description')}")

    async def get(self, key: str) -> tuple[T, int] | None:
        """Value and revision of `key`, None if there is none.

        Raises:
            BusError: the server doesn't answer, or the value is not of the bucket's type.
        """
        answer = await self._connection.request(f"$JS.API.DIRECT.GET.{self._stream}.{self._root}{key}", b"")
        headers = answer.headers or {}
        if headers.get("Status") == "404" or headers.get("KV-Operation"):
            return None
        if "Status" in headers:
            raise BusError(f"key {key} can't be read: {headers.get(Header.DESCRIPTION, headers['Status'])}")
        return self._decode(key, answer.data), int(headers["Nats-Sequence"])

    async def put(self, key: str, value: T) -> int:
        """Write whatever stands there; returns the new revision."""
        return await self._publisher.publish(self._root + key, "", self._encode(key, value))

    async def update(self, key: str, value: T, revision: int) -> int:
        """Write if the key still has `revision` (0: if it doesn't exist); returns the new revision.

        Raises:
            ConflictError: somebody else wrote first, and something else. A lease must hold its owner's name.
        """
        try:
            return await self._publisher.publish(
                self._root + key,
                f"Nats-Expected-Last-Subject-Sequence: {revision}\r\n",
                self._encode(key, value),
            )
        except AlreadyHandledError as error:
            # Sent again because the confirmation was lost? Then what stands there is ours.
            stored = await self.get(key)
            if stored is not None and stored[0] == value and stored[1] > revision:
                return stored[1]
            raise ConflictError(f"key {key} of bucket {self.name} was changed: {error}") from None

    async def values(self) -> dict[str, T]:
        """All keys and values, oldest written first."""
        async with StreamReader(self._connection, self._stream, (f"{self._root}>",), start="last") as reader:
            messages = await reader.read_stored()
        out: dict[str, T] = {}
        for message in messages[-KEYS_READ_MAX:]:
            key = message.subject.removeprefix(self._root)
            if not (message.headers or {}).get("KV-Operation"):
                out[key] = self._decode(key, message.data)
        return out

    async def delete(self, key: str) -> None:
        """Mark the key as deleted."""
        await self._publisher.publish(self._root + key, "KV-Operation: DEL\r\n", b"")

    async def purge(self, key: str) -> None:
        """Remove the key and every trace of it, so that `update` with revision 0 may create it again."""
        await self._connection.api(f"STREAM.PURGE.{self._stream}", {"filter": self._root + key})

    def _encode(self, key: str, value: T) -> bytes:
        data = msgspec.json.encode(value)
        if len(data) > VALUE_BYTES_MAX:
            raise BusError(
                f"value of key {key}: {len(data)} bytes exceed the limit of {VALUE_BYTES_MAX} bytes"
            )
        return data

    def _decode(self, key: str, data: bytes) -> T:
        try:
            return self._decoder.decode(data)
        except msgspec.DecodeError as error:
            raise BusError(f"key {key} of bucket {self.name} holds something else: {error}") from None
