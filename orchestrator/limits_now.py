"""The limits on money as they stand: told by the cost guard that leads, else worked out from the books."""

import os
import time
from typing import TYPE_CHECKING, Final

from agents.cost_guard.books import books
from agents.cost_guard.ledger import Ledger
from bus import Bus
from bus.budget import Budget
from config.providers import find_providers_file, load_providers
from orchestrator.routing import limits_of
from schemas.cost import StateReply

if TYPE_CHECKING:
    from config.settings import Settings

STATE_TIMEOUT_S: Final = 0.5
"""For a guard that leads; without one the books are read."""


async def limits_now(bus: Bus, settings: "Settings", *, task_id: str = "", tenant: str = "") -> StateReply:
    """Month, and the tenant's and task's when they are named; `leader` is empty when nobody leads.

    Raises:
        BusError: the books can't be read.
        ConfigError: the providers file, which sets the limits, can't be used.
    """
    told = await Budget(bus).state(task_id=task_id, tenant=tenant, timeout_s=STATE_TIMEOUT_S)
    if told is not None:
        return told
    limits = limits_of(load_providers(find_providers_file(settings.llm, os.environ)))
    snapshot, stored = await books(bus).open()
    ledger = Ledger(limits, snapshot.state if snapshot else None)
    for _, batch in stored:
        ledger.replay(batch.entries)
    ledger.look(time.time())
    budgets = {one.limit.split(" ")[0]: one for one in ledger.budgets(task_id, tenant)}
    month = budgets["month"]
    return StateReply(
        month=month,
        tenant=budgets.get("tenant"),
        task=budgets.get("task"),
        is_stopped=month.spent_nusd + month.reserved_nusd >= month.stop_nusd,
        open_reservations=len(ledger.state.open),
    )
