"""What is staged is told by git's index alone, whatever lies in the folder."""

import hashlib
import os
import subprocess
from pathlib import Path

import pytest

from agents.review import staged as module
from agents.review.diff import DiffError
from agents.review.staged import staged_lines, write_staged

MEGABYTE = 1_000_000


def git(folder: Path, *arguments: str) -> str:
    return subprocess.run(
        ["git", "-c", "user.name=t", "-c", "user.email=t@example.org", *arguments],
        cwd=folder,
        check=True,
        capture_output=True,
        text=True,
        timeout=30,
    ).stdout


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "repository"
    folder.mkdir()
    git(folder, "init", "-q")
    return folder


def lines(path: Path) -> dict[str, tuple[tuple[int, int], ...]]:
    return {one.path: one.ranges for one in staged_lines(path)}


def written(path: Path, target: Path, file_bytes_max: int = MEGABYTE) -> dict[str, bytes]:
    target.mkdir()
    write_staged(path, list(lines(path)), target, file_bytes_max=file_bytes_max)
    return {str(file.relative_to(target)): file.read_bytes() for file in target.rglob("*") if file.is_file()}


def test_the_content_is_that_of_the_index(repository: Path, tmp_path: Path) -> None:
    (repository / "a.py").write_text("staged = 1\n")
    (repository / "b.py").write_text("not_staged = 1\n")
    git(repository, "add", "a.py")
    (repository / "a.py").write_text("later = 1\nand_more = 2\n")
    assert lines(repository) == {"a.py": ((1, 1),)}
    assert written(repository, tmp_path / "out") == {"a.py": b"staged = 1\n"}


def test_only_changed_lines_of_a_later_commit_are_told(repository: Path, tmp_path: Path) -> None:
    (repository / "a.py").write_text("one = 1\ntwo = 2\nthree = 3\n")
    (repository / "same.py").write_text("x = 1\n")
    git(repository, "add", ".")
    git(repository, "commit", "-qm", "one")
    (repository / "a.py").write_text("one = 1\ntwo = 22\nthree = 3\nfour = 4\n")
    git(repository, "add", ".")
    assert lines(repository) == {"a.py": ((2, 2), (4, 4))}
    assert set(written(repository, tmp_path / "out")) == {"a.py"}


def test_what_is_removed_renamed_linked_or_no_code_is_not_written(repository: Path, tmp_path: Path) -> None:
    for name in ("old.py", "gone.py"):
        (repository / name).write_text(f"{name[0]} = 1\nb = 2\nc = 3\n")
    git(repository, "add", ".")
    git(repository, "commit", "-qm", "one")
    git(repository, "mv", "old.py", "new.py")
    git(repository, "rm", "-q", "gone.py")
    (repository / "link.py").symlink_to("/etc/passwd")
    (repository / "picture.png").write_bytes(b"\x89PNG\0")
    (repository / "named.py").write_text("x = 1\n")
    git(repository, "add", ".")
    git(repository, "update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},module.py")
    assert written(repository, tmp_path / "out") == {"named.py": b"x = 1\n"}


def test_odd_names_are_read(repository: Path, tmp_path: Path) -> None:
    names = ["two words.py", "ü.py", "new\nline.py", "-rf.py", ":(top)x.py", 'quo"te.py', "deep/er/a.py"]
    for name in names:
        (repository / name).parent.mkdir(parents=True, exist_ok=True)
        (repository / name).write_text("x = 1\n")
    git(repository, "add", "--", ".")
    assert set(written(repository, tmp_path / "out")) == set(names)


def test_a_path_that_leads_out_is_not_written(repository: Path, tmp_path: Path) -> None:
    (repository / "xx").mkdir()
    for name in ("xx/out.py", "a.py"):
        (repository / name).write_text("x = 1\n")
    git(repository, "add", ".")
    # git itself refuses to stage such a path, but reads an index that somebody else wrote.
    index = repository / ".git" / "index"
    evil = index.read_bytes()[:-20].replace(b"xx/out.py", b"../out.py")
    index.write_bytes(evil + hashlib.sha1(evil).digest())
    assert "../out.py" in lines(repository)
    assert written(repository, tmp_path / "out") == {"a.py": b"x = 1\n"}
    assert not (tmp_path / "out.py").exists()


def test_a_part_of_a_repository_has_paths_of_its_own(repository: Path, tmp_path: Path) -> None:
    (repository / "src").mkdir()
    for name in ("src/a.py", "src/b.py", "top.py"):
        (repository / name).write_text("x = 1\n")
    git(repository, "add", ".")
    assert set(lines(repository / "src")) == {"a.py", "b.py"}
    assert set(lines(repository / "src" / "b.py")) == {"b.py"}
    assert set(written(repository / "src", tmp_path / "out")) == {"a.py", "b.py"}
    assert set(written(repository / "src" / "b.py", tmp_path / "one")) == {"b.py"}


def test_a_huge_file_is_not_read(repository: Path, tmp_path: Path) -> None:
    (repository / "huge.py").write_bytes(b"x = 1\n" * 1_000)
    (repository / "small.py").write_bytes(b"x = 1\n")
    git(repository, "add", ".")
    found = written(repository, tmp_path / "out", file_bytes_max=100)
    assert found == {"huge.py": b"\0" * 6_000, "small.py": b"x = 1\n"}


def test_too_much_is_refused_before_it_is_written(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a.py", "b.py"):
        (repository / name).write_text("x = 1\n" * 10)
    git(repository, "add", ".")
    monkeypatch.setattr(module, "OUTPUT_BYTES_MAX", 100)
    with pytest.raises(DiffError, match="120 bytes are staged"):
        write_staged(repository, ["a.py", "b.py"], tmp_path / "out", file_bytes_max=MEGABYTE)
    assert not (tmp_path / "out").exists()
    monkeypatch.setattr(module, "FILES_MAX", 1)
    with pytest.raises(DiffError, match="2 files are staged"):
        staged_lines(repository)


def test_no_program_of_the_repository_runs(repository: Path, tmp_path: Path) -> None:
    (repository / "a.py").write_text("x = 1\n")
    git(repository, "add", ".")
    mark = tmp_path / "ran"
    (repository / ".gitattributes").write_text("*.py filter=evil diff=evil\n")
    for key in ("filter.evil.smudge", "filter.evil.clean", "diff.evil.textconv", "diff.evil.command"):
        git(repository, "config", key, f"touch {mark}; cat")
    git(repository, "config", "diff.external", f"touch {mark}; cat")
    git(repository, "config", "core.fsmonitor", f"touch {mark}; true")
    assert written(repository, tmp_path / "out") == {"a.py": b"x = 1\n"}
    assert not mark.exists()


def test_within_a_hook_it_is_the_index_of_the_commit(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (repository / "a.py").write_text("x = 1\n")
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "other-index"))
    git(repository, "add", "a.py")
    assert set(written(repository, tmp_path / "out")) == {"a.py"}
    monkeypatch.delenv("GIT_INDEX_FILE")
    assert lines(repository) == {}


def test_in_a_worktree_of_a_repository_it_is_that_one_s(repository: Path, tmp_path: Path) -> None:
    git(repository, "commit", "-q", "--allow-empty", "-m", "one")
    git(repository, "worktree", "add", "-q", str(tmp_path / "tree"))
    (tmp_path / "tree" / "a.py").write_text("x = 1\n")
    git(tmp_path / "tree", "add", ".")
    assert lines(repository) == {}
    assert set(lines(tmp_path / "tree")) == {"a.py"}


def test_nothing_staged_and_no_repository_are_told_apart(repository: Path, tmp_path: Path) -> None:
    assert lines(repository) == {}
    assert write_staged(repository, [], tmp_path, file_bytes_max=1) == 0
    (tmp_path / "plain").mkdir()
    if not any((folder / ".git").exists() for folder in tmp_path.parents):
        with pytest.raises(DiffError, match="what is staged can't be told"):
            staged_lines(tmp_path / "plain")


def test_a_blob_that_is_gone_is_told(repository: Path, tmp_path: Path) -> None:
    (repository / "a.py").write_text("x = 1\n")
    git(repository, "add", ".")
    blob = git(repository, "rev-parse", ":a.py").strip()
    os.unlink(repository / ".git" / "objects" / blob[:2] / blob[2:])
    with pytest.raises(DiffError, match=r"git has no content for a\.py"):
        write_staged(repository, ["a.py"], tmp_path, file_bytes_max=MEGABYTE)
