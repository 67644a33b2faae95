"""Everything that travels between agents: events on NATS JetStream, requests, values, objects.

async with open_bus(BusOptions()) as bus:
    await bus.run(Subscription(durable="greeter", listens=(Asked,), handle=greet))
    task_id = await bus.submit(Asked(name="Ada"))
"""

import bus.no_websockets  # noqa: F401 - before anything that imports nats
from bus.bus import Bus, StreamState
from bus.connection import ConnectOptions
from bus.envelope import Envelope
from bus.errors import (
    AlreadyHandledError,
    BusError,
    ConflictError,
    ConnectError,
    DeadlineError,
    DecodeError,
    DuplicateTaskError,
    EmbeddedServerError,
    FencedError,
    NoResponderError,
    ObjectError,
    PayloadTooLargeError,
    PermanentError,
    PublishError,
    PublishTimeoutError,
    RemoteError,
    RetryableError,
    StreamFullError,
)
from bus.gather import Gathered
from bus.opening import open_bus
from bus.options import BusOptions
from bus.rpc import Caller, Service
from bus.streams import StreamLimits
from bus.subscription import Outputs, Subscription

__all__ = [
    "AlreadyHandledError",
    "Bus",
    "BusError",
    "BusOptions",
    "Caller",
    "ConflictError",
    "ConnectError",
    "ConnectOptions",
    "DeadlineError",
    "DecodeError",
    "DuplicateTaskError",
    "EmbeddedServerError",
    "Envelope",
    "FencedError",
    "Gathered",
    "NoResponderError",
    "ObjectError",
    "Outputs",
    "PayloadTooLargeError",
    "PermanentError",
    "PublishError",
    "PublishTimeoutError",
    "RemoteError",
    "RetryableError",
    "Service",
    "StreamFullError",
    "StreamLimits",
    "StreamState",
    "Subscription",
    "open_bus",
]
