"""What the cost guard's books say, read entry by entry as a second accountant would."""

from dataclasses import dataclass

from agents.cost_guard.books import books
from agents.cost_guard.ledger import Ledger, Limits
from bus import Bus


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """All in nano-USD.

    Attributes:
        highest_nusd: the most that was ever spent and held together.
        epochs: fencing tokens of those who wrote, in the order of their first entry.
        charged: calls that were charged whole because nobody settled them, and weren't settled later.
    """

    spent_nusd: int
    held_nusd: int
    highest_nusd: int
    epochs: tuple[int, ...]
    entries: int
    charged: int


async def audit(bus: Bus, limit_nusd: int) -> Audit:
    """Read all entries from the first one on; snapshots are passed over."""
    ledger = Ledger(Limits(month_nusd=limit_nusd, stop_percent=100))
    highest = entries = 0
    epochs: dict[int, None] = {}
    async for _, batch in books(bus).read():
        epochs[batch.epoch] = None
        for entry in batch.entries:
            ledger.apply(entry)
            entries += 1
            accounts = ledger.state.months.values()
            highest = max(highest, sum(one.spent_nusd + one.held_nusd for one in accounts))
    months = ledger.state.months.values()
    return Audit(
        spent_nusd=sum(one.spent_nusd for one in months),
        held_nusd=sum(one.held_nusd for one in months),
        highest_nusd=highest,
        epochs=tuple(epochs),
        entries=entries,
        charged=len(ledger.state.charged),
    )
