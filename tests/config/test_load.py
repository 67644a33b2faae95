"""Where settings come from, which of two wins, and what is said of those that can't be used."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from config.keys import keys
from config.load import ConfigError, Loaded, load
from config.settings import Settings

ENV: Mapping[str, str] = {"HOME": "/home/ada"}


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
        assert loaded.sources["agents.grace_s"] == f"file {path}"
        assert loaded.sources["agents.ack_wait_s"] == "default"

    def test_a_flag_of_none_counts_as_not_given(self) -> None:
        loaded = load(file=None, env=ENV, flags={"bus.port": None})
        assert loaded.sources["bus.port"] == "default"

    def test_flags_may_be_text_or_of_the_keys_own_type(self) -> None:
        for roots in ("/a,/b", [Path("/a"), Path("/b")], ("/a", "/b")):
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
        key = keys()[dotted]
        texts = {
            "bus.url": "tls://h:1",
            "bus.user": "ada",
            "review.fail_on": "low",
            "telemetry.endpoint": "https://h",
            "telemetry.protocol": "grpc",
            "telemetry.sample_ratio": "0.5",
            "bus.replicas": "3",
            "bus.sync_always": "false",
        }
        text = texts.get(dotted, "/a/b" if "Path" in str(key.type) else "60000000")
        env = {
            **ENV,
            key.variable: text,
            "LABVERSE_BUS__USER": "ada",
            "LABVERSE_REVIEW__TOTAL_BYTES_MAX": "60000000",
        }
        if dotted == "bus.tls_key_file":
            env["LABVERSE_BUS__TLS_CERT_FILE"] = "/a/c"
        limits = {
            "bus.port": "4222",
            "review.agents": "7",
            "review.files_max": "9",
            "agents.attempts_max": "9",
        }
        seconds = {"agents.ack_wait_s", "agents.grace_s", "bus.connect_timeout_s", "review.deadline_s"}
        env[key.variable] = limits.get(dotted, "77.5" if dotted in seconds else env[key.variable])
        before = load(file=None, env=ENV, flags={}).settings
        loaded = load(file=None, env=env, flags={})
        assert loaded.sources[dotted] == f"environment {key.variable}"
        assert getattr(getattr(loaded.settings, key.section), key.name) != getattr(
            getattr(before, key.section), key.name
        )


class TestFiles:
    def test_the_file_is_looked_for_here_then_in_the_configuration_folder(self, folder: Path) -> None:
        xdg = write(folder / "xdg" / "labverse" / "config.yaml", "bus: {port: 2}")
        env = {**ENV, "XDG_CONFIG_HOME": str(folder / "xdg")}
        assert load(file=None, env=env, flags={}).file == xdg
        here = write(folder / "labverse.yaml", "bus: {port: 1}")
        assert load(file=None, env=env, flags={}).file == here
        named = write(folder / "named.yaml", "bus: {port: 3}")
        env["LABVERSE_CONFIG"] = str(named)
        assert load(file=None, env=env, flags={}).file == named
        assert load(file=here, env=env, flags={}).settings.bus.port == 1

    def test_without_xdg_the_configuration_folder_is_in_the_home(self, folder: Path) -> None:
        path = write(folder / ".config" / "labverse" / "config.yaml", "bus: {port: 2}")
        assert load(file=None, env={"HOME": str(folder)}, flags={}).file == path

    def test_a_named_file_that_is_missing_is_an_error(self, folder: Path) -> None:
        for env, file in ((ENV, Path("gone.yaml")), ({**ENV, "LABVERSE_CONFIG": "gone.yaml"}, None)):
            with pytest.raises(ConfigError, match=r"settings file .*/gone\.yaml does not exist"):
                load(file=file, env=env, flags={})
        with pytest.raises(ConfigError, match="is not a file"):
            load(file=folder, env=ENV, flags={})

    def test_relative_paths_start_at_the_file_or_at_the_current_folder(self, folder: Path) -> None:
        path = write(folder / "etc" / "my.yaml", "bus: {data_dir: data}\nreview: {roots: [~/code, /srv]}\n")
        settings = load(file=path, env={**ENV, "LABVERSE_BUS__TLS_CA_FILE": "ca.pem"}, flags={}).settings
        assert settings.bus.data_dir == folder / "etc" / "data"
        assert settings.bus.tls_ca_file == folder / "ca.pem"
        assert settings.review.roots == (Path("/home/ada/code"), Path("/srv"))

    @pytest.mark.parametrize("text", ["", "# nothing\n", "---\n", "bus:\n", "bus:\n  port:\n"])
    def test_an_empty_file_section_or_key_leaves_the_defaults(self, folder: Path, text: str) -> None:
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
        with pytest.raises(ConfigError, match="name a data folder with LABVERSE_DATA"):
            load(file=None, env={}, flags={})
        assert load(file=None, env={"LABVERSE_DATA": "/d"}, flags={}).settings.bus.data_dir == Path("/d")


class TestErrors:
    def test_an_unknown_key_is_refused_with_its_line_and_the_nearest_known_one(self, folder: Path) -> None:
        assert error_of(folder, "bus:\n  # the port\n  prot: 3\n") == (
            "unknown key `bus.prot` in labverse.yaml line 3; did you mean `bus.port`?"
        )
        assert error_of(folder, "buss:\n  port: 3\n") == (
            "unknown key `buss` in labverse.yaml line 1; did you mean `bus`?"
        )
        assert error_of(folder, "port: 3\n").endswith("; did you mean `bus.port`?")
        assert error_of(folder, "agents:\n  zzz: 3\n") == "unknown key `agents.zzz` in labverse.yaml line 2"

    def test_a_key_in_flow_style_is_named_with_its_file(self, folder: Path) -> None:
        assert error_of(folder, "bus: {prot: 3}\n") == (
            f"unknown key `bus.prot` in {folder}/labverse.yaml; did you mean `bus.port`?"
        )

    def test_an_unknown_variable_of_ours_is_refused_with_the_nearest_known_one(self) -> None:
        assert env_error(LABVERSE_BUS_PORT="3") == (
            "unknown environment variable `LABVERSE_BUS_PORT`; did you mean `LABVERSE_BUS__PORT`?"
        )
        assert "did you mean `LABVERSE_DATA`" in env_error(LABVERSE_DTA="3")

    def test_variables_of_others_are_left_alone(self) -> None:
        load(file=None, env={**ENV, "LABVERSEX": "1", "PATH": "/bin", "OTEL_LOG_LEVEL": "x"}, flags={})

    def test_an_unknown_flag_is_refused(self) -> None:
        with pytest.raises(ConfigError, match=r"unknown key `bus\.prot` in a flag; did you mean `bus\.port`"):
            load(file=None, env=ENV, flags={"bus.prot": 1})

    @pytest.mark.parametrize(
        ("text", "told"),
        [
            ("bus:\n  port: 70000", "`bus.port` in labverse.yaml line 2: found 70000, expected a whole number from 0 to 65535"),
            ("bus:\n  port: -1", "found -1, expected a whole number from 0 to 65535"),
            ("bus:\n  port: '3'", "found '3', expected a whole number"),
            ("bus:\n  port: true", "found True, expected a whole number"),
            ("bus:\n  sync_always: 1", "found 1, expected true or false"),
            ("bus:\n  user: 12", "found 12, expected text of 0 to 4096 characters (put it in quotes)"),
            ("bus:\n  password: 1234", "found a int, expected text of at most 4096 characters (put it in quotes)"),
            ("bus:\n  url: ftp://x", "found an address of another form, expected nats://host:port or tls://host:port"),
            ("bus:\n  url: nats://h:99999", "expected nats://host:port"),
            ("bus:\n  data_dir: ''", "`bus.data_dir` in labverse.yaml line 2: found empty text, expected a path"),
            ("bus:\n  data_dir: [a]", "found ['a'], expected a path"),
            ("bus:\n  connect_timeout_s: -1", "found -1, expected a number from 0.1 to 300.0"),
            ("agents:\n  grace_s: .nan", "found nan, expected a number from 0.0 to 3600.0"),
            ("agents:\n  grace_s: .inf", "found inf, expected a number"),
            ("review:\n  fail_on: bad", "found 'bad', expected one of critical, high, medium, low, info, never"),
            ("review:\n  roots: /srv", "found '/srv', expected a list of folders of 0 to 64 entries"),
            ("review:\n  roots: [1]", "found [1], expected a list of folders"),
            ("review:\n  files_max: 2020-01-01", "found datetime.date(2020, 1, 1), expected a whole number"),
            ("telemetry:\n  sample_ratio: 1.5", "found 1.5, expected a number from 0 to 1.0"),
            ("telemetry:\n  endpoint: h:4318/a b", "expected http://host:port or https://host:port"),
            ("bus: 3", "`bus` in labverse.yaml line 1: found a int, expected keys below it"),
            ("- bus", "labverse.yaml: found a list, expected sections such as `bus:`"),
        ],
    )  # fmt: skip
    def test_a_wrong_value_is_told_with_place_found_and_expected(
        self, folder: Path, text: str, told: str
    ) -> None:
        assert told in error_of(folder, text)

    def test_a_wrong_value_in_a_variable_names_the_variable(self) -> None:
        assert env_error(LABVERSE_BUS__PORT="many") == (
            "`bus.port` in environment LABVERSE_BUS__PORT: found 'many', expected a whole number from 0 to 65535"
        )
        assert "found empty text" in env_error(LABVERSE_BUS__PORT="")
        assert "OTEL_TRACES_SAMPLER_ARG: found 'x'" in env_error(OTEL_TRACES_SAMPLER_ARG="x")
        assert "found 'nan', expected a number" in env_error(LABVERSE_AGENTS__GRACE_S="nan")

    def test_keys_that_do_not_fit_together_are_refused(self, folder: Path) -> None:
        assert error_of(folder, "bus:\n  tls_key_file: k\n") == (
            "`bus.tls_key_file` in labverse.yaml line 2 needs `bus.tls_cert_file` too"
        )
        assert "`bus.password` in labverse.yaml line 2 needs" in error_of(folder, "bus:\n  password: x\n")
        assert "more than `review.total_bytes_max` = 5" in error_of(folder, "review: {total_bytes_max: 5}")

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
            "telemetry:\n  endpoint: nats://hunter2@h\n",
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
