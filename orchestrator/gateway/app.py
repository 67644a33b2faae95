"""The gateway as an ASGI application: what happens to every request on its way to its endpoint and back.

In this order: a number for the request, the limit of requests at a time, the gate (route, key, rate), a span,
the body, the endpoint; and on the way back errors in one shape, headers, the log, the timings.

A new endpoint is a module with `routes(parts)` and a place in `ENDPOINTS`.
"""

import asyncio
import logging
import time
from dataclasses import dataclass, field
from types import ModuleType
from typing import Final

from starlette.routing import Route
from starlette.types import Message, Receive, Scope, Send

from bus import BusError
from bus.redact import error_text
from orchestrator.clean import clean
from orchestrator.gateway import approvals, health, openapi, slack, tasks
from orchestrator.gateway.bodies import GoneError, drain, has_body, header, read_body, replay
from orchestrator.gateway.endpoint import CALLER, ApiError, error_answer
from orchestrator.gateway.gate import Admitted, Gate
from orchestrator.gateway.keys import Keys
from orchestrator.gateway.parts import Parts
from orchestrator.gateway.problems import from_bus
from orchestrator.gateway.rates import Rates
from schemas.event import is_token
from schemas.ids import new_id

log = logging.getLogger("labverse.gateway")

ENDPOINTS: Final[tuple[ModuleType, ...]] = (health, approvals, tasks, slack)

REQUESTS_MAX: Final = 256
"""Requests at a time; more are told to come again."""
STRANGERS_MAX: Final = 96
"""Bodies of requests without a key that are read at a time."""
STRANGERS_BODY_S: Final = 5.0
LOGGED_CHARS_MAX: Final = 200

HEADERS: Final = {
    b"x-content-type-options": b"nosniff",
    b"x-frame-options": b"DENY",
    b"referrer-policy": b"no-referrer",
    b"content-security-policy": b"default-src 'none'; frame-ancestors 'none'",
    b"cache-control": b"no-store",
}
"""Of every answer that doesn't say otherwise."""


def all_routes(parts: Parts) -> list[Route]:
    """The routes of all endpoints, and of their documentation."""
    routes = [route for module in ENDPOINTS for route in module.routes(parts)]
    return [*routes, *openapi.routes(parts, routes)]


@dataclass(slots=True)
class _Sent:
    """What is known of a request, for the log."""

    request_id: str
    status: int = 0
    who: str = "-"
    path: str = ""


@dataclass(eq=False, slots=True)
class Gateway:
    """The ASGI application."""

    parts: Parts
    keys: Keys
    requests_max: int = REQUESTS_MAX
    gate: Gate = field(init=False)
    _running: int = 0
    _strangers: int = 0

    def __post_init__(self) -> None:
        rates = Rates(per_minute=self.parts.settings.gateway.requests_per_minute)
        self.gate = Gate(routes=all_routes(self.parts), keys=self.keys, rates=rates)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request.

        Raises:
            RuntimeError: it is something else than HTTP.
        """
        if scope["type"] != "http":
            raise RuntimeError(f"the gateway speaks HTTP, not {scope['type']}")
        began_s = time.monotonic()
        told = header(scope, b"x-request-id").decode("latin-1")
        sent = _Sent(told if is_token(told) else new_id(), path=clean(scope["path"])[:LOGGED_CHARS_MAX])
        self._running += 1
        try:
            await self._answer(scope, receive, _with_headers(send, sent), sent)
        finally:
            self._running -= 1
            took_s = time.monotonic() - began_s
            self.parts.timings.add(took_s)
            log.info(
                "%s %s %s %d %.1f ms %s",
                sent.request_id,
                clean(scope["method"])[:LOGGED_CHARS_MAX],
                sent.path,
                sent.status,
                took_s * 1e3,
                sent.who,
            )

    async def _answer(self, scope: Scope, receive: Receive, send: Send, sent: _Sent) -> None:
        try:
            await self._serve(scope, receive, send, sent)
            return
        except GoneError:
            return
        except asyncio.CancelledError:
            # uvicorn alone cancels a request, when the grace period is over; whoever waits is told, and that's it.
            again = {"Retry-After": "5", "Connection": "close"}
            problem = ApiError(503, "stopping", "the gateway is stopping: try again", headers=again)
        except ApiError as error:
            problem = error
        except BusError as error:
            log.info("%s %s: %s", sent.request_id, sent.path, error_text(error))
            problem = from_bus(error)
        except Exception as error:  # a bug of ours: named in the log, and to the client by its number alone
            log.error("%s %s: %s; -vv shows where", sent.request_id, sent.path, error_text(error))
            log.debug("unexpected", exc_info=error)
            problem = ApiError(
                500, "unexpected", f"this went wrong here: the log says more about request {sent.request_id}"
            )
        if sent.status:
            return  # the answer had begun: leaving it unfinished tells the client that it is broken
        if problem.status in (408, 413) or has_body(scope):
            # Nobody reads the rest of the body: the connection can't be used again.
            problem.headers["Connection"] = "close"
        await error_answer(problem)(scope, receive, send)

    async def _serve(self, scope: Scope, receive: Receive, send: Send, sent: _Sent) -> None:
        if self._running > self.requests_max:
            raise ApiError(
                503,
                "busy",
                f"{self.requests_max} requests run already: try again in a second",
                headers={"Retry-After": "1"},
            )
        try:
            admitted = self.gate.admit(scope)
        except ApiError:
            if has_body(scope):
                await drain(receive)
            raise
        sent.who = admitted.caller.identity if admitted.caller else "-"
        body = await self._body(scope, receive, admitted)
        scope = {**scope, **admitted.more, CALLER: admitted.caller}
        await self._in_span(admitted, scope, replay(body, receive), send)

    async def _body(self, scope: Scope, receive: Receive, admitted: Admitted) -> bytes:
        """The request's body; strangers get less time for theirs and less room, so that they can't fill the house."""
        bytes_max = self.parts.settings.gateway.body_bytes_max
        if admitted.caller is not None or not has_body(scope):
            return await read_body(scope, receive, bytes_max)
        if self._strangers >= STRANGERS_MAX:
            raise ApiError(
                503,
                "busy",
                "too many requests without a key: try again in a second",
                headers={"Retry-After": "1"},
            )
        self._strangers += 1
        try:
            return await read_body(scope, receive, bytes_max, STRANGERS_BODY_S)
        finally:
            self._strangers -= 1

    async def _in_span(self, admitted: Admitted, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the endpoint answer; who has a key may have it belong to a trace of theirs."""
        route, tracing = admitted.route, self.parts.bus.tracing
        parent = header(scope, b"traceparent").decode("latin-1") if admitted.caller else ""
        attributes = {
            "http.request.method": scope["method"],
            "http.route": route.path,
            "labverse.caller": admitted.caller.identity if admitted.caller else "",
        }
        with tracing.span(f"{scope['method']} {route.path}", attributes, parent=parent) as span:

            async def observed(message: Message) -> None:
                if span is not None and message["type"] == "http.response.start":
                    span.set_attribute("http.response.status_code", message["status"])
                await send(message)

            await route.handle(scope, receive, observed)


def _with_headers(send: Send, sent: _Sent) -> Send:
    """`send` that adds our headers and notes the status."""

    async def with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            sent.status = message["status"]
            own = {name.lower() for name, _ in message.get("headers", ())}
            added = [(name, value) for name, value in HEADERS.items() if name not in own]
            added.append((b"x-request-id", sent.request_id.encode()))
            message = {**message, "headers": [*message.get("headers", ()), *added]}
        await send(message)

    return with_headers
