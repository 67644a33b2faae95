"""Files that are broken, huge or hostile: a message in one line, quickly, and never a crash of the process."""

import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from config.errors import ConfigError
from config.yaml_file import FILE_BYTES_MAX, read_yaml


def error_of(path: Path, content: bytes) -> str:
    path.write_bytes(content)
    start = time.monotonic()
    with pytest.raises(ConfigError) as caught:
        read_yaml(path)
    assert time.monotonic() - start < 10
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "labverse.yaml"


def test_a_syntax_error_names_line_and_column(path: Path) -> None:
    assert error_of(path, b"bus:\n  port: 1\n   url: x\n") == (
        f"{path} line 3, column 7: not valid YAML: mapping values are not allowed in this context"
    )
    assert error_of(path, b"bus: [1\nagents: 2\n").startswith(f"{path} line 2, column 7: not valid YAML:")
    assert "line 2" in error_of(path, b"bus:\n\tport: 1\n")


def test_text_that_is_not_utf8_is_refused_with_its_line(path: Path) -> None:
    assert error_of(path, b"bus:\n  user: \xff\n") == f"{path} line 2: found byte 0xff, expected UTF-8"


def test_a_byte_order_mark_is_no_error(path: Path) -> None:
    path.write_bytes(b"\xef\xbb\xbfbus:\n  port: 1\n")
    assert read_yaml(path) == {"bus": (None, 1), "bus.port": (1, 2)}


def test_tags_make_no_objects(path: Path) -> None:
    assert "could not determine a constructor" in error_of(path, b"bus: !!python/object/apply:os.getcwd []\n")


def test_a_file_over_the_limit_is_not_parsed(path: Path) -> None:
    assert "more than 1000000 bytes" in error_of(path, b"# x\n" * (FILE_BYTES_MAX // 4 + 1))
    path.write_bytes(b"# x\n" * (FILE_BYTES_MAX // 4))
    assert read_yaml(path) == {}


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"[" * 400_000 + b"]" * 400_000, id="brackets on one line"),
        pytest.param(b"[\n" * 400_000, id="brackets on many lines"),
        pytest.param(b"{a: \n" * 150_000, id="flow mappings"),
        pytest.param(b"- " * 400_000, id="compact sequences"),
        pytest.param(b"? " * 400_000, id="complex keys"),
        pytest.param(b"a: " + b"9" * 900_000, id="a number that takes long to read"),
        pytest.param(b"a: 2020-99-99", id="a date that is none"),
        pytest.param(
            b"a0: &a0 {k: 1}\n"
            + b"".join(b"a%d: &a%d {<<: [*a%d, *a%d]}\n" % (n, n, n - 1, n - 1) for n in range(1, 30)),
            id="merged aliases",
        ),
        pytest.param(
            b"a0: &a0 [x]\n"
            + b"".join(
                b"a%d: &a%d\n- *a%d\n- *a%d\n- *a%d\n" % (n, n, n - 1, n - 1, n - 1) for n in range(1, 30)
            ),
            id="laughing aliases",
        ),
    ],
)
def test_what_would_exhaust_the_parser_is_refused_before_it(path: Path, content: bytes) -> None:
    error_of(path, content)


def test_the_deepest_file_that_is_let_through_does_no_harm(path: Path) -> None:
    path.write_bytes(b"a: " + b"[" * 1000 + b"]" * 1000 + b"\nb:\n" + b"- " * 2000 + b"x\n")
    assert set(read_yaml(path)) == {"a", "b"}


def test_a_few_aliases_work(path: Path) -> None:
    path.write_bytes(b"x: &x {port: 3}\nbus:\n  <<: *x\n")
    assert read_yaml(path)["bus.port"].value == 3


def test_a_key_or_section_that_stands_twice_is_refused(path: Path) -> None:
    assert error_of(path, b"bus:\n  port: 1\nreview:\n  agents: 1\nbus:\n  url: x\n") == (
        f"`bus` stands twice in {path}: line 1 and line 5"
    )
    assert "`bus.port` stands twice" in error_of(path, b"bus:\n  port: 1\n  'port': 2\n")


def test_keys_know_their_lines(path: Path) -> None:
    path.write_text("# head\nbus:\n\n    port: 1  # here\n    url: nats://h:1\nagents: {\n  grace_s: 2}\n")
    assert {name: entry.line for name, entry in read_yaml(path).items()} == {
        "bus": 2, "bus.port": 4, "bus.url": 5, "agents": 6, "agents.grace_s": 7,
    }  # fmt: skip


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(alphabet="ab:*&[]{}<>-?|!%@`\"'# \n\t~1.", max_size=80))
def test_any_text_is_read_or_refused(path: Path, text: str) -> None:
    path.write_text(text)
    told = ""
    try:
        read_yaml(path)
    except ConfigError as error:
        told = str(error)
    assert "\n" not in told
