"""How to get a bus, and who we are on it."""

from dataclasses import dataclass, field
from pathlib import Path

from bus.connection import ConnectOptions
from bus.streams import StreamLimits


@dataclass(frozen=True, slots=True, kw_only=True)
class BusOptions:
    """How to get a bus.

    Attributes:
        connect: an existing NATS; None starts or finds the embedded server of `data_dir`.
        source: who we are in the envelopes of what we publish.
        role: what this process is, for `labverse status`.
        grace_s: how long a stopping process lets its handlers finish.
    """

    connect: ConnectOptions | None = None
    data_dir: Path = field(default_factory=lambda: Path.home() / ".local" / "share" / "labverse")
    port: int = 0
    sync_always: bool = True
    limits: StreamLimits = field(default_factory=StreamLimits)
    object_bytes_max: int = 64 * 1024 * 1024
    objects_bytes_max: int = 4 * 1024**3
    source: str = "labverse"
    role: str = "cli"
    version: str = ""
    grace_s: float = 10.0
