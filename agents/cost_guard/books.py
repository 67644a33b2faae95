"""The books: the ledger's journal in the stream `LEDGER`, for the guard who writes it and for those who read it."""

from collections.abc import AsyncGenerator
from typing import Final

import msgspec

from agents.cost_guard.ledger import Entry, Expired, LedgerState, Settled
from bus import Bus
from bus.journal import Journal
from bus.streams import LEDGER
from schemas.cost import CallRecord

ROOT: Final = "ledger"


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """Decisions that were stored together.

    Attributes:
        epoch: fencing token of the leader who wrote it.
        announced: sequence up to which all events were published; who takes over publishes the later ones.
    """

    epoch: int
    entries: tuple[Entry, ...] = ()
    announced: int = 0


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    epoch: int
    state: LedgerState
    announced: int = 0


def books(bus: Bus) -> Journal[Batch, Snapshot]:
    """The journal that the ledger is written to."""
    return bus.journal(LEDGER, ROOT, Batch, Snapshot)


async def read_records(bus: Bus, since_s: float = 0.0) -> AsyncGenerator[CallRecord]:
    """What is recorded of every call since then (seconds since 1970), oldest first.

    A call that was charged whole, because nobody settled it in time, comes as UNKNOWN, and again if it was
    settled after all: the later one counts.

    Raises:
        BusError: the ledger can't be read.
    """
    async for _, batch in books(bus).read(since_s=since_s):
        for entry in batch.entries:
            match entry:
                case Settled(record):
                    yield record
                case Expired(record=CallRecord() as record):
                    yield record
                case _:
                    pass
