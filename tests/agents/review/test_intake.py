"""Intake: what of a folder is read, and what is said of the rest."""

import os
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from agents.review.intake import Intake, IntakeError, IntakeLimits, collect, collect_sent
from schemas.review import SourceFile


def write(root: Path, *files: str, data: bytes = b"x = 1\n") -> None:
    for name in files:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def paths(intake: Intake) -> list[str]:
    return [file.path for file in intake.files]


def reasons(intake: Intake) -> dict[str, str]:
    return {entry.path: entry.reason for entry in intake.not_reviewed}


@contextmanager
def as_nobody() -> Iterator[None]:
    """Root may read everything, so for a while be somebody who may not."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def public_folder() -> Iterator[Path]:
    """A folder that everybody may enter, unlike `tmp_path`."""
    with tempfile.TemporaryDirectory() as name:
        os.chmod(name, 0o755)
        yield Path(name)


def test_files_come_in_order_of_their_paths_with_their_lines(tmp_path: Path) -> None:
    write(tmp_path, "b.py", data=b"one\ntwo\nthree")
    write(tmp_path, "a/z.ts", data=b"one\n")
    write(tmp_path, "a.py", data=b"")
    intake = collect(tmp_path)
    assert [(file.path, file.lines) for file in intake.files] == [("a.py", 0), ("a/z.ts", 1), ("b.py", 3)]
    assert intake.files[2].data == b"one\ntwo\nthree"
    assert intake.not_reviewed == ()


def test_one_file_is_reviewed_under_its_name(tmp_path: Path) -> None:
    write(tmp_path, "deep/app.py", "deep/other.py")
    assert paths(collect(tmp_path / "deep" / "app.py")) == ["app.py"]


def test_one_file_is_reviewed_even_if_git_ignores_it(tmp_path: Path) -> None:
    write(tmp_path, "app.py")
    write(tmp_path, ".gitignore", data=b"*.py\n")
    assert paths(collect(tmp_path / "app.py")) == ["app.py"]


def test_a_link_to_the_root_itself_is_followed(tmp_path: Path) -> None:
    write(tmp_path, "real/app.py")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert paths(collect(tmp_path / "link")) == ["app.py"]


def test_an_empty_folder_is_no_error(tmp_path: Path) -> None:
    assert collect(tmp_path) == Intake(files=(), not_reviewed=())


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("gone", "no such file or directory"),
        ("a.py/b", "not a directory"),
        ("loop", "too many levels"),
        ("a\0b", "null"),
    ],
)
def test_a_root_that_cannot_be_read_is_an_error_in_one_line(tmp_path: Path, name: str, message: str) -> None:
    write(tmp_path, "a.py")
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(IntakeError, match=message) as caught:
        collect(tmp_path / name)
    assert "\n" not in str(caught.value)
    assert "check the path" in str(caught.value)


def test_a_pipe_as_root_is_refused_and_does_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.py")
    with pytest.raises(IntakeError, match="neither a file nor a folder"):
        collect(tmp_path / "pipe.py")


def test_a_folder_that_may_not_be_listed_is_an_error(public_folder: Path) -> None:
    closed = public_folder / "closed"
    closed.mkdir(mode=0)
    with as_nobody(), pytest.raises(IntakeError, match="permission denied"):
        collect(closed)


def test_what_may_not_be_read_is_named(public_folder: Path) -> None:
    write(public_folder, "open.py", "closed.py", "closed/inner.py")
    os.chmod(public_folder / "closed.py", 0)
    os.chmod(public_folder / "closed", 0)
    with as_nobody():
        intake = collect(public_folder)
    os.chmod(public_folder / "closed", 0o700)
    assert paths(intake) == ["open.py"]
    assert reasons(intake) == {"closed": "permission denied", "closed.py": "permission denied"}


def test_dependencies_and_build_output_are_counted_in_one_line(tmp_path: Path) -> None:
    write(
        tmp_path,
        "app.py",
        "node_modules/x/index.js",
        "__pycache__/a.py",
        "my env/pyvenv.cfg",
        "my env/lib/b.py",
    )
    write(tmp_path, ".git/hooks/hook.py", "build/own.py")
    intake = collect(tmp_path)
    assert paths(intake) == ["app.py", "build/own.py"]
    assert reasons(intake) == {
        "(ignored)": "3 files and folders left out by .gitignore or as dependencies and build output"
    }


def test_a_virtual_environment_named_as_root_is_reviewed(tmp_path: Path) -> None:
    write(tmp_path, "pyvenv.cfg", "lib/b.py")
    assert paths(collect(tmp_path)) == ["lib/b.py", "pyvenv.cfg"]


def test_kinds_that_no_analyser_reads_are_counted_by_suffix(tmp_path: Path) -> None:
    write(tmp_path, "a.md", "b.MD", "c.png", "LICENSE", "package-lock.json", "app.py")
    assert reasons(collect(tmp_path)) == {
        "(other files)": (
            "5 files of kinds that no analyser reads: 2 .md, 1 .png, 1 lock file, 1 without suffix"
        )
    }


def test_binary_and_foreign_text_is_named_with_the_place(tmp_path: Path) -> None:
    write(tmp_path, "nul.py", data=b"x = 1\0")
    write(tmp_path, "latin.py", data=b"# one\n# caf\xe9\n")
    write(tmp_path, "wide.py", data="x = 1".encode("utf-16"))
    write(tmp_path, "bom.py", data=b"\xef\xbb\xbfx = 1\n")
    intake = collect(tmp_path)
    assert paths(intake) == ["bom.py"]
    assert reasons(intake) == {
        "nul.py": "binary (a NUL at byte 5)",
        "latin.py": "not UTF-8: 0xe9 at byte 11, line 2",
        "wide.py": "UTF-16 text; only UTF-8 is read",
    }


def test_a_huge_file_is_left_out_unread(tmp_path: Path) -> None:
    with (tmp_path / "huge.py").open("wb") as file:
        file.truncate(50_000_000_000)  # sparse: reading it would take far longer than the test may
    started = time.monotonic()
    assert reasons(collect(tmp_path)) == {"huge.py": "50000.0 MB, over the limit of 2.0 MB a file"}
    assert time.monotonic() - started < 5


def test_a_file_of_just_the_limit_is_read(tmp_path: Path) -> None:
    write(tmp_path, "at.py", data=b"x" * 100)
    write(tmp_path, "over.py", data=b"x" * 101)
    intake = collect(tmp_path, limits=IntakeLimits(file_bytes_max=100))
    assert paths(intake) == ["at.py"]
    assert reasons(intake) == {"over.py": "0.1 kB, over the limit of 0.1 kB a file"}


def test_too_many_files_are_counted(tmp_path: Path) -> None:
    write(tmp_path, *(f"f{index}.py" for index in range(7)))
    intake = collect(tmp_path, limits=IntakeLimits(files_max=4))
    assert paths(intake) == ["f0.py", "f1.py", "f2.py", "f3.py"]
    assert reasons(intake)["(limit)"].startswith("3 files left out: a review holds at most 4 files")


def test_too_many_bytes_are_counted_and_smaller_files_still_fit(tmp_path: Path) -> None:
    write(tmp_path, "a.py", data=b"x" * 60)
    write(tmp_path, "b.py", data=b"x" * 60)
    write(tmp_path, "c.py", data=b"x" * 40)
    write(tmp_path, "d.py", data=b"x")
    intake = collect(tmp_path, limits=IntakeLimits(total_bytes_max=100))
    assert paths(intake) == ["a.py", "c.py"]
    assert reasons(intake)["(limit)"].startswith("2 files left out")


def test_of_very_many_unreadable_files_only_some_are_named(tmp_path: Path) -> None:
    write(tmp_path, *(f"f{index:04}.py" for index in range(310)), data=b"\0")
    intake = collect(tmp_path)
    assert len(intake.not_reviewed) == 301
    assert reasons(intake)["(more)"].startswith("10 further files")


@pytest.mark.parametrize(
    "name", ["with space.py", "new\nline.py", "tab\there.py", "'\"`$(x)|;.py", "ünï-日本.py", "-rf.py"]
)
def test_odd_names_are_read_like_others(tmp_path: Path, name: str) -> None:
    write(tmp_path, name, f"folder {name}/{name}")
    assert set(paths(collect(tmp_path))) == {name, f"folder {name}/{name}"}


def test_names_that_are_not_utf_8_are_told(tmp_path: Path) -> None:
    write(tmp_path, os.fsdecode(b"caf\xe9.py"), os.fsdecode(b"d\xff/inner.py"), "good.py")
    intake = collect(tmp_path)
    assert paths(intake) == ["good.py"]
    assert reasons(intake) == {
        "caf\\xe9.py": "the name is not UTF-8; rename it",
        "d\\xff": "the name is not UTF-8; rename it",
    }


def test_a_single_file_whose_name_is_not_utf_8_is_told(tmp_path: Path) -> None:
    write(tmp_path, os.fsdecode(b"caf\xe9.py"))
    assert reasons(collect(tmp_path / os.fsdecode(b"caf\xe9.py"))) == {
        "caf\\xe9.py": "the name is not UTF-8; rename it"
    }


def test_a_symlink_loop_is_named_and_left_out(tmp_path: Path) -> None:
    write(tmp_path, "a/app.py")
    (tmp_path / "a" / "up").symlink_to("..")
    (tmp_path / "one").symlink_to("two")
    (tmp_path / "two").symlink_to("one")
    intake = collect(tmp_path)
    assert paths(intake) == ["a/app.py"]
    assert reasons(intake) == {
        "a/up": "a symlink loop: it leads to a folder that holds it",
        "one": "too many levels of symbolic links",
        "two": "too many levels of symbolic links",
    }


def test_symlinks_that_lead_out_are_named_and_not_read(tmp_path: Path) -> None:
    write(tmp_path, "secret/key.py", "project_sibling/x.py", "project/app.py")
    project = tmp_path / "project"
    (project / "key.py").symlink_to(tmp_path / "secret" / "key.py")
    (project / "all").symlink_to("../secret")
    (project / "sibling").symlink_to("../project_sibling")
    (project / "gone.py").symlink_to("nowhere.py")
    intake = collect(project)
    assert paths(intake) == ["app.py"]
    out = "a symlink that leads out of the reviewed folder, to"
    assert reasons(intake) == {
        "all": f"{out} {tmp_path}/secret",
        "gone.py": "a symlink to something that does not exist",
        "key.py": f"{out} {tmp_path}/secret/key.py",
        "sibling": f"{out} {tmp_path}/project_sibling",
    }


def test_symlinks_that_stay_inside_need_no_word(tmp_path: Path) -> None:
    write(tmp_path, "a/app.py")
    (tmp_path / "same.py").symlink_to("a/app.py")
    (tmp_path / "b").symlink_to("a")
    intake = collect(tmp_path)
    assert paths(intake) == ["a/app.py"]
    assert intake.not_reviewed == ()


def test_special_files_are_named_and_do_not_block(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(tmp_path / "pipe.py")
    monkeypatch.chdir(tmp_path)  # the path of a socket may have about 100 bytes
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket.py")
        intake = collect(tmp_path)
    assert reasons(intake) == {"pipe.py": "a named pipe, not a file", "socket.py": "a socket, not a file"}


def test_a_file_that_vanishes_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "a.py", "b.py")
    real_open = os.open

    def open_after_removal(path: str, *args: int, **options: int) -> int:
        if path == "b.py":
            (tmp_path / "b.py").unlink(missing_ok=True)
        return real_open(path, *args, **options)

    monkeypatch.setattr(os, "open", open_after_removal)
    intake = collect(tmp_path)
    assert paths(intake) == ["a.py"]
    assert reasons(intake) == {"b.py": "no such file or directory"}


def test_a_file_swapped_for_a_link_or_a_pipe_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, "link.py", "pipe.py")
    write(tmp_path, "../outside.py", data=b"secret")
    real_open = os.open

    def open_after_swap(path: str, *args: int, **options: int) -> int:
        if path in ("link.py", "pipe.py"):
            (tmp_path / path).unlink()
            (tmp_path / path).symlink_to("../outside.py") if path == "link.py" else os.mkfifo(tmp_path / path)
        return real_open(path, *args, **options)

    monkeypatch.setattr(os, "open", open_after_swap)
    intake = collect(tmp_path)
    assert intake.files == ()
    assert reasons(intake) == {
        "link.py": "too many levels of symbolic links",
        "pipe.py": "a named pipe, not a file",
    }


def test_folders_nested_too_deep_are_named(tmp_path: Path) -> None:
    here = os.open(tmp_path, os.O_RDONLY)
    try:
        for depth in range(110):
            os.mkdir("d", dir_fd=here)
            inner = os.open("d", os.O_RDONLY, dir_fd=here)
            os.close(here)
            here = inner
            if depth == 50:
                os.close(os.open("ok.py", os.O_WRONLY | os.O_CREAT, dir_fd=here))
    finally:
        os.close(here)
    intake = collect(tmp_path)
    assert paths(intake) == ["d/" * 51 + "ok.py"]
    assert list(reasons(intake).values()) == ["folders are nested over 100 deep"]


def test_paths_too_long_are_named(tmp_path: Path) -> None:
    name = "n" * 250
    write(tmp_path, f"{name}/{name}/{name}/{name}/{name}.py", "a.py")
    intake = collect(tmp_path)
    assert paths(intake) == ["a.py"]
    (entry,) = intake.not_reviewed
    assert "over the limit of 1,024" in entry.reason
    assert len(entry.path) < 400


def test_globs_choose_files(tmp_path: Path) -> None:
    write(tmp_path, "src/a.py", "src/gen/b.py", "src/c.ts", "tests/d.py", "e.py")
    assert paths(collect(tmp_path, include=["src/**/*.py"])) == ["src/a.py", "src/gen/b.py"]
    assert paths(collect(tmp_path, include=["./src/", "e.py"], exclude=["gen/", "*.ts"])) == [
        "e.py",
        "src/a.py",
    ]
    intake = collect(tmp_path, exclude=["src"])
    assert paths(intake) == ["e.py", "tests/d.py"]
    assert reasons(intake) == {
        "(excluded)": "1 files and folders left out by the include and exclude patterns"
    }


@pytest.mark.parametrize("glob", ["!", "/", "[a", "a\\", "a//b", "x" * 2000])
def test_a_glob_that_is_none_is_an_error(tmp_path: Path, glob: str) -> None:
    with pytest.raises(IntakeError, match="is not a pattern"):
        collect(tmp_path, exclude=[glob])


def test_nested_ignore_files_win_over_outer_ones(tmp_path: Path) -> None:
    write(
        tmp_path, "a.py", "gen/a.py", "gen/keep.py", "gen/deep/b.py", "out/c.py", "sub/local.py", "local.py"
    )
    write(tmp_path, ".gitignore", data=b"gen/*\n!gen/keep.py\n/out/\n[z-a]\n!\n")
    write(tmp_path / "sub", ".gitignore", data=b"/local.py\n")
    assert paths(collect(tmp_path)) == ["a.py", "gen/keep.py", "local.py"]


def git(folder: Path, *arguments: str) -> bytes:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return subprocess.run(
        ["git", *arguments], cwd=folder, env=environment, check=True, capture_output=True
    ).stdout


def test_the_same_files_are_ignored_as_by_git(tmp_path: Path) -> None:
    """Git itself is the oracle."""
    write(
        tmp_path,
        *(
            "a.py",
            "log.py",
            "x/log.py",
            "x/build/a.py",
            "build/b.py",
            "x/y/z/a.py",
            "x/y/b.py",
            "foo/bar/a.py",
        ),
        *("doc/a.py", "doc/in/a.py", "spa ce.py", "#hash.py", "!bang.py", "abc.py", "abd.py", "x/keep/a.py"),
        *("secret.py", "sub/secret.py", "sub/build/a.py", "tmp/a.py", "tmp/keep.py", "q?.py", "trail .py"),
    )
    write(
        tmp_path,
        ".gitignore",
        data=b"# c\n/log.py\nbuild/\n**/z/\nfoo/**/a.py\ndoc/*.py\n\\#hash.py\n\\!bang.py\nab[c].py\nspa\\ ce.py  \n"
        b"tmp/*\n!tmp/keep.py\nx/keep\n!x/keep/a.py\nq\\?.py\r\n",
    )
    write(tmp_path, "sub/.gitignore", data=b"!build/\nsecret.py\n")
    write(tmp_path, "x/.gitignore", data=b"*\n!y\n!y/**\n!.gitignore\n")
    git(tmp_path, "init", "-q")
    (tmp_path / ".git" / "info" / "exclude").write_text("abd.py\n")
    listed = git(tmp_path, "ls-files", "--others", "--exclude-standard", "-z").decode().split("\0")
    assert paths(collect(tmp_path)) == sorted(name for name in listed if name.endswith(".py"))
    for inner in ("x", "sub", "tmp"):
        listed = (
            git(tmp_path / inner, "ls-files", "--others", "--exclude-standard", "-z").decode().split("\0")
        )
        assert paths(collect(tmp_path / inner)) == sorted(name for name in listed if name.endswith(".py")), (
            inner
        )


def test_an_ignored_folder_that_is_named_is_reviewed(tmp_path: Path) -> None:
    write(tmp_path, "gen/a.py", "gen/b.py")
    write(tmp_path, ".gitignore", data=b"gen/\n")
    git(tmp_path, "init", "-q")
    assert paths(collect(tmp_path / "gen")) == ["a.py", "b.py"]


def test_an_ignore_file_that_is_a_link_or_a_pipe_counts_for_nothing(tmp_path: Path) -> None:
    write(tmp_path, "a/x.py", "b/x.py")
    write(tmp_path, "rules.ini", data=b"*.py\n")
    (tmp_path / "a" / ".gitignore").symlink_to("../rules.ini")
    os.mkfifo(tmp_path / "b" / ".gitignore")
    assert paths(collect(tmp_path)) == ["a/x.py", "b/x.py", "rules.ini"]


def test_ten_thousand_files_take_seconds(tmp_path: Path) -> None:
    for folder in range(100):
        (tmp_path / f"d{folder}").mkdir()
        for index in range(100):
            (tmp_path / f"d{folder}" / f"f{index}.py").write_bytes(b"x = 1\n")
    write(tmp_path, ".gitignore", data=b"\n".join(b"*.ext%d" % index for index in range(30)))
    started = time.monotonic()
    assert len(collect(tmp_path).files) == 10_000
    assert time.monotonic() - started < 20  # about 1 s on an idle core


def test_files_that_were_sent_are_checked_like_those_of_a_folder() -> None:
    sent = [
        SourceFile(path="app.py", text="x = 1\ny = 2"),
        SourceFile(path="app.py", text="again"),
        SourceFile(path="../up.py", text=""),
        SourceFile(path="/etc/x.py", text=""),
        SourceFile(path="a\0.py", text=""),
        SourceFile(path="read.me", text=""),
        SourceFile(path="half.py", text="\ud800"),
        SourceFile(path="\ud800.py", text=""),
        SourceFile(path="big.py", text="é" * 51),
        SourceFile(path="nul.py", text="\0"),
    ]
    intake = collect_sent(sent, limits=IntakeLimits(file_bytes_max=100))
    assert [(file.path, file.lines, file.data) for file in intake.files] == [("app.py", 2, b"x = 1\ny = 2")]
    assert set(reasons(intake)) == {
        *("app.py", "../up.py", "/etc/x.py", "a\\x00.py", "half.py", "\\ud800.py", "big.py", "nul.py"),
        "(other files)",
    }
