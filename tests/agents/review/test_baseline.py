"""Baselines: written, read, and used to mark what was known."""

import json
import os
from pathlib import Path

import msgspec
import pytest

from agents.review import baseline as baseline_module
from agents.review.baseline import BaselineError, mark_baseline, read_baseline, write_baseline
from schemas.review import Finding, FindingStatus, Severity


def finding(mark: str, status: FindingStatus = FindingStatus.NEW, path: str = "a.py") -> Finding:
    return Finding(
        fingerprint=mark,
        title="SQL",
        path=path,
        line=3,
        end_line=3,
        severity=Severity.HIGH,
        confidence=0.5,
        status=status,
        status_reason="# nosec" if status is FindingStatus.SUPPRESSED else "",
    )


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    file = tmp_path / "baseline.json"
    known = [finding("b" * 16), finding("a" * 16, FindingStatus.BASELINE, "ü\n.py")]
    assert (
        write_baseline(file, [*known, finding("c" * 16, FindingStatus.SUPPRESSED)], created="2026-01-02") == 2
    )
    assert read_baseline(file) == ("a" * 16, "b" * 16)
    assert os.listdir(tmp_path) == ["baseline.json"]


def test_the_file_is_for_people_too(tmp_path: Path) -> None:
    file = tmp_path / "baseline.json"
    write_baseline(file, [finding("b" * 16, path="z.py"), finding("a" * 16)], created="2026-01-02T03:04:05Z")
    data = json.loads(file.read_text())
    assert (data["version"], data["created"]) == (1, "2026-01-02T03:04:05Z")
    assert data["findings"][0] == {
        "fingerprint": "a" * 16, "path": "a.py", "line": 3, "title": "SQL", "severity": "high"
    }  # fmt: skip
    assert [line.count("fingerprint") for line in file.read_text().splitlines()] == [0, 1, 1, 0]


def test_an_empty_baseline_is_one_too(tmp_path: Path) -> None:
    write_baseline(tmp_path / "b.json", [], created="")
    assert read_baseline(tmp_path / "b.json") == ()


def test_a_baseline_is_replaced_and_readable_by_others(tmp_path: Path) -> None:
    file = tmp_path / "b.json"
    file.write_text("old " * 1000)
    write_baseline(file, [finding("a" * 16)], created="")
    assert read_baseline(file) == ("a" * 16,)
    assert file.stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is not a baseline"),
        ("{", "is not a baseline"),
        ("[]", "is not a baseline"),
        ('{"version": "1"}', r"is not a baseline: Expected `int`, got `str` - at `\$.version`"),
        ('{"findings": []}', "missing required field `version`"),
        ('{"version": 1, "findings": [{"path": "a"}]}', "missing required field `fingerprint`"),
        ('{"version": 2}', "has version 2, this Labverse reads 1"),
        ("[" * 100_000, "is not a baseline"),
    ],
)
def test_a_bad_baseline_is_an_error_in_one_line(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "b.json"
    file.write_text(text)
    with pytest.raises(BaselineError, match=message) as caught:
        read_baseline(file)
    assert str(file) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_bytes_that_are_no_text_are_an_error(tmp_path: Path) -> None:
    (tmp_path / "b.json").write_bytes(b'{"version": 1, "created": "\xff"}')
    with pytest.raises(BaselineError, match="is not a baseline"):
        read_baseline(tmp_path / "b.json")


def test_a_missing_baseline_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(BaselineError, match=r"can't read the baseline .*b\.json: no such file"):
        read_baseline(tmp_path / "b.json")
    with pytest.raises(BaselineError, match="is a directory"):
        read_baseline(tmp_path)


def test_a_huge_baseline_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(baseline_module, "BASELINE_BYTES_MAX", 10)
    (tmp_path / "b.json").write_text("x" * 11)
    with pytest.raises(BaselineError, match="over 10 bytes"):
        read_baseline(tmp_path / "b.json")


def test_a_baseline_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(BaselineError, match="can't write the baseline"):
        write_baseline(tmp_path / "gone" / "b.json", [], created="")
    (tmp_path / "folder").mkdir()
    with pytest.raises(BaselineError, match="can't write the baseline"):
        write_baseline(tmp_path / "folder", [], created="")
    assert os.listdir(tmp_path) == ["folder"]


def test_known_findings_are_marked_and_kept() -> None:
    marked = mark_baseline(
        [finding("a"), finding("b"), finding("c", FindingStatus.SUPPRESSED)], ["a", "c", "x"]
    )
    assert [(each.fingerprint, each.status) for each in marked] == [
        ("a", FindingStatus.BASELINE),
        ("b", FindingStatus.NEW),
        ("c", FindingStatus.SUPPRESSED),
    ]
    assert marked[0].status_reason
    assert marked[1:] == (finding("b"), finding("c", FindingStatus.SUPPRESSED))


def test_a_field_from_the_future_is_no_error(tmp_path: Path) -> None:
    file = tmp_path / "b.json"
    file.write_bytes(
        msgspec.json.encode({"version": 1, "findings": [{"fingerprint": "a", "who": "me"}], "x": 1})
    )
    assert read_baseline(file) == ("a",)
