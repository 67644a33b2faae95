"""Who may come in: finds the endpoint of a request, checks the key that it needs, and counts.

A request with a good key counts for the key; one without counts for its address, so that wrong keys don't take
anything from those who hold a right one.
"""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from starlette.routing import Match, Route
from starlette.types import Scope

from config.errors import ConfigError
from orchestrator.gateway.bodies import header
from orchestrator.gateway.endpoint import ApiError, Caller, Endpoint
from orchestrator.gateway.keys import Keys
from orchestrator.gateway.rates import Rates, network_of

NO_KEYS: Final = "there are no API keys yet: make one with `labverse key new NAME` where the gateway runs"
WRONG_KEY: Final = "no valid API key: send one as `Authorization: Bearer lvk_…` or `X-API-Key: lvk_…`"
HEAD_BYTES_MAX: Final = 32 * 1024
"""Of a request's address and headers."""
_CHALLENGE: Final = {"WWW-Authenticate": 'Bearer realm="labverse"'}


@dataclass(frozen=True, slots=True, kw_only=True)
class Admitted:
    """A request that may go on: to which endpoint, with what from its path, and whose it is."""

    route: Route
    more: dict[str, Any]
    caller: Caller | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """Admits or refuses requests."""

    routes: Sequence[Route]
    keys: Keys
    rates: Rates

    def admit(self, scope: Scope) -> Admitted:
        """Where the request goes.

        Raises:
            ApiError: 401 no key or a wrong one, 403 the key's scope is too small, 404, 405, 429 too many requests,
                431 its head is too large, 503 the keys can't be read.
        """
        if _head_bytes(scope) > HEAD_BYTES_MAX:
            raise ApiError(
                431, "head_too_large", f"address and headers have more than {HEAD_BYTES_MAX} bytes"
            )
        route, more, allowed = _find(self.routes, scope)
        if isinstance(route, Endpoint) and route.needs is None:
            # Each open endpoint counts for itself: nobody can use up Slack's share with wrong keys.
            self._count(f"{route.path} {_address(scope)}")
            return Admitted(route=route, more=more, caller=None)
        caller = self._caller(scope)
        self._count(caller.identity)
        if route is None and allowed:
            raise ApiError(405, "method_not_allowed", f"use {allowed} here", headers={"Allow": allowed})
        if route is None:
            raise ApiError(404, "not_found", "there is no such address: see /openapi.json")
        needs = route.needs if isinstance(route, Endpoint) else None
        if needs is None:
            raise TypeError(f"{route.path} is no Endpoint: it doesn't say which scope it needs")
        if not caller.scope.covers(needs):
            raise ApiError(
                403,
                "scope_too_small",
                f"key {caller.name} has scope {caller.scope}, and this needs {needs}: "
                f"make one with `labverse key new NAME --scope {needs}`",
            )
        return Admitted(route=route, more=more, caller=caller)

    def _caller(self, scope: Scope) -> Caller:
        try:
            key = _key_in(scope)
            caller = self.keys.find(key) if key else None
            has_keys = bool(self.keys.rows())
        except ConfigError:
            self._count(f"refused {_address(scope)}")
            raise ApiError(
                503, "keys_unreadable", "the file of API keys can't be read: `labverse key list` says why"
            ) from None
        if caller is None:
            self._count(f"refused {_address(scope)}")
            raise ApiError(401, "no_key", WRONG_KEY if has_keys else NO_KEYS, headers=_CHALLENGE)
        return caller

    def _count(self, who: str) -> None:
        wait_s = self.rates.take(who, time.monotonic())
        if wait_s > 0:
            after_s = math.ceil(wait_s)
            raise ApiError(
                429,
                "too_many_requests",
                f"more than {self.rates.per_minute} requests a minute: try again in {after_s} s",
                headers={"Retry-After": str(after_s)},
            )


def _find(routes: Sequence[Route], scope: Scope) -> tuple[Route | None, dict[str, Any], str]:
    """The route, what it adds to the scope, and the methods that the path has when this isn't one of them."""
    allowed: set[str] = set()
    for route in routes:
        match, more = route.matches(scope)
        if match is Match.FULL:
            return route, dict(more), ""
        if match is Match.PARTIAL:
            allowed |= route.methods or set()
    return None, {}, ", ".join(sorted(allowed))


def _key_in(scope: Scope) -> str:
    """The key that a request shows; empty if there is none, or what can't be one."""
    scheme, _, told = header(scope, b"authorization").partition(b" ")
    key = told.strip() if scheme.lower() == b"bearer" else header(scope, b"x-api-key").strip()
    return key.decode("ascii", errors="replace")


def _head_bytes(scope: Scope) -> int:
    headers = sum(len(name) + len(value) for name, value in scope["headers"])
    return headers + len(scope["raw_path"]) + len(scope["query_string"])


def _address(scope: Scope) -> str:
    client = scope.get("client")
    return network_of(client[0]) if client else ""
