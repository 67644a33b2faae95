"""Changed lines, as real git tells them."""

import io
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.review import diff as diff_module
from agents.review.diff import LINES_MAX, DiffError, changed_lines, only_changed, parse_diff
from schemas.review import ChangedLines, Finding, Severity

WHOLE = ((1, LINES_MAX),)

Git = Callable[..., str]


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    folder = tmp_path / "repo"
    folder.mkdir()
    return folder


@pytest.fixture
def git(repo: Path) -> Git:
    """Runs git in the repository, which has one commit tagged `base` of `a.py` (ten lines)."""

    def run(*arguments: str) -> str:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        environment |= {
            f"GIT_{who}_{what}": "t@t" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
        }
        environment |= {"GIT_CONFIG_GLOBAL": os.devnull}
        done = subprocess.run(["git", *arguments], cwd=repo, env=environment, check=True, capture_output=True)
        return done.stdout.decode()

    run("init", "-q", "-b", "main")
    (repo / "a.py").write_text(numbered(10))
    run("add", ".")
    run("commit", "-qm", "base")
    run("tag", "base")
    return run


def numbered(count: int) -> str:
    return "".join(f"line {index}\n" for index in range(1, count + 1))


def changes(repo: Path, base: str = "base") -> dict[str, tuple[tuple[int, int], ...]]:
    return {file.path: file.ranges for file in changed_lines(repo, base)}


def test_no_change_is_no_line(repo: Path, git: Git) -> None:
    assert changes(repo) == {}


def test_changed_added_and_deleted_lines(repo: Path, git: Git) -> None:
    lines = numbered(10).splitlines(keepends=True)
    lines[1] = "changed\n"
    lines[5:5] = ["new\n", "new\n", "new\n"]
    del lines[-1]
    (repo / "a.py").write_text("".join(lines))
    assert changes(repo) == {"a.py": ((2, 2), (6, 8))}


def test_committed_staged_and_unstaged_changes_all_count(repo: Path, git: Git) -> None:
    (repo / "a.py").write_text(numbered(11))
    git("commit", "-qam", "more")
    (repo / "b.py").write_text("x\n")
    git("add", "b.py")
    (repo / "a.py").write_text(numbered(12))
    assert changes(repo) == {"a.py": ((11, 12),), "b.py": ((1, 1),)}
    assert changes(repo, "main") == {"a.py": ((12, 12),), "b.py": ((1, 1),)}


def test_files_that_git_does_not_know_are_all_new(repo: Path, git: Git) -> None:
    (repo / ".gitignore").write_text("ignored.py\n")
    (repo / "ignored.py").write_text("x\n")
    (repo / "new folder").mkdir()
    (repo / "new folder" / "new\nline.py").write_text("x\n")
    assert changes(repo) == {".gitignore": WHOLE, "new folder/new\nline.py": WHOLE}


@pytest.mark.parametrize(
    "name",
    [
        "with space.py",
        "trail ",
        "new\nline.py",
        "tab\there.py",
        'quo"te.py',
        "back\\slash.py",
        "ü日.py",
        "'x'.py",
        "-x.py",
    ],
)
def test_odd_names(repo: Path, git: Git, name: str) -> None:
    (repo / name).write_text("one\ntwo\n")
    git("add", ".")
    git("commit", "-qm", "odd")
    (repo / name).write_text("one\nthree\n")
    assert changes(repo, "HEAD") == {name: ((2, 2),)}


def test_a_name_that_is_not_utf_8(repo: Path, git: Git) -> None:
    name = os.fsdecode(b"caf\xe9.py")
    (repo / name).write_text("one\n")
    git("add", ".")
    assert changes(repo) == {"caf\\xe9.py": ((1, 1),)}


def test_a_renamed_file_has_only_its_changed_lines(repo: Path, git: Git) -> None:
    git("mv", "a.py", "moved file.py")
    assert changes(repo) == {}
    (repo / "moved file.py").write_text(numbered(10).replace("line 7", "other"))
    assert changes(repo) == {"moved file.py": ((7, 7),)}


def test_deleted_and_binary_files_have_no_lines(repo: Path, git: Git) -> None:
    (repo / "b.bin").write_bytes(b"\0\1")
    git("add", ".")
    (repo / "a.py").unlink()
    assert changes(repo) == {}


def test_lines_that_look_like_headers_are_only_lines(repo: Path, git: Git) -> None:
    evil = "++ b/evil.py\n@@ -1 +1,99 @@\n+++ b/evil.py\ndiff --git a/x b/x\n"
    (repo / "a.py").write_text(numbered(10) + evil)
    assert changes(repo) == {"a.py": ((11, 14),)}


def test_a_missing_newline_at_the_end_hides_no_header(repo: Path, git: Git) -> None:
    (repo / "b.py").write_text("-- a\n++ b/evil.py")
    git("add", ".")
    git("commit", "-qm", "b")
    (repo / "b.py").write_text("++ b/evil.py\n++ b/worse.py")
    assert changes(repo, "HEAD") == {"b.py": ((1, 2),)}


def test_a_folder_within_a_repository_has_its_own_paths(repo: Path, git: Git) -> None:
    (repo / "sub").mkdir()
    (repo / "sub" / "b.py").write_text("x\n")
    (repo / "sub" / "c.py").write_text("x\n")
    git("add", "sub/b.py")
    (repo / "a.py").write_text("x\n")
    assert changes(repo / "sub") == {"b.py": ((1, 1),), "c.py": WHOLE}


def test_one_file_has_its_own_lines(repo: Path, git: Git) -> None:
    (repo / "a.py").write_text(numbered(11))
    (repo / "[ab].py").write_text("x\n")
    assert changes(repo / "a.py") == {"a.py": ((11, 11),)}
    assert changes(repo / "[ab].py") == {"[ab].py": WHOLE}


def test_settings_of_the_user_change_nothing(repo: Path, git: Git, tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    (repo / "a.py").write_text(numbered(10).replace("line 3\n", "x\n").replace("line 5\n", "y\n"))
    git("mv", "a.py", "ü b.py")
    for name, value in {
        "diff.noprefix": "true",
        "diff.mnemonicPrefix": "true",
        "diff.external": f"touch {ran}",
        "diff.context": "9",
        "diff.interHunkContext": "9",
        "diff.renames": "false",
        "color.ui": "always",
        "core.quotePath": "false",
        "core.fsmonitor": f"touch {ran}; false",
    }.items():
        git("config", name, value)
    assert changes(repo) == {"ü b.py": ((3, 3), (5, 5))}
    assert not ran.exists()


def test_variables_of_a_git_hook_do_not_lead_elsewhere(
    repo: Path, git: Git, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "nowhere"))
    monkeypatch.setenv("GIT_EXTERNAL_DIFF", "false")
    (repo / "a.py").write_text(numbered(11))
    assert changes(repo) == {"a.py": ((11, 11),)}


@pytest.mark.parametrize(
    "base", ["", "-x", "--output=evil", "nope", "base..main", "a\nb", "a\0b", "base:a.py"]
)
def test_a_base_that_is_no_commit_is_an_error(repo: Path, git: Git, base: str) -> None:
    with pytest.raises(DiffError, match="is not a commit") as caught:
        changed_lines(repo, base)
    assert "\n" not in str(caught.value)
    assert sorted(os.listdir(repo)) == [".git", "a.py"]


def test_a_repository_without_a_commit_has_no_base(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    with pytest.raises(DiffError, match="HEAD is not a commit"):
        changed_lines(tmp_path, "HEAD")


def test_a_folder_outside_of_git_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DiffError, match="can't be compared with HEAD: not a git repository"):
        changed_lines(tmp_path, "HEAD")


def test_the_inside_of_git_is_an_error(repo: Path, git: Git) -> None:
    with pytest.raises(DiffError, match="no work tree of git"):
        changed_lines(repo / ".git", "HEAD")


def test_a_missing_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DiffError, match="no such folder"):
        changed_lines(tmp_path / "gone" / "more", "HEAD")


def test_without_git_there_is_an_error(repo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(repo))
    with pytest.raises(DiffError, match="git is not installed"):
        changed_lines(repo, "HEAD")


def test_git_is_not_waited_for_without_end(repo: Path, git: Git, monkeypatch: pytest.MonkeyPatch) -> None:
    (repo / "git").write_text("#!/bin/sh\nexec sleep 60\n")
    (repo / "git").chmod(0o755)
    monkeypatch.setenv("PATH", f"{repo}:{os.environ['PATH']}")
    monkeypatch.setattr(diff_module, "GIT_TIMEOUT_S", 0.2)
    with pytest.raises(DiffError, match=r"took over 0\.2 s"):
        changed_lines(repo, "HEAD")


def test_too_much_output_is_an_error(repo: Path, git: Git, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diff_module, "OUTPUT_BYTES_MAX", 100)
    (repo / "a.py").write_text(numbered(100))
    with pytest.raises(DiffError, match="over 100 bytes"):
        changed_lines(repo, "base")


def test_a_hunk_that_cannot_be_read_is_an_error() -> None:
    with pytest.raises(DiffError, match="can't be read"):
        list(parse_diff(io.BytesIO(b"+++ b/a.py\n@@ nonsense\n")))


def finding(path: str, line: int, end_line: int) -> Finding:
    return Finding(
        fingerprint="",
        title="t",
        path=path,
        line=line,
        end_line=end_line,
        severity=Severity.LOW,
        confidence=0.5,
    )


def test_findings_on_changed_lines_are_kept_in_their_order() -> None:
    changed = [ChangedLines(path="a.py", ranges=((5, 7), (20, 20))), ChangedLines(path="b.py", ranges=WHOLE)]
    kept = [
        finding("b.py", 900, 900),
        finding("a.py", 7, 7),
        finding("a.py", 1, 5),
        finding("a.py", 6, 6),
        finding("a.py", 20, 0),
        finding("a.py", 1, 99),
    ]
    dropped = [finding("a.py", 4, 4), finding("a.py", 8, 19), finding("c.py", 5, 7)]
    assert list(only_changed([*kept, *dropped], changed)) == kept
    assert only_changed([*kept, *dropped], []) == ()


RANGES = st.lists(
    st.tuples(st.integers(1, 30), st.integers(0, 9)).map(lambda pair: (pair[0], sum(pair))), max_size=6
)


@given(ranges=RANGES, line=st.integers(1, 40), length=st.integers(0, 9))
def test_a_finding_is_kept_if_it_has_a_changed_line(
    ranges: list[tuple[int, int]], line: int, length: int
) -> None:
    lines = {number for start, end in ranges for number in range(start, end + 1)}
    kept = only_changed(
        [finding("a.py", line, line + length)], [ChangedLines(path="a.py", ranges=tuple(ranges))]
    )
    assert bool(kept) is not lines.isdisjoint(range(line, line + length + 1))
