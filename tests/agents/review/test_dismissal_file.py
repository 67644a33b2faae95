"""The file of dismissals: read as untrusted, changed by one command at a time, written at once or not at all."""

import fcntl
import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from agents.review import dismissal_file as module
from agents.review.dismissal_file import (
    FILE,
    DismissalError,
    add_dismissals,
    read_dismissals,
    remove_dismissals,
    resolve,
    top_of,
)
from schemas.review import Dismissal


def dismissal(number: int, reason: str = "fine") -> Dismissal:
    return Dismissal(fingerprint=f"{number:016x}", reason=reason, by="ada", at="2026-11-21T05:00:00Z")


def test_what_is_added_is_read_again_one_a_line(tmp_path: Path) -> None:
    assert read_dismissals(tmp_path) == ()
    assert add_dismissals(tmp_path, [dismissal(1), dismissal(2)]) == 2
    assert add_dismissals(tmp_path, [dismissal(1, "better"), dismissal(3, "ü\n“")]) == 3
    assert read_dismissals(tmp_path) == (dismissal(2), dismissal(1, "better"), dismissal(3, "ü\n“"))
    lines = (tmp_path / FILE).read_text(encoding="utf-8").splitlines()
    assert [line.count("fingerprint") for line in lines] == [0, 1, 1, 1, 0]
    assert json.loads("\n".join(lines))["version"] == 1
    assert os.listdir(tmp_path) == [FILE]


def test_some_are_taken_back_or_none(tmp_path: Path) -> None:
    add_dismissals(tmp_path, [dismissal(1), dismissal(0xABCDEF0000000000), dismissal(3)])
    with pytest.raises(DismissalError, match="is not dismissed"):
        remove_dismissals(tmp_path, [f"{1:016x}", "f" * 16])
    assert len(read_dismissals(tmp_path)) == 3
    assert remove_dismissals(tmp_path, ["abcdef", "ABCDEF0", f"{1:016x}"]) == (
        dismissal(0xABCDEF0000000000),
        dismissal(1),
    )
    assert read_dismissals(tmp_path) == (dismissal(3),)


def test_many_add_at_once_and_none_is_lost(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: add_dismissals(tmp_path, [dismissal(number)]), range(40)))
    assert {one.fingerprint for one in read_dismissals(tmp_path)} == {
        f"{number:016x}" for number in range(40)
    }


def test_a_lock_that_nobody_gives_back_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOCK_WAIT_S_MAX", 0.1)
    fd = os.open(tmp_path, os.O_RDONLY)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        with pytest.raises(DismissalError, match="locked for over"):
            add_dismissals(tmp_path, [dismissal(1)])
    finally:
        os.close(fd)
    assert add_dismissals(tmp_path, [dismissal(1)]) == 1


def test_too_many_are_refused_and_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "DISMISSALS_MAX", 2)
    add_dismissals(tmp_path, [dismissal(1), dismissal(2)])
    with pytest.raises(DismissalError, match="remove old ones"):
        add_dismissals(tmp_path, [dismissal(3)])
    assert len(read_dismissals(tmp_path)) == 2
    monkeypatch.setattr(module, "DISMISSALS_MAX", 1)
    with pytest.raises(DismissalError, match="has over 1 dismissals"):
        read_dismissals(tmp_path)


class TestBadFiles:
    @pytest.mark.parametrize(
        ("data", "said"),
        [
            (b"[", "can't be read"),
            (b"\xff\xfe", "can't be read"),
            (b"[" * 100_000, "can't be read"),
            (b'{"version":2}', "has version 2"),
            (b'{"dismissals":[]}', "version"),
            (b'{"version":1,"dismissals":[{"fingerprint":"x","reason":"y"}]}', "can't be read"),
            (b'{"version":1,"dismissals":[{"fingerprint":"%b","reason":""}]}' % (b"a" * 16), "can't be read"),
            (
                b'{"version":1,"dismissals":[{"fingerprint":"%b","reason":"%b"}]}' % (b"a" * 16, b"r" * 501),
                "can't be read",
            ),
        ],
    )  # fmt: skip
    def test_one_line_says_what_is_wrong(self, tmp_path: Path, data: bytes, said: str) -> None:
        (tmp_path / FILE).write_bytes(data)
        with pytest.raises(DismissalError) as raised:
            read_dismissals(tmp_path)
        assert said in str(raised.value)
        assert FILE in str(raised.value)
        assert "\n" not in str(raised.value)

    def test_neither_a_pipe_nor_a_link_nor_an_endless_file_holds_us_up(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        os.mkfifo(tmp_path / FILE)
        with pytest.raises(DismissalError, match="a named pipe"):
            read_dismissals(tmp_path)
        (tmp_path / FILE).unlink()
        (tmp_path / FILE).symlink_to("/etc/passwd")
        with pytest.raises(DismissalError, match="a symlink"):
            read_dismissals(tmp_path)
        (tmp_path / FILE).unlink()
        (tmp_path / FILE).mkdir()
        with pytest.raises(DismissalError, match="is a directory"):
            read_dismissals(tmp_path)
        (tmp_path / FILE).rmdir()
        monkeypatch.setattr(module, "BYTES_MAX", 100)
        (tmp_path / FILE).write_bytes(b" " * 101)
        with pytest.raises(DismissalError, match="over the limit"):
            read_dismissals(tmp_path)

    def test_a_broken_file_is_not_written_over(self, tmp_path: Path) -> None:
        (tmp_path / FILE).write_text("<<<<<<< HEAD")
        with pytest.raises(DismissalError):
            add_dismissals(tmp_path, [dismissal(1)])
        assert (tmp_path / FILE).read_text() == "<<<<<<< HEAD"

    def test_a_folder_that_is_not_there_is_told(self, tmp_path: Path) -> None:
        with pytest.raises(DismissalError, match="no such file"):
            add_dismissals(tmp_path / "gone", [dismissal(1)])


class TestIds:
    KNOWN = (dismissal(0xABCDEF0000000001), dismissal(0xABCDEF1000000001))

    def test_a_beginning_that_means_one_is_enough(self) -> None:
        assert resolve(["ABCDEF0", " abcdef1000"], self.KNOWN) == [one.fingerprint for one in self.KNOWN]

    def test_a_whole_one_need_not_be_known(self) -> None:
        assert resolve(["0123456789abcdef"], ()) == ["0123456789abcdef"]

    @pytest.mark.parametrize(
        ("given", "said"),
        [
            ("abcdef", "means 2 findings"),
            ("abcde", "is no finding's id"),
            ("a" * 17, "is no finding's id"),
            ("ghijkl", "is no finding's id"),
            ("", "is no finding's id"),
            ("\x1b[31m", "is no finding's id"),
            ("aaaaaa", "no finding that is known here"),
        ],
    )
    def test_what_means_none_or_several_is_told(self, given: str, said: str) -> None:
        with pytest.raises(DismissalError, match=said) as raised:
            resolve([given], self.KNOWN)
        assert str(raised.value).isprintable()


def test_the_top_is_the_repository_or_the_folder_itself(tmp_path: Path) -> None:
    inner = tmp_path / "repository" / "src" / "deep"
    inner.mkdir(parents=True)
    (inner / "a.py").write_text("")
    assert top_of(inner) == inner
    assert top_of(inner / "a.py") == inner
    (tmp_path / "repository" / ".git").write_text("gitdir: elsewhere")  # as in a worktree
    assert top_of(inner / "a.py") == tmp_path / "repository"
