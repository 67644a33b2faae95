"""The gateway on a real port with a real bus, a key for it, and a client."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import msgspec

from bus import Bus
from bus.envelope import now_text
from config.settings import Settings
from orchestrator.gateway.endpoint import Scope
from orchestrator.gateway.keys import KeyRow, changing_keys, hash_of, new_key
from orchestrator.gateway.serving import gateway_on


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A whole answer: `json` is None when the body is none."""

    status: int
    headers: Any
    body: bytes

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.body) if self.body else None

    @property
    def code(self) -> str:
        """The error's code."""
        return str(self.json["error"]["code"])

    @property
    def message(self) -> str:
        return str(self.json["error"]["message"])


@dataclass(frozen=True, kw_only=True)
class GatewayLab:
    """A running gateway. `key` has scope `all` and the name `lab`; no key at all when it is empty."""

    url: str
    key: str
    keys_file: Path
    settings: Settings
    session: aiohttp.ClientSession

    @property
    def port(self) -> int:
        return int(self.url.rsplit(":", 1)[1])

    async def ask(self, method: str, path: str, *, key: str | None = None, **options: Any) -> Answer:
        """One request, with our key unless another (or an empty one) is given; options are aiohttp's."""
        key = self.key if key is None else key
        headers = dict(options.pop("headers", {}))
        if key:
            headers.setdefault("Authorization", f"Bearer {key}")
        async with self.session.request(method, self.url + path, headers=headers, **options) as response:
            return Answer(status=response.status, headers=response.headers.copy(), body=await response.read())

    async def get(self, path: str, **options: Any) -> Answer:
        return await self.ask("GET", path, **options)

    async def post(self, path: str, value: Any, **options: Any) -> Answer:
        """POST `value` as JSON; bytes go as they are."""
        data = value if isinstance(value, bytes) else msgspec.json.encode(value)
        return await self.ask("POST", path, data=data, **options)

    def add_key(self, name: str, scope: str = "all") -> str:
        return add_key(self.keys_file, name, scope)


def add_key(path: Path, name: str, scope: str = "all") -> str:
    """A new key in the file, as `labverse key new` puts it there."""
    key = new_key()
    with changing_keys(path) as rows:
        rows.append(KeyRow(name=name, sha256=hash_of(key), scope=Scope(scope), created_at=now_text()))
    return key


def revoke_key(path: Path, name: str) -> None:
    with changing_keys(path) as rows:
        rows[:] = [row for row in rows if row.name != name]


def lab_settings(folder: Path, *, settings: Settings | None = None, **gateway: Any) -> Settings:
    """Settings with a free port, the keys file in `folder`, a grace period of 2 s, and `gateway.*` as given."""
    settings = settings or Settings()
    return msgspec.structs.replace(
        settings,
        agents=msgspec.structs.replace(settings.agents, grace_s=2.0),
        gateway=msgspec.structs.replace(
            settings.gateway, **{"port": 0, "keys_file": folder / "api_keys.yaml", **gateway}
        ),
    )


@asynccontextmanager
async def gateway_lab(
    bus: Bus, folder: Path, *, settings: Settings | None = None, has_key: bool = True, **gateway: Any
) -> AsyncGenerator[GatewayLab]:
    """A gateway on `bus` while the block runs; `gateway` are fields of `GatewaySettings`."""
    settings = lab_settings(folder, settings=settings, **gateway)
    keys_file = settings.gateway.keys_file
    assert keys_file is not None
    key = add_key(keys_file, "lab") if has_key else ""
    timeout = aiohttp.ClientTimeout(total=60)
    connector = aiohttp.TCPConnector(limit=0)
    async with (
        gateway_on(bus, settings) as url,
        aiohttp.ClientSession(timeout=timeout, connector=connector) as session,
    ):
        yield GatewayLab(url=url, key=key, keys_file=keys_file, settings=settings, session=session)
