"""Where settings come from, which of two wins, and what is said of those that can't be used."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from config.keys import keys
from config.load import ConfigError, Loaded, load
from config.secret import Secret, Url
from config.settings import Settings

ENV: Mapping[str, str] = {"HOME": "/home/ada"}

OTHER_THAN_DEFAULT: Mapping[str, str] = {
    "bus.url": "tls://h:1",
    "bus.credentials_file": "/a/b",
    "bus.user": "grace",
    "bus.password": "p",
    "bus.token": "t",
    "bus.nkey_seed_file": "/a/b",
    "bus.tls_ca_file": "/a/b",
    "bus.tls_cert_file": "/a/b",
    "bus.tls_key_file": "/a/b",
    "bus.data_dir": "/a/b",
    "bus.port": "4222",
    "bus.sync_always": "false",
    "bus.stream_messages_max": "5000",
    "bus.stream_bytes_max": "60000000",
    "bus.stream_age_max_s": "77.5",
    "bus.object_bytes_max": "60000000",
    "bus.objects_bytes_max": "90000000",
    "bus.connect_timeout_s": "77.5",
    "bus.replicas": "3",
    "review.roots": "/a/b",
    "review.deadline_s": "77.5",
    "review.agents": "7",
    "review.fail_on": "low",
    "review.models": "any",
    "review.max_cost_usd": "7.5",
    "review.models_s": "77.5",
    "review.file_bytes_max": "77",
    "review.files_max": "77",
    "review.total_bytes_max": "90000000",
    "agents.ack_wait_s": "77.5",
    "agents.attempts_max": "7",
    "agents.grace_s": "77.5",
    "llm.providers_file": "/a/b",
    "llm.deadline_s": "77.5",
    "llm.cache_age_s": "77.5",
    "llm.discover": "false",
    "llm.hedge_ratio_max": "0.5",
    "llm.in_time_probability": "0.5",
    "llm.record_prompts": "true",
    "llm.local_model": "/a/b",
    "llm.local_model_port": "4222",
    "negotiation.cards": "/a/b",
    "negotiation.policy_file": "/a/b",
    "gateway.serve": "false",
    "gateway.host": "0.0.0.0",
    "gateway.port": "4222",
    "gateway.keys_file": "/a/b",
    "gateway.body_bytes_max": "5000",
    "gateway.requests_per_minute": "77",
    "slack.bot_token": "t",
    "slack.signing_secret": "s",
    "slack.channel": "#deals",
    "slack.api_url": "http://127.0.0.1:1/api/",
    "telemetry.endpoint": "https://h",
    "telemetry.protocol": "grpc",
    "telemetry.headers": "k=v",
    "telemetry.sample_ratio": "0.5",
    "telemetry.service_name": "lab",
}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def load_text(folder: Path, text: str) -> Loaded:
    return load(file=write(folder / "labverse.yaml", text), env=ENV, flags={})


def error_of(folder: Path, text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load_text(folder, text)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def env_error(**env: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load(file=None, env={**ENV, **env}, flags={})
    assert "\n" not in str(caught.value)
    return str(caught.value)


class TestPrecedence:
    def test_without_anything_every_key_has_its_default(self) -> None:
        loaded = load(file=None, env=ENV, flags={})
        assert set(loaded.sources.values()) == {"default"}
        assert list(loaded.sources) == list(keys())
        assert loaded.file is None
        assert loaded.settings.review == Settings().review
        assert loaded.settings.bus.data_dir == Path("/home/ada/.local/share/labverse")

    def test_file_beats_default_environment_beats_file_flag_beats_environment(self, folder: Path) -> None:
        path = write(folder / "my.yaml", "bus: {port: 1}\nagents: {attempts_max: 2, grace_s: 3}\n")
        env = {**ENV, "LABVERSE_BUS__PORT": "4", "LABVERSE_AGENTS__ATTEMPTS_MAX": "5"}
        loaded = load(file=path, env=env, flags={"bus.port": 6})
        assert loaded.settings.bus.port == 6
        assert loaded.settings.agents.attempts_max == 5
        assert loaded.settings.agents.grace_s == 3.0
        assert loaded.settings.agents.ack_wait_s == 8.0
        assert loaded.sources["bus.port"] == "flag"
        assert loaded.sources["agents.attempts_max"] == "environment LABVERSE_AGENTS__ATTEMPTS_MAX"
        assert loaded.sources["agents.grace_s"] == f"file {path} line 2"
        assert loaded.sources["agents.ack_wait_s"] == "default"

    def test_flags_may_be_text_or_of_the_keys_own_type(self) -> None:
        for roots in ("/a:/b", [Path("/a"), Path("/b")], ("/a", "/b")):
            loaded = load(file=None, env=ENV, flags={"review.roots": roots, "bus.sync_always": "false"})
            assert loaded.settings.review.roots == (Path("/a"), Path("/b"))
            assert loaded.settings.bus.sync_always is False

    @pytest.mark.parametrize(
        ("name", "text", "dotted", "value"),
        [
            ("NATS_URL", "nats://h:4222", "bus.url", "nats://h:4222"),
            ("LABVERSE_DATA", "/data", "bus.data_dir", "/data"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://h:4318", "telemetry.endpoint", "http://h:4318"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "k=v", "telemetry.headers", "***"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", "telemetry.protocol", "grpc"),
            ("OTEL_SERVICE_NAME", "lab", "telemetry.service_name", "lab"),
            ("OTEL_TRACES_SAMPLER_ARG", "0.25", "telemetry.sample_ratio", "0.25"),
        ],
    )
    def test_well_known_variables_set_their_key_and_ours_wins(
        self, name: str, text: str, dotted: str, value: str
    ) -> None:
        section, field = dotted.split(".")
        loaded = load(file=None, env={**ENV, name: text}, flags={})
        assert str(getattr(getattr(loaded.settings, section), field)) == value
        assert loaded.sources[dotted] == f"environment {name}"
        ours = keys()[dotted].variable
        loaded = load(file=None, env={**ENV, name: text, ours: text}, flags={})
        assert loaded.sources[dotted] == f"environment {ours}"

    def test_an_empty_well_known_variable_counts_as_not_set(self) -> None:
        loaded = load(file=None, env={**ENV, "NATS_URL": "", "OTEL_TRACES_SAMPLER_ARG": ""}, flags={})
        assert set(loaded.sources.values()) == {"default"}

    def test_our_own_variable_may_empty_a_text_that_the_file_sets(self, folder: Path) -> None:
        path = write(folder / "my.yaml", "bus:\n  url: nats://h:1\n  tls_ca_file: ca.pem\n  user: ada\n")
        env = {**ENV, "LABVERSE_BUS__URL": "", "LABVERSE_BUS__TLS_CA_FILE": "", "LABVERSE_BUS__USER": ""}
        bus = load(file=path, env=env, flags={}).settings.bus
        assert (str(bus.url), bus.tls_ca_file, bus.user) == ("", None, "")

    @pytest.mark.parametrize("dotted", list(keys()))
    def test_every_key_can_be_set_by_its_environment_variable(self, dotted: str) -> None:
        section, field = dotted.split(".")
        text = OTHER_THAN_DEFAULT[dotted]
        env = {
            **ENV,
            "LABVERSE_BUS__URL": "nats://cluster",
            "LABVERSE_BUS__USER": "ada",
            "LABVERSE_BUS__TLS_CERT_FILE": "/cert",
            keys()[dotted].variable: text,
        }
        loaded = load(file=None, env=env, flags={})
        assert loaded.sources[dotted] == f"environment {keys()[dotted].variable}"
        value = getattr(getattr(loaded.settings, section), field)
        assert value != getattr(getattr(load(file=None, env=ENV, flags={}).settings, section), field)
        shown = "".join(map(str, value)) if isinstance(value, tuple) else str(value)
        assert shown.lower() == ("***" if isinstance(value, Secret) and not isinstance(value, Url) else text)


class TestFiles:
    def test_the_file_is_looked_for_here_then_in_the_configuration_folder(self, folder: Path) -> None:
        xdg = write(folder / "xdg" / "labverse" / "config.yaml", "bus: {port: 2}")
        env = {**ENV, "XDG_CONFIG_HOME": str(folder / "xdg")}
        assert load(file=None, env=env, flags={}).file == xdg
        here = write(folder / "labverse.yaml", "review: {agents: 7}")
        assert load(file=None, env=env, flags={}).settings.review.agents == 7
        named = write(folder / "named.yaml", "bus: {port: 3}")
        env["LABVERSE_CONFIG"] = str(named)
        assert load(file=None, env=env, flags={}).file == named
        assert load(file=here, env=env, flags={}).settings.review.agents == 7

    @pytest.mark.parametrize(
        "text",
        ["bus: {url: 'nats://evil:4222'}", "telemetry: {endpoint: 'http://evil'}", "review: {roots: [/]}"],
    )
    def test_a_file_that_came_with_the_code_can_not_send_it_away(self, folder: Path, text: str) -> None:
        path = write(folder / "labverse.yaml", text)
        with pytest.raises(ConfigError, match="only found here"):
            load(file=None, env=ENV, flags={})
        load(file=path, env=ENV, flags={})

    def test_without_xdg_the_configuration_folder_is_in_the_home(self, folder: Path) -> None:
        path = write(folder / ".config" / "labverse" / "config.yaml", "bus: {port: 2}")
        assert load(file=None, env={"HOME": str(folder)}, flags={}).file == path

    def test_a_named_file_that_is_missing_is_an_error(self, folder: Path) -> None:
        for env, file in ((ENV, Path("gone.yaml")), ({**ENV, "LABVERSE_CONFIG": "gone.yaml"}, None)):
            with pytest.raises(ConfigError, match=r"settings file gone\.yaml \(.*\) doesn't exist"):
                load(file=file, env=env, flags={})
        with pytest.raises(ConfigError, match="is not a file"):
            load(file=folder, env=ENV, flags={})

    def test_relative_paths_start_at_the_file_or_at_the_current_folder(self, folder: Path) -> None:
        path = write(folder / "etc" / "my.yaml", "bus: {data_dir: data}\nreview: {roots: [~/code, /srv]}\n")
        settings = load(file=path, env={**ENV, "LABVERSE_BUS__TLS_CA_FILE": "ca.pem"}, flags={}).settings
        assert settings.bus.data_dir == folder / "etc" / "data"
        assert settings.bus.tls_ca_file == folder / "ca.pem"
        assert settings.review.roots == (Path("/home/ada/code"), Path("/srv"))

    @pytest.mark.parametrize("text", ["", "# nothing\n", "---\n", "bus:\n", "bus:\n  data_dir:\n"])
    def test_an_empty_file_or_section_leaves_the_defaults(self, folder: Path, text: str) -> None:
        assert set(load_text(folder, text).sources.values()) == {"default"}

    def test_xdg_data_home_is_the_default_for_the_data_folder(self) -> None:
        loaded = load(file=None, env={**ENV, "XDG_DATA_HOME": "/xdg"}, flags={})
        assert loaded.settings.bus.data_dir == Path("/xdg/labverse")
        assert loaded.sources["bus.data_dir"] == "default"

    def test_a_user_without_a_home_needs_to_name_a_data_folder_and_nothing_else(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def no_home() -> Path:
            raise RuntimeError("Could not determine home directory.")

        monkeypatch.setattr(Path, "home", no_home)
        with pytest.raises(ConfigError, match="name a folder with LABVERSE_DATA"):
            load(file=None, env={}, flags={})
        assert load(file=None, env={"LABVERSE_DATA": "/d"}, flags={}).settings.bus.data_dir == Path("/d")


class TestErrors:
    def test_an_unknown_key_is_refused_with_its_line_and_the_nearest_known_one(self, folder: Path) -> None:
        file = folder / "labverse.yaml"
        assert error_of(folder, "bus:\n  # the port\n  prot: 3\n") == (
            f"unknown key `bus.prot` in {file} line 3; did you mean `bus.port`?"
        )
        assert error_of(folder, "bus:\n  port: 1\nbuss:\n  port: 3\n") == (
            f"unknown key `buss` in {file} line 3; did you mean `bus`?"
        )
        assert error_of(folder, "port: 3\n").endswith("; did you mean `bus.port`?")
        assert error_of(folder, "agents:\n  zzz: 3\n") == f"unknown key `agents.zzz` in {file} line 2"
        assert error_of(folder, "bus: {port: 1,\n  prot: 3}\n").startswith(
            f"unknown key `bus.prot` in {file} line 2"
        )

    def test_an_unknown_variable_of_ours_is_refused_with_the_nearest_known_one(self) -> None:
        assert env_error(LABVERSE_BUS_PORT="3") == (
            "unknown environment variable LABVERSE_BUS_PORT; did you mean `LABVERSE_BUS__PORT`?"
        )
        assert "did you mean `LABVERSE_DATA`" in env_error(LABVERSE_DTA="3")
        assert env_error(LABVERSE_ZZZZZZ="3") == "unknown environment variable LABVERSE_ZZZZZZ; unset it"

    def test_what_kubernetes_puts_beside_a_service_of_our_name_is_left_alone(self) -> None:
        env = {
            "LABVERSE_SERVICE_HOST": "10.0.0.1",
            "LABVERSE_SERVICE_PORT": "4222",
            "LABVERSE_SERVICE_PORT_HTTP": "80",
            "LABVERSE_PORT": "tcp://10.0.0.1:4222",
            "LABVERSE_PORT_4222_TCP": "tcp://10.0.0.1:4222",
            "LABVERSE_PORT_4222_TCP_ADDR": "10.0.0.1",
            "LABVERSE_GATEWAY_SERVICE_HOST": "10.0.0.2",
            "LABVERSE_GATEWAY_PORT": "tcp://10.0.0.2:80",
        }
        assert set(load(file=None, env={**ENV, **env}, flags={}).sources.values()) == {"default"}

    def test_variables_of_others_are_left_alone(self) -> None:
        load(file=None, env={**ENV, "LABVERSEX": "1", "PATH": "/bin", "OTEL_LOG_LEVEL": "x"}, flags={})

    def test_an_unknown_flag_is_refused(self) -> None:
        with pytest.raises(
            ConfigError, match=r"unknown key `bus\.prot` on the command line; did you mean `bus\.port`"
        ):
            load(file=None, env=ENV, flags={"bus.prot": 1})

    @pytest.mark.parametrize(
        ("text", "told"),
        [
            ("bus:\n  port: 70000", "labverse.yaml line 2: found 70000, expected a whole number from 0 to 65,535"),
            ("bus:\n  port: -1", "found -1, expected a whole number from 0 to 65,535"),
            ("bus:\n  port: '3'", "found the text '3', expected a whole number"),
            ("bus:\n  port: true", "found true, expected a whole number"),
            ("bus:\n  port:", "found nothing, expected a whole number"),
            ("bus:\n  sync_always: 1", "found 1, expected true or false"),
            ("bus:\n  user: 12", "found 12, expected a text of at most 4,096 characters (a number needs quotes)"),
            ("bus:\n  password: 1234", "found something that is no text, expected a text"),
            ("bus:\n  url: ftp://x", "found ftp://x, expected nats://host:port or tls://host:port"),
            ("bus:\n  url: nats://h:99999", "expected nats://host:port"),
            ("bus:\n  tls_ca_file: [a]", "found a list, expected a path"),
            ("bus:\n  connect_timeout_s: -1", "found -1, expected a number from 0.1 to 300"),
            ("agents:\n  grace_s: .nan", "found nan, expected a number from 0 to 3,600"),
            ("agents:\n  grace_s: .inf", "found inf, expected a number"),
            ("review:\n  fail_on: bad", "found the text 'bad', expected critical, high, medium, low, info or never"),
            ("review:\n  roots: /srv", "found the text '/srv', expected a list of at most 64 folders"),
            ("review:\n  roots: [1]", "found a list, expected a list of at most 64 folders"),
            ("review:\n  files_max: 2020-01-01", "found 2020-01-01, expected a whole number"),
            ("telemetry:\n  sample_ratio: 1.5", "found 1.5, expected a number from 0 to 1"),
            ("bus: 3", "`bus` in"),
            ("bus: 3", "labverse.yaml line 1: expected keys below it, such as `bus.url`"),
            ("- bus", "labverse.yaml: found a list, expected sections such as `bus:`"),
        ],
    )  # fmt: skip
    def test_a_wrong_value_is_told_with_place_found_and_expected(
        self, folder: Path, text: str, told: str
    ) -> None:
        assert told in error_of(folder, text)

    def test_a_wrong_value_in_a_variable_names_the_variable(self) -> None:
        assert env_error(LABVERSE_BUS__PORT="many") == (
            "`bus.port` from environment LABVERSE_BUS__PORT: found the text 'many', "
            "expected a whole number from 0 to 65,535"
        )
        assert "found an empty text" in env_error(LABVERSE_BUS__PORT="")
        assert "OTEL_TRACES_SAMPLER_ARG: found the text 'x'" in env_error(OTEL_TRACES_SAMPLER_ARG="x")
        assert "found nan, expected a number" in env_error(LABVERSE_AGENTS__GRACE_S="nan")

    def test_the_sampler_argument_of_another_sampler_is_not_a_ratio(self) -> None:
        env = {**ENV, "OTEL_TRACES_SAMPLER": "jaeger_remote", "OTEL_TRACES_SAMPLER_ARG": "endpoint=http://h"}
        assert load(file=None, env=env, flags={}).sources["telemetry.sample_ratio"] == "default"

    @pytest.mark.parametrize(
        ("text", "key", "told"),
        [
            ("bus: {tls_key_file: k}", "bus.tls_key_file", "a key needs its certificate; set `bus.tls_cert_file`"),
            ("bus: {password: x}", "bus.password", "a password needs a user; set `bus.user`"),
            ("bus: {replicas: 3}", "bus.replicas", "3 copies need a cluster"),
            ("bus: {objects_bytes_max: 20000000}", "bus.objects_bytes_max", "less than 67,108,864 for one"),
            ("telemetry: {endpoint: 'h:4318'}", "telemetry.endpoint", "expected a URL such as"),
            ("telemetry: {endpoint: 'http://'}", "telemetry.endpoint", "expected a URL such as"),
            ("telemetry: {endpoint: 'http://h:x'}", "telemetry.endpoint", "it is no URL"),
            ("telemetry: {headers: 'no pair'}", "telemetry.headers", "expected at most 32 headers as name=value"),
        ],
    )  # fmt: skip
    def test_keys_that_do_not_fit_together_are_refused(
        self, folder: Path, text: str, key: str, told: str
    ) -> None:
        error = error_of(folder, text)
        assert error.startswith(f"`{key}` (file {folder}/labverse.yaml line 1): ")
        assert told in error

    def test_a_message_stays_one_line_whatever_the_names_and_values(self, folder: Path) -> None:
        error_of(folder, '"bus\\n\\e[31m": 1')
        error_of(folder, 'bus: {"a\\nb": 1}')
        error_of(folder, f'bus: {{port: "{"x" * 3000}\\n"}}')
        assert len(error_of(folder, f'bus: {{port: "{"x" * 3000}"}}')) < 300
        env_error(**{"LABVERSE_A\nB": "1"})

    def test_no_error_shows_a_secret(self, folder: Path) -> None:
        for text in (
            "bus:\n  url: ftp://ada:hunter2@h\n",
            "bus:\n  url: nats://ada:hunter2@h:x\n",
            "bus:\n  url: [hunter2]\n",
            "bus:\n  password: [hunter2]\n",
            "bus:\n  token: {a: hunter2}\n",
            "telemetry:\n  headers: {authorization: hunter2}\n",
            "telemetry:\n  endpoint: http://hunter2@h\n",
            "telemetry:\n  endpoint: http://h/?key=hunter2\n",
            "telemetry:\n  headers: hunter2\n",
        ):
            assert "hunter2" not in error_of(folder, text)


def test_loading_settings_imports_nothing_heavy() -> None:
    code = (
        "import sys; from pathlib import Path; from config.load import load; "
        "load(file=None, env={'HOME': '/x'}, flags={}); "
        "print([m for m in ('yaml', 'difflib', 'asyncio', 'nats', 'opentelemetry', 'rich') if m in sys.modules])"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
