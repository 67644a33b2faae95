"""The streams of Labverse and their limits.

`LABVERSE` holds commands and facts together, because what a handler emits and the mark that its input is done
must commit as one atomic batch, and a batch covers one stream. It discards new: a full stream is an error to
the publisher and never drops work that waits. `LATER` holds retries until they are due; the server refuses to
combine message schedules with discard-new, so they have a stream of their own, and a worker that finds it
full keeps its event instead. `DEAD` holds dead letters and the server's own reports about given-up messages.
`LEDGER` is the journal of all money: it discards new too, since an entry that is lost is money spent twice.
`AUDIT` holds who tried or did what: it discards new as well, or whoever is refused often enough could push the
lines out that tell of him.
"""

from dataclasses import dataclass
from typing import Final

from nats.js.api import (
    DiscardPolicy,
    RetentionPolicy,
    StorageType,
    StreamConfig,
)

from bus.connection import Connection
from bus.errors import BusError
from schemas.event import SUBJECT_ROOT

EVENTS: Final = "LABVERSE"
LATER: Final = "LATER"
DEAD: Final = "DEAD"
LEDGER: Final = "LEDGER"
AUDIT: Final = "AUDIT"

LATER_MESSAGES_MAX: Final = 200_000
DEAD_MESSAGES_MAX: Final = 100_000
DEAD_BYTES_MAX: Final = 512 * 1024 * 1024
DEAD_AGE_MAX_S: Final = 30 * 86_400.0
LEDGER_BYTES_MAX: Final = 1024**3
"""About 1.7 million calls; reserved on disk by the server."""
LEDGER_AGE_MAX_S: Final = 400 * 86_400.0
AUDIT_BYTES_MAX: Final = 256 * 1024**2
"""About half a million lines; reserved on disk by the server."""
AUDIT_LINE_BYTES_MAX: Final = 32 * 1024
AUDIT_AGE_MAX_S: Final = 400 * 86_400.0
DUPLICATE_WINDOW_S: Final = 120.0
MESSAGE_SIZE_MAX: Final = 1024 * 1024

_ADVISORY = "$JS.EVENT.ADVISORY.CONSUMER"


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamLimits:
    """Bounds of the event stream. The server needs about 0.4 KB of memory an event (subject index), so the
    default of a million events costs it some 450 MB."""

    messages_max: int = 1_000_000
    bytes_max: int = 2 * 1024**3
    age_max_s: float = 7 * 86_400.0
    replicas: int = 1


def stream_configs(limits: StreamLimits) -> tuple[StreamConfig, ...]:
    """All streams, as the server is to have them."""
    return (
        StreamConfig(
            name=EVENTS,
            description="Commands and facts of all tasks",
            subjects=[f"{SUBJECT_ROOT}.>"],
            discard=DiscardPolicy.NEW,
            max_msgs=limits.messages_max,
            max_bytes=limits.bytes_max,
            max_age=limits.age_max_s,
            max_msg_size=MESSAGE_SIZE_MAX,
            duplicate_window=DUPLICATE_WINDOW_S,
            num_replicas=limits.replicas,
            storage=StorageType.FILE,
            retention=RetentionPolicy.LIMITS,
            allow_direct=True,
            allow_atomic=True,
            allow_msg_ttl=True,
        ),
        StreamConfig(
            name=LATER,
            description="Retries, until they are due",
            subjects=["later.>"],
            max_age=limits.age_max_s,
            max_msg_size=MESSAGE_SIZE_MAX,
            num_replicas=limits.replicas,
            storage=StorageType.FILE,
            allow_direct=True,
            allow_msg_schedules=True,
            allow_msg_ttl=True,
        ),
        StreamConfig(
            name=DEAD,
            description="Dead letters, and what the server gave up",
            subjects=[
                "dead.>",
                f"{_ADVISORY}.MAX_DELIVERIES.{EVENTS}.>",
                f"{_ADVISORY}.MAX_DELIVERIES.{LATER}.>",
                f"{_ADVISORY}.MSG_TERMINATED.{EVENTS}.>",
                f"{_ADVISORY}.MSG_TERMINATED.{LATER}.>",
            ],
            max_msgs=DEAD_MESSAGES_MAX,
            max_bytes=DEAD_BYTES_MAX,
            max_age=DEAD_AGE_MAX_S,
            num_replicas=limits.replicas,
            storage=StorageType.FILE,
            allow_direct=True,
        ),
        StreamConfig(
            name=LEDGER,
            description="Money: reserved, settled, released",
            subjects=["ledger.>"],
            discard=DiscardPolicy.NEW,
            max_bytes=LEDGER_BYTES_MAX,
            max_age=LEDGER_AGE_MAX_S,
            max_msg_size=MESSAGE_SIZE_MAX,
            num_replicas=limits.replicas,
            storage=StorageType.FILE,
            allow_direct=True,
        ),
        _audit(limits),
    )


def _audit(limits: StreamLimits) -> StreamConfig:
    return StreamConfig(
        name=AUDIT,
        description="Who tried or did what",
        subjects=["audit.>"],
        discard=DiscardPolicy.NEW,
        max_bytes=AUDIT_BYTES_MAX,
        max_age=AUDIT_AGE_MAX_S,
        max_msg_size=AUDIT_LINE_BYTES_MAX,
        num_replicas=limits.replicas,
        storage=StorageType.FILE,
        allow_direct=True,
    )


async def ensure_streams(connection: Connection, limits: StreamLimits) -> None:
    """Create the streams, or bring existing ones to these limits.

    Raises:
        BusError: the server refuses, for example because it lacks the space or is older than 2.14.
    """
    for config in stream_configs(limits):
        wanted = config.as_dict()
        made = await connection.api(f"STREAM.CREATE.{config.name}", wanted)
        if (error := made.get("error")) and error.get("err_code") == 10058:  # exists, configured otherwise
            made = await connection.api(f"STREAM.UPDATE.{config.name}", wanted)
            error = made.get("error")
        if error:
            raise BusError(
                f"stream {config.name} can't be made: {error.get('description')} ({error.get('err_code')}); "
                "Labverse needs nats-server 2.14 or newer with JetStream"
            )
