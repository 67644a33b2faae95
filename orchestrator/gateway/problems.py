"""Which answer stands for which error of the bus."""

from bus import BusError
from bus.errors import (
    DeadlineError,
    DuplicateTaskError,
    NoResponderError,
    PayloadTooLargeError,
    PublishTimeoutError,
    RemoteError,
    StreamFullError,
)
from bus.redact import redact
from orchestrator.gateway.endpoint import ApiError

RETRY_AFTER_S = 5


def from_bus(error: BusError) -> ApiError:
    """`error` for whoever asked."""
    again = {"Retry-After": str(RETRY_AFTER_S)}
    match error:
        case NoResponderError():
            return ApiError(503, "nobody_serves", redact(str(error)), headers=again)
        case DeadlineError() | PublishTimeoutError():
            return ApiError(504, "no_answer_in_time", redact(str(error)))
        case RemoteError(kind="Busy"):
            return ApiError(503, "busy", redact(str(error)), headers=again)
        case RemoteError(kind=kind):
            return ApiError(502, "agent_failed", f"{kind}: {redact(str(error))}")
        case DuplicateTaskError():
            return ApiError(409, "task_exists", redact(str(error)), path="$.task_id")
        case PayloadTooLargeError():
            return ApiError(413, "too_large", redact(str(error)))
        case StreamFullError():
            return ApiError(503, "bus_full", redact(str(error)), headers=again)
        case _:
            # What else the bus says may name addresses: it belongs into the log.
            return ApiError(503, "bus_unavailable", "the bus does not answer: try again", headers=again)
