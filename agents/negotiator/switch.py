"""The kill switch of unattended work: one key that everybody reads before a side effect.

What can't be read with certainty means stop: a missing bucket or key, a value that is something else, a server that
doesn't answer in time.
"""

import asyncio
from typing import Final

from bus import Bus, BusError, ConflictError
from bus.envelope import now_text
from bus.kv import Bucket
from schemas.approval import AuditEntry
from schemas.negotiation import SwitchState

BUCKET: Final = "SWITCHES"
KEY: Final = "negotiation"
READ_WITHIN_S: Final = 2.0
REASON_CHARS_MAX: Final = 500


def switches(bus: Bus) -> Bucket[SwitchState]:
    """The bucket; `ensure` makes it."""
    return bus.bucket(BUCKET, SwitchState)


async def ensure(bus: Bus) -> None:
    """Make the switch where there is none yet, in running state; one that was ever set is left as it is.

    Raises:
        BusError: the server refuses or doesn't answer.
    """
    bucket = switches(bus)
    await bucket.ensure()
    try:
        await bucket.update(KEY, SwitchState(is_stopped=False, at=now_text()), 0)
    except ConflictError:
        pass


async def exists(bus: Bus) -> bool:
    """Whether there is a switch at all: before anything ran unattended there is none.

    Raises:
        BusError: the server doesn't answer.
    """
    return "error" not in await bus.connection.api(f"STREAM.INFO.KV_{BUCKET}")


async def is_running(bus: Bus) -> tuple[bool, str]:
    """Whether unattended work may go on, and if not, why, in one line."""
    state = await read(bus)
    if isinstance(state, str):
        return False, f"the kill switch can't be read, so everything stops: {state}"
    return not state.is_stopped, stopped_words(state)


async def read(bus: Bus) -> SwitchState | str:
    """The switch as it stands, or why it can't be read."""
    try:
        async with asyncio.timeout(READ_WITHIN_S):
            found = await switches(bus).get(KEY)
    except TimeoutError:
        return f"no answer within {READ_WITHIN_S:g} s"
    except BusError as error:
        return str(error)
    return f"there is none under {BUCKET}.{KEY}" if found is None else found[0]


def stopped_words(state: SwitchState) -> str:
    """Core: who stopped it, when and why; empty when it runs."""
    if not state.is_stopped:
        return ""
    words = f"stopped by {state.by or 'somebody'}"
    words += f" at {state.at[:19].replace('T', ' ')} UTC" if state.at else ""
    return words + (f": {state.reason}" if state.reason else "")


async def set(bus: Bus, *, is_stopped: bool, by: str, reason: str = "", via: str = "cli") -> SwitchState:
    """Stop unattended work everywhere, or let it go on; returns the switch as it is now.

    Setting it as it is already is fine: of a switch that is stopped, who stopped it first stays.

    Raises:
        BusError: it can't be written, or not be written down in the audit log: then it may be set all the same.
    """
    bucket = switches(bus)
    await bucket.ensure()
    state = SwitchState(is_stopped=is_stopped, by=by, reason=reason[:REASON_CHARS_MAX], at=now_text())
    before = await read(bus)
    if isinstance(before, SwitchState) and before.is_stopped and is_stopped:
        state, outcome = before, "already stopped"
    else:
        await bucket.put(KEY, state)
        outcome = "done"
    await bus.audit(
        AuditEntry(
            at=now_text(),
            what="negotiations.stop" if is_stopped else "negotiations.resume",
            identity=by,
            outcome=outcome,
            subject=KEY,
            via=via,
            detail=reason[:REASON_CHARS_MAX],
        )
    )
    return state
