"""From events to stored messages: encoding, addresses, large payloads, the commit of a handler's outputs."""

import hashlib
from collections.abc import Sequence
from typing import Final

import msgspec

from bus.connection import Connection
from bus.envelope import Envelope, address_of, any_type_subject, event_headers, once_lines
from bus.errors import AlreadyHandledError, DecodeError, ObjectError, PayloadTooLargeError
from bus.objects import ObjectStore
from bus.publisher import PUBLISH_TIMEOUT_S, Outgoing, Publisher
from bus.streams import EVENTS
from bus.tracing import Tracing
from schemas.event import Event, tag_of
from schemas.ids import derive_id, new_id, output_id
from schemas.registry import BY_TAG
from schemas.task import HandledMark

INLINE_BYTES_MAX: Final = 512 * 1024
MARK_TTL_S: Final = 86_400
"""How long the mark of a handler without outputs is kept: far longer than anything is redelivered."""

_encode = msgspec.json.Encoder().encode
_DECODERS: Final = {tag: msgspec.json.Decoder(cls) for tag, cls in BY_TAG.items()}
_MARK = HandledMark()


class Outbox:
    """Stores events. `source` is who says so: the CloudEvents source of everything sent from here."""

    def __init__(
        self,
        connection: Connection,
        publisher: Publisher,
        objects: ObjectStore,
        tracing: Tracing,
        source: str,
    ) -> None:
        self._connection = connection
        self._publisher = publisher
        self._objects = objects
        self._tracing = tracing
        self._source = source

    async def publish(
        self,
        event: Event,
        *,
        task_id: str,
        event_id: str,
        causation_id: str = "",
        deadline: str = "",
        traceparent: str = "",
        timeout_s: float = PUBLISH_TIMEOUT_S,
    ) -> int:
        """Store one event under its own id, once; returns its stream sequence.

        Raises:
            AlreadyHandledError: this id is stored already.
            PublishError: see `Publisher.publish`.
        """
        tag = tag_of(event)
        with self._tracing.send(tag, task_id, parent=traceparent) as carried:
            outgoing = await self._outgoing(
                event, task_id, event_id, causation_id=causation_id, deadline=deadline, traceparent=carried
            )
            nonce = new_id()
            lines = f"{outgoing.lines}{once_lines(task_id, event_id)}Nats-Msg-Id: {nonce}\r\n"
            try:
                return await self._publisher.publish(
                    outgoing.subject, lines, outgoing.payload, timeout_s=timeout_s
                )
            except AlreadyHandledError:
                # Sent again because the first confirmation was lost, or really somebody else's?
                stored = await self._stored(any_type_subject(task_id, event_id))
                if stored.get("Nats-Msg-Id") != nonce:
                    raise
                return int(stored["Nats-Sequence"])

    async def _stored(self, subject: str) -> dict[str, str]:
        """Headers of what is stored at an address; empty if there is nothing."""
        body = msgspec.json.encode({"last_by_subj": subject})
        found = await self._connection.request(f"$JS.API.DIRECT.GET.{EVENTS}", body)
        headers = found.headers or {}
        return {} if "Status" in headers else headers

    async def is_done(self, cause: Envelope, durable: str) -> bool:
        """Whether somebody committed for this input already."""
        first_id = output_id(derive_id(cause.subject, durable, cause.replay), 0)
        return bool(await self._stored(any_type_subject(cause.task_id, first_id)))

    async def commit(
        self, outputs: Sequence[Event], *, cause: Envelope, durable: str, source: str = ""
    ) -> None:
        """Store the outputs of one handled event and with them the mark that it is done, all or nothing.

        An output's id follows from the input's address, the agent and its index; that nothing is stored
        under the first one yet is the condition for all.

        Raises:
            AlreadyHandledError: somebody committed for this input before; nothing was stored now.
            PublishError: see `Publisher.publish`.
        """
        derived = derive_id(cause.subject, durable, cause.replay)
        first_id = output_id(derived, 0)
        once = once_lines(cause.task_id, first_id)
        if not outputs:
            outgoing = await self._outgoing(
                _MARK, cause.task_id, first_id, causation_id=cause.id, source=source
            )
            lines = f"{outgoing.lines}{once}Nats-TTL: {MARK_TTL_S}s\r\n"
            await self._publisher.publish(outgoing.subject, lines, outgoing.payload)
            return
        with self._tracing.send(
            tag_of(outputs[0]), cause.task_id, len(outputs), parent=cause.traceparent
        ) as carried:
            messages = [
                await self._outgoing(
                    event,
                    cause.task_id,
                    output_id(derived, index),
                    causation_id=cause.id,
                    deadline=cause.deadline,
                    traceparent=carried,
                    source=source,
                )
                for index, event in enumerate(outputs)
            ]
            first = messages[0]
            if len(messages) == 1:
                await self._publisher.publish(
                    first.subject, f"{first.lines}Nats-Msg-Id: {first_id}\r\n{once}", first.payload
                )
            else:
                messages[0] = Outgoing(first.subject, first.lines + once, first.payload)
                await self._publisher.publish_batch(tuple(messages))

    async def decode(self, envelope: Envelope, payload: bytes) -> Event:
        """The event of a received message.

        Raises:
            DecodeError: unknown tag, malformed JSON, a wrong type (with its path), or a payload that is gone.
        """
        decoder = _DECODERS.get(envelope.tag)
        if decoder is None:
            raise DecodeError(f"unknown event type {envelope.tag!r}: this version knows {', '.join(BY_TAG)}")
        if envelope.dataref:
            name, _, digest = envelope.dataref.partition("#")
            try:
                payload = await self._objects.get(name, sha256=digest)
            except ObjectError as error:
                raise DecodeError(str(error)) from None
        try:
            return decoder.decode(payload or b"{}")
        except msgspec.DecodeError as error:
            raise DecodeError(f"not a {envelope.tag}: {error}") from None

    async def _outgoing(
        self,
        event: Event,
        task_id: str,
        event_id: str,
        *,
        causation_id: str = "",
        deadline: str = "",
        traceparent: str = "",
        source: str = "",
    ) -> Outgoing:
        tag = tag_of(event)
        payload = _encode(event)
        dataref = ""
        if len(payload) > INLINE_BYTES_MAX:
            digest = hashlib.sha256(payload).hexdigest()
            name = f"payload-{digest[:32]}"
            try:
                await self._objects.put(name, payload)
            except PayloadTooLargeError as error:
                raise PayloadTooLargeError(f"{tag} of task {task_id}: {error}") from None
            dataref, payload = f"{name}#{digest}", b""
        lines = event_headers(
            tag=tag,
            task_id=task_id,
            event_id=event_id,
            source=source or self._source,
            causation_id=causation_id,
            deadline=deadline,
            traceparent=traceparent,
            dataref=dataref,
        )
        return Outgoing(address_of(tag, task_id, event_id), lines, payload)
