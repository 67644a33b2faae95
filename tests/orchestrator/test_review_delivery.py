"""Where a reviewed folder lies in its checkout, and what is said of settings that let findings pass."""

from pathlib import Path

import pytest

from config.load import load
from orchestrator.review_delivery import folder_in_checkout, weakened


def test_it_is_told_from_the_top_of_the_repository(tmp_path: Path) -> None:
    inner = tmp_path / ".hidden" / "shop"
    inner.mkdir(parents=True)
    (inner / "app.py").write_text("")
    (tmp_path / ".git").mkdir()
    assert folder_in_checkout(tmp_path, "") == ""
    assert folder_in_checkout(inner, "") == ".hidden/shop"
    assert folder_in_checkout(inner / "app.py", "/elsewhere") == ".hidden/shop"
    assert folder_in_checkout(inner, str(tmp_path / ".hidden")) == ".hidden/shop"


def test_without_a_repository_it_is_told_from_the_workspace(tmp_path: Path) -> None:
    inner = tmp_path / "work" / "shop"
    inner.mkdir(parents=True)
    assert folder_in_checkout(inner, str(tmp_path / "work")) == "shop"
    assert folder_in_checkout(tmp_path / "work", str(tmp_path / "work")) == ""
    assert folder_in_checkout(inner, str(tmp_path / "other")) == ""
    assert folder_in_checkout(inner, "") == ""


@pytest.mark.parametrize(
    ("setting", "flag", "said"),
    [
        ("never", None, "no finding makes this review fail: review.fail_on is never ("),
        (
            "critical",
            None,
            "only findings that are critical make this review fail: review.fail_on is critical (",
        ),
        ("medium", None, ""),
        ("high", None, ""),
        ("never", "high", ""),
        ("high", "never", ""),
    ],
)
def test_a_file_that_lets_findings_pass_is_named(
    tmp_path: Path, setting: str, flag: str | None, said: str
) -> None:
    file = tmp_path / "labverse.yaml"
    file.write_text(f"review:\n  fail_on: {setting}\n")
    flags = {} if flag is None else {"review.fail_on": flag}
    text = weakened(load(file=file, env={"HOME": str(tmp_path)}, flags=flags))
    assert text.startswith(said)
    assert bool(text) == bool(said)
    assert (f"{file} line 2" in text) == bool(said)


def test_without_a_file_nothing_is_said_of_one(tmp_path: Path) -> None:
    env = {"HOME": str(tmp_path), "LABVERSE_REVIEW__FAIL_ON": "never"}
    assert weakened(load(env=env, flags={})) == ""
