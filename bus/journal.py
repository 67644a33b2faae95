"""A journal: an append-only log of one writer's decisions, from which its state can be built again.

Each entry expects the stream to end where the writer believes that it ends. Two writers can therefore never
both append: the one that was frozen while another took over finds its next entry refused (`FencedError`),
whatever a lease or a clock says. A snapshot, an entry of another kind, spares reading from the beginning.
"""

import zlib
from collections.abc import AsyncGenerator
from typing import Any, Final, Generic, TypeVar

import msgspec

from bus.connection import Connection
from bus.errors import AlreadyHandledError, BusError, FencedError
from bus.publisher import Publisher
from bus.reader import StreamReader
from schemas.ids import new_id

Entry = TypeVar("Entry")
State = TypeVar("State")

ENTRY_BYTES_MAX: Final = 900 * 1024
READ_TIMEOUT_S: Final = 60.0


class Journal(Generic[Entry, State]):
    """The journal in `stream`, under `<root>.entries` and `<root>.snapshot`.

    Args:
        entry, state: types of what is appended, and of snapshots; stored as JSON, snapshots deflated.
    """

    def __init__(
        self,
        connection: Connection,
        publisher: Publisher,
        stream: str,
        root: str,
        entry: type[Entry],
        state: type[State],
    ) -> None:
        self._connection = connection
        self._publisher = publisher
        self._stream = stream
        self._entries = f"{root}.entries"
        self._snapshot = f"{root}.snapshot"
        self._decoder = msgspec.json.Decoder(entry)
        self._state_decoder = msgspec.json.Decoder(state)
        self.last_seq = 0

    async def open(self) -> tuple[State | None, list[tuple[int, Entry]]]:
        """What was written: the last snapshot, and the entries after it with their sequences.

        Raises:
            BusError: the stream can't be read, or holds something else.
        """
        state, seq = await self._last_snapshot()
        entries: list[tuple[int, Entry]] = []
        self.last_seq = seq
        async for number, entry in self.read(after_seq=seq):
            entries.append((number, entry))
            self.last_seq = number
        # Snapshots count too: the stream's end is what the next entry is checked against.
        self.last_seq = max(self.last_seq, await self._end())
        return state, entries

    async def read(
        self, *, after_seq: int = 0, since_s: float = 0.0, timeout_s: float = READ_TIMEOUT_S
    ) -> AsyncGenerator[tuple[int, Entry]]:
        """Entries as stored by now, oldest first, from a sequence or a time (seconds since 1970) on.

        Raises:
            BusError: as `open`.
        """
        async with StreamReader(
            self._connection, self._stream, (self._entries,), after_seq=after_seq, since_s=since_s
        ) as reader:
            async for message, seq in reader.stored(timeout_s=timeout_s):
                try:
                    yield seq, self._decoder.decode(message.data)
                except msgspec.DecodeError as error:
                    raise BusError(f"entry {seq} of {self._stream} can't be read: {error}") from None

    async def append(self, entry: Entry, *, timeout_s: float = 30.0) -> int:
        """Store one entry behind all that this writer knows; returns its sequence.

        Raises:
            FencedError: somebody else wrote in between; read again before going on.
            PublishError: it can't be stored.
        """
        return await self._append(self._entries, msgspec.json.encode(entry), timeout_s)

    async def append_snapshot(self, state: State, *, timeout_s: float = 30.0) -> int:
        """Store the state that all entries up to here lead to.

        Raises:
            as `append`.
        """
        return await self._append(self._snapshot, zlib.compress(msgspec.json.encode(state), 1), timeout_s)

    async def _append(self, subject: str, payload: bytes, timeout_s: float) -> int:
        if len(payload) > ENTRY_BYTES_MAX:
            raise BusError(f"{subject}: {len(payload)} bytes exceed the limit of {ENTRY_BYTES_MAX} bytes")
        nonce = new_id()
        lines = f"Nats-Expected-Last-Sequence: {self.last_seq}\r\nlv-nonce: {nonce}\r\n"
        try:
            self.last_seq = await self._publisher.publish(subject, lines, payload, timeout_s=timeout_s)
        except AlreadyHandledError as error:
            # Sent again because the confirmation was lost? Then what stands next is ours.
            headers = await self._headers_at(self.last_seq + 1)
            if headers.get("lv-nonce") != nonce:
                raise FencedError(
                    f"{self._stream}: somebody else wrote behind {self.last_seq}: {error}"
                ) from None
            self.last_seq += 1
        return self.last_seq

    async def _last_snapshot(self) -> tuple[State | None, int]:
        body = msgspec.json.encode({"last_by_subj": self._snapshot})
        found = await self._connection.request(f"$JS.API.DIRECT.GET.{self._stream}", body)
        headers = found.headers or {}
        if "Status" in headers:
            if headers["Status"] == "404":
                return None, 0
            raise BusError(f"{self._stream} can't be read: {headers}")
        try:
            state = self._state_decoder.decode(zlib.decompress(found.data))
        except (zlib.error, msgspec.DecodeError) as error:
            raise BusError(f"the last snapshot in {self._stream} can't be read: {error}") from None
        return state, int(headers["Nats-Sequence"])

    async def _headers_at(self, seq: int) -> dict[str, str]:
        body = msgspec.json.encode({"seq": seq})
        found = await self._connection.request(f"$JS.API.DIRECT.GET.{self._stream}", body)
        return found.headers or {}

    async def _end(self) -> int:
        info: dict[str, Any] = await self._connection.api(f"STREAM.INFO.{self._stream}")
        if error := info.get("error"):
            raise BusError(f"{self._stream}: {error.get('description')}")
        return int(info["state"]["last_seq"])
