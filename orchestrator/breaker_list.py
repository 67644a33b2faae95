"""Which breakers are open now, as the routers tell."""

import time

from agents.router.breakers import BreakerRecord, breakers_bucket
from bus import Bus, BusError


async def open_breakers(bus: Bus) -> list[BreakerRecord]:
    """Those that let nothing through at this moment, the longest first; none when no router ever told of one."""
    bucket = breakers_bucket(bus)
    try:
        await bucket.ensure()
        records = (await bucket.values()).values()
    except BusError:
        return []
    now_s = time.time()
    return sorted(
        (record for record in records if record.open_until_s > now_s),
        key=lambda record: -record.open_until_s,
    )
