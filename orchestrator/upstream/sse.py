"""SSE: the data of server-sent events, out of bytes that come in any pieces.

Pure core: no await, no clock, no randomness.
"""

from collections.abc import Iterator
from typing import Final

LINE_BYTES_MAX: Final = 4 * 1024 * 1024
DONE: Final = b"[DONE]"


class TooLongError(ValueError):
    """Raised when a line is longer than LINE_BYTES_MAX."""


class EventLines:
    """The `data:` of each event, in order.

    Every provider puts an event's data on one line, so each line with data is given at once, without waiting
    for the empty line that ends the event. Other fields (`event:`, `id:`, comments) are left out.
    """

    def __init__(self) -> None:
        self._rest = bytearray()

    def feed(self, piece: bytes) -> Iterator[bytes]:
        """Take in a piece; gives the data that it completes.

        Raises:
            TooLongError: a line is too long.
        """
        end = piece.rfind(b"\n") + 1
        if end:
            lines = bytes(self._rest + piece[:end]).split(b"\n")
            self._rest = bytearray(piece[end:])
        else:
            lines = []
            self._rest += piece  # searched no second time, so that a long line costs no more than its length
        if len(self._rest) > LINE_BYTES_MAX:
            raise TooLongError(f"a line of more than {LINE_BYTES_MAX} bytes")
        for line in lines:
            if (data := _data(line)) is not None:
                yield data

    def end(self) -> Iterator[bytes]:
        """The data of a last line that has no end, if there is one."""
        if (data := _data(bytes(self._rest))) is not None:
            yield data


def _data(line: bytes) -> bytes | None:
    if not line.startswith(b"data:"):
        return None
    return line[5:].strip() or None
