"""What costs, providers and --explain show on a real terminal of 80 columns: every figure, whole."""

import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import termios
from collections.abc import Iterator

import pytest
from labverse import Labverse
from provider import Provider, Reply
from providerfile import KEY, paid, use
from rich.cells import cell_len

COLUMNS = 80
LONG = "gpt-4o-mini-2024-07-18-with-a-name-longer-than-any-terminal-has-room-for"
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@pytest.fixture
def asked(labverse: Labverse) -> Iterator[Labverse]:
    """With two answers in the books."""
    with (
        Provider(Reply(text="Because.", usage=(123_456, 7_890)), key=KEY) as provider,
        Provider(Reply(status=500, error="the backend is down, come back later")) as bad,
    ):
        rows = {"mine": paid(provider, LONG), "bad": {**paid(bad), "key_variable": ""}}
        use(labverse, rows, primary="bad/m", fallbacks=[f"mine/{LONG}"])
        for number in range(2):
            done = labverse.run("ask", f"question {number}", "--model", f"mine/{LONG}")
            assert done.returncode == 0, done.stderr
        yield labverse


def on_terminal(labverse: Labverse, *arguments: str) -> list[str]:
    """The lines that a command leaves on a terminal of its own."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, COLUMNS, 0, 0))
    env = {name: value for name, value in labverse.env.items() if name != "COLUMNS"} | {"TERM": "xterm"}
    process = subprocess.Popen(
        labverse.command(*arguments), stdin=theirs, stdout=theirs, stderr=theirs, env=env
    )
    os.close(theirs)
    shown = bytearray()
    try:
        while piece := os.read(ours, 65_536):
            shown += piece
    except OSError:
        pass  # the other end is closed
    os.close(ours)
    assert process.wait(30) == 0, shown
    lines = ESCAPES.sub("", shown.decode()).replace("\r\n", "\n").splitlines()
    return [line.rpartition("\r")[2] for line in lines]


def assert_figures(lines: list[str], *figures: str) -> None:
    text = "\n".join(lines)
    # Paths and the one name that is told whole may be wider: they are no figures.
    narrow = [line for line in lines if not line.startswith("order, limits") and LONG not in line]
    assert all(cell_len(line) <= COLUMNS for line in narrow), text
    for figure in figures:
        assert re.search(rf"(?<![\d.,]){re.escape(figure)}(?!\d|[.,]\d)", text), (figure, text)


def test_costs(asked: Labverse) -> None:
    (row,) = json.loads(asked.run("costs", "--json").stdout)["rows"]
    assert (row["calls"], row["input_tokens"], row["output_tokens"]) == (2, 246_912, 15_780)
    lines = on_terminal(asked, "costs")
    assert_figures(lines, "$0.0465", "100%", "2", "246,912", "15,780", "$500.00", "$450.00")


def test_providers(asked: Labverse) -> None:
    lines = on_terminal(asked, "providers", "--all")
    assert_figures(lines, "0.15", "0.6", "8,192", "2", "$0.0465")


def test_explain(asked: Labverse) -> None:
    lines = on_terminal(asked, "ask", "why?", "--explain", "--max-tokens", "1000")
    text = "\n".join(lines)
    assert "HTTP 500: the backend is down, come back later" in " ".join(text.split()), text
    assert_figures(lines, "$0.0233", "123,456 + 7,890 tokens", "1,000")
