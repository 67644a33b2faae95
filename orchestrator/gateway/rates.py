"""How often each may ask: token buckets in a bounded table. Pure: the time is passed in."""

import ipaddress
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final

BUCKETS_MAX: Final = 10_000
"""Of keys and addresses that are remembered; whoever was heard of longest ago is forgotten."""
MINUTE_S: Final = 60.0
_NETWORK_BITS: Final = 64
"""What one host of IPv6 has to itself."""


@dataclass(slots=True)
class _Bucket:
    tokens: float
    at_s: float


@dataclass(eq=False, slots=True, kw_only=True)
class Rates:
    """Lets everybody ask `per_minute` times a minute, all at once if they like."""

    per_minute: int
    buckets_max: int = BUCKETS_MAX
    _buckets: OrderedDict[str, _Bucket] = field(default_factory=OrderedDict)

    def __len__(self) -> int:
        return len(self._buckets)

    def take(self, who: str, now_s: float) -> float:
        """Count one request; 0.0 if it is within the limit, else seconds until the next one would be.

        Args:
            now_s: by a clock that never goes back.
        """
        bucket = self._buckets.get(who)
        if bucket is None:
            bucket = self._buckets[who] = _Bucket(float(self.per_minute), now_s)
            while len(self._buckets) > self.buckets_max:
                self._buckets.popitem(last=False)
        self._buckets.move_to_end(who)
        rate = self.per_minute / MINUTE_S
        elapsed_s = max(0.0, now_s - bucket.at_s)
        bucket.tokens = min(float(self.per_minute), bucket.tokens + elapsed_s * rate)
        bucket.at_s = now_s
        if bucket.tokens >= 1.0:
            bucket.tokens -= 1.0
            return 0.0
        return (1.0 - bucket.tokens) / rate


def network_of(host: str) -> str:
    """Whom an address belongs to: itself, or for IPv6 the network that one host can take any address of."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((int(address), _NETWORK_BITS), strict=False))
    return str(address)
