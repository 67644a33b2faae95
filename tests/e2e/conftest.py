"""Fixtures for whole commands as processes."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from labverse import HEADLINE, Labverse


@pytest.fixture
def labverse(tmp_path: Path) -> Iterator[Labverse]:
    labverse = Labverse(tmp_path / "data")
    yield labverse
    labverse.close()


@pytest.fixture
def headline(tmp_path: Path) -> Path:
    """A folder with the 15-line file of three critical problems."""
    folder = tmp_path / "headline"
    folder.mkdir()
    (folder / "app.py").write_text(HEADLINE)
    return folder


@pytest.fixture
def code_base(tmp_path: Path) -> Path:
    """200 small Python files with one SQL injection each."""
    folder = tmp_path / "code"
    for index in range(200):
        package = folder / f"package{index // 20}"
        package.mkdir(parents=True, exist_ok=True)
        (package / f"module{index}.py").write_text(
            f'"""Module {index}."""\n\n\n'
            f"def find_{index}(cursor, name):\n"
            f"    return cursor.execute(\"SELECT * FROM table_{index} WHERE name = '%s'\" % name)\n"
        )
    return folder
