"""One connection to NATS that outlives restarts of the server.

nats-py reconnects by itself; this adds what it leaves open: requests that are tried again instead of hanging,
errors of the server as our errors, and one place where pull loops and the publisher learn of a reconnect.
"""

import asyncio
import logging
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec
import nats.errors
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription as NatsSubscription

from bus.cancelling import cancellations, raise_swallowed
from bus.errors import BusError, ConnectError
from bus.redact import error_text, redact
from bus.wire import WireClient

log = logging.getLogger("labverse.bus")

RECONNECT_WAIT_S: Final = 0.05
"""Between two attempts to reconnect: short, so that work flows again within 0.2 s of the server's return."""
REQUEST_TRY_S: Final = 2.0
RETRY_PAUSE_S: Final = 0.02
PENDING_BYTES_MAX: Final = 64 * 1024 * 1024
"""What nats-py may buffer: above our windows, so that a publish never blocks (that swallows cancel)."""
PENDING_MESSAGES_MAX: Final = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectOptions:
    """How to reach NATS. All secrets stay in here: the repr shows none.

    Attributes:
        url: one or more servers, separated by commas.
        inbox_prefix: lets an operator narrow what an agent may subscribe to.
    """

    url: str = field(repr=False)
    name: str = "labverse"
    user: str = ""
    password: str = field(default="", repr=False)
    token: str = field(default="", repr=False)
    credentials_file: str = ""
    nkey_seed_file: str = ""
    tls_ca_file: str = ""
    tls_cert_file: str = ""
    tls_key_file: str = ""
    connect_timeout_s: float = 5.0
    inbox_prefix: str = "_INBOX"

    def tls_context(self) -> ssl.SSLContext | None:
        """The TLS context asked for, None when no TLS file is named.

        Raises:
            ConnectError: a file is missing or is not a certificate or key.
        """
        if not (self.tls_ca_file or self.tls_cert_file):
            return None
        try:
            context = ssl.create_default_context(cafile=self.tls_ca_file or None)
            if self.tls_cert_file:
                context.load_cert_chain(self.tls_cert_file, self.tls_key_file or None)
        except (OSError, ssl.SSLError) as error:
            files = [f for f in (self.tls_ca_file, self.tls_cert_file, self.tls_key_file) if f]
            raise ConnectError(f"TLS files {', '.join(files)} can't be used: {error_text(error)}") from None
        return context


class Connection:
    """A connected client. Made by `Connection.open`."""

    def __init__(self) -> None:
        self.client = WireClient()
        self.connected = asyncio.Event()
        self.on_reconnect: list[Callable[[], None]] = []
        self.on_disconnect: list[Callable[[], None]] = []
        self.last_error = ""
        self._last_logged = ""
        self._refused = asyncio.Event()

    @classmethod
    async def open(cls, options: ConnectOptions) -> "Connection":
        """Connect, trying for `connect_timeout_s`.

        Raises:
            ConnectError: no server answered in time, or it refused the credentials.
        """
        self = cls()
        shown = redact(options.url)
        connecting = asyncio.create_task(self._connect(options))
        refused = asyncio.create_task(self._refused.wait())
        try:
            # nats-py goes on trying when its credentials are refused; a person wants to know at once.
            await asyncio.wait(
                (connecting, refused),
                timeout=options.connect_timeout_s,
                return_when=asyncio.FIRST_COMPLETED,
            )
            if refused.done() and not connecting.done():
                raise ConnectError(
                    f"NATS server {shown} refused us: {self.last_error}; check the credentials"
                )
            if not connecting.done():
                raise TimeoutError
            await connecting
        except TimeoutError:
            raise ConnectError(
                f"no NATS server at {shown} within {options.connect_timeout_s:g} s"
                f"{': ' + self.last_error if self.last_error else ''}; "
                "start one, correct NATS_URL, or unset it to use the embedded server"
            ) from None
        except (nats.errors.Error, OSError, ValueError) as error:
            raise ConnectError(f"NATS server {shown} refused us: {error_text(error)}") from None
        finally:
            refused.cancel()
            connecting.cancel()
            await asyncio.gather(connecting, refused, return_exceptions=True)
        self.connected.set()
        return self

    async def _connect(self, options: ConnectOptions) -> None:
        await self.client.connect(
            servers=[url.strip() for url in options.url.split(",")],
            name=options.name,
            error_cb=self._on_error,
            disconnected_cb=self._on_disconnected,
            reconnected_cb=self._on_reconnected,
            closed_cb=self._on_disconnected,
            max_reconnect_attempts=-1,
            reconnect_time_wait=RECONNECT_WAIT_S,  # type: ignore[arg-type]
            connect_timeout=2,
            ping_interval=10,
            pending_size=PENDING_BYTES_MAX,
            tls=options.tls_context(),
            user=options.user or None,
            password=options.password or None,
            token=options.token or None,
            user_credentials=options.credentials_file or None,
            nkeys_seed=options.nkey_seed_file or None,
            inbox_prefix=options.inbox_prefix,
        )

    async def _on_error(self, error: Exception) -> None:
        text = error_text(error)
        self.last_error = text
        if "authorization" in text.lower() and not self.connected.is_set():
            self._refused.set()
        if text != self._last_logged:  # the library reports every attempt to reconnect; once is enough
            self._last_logged = text
            log.warning("NATS: %s", text)

    async def _on_disconnected(self) -> None:
        self.connected.clear()
        for callback in self.on_disconnect:
            callback()

    async def _on_reconnected(self) -> None:
        self._last_logged = ""
        self.connected.set()
        for callback in self.on_reconnect:
            callback()

    @property
    def payload_bytes_max(self) -> int:
        """What the server takes in one message, headers included."""
        return self.client.max_payload

    def inbox(self) -> str:
        return self.client.new_inbox()

    async def subscribe(
        self, subject: str, callback: Callable[[Msg], Any], queue: str = ""
    ) -> NatsSubscription:
        """Subscribe with limits that are above our own windows, so that nats-py never drops a message."""
        return await self.client.subscribe(
            subject,
            queue=queue,
            cb=callback,
            pending_msgs_limit=PENDING_MESSAGES_MAX,
            pending_bytes_limit=PENDING_BYTES_MAX * 4,
        )

    async def request(self, subject: str, payload: bytes, *, timeout_s: float = 10.0) -> Msg:
        """Ask something that may be asked twice: tried again through reconnects until `timeout_s` is over.

        Raises:
            BusError: no answer in time.
        """
        until = time.monotonic() + timeout_s
        why = "not connected"
        while (left := until - time.monotonic()) > 0:
            if not self.client.is_connected:
                try:
                    await asyncio.wait_for(self.connected.wait(), left)
                except TimeoutError:
                    break
            asked_to_end = cancellations()
            try:
                answer = await self.client.request(subject, payload, timeout=min(left, REQUEST_TRY_S))
                raise_swallowed(asked_to_end)
                return answer
            except nats.errors.NoRespondersError:
                why = "nobody answers there (is JetStream enabled?)"
                await asyncio.sleep(RETRY_PAUSE_S)
            except (nats.errors.TimeoutError, nats.errors.ConnectionClosedError) as error:
                why = error_text(error)
                if self.client.is_closed:
                    break
        raise BusError(f"{subject.split('.DIRECT')[0][:120]}: no answer within {timeout_s:g} s: {why}")

    async def api(self, call: str, body: object = None, *, timeout_s: float = 10.0) -> dict[str, Any]:
        """A JetStream API call. An error of the server comes back under the key `error`."""
        payload = b"" if body is None else msgspec.json.encode(body)
        answer = await self.request(f"$JS.API.{call}", payload, timeout_s=timeout_s)
        return msgspec.json.decode(answer.data, type=dict[str, Any])

    async def close(self) -> None:
        """Send what is buffered, then close. Never takes longer than 2 s."""
        self.on_reconnect.clear()
        self.on_disconnect.clear()
        if self.client.is_connected:
            try:
                await self.client.flush(timeout=2)
            except (nats.errors.Error, OSError):
                pass  # the server has gone: nothing more can be sent
        try:
            await asyncio.wait_for(self.client.close(), 2.0)
        except (TimeoutError, OSError):
            pass


def read_secret_file(path: str) -> str:
    """The text of a file that holds one secret.

    Raises:
        ConnectError: it can't be read.
    """
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise ConnectError(f"{path} can't be read: {error.strerror}") from None
