"""Where a reviewed folder lies in its checkout, by which annotations find their place."""

from pathlib import Path

from orchestrator.review_delivery import folder_in_checkout


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
