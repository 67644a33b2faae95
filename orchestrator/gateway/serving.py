"""The gateway as a part of `labverse up`: listens, serves, and leaves in good order."""

import asyncio
import errno
import ipaddress
import logging
import math
import os
import socket
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final

from uvicorn import Config

from bus import Bus
from config.errors import ConfigError
from config.settings import GatewaySettings, Settings
from orchestrator.gateway.app import Gateway
from orchestrator.gateway.gate import HEAD_BYTES_MAX
from orchestrator.gateway.http import Connection, HttpServer
from orchestrator.gateway.keys import Keys, keys_path
from orchestrator.gateway.parts import Parts
from orchestrator.shell import UserError
from orchestrator.version import VERSION

log = logging.getLogger("labverse.gateway")

BACKLOG_MAX: Final = 256
KEEP_ALIVE_S: Final = 15
LAST_WORDS_S: Final = 1.0
"""For requests that the end of the grace period cut short, to be told so."""


@asynccontextmanager
async def gateway_on(bus: Bus, settings: Settings) -> AsyncGenerator[str]:
    """Serve HTTP on `gateway.host` and `gateway.port` while the block runs; yields the base URL.

    On the way out no more connections are taken; requests at hand, and what runs behind them, get `agents.grace_s` to
    finish.

    Raises:
        UserError: the port is taken or the host isn't ours; the keys file is broken; or others than this machine
            could come in and there is no key.
    """
    keys = Keys(path=keys_path(settings.gateway, os.environ))
    try:
        has_keys = bool(keys.rows())
    except ConfigError as error:
        raise UserError(str(error)) from None
    listener = await _listen(settings.gateway, has_keys=has_keys)
    parts = Parts(bus=bus, settings=settings, version=VERSION)
    grace_s = settings.agents.grace_s
    server = HttpServer(_config(Gateway(parts, keys), grace_s))
    serving = asyncio.create_task(server.serve(sockets=[listener]), name="gateway")
    serving.add_done_callback(_tell_of_end)
    try:
        await _until_it_serves(server, serving)
        yield _url(settings.gateway.host, listener)
    finally:
        until_s = time.monotonic() + grace_s
        server.should_exit = True
        await asyncio.wait((serving,))
        if cut_short := set(server.server_state.tasks):
            await asyncio.wait(cut_short, timeout=LAST_WORDS_S)
        await parts.background.close(max(0.0, until_s - time.monotonic()))
        listener.close()


def _config(app: Gateway, grace_s: float) -> Config:
    return Config(
        app,
        http=Connection,
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        log_level="critical",  # what it would say stands in our own log
        access_log=False,
        proxy_headers=False,  # anybody could claim any address
        server_header=False,
        backlog=BACKLOG_MAX,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=math.ceil(grace_s),
        h11_max_incomplete_event_size=HEAD_BYTES_MAX,
    )


async def _until_it_serves(server: HttpServer, serving: "asyncio.Task[None]") -> None:
    started = asyncio.create_task(server.serves.wait())
    try:
        await asyncio.wait((started, serving), return_when=asyncio.FIRST_COMPLETED)
    finally:
        started.cancel()
    if serving.done():
        await serving
        raise UserError("the gateway ended before it served: -vv shows why")


def _tell_of_end(serving: "asyncio.Task[None]") -> None:
    if not serving.cancelled() and (error := serving.exception()) is not None:
        log.error("the gateway has ended: %r", error)


async def _listen(gateway: GatewaySettings, *, has_keys: bool) -> socket.socket:
    """A listening socket.

    Raises:
        UserError: it can't be had.
    """
    host, port = gateway.host, gateway.port
    try:
        found = await asyncio.get_running_loop().getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except OSError as error:
        raise UserError(f"gateway.host {host!r} is no address of this machine: {error.strerror}") from None
    family, kind, protocol, _, address = found[0]
    if not has_keys and not ipaddress.ip_address(str(address[0]).partition("%")[0]).is_loopback:
        raise UserError(
            f"gateway.host {host} lets other machines in, and there is no API key to keep strangers out: make one "
            "with `labverse key new NAME`, or use 127.0.0.1"
        )
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.setblocking(False)
        listener.bind(address)
        listener.listen(BACKLOG_MAX)
    except OSError as error:
        listener.close()
        raise UserError(_why_not(host, port, error)) from None
    return listener


def _why_not(host: str, port: int, error: OSError) -> str:
    instead = "choose another with --http-port or gateway.port, or have no gateway with gateway.serve=false"
    if error.errno == errno.EADDRINUSE:
        return f"port {port} of {host} is taken: {instead}"
    if error.errno == errno.EACCES:
        return f"port {port} of {host} is not allowed for this user: {instead}"
    return f"the gateway can't listen at {host} port {port} ({error.strerror}): {instead}"


def _url(host: str, listener: socket.socket) -> str:
    port = listener.getsockname()[1]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
