"""Slack for tests: a real HTTP server on loopback that speaks the part of Slack's Web API that we use.

    with SlackServer() as slack:
        slack.faults.append(Fault("chat.postMessage", status=503))
        ...  # slack.api_url, slack.messages, slack.calls, slack.told

The server lives in a thread of its own, so that tests may block. A fault holds for one call, `times` of them, or
with `times=0` until it is taken away.
"""

import asyncio
import json
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Final

from aiohttp import web

TOKEN: Final = "xoxb-1-test-token-that-nobody-may-see"
BOT_ID: Final = "B0LABVERSE"
TEAM_ID: Final = "T0TEAM"
SCOPES: Final = ("chat:write", "channels:history", "groups:history", "channels:read", "groups:read")
BODY_BYTES_MAX: Final = 1024 * 1024
START_S_MAX: Final = 10.0
HANG_S: Final = 60.0
BLOCKS_MAX: Final = 50


@dataclass(slots=True, kw_only=True)
class Message:
    """A message that stands in a channel; `history` holds what it showed before, oldest first."""

    channel: str
    ts: str
    text: str
    blocks: list[dict[str, Any]]
    metadata: dict[str, Any]
    bot_id: str = BOT_ID
    thread_ts: str = ""
    history: list[list[dict[str, Any]]] = field(default_factory=list)

    def wire(self, *, with_metadata: bool) -> dict[str, Any]:
        out: dict[str, Any] = {"type": "message", "ts": self.ts, "text": self.text, "blocks": self.blocks}
        out["bot_id"] = self.bot_id
        if self.thread_ts:
            out["thread_ts"] = self.thread_ts
        if with_metadata and self.metadata:
            out["metadata"] = self.metadata
        return out

    @property
    def shown(self) -> str:
        """All that a person reads, as JSON text."""
        return json.dumps(self.blocks, ensure_ascii=False)

    @property
    def buttons(self) -> list[dict[str, Any]]:
        return [
            element
            for block in self.blocks
            if block["type"] == "actions"
            for element in block["elements"]
            if element["type"] == "button"
        ]


@dataclass(slots=True)
class Fault:
    """What goes wrong with the next calls of `method` (`*`: of any; `response_url`: of those).

    Attributes:
        times: calls that it holds for; 0: all.
        status: of the answer instead of 200.
        retry_after: header of a 429.
        error, needed: answers `ok: false` with it.
        hangs: nothing is ever answered; with `does_it` after having done what was asked.
        closes: closes the connection instead of an answer; with `does_it` after having done it.
        body: these bytes instead of any answer.
        does_it: the call has its effect all the same.
        delay_s: before the answer.
    """

    method: str
    times: int = 1
    status: int = 200
    retry_after: str = ""
    error: str = ""
    needed: str = ""
    hangs: bool = False
    closes: bool = False
    body: bytes | None = None
    does_it: bool = False
    delay_s: float = 0.0


@dataclass(slots=True, kw_only=True)
class Call:
    """A request that came in."""

    method: str
    arguments: dict[str, Any]
    headers: dict[str, str]
    at: float


class SlackServer:
    """Not started yet; enter it.

    Attributes:
        channels: name → (id, whether we are in it).
        told: what came to response URLs, by their last part.
        skew_s: by how much its clock is ahead, in the `Date` header.
    """

    def __init__(self, *, token: str = TOKEN, scopes: tuple[str, ...] = SCOPES) -> None:
        self.token = token
        self.scopes = scopes
        self.channels: dict[str, tuple[str, bool]] = {
            "approvals": ("C0APPROVALS", True),
            "cost-alerts": ("C0COSTS", True),
        }
        self.messages: list[Message] = []
        self.calls: list[Call] = []
        self.told: dict[str, list[dict[str, Any]]] = {}
        self.ephemerals: list[dict[str, Any]] = []
        self.faults: list[Fault] = []
        self.skew_s = 0.0
        self.port = 0
        self._serial = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping: asyncio.Event | None = None
        self._started = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def api_url(self) -> str:
        return f"{self.origin}/api/"

    def response_url(self, name: str) -> str:
        return f"{self.origin}/response/{name}"

    def called(self, method: str) -> list[Call]:
        return [call for call in self.calls if call.method == method]

    def in_channel(self, channel: str, *, thread_ts: str = "") -> list[Message]:
        """Messages of a channel (by its id), without those in threads unless `thread_ts` names one."""
        return [one for one in self.messages if one.channel == channel and one.thread_ts == thread_ts]

    def put(self, channel: str, key: str, *, shown: str = "", bot_id: str = BOT_ID) -> Message:
        """A message that stands there already, as a process that died would have left it."""
        payload = {"key": key, "shown": shown}
        message = Message(
            channel=channel,
            ts=self._next_ts(),
            text="left behind",
            blocks=[],
            metadata={"event_type": "labverse_card", "event_payload": payload},
            bot_id=bot_id,
        )
        self.messages.append(message)
        return message

    # -- life -----------------------------------------------------------------------------------------------

    def __enter__(self) -> "SlackServer":
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)
        self._thread.start()
        assert self._started.wait(START_S_MAX), "the stand-in for Slack did not start"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Take no more connections; `start` opens the same port again."""
        if self._thread is not None and self._loop is not None and self._stopping is not None:
            self._loop.call_soon_threadsafe(self._stopping.set)
            self._thread.join(START_S_MAX)
            self._thread = None

    def start(self) -> None:
        """Serve again after `stop`, at the same address."""
        self._started.clear()
        self.__enter__()

    async def _serve(self) -> None:
        app = web.Application(client_max_size=BODY_BYTES_MAX)
        app.router.add_route("*", "/api/{method}", self._on_api)
        app.router.add_post("/response/{name}", self._on_response)
        app.router.add_route("*", "/elsewhere", self._on_elsewhere)
        app.on_response_prepare.append(self._date)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", self.port, reuse_address=True)
        await site.start()
        self.port = runner.addresses[0][1]
        self._loop, self._stopping = asyncio.get_running_loop(), asyncio.Event()
        self._started.set()
        await self._stopping.wait()
        await runner.cleanup()

    async def _date(self, request: web.Request, response: web.StreamResponse) -> None:
        response.headers["Date"] = time.strftime(
            "%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + self.skew_s)
        )

    # -- requests -------------------------------------------------------------------------------------------

    async def _on_api(self, request: web.Request) -> web.StreamResponse:
        method = request.match_info["method"]
        arguments = await _arguments(request)
        self.calls.append(
            Call(method=method, arguments=arguments, headers=dict(request.headers), at=time.monotonic())
        )
        headers = {"x-oauth-scopes": ",".join(self.scopes), "x-slack-req-id": "r1"}
        fault = self._fault(method)
        if fault is not None:
            if fault.does_it:
                self._answer(method, arguments)
            return await _go_wrong(request, fault, headers)
        if request.headers.get("Authorization") != f"Bearer {self.token}":
            return web.json_response({"ok": False, "error": "invalid_auth"})
        return web.json_response(self._answer(method, arguments), headers=headers)

    async def _on_response(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"]
        fault = self._fault("response_url")
        if fault is None or fault.does_it:
            self.told.setdefault(name, []).append(await request.json())
        if fault is not None:
            return await _go_wrong(request, fault, {})
        return web.Response(text="ok")

    async def _on_elsewhere(self, request: web.Request) -> web.StreamResponse:
        self.calls.append(Call(method="elsewhere", arguments={}, headers={}, at=time.monotonic()))
        return web.Response(text="ok")

    def _fault(self, method: str) -> Fault | None:
        for fault in self.faults:
            if fault.method in (method, "*"):
                if fault.times:
                    fault.times -= 1
                    if not fault.times:
                        self.faults.remove(fault)
                return fault
        return None

    # -- methods --------------------------------------------------------------------------------------------

    def _answer(self, method: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        handlers = {
            "auth.test": self._auth_test,
            "chat.postMessage": self._post,
            "chat.update": self._update,
            "chat.delete": self._delete,
            "chat.postEphemeral": self._ephemeral,
            "conversations.history": self._history,
            "conversations.replies": self._history,
            "conversations.info": self._info,
            "users.conversations": self._conversations,
        }
        if method not in handlers:
            return {"ok": False, "error": "unknown_method"}
        return handlers[method](arguments)

    def _auth_test(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "ok": True,
            "url": "https://lab.slack.com/",
            "team": "Lab",
            "user": "labverse",
            "team_id": TEAM_ID,
            "user_id": "U0LABVERSE",
            "bot_id": BOT_ID,
        }

    def _channel(self, named: object) -> tuple[str, str, bool] | None:
        for name, (channel_id, joined) in self.channels.items():
            if named in (channel_id, f"#{name}", name):
                return name, channel_id, joined
        return None

    def _next_ts(self) -> str:
        self._serial += 1
        return f"{time.time():.3f}{self._serial % 1000:03d}"

    def _refuse_writing(self, arguments: Mapping[str, Any], found: object) -> str:
        if "chat:write" not in self.scopes:
            return "missing_scope"
        if found is None:
            return "channel_not_found"
        if len(arguments.get("blocks") or []) > BLOCKS_MAX:
            return "invalid_blocks"
        return ""

    def _post(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        found = self._channel(arguments.get("channel"))
        error = self._refuse_writing(arguments, found)
        if not error and found is not None and not found[2] and "chat:write.public" not in self.scopes:
            error = "not_in_channel"
        if error or found is None:
            return {"ok": False, "error": error, "needed": "chat:write", "provided": ",".join(self.scopes)}
        message = Message(
            channel=found[1],
            ts=self._next_ts(),
            text=arguments.get("text", ""),
            blocks=list(arguments.get("blocks") or []),
            metadata=dict(arguments.get("metadata") or {}),
            thread_ts=arguments.get("thread_ts", ""),
        )
        self.messages.append(message)
        return {"ok": True, "channel": message.channel, "ts": message.ts, "message": {"text": message.text}}

    def _find(self, arguments: Mapping[str, Any]) -> Message | None:
        # As in Slack, only an id names the channel of a message.
        for message in self.messages:
            if (message.channel, message.ts) == (arguments.get("channel"), arguments.get("ts")):
                return message
        return None

    def _update(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        message = self._find(arguments)
        if message is None:
            return {"ok": False, "error": "message_not_found"}
        message.history.append(message.blocks)
        message.blocks = list(arguments.get("blocks") or [])
        message.text = arguments.get("text", "")
        message.metadata = dict(arguments.get("metadata") or message.metadata)
        return {"ok": True, "channel": message.channel, "ts": message.ts}

    def _delete(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        message = self._find(arguments)
        if message is None:
            return {"ok": False, "error": "message_not_found"}
        self.messages.remove(message)
        return {"ok": True, "channel": message.channel, "ts": message.ts}

    def _ephemeral(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        self.ephemerals.append(dict(arguments))
        return {"ok": True, "message_ts": self._next_ts()}

    def _history(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        if not {"channels:history", "groups:history"} & set(self.scopes):
            return {
                "ok": False,
                "error": "missing_scope",
                "needed": "channels:history",
                "provided": ",".join(self.scopes),
            }
        found = next((row for row in self.channels.values() if row[0] == arguments.get("channel")), None)
        if found is None:
            return {"ok": False, "error": "channel_not_found"}
        if not found[1]:
            return {"ok": False, "error": "not_in_channel"}
        thread_ts = str(arguments.get("ts", ""))
        oldest = float(arguments.get("oldest") or 0)
        parents = [one for one in self.messages if thread_ts and one.ts == thread_ts]
        stored = sorted(self.in_channel(found[0], thread_ts=thread_ts), key=lambda one: one.ts, reverse=True)
        stored = parents + [one for one in stored if float(one.ts) > oldest]
        start, limit = int(arguments.get("cursor") or 0), int(arguments.get("limit") or 100)
        with_metadata = str(arguments.get("include_all_metadata")).lower() in ("1", "true")
        page = [one.wire(with_metadata=with_metadata) for one in stored[start : start + limit]]
        has_more = len(stored) > start + limit
        cursor = str(start + limit) if has_more else ""
        return {
            "ok": True,
            "messages": page,
            "has_more": has_more,
            "response_metadata": {"next_cursor": cursor},
        }

    def _needs_read(self) -> dict[str, Any] | None:
        if {"channels:read", "groups:read"} & set(self.scopes):
            return None
        return {
            "ok": False,
            "error": "missing_scope",
            "needed": "channels:read",
            "provided": ",".join(self.scopes),
        }

    def _info(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        if (refused := self._needs_read()) is not None:
            return refused
        for name, (channel_id, joined) in self.channels.items():
            if channel_id == arguments.get("channel"):
                return {"ok": True, "channel": {"id": channel_id, "name": name, "is_member": joined}}
        return {"ok": False, "error": "channel_not_found"}

    def _conversations(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        if (refused := self._needs_read()) is not None:
            return refused
        joined = [{"id": row[0], "name": name} for name, row in self.channels.items() if row[1]]
        start, limit = int(arguments.get("cursor") or 0), int(arguments.get("limit") or 100)
        cursor = str(start + limit) if len(joined) > start + limit else ""
        return {
            "ok": True,
            "channels": joined[start : start + limit],
            "response_metadata": {"next_cursor": cursor},
        }


async def _arguments(request: web.Request) -> dict[str, Any]:
    arguments: dict[str, Any] = dict(request.query)
    if request.method == "POST":
        if request.content_type == "application/json":
            arguments |= await request.json()
        else:
            arguments |= dict(await request.post())
    return arguments


async def _go_wrong(request: web.Request, fault: Fault, headers: Mapping[str, str]) -> web.StreamResponse:
    if fault.delay_s:
        await asyncio.sleep(fault.delay_s)
    if fault.hangs:
        await asyncio.sleep(HANG_S)
    if fault.closes or fault.hangs:
        assert request.transport is not None
        request.transport.close()
        return web.Response()
    if fault.retry_after:
        headers = {**headers, "Retry-After": fault.retry_after}
    if fault.body is not None:
        return web.Response(status=fault.status, body=fault.body, headers=headers)
    if fault.error:
        answer = {"ok": False, "error": fault.error}
        if fault.needed:
            answer["needed"] = fault.needed
        return web.json_response(answer, status=fault.status, headers=headers)
    if fault.status == 429:
        return web.json_response({"ok": False, "error": "ratelimited"}, status=429, headers=headers)
    return web.Response(status=fault.status, text="upstream failed", headers=headers)
