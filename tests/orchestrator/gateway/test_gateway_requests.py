"""What the gateway does with every request: limits, errors in one shape, headers, and its end."""

import asyncio
import functools
import logging
import socket
from pathlib import Path
from types import ModuleType

import aiohttp
import msgspec
import pytest
from gatewaylab import GatewayLab, add_key, gateway_lab, lab_settings
from natsserver import NatsServer
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from until import until, until_async

from bus import Bus, BusOptions, open_bus
from bus.rpc import Caller
from bus.services import APPROVAL_DECIDE
from orchestrator.gateway import app, bodies, http
from orchestrator.gateway.endpoint import Endpoint
from orchestrator.gateway.parts import Parts
from orchestrator.gateway.serving import gateway_on
from orchestrator.shell import UserError
from schemas.approval import DecideOutcome, DecideReply, DecideRequest

DECIDE = "/api/v1/approvals/a1"
TASKS = "/api/v1/tasks"
WORD = {"action": "approve", "digest": "0" * 64}


async def _raw(lab: GatewayLab, data: bytes, *, within_s: float = 20.0) -> bytes:
    """What the gateway sends to whoever sends these bytes, until it closes the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", lab.port)
    try:
        writer.write(data)
        return await _rest(reader, within_s=within_s)
    finally:
        writer.close()


async def _rest(reader: asyncio.StreamReader, *, within_s: float = 20.0) -> bytes:
    """All that still comes; nothing when the connection is reset."""
    try:
        return await asyncio.wait_for(reader.read(-1), within_s)
    except ConnectionResetError:
        return b""


def _head(lab: GatewayLab, method: str, path: str, *lines: str) -> bytes:
    key = f"Authorization: Bearer {lab.key}"
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: gateway", key, *lines, "", ""]).encode()


async def test_health_needs_no_key_and_tells_no_address(bus: Bus, tmp_path: Path) -> None:
    async with gateway_lab(bus, tmp_path) as lab:
        answer = await lab.get("/health", key="")
        assert answer.status == 200
        assert answer.json["status"] == "ok"
        assert answer.json["uptime_s"] >= 0
        assert {stream["name"] for stream in answer.json["streams"]} >= {"LABVERSE", "DEAD"}
        told = answer.body.decode()
        assert socket.gethostname() not in told
        assert "127.0.0.1" not in told
        assert lab.key not in told
        second = await lab.get("/health", key="")
        assert second.json["requests"]["count"] == 1
        assert second.json["requests"]["p95_ms"] > 0


async def test_health_says_within_time_that_the_bus_is_frozen(
    bus: Bus, server: NatsServer, tmp_path: Path
) -> None:
    async with gateway_lab(bus, tmp_path) as lab:
        server.freeze()
        try:
            async with asyncio.timeout(20):
                answers = await asyncio.gather(*(lab.get("/health", key="") for _ in range(20)))
        finally:
            server.thaw()
        assert {answer.status for answer in answers} == {503}
        assert answers[0].json["status"] == "bus_unreachable"


async def test_errors_have_one_shape_with_a_request_id_and_no_trace(bus: Bus, tmp_path: Path) -> None:
    async with gateway_lab(bus, tmp_path) as lab:
        missing = await lab.get("/nothing/here")
        assert (missing.status, missing.code) == (404, "not_found")
        assert set(missing.json["error"]) == {"code", "message", "path"}
        wrong = await lab.ask("DELETE", "/api/v1/approvals/x")
        assert (wrong.status, wrong.code) == (405, "method_not_allowed")
        assert wrong.headers["Allow"] == "GET, HEAD, POST"
        named = await lab.get("/health", headers={"X-Request-Id": "mine-1"})
        assert named.headers["X-Request-Id"] == "mine-1"
        forged = await lab.get("/health", headers={"X-Request-Id": "a b"})
        assert forged.headers["X-Request-Id"] != "a b"
        for answer in (missing, wrong, named):
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert answer.headers["Cache-Control"] == "no-store"
            assert "Server" not in answer.headers


async def test_head_answers_as_get_without_a_body_and_options_names_the_methods(
    bus: Bus, tmp_path: Path
) -> None:
    async with gateway_lab(bus, tmp_path) as lab:
        head = await lab.ask("HEAD", "/health", key="")
        assert (head.status, head.body) == (200, b"")
        options = await lab.ask("OPTIONS", "/api/v1/tasks")
        assert (options.status, options.headers["Allow"]) == (405, "POST")


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        (DECIDE, b'{"action": "approve", "note": "\xff\xfe"}', 400, "not_json"),
        (TASKS, b'{"body": ' + b"[" * 100_000, 400, "too_deep"),
        (TASKS, b'{"body": ' + b'{"a":' * 100_000, 400, "too_deep"),
        (TASKS, b'{"deadline_s": NaN}', 400, "not_json"),
        (TASKS, b'{"deadline_s": 1e999}', 422, "invalid"),
        (DECIDE, b"", 400, "not_json"),
        (DECIDE, b"[]", 422, "invalid"),
        (DECIDE, b'{"action": "approve", "digest": 5}', 422, "invalid"),
    ],
)
async def test_a_body_that_is_wrong_is_refused_in_one_line(
    bus: Bus, tmp_path: Path, path: str, body: bytes, status: int, code: str
) -> None:
    async with gateway_lab(bus, tmp_path) as lab:
        answer = await lab.post(path, body)
        assert (answer.status, answer.code) == (status, code)
        assert "\n" not in answer.message
        assert "Traceback" not in answer.body.decode()


async def test_the_path_of_a_mistake_is_told(bus: Bus, tmp_path: Path) -> None:
    async with gateway_lab(bus, tmp_path) as lab:
        answer = await lab.post(DECIDE, {**WORD, "digest": 5})
        assert answer.json["error"]["path"] == "$.digest"
        assert answer.message == "Expected `str`, got `int`"


@pytest.mark.parametrize("is_chunked", [False, True])
async def test_a_body_over_the_limit_is_refused_with_413(bus: Bus, tmp_path: Path, is_chunked: bool) -> None:
    async with gateway_lab(bus, tmp_path, body_bytes_max=2_000) as lab:

        async def pieces():  # type: ignore[no-untyped-def]
            for _ in range(200):
                yield b"x" * 100

        data = pieces() if is_chunked else b"x" * 20_000
        answer = await lab.ask("POST", DECIDE, data=data)
        assert (answer.status, answer.code) == (413, "too_large")
        assert (await lab.post(DECIDE, b"x" * 2_000)).status == 400


async def test_a_body_that_claims_to_be_huge_is_refused_before_it_is_sent(bus: Bus, tmp_path: Path) -> None:
    async with gateway_lab(bus, tmp_path) as lab:
        answer = await _raw(
            lab, _head(lab, "POST", DECIDE, "Content-Length: 99999999999", "Expect: 100-continue")
        )
        assert answer.startswith(b"HTTP/1.1 413 ")


async def test_a_body_that_comes_too_slowly_is_refused_with_408(
    bus: Bus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bodies.read_body, "__defaults__", (0.3,))
    async with gateway_lab(bus, tmp_path) as lab:
        answer = await _raw(lab, _head(lab, "POST", DECIDE, "Content-Length: 100") + b"x")
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert b'"too_slow"' in answer


async def test_bodies_that_strangers_never_send_leave_room_for_who_has_a_key(
    bus: Bus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orchestrator.gateway.app.STRANGERS_MAX", 2)
    async with gateway_lab(bus, tmp_path) as lab:
        slow = b"POST /slack/interactions HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n"
        writers = []
        for _ in range(2):
            _, writer = await asyncio.open_connection("127.0.0.1", lab.port)
            writer.write(slow)
            await writer.drain()
            writers.append(writer)

        async def is_refused() -> bool:
            answer = await lab.ask("POST", "/slack/interactions", key="", data=b"x")
            return answer.status == 503

        await until_async(is_refused, within_s=4)
        assert (await lab.get("/api/v1/approvals")).status == 200
        for writer in writers:
            writer.close()


async def test_a_head_that_never_ends_costs_a_connection_for_a_bounded_time(
    bus: Bus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "HEAD_S", 0.3)
    async with gateway_lab(bus, tmp_path) as lab:
        for begun in (b"", b"GET /health HTTP/1.1\r\nHost: x\r\n"):
            assert await _raw(lab, begun) == b""
        reader, writer = await asyncio.open_connection("127.0.0.1", lab.port)
        writer.write(_head(lab, "HEAD", "/health"))
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
        writer.write(b"GET /health HTTP/1.1\r\nHos")
        assert await _rest(reader) == b""
        writer.close()


async def test_connections_over_the_limit_are_closed_and_the_others_served(
    bus: Bus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "CONNECTIONS_MAX", 3)
    async with gateway_lab(bus, tmp_path) as lab:
        idle = [await asyncio.open_connection("127.0.0.1", lab.port) for _ in range(2)]
        assert (await lab.get("/health")).status == 200  # keeps its connection, the third
        assert await _raw(lab, _head(lab, "GET", "/health")) == b""
        assert (await lab.get("/health")).status == 200
        for _, writer in idle:
            writer.close()


async def test_a_client_that_does_not_take_its_answer_loses_its_connection(
    bus: Bus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    answer_bytes = 64 * 1024 * 1024  # more than the system's buffers hold

    async def large(_: Request) -> Response:
        return Response(b"x" * answer_bytes)

    def routes(_: Parts) -> list[Route]:
        return [Endpoint("/large", large, method="GET", scope=None, summary="Large")]

    module = ModuleType("large")
    module.routes = routes  # type: ignore[attr-defined]
    monkeypatch.setattr(app, "ENDPOINTS", (module,))
    monkeypatch.setattr(http, "STALL_S", 0.3)
    async with gateway_lab(bus, tmp_path) as lab:
        with socket.create_connection(("127.0.0.1", lab.port)) as client:
            client.sendall(_head(lab, "GET", "/large"))
            await until(lambda: "took nothing for" in caplog.text, within_s=30)
            client.settimeout(20)
            taken = await asyncio.to_thread(_take_all, client)
        assert 0 < taken < answer_bytes
        assert "unexpected" not in caplog.text
        assert len((await lab.get("/large")).body) == answer_bytes


def _take_all(client: socket.socket) -> int:
    taken = 0
    try:
        while piece := client.recv(1024 * 1024):
            taken += len(piece)
    except ConnectionResetError:
        pass
    return taken


async def test_a_head_that_is_too_large_or_no_http_is_refused(bus: Bus, tmp_path: Path) -> None:
    async with gateway_lab(bus, tmp_path) as lab:
        long = _head(lab, "GET", "/health", "Connection: close", "X-Long: " + "x" * 100_000)
        answer = await _raw(lab, long)
        assert answer.startswith((b"HTTP/1.1 431 ", b"HTTP/1.1 400 ")), "whole at once, or in pieces"
        for data in (b"\x16\x03\x01\x02\x00\r\n\r\n", long[:90_000]):
            answer = await _raw(lab, data)
            assert answer.startswith(b"HTTP/1.1 400 ")
            assert b'"bad_request"' in answer
        assert (await lab.get("/health")).status == 200


async def test_200_requests_at_once_are_all_answered(bus: Bus, tmp_path: Path) -> None:
    async def count(request: DecideRequest, _: Caller) -> DecideReply:
        return DecideReply(outcome=DecideOutcome.COUNTED, message=request.vote_id)

    await bus.serve(APPROVAL_DECIDE, count)
    async with gateway_lab(bus, tmp_path) as lab:
        answers = await asyncio.gather(*(lab.post(DECIDE, {**WORD, "vote_id": f"v{i}"}) for i in range(200)))
        assert [answer.status for answer in answers] == [200] * 200
        assert [answer.json["message"] for answer in answers] == [f"http:lab:v{i}" for i in range(200)]


async def test_more_requests_at_a_time_than_the_limit_are_told_to_come_again(
    bus: Bus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    going_on, waiting = asyncio.Event(), 0

    async def wait(_: DecideRequest, caller: Caller) -> DecideReply:
        nonlocal waiting
        waiting += 1
        await going_on.wait()
        return DecideReply(outcome=DecideOutcome.COUNTED, message="")

    await bus.serve(APPROVAL_DECIDE, wait)
    monkeypatch.setattr("orchestrator.gateway.app.Gateway.__init__.__defaults__", (2, 0, 0))
    async with gateway_lab(bus, tmp_path) as lab:
        first = [asyncio.create_task(lab.post(DECIDE, WORD)) for _ in range(2)]
        await until(lambda: waiting == 2)
        refused = await lab.post(DECIDE, WORD)
        assert (refused.status, refused.code, refused.headers["Retry-After"]) == (503, "busy", "1")
        going_on.set()
        assert [(await one).status for one in first] == [200, 200]


async def test_requests_over_the_rate_are_told_when_to_come_again(bus: Bus, tmp_path: Path) -> None:
    async with gateway_lab(bus, tmp_path, requests_per_minute=3) as lab:
        answers = [await lab.get("/api/v1/approvals") for _ in range(4)]
        assert [answer.status for answer in answers] == [200, 200, 200, 429]
        assert 1 <= int(answers[3].headers["Retry-After"]) <= 20
        other = lab.add_key("other")
        assert (await lab.get("/api/v1/approvals", key=other)).status == 200


async def test_wrong_keys_use_up_their_address_and_nobody_elses_share(bus: Bus, tmp_path: Path) -> None:
    async with gateway_lab(bus, tmp_path, requests_per_minute=3) as lab:
        answers = [await lab.get("/api/v1/approvals", key=f"lvk_{i}") for i in range(4)]
        assert [answer.status for answer in answers] == [401, 401, 401, 429]
        assert (await lab.get("/api/v1/approvals")).status == 200
        assert (await lab.get("/health", key="")).status == 200


async def test_a_request_in_flight_is_finished_when_the_gateway_stops(bus: Bus, tmp_path: Path) -> None:
    began, going_on = asyncio.Event(), asyncio.Event()

    async def wait(_: DecideRequest, caller: Caller) -> DecideReply:
        began.set()
        await going_on.wait()
        return DecideReply(outcome=DecideOutcome.COUNTED, message="after all")

    await bus.serve(APPROVAL_DECIDE, wait)
    settings = lab_settings(tmp_path)
    key = add_key(tmp_path / "api_keys.yaml", "lab")
    async with aiohttp.ClientSession() as session:
        leaving = gateway_on(bus, settings)
        url = await leaving.__aenter__()
        headers = {"Authorization": f"Bearer {key}"}
        asked = asyncio.create_task(session.post(url + DECIDE, json=WORD, headers=headers))
        await asyncio.wait_for(began.wait(), 20)
        stopping = asyncio.create_task(leaving.__aexit__(None, None, None))
        await until(lambda: not _is_open(url))
        going_on.set()
        response = await asyncio.wait_for(asked, 20)
        assert response.status == 200
        assert (await response.json())["message"] == "after all"
        await asyncio.wait_for(stopping, 20)


def _is_open(url: str) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", int(url.rsplit(":", 1)[1])), timeout=5):
            return True
    except OSError:
        return False


async def test_a_request_that_outlasts_the_grace_period_is_told_that_the_gateway_stops(
    bus: Bus, tmp_path: Path
) -> None:
    began = asyncio.Event()

    async def wait(_: DecideRequest, caller: Caller) -> DecideReply:
        began.set()
        await asyncio.Event().wait()
        raise AssertionError

    await bus.serve(APPROVAL_DECIDE, wait)
    settings = lab_settings(tmp_path)
    settings = msgspec.structs.replace(settings, agents=msgspec.structs.replace(settings.agents, grace_s=0.2))
    key = add_key(tmp_path / "api_keys.yaml", "lab")
    async with aiohttp.ClientSession() as session, asyncio.timeout(20):
        async with gateway_on(bus, settings) as url:
            headers = {"Authorization": f"Bearer {key}"}
            asked = asyncio.create_task(session.post(url + DECIDE, json=WORD, headers=headers))
            await began.wait()
        response = await asked
        assert response.status == 503
        assert (await response.json())["error"]["code"] == "stopping"


async def test_a_taken_port_is_one_line_that_says_what_to_do(bus: Bus, tmp_path: Path) -> None:
    async with gateway_lab(bus, tmp_path) as lab:
        settings = lab_settings(tmp_path, port=lab.port)
        with pytest.raises(UserError, match=f"port {lab.port} of 127.0.0.1 is taken: .*--http-port"):
            async with gateway_on(bus, settings):
                pass


async def test_a_public_host_without_a_key_is_refused(bus: Bus, tmp_path: Path) -> None:
    settings = lab_settings(tmp_path, host="0.0.0.0")
    with pytest.raises(UserError, match=r"no API key to keep strangers out: .*labverse key new NAME"):
        async with gateway_on(bus, settings):
            pass
    add_key(tmp_path / "api_keys.yaml", "lab")
    async with gateway_on(bus, settings) as url:
        assert url.startswith("http://0.0.0.0:")


async def test_a_host_that_is_not_ours_is_one_line(bus: Bus, tmp_path: Path) -> None:
    add_key(tmp_path / "api_keys.yaml", "lab")
    with pytest.raises(UserError, match="can't listen at 192\\.0\\.2\\.1"):
        async with gateway_on(bus, lab_settings(tmp_path, host="192.0.2.1")):
            pass


async def test_the_log_has_every_request_and_no_key(
    bus: Bus, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with gateway_lab(bus, tmp_path) as lab:
        await lab.get("/api/v1/approvals?token=geheim")
        await lab.get("/%1b%5b31m%0aforged", key="")
        assert "GET /api/v1/approvals 200" in caplog.text
        assert "key:lab" in caplog.text
        assert lab.key not in caplog.text
        assert "geheim" not in caplog.text
        assert "\x1b" not in caplog.text
        assert "\nforged" not in caplog.text


async def test_a_bug_is_logged_and_told_by_its_number_alone(
    bus: Bus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(_: object) -> None:
        raise ZeroDivisionError("inner workings")

    monkeypatch.setattr("orchestrator.gateway.tasks.tasks_bucket", broken)
    async with gateway_lab(bus, tmp_path) as lab:
        answer = await lab.get("/api/v1/tasks/t1")
        assert (answer.status, answer.code) == (500, "unexpected")
        assert answer.headers["X-Request-Id"] in answer.message
        assert "inner workings" not in answer.body.decode()
        assert "inner workings" in caplog.text


async def test_the_bus_going_away_is_told_without_its_address(
    options: BusOptions, server: NatsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_bus(options) as bus, gateway_lab(bus, tmp_path) as lab:
        # Ten seconds of looking for the bus are cut short, for the test alone.
        monkeypatch.setattr(bus.connection, "api", functools.partial(bus.connection.api, timeout_s=0.5))
        server.stop()
        await until(lambda: not bus.connection.client.is_connected)
        answer = await lab.get("/api/v1/approvals")
        assert (answer.status, answer.code) == (503, "bus_unavailable")
        assert str(server.port) not in answer.body.decode()
        health = await lab.get("/health", key="")
        assert health.status == 503
        server.start()
