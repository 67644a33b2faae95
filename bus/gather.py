"""Gather: the answers to a scatter, until all are in, or enough, or the deadline comes.

The stream is the state: the gatherer reads the task's answers from it, so that after a crash another one
starts again and gets the same. What failed or expired on its way counts as an answer that is missing.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

from bus.connection import Connection
from bus.envelope import Envelope, read_envelope
from bus.errors import DecodeError
from bus.outbox import Outbox
from bus.pull import read_delivery
from bus.reader import StreamReader
from bus.streams import EVENTS
from schemas.event import SUBJECT_ROOT, Event, tag_of
from schemas.task import TaskExpired, TaskStepFailed

E = TypeVar("E", bound=Event)

EXPECTED_MAX: Final = 10_000


@dataclass(frozen=True, slots=True)
class Gathered(Generic[E]):
    """What came in.

    Attributes:
        parts: answers with their envelopes, in order of the assignments; one for each.
        failed: event id of an assignment → why it will not be answered.
        missing: event ids that nothing was heard of before the deadline.
    """

    parts: list[tuple[E, Envelope]] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)


async def task_events(
    connection: Connection, outbox: Outbox, filters: tuple[str, ...], *, only_stored: bool = False
) -> AsyncGenerator[tuple[Event, Envelope]]:
    """Events under `filters` as they are stored, from the first on. What can't be decoded is left out here:
    the agent that handles it makes it a dead letter."""
    async with StreamReader(connection, EVENTS, filters) as reader:
        while not (only_stored and reader.is_caught_up):
            message = await reader.read()
            try:
                envelope = read_envelope(
                    message.subject, message.headers, read_delivery(message.reply).stream_seq
                )
                event = await outbox.decode(envelope, message.data)
            except DecodeError:
                continue
            yield event, envelope


async def gather(
    connection: Connection,
    outbox: Outbox,
    kind: type[E],
    *,
    task_id: str,
    expected: Sequence[str],
    deadline_s: float,
    quorum: int | None = None,
) -> Gathered[E]:
    """Wait for one `kind` event caused by each of `expected` (event ids of the assignments).

    Args:
        deadline_s: absolute, seconds since 1970; what is there by then is returned.
        quorum: so many answers are enough; None means all.
    """
    if len(expected) > EXPECTED_MAX:
        raise ValueError(f"a gather takes at most {EXPECTED_MAX} answers, not {len(expected)}")
    filters = tuple(
        f"{SUBJECT_ROOT}.{tag_of(cls)}.{task_id}.>" for cls in (kind, TaskStepFailed, TaskExpired)
    )
    wanted = dict.fromkeys(expected)
    answers: dict[str, tuple[E, Envelope]] = {}
    failed: dict[str, str] = {}
    enough = len(wanted) if quorum is None else min(quorum, len(wanted))
    events = task_events(connection, outbox, filters)
    try:
        async with asyncio.timeout(max(0.0, deadline_s - time.time())):
            while len(answers) < enough and len(answers) + len(failed) < len(wanted):
                event, envelope = await anext(events)
                match event:
                    case TaskStepFailed(event_id=cause, reason=reason) if cause in wanted:
                        failed.setdefault(cause, reason)
                    case TaskExpired(event_id=cause) if cause in wanted:
                        failed.setdefault(cause, "its deadline had passed")
                    case _ if isinstance(event, kind) and envelope.causation_id in wanted:
                        answers.setdefault(envelope.causation_id, (event, envelope))
                        failed.pop(
                            envelope.causation_id, None
                        )  # a replayed dead letter was answered after all
    except TimeoutError:
        pass
    finally:
        await events.aclose()
    return Gathered(
        parts=[answers[cause] for cause in wanted if cause in answers],
        failed=failed,
        missing=[cause for cause in wanted if cause not in answers and cause not in failed],
    )
