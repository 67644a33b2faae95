"""What can go wrong on the bus. Every message says what, where, and what to do, with numbers.

A handler decides the fate of its event by the error it raises: the decision travels as data in the error.
"""


class BusError(Exception):
    """Base of all errors of the bus."""


class ConnectError(BusError):
    """Raised when no NATS server can be reached or it refuses us."""


class EmbeddedServerError(BusError):
    """Raised when the embedded server can't be started on a data folder."""


class PublishError(BusError):
    """Raised when an event was not stored: the server refused it."""


class PublishTimeoutError(PublishError):
    """Raised when the server didn't confirm a publish in time; it may still have been stored."""


class StreamFullError(PublishError):
    """Raised when the stream is at its limit. Nothing waiting is ever dropped to make room."""


class DuplicateTaskError(PublishError):
    """Raised when a task id is already taken by another command."""


class AlreadyHandledError(PublishError):
    """Raised when another worker, or an earlier attempt, already committed the outputs for this input."""


class PayloadTooLargeError(PublishError):
    """Raised when a payload is over the limit even for the object store."""


class DecodeError(BusError):
    """Raised when a message is not the event that its subject says: refused with the path of the error."""


class NoResponderError(BusError):
    """Raised at once when nobody serves a request."""


class DeadlineError(BusError):
    """Raised when an answer didn't come before the deadline."""


class RemoteError(BusError):
    """Raised when the responder of a request reports an error.

    Attributes:
        kind: the name of the error's class on the other side.
    """

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class ObjectError(BusError):
    """Raised when an object is missing from the object store, or is not what its name promised."""


class ConflictError(BusError):
    """Raised when a compare-and-swap on a key lost against another writer."""


class FencedError(BusError):
    """Raised when a former leader tries to write after another one has taken over."""


class RetryableError(Exception):
    """Raised by a handler when trying again later may help.

    Args:
        delay_s: when to try again; by default a back-off with jitter.
    """

    def __init__(self, message: str, *, delay_s: float | None = None) -> None:
        super().__init__(message)
        self.delay_s = delay_s


class PermanentError(Exception):
    """Raised by a handler when no further attempt can help: the event becomes a dead letter at once."""
