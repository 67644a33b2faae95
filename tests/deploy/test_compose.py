"""compose.yaml, the container file and the server's configuration, as far as they can be tried without Docker.

The compose file is rendered by the real docker-compose, and the NATS server runs with the environment and the
configuration that it would get there. No image is pulled or built.
"""

import json
import os
import re
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bus import BusOptions, ConnectError, ConnectOptions, open_bus
from bus.connection import Connection
from bus.embedded import server_binary
from bus.streams import MESSAGE_SIZE_MAX
from config.load import load
from config.providers import load_providers

ROOT = Path(__file__).parents[2]
COMPOSE = ROOT / "compose.yaml"
CONTAINERFILE = ROOT / "deploy" / "Containerfile"
SERVER_CONF = ROOT / "deploy" / "nats" / "nats-server.conf"
SCRIPTS = Path(server_binary()).parent
PASSWORD = "0123456789012345678901234"
"""Only digits, and more of them than fit into 64 bits: the server must not take it for a number."""
ONE_SHOT = "prepare-volumes"
START_TIMEOUT_S = 20.0


def run(*command: str | Path, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), **variables}
    return subprocess.run(
        [str(part) for part in command], env=environment, cwd=ROOT, capture_output=True, text=True, timeout=50
    )


def docker_compose(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return run(SCRIPTS / "docker-compose", "--file", COMPOSE, *arguments, **variables)


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    """The compose file as Docker would see it."""
    done = docker_compose("config", "--format", "json", NATS_PASSWORD=PASSWORD)
    assert done.returncode == 0, done.stderr
    rendered: dict[str, Any] = json.loads(done.stdout)
    return rendered


@pytest.fixture(scope="module")
def services(compose: dict[str, Any]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = compose["services"]
    return found


def test_the_compose_file_is_valid() -> None:
    done = docker_compose("config", "--quiet", NATS_PASSWORD=PASSWORD)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("variables", [{}, {"NATS_PASSWORD": ""}], ids=["unset", "empty"])
def test_without_a_password_nothing_starts_and_the_error_says_what_to_set(variables: dict[str, str]) -> None:
    done = docker_compose("config", "--quiet", **variables)
    assert done.returncode != 0
    assert "NATS_PASSWORD is missing a value: set it to letters and digits" in done.stderr


def test_all_parts_are_there(services: dict[str, dict[str, Any]]) -> None:
    assert services.keys() == {ONE_SHOT, "nats", "jaeger", "qdrant", "ollama", "labverse"}


def test_images_are_pinned_to_a_full_version(services: dict[str, dict[str, Any]]) -> None:
    for name, service in services.items():
        if "build" not in service:
            assert re.fullmatch(r"[\w./-]+:v?\d+\.\d+\.\d+(-[a-z]+)?", service["image"]), name


def test_ports_are_open_to_this_machine_alone(services: dict[str, dict[str, Any]]) -> None:
    ports = [port for service in services.values() for port in service.get("ports", ())]
    assert len(ports) >= 6
    assert {port["host_ip"] for port in ports} == {"127.0.0.1"}


def test_services_can_change_nothing_but_their_own_data(services: dict[str, dict[str, Any]]) -> None:
    for name, service in services.items():
        assert service["read_only"], name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert "privileged" not in service
        writable = [mount for mount in service.get("volumes", ()) if not mount.get("read_only")]
        assert {mount["type"] for mount in writable} <= {"volume"}, name


def test_only_the_step_that_prepares_volumes_is_root(services: dict[str, dict[str, Any]]) -> None:
    users = {name: service.get("user") for name, service in services.items()}
    assert users.pop(ONE_SHOT) == "0:0"
    assert services[ONE_SHOT]["cap_add"] == ["CHOWN"]
    assert not [service for name, service in services.items() if name != ONE_SHOT and "cap_add" in service]
    assert users.pop("labverse") is None  # the container file says it
    assert "\nUSER 10001:10001\n" in CONTAINERFILE.read_text()
    assert users.pop("qdrant") is None
    assert services["qdrant"]["image"].endswith("-unprivileged")
    assert set(users.values()) == {"10001:10001"}


def test_services_are_limited_and_watched(services: dict[str, dict[str, Any]]) -> None:
    for name, service in services.items():
        assert int(service["mem_limit"]) > 0, name
        assert float(service["cpus"]) > 0, name
        assert int(service["pids_limit"]) > 0, name
        assert ("healthcheck" in service) == (name != ONE_SHOT), name


def test_what_must_survive_a_restart_lies_in_volumes(
    compose: dict[str, Any], services: dict[str, dict[str, Any]]
) -> None:
    mounted = {
        (name, mount["source"]): mount["target"]
        for name, service in services.items()
        for mount in service.get("volumes", ())
        if mount["type"] == "volume"
    }
    assert mounted["nats", "nats-data"] == "/data"
    assert "store_dir: /data\n" in SERVER_CONF.read_text()
    assert {source for _, source in mounted} == compose["volumes"].keys()


def test_labverse_is_told_where_everything_is_in_settings_that_exist(
    services: dict[str, dict[str, Any]],
) -> None:
    settings = load(env={**services["labverse"]["environment"], "HOME": "/tmp"}).settings
    assert str(settings.bus.url) == "nats://nats:4222"
    assert settings.bus.user == "labverse"
    assert settings.bus.password.reveal() == PASSWORD
    assert settings.telemetry.endpoint == "http://jaeger:4318"
    assert services["labverse"]["depends_on"]["nats"]["condition"] == "service_healthy"


def test_the_providers_file_loads_and_names_the_services(services: dict[str, dict[str, Any]]) -> None:
    providers = load_providers(ROOT / "deploy" / "ai_providers.yaml")
    assert "ollama" in services
    assert providers.rows["ollama"].base_url == "http://ollama:11434/v1"
    keys = {providers.rows[one.provider].key_variable for one in providers.listed} - {""}
    assert keys <= set(services["labverse"]["environment"])


def test_secrets_reach_only_those_who_need_them(services: dict[str, dict[str, Any]]) -> None:
    knowing = {name for name, service in services.items() if PASSWORD in json.dumps(service)}
    assert knowing == {"nats", "labverse"}
    assert PASSWORD not in COMPOSE.read_text()


def test_hadolint_finds_nothing_in_the_container_file() -> None:
    done = run(SCRIPTS / "hadolint", "--no-color", CONTAINERFILE)
    assert (done.returncode, done.stdout) == (0, "")


def test_hadolint_would_have_found_something(tmp_path: Path) -> None:
    careless = tmp_path / "Containerfile"
    careless.write_text("FROM python\nRUN pip install uv\nUSER root\n")
    done = run(SCRIPTS / "hadolint", "--no-color", careless)
    assert done.returncode != 0
    assert {"DL3006", "DL3013", "DL3002"} <= set(re.findall(r"DL\d+", done.stdout))


def test_the_container_file_copies_what_is_there_and_what_the_build_may_see() -> None:
    lines = re.findall(r"^COPY (?!--from)(.+)$", CONTAINERFILE.read_text(), flags=re.MULTILINE)
    sources = {Path(source).name for line in lines for source in line.split()[:-1]}
    assert {"orchestrator", "agents", "bus", "config", "schemas", "uv.lock"} <= sources
    assert [source for source in sources if not (ROOT / source).exists()] == []
    ignore = (ROOT / "deploy" / "Containerfile.dockerignore").read_text().splitlines()
    assert "*" in ignore
    assert {line.removeprefix("!") for line in ignore if line.startswith("!")} == sources


@dataclass(frozen=True)
class Running:
    """The server of compose.yaml, on free ports of this machine."""

    url: str
    monitor: str

    def options(self, *, password: str = PASSWORD) -> ConnectOptions:
        return ConnectOptions(url=self.url, user="labverse", password=password, connect_timeout_s=5.0)


@pytest.fixture(scope="module")
def nats(services: dict[str, dict[str, Any]], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("nats")
    text = SERVER_CONF.read_text()
    assert text.count("store_dir: /data\n") == 1
    conf = folder / "nats-server.conf"
    conf.write_text(text.replace("store_dir: /data\n", f'store_dir: "{folder / "data"}"\n'))
    flags = ("-a", "127.0.0.1", "-p", "-1", "-m", "-1", "--ports_file_dir", str(folder))
    process = subprocess.Popen(
        [server_binary(), "-c", str(conf), *flags],
        env=services["nats"]["environment"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        ports = json.loads(when_written(folder / f"nats-server_{process.pid}.ports", process))
        yield Running(ports["nats"][0], ports["monitoring"][0])
    finally:
        process.terminate()
        process.wait(20)


def when_written(file: Path, process: subprocess.Popen[bytes]) -> str:
    until = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < until and process.poll() is None:
        if file.exists() and (text := file.read_text()).endswith("}"):
            return text
        time.sleep(0.005)
    raise AssertionError("nats-server did not start with deploy/nats/nats-server.conf")


def test_the_server_takes_its_configuration(services: dict[str, dict[str, Any]]) -> None:
    done = run(server_binary(), "-t", "-c", SERVER_CONF, **services["nats"]["environment"])
    assert done.returncode == 0, done.stderr
    assert "is valid" in done.stderr


@pytest.mark.parametrize("missing", ["NATS_USER", "NATS_PASSWORD"])
def test_the_server_refuses_to_run_without_its_credentials(
    missing: str, services: dict[str, dict[str, Any]]
) -> None:
    environment = dict(services["nats"]["environment"])
    del environment[missing]
    done = run(server_binary(), "-t", "-c", SERVER_CONF, **environment)
    assert done.returncode != 0
    assert missing in done.stderr


async def test_the_server_lets_in_who_knows_the_password_and_nobody_else(nats: Running) -> None:
    connection = await Connection.open(nats.options())
    assert connection.payload_bytes_max == MESSAGE_SIZE_MAX
    await connection.close()
    with pytest.raises(ConnectError):
        await Connection.open(nats.options(password="wrong"))
    with pytest.raises(ConnectError):
        await Connection.open(ConnectOptions(url=nats.url, connect_timeout_s=5.0))


async def test_all_streams_and_stores_of_the_bus_fit_into_the_server(nats: Running) -> None:
    async with open_bus(BusOptions(connect=nats.options(), source="test")) as bus:
        assert {"LABVERSE", "LATER", "DEAD"} <= {stream.name for stream in await bus.streams()}
        assert await bus.letters.list() == []


def test_the_health_check_of_the_server_answers(nats: Running, services: dict[str, dict[str, Any]]) -> None:
    *_, address = services["nats"]["healthcheck"]["test"]
    path = address.removeprefix("http://127.0.0.1:8222")
    with urllib.request.urlopen(nats.monitor + path, timeout=10) as answer:
        assert json.loads(answer.read()) == {"status": "ok"}


def test_every_write_of_the_server_is_synced(nats: Running) -> None:
    with urllib.request.urlopen(f"{nats.monitor}/jsz?config=1", timeout=10) as answer:
        config = json.loads(answer.read())["config"]
    assert config["sync_always"] is True


def test_the_health_check_of_labverse_passes_while_its_agents_are_there(
    nats: Running, services: dict[str, dict[str, Any]], tmp_path: Path
) -> None:
    environment = {
        **services["labverse"]["environment"],
        "NATS_URL": nats.url,
        "LABVERSE_DATA": str(tmp_path),
        "LABVERSE_LLM__PROVIDERS_FILE": str(ROOT / "deploy" / "ai_providers.yaml"),  # where it lies outside
        "HOME": str(tmp_path),
        "PATH": f"{SCRIPTS}:{os.environ['PATH']}",
    }
    del environment["OTEL_EXPORTER_OTLP_ENDPOINT"]  # there is no Jaeger here
    kind, command = services["labverse"]["healthcheck"]["test"]
    assert kind == "CMD-SHELL"

    def healthy() -> bool:
        shell = ["sh", "-c", command.replace("$$", "$")]
        return subprocess.run(shell, env=environment, cwd=tmp_path, timeout=20).returncode == 0

    assert not healthy()
    up = subprocess.Popen(
        [SCRIPTS / "labverse", "up"], env=environment, cwd=tmp_path, stderr=subprocess.PIPE, text=True
    )
    try:
        until = time.monotonic() + START_TIMEOUT_S
        while not healthy():
            assert up.poll() is None
            assert time.monotonic() < until
    finally:
        up.terminate()
        _, said = up.communicate(timeout=20)
    assert "labverse is up" in said
    assert up.returncode == 0
