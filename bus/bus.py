"""The bus as everybody else sees it: open it, publish, subscribe, gather, ask, keep values and objects."""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final, TypeVar

import msgspec
from nats.aio.msg import Msg

from bus.audit import AUDIT_TIMEOUT_S, AuditLog
from bus.cancellations import Cancellations
from bus.connection import Connection
from bus.embedded import ServerAddress
from bus.envelope import Envelope, task_subject, time_text
from bus.errors import AlreadyHandledError, BusError, DuplicateTaskError
from bus.gather import Gathered, gather, task_events
from bus.handling import BusParts
from bus.journal import Entry, Journal, State
from bus.kv import Bucket
from bus.lease import BUCKET, LEASE_AGE_S, Lease, LeaseRecord
from bus.letters import Letters
from bus.objects import ObjectStore
from bus.options import BusOptions
from bus.outbox import Outbox
from bus.presence import AgentRecord, Presence
from bus.publisher import PUBLISH_TIMEOUT_S, Publisher
from bus.rpc import Answer, AnswerInPieces, Client, Reply, Request, Server, Service
from bus.rpc_desk import Desk, PendingRequest
from bus.streams import AUDIT, DEAD, EVENTS, LATER, LEDGER
from bus.subscription import Subscription
from bus.tracing import Tracing
from bus.worker import Worker
from schemas.approval import AuditEntry
from schemas.event import Event
from schemas.ids import new_id
from schemas.task import TaskCancelled

log = logging.getLogger("labverse.bus")

E = TypeVar("E", bound=Event)
T = TypeVar("T")

NOTE_BYTES_MAX: Final = 4096


@dataclass(frozen=True, slots=True)
class StreamState:
    """How full a stream is."""

    name: str
    messages: int
    bytes: int
    messages_max: int
    bytes_max: int


class Bus:
    """An open bus. Made by `bus.opening.open_bus`."""

    def __init__(
        self,
        connection: Connection,
        options: BusOptions,
        tracing: Tracing,
        address: ServerAddress | None,
    ) -> None:
        self.connection = connection
        self.address = address
        self.options = options
        self.tracing = tracing
        self.publisher = Publisher(connection)
        self.objects = ObjectStore(
            connection,
            object_bytes_max=options.object_bytes_max,
            bytes_max=options.objects_bytes_max,
            age_max_s=options.limits.age_max_s,
            replicas=options.limits.replicas,
        )
        self.outbox = Outbox(connection, self.publisher, self.objects, self.tracing, options.source)
        self.letters = Letters(connection, self.publisher, self.outbox)
        self.presence = Presence(connection, self.publisher, role=options.role, version=options.version)
        self._audit = AuditLog(connection, self.publisher)
        self._cancellations = Cancellations(connection)
        self._parts = BusParts(
            connection=connection,
            publisher=self.publisher,
            outbox=self.outbox,
            letters=self.letters,
            cancellations=self._cancellations,
            tracing=self.tracing,
        )
        self._workers: list[Worker] = []
        self._others: list[Callable[[], AgentRecord]] = []
        self._servers: list[Server[msgspec.Struct, msgspec.Struct]] = []
        self._client = Client(connection, self.tracing)

    # -- tasks and events ---------------------------------------------------------------------------------

    async def submit(
        self,
        command: Event,
        *,
        task_id: str = "",
        deadline_s: float | None = None,
        timeout_s: float = PUBLISH_TIMEOUT_S,
    ) -> str:
        """Start a task with `command`; returns its id.

        Args:
            deadline_s: absolute, seconds since 1970; after it, what is not done is dropped.

        Raises:
            DuplicateTaskError: the task id is taken.
            PublishError: see `Publisher.publish`.
        """
        task_id = task_id or new_id()
        try:
            await self.outbox.publish(
                command,
                task_id=task_id,
                event_id=task_id,
                deadline="" if deadline_s is None else time_text(deadline_s),
                timeout_s=timeout_s,
            )
        except AlreadyHandledError:
            raise DuplicateTaskError(
                f"task id {task_id} is taken: watch it with `labverse watch {task_id}` or choose another"
            ) from None
        return task_id

    async def publish(
        self, event: Event, *, task_id: str, event_id: str = "", timeout_s: float = PUBLISH_TIMEOUT_S
    ) -> None:
        """Store one event of a running task, once for its `event_id` (a new one by default).

        Raises:
            AlreadyHandledError: this id is stored already.
            PublishError: see `Publisher.publish`.
        """
        await self.outbox.publish(event, task_id=task_id, event_id=event_id or new_id(), timeout_s=timeout_s)

    async def cancel(self, task_id: str, *, by: str, reason: str = "") -> None:
        """Call a task off: what is queued is dropped everywhere, what runs is stopped."""
        try:
            await self.publish(
                TaskCancelled(by=by, reason=reason), task_id=task_id, event_id="cancelled", timeout_s=10.0
            )
        except AlreadyHandledError:
            pass

    def is_cancelled(self, task_id: str) -> bool:
        """Whether somebody called the task off; known as soon as agents work in this process."""
        return task_id in self._cancellations

    def events(self, task_id: str, *, only_stored: bool = False) -> AsyncGenerator[tuple[Event, Envelope]]:
        """Everything of one task, from its beginning; goes on with what comes unless `only_stored`."""
        return task_events(self.connection, self.outbox, task_subject(task_id), only_stored=only_stored)

    async def gather(
        self,
        kind: type[E],
        *,
        task_id: str,
        expected: Sequence[str],
        deadline_s: float,
        quorum: int | None = None,
    ) -> Gathered[E]:
        """Wait for the answers to a scatter (see `bus.gather.gather`); the span we are in links to them."""
        gathered = await gather(
            self.connection,
            self.outbox,
            kind,
            task_id=task_id,
            expected=expected,
            deadline_s=deadline_s,
            quorum=quorum,
        )
        self.tracing.link(envelope.traceparent for _, envelope in gathered.parts)
        return gathered

    async def forget(self, task_id: str) -> int:
        """Remove a finished task's events from the stream; returns how many."""
        purged = 0
        for subject in task_subject(task_id):
            answer = await self.connection.api(f"STREAM.PURGE.{EVENTS}", {"filter": subject})
            purged += int(answer.get("purged", 0))
        return purged

    # -- agents -------------------------------------------------------------------------------------------

    async def run(self, subscription: Subscription, *, agent: str = "") -> Worker:
        """Start to work on a subscription in this process, under the name `agent`.

        Raises:
            BusError: its consumer can't be made.
        """
        name = agent or subscription.durable
        worker = Worker(subscription, self._parts, agent=name, source=f"{self.options.source}/{name}")
        if not self._workers:
            await self._cancellations.start()
        self._workers.append(worker)
        await worker.start()
        self.presence.start(self._agents)
        return worker

    async def drain(self, grace_s: float | None = None) -> None:
        """Stop all workers: finish what runs within the grace period, hand back the rest."""
        grace = self.options.grace_s if grace_s is None else grace_s
        await asyncio.gather(
            *(worker.drain(grace) for worker in self._workers),
            *(server.stop(grace) for server in self._servers),
        )
        if self._workers:
            await self._cancellations.stop()
        self._workers.clear()
        self._servers.clear()
        self._others.clear()
        await self.presence.stop()

    def present(self, record: Callable[[], AgentRecord]) -> None:
        """Say in `labverse status` that an agent runs here which has no subscription."""
        self._others.append(record)
        self.presence.start(self._agents)

    def _agents(self) -> tuple[AgentRecord, ...]:
        return (*(worker.record() for worker in self._workers), *(record() for record in self._others))

    # -- request and reply --------------------------------------------------------------------------------

    async def serve(
        self,
        service: Service[Request, Reply],
        answer: Answer[Request, Reply] | None = None,
        *,
        pieces: AnswerInPieces[Request, Reply] | None = None,
        concurrency: int = 256,
    ) -> None:
        """Answer requests to a service in this process, whole or in pieces."""
        server = Server(
            self.connection, self.tracing, service, answer, pieces=pieces, concurrency=concurrency
        )
        await server.start()
        self._servers.append(server)  # type: ignore[arg-type] # kept only to be stopped

    async def call(
        self, service: Service[Request, Reply], request: Request, *, timeout_s: float, task_id: str = ""
    ) -> Reply:
        """Ask a service (see `bus.rpc.Client.call`)."""
        return await self._client.call(service, request, deadline_s=time.time() + timeout_s, task_id=task_id)

    def stream(
        self, service: Service[Request, Reply], request: Request, *, timeout_s: float, task_id: str = ""
    ) -> AsyncGenerator[Reply]:
        """Ask a service for an answer in pieces (see `bus.rpc.Client.stream`)."""
        return self._client.stream(service, request, deadline_s=time.time() + timeout_s, task_id=task_id)

    def desk(
        self,
        service: Service[Request, Reply],
        take: Callable[[PendingRequest[Request, Reply]], None],
        *,
        on_cancel: Callable[[str], None] | None = None,
    ) -> Desk[Request, Reply]:
        """A desk for requests that a leader alone may answer (see `bus.rpc_desk`); open and close it yourself."""
        return Desk(self.connection, service, take, on_cancel=on_cancel)

    # -- state --------------------------------------------------------------------------------------------

    def bucket(self, name: str, kind: type[T], *, age_max_s: float = 0.0) -> Bucket[T]:
        """A typed key-value bucket; `ensure` it before first use."""
        return Bucket(
            self.connection,
            self.publisher,
            name,
            kind,
            age_max_s=age_max_s,
            replicas=self.options.limits.replicas,
        )

    def lease(self, name: str) -> Lease:
        """Leadership under `name` (see `bus.lease`)."""
        return Lease(bucket=self.bucket(BUCKET, LeaseRecord, age_max_s=LEASE_AGE_S), name=name)

    def journal(
        self, stream: str, root: str, entry: type[Entry], state: type[State]
    ) -> Journal[Entry, State]:
        """A fenced log (see `bus.journal`)."""
        return Journal(self.connection, self.publisher, stream, root, entry, state)

    async def audit(
        self, entry: AuditEntry, audit_id: str = "", *, timeout_s: float = AUDIT_TIMEOUT_S
    ) -> bool:
        """Write a line of the audit log, once for its id (see `bus.audit.AuditLog.write`)."""
        return await self._audit.write(entry, audit_id, timeout_s=timeout_s)

    def audits(self, *, subject: str = "", since_s: float = 0.0) -> AsyncGenerator[AuditEntry]:
        """Lines of the audit log, oldest first (see `bus.audit.AuditLog.read`)."""
        return self._audit.read(subject=subject, since_s=since_s)

    async def note(self, task_id: str, agent: str, text: str) -> None:
        """Tell whoever watches the task right now what an agent is doing; kept nowhere."""
        if self.connection.client.is_connected:
            payload = msgspec.json.encode({"agent": agent, "text": text[: NOTE_BYTES_MAX // 4]})
            await self.connection.client.send(f"note.{task_id}", payload)

    @asynccontextmanager
    async def notes(self, task_id: str) -> AsyncGenerator["asyncio.Queue[tuple[str, str]]"]:
        """(agent, text) of every `note` on the task from now on; the oldest go when nobody reads them."""
        queue: asyncio.Queue[tuple[str, str]] = asyncio.Queue(1000)

        async def on_note(message: Msg) -> None:
            try:
                note = msgspec.json.decode(message.data, type=dict[str, str])
            except msgspec.DecodeError:
                return
            if queue.full():
                queue.get_nowait()
            queue.put_nowait((note.get("agent", ""), note.get("text", "")))

        subscription = await self.connection.subscribe(f"note.{task_id}", on_note)
        try:
            yield queue
        finally:
            if self.connection.client.is_connected:
                await subscription.unsubscribe()

    async def streams(self) -> list[StreamState]:
        """How full the streams are.

        Raises:
            BusError: the server doesn't answer.
        """
        out = []
        for name in (EVENTS, LATER, DEAD, LEDGER, AUDIT):
            info = await self.connection.api(f"STREAM.INFO.{name}")
            if "error" in info:
                raise BusError(f"stream {name}: {info['error'].get('description')}")
            state, config = info["state"], info["config"]
            out.append(
                StreamState(
                    name,
                    state["messages"],
                    state["bytes"],
                    config.get("max_msgs", -1),
                    config.get("max_bytes", -1),
                )
            )
        return out
