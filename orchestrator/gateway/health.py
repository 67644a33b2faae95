"""`GET /health`: whether the bus answers, which agents are there, how full the streams are, how quick we are.

Needs no key, so it tells no address, host or id; and it never hangs: what the bus says is asked for at most once in
`FRESH_S`, for all who ask, and given up after `BUS_S`.
"""

import asyncio
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Final, Literal

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bus import BusError
from orchestrator.gateway.endpoint import Endpoint, answer
from orchestrator.gateway.parts import Parts

BUS_S: Final = 1.0
FRESH_S: Final = 1.0


class StreamFill(msgspec.Struct, frozen=True, kw_only=True):
    """How full a stream is.

    Attributes:
        used: share of its limit, 0 to 1, by messages or bytes, whichever is more.
    """

    name: str
    messages: int
    bytes: int
    used: float


class RequestTimes(msgspec.Struct, frozen=True, kw_only=True):
    """How long the newest requests took.

    Attributes:
        count: requests since the gateway started.
        p50_ms, p95_ms: milliseconds; None before the first request.
    """

    count: int
    p50_ms: float | None = None
    p95_ms: float | None = None


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """How the gateway and its bus are.

    Attributes:
        status: `ok`, or `bus_unreachable` with HTTP status 503.
        agents: how many of each kind are there, in all processes.
    """

    status: Literal["ok", "bus_unreachable"]
    version: str
    uptime_s: float
    requests: RequestTimes
    agents: dict[str, int] = {}
    streams: tuple[StreamFill, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    at_s: float
    agents: dict[str, int]
    streams: tuple[StreamFill, ...]
    is_reachable: bool


@dataclass(eq=False, slots=True)
class _Probe:
    """Asks the bus, for all who want to know at the same time."""

    parts: Parts
    _seen: _Seen | None = None
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def look(self) -> _Seen:
        async with self._lock:
            if self._seen is None or time.monotonic() - self._seen.at_s > FRESH_S:
                self._seen = await self._ask()
            return self._seen

    async def _ask(self) -> _Seen:
        bus = self.parts.bus
        agents: Counter[str] = Counter()
        fills: tuple[StreamFill, ...] = ()
        is_reachable = False
        try:
            async with asyncio.timeout(BUS_S):
                states, processes = await asyncio.gather(bus.streams(), bus.presence.processes())
            is_reachable = bus.connection.client.is_connected
            agents.update(agent.durable for process in processes for agent in process.agents)
            fills = tuple(
                StreamFill(
                    name=one.name,
                    messages=one.messages,
                    bytes=one.bytes,
                    used=round(
                        max(_share(one.messages, one.messages_max), _share(one.bytes, one.bytes_max)), 4
                    ),
                )
                for one in states
            )
        except (BusError, TimeoutError):
            pass  # what we answer says so
        return _Seen(
            at_s=time.monotonic(),
            agents=dict(sorted(agents.items())),
            streams=fills,
            is_reachable=is_reachable,
        )


def _share(used: int, most: int) -> float:
    return used / most if most > 0 else 0.0


def routes(parts: Parts) -> list[Route]:
    """`GET /health`."""
    probe = _Probe(parts)

    async def health(_: Request) -> Response:
        seen = await probe.look()
        timings = parts.timings
        told = Health(
            status="ok" if seen.is_reachable else "bus_unreachable",
            version=parts.version,
            uptime_s=round(time.monotonic() - parts.started_s, 3),
            requests=RequestTimes(
                count=timings.count, p50_ms=_ms(timings.quantile_s(0.5)), p95_ms=_ms(timings.quantile_s(0.95))
            ),
            agents=seen.agents,
            streams=seen.streams,
        )
        return answer(told, 200 if seen.is_reachable else 503)

    return [
        Endpoint(
            "/health",
            health,
            method="GET",
            scope=None,
            summary="How the gateway and its bus are",
            gives=Health,
            errors={503: "The bus does not answer."},
        )
    ]


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1e3, 3)
