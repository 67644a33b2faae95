"""The NATS client with two hot paths of its own: headers out, headers in.

nats-py validates, strips, translates and encodes every header by itself, which costs more than all the rest
of a publish when an event carries ten of them (ARCHITECTURE.md has the figures). Our header blocks are built
from checked tokens, so they are sent as they are; a received block takes one decode and one split per line,
and anything unusual goes the library's own way. `tests/bus/test_wire.py` holds both equal to the library's.
"""

from nats.aio.client import Client
from nats.errors import ConnectionClosedError, MaxPayloadError, OutboundBufferLimitError

_HEAD = b"NATS/1.0\r\n"


class WireClient(Client):
    async def send(self, subject: str, payload: bytes, reply: str = "", headers: bytes = b"") -> None:
        """Publish with a finished header block (`bus.envelope` makes them), or without one.

        The caller vouches for `subject`, `reply` and `headers`: they are not checked again.

        Raises:
            ConnectionClosedError, MaxPayloadError, OutboundBufferLimitError: as nats-py's own publish.
        """
        size = len(payload)
        if self.is_closed:
            raise ConnectionClosedError
        if not self.is_connected and size + self._pending_data_size > self._max_pending_size:
            raise OutboundBufferLimitError
        if size + len(headers) > self._max_payload:
            raise MaxPayloadError
        if headers:
            line = f"HPUB {subject} {reply} {len(headers)} {size + len(headers)}\r\n".encode()
            command = b"%b%b%b\r\n" % (line, headers, payload)
        else:
            command = b"%b%b\r\n" % (f"PUB {subject} {reply} {size}\r\n".encode(), payload)
        self.stats["out_msgs"] += 1
        self.stats["out_bytes"] += size
        await self._send_command(command)
        if self._flush_queue is not None and self._flush_queue.empty():
            await self._flush_pending()

    async def _process_headers(self, headers: bytes) -> dict[str, str] | None:
        if not headers:
            return None
        if headers.startswith(_HEAD):
            try:
                lines = headers[len(_HEAD) : -4].decode("ascii").split("\r\n")
                # A value with stray blanks at its ends or a line without ": " is for the library to judge.
                return dict(line.split(": ", 1) for line in lines)
            except ValueError:
                pass
        parsed: dict[str, str] | None = await super()._process_headers(headers)
        return parsed
