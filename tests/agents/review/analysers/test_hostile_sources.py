"""Sources that break parsers: nothing raises, nothing hangs, and what was not looked at is named."""

import sys
import time
from pathlib import Path

import pytest

from agents.review.analysers import HITS_MAX, Analysis, analyse
from agents.review.roles import ROLES

SECONDS_MAX = 15.0
"""Far more than needed on a busy machine, far less than a hang."""


def look(folder: Path, name: str, source: bytes, role: str) -> Analysis:
    (folder / name).write_bytes(source)
    started = time.monotonic()
    analysis = analyse(role, folder, [name])
    assert time.monotonic() - started < SECONDS_MAX
    return analysis


def reasons(analysis: Analysis) -> dict[str, str]:
    return {entry.stage: entry.reason for entry in analysis.not_reviewed}


HOSTILE = {
    "empty.py": b"",
    "only_newline.py": b"\n",
    "blob.py": bytes(range(256)) * 40,
    "blob.js": bytes(range(256)) * 40,
    "blob.env": bytes(range(256)) * 40,
    "parentheses.py": b"x = " + b"(" * 10_000 + b"1" + b")" * 10_000,
    "minus.py": b"x = " + b"-" * 5_000 + b"1\n",
    "sum.py": b"x = " + b"+".join([b"a"] * 50_000),
    "calls.py": b"x = a" + b"()" * 5_000,
    "strings.py": b"x = [" + b"'a'," * 60_000 + b"]",
    "min.js": b'var a=1;function f(){return "' + b"ab" * 20 + b'"+a}' * 20_000,
    "quotes.js": b'var a = "' + b"'x'='y'," * 60_000 + b'"',
    "keys.js": b"password=" * 60_000,
    "deep.js": b"(" * 10_000 + b")" * 10_000,
    "deep.json": b"[" * 50_000 + b"]" * 50_000,
    "deep.yaml": b"a: " + b"[" * 5_000 + b"]" * 5_000,
    "brace.swift": b"{" * 10_000,
    "brace.dart": b"{" * 10_000,
    "open.vue": b"<template>" + b"<div>" * 10_000,
    "surrogates.ts": b"const a = '\xed\xa0\x80';",
}


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_neither_raises_nor_hangs(tmp_path: Path, name: str, role: str) -> None:
    analysis = look(tmp_path, name, HOSTILE[name], role)
    assert {entry.path for entry in analysis.not_reviewed} <= {name}
    assert str(tmp_path) not in repr(analysis)


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (b"def f[T](x: T) -> T:\n    return eval(x)\n", "uses syntax newer than Python 3.11 (line 1)"),
        (b"a = {}\nx = f'{a['b']}'\neval(x)\n", "uses syntax newer than Python 3.11 (line 2)"),
        (b"\n\nx = t'{a}'\neval(x)\n", "uses syntax newer than Python 3.11 (line 3)"),
    ],
)
def test_newer_syntax_is_told_from_wrong_syntax_and_other_analysers_see_it(
    tmp_path: Path, source: bytes, reason: str
) -> None:
    if sys.version_info >= (3, 12):
        pytest.skip("this Python knows the syntax of 3.12")
    analysis = look(tmp_path, "new.py", source, "security")
    assert reasons(analysis) == {"bandit": reason}
    assert "S307" in {hit.rule for hit in analysis.hits}


def test_a_syntax_error_is_named_with_its_line(tmp_path: Path) -> None:
    found = reasons(look(tmp_path, "wrong.py", b"x = 1\ndef f(:\n  eval(x)\n", "security"))
    assert found["bandit"].startswith("syntax error at line 2")
    assert found["ruff"].startswith("syntax error at line 2")


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (b"x = '\xff'\neval(x)\n", "is not valid in its encoding"),
        (b"x = 1\0\neval(x)\n", "holds NUL bytes"),
        (b"x = " + b"(" * 10_000 + b")" * 10_000, "is nested too deeply"),
        (b"x = " + b"+".join([b"a"] * 50_000), "is nested too deeply"),
        (b"#" * 1_000_001, "larger than 1000000 bytes"),
    ],
)
def test_what_bandit_can_not_parse_is_named(tmp_path: Path, source: bytes, reason: str) -> None:
    assert reasons(look(tmp_path, "a.py", source, "security"))["bandit"].startswith(reason)


def test_a_file_that_crashes_ruff_does_not_take_the_others_along(tmp_path: Path) -> None:
    names = [f"f{number}.py" for number in range(9)]
    for name in names:
        (tmp_path / name).write_text("eval(input())\n")
    (tmp_path / "f4.py").write_bytes(b"x = " + b"+".join([b"a"] * 100_000))
    analysis = analyse("security", tmp_path, names)
    assert {hit.path for hit in analysis.hits if hit.analyser == "ruff"} == {*names} - {"f4.py"}
    assert [entry.path for entry in analysis.not_reviewed if entry.stage == "ruff"] == ["f4.py"]
    assert {stage.analyser: stage.error for stage in analysis.stages}["ruff"] == ""


@pytest.mark.parametrize(
    "name",
    ["a b.py", "new\nline.py", "é中.py", "-rf.py", "--help.py", "@file.py", "'quote\".py", "*.py", "[a].py"],
)
def test_any_file_name_will_do(tmp_path: Path, name: str) -> None:
    analysis = look(tmp_path, name, b"eval(input())\n", "security")
    assert {(hit.analyser, hit.path) for hit in analysis.hits} >= {("bandit", name), ("ruff", name)}
    assert analysis.not_reviewed == ()


@pytest.mark.parametrize(
    "source",
    [
        b"import os\r\ndef f(a):\r\n\tos.system('ls ' + a)\r\n",
        b"import os\rdef f(a):\r\tos.system('ls ' + a)\r",
        b"\xef\xbb\xbfimport os\ndef f(a):\n\tos.system('ls ' + a)\n",
        b"import os\ndef f(a):\n\tos.system('ls ' + a)",
        "import os\ndef f(a): # \u2028 \x0b \x85\n\tos.system('ls ' + a)".encode(),
    ],
    ids=["crlf", "cr", "bom", "no line end", "odd separators"],
)
def test_lines_are_counted_as_an_editor_counts_them(tmp_path: Path, source: bytes) -> None:
    hits = look(tmp_path, "a.py", source, "security").hits
    assert {(hit.analyser, hit.line, hit.code) for hit in hits} >= {
        ("bandit", 3, "\tos.system('ls ' + a)"),
        ("ruff", 3, "\tos.system('ls ' + a)"),
    }


def test_a_secret_in_a_file_of_another_encoding_is_found(tmp_path: Path) -> None:
    source = "# Schlüssel\nPASSWORD = 'Tr0ub4dor&3'\n".encode("latin-1")
    hits = look(tmp_path, "a.py", source, "secrets").hits
    assert {(hit.analyser, hit.line) for hit in hits} == {("detect-secrets", 2), ("labverse", 2)}


def test_a_file_with_thousands_of_findings_is_cut_and_says_so(tmp_path: Path) -> None:
    source = b"assert x\n" * 5 + b"eval(x)\n" * (HITS_MAX + 50)
    analysis = look(tmp_path, "a.py", source, "security")
    for name in ("bandit", "ruff"):
        assert len([hit for hit in analysis.hits if hit.analyser == name]) == HITS_MAX
        assert reasons(analysis)[name] == f"50 of {HITS_MAX + 50} findings were cut"


def test_a_file_that_changes_between_two_analysers_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("eval(input())\n")
    (tmp_path / "b.py").mkdir()
    analysis = analyse("security", tmp_path, ["a.py", "b.py", "sub/gone.py"])
    assert {entry.path for entry in analysis.not_reviewed} == {"b.py", "sub/gone.py"}
    assert {hit.path for hit in analysis.hits} == {"a.py"}
    assert not any(stage.error for stage in analysis.stages)


def test_more_files_than_fit_on_a_command_line(tmp_path: Path) -> None:
    folder = "d" * 200
    (tmp_path / folder).mkdir()
    names = [f"{folder}/{'f' * 200}{number:04}.py" for number in range(800)]
    for name in names:
        (tmp_path / name).write_text("x == None and undefined_name\n")
    analysis = analyse("quality", tmp_path, names)
    assert {hit.path for hit in analysis.hits if hit.rule == "F821"} == set(names)


def test_an_unknown_role_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="securty"):
        analyse("securty", tmp_path, [])
