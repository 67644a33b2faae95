"""What the settings say is what the bus gets."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path

from natsserver import NatsServer

from bus import Bus, BusOptions, StreamLimits, open_bus
from bus.connection import ConnectOptions
from config.load import load
from orchestrator.options import bus_options


def options_for(tmp_path: Path, flags: Mapping[str, object]) -> BusOptions:
    env = {"HOME": str(tmp_path), "LABVERSE_CONFIG": str(tmp_path / "empty.yaml")}
    (tmp_path / "empty.yaml").touch()
    settings = load(env=env, flags=flags).settings
    return bus_options(settings, role="up", source="labverse/up", version="9.8.7")


def test_without_a_url_the_bus_is_the_embedded_one_of_the_data_folder(tmp_path: Path) -> None:
    options = options_for(
        tmp_path, {"bus.data_dir": tmp_path / "data", "bus.port": 4333, "bus.sync_always": False}
    )
    assert options.connect is None
    assert (options.data_dir, options.port, options.sync_always) == (tmp_path / "data", 4333, False)
    assert (options.role, options.source, options.version) == ("up", "labverse/up", "9.8.7")


def test_the_defaults_of_settings_and_bus_are_the_same(tmp_path: Path) -> None:
    options = options_for(tmp_path, {})
    ours = dataclasses.replace(
        BusOptions(), role="up", source="labverse/up", version="9.8.7", data_dir=options.data_dir
    )
    assert options == ours
    assert options_for(tmp_path, {"bus.url": "nats://h"}).connect == ConnectOptions(url="nats://h")


def test_every_setting_of_the_connection_arrives(tmp_path: Path) -> None:
    given = {
        "url": "nats://h:1,tls://h:2", "user": "ada", "password": "hunter2", "token": "t",
        "credentials_file": "/c", "nkey_seed_file": "/n", "tls_ca_file": "/ca", "tls_cert_file": "/cert",
        "tls_key_file": "/key", "connect_timeout_s": 7.5,
    }  # fmt: skip
    options = options_for(tmp_path, {f"bus.{name}": value for name, value in given.items()})
    assert options.connect == ConnectOptions(**given)  # type: ignore[arg-type]
    assert "hunter2" not in repr(options)


def test_every_limit_arrives(tmp_path: Path) -> None:
    options = options_for(
        tmp_path,
        {
            "bus.url": "nats://h",
            "bus.stream_messages_max": 5_000,
            "bus.stream_bytes_max": 50_000_000,
            "bus.stream_age_max_s": 90,
            "bus.replicas": 3,
            "bus.object_bytes_max": 2_000_000,
            "bus.objects_bytes_max": 60_000_000,
            "agents.grace_s": 3,
        },
    )
    assert options.limits == StreamLimits(
        messages_max=5_000, bytes_max=50_000_000, age_max_s=90.0, replicas=3
    )
    assert (options.object_bytes_max, options.objects_bytes_max) == (2_000_000, 60_000_000)
    assert options.grace_s == 3.0


async def test_a_bus_opens_with_them_and_has_the_limits(tmp_path: Path, server: NatsServer) -> None:
    options = options_for(
        tmp_path,
        {
            "bus.url": server.options.url,
            "bus.user": server.options.user,
            "bus.password": server.options.password,
            "bus.stream_messages_max": 5_000,
            "bus.stream_bytes_max": 50_000_000,
        },
    )
    async with open_bus(options) as bus:
        assert isinstance(bus, Bus)
        events = (await bus.streams())[0]
        assert (events.messages_max, events.bytes_max) == (5_000, 50_000_000)
