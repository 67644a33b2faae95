"""A deal's money at the gates, for agents whose handlers may be called again."""

import logging
import time
from collections.abc import Sequence
from typing import Final

from agents.negotiator.gates import GateError, Gates, hold, release
from bus import Bus, BusError
from bus.errors import RetryableError
from schemas.negotiation import Payment

log = logging.getLogger("labverse.negotiator")

AGAIN_S: Final = 5.0


async def hold_for(bus: Bus, gates: Gates, payments: Sequence[Payment], task_id: str) -> str:
    """Hold what the deal pays; which limit stands in the way, or empty.

    Raises:
        RetryableError: no cost guard answers; nothing may be paid until one does.
    """
    try:
        held = await hold(bus, task_id=task_id, payments=payments, now_s=time.time(), gates=gates)
    except GateError as error:
        raise RetryableError(str(error), delay_s=AGAIN_S) from None
    return held if isinstance(held, str) else ""


async def give_back(bus: Bus, payments: Sequence[Payment], task_id: str) -> None:
    """What the deal held, since it is off; where nobody takes it back, it comes back at the end of the day."""
    try:
        await release(bus, task_id=task_id, payments=payments, now_s=time.time())
    except BusError as error:
        log.warning("the money of task %s stays held to the end of the day: %s", task_id, error)
