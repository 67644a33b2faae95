"""The embedded server: found, shared, revived, and gone with its last user."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from events import assigned, requested
from until import until

from bus import Bus, BusOptions, EmbeddedServerError, Envelope, Outputs, Subscription, open_bus
from bus.embedded import EmbeddedServer, read_address
from schemas.review import ReviewRequested


def options(folder: Path) -> BusOptions:
    return BusOptions(data_dir=folder, grace_s=0.5)


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return False
    return state != "Z"


async def test_it_starts_and_stops_with_its_user(tmp_path: Path) -> None:
    async with open_bus(options(tmp_path)) as bus:
        assert bus.address is not None
        server, warden = bus.address.server_pid, bus.address.warden_pid
        assert is_alive(server)
        await bus.submit(requested(), task_id="kept")
    await until(lambda: not is_alive(server) and not is_alive(warden))
    async with open_bus(options(tmp_path)) as bus:
        assert [envelope.id async for _, envelope in bus.events("kept", only_stored=True)] == ["kept"]


async def test_a_second_user_finds_the_running_server_and_keeps_it(tmp_path: Path) -> None:
    stack = AsyncExitStack()
    first = await stack.enter_async_context(open_bus(options(tmp_path)))
    async with open_bus(options(tmp_path)) as second:
        assert first.address is not None
        assert second.address == first.address
        await stack.aclose()
        await asyncio.sleep(1.0)
        assert is_alive(first.address.server_pid)
        await second.publish(assigned(0), task_id="t")


async def test_many_that_start_at_once_share_one_server(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        buses: list[Bus] = await asyncio.gather(
            *(stack.enter_async_context(open_bus(options(tmp_path))) for _ in range(6))
        )
        assert len({bus.address.server_pid for bus in buses if bus.address}) == 1


async def test_it_stops_when_its_only_user_is_killed(tmp_path: Path) -> None:
    script = (
        "import asyncio, sys\nfrom pathlib import Path\nfrom bus import BusOptions, open_bus\n"
        "async def main():\n"
        "    async with open_bus(BusOptions(data_dir=Path(sys.argv[1]))) as bus:\n"
        "        print(bus.address.server_pid, flush=True)\n"
        "        await asyncio.sleep(60)\n"
        "asyncio.run(main())\n"
    )
    user = subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert user.stdout is not None
    server = int(user.stdout.readline())
    assert is_alive(server)
    user.kill()
    user.wait()
    user.stdout.close()
    await until(lambda: not is_alive(server))


async def test_a_killed_server_is_started_again_and_work_goes_on(tmp_path: Path) -> None:
    handled: list[str] = []

    async def plan(event: ReviewRequested, envelope: Envelope) -> Outputs:
        handled.append(event.name)
        return None

    async with open_bus(options(tmp_path)) as bus:
        await bus.run(Subscription(durable="planner", listens=(ReviewRequested,), handle=plan))
        assert bus.address is not None
        os.kill(bus.address.server_pid, signal.SIGKILL)
        await asyncio.wait_for(bus.submit(requested("after")), 10)
        await until(lambda: handled == ["after"])


async def test_a_killed_warden_takes_its_server_along_and_both_come_back(tmp_path: Path) -> None:
    async with open_bus(options(tmp_path)) as bus:
        assert bus.address is not None
        os.kill(bus.address.warden_pid, signal.SIGKILL)
        await until(lambda: not is_alive(bus.address.server_pid))  # type: ignore[union-attr]
        await asyncio.wait_for(bus.submit(requested(), task_id="after"), 10)
        again = read_address(tmp_path)
        assert again is not None
        assert again.url == bus.address.url
        assert again.server_pid != bus.address.server_pid


async def test_nobody_else_may_connect(tmp_path: Path) -> None:
    from bus import ConnectError, ConnectOptions

    async with open_bus(options(tmp_path)) as bus:
        assert bus.address is not None
        assert bus.address.password not in repr(bus.address)
        with pytest.raises(ConnectError, match="refused us"):
            async with open_bus(BusOptions(connect=ConnectOptions(url=bus.address.url, connect_timeout_s=2))):
                pass
    for name in ("credentials.json", "nats-server.conf"):
        assert (tmp_path / name).stat().st_mode & 0o077 == 0


async def test_a_port_that_is_taken_is_said(tmp_path: Path) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        server = EmbeddedServer(tmp_path, port=port)
        with pytest.raises(EmbeddedServerError, match=f"did not start on port {port}"):
            await server.acquire()


async def test_a_folder_served_at_another_port_is_said(tmp_path: Path) -> None:
    async with open_bus(options(tmp_path)) as bus:
        assert bus.address is not None
        with pytest.raises(EmbeddedServerError, match="is served at"):
            await EmbeddedServer(tmp_path, port=1).acquire()


async def test_a_folder_that_can_not_be_used_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EmbeddedServerError, match="LABVERSE_DATA"):
        await EmbeddedServer(tmp_path / "file" / "data").acquire()


async def test_it_is_there_in_a_moment(tmp_path: Path) -> None:
    started = time.monotonic()
    async with open_bus(options(tmp_path)):
        took_s = time.monotonic() - started
    print(f"open after {took_s * 1000:.0f} ms")
    assert took_s < 5
