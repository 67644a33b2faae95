"""Dead letters: events that were given up, parked with reason, attempts and history, ready to be replayed."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
from nats.aio.msg import Msg

from bus.connection import Connection
from bus.envelope import DUE_ROOT, Envelope, header_lines, now_text, read_envelope
from bus.errors import AlreadyHandledError, BusError, DecodeError
from bus.outbox import Outbox
from bus.publisher import Publisher
from bus.pull import read_delivery
from bus.reader import StreamReader
from bus.redact import redact
from bus.streams import DEAD
from schemas.event import SUBJECT_ROOT
from schemas.task import TaskStepFailed

PAYLOAD_SHOWN_BYTES: Final = 2_000_000
_OURS = ("Nats-", "lv-dead-")


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True):
    """One given-up event.

    Attributes:
        id: sequence in the dead letter stream, by which it is shown and replayed.
        durable: the agent that could not handle it.
        subject: where the event came from; its payload and headers are kept as they were.
        stream, seq: where the original lies.
        history: errors of earlier attempts, newest last.
        is_advisory: only the server's report that it stopped delivering; the original must be looked up.
    """

    id: int
    time: str
    durable: str
    subject: str
    tag: str = ""
    task_id: str = ""
    reason: str = ""
    error: str = ""
    attempts: int = 0
    history: tuple[str, ...] = ()
    stream: str = ""
    seq: int = 0
    headers: dict[str, str] = {}
    payload: str = ""
    is_advisory: bool = False

    @property
    def origin(self) -> tuple[str, str, int]:
        """Which delivery it is about."""
        return self.durable, self.stream, self.seq


class Letters:
    """Writes, lists and replays dead letters."""

    def __init__(self, connection: Connection, publisher: Publisher, outbox: Outbox) -> None:
        self._connection = connection
        self._publisher = publisher
        self._outbox = outbox

    async def bury(
        self,
        message: Msg,
        envelope: Envelope | None,
        *,
        stream: str,
        durable: str,
        reason: str,
        error: str,
        attempts: int,
    ) -> None:
        """Park the message, and tell its task. Done twice, it leaves one letter.

        Raises:
            PublishError: it could not be stored; the message must not be acknowledged then.
        """
        seq = read_delivery(message.reply).stream_seq
        subject = f"dead.{durable}.{stream}.{seq}"
        lines = header_lines(
            {
                **_foreign_headers(message.headers),
                "lv-dead-agent": durable,
                "lv-dead-subject": message.subject,
                "lv-dead-reason": reason,
                "lv-dead-error": redact(error) or "-",
                "lv-dead-attempts": str(attempts),
                "lv-dead-time": now_text(),
                "lv-dead-stream": stream,
                "lv-dead-seq": str(seq),
            }
        )
        try:
            await self._publisher.publish(
                subject, f"{lines}Nats-Expected-Last-Subject-Sequence: 0\r\n", message.data
            )
        except AlreadyHandledError:
            pass
        if envelope is None:
            return
        failed = TaskStepFailed(
            agent=durable,
            event_type=envelope.tag,
            event_id=envelope.id,
            reason=f"{reason}: {redact(error)}" if error else reason,
            attempts=attempts,
        )
        try:
            await self._outbox.commit([failed], cause=envelope, durable=durable)
        except AlreadyHandledError:
            pass

    async def list(self) -> list[DeadLetter]:
        """All letters, oldest first. Reports of the server about events that have a letter are left out."""
        letters = await self._read_all()
        buried = {letter.origin for letter in letters if not letter.is_advisory}
        return [letter for letter in letters if not letter.is_advisory or letter.origin not in buried]

    async def _read_all(self) -> Sequence[DeadLetter]:
        async with StreamReader(self._connection, DEAD, (">",)) as reader:
            return [_read_letter(message) for message in await reader.read_stored(timeout_s=30)]

    async def get(self, letter_id: int) -> DeadLetter:
        """One letter with its payload.

        Raises:
            BusError: there is none of this number.
        """
        for letter in await self.list():
            if letter.id == letter_id:
                return await self._original(letter) if letter.is_advisory else letter
        raise BusError(f"no dead letter {letter_id}: `labverse dead list` shows what there is")

    async def replay(self, letter_id: int) -> str:
        """Give the event to the agent that failed on it, as new work; returns its subject.

        The deadline is dropped: whoever replays an event wants it done now. The letter goes; if the event
        fails again there will be a new one.

        Raises:
            BusError: there is no such letter, or its original is gone.
        """
        letter = await self.get(letter_id)
        try:
            envelope = read_envelope(letter.subject, letter.headers)
        except DecodeError as error:
            raise BusError(f"dead letter {letter_id} can't be replayed: {error}") from None
        headers = {
            name: value
            for name, value in _foreign_headers(letter.headers).items()
            if name not in ("ce-deadline", "lv-attempt", "lv-history")
        }
        headers["lv-replay"] = str(envelope.replay + 1)
        address = envelope.subject.removeprefix(f"{SUBJECT_ROOT}.")
        await self._publisher.publish(
            f"{DUE_ROOT}.{letter.durable}.{address}", header_lines(headers), letter.payload.encode()
        )
        for known in await self._read_all():  # the letter, and the server's own report of the same event
            if known.origin == letter.origin:
                await self._connection.api(f"STREAM.MSG.DELETE.{DEAD}", {"seq": known.id, "no_erase": True})
        return envelope.subject

    async def _original(self, letter: DeadLetter) -> DeadLetter:
        answer = await self._connection.request(
            f"$JS.API.DIRECT.GET.{letter.stream}", msgspec.json.encode({"seq": letter.seq})
        )
        headers = answer.headers or {}
        if "Status" in headers:
            raise BusError(f"the event of dead letter {letter.id} has aged out of stream {letter.stream}")
        subject = headers.get("Nats-Subject", "")
        return msgspec.structs.replace(
            letter,
            subject=subject,
            headers=_foreign_headers(headers),
            payload=answer.data.decode("utf-8", "replace"),
        )


def _foreign_headers(headers: Mapping[str, str] | None) -> dict[str, str]:
    """Headers without the server's and the letter's own: expectations must not be sent a second time."""
    return {name: value for name, value in (headers or {}).items() if not str(name).startswith(_OURS)}


def _read_letter(message: Msg) -> DeadLetter:
    number = read_delivery(message.reply).stream_seq
    if message.subject.startswith("$JS."):
        return _read_advisory(number, message.data)
    headers: dict[str, str] = message.headers or {}
    get = headers.get
    subject = get("lv-dead-subject", "")
    tag = task_id = ""
    try:
        envelope = read_envelope(subject, headers)
        tag, task_id = envelope.tag, envelope.task_id
    except DecodeError:
        pass  # an address that is none is a reason why letters exist
    return DeadLetter(
        id=number,
        time=get("lv-dead-time", ""),
        durable=get("lv-dead-agent", ""),
        subject=subject,
        tag=tag,
        task_id=task_id,
        reason=get("lv-dead-reason", ""),
        error=get("lv-dead-error", ""),
        attempts=int(get("lv-dead-attempts", "0")),
        history=read_history(get("lv-history", "")),
        stream=get("lv-dead-stream", ""),
        seq=int(get("lv-dead-seq", "0")),
        headers=_foreign_headers(headers),
        payload=message.data[:PAYLOAD_SHOWN_BYTES].decode("utf-8", "replace"),
    )


def _read_advisory(number: int, data: bytes) -> DeadLetter:
    body: dict[str, Any] = msgspec.json.decode(data, type=dict[str, Any])
    consumer = str(body.get("consumer", ""))
    deliveries = int(body.get("deliveries", 0))
    return DeadLetter(
        id=number,
        time=str(body.get("timestamp", "")),
        durable=consumer,
        subject="",
        reason=str(body.get("reason") or f"the server gave up after {deliveries} deliveries"),
        attempts=deliveries,
        stream=str(body.get("stream", "")),
        seq=int(body.get("stream_seq", 0)),
        is_advisory=True,
    )


def read_history(text: str) -> tuple[str, ...]:
    """Earlier errors out of the `lv-history` header; empty if it is not ours."""
    try:
        return msgspec.json.decode(text, type=tuple[str, ...]) if text else ()
    except msgspec.DecodeError:
        return ()
