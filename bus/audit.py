"""The audit log: who tried or did what, line by line, in the stream `AUDIT`.

A line's address is `audit.<subject>.<id>`; it is stored once under that, so that whoever writes it may do so again.
Nothing is ever dropped to make room: a full log is an error to the writer, who then has to decide for himself (a
refusal stays a refusal without its line; a decision keeps the line to be written later).
"""

import logging
from collections.abc import AsyncGenerator
from typing import Final

import msgspec

from bus.connection import Connection
from bus.errors import AlreadyHandledError
from bus.publisher import Publisher
from bus.reader import StreamReader
from bus.redact import redact
from bus.streams import AUDIT
from schemas.approval import AuditEntry
from schemas.event import is_token
from schemas.ids import derive_id, new_id

log = logging.getLogger("labverse.bus")

ROOT: Final = "audit"
DETAIL_CHARS_MAX: Final = 2_000
FIELD_CHARS_MAX: Final = 256
"""Of every other part of a line."""
AUDIT_TIMEOUT_S: Final = 10.0
SILENCE_S_MAX: Final = 10.0

_decode = msgspec.json.Decoder(AuditEntry).decode


class AuditLog:
    """Writes and reads lines."""

    def __init__(self, connection: Connection, publisher: Publisher) -> None:
        self._connection = connection
        self._publisher = publisher

    async def write(
        self, entry: AuditEntry, audit_id: str = "", *, timeout_s: float = AUDIT_TIMEOUT_S
    ) -> bool:
        """Store a line once for its subject and id (a new one by default); False when it was stored before.

        Texts are cut to their limits, and what looks like a credential is taken out of `detail`.

        Raises:
            ValueError: the id can't stand in a subject.
            PublishError: the line was not stored: the log is full, or the server doesn't answer.
        """
        audit_id = audit_id or new_id()
        if not is_token(audit_id):
            raise ValueError(f"audit id {audit_id[:80]!r} must be 1 to 64 characters of A-Z a-z 0-9 _ -")
        try:
            await self._publisher.publish(
                f"{ROOT}.{_token(entry.subject)}.{audit_id}",
                "Nats-Expected-Last-Subject-Sequence: 0\r\n",
                msgspec.json.encode(_bounded(entry)),
                timeout_s=timeout_s,
            )
        except AlreadyHandledError:
            return False
        return True

    async def read(self, *, subject: str = "", since_s: float = 0.0) -> AsyncGenerator[AuditEntry]:
        """Stored lines, oldest first; only those on `subject`, or stored since a time, where given.

        Raises:
            BusError: the server doesn't answer.
        """
        filters = (f"{ROOT}.{_token(subject)}.*" if subject else f"{ROOT}.>",)
        async with StreamReader(self._connection, AUDIT, filters, since_s=since_s) as reader:
            async for message, seq in reader.stored(timeout_s=SILENCE_S_MAX):
                try:
                    entry = _decode(message.data)
                except msgspec.DecodeError as error:
                    log.warning("line %d of the audit log is none: %s", seq, error)
                    continue
                yield entry


def _token(subject: str) -> str:
    """A subject as part of an address; one that can't stand there goes by its hash."""
    if not subject:
        return "-"
    return subject if is_token(subject) else derive_id(subject, ROOT)


def _bounded(entry: AuditEntry) -> AuditEntry:
    short = {
        name: getattr(entry, name)[:FIELD_CHARS_MAX] for name in entry.__struct_fields__ if name != "detail"
    }
    return AuditEntry(**short, detail=redact(entry.detail)[:DETAIL_CHARS_MAX])
