"""Ignore rules agree with git, which is asked itself."""

import os
import subprocess
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.review.ignore import RULES_BYTES_MAX, RULES_MAX, IgnoreRules, read_rules, rules_around
from agents.review.intake import collect

PART = st.sampled_from(
    [
        "a",
        "b",
        "*",
        "?",
        "**",
        "***",
        "a*",
        "*.py",
        "c.py",
        "[ab]",
        "[!a]",
        "[[:alpha:]]?",
        "[b-a]",
        "[",
        "[]",
        "d.py",
        "\\a",
    ]
)
PATTERN = st.builds(
    lambda negated, anchor, parts, end: negated + anchor + "/".join(parts) + end,
    st.sampled_from(["", "", "!"]),
    st.sampled_from(["", "", "/"]),
    st.lists(PART, min_size=1, max_size=3),
    st.sampled_from(["", "", "/", " "]),
)


def git_lists(folder: Path) -> list[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    done = subprocess.run(
        ["git", "ls-files", "--others", "--exclude-standard", "-z"],
        cwd=folder,
        env=environment,
        check=True,
        capture_output=True,
    )
    return sorted(name for name in done.stdout.decode().split("\0") if name.endswith(".py"))


@settings(max_examples=25, deadline=None)
@given(outer=st.lists(PATTERN, max_size=5), inner=st.lists(PATTERN, max_size=4))
def test_a_walk_finds_what_git_finds(outer: list[str], inner: list[str]) -> None:
    with tempfile.TemporaryDirectory() as name:
        root = Path(name).resolve()
        for folder in ("", "a", "b", "ab", "a/a", "a/b", "b/b", "ab/a"):
            (root / folder).mkdir(exist_ok=True)
            for file in ("c.py", "d.py"):
                (root / folder / file).touch()
        (root / ".gitignore").write_text("\n".join(outer))
        (root / "a" / ".gitignore").write_text("\n".join(inner))
        subprocess.run(["git", "init", "-q"], cwd=root, check=True)
        assert [file.path for file in collect(root).files] == git_lists(root)
        if rules_around(root / "a" / "b").layers:  # none if the folder itself is ignored, and was named
            assert [file.path for file in collect(root / "a" / "b").files] == git_lists(root / "a" / "b")


@pytest.mark.parametrize(
    ("text", "path", "is_folder", "ignored"),
    [
        ("a/**", "a", True, False),
        ("a/**", "a/b", False, True),
        ("a/**/", "a", True, False),
        ("a/**/", "a/b", True, True),
        ("a/**/", "a/b", False, False),
        ("**/", "a", True, True),
        ("**/", "a", False, False),
        ("x\n!x", "x", False, False),
        ("!x\nx", "x", False, True),
        ("[z-a]\nx", "x", False, True),
        ("", "x", False, False),
        ("# x", "# x", False, False),
        ("x\r\n", "x", False, True),
        ("\ufeffx\n", "x", False, True),
        ("a\x85b", "a\x85b", False, True),
    ],
)
def test_the_last_rule_that_matches_decides(text: str, path: str, is_folder: bool, ignored: bool) -> None:
    assert IgnoreRules().within("", text).ignores(path, is_folder=is_folder) is ignored


def test_a_rules_file_is_read_up_to_a_limit(tmp_path: Path) -> None:
    (tmp_path / ".gitignore").write_bytes(b"x" * (RULES_BYTES_MAX + 10))
    assert len(read_rules(tmp_path / ".gitignore")) == RULES_BYTES_MAX


def test_a_rules_file_that_is_not_utf_8_still_counts(tmp_path: Path) -> None:
    (tmp_path / ".gitignore").write_bytes(b"caf\xe9.py\nsecret.py\n")
    (tmp_path / "secret.py").touch()
    (tmp_path / "open.py").touch()
    assert [file.path for file in collect(tmp_path).files] == ["open.py"]


def test_a_missing_rules_file_has_no_rules(tmp_path: Path) -> None:
    assert read_rules(tmp_path / "gone") == ""
    assert IgnoreRules().within("", "").layers == ()


def test_rules_beyond_the_limit_are_not_applied_and_the_file_is_named(tmp_path: Path) -> None:
    (tmp_path / ".gitignore").write_text("x\n" * RULES_MAX + "a.py\n")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / ".gitignore").write_text("b.py\n")
    for name in ("a.py", "sub/b.py"):
        (tmp_path / name).touch()
    intake = collect(tmp_path)
    assert [file.path for file in intake.files] == ["a.py", "sub/b.py"]
    assert [entry.path for entry in intake.not_reviewed if "not applied" in entry.reason] == [
        "sub/.gitignore"
    ]
