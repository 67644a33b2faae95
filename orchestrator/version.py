"""The version of this checkout; `tests/test_house.py` keeps it equal to pyproject.toml."""

from typing import Final

VERSION: Final = "0.1.0"
