"""What `labverse config show` prints."""

import json
import re
import subprocess
import zipfile
from pathlib import Path

import pytest

import config
from config.keys import keys
from config.load import load
from config.show import show

SECRETS = {
    "LABVERSE_BUS__USER": "ada",
    "LABVERSE_BUS__PASSWORD": "hunter2",
    "LABVERSE_BUS__TOKEN": "hunter2",
    "LABVERSE_BUS__URL": "nats://ada:hunter2@host",
    "LABVERSE_TELEMETRY__HEADERS": "authorization=hunter2",
    "LABVERSE_TELEMETRY__ENDPOINT": "https://host/otlp",
    "LABVERSE_DATA": "/data",
}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_table_has_every_key_with_value_and_source_and_no_secret() -> None:
    loaded = load(file=None, env=SECRETS, flags={"review.roots": "/a:/b"})
    text = show(loaded, as_json=False)
    rows = [re.split(r"\s{2,}", line) for line in text.splitlines()]
    assert rows[0] == ["key", "value", "source"]
    assert [row[0] for row in rows[1:]] == list(keys())
    assert ["bus.url", "nats://ada:***@host", "environment LABVERSE_BUS__URL"] in rows
    assert ["bus.password", "***", "environment LABVERSE_BUS__PASSWORD"] in rows
    assert ["bus.sync_always", "true", "default"] in rows
    assert ["bus.tls_ca_file", "-", "default"] in rows
    assert ["review.roots", "/a,/b", "flag"] in rows
    assert "hunter2" not in text


def test_json_has_the_same_with_types_and_no_secret() -> None:
    text = show(load(file=None, env=SECRETS, flags={}), as_json=True)
    rows = json.loads(text)
    assert list(rows) == list(keys())
    assert rows["bus.port"] == {"value": 0, "source": "default"}
    assert rows["bus.data_dir"] == {"value": "/data", "source": "environment LABVERSE_DATA"}
    assert "hunter2" not in text


def test_no_secret_is_in_the_repr_of_what_was_loaded() -> None:
    assert "hunter2" not in repr(load(file=None, env=SECRETS, flags={}))


def default_file() -> str:
    return Path(config.__file__).with_name("labverse.yaml").read_text(encoding="utf-8")


def test_the_default_file_names_every_key_with_its_default(folder: Path) -> None:
    path = folder / "labverse.yaml"
    env = {"HOME": "/h"}
    path.write_text(default_file())
    assert set(load(file=path, env=env).sources.values()) == {"default"}
    path.write_text(re.sub(r"^  #(\w+:)", r"  \1", default_file(), flags=re.MULTILINE))
    loaded = load(file=path, env=env)
    assert loaded.settings == load(env={**env, "XDG_CONFIG_HOME": "/none"}, file=write_empty(folder)).settings
    assert set(loaded.sources) == {key for key, source in loaded.sources.items() if source != "default"}


def write_empty(folder: Path) -> Path:
    path = folder / "empty.yaml"
    path.write_text("")
    return path


def test_the_default_file_is_in_the_wheel(tmp_path: Path) -> None:
    root = Path(config.__file__).parents[1]
    command = ["uv", "build", "--wheel", "-q", "--out-dir", str(tmp_path), str(root)]
    subprocess.run(command, check=True, capture_output=True)
    [wheel] = tmp_path.glob("*.whl")
    assert zipfile.ZipFile(wheel).read("config/labverse.yaml").decode() == default_file()
